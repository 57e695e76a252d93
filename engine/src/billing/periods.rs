//! Periods: a site's local month is open, in review, closed (domain.md, 3). Closed in order, and only the last one can be
//! opened again.
//!
//! While a month is open, what comes late is charged at once, as a signed and linked difference. A close refuses as long as
//! something is known to be missing; it charges the components of the month ([`super::components`]), posts every line of it
//! and freezes its statements, in one transaction.
//! After it, what comes late is an adjustment ([`super::adjustments`]).

use std::sync::Arc;

use kernel::id::{ServicePointId, SiteId};
use kernel::money::Amount;
use kernel::time::{LocalMonth, MINUTE, Moment};
use sqlx::Row as _;

use super::component_facts::{self, AccountMonth, Charged};
use super::error::BillingError;
use super::settlement::Settlement;
use super::supply::Rerated;
use super::writer::Writer;
use crate::book::bulk;
use crate::book::chain::{self, Entry};
use crate::book::{BookError, Tx};
use crate::registry::{Registry, Site, load_from};

/// How many of one kind a refusal names.
const NAMED: usize = 10;

/// Why a period, an adjustment or a correction is not changed. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Every reason, each with its remedy.
    #[error("nothing was changed\n{}", .0.join("\n"))]
    Because(Vec<String>),
    /// Billing.
    #[error(transparent)]
    Billing(#[from] BillingError),
}

impl From<BookError> for Refused {
    fn from(error: BookError) -> Refused {
        Refused::Billing(error.into())
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Refused {
        BookError::from(error).into()
    }
}

/// One reason.
pub(super) fn because<T>(reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Because(vec![reason.into()]))
}

/// The state of a month, as the book names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodState {
    /// Open (again).
    Open,
    /// Somebody looks at it before it is closed.
    Review,
    /// Closed.
    Closed,
}

impl PeriodState {
    /// The name in the book.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PeriodState::Open => "open",
            PeriodState::Review => "review",
            PeriodState::Closed => "closed",
        }
    }
}

/// Who changes a period, when and why.
#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    state: PeriodState,
    actor: &'a str,
    reason: Option<&'a str>,
    at: Moment,
}

impl Writer {
    /// Marks a month as being looked at. Charges go on as in an open one. Gives what a close would be refused for.
    ///
    /// # Errors
    /// [`Refused`] where it is closed.
    pub(crate) async fn review_period(
        &mut self,
        sites: &[SiteId],
        month: LocalMonth,
        actor: &str,
    ) -> Result<Vec<String>, Refused> {
        let registry = Arc::clone(&self.registry);
        let at = self.clock.now();
        let mut tx = self.book.begin().await?;
        for site in sites.iter().filter_map(|id| registry.site(*id)) {
            if site.closed_through.is_some_and(|closed| month <= closed) {
                return because(format!("{}: {month} is closed; open it again with `period reopen`", site.name));
            }
            write(&mut tx, site, month, Change { state: PeriodState::Review, actor, reason: None, at }).await?;
        }
        tx.commit().await?;
        let mut missing = Vec::new();
        for site in sites {
            missing.extend(self.missing(*site, month, false).await?);
        }
        Ok(missing)
    }

