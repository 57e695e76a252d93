//! `meterledger`: prepaid utility metering from the register to the relay, in one binary.
//!
//! Thin on purpose: [`cli`] says what can be asked, [`call`] is the same as data ([`money`]: what moves money, [`users`]: who
//! may ask), [`access`] finds out who asks, [`perform`] does it on an open [`node`], and [`door`] carries calls to a running server. [`serve`] keeps a node open,
//! and [`supply`] joins its field, control and notices.

mod access;
mod call;
mod cli;
mod control;
mod demo;
mod door;
mod money;
mod node;
mod perform;
mod serve;
mod supply;
mod users;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("METERLEDGER_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(if arguments.serves() { "info,sqlx=error" } else { "warn,sqlx=error" })
    });
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.to_string();
            if !text.is_empty() {
                eprintln!("error: {text}");
            }
            ExitCode::FAILURE
        }
    }
}
