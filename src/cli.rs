//! The command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use wal::clock::Clock;

use crate::access::session;
use crate::call::{
    Asked, Call, CorrectedValue, Event, Failure, ImportArguments, MeterCommand, OutageFile, Period, PeriodAction,
    QualityFilter, RerateArguments, SimulateArguments, StatementArguments, StatementFormat, Tabular, failed,
};
use crate::control::ControlCommand;
use crate::door;
use crate::money::{MoneyCommand, Suspend};
use crate::node::Node;
use crate::perform::{self, probe};
use crate::serve;
use crate::users::AccessCommand;

/// Prepaid utility metering: readings in, exact charges, guarded cut-off, reports out
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", env = "METERLEDGER_DATA_DIR", default_value = "meterledger-data", global = true)]
    data_dir: PathBuf,
    /// Who gives the command, as long as the book has no user; without it the system's user
    #[arg(long, value_name = "NAME", env = "METERLEDGER_ACTOR", global = true)]
    actor: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Bring the book to what a site file says, and print what changes
    Apply {
        /// The site file (TOML)
        file: PathBuf,
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Do not work out what a new version of a tariff in use would have charged on the last 12 months
        #[arg(long)]
        no_preview: bool,
    },
    /// Replace a meter, change its multiplier, or let its register begin anew, from a moment on
    Meter {
        #[command(subcommand)]
        change: MeterCommand,
        /// Print what would change, and change nothing
        #[arg(long, global = true)]
        dry_run: bool,
    },
    /// Import readings from a CSV (also .gz) or Parquet file
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        options: ImportArguments,
    },
    /// Poll the meters, price, warn, cut off and reconnect, until Ctrl-C
    Serve {
        /// Simulate the meters on loopback; refused where a bus is not on this machine
        #[arg(long)]
        simulate: bool,
    },
    /// Post a payment to an account; the same key posts once, for ever
    Topup {
        account: String,
        /// Such as 100 or 99.50
        amount: String,
        /// The client's key of this payment
        #[arg(long)]
        key: String,
        #[arg(long, default_value = "cash")]
        channel: String,
        /// The money's owner is not known: keep what was written on it instead of an account
        #[arg(long)]
        suspense: bool,
        /// With --suspense, where sites have several currencies
        #[arg(long, requires = "suspense")]
        site: Option<String>,
    },
    #[command(flatten)]
    Money(MoneyCommand),
    #[command(flatten)]
    Access(AccessCommand),
    /// Who is on and off; cut off, restore or keep on by hand; approve and cancel relay commands
    #[command(subcommand)]
    Supply(ControlCommand),
    /// Why an account's or a meter's supply is what it is: the evaluation behind it, and what would be decided now
    Why {
        /// An account's name or a meter's serial number
        name: String,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Show balances
    Balance {
        account: Option<String>,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Run a report of the catalogue
    Report {
        /// Its name; see --list
        #[arg(required_unless_present = "list")]
        name: Option<String>,
        /// List all reports with what they are for
        #[arg(long)]
        list: bool,
        #[command(flatten)]
        period: Period,
        #[arg(long, default_value = "table", value_parser = ["table", "csv", "json", "xlsx", "svg", "png"])]
        format: String,
        /// Write to a file instead of the terminal
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Ask in SQL, over readings, intervals, charges, balances and the other names of README
    Sql {
        // A statement may begin with a comment.
        #[arg(allow_hyphen_values = true)]
        statement: String,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Prove the book: audit queries and the hash chain; fails unless all are clean
    Audit,
    /// Show each charge of a day down to register counts, multiplier, band, tier and tariff version
    Explain {
        account: String,
        /// The local day, such as 2026-03-01
        #[arg(long, value_name = "D", required_unless_present = "line")]
        day: Option<String>,
        /// The line of a statement, from 1, with --statement or --month
        #[arg(long, value_name = "L", conflicts_with = "day")]
        line: Option<usize>,
        /// The statement's number
        #[arg(long, value_name = "N", requires = "line")]
        statement: Option<i64>,
        /// The statement's month, such as 2026-03
        #[arg(long, value_name = "M", requires = "line", conflicts_with = "statement")]
        month: Option<String>,
    },
    /// Readings of a meter: list them, show what is known of one, correct one
    Readings {
        #[command(subcommand)]
        command: ReadingsCommand,
    },
    /// When a meter had no supply: a run of zeros, in which nothing is charged
    Outage {
        #[command(subcommand)]
        command: OutageCommand,
    },
    /// Review and close months: a closed month changes only by approved adjustments
    Period {
        #[command(subcommand)]
        command: PeriodCommand,
    },
    /// What a closed month should have cost more or less: look at it, approve or reject it
    Adjustment {
        #[command(subcommand)]
        command: AdjustmentCommand,
    },
    /// Rate a span anew from its readings, components included, show what was charged otherwise, and post the signed difference
    Rerate {
        #[command(flatten)]
        asked: RerateArguments,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// An account's month: opening balance, payments, charges, closing balance
    Statement {
        #[command(flatten)]
        asked: StatementArguments,
        #[arg(long, default_value = "table")]
        format: StatementFormat,
        /// Write to a file instead of the terminal
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List what readings have wrong, most severe first; `quality ack` says that somebody has looked at it
    #[command(args_conflicts_with_subcommands = true)]
    Quality {
        #[command(flatten)]
        filter: QualityFilter,
        #[arg(long, default_value = "table")]
        format: Tabular,
        #[command(subcommand)]
        command: Option<QualityCommand>,
    },
    /// Tariffs before they are published
    Tariff {
        #[command(subcommand)]
        command: TariffCommand,
    },
    /// Read one device once and show every register decoded
    Probe {
        /// A profile's name, such as acrel-adf400l
        profile: String,
        /// HOST:PORT
        address: String,
        /// The unit (slave) address, 1 to 247
        unit: u8,
    },
    /// The main job on a simulated mall: history, metering, warnings, cut-off, top-up, reports
    Demo {
        /// Where its data and pictures go (a fresh folder under the system's temporary one by default)
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum ReadingsCommand {
    /// Those of a span, with what billing made of each
    List {
        /// Its serial number
        meter: String,
        /// From this time on, such as 2026-03-01 or 2026-03-01T12:00 (local to the site) or 2026-03-01T12:00:00Z
        #[arg(long, value_name = "T")]
        from: Option<String>,
        /// Up to and with this time
        #[arg(long, value_name = "T")]
        to: Option<String>,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// All values of one moment, and its corrections
    Show {
        meter: String,
        #[arg(long, value_name = "T")]
        at: String,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Say what the meter said at a moment: it takes the place of all values there, for ever or until the next correction
    Correct {
        meter: String,
        #[arg(long, value_name = "T")]
        at: String,
        #[command(flatten)]
        value: CorrectedValue,
        /// Why; it is kept in the audit log
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand)]
enum OutageCommand {
    /// Say that a meter had no supply; what was measured around it flowed outside it
    Record(OutageArguments),
    /// Say that an outage recorded before, with the same times, was none
    Withdraw(OutageArguments),
    /// Record the power failures that a file lists (CSV, one a line), such as a gateway's or a utility's event log
    Import {
        file: PathBuf,
        #[command(flatten)]
        asked: OutageFile,
    },
}

#[derive(Args)]
struct OutageArguments {
    /// The meter's serial number
    meter: String,
    /// The first moment without supply, such as 2026-03-01T12:00 (local to the site) or 2026-03-01T12:00:00Z
    #[arg(long, value_name = "T")]
    from: String,
    /// The first moment with it again
    #[arg(long, value_name = "T")]
    to: String,
    /// Why; it is kept in the audit log
    #[arg(long)]
    reason: String,
}

#[derive(Subcommand)]
enum PeriodCommand {
    /// The months that were reviewed or closed; all others after them are open
    List {
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Mark a month as being looked at, and say what keeps it from being closed; charges go on as before
    Review(MonthArguments),
    /// Close a month that has ended: post all its charges and freeze its statements
    Close {
        #[command(flatten)]
        month: MonthArguments,
        /// Charge demand by the readings that there are, though some are missing; why is kept in the audit log
        #[arg(long, value_name = "WHY")]
        demand_as_measured: Option<String>,
    },
    /// Open the last closed month again and withdraw its statements
    Reopen {
        #[command(flatten)]
        month: MonthArguments,
        /// Why; it is kept in the audit log
        #[arg(long)]
        reason: String,
    },
}

#[derive(clap::Args)]
struct MonthArguments {
    /// Such as 2026-03
    #[arg(long, value_name = "M")]
    month: String,
    /// Of this site; of all sites without it
    #[arg(long, value_name = "S")]
    site: Option<String>,
}

#[derive(Subcommand)]
enum AdjustmentCommand {
    /// Those that wait for a decision
    List {
        /// Those that were decided too
        #[arg(long)]
        all: bool,
        /// The lines of one of them: before, after, difference
        #[arg(long, value_name = "ID")]
        lines: Option<i64>,
        #[arg(long, default_value = "table")]
        format: Tabular,
    },
    /// Post it in the current month; not by the one who proposed it
    Approve {
        id: i64,
        #[arg(long)]
        reason: String,
    },
    /// Never post it
    Reject {
        id: i64,
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand)]
enum QualityCommand {
    /// Say that a finding was looked at; it is listed as acknowledged from now on
    Ack {
        /// Its issue, such as zero_run
        issue: String,
        /// The meter's serial number
        meter: String,
        /// Where it begins, or any moment within it, such as 2026-03-01T00:00:00Z or 2026-03-01T08:00 (local)
        #[arg(long, value_name = "T")]
        from: String,
        /// Why nothing more is to be done
        #[arg(long)]
        reason: String,
    },
}

#[derive(Subcommand)]
enum TariffCommand {
    /// Prove that every instant has exactly one price, say in words what a tariff is, and draw its year
    Check {
        /// A file of [[tariff]] and [[calendar]] tables, or a site file (TOML)
        file: PathBuf,
        /// Draw the year, day by hour, to a file that ends with .svg or .png
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show old against new bills, components included: what accounts would have paid by a tariff that is not published
    Simulate {
        #[command(flatten)]
        asked: SimulateArguments,
        #[arg(long, default_value = "table")]
        format: Tabular,
        /// Write to a file instead of the terminal
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Arguments {
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, Command::Serve { .. })
    }
}

/// Runs a command line.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let folder = arguments.data_dir;
    let mut output = None;
    let call = match arguments.command {
        Command::Serve { simulate } => return serve::serve(&folder, simulate).await,
        // Part of the program alone: it needs no folder.
        Command::Tariff { command: TariffCommand::Check { file, output } } => {
            return perform::tariff::check(&file, output.as_deref());
        }
        Command::Tariff { command: TariffCommand::Simulate { asked, format, output: to } } => {
            output = to;
            let site = perform::apply::read(&asked.file, "tariff file")?;
            Call::Simulate { asked, text: site.text, attached: site.attached, format }
        }
        Command::Probe { profile, address, unit } => return probe::probe(&profile, &address, unit).await,
        Command::Demo { out } => return crate::demo::demo(out).await,
        Command::Apply { file, dry_run, no_preview } => {
            let site = perform::apply::read(&file, "site file")?;
            Call::Apply { file, text: site.text, attached: site.attached, dry_run, preview: !no_preview }
        }
        Command::Meter { change, dry_run } => Call::Meter { change, dry_run },
        Command::Import { file, options } => {
            // The server may have another working folder.
            let file = std::path::absolute(&file).map_err(failed)?;
            Call::Import { file, options }
        }
        Command::Topup { account: payer, amount, key, channel, suspense: true, site } => {
            Call::Suspend(Suspend { payer, amount, key, channel, site })
        }
        Command::Topup { account, amount, key, channel, .. } => Call::TopUp { account, amount, key, channel },
        Command::Money(command) => Call::Money(command),
        Command::Access(command) => match command {
            AccessCommand::SignIn { name, password_stdin } => {
                return session::sign_in(&folder, name, password_stdin).await;
            }
            AccessCommand::SignOut => return session::sign_out(&folder).await,
            AccessCommand::Whoami => Call::WhoAmI,
            AccessCommand::User(command) => Call::User(command.with_password()?),
            AccessCommand::Token(command) => Call::Token(command),
        },
        Command::Supply(command) => Call::Control(command),
        Command::Why { name, format } => Call::Why { name, format },
        Command::Balance { account, format } => Call::Balance { account, format },
        Command::Report { list: true, .. } => Call::ReportList,
        Command::Report { name, period, format, output: to, .. } => {
            output = to;
            Call::Report { name: name.unwrap_or_default(), period, format }
        }
        Command::Sql { statement, format } => Call::Sql { statement, format },
        Command::Audit => Call::Audit,
        Command::Rerate { asked, format } => Call::Rerate { asked, format },
        Command::Explain { account, day, statement, month, line } => {
            Call::Explain { account, day, statement, month, line }
        }
        Command::Readings { command } => match command {
            ReadingsCommand::List { meter, from, to, format } => Call::ReadingList { meter, from, to, format },
            ReadingsCommand::Show { meter, at, format } => Call::ReadingShow { meter, at, format },
            ReadingsCommand::Correct { meter, at, value, reason } => Call::ReadingCorrect { meter, at, value, reason },
        },
        Command::Outage { command } => {
            let state = |said, withdraw| {
                let OutageArguments { meter, from, to, reason } = said;
                Call::Outage { meter, from, to, withdraw, reason }
            };
            match command {
                OutageCommand::Record(said) => state(said, false),
                OutageCommand::Withdraw(said) => state(said, true),
                OutageCommand::Import { file, asked } => {
                    let read = std::fs::read_to_string(&file);
                    let text = read.map_err(|error| Failure(format!("cannot read {}: {error}", file.display())))?;
                    Call::OutageImport { asked, text }
                }
            }
        }
        Command::Period { command } => period_call(command),
        Command::Adjustment { command } => match command {
            AdjustmentCommand::List { all, lines, format } => Call::AdjustmentList { all, lines, format },
            AdjustmentCommand::Approve { id, reason } => Call::AdjustmentDecide { id, approve: true, reason },
            AdjustmentCommand::Reject { id, reason } => Call::AdjustmentDecide { id, approve: false, reason },
        },
        Command::Statement { asked, format, output: to } => {
            output = to;
            Call::Statement { asked, format }
        }
        Command::Quality { command: Some(QualityCommand::Ack { issue, meter, from, reason }), .. } => {
            Call::QualityAck { issue, meter, from, reason }
        }
        Command::Quality { filter, format, command: None } => Call::Quality { filter, format },
    };
    let asked = session::asked(&folder, arguments.actor, call)?;
    let to = output.as_deref().map_or(To::Terminal, To::File);
    ask(&folder, asked, to).await.map(|_| ())
}

fn period_call(command: PeriodCommand) -> Call {
    let change = |action, MonthArguments { month, site }, reason| Call::PeriodChange { action, month, site, reason };
    match command {
        PeriodCommand::List { format } => Call::PeriodList { format },
        PeriodCommand::Review(month) => change(PeriodAction::Review, month, String::new()),
        PeriodCommand::Close { month, demand_as_measured } => {
            change(PeriodAction::Close, month, demand_as_measured.unwrap_or_default())
        }
        PeriodCommand::Reopen { month, reason } => change(PeriodAction::Reopen, month, reason),
    }
}

/// Makes a call and gives its output; notes go to the terminal.
pub(crate) async fn gather(folder: &Path, asked: Asked) -> Result<Vec<u8>, Failure> {
    ask(folder, asked, To::Caller).await
}

/// Sends a call to the server of this folder, or opens the folder where none runs; prints what comes back, or gives it.
async fn ask(folder: &Path, asked: Asked, to: To<'_>) -> Result<Vec<u8>, Failure> {
    let (events, mut received) = mpsc::channel(64);
    let printing = async {
        let mut screen = Screen::new(to);
        while let Some(event) = received.recv().await {
            screen.show(event)?;
        }
        screen.finish()
    };
    let working = async {
        match door::client::connect(folder).await {
            // The list is part of the program: it needs no folder.
            _ if matches!(asked.call, Call::ReportList) => perform::report::list(&events).await?,
            Some(server) => server.ask(&asked, &events).await?,
            None => {
                if !matches!(asked.call, Call::Apply { .. }) {
                    Node::must_exist(folder)?;
                }
                let node = Node::open(folder, Clock::live()).await?;
                let done = perform::perform(&node, &asked, &events).await;
                let closed = node.close().await;
                done.and(closed)?;
            }
        }
        drop(events);
        Ok::<(), Failure>(())
    };
    let (done, printed) = tokio::join!(working, printing);
    done.and(printed)
}

/// Where the output of a call goes.
#[derive(Clone, Copy)]
enum To<'a> {
    Terminal,
    File(&'a Path),
    Caller,
}

/// Where output goes, standard error and a progress bar.
struct Screen<'a> {
    to: To<'a>,
    bytes: Vec<u8>,
    bar: Option<ProgressBar>,
}

impl<'a> Screen<'a> {
    fn new(to: To<'a>) -> Screen<'a> {
        Screen { to, bytes: Vec::new(), bar: None }
    }

    fn show(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Output(bytes) => {
                self.clear_bar();
                if !matches!(self.to, To::Terminal) {
                    self.bytes.extend(bytes);
                } else if let Err(error) = std::io::stdout().write_all(&bytes)
                    && error.kind() != std::io::ErrorKind::BrokenPipe
                {
                    return Err(Failure(format!("cannot write to standard output: {error}")));
                }
            }
            Event::Note(text) => {
                self.clear_bar();
                eprintln!("{text}");
            }
            Event::Progress { done, total, unit } => {
                let bar = self.bar.get_or_insert_with(|| {
                    let style = ProgressStyle::with_template("{bar:40} {percent:>3}%  {msg}  {elapsed}");
                    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                });
                bar.set_position(done);
                bar.set_message(unit);
            }
        }
        Ok(())
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// The output that is for the caller.
    fn finish(mut self) -> Result<Vec<u8>, Failure> {
        self.clear_bar();
        if let To::File(path) = self.to
            && !self.bytes.is_empty()
        {
            std::fs::write(path, &self.bytes)
                .map_err(|error| Failure(format!("cannot write {}: {error}; name another --output", path.display())))?;
        }
        Ok(self.bytes)
    }
}