    /// Closes a month of some sites; each refusal names what is missing. Gives the registry as it is then. Where demand is
    /// charged and readings do not tell all of it, somebody must say why it is charged `as_measured`.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn close_period(
        &mut self,
        sites: &[SiteId],
        month: LocalMonth,
        actor: &str,
        as_measured: Option<&str>,
    ) -> Result<Arc<Registry>, Refused> {
        if as_measured.is_some_and(|reason| reason.trim().is_empty()) {
            return because("demand is not charged as measured without a reason; it is kept in the audit log");
        }
        let mut reasons = Vec::new();
        for site in sites {
            reasons.extend(self.missing(*site, month, as_measured.is_some()).await?);
        }
        if !reasons.is_empty() {
            return Err(Refused::Because(reasons));
        }
        for id in sites {
            let mut tx = self.book.begin().await?;
            // From here on memory runs ahead of the transaction: if it fails, billing stops and recovers from the book.
            self.closing = Some((*id, month));
            let written = self.close_one(&mut tx, *id, month, (actor, as_measured)).await;
            let committed = match written {
                Ok(settlement) => tx.commit().await.map(|()| settlement).map_err(BillingError::from),
                Err(error) => Err(error),
            };
            match committed {
                Ok(mut settlement) => self.settled_through(&mut settlement),
                Err(error) => {
                    self.broken = Some(error.to_string());
                    return Err(error.into());
                }
            }
        }
        Ok(Arc::clone(&self.registry))
    }

    async fn close_one(
        &mut self,
        tx: &mut Tx,
        id: SiteId,
        month: LocalMonth,
        (actor, reason): (&str, Option<&str>),
    ) -> Result<Settlement, BillingError> {
        let at = self.clock.now();
        // It posts every line of the month, and charges what is worked out for the whole of it.
        self.recorded = Some(Vec::new());
        let prepared = self.prepare().await;
        let recorded = self.recorded.take().unwrap_or_default();
        let mut settlement = prepared?;
        // A month's demand and taxes come as one debit: it counts for cut-off after its own notice time, as an adjustment's.
        let debited = recorded.iter().flat_map(|point| &point.difference).filter(|(_, sum)| sum.amount > Amount::ZERO);
        let debited: Rerated = debited.map(|(key, _)| (key.account, at)).collect();
        self.rerated.extend(debited.iter().map(|(account, at)| (*account, *at)));
        settlement.rerated.extend(debited);
        self.write_in(tx, &settlement).await?;
        if let Some(site) = self.registry.site(id) {
            write(tx, site, month, Change { state: PeriodState::Closed, actor, reason, at }).await?;
        }
        self.freeze(tx, id, month, at).await?;
        self.take_registry(Arc::new(load_from(tx.conn()).await?), at);
        Ok(settlement)
    }

    /// Opens the last closed month again. Its statements are withdrawn; the audit log keeps who did so, and why.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn reopen_period(
        &mut self,
        sites: &[SiteId],
        month: LocalMonth,
        actor: &str,
        reason: &str,
    ) -> Result<Arc<Registry>, Refused> {
        if reason.trim().is_empty() {
            return because("a period is not opened again without a reason: write --reason \"...\"");
        }
        let (registry, at) = (Arc::clone(&self.registry), self.clock.now());
        let mut tx = self.book.begin().await?;
        for site in sites.iter().filter_map(|id| registry.site(*id)) {
            match site.closed_through {
                Some(closed) if closed == month => {}
                Some(closed) if month < closed => {
                    return because(format!(
                        "{}: {month} lies before {closed}, which is closed too; open {closed} again first",
                        site.name
                    ));
                }
                _ => return because(format!("{}: {month} is not closed", site.name)),
            }
            write(&mut tx, site, month, Change { state: PeriodState::Open, actor, reason: Some(reason), at }).await?;
            super::statements::withdraw(&mut tx, site.id, month, at).await?;
        }
        let registry = Arc::new(load_from(tx.conn()).await?);
        self.take_registry(registry, at);
        // What was charged because the month was closed is taken back in the same transaction.
        sites.iter().for_each(|site| self.mark_site(*site, month));
        self.settle_change(tx).await?;
        Ok(Arc::clone(&self.registry))
    }

    fn take_registry(&mut self, registry: Arc<Registry>, at: Moment) {
        self.pricing.follow(&registry);
        self.charging.follow(&registry);
        self.registry = registry;
        self.registry_changed(at);
    }

    /// Everything that keeps a month from being closed.
    async fn missing(&self, id: SiteId, month: LocalMonth, as_measured: bool) -> Result<Vec<String>, Refused> {
        let Some(site) = self.registry.site(id) else { return Ok(Vec::new()) };
        let name = &site.name;
        if site.closed_through.is_some_and(|closed| month <= closed) {
            return Ok(vec![format!("{name}: {month} is closed already")]);
        }
        let Some((start, end)) = site.span(month) else {
            return Ok(vec![format!("{name}: {month} lies outside the table of days; check the month")]);
        };
        if self.clock.now() < end {
            return Ok(vec![format!("{name}: {month} has not ended; close it after {end}")]);
        }
        let mut reasons = Vec::new();
        let owed = self.owed_before(site, month);
        if let Some(earlier) = self.open_before(site, month).await?.into_iter().chain(owed).min() {
            reasons.push(format!("{name}: {earlier} is still open; months are closed in order: close it first"));
        }
        let (unread, doubtful) = self.missing_reads(site, start, end);
        if !unread.is_empty() {
            reasons.push(format!(
                "{name}: not read beyond the end of {month} ({end}): {}; read or import them, or end their installation or \
                 contract in the site file",
                named(&unread)
            ));
        }
        if !doubtful.is_empty() {
            reasons.push(format!(
                "{name}: suspended readings or exceptions are open at {}; correct the readings (`readings correct`), or open \
                 a new installation in the site file",
                named(&doubtful)
            ));
        }
        let unclear = if as_measured { Vec::new() } else { self.unclear_demand(site, month).await? };
        if !unclear.is_empty() {
            reasons.push(format!(
                "{name}: demand is charged, and readings do not tell all of it: {}; import or correct the readings, or close \
                 it with --demand-as-measured \"WHY\"",
                named(&unclear)
            ));
        }
        let waiting: Vec<String> = self
            .adjustments
            .pending
            .values()
            .filter(|waits| waits.month == month)
            .filter(|waits| self.registry.account(waits.account).is_some_and(|account| account.site == id))
            .map(|waits| waits.id.to_string())
            .collect();
        if !waiting.is_empty() {
            reasons.push(format!(
                "{name}: adjustments of {month} wait: {}; approve or reject them (`adjustment list`)",
                named(&waiting)
            ));
        }
        Ok(reasons)
    }

    /// The service points at which demand is charged for a month and not known for one of its windows or longer.
    async fn unclear_demand(&self, site: &Site, month: LocalMonth) -> Result<Vec<String>, BillingError> {
        let mut unclear = Vec::new();
        let here = |id: &&ServicePointId| self.registry.service_point(**id).is_some_and(|point| point.site == site.id);
        for id in self.charging.points().iter().filter(here).filter(|id| self.measures_demand(**id)) {
            for account in self.payers(*id) {
                unclear.extend(self.unclear_demand_of(AccountMonth { point: *id, account, month }, None).await?);
            }
        }
        Ok(unclear)
    }

    /// What is not known of the demand that an account is charged by for a month, where that is one of its windows or more.
    /// `until` is for an account that is to end then.
    pub(super) async fn unclear_demand_of(
        &self,
        of: AccountMonth,
        until: Option<Moment>,
    ) -> Result<Option<String>, BillingError> {
        let (Some(point), Some(terms)) = (self.registry.service_point(of.point), self.registry.terms(of.point)) else {
            return Ok(None);
        };
        let segments = component_facts::segments(&self.registry, terms, &Charged::new(), of).unwrap_or_default();
        let windows = component_facts::windows_of(&segments);
        let Some(shortest) = windows.iter().map(|window| i64::from(window.minutes) * MINUTE).min() else {
            return Ok(None);
        };
        let measured = self.maxima(of, &windows, until).await?;
        let owner = self.registry.account(of.account).map_or("?", |account| account.name.as_str());
        if let Some(fault) = measured.fault {
            return Ok(Some(format!("{} of {owner} (readings contradict each other: {fault:?})", point.name)));
        }
        let minutes = measured.unknown / MINUTE;
        let hours = format!("{}:{:02} h", minutes / 60, minutes % 60);
        Ok((measured.unknown >= shortest).then(|| {
            format!("{} of {owner} ({hours} without readings, or with more than 2 h between them)", point.name)
        }))
    }

    /// The serial numbers of a site's meters that are not read up to `end`, and the names of its service points in doubt.
    fn missing_reads(&self, site: &Site, start: Moment, end: Moment) -> (Vec<String>, Vec<String>) {
        let (mut unread, mut doubtful) = (Vec::new(), Vec::new());
        for point in self.registry.service_points().filter(|point| point.site == site.id) {
            let paid = |contract: &crate::registry::Contract| {
                contract.valid_from < end && contract.valid_to.is_none_or(|to| to > start)
            };
            let Some(runtime) = self.pricing.points.get(&point.id) else { continue };
            let Some(last) = point.contracts().filter(paid).map(|contract| contract.valid_to).max_by_key(latest) else {
                continue;
            };
            let until = last.map_or(end, |to| to.min(end));
            for epoch in point.epochs() {
                let stands = epoch.valid_from < until && epoch.valid_to.is_none_or(|to| to >= until);
                let state = runtime.state.epochs.iter().find(|known| known.epoch == epoch.id);
                let read = state.and_then(|known| known.register.measured_until());
                let closed = epoch.closing_count.is_some() && epoch.valid_to.is_some_and(|to| to <= self.clock.now());
                if !stands || closed || read.is_some_and(|read| read >= until) {
                    continue;
                }
                if state.is_some_and(|known| known.register.in_doubt()) {
                    doubtful.push(point.name.to_string());
                } else {
                    unread.extend(self.registry.meter(epoch.meter).map(|meter| meter.serial.to_string()));
                }
            }
        }
        (unread, doubtful)
    }

    /// The first month before `month` that is not closed and in which a contract owes a component whether or not anything is
    /// used: a close that left it out would never charge its minimum.
    fn owed_before(&self, site: &Site, month: LocalMonth) -> Option<LocalMonth> {
        let open = site.closed_through.map_or(LocalMonth(i32::MIN), |closed| LocalMonth(closed.0 + 1));
        let points = self.registry.service_points().filter(|point| point.site == site.id);
        let contracts = points.filter_map(|point| self.registry.terms(point.id)).flat_map(|terms| &terms.contracts);
        let first = contracts.flat_map(|contract| {
            contract.versions.iter().enumerate().filter_map(|(place, version)| {
                let next = contract.versions.get(place + 1).map(|next| next.valid_from);
                let to = next.into_iter().chain(contract.valid_to).min();
                let from = version.valid_from.max(contract.valid_from);
                let owes = version.components.iter().any(|component| component.charge.is_owed_unused());
                // A contract may be older than the table of days.
                let begins = site.days.at(from).or(site.days.all().first())?.date.month().max(open);
                // It may have ended within months that are closed.
                let (start, _) = site.span(begins).filter(|_| owes)?;
                to.is_none_or(|to| start < to && from < to).then_some(begins)
            })
        });
        first.min().filter(|first| *first < month)
    }

    /// The first month before `month` that has charges and is not closed.
    async fn open_before(&self, site: &Site, month: LocalMonth) -> Result<Option<LocalMonth>, Refused> {
        let from = site.closed_through.map_or(i64::from(i32::MIN), |closed| first_day(LocalMonth(closed.0 + 1)));
        let sql = "SELECT MIN(t.local_date) FROM transfers t JOIN accounts a ON a.id = t.account_id \
                   WHERE a.site_id = $1 AND t.kind IN ('usage', 'usage_difference') AND t.local_date >= $2 \
                   AND t.local_date < $3";
        let query = sqlx::query(sql).bind(i64::from(site.id.0)).bind(from).bind(first_day(month));
        let posted: Option<i64> = query.fetch_one(self.book.reader()).await?.try_get(0)?;
        let sql = "SELECT MIN(l.local_date) FROM usage_lines l JOIN accounts a ON a.id = l.account_id \
                   WHERE a.site_id = $1 AND l.transfer_id = 0 AND l.local_date >= $2 AND l.local_date < $3";
        let query = sqlx::query(sql).bind(i64::from(site.id.0)).bind(from).bind(first_day(month));
        let open: Option<i64> = query.fetch_one(self.book.reader()).await?.try_get(0)?;
        let first = posted.into_iter().chain(open).min();
        Ok(first.and_then(|date| i32::try_from(date).ok()).map(|date| kernel::time::LocalDate(date).month()))
    }
}

