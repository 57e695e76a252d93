//! Keeping an account's power on, whatever it owes, until a stated moment (domain.md, 7: "keep-power flag, with reason, who,
//! until").

use std::collections::BTreeMap;

use kernel::id::AccountId;
use kernel::time::{DAY, Moment};
use sqlx::Row as _;

use super::periods::{Refused, because};
use super::writer::Writer;
use crate::book::chain::{self, Entry};
use crate::book::{Book, BookError};
use crate::registry::Registry;
use crate::site_days;
use crate::site_file::words::show_moment;

/// For how long power is kept at most: what lasts longer belongs into the site file (`protected`).
const LONGEST: i64 = 366 * DAY;

/// An account whose power stays on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Until then; earlier where somebody ended it.
    pub until: Moment,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub actor: String,
}

/// The last word on each account, also one that is over.
pub type AllKept = BTreeMap<AccountId, Kept>;

/// An account's power is to stay on, or no longer.
#[derive(Clone, Debug)]
pub struct KeepPower {
    /// Whose.
    pub account: AccountId,
    /// Until when; none ends it now.
    pub until: Option<Moment>,
    /// Why; it is kept for ever.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

/// Why an account may not be cut now, in words: what its contract says, or that somebody keeps its power on.
pub(super) fn protection(
    registry: &Registry,
    kept: &AllKept,
    account: &crate::registry::Account,
    now: Moment,
) -> Option<String> {
    let keeps = || {
        let Kept { until, reason, actor } = kept.get(&account.id).filter(|kept| kept.until > now)?;
        Some(format!("power is kept on until {} by {actor}: {reason}", local(registry, account, *until)))
    };
    account.protected.clone().or_else(keeps)
}

fn local(registry: &Registry, account: &crate::registry::Account, moment: Moment) -> String {
    let zone = registry.site(account.site).and_then(|site| site_days::zone(&site.zone).ok());
    zone.map_or_else(|| moment.to_string(), |zone| show_moment(moment, &zone))
}

/// The last word on each account.
pub(super) async fn load(book: &Book) -> Result<AllKept, BookError> {
    let sql = "SELECT account_id, CASE WHEN ended_at < until_time THEN ended_at ELSE until_time END, reason, actor \
               FROM keep_power ORDER BY id";
    let mut kept = AllKept::new();
    for row in sqlx::query(sql).fetch_all(book.reader()).await? {
        let account = AccountId(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX));
        let (until, reason, actor) = (Moment(row.try_get(1)?), row.try_get(2)?, row.try_get(3)?);
        kept.insert(account, Kept { until, reason, actor });
    }
    Ok(kept)
}

impl Writer {
    /// Keeps an account's power on until a moment, in the place of what was said before; or no longer. Gives the meters that
    /// are open by hand all the same.
    pub(crate) async fn keep_power(&mut self, asked: KeepPower) -> Result<Vec<String>, Refused> {
        let now = self.clock.now();
        let KeepPower { account, until, reason, actor } = asked;
        let Some(known) = self.registry.account(account).cloned() else {
            return because(format!("there is no account {account}"));
        };
        let name = &known.name;
        if reason.trim().is_empty() {
            return because(format!(
                "nobody's word changes what may be cut at {name} without a reason: write --reason \"...\""
            ));
        }
        let standing = self.kept.get(&account).is_some_and(|kept| kept.until > now);
        match until {
            None if !standing => {
                return because(format!("nobody keeps the power of {name} on now: there is nothing to end"));
            }
            Some(until) if until <= now => {
                return because(format!(
                    "--until {}: that is over; name a moment to come",
                    local(&self.registry, &known, until)
                ));
            }
            Some(until) if until.since(now) > LONGEST => {
                return because(format!(
                    "--until {}: a person's word keeps power on for 366 days at most; what lasts longer belongs into the site \
                     file: `protected = \"why\"` in [[account]] {name}",
                    local(&self.registry, &known, until)
                ));
            }
            _ => {}
        }
        let mut tx = self.book.begin().await?;
        sqlx::query("UPDATE keep_power SET ended_at = $1, ended_by = $2 WHERE account_id = $3 AND ended_at IS NULL AND until_time > $1")
            .bind(now.0)
            .bind(&actor)
            .bind(i64::from(account.0))
            .execute(tx.conn())
            .await?;
        let detail = match until {
            Some(until) => {
                let last = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM keep_power").fetch_one(tx.conn()).await?;
                let sql = "INSERT INTO keep_power (id, account_id, from_time, until_time, reason, actor) \
                           VALUES ($1, $2, $3, $4, $5, $6)";
                sqlx::query(sql)
                    .bind(last.try_get::<i64, _>(0)? + 1)
                    .bind(i64::from(account.0))
                    .bind(now.0)
                    .bind(until.0)
                    .bind(&reason)
                    .bind(&actor)
                    .execute(tx.conn())
                    .await?;
                format!("power is kept on until {until}: {reason}")
            }
            None => format!("power is no longer kept on: {reason}"),
        };
        let subject = format!("account:{name}");
        chain::append(&mut tx, Entry { at: now, actor: actor.clone(), kind: "supply".to_owned(), subject, detail })
            .await?;
        tx.commit().await?;
        self.kept.insert(account, Kept { until: until.unwrap_or(now), reason, actor });
        self.registry_changed(now);
        self.settle_news().await?;
        let control = self.control.as_ref().map(|supply| &supply.control);
        Ok(control.map_or_else(Vec::new, |control| control.opened_by_hand(account)))
    }
}
