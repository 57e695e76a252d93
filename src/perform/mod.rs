//! Carrying out a call on an open node. The same for a local folder and for a server's control socket.

mod adjustment;
pub(crate) mod apply;
mod audit;
mod balance;
mod control;
mod explain;
mod explain_line;
mod import;
mod meter;
mod moment;
mod money;
mod outage;
mod outage_file;
mod period;
pub(crate) mod probe;
mod quality;
mod readings;
pub(crate) mod report;
mod rerate;
pub(crate) mod simulate;
mod sql;
mod statement;
mod table;
pub(crate) mod tariff;
mod topup;
mod user;
mod why;

use engine::site_file::SiteText;

use crate::access::admit;
use crate::call::{Asked, Call, Events, Failure};
use crate::node::Node;

/// Carries out a call, if who makes it may do it; what it prints goes to `events`.
pub(crate) async fn perform(node: &Node, asked: &Asked, events: &Events) -> Result<(), Failure> {
    let who = admit(node, asked).await?;
    let actor = who.name.as_str();
    match &asked.call {
        Call::Apply { file, text, attached, dry_run, preview } => {
            let site = SiteText { text: text.clone(), attached: attached.clone() };
            apply::apply(node, actor, file, site, apply::Way { dry_run: *dry_run, preview: *preview }, events).await
        }
        Call::Meter { change, dry_run } => meter::meter(node, actor, change, *dry_run, events).await,
        Call::Import { file, options } => import::import(node, actor, file, options, events).await,
        Call::TopUp { account, amount, key, channel } => {
            topup::topup(node, actor, account, amount, key, channel, events).await
        }
        Call::Suspend(suspend) => money::suspend(node, actor, suspend, events).await,
        Call::Money(command) => money::perform(node, actor, command, events).await,
        Call::Control(command) => control::control(node, actor, command, events).await,
        Call::Why { name, format } => why::why(node, name, *format, events).await,
        Call::Balance { account, format } => balance::balance(node, account.as_deref(), *format, events).await,
        Call::Report { name, period, format } => report::report(node, name, period, format, events).await,
        Call::ReportList => report::list(events).await,
        Call::Simulate { asked, text, attached, format } => {
            let site = SiteText { text: text.clone(), attached: attached.clone() };
            simulate::simulate(node, site, asked, *format, events).await
        }
        Call::Rerate { asked, format } => rerate::rerate(node, actor, asked, *format, events).await,
        Call::Sql { statement, format } => sql::sql(node, statement, *format, events).await,
        Call::Audit => audit::audit(node, events).await,
        Call::Explain { account, day: Some(day), .. } => explain::explain(node, account, day, events).await,
        Call::Explain { account, day: None, statement, month, line } => {
            let which =
                explain_line::Which { statement: *statement, month: month.as_deref(), line: line.unwrap_or_default() };
            explain_line::explain_line(node, account, &which, events).await
        }
        Call::PeriodList { format } => period::list(node, *format, events).await,
        Call::PeriodChange { action, month, site, reason } => {
            period::change(node, actor, *action, month, site.as_deref(), reason, events).await
        }
        Call::AdjustmentList { all, lines, format } => adjustment::list(node, *all, *lines, *format, events).await,
        Call::AdjustmentDecide { id, approve, reason } => {
            adjustment::decide(node, actor, *id, *approve, reason, events).await
        }
        Call::ReadingCorrect { meter, at, value, reason } => {
            readings::correct(node, actor, meter, at, value, reason, events).await
        }
        Call::Outage { meter, from, to, withdraw, reason } => {
            let said = outage::Said { meter, from, to, withdraw: *withdraw, reason };
            outage::outage(node, actor, &said, events).await
        }
        Call::OutageImport { asked, text } => outage_file::import(node, actor, asked, text, events).await,
        Call::ReadingShow { meter, at, format } => readings::show(node, meter, at, *format, events).await,
        Call::ReadingList { meter, from, to, format } => {
            readings::list(node, meter, from.as_deref(), to.as_deref(), *format, events).await
        }
        Call::Statement { asked, format } => statement::statement(node, asked, *format, events).await,
        Call::Quality { filter, format } => quality::list(node, filter, *format, events).await,
        Call::QualityAck { issue, meter, from, reason } => {
            quality::acknowledge(node, actor, &quality::Words { issue, meter, from, reason }, events).await
        }
        Call::User(command) => user::user(node, &who, command, events).await,
        Call::Token(command) => user::token(node, &who, command, events).await,
        Call::SignIn { name, password } => user::sign_in(node, asked.secret.as_ref(), name, password, events).await,
        Call::SignOut => user::sign_out(node, &who, events).await,
        Call::WhoAmI => {
            user::who_am_i(&who, events).await;
            Ok(())
        }
    }
}

/// An account by its name, or a failure that helps to find it.
fn account<'a>(registry: &'a engine::registry::Registry, name: &str) -> Result<&'a engine::registry::Account, Failure> {
    registry.account_named(name).ok_or_else(|| {
        let near: Vec<&str> = registry
            .accounts()
            .map(|account| account.name.as_str())
            .filter(|known| known.to_lowercase().contains(&name.to_lowercase()))
            .take(5)
            .collect();
        let hint = if near.is_empty() {
            "`meterledger balance` lists all accounts".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        Failure(format!("there is no account {name:?}; {hint}"))
    })
}

/// A month such as `2026-03`.
fn month(text: &str) -> Result<kernel::time::LocalMonth, Failure> {
    let month = kernel::time::LocalMonth::parse(text);
    month.ok_or_else(|| Failure(format!("--month {text:?} is no month: write it as 2026-03")))
}

/// A local date such as `2026-03-01`.
fn date(text: &str, option: &str) -> Result<kernel::time::LocalDate, Failure> {
    let parse = || {
        let mut parts = text.splitn(3, '-');
        let year = parts.next()?.parse().ok()?;
        let month = parts.next()?.parse().ok()?;
        let day = parts.next()?.parse().ok()?;
        kernel::time::LocalDate::new(year, month, day)
    };
    parse().ok_or_else(|| Failure(format!("{option} {text:?} is no date: write it as 2026-03-01")))
}