/// An end that never comes is the latest.
fn latest(end: &Option<Moment>) -> Moment {
    end.unwrap_or(Moment(i64::MAX))
}

fn first_day(month: LocalMonth) -> i64 {
    i64::from(month.first_day().0)
}

pub(super) fn named(all: &[String]) -> String {
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ") + &more
}

async fn write(tx: &mut Tx, site: &Site, month: LocalMonth, change: Change<'_>) -> Result<(), BookError> {
    let Change { state, actor, reason, at } = change;
    let row = [
        site.id.0.into(),
        i64::from(month.0).into(),
        state.name().into(),
        at.0.into(),
        actor.into(),
        reason.map(str::to_owned).into(),
    ];
    let head = "INSERT INTO periods (site_id, local_month, state, changed_at, actor, reason) VALUES";
    let tail = "ON CONFLICT (site_id, local_month) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at, \
                actor = excluded.actor, reason = excluded.reason";
    bulk::insert(tx, head, tail, [row]).await?;
    let detail = serde_json::json!({ "month": month.to_string(), "state": state.name(), "reason": reason });
    let entry = Entry {
        at,
        actor: actor.to_owned(),
        kind: "period".to_owned(),
        subject: format!("site:{}", site.name),
        detail: detail.to_string(),
    };
    chain::append(tx, entry).await
}
