//! The one writer of the book: frames and commands in, settled transactions out.
//!
//! Frames are priced in memory as they come. A settlement writes what that changed in one transaction of the book, with
//! the number of the last frame that it includes; a crash in between costs nothing, because the log holds the frames.
//! Everything else that pricing reads changes only here, after the earlier frames are settled.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kernel::batch::Payload;
use kernel::id::{AccountId, Seq, ServicePointId, SiteId};
use kernel::money::Amount;
use kernel::point::PointState;
use kernel::reading::Verdict;
use kernel::time::{DAY, LocalDate, LocalMonth, Moment};
use sqlx::Row as _;
use wal::clock::Clock;

use super::adjustments::{AdjustmentWrites, Adjustments, Decision, Origin, Place, SetApart};
use super::anew::at_once;
use super::charging::Charging;
use super::corrections::Corrections;
use super::error::BillingError;
use super::hot::Hot;
use super::late::{Anew, Outcome, Overrides, Task, resolve};
use super::names::ComponentName;
use super::point::{PointRuntime, Setup, waits};
use super::posting::{Numbers, Posting, UsageTransfer, post};
use super::pricing::Pricing;
use super::rerate::{Divided, Start};
use super::settlement::Settlement;
use super::supply::Rerated;
use crate::book::closings;
use crate::book::holds::{self, Hold};
use crate::book::ledger::{self, LedgerAccounts, LedgerName, Transfer, TransferKind};
use crate::book::{Book, BookError, Tx};
use crate::lake::flush::LakeFile;
use crate::registry::{Registry, Site};

/// Service points whose stored readings are held in memory together when they are rated anew
/// (64 x 5 years of hourly readings x 72 bytes = 200 MB).
pub(super) const TASKS_AT_ONCE: usize = 64;
/// How long a settlement that failed waits before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The writer's whole state.
#[derive(Debug)]
pub struct Writer {
    pub(super) book: Book,
    pub(super) clock: Clock,
    pub(super) lake: PathBuf,
    pub(super) log: PathBuf,
    pub(super) disk: Arc<dyn wal::Disk>,
    pub(crate) hot: Arc<Hot>,
    pub(super) registry: Arc<Registry>,
    pub(super) pricing: Pricing,
    pub(super) files: Vec<LakeFile>,
    pub(super) overrides: Overrides,
    pub(super) numbers: Numbers,
    pub(super) ledger: LedgerAccounts,
    /// The last frame that was priced, and the last that the book includes.
    pub(super) priced: Seq,
    pub(super) settled: Seq,
    /// Rows priced since the last settlement.
    pub(super) unsettled_rows: usize,
    /// Verdicts of hot rows that the book does not know yet.
    pub(super) hot_verdicts: BTreeMap<(u64, usize), Verdict>,
    /// Verdicts of filed rows that the book does not know yet.
    pub(super) filed: Overrides,
    /// Intervals of service points rated anew that are not divided evenly, and from where on the book's are stale.
    pub(super) divided: BTreeMap<ServicePointId, (Moment, Vec<Divided>)>,
    /// Frames up to here are being written to the lake: verdicts that change meanwhile are kept as overrides too.
    pub(super) flushing_through: u64,
    /// The loop that cuts and reconnects, where this process runs one.
    pub(super) control: Option<super::supply::Supply>,
    /// When a change of the registry last rated an account's charges anew: nobody is cut on it at once.
    pub(super) rerated: super::supply::Rerated,
    /// Whose power stays on whatever they owe.
    pub(super) kept: super::keep::AllKept,
    /// What people said that meters said.
    pub(super) corrections: Arc<Corrections>,
    /// Verdicts of corrections that the book does not know yet.
    pub(super) corrected: BTreeMap<i64, Verdict>,
    /// What waits for approval.
    pub(super) adjustments: Adjustments,
    /// Why the next settlement charges closed months differently, where it is not for late readings.
    pub(super) origin: Option<Origin>,
    /// The site and month that the next settlement closes: it posts all their lines.
    pub(super) closing: Option<(SiteId, LocalMonth)>,
    /// Which charges beside energy must be worked out anew.
    pub(super) charging: Charging,
    /// What settlements charge beside energy, where somebody wants to be told.
    pub(super) recorded: Option<Vec<crate::rating::compare::PointDifference>>,
    /// What the next settlement posts because a person approved it.
    pub(super) approval: Option<(i64, Decision)>,
    /// Installations that ended by then are billed up to their closing counts in what the last settlement wrote.
    pub(super) closed_until: Moment,
    /// Why memory no longer agrees with the book: billing must stop and recover.
    pub(super) broken: Option<String>,
    /// Holds that stand, by number.
    pub(super) holds: BTreeMap<i64, Hold>,
    /// What accounts that were closed by command owe.
    pub(super) closed: BTreeMap<AccountId, Amount>,
    /// The last day for which each account has a usage transfer: later ones cannot be differences.
    pub(super) posted_until: BTreeMap<AccountId, LocalDate>,
}

/// Where adjustments are posted: at each account's site, on the day of now.
struct Sites<'a> {
    registry: &'a Registry,
    now: Moment,
}

impl Sites<'_> {
    fn site(&self, account: AccountId) -> Option<&Site> {
        self.registry.site(self.registry.account(account)?.site)
    }
}

impl Place for Sites<'_> {
    fn today(&self, account: AccountId) -> LocalDate {
        let day = self.site(account).and_then(|site| site.days.at(self.now));
        let utc = || LocalDate(i32::try_from(self.now.0.div_euclid(DAY)).unwrap_or(i32::MAX));
        day.map_or_else(utc, |day| day.date)
    }

    fn limit(&self, account: AccountId) -> Amount {
        // The limit is money: what is adjusted in units is for a person.
        let in_units = self.registry.account(account).is_some_and(|account| account.unit.is_some());
        self.site(account).filter(|_| !in_units).map_or(Amount::ZERO, |site| site.adjustment_limit)
    }
}

impl Writer {
    /// Prices a frame in memory.
    pub fn price(&mut self, seq: Seq, payload: &Payload) {
        if let Payload::Readings(batch) = payload {
            let verdicts = self.pricing.price(seq, batch);
            if let Some(supply) = &mut self.control {
                supply.hear_readings(batch, &verdicts, self.clock.now());
            }
            for (row, verdict) in verdicts.iter().enumerate() {
                if *verdict != Verdict::Accepted {
                    self.hot_verdicts.insert((seq.0, row), *verdict);
                }
            }
            self.hot.set_verdicts(seq, verdicts.into_iter().enumerate());
            self.unsettled_rows += batch.len();
        }
        if let (Payload::Observations(observations), Some(supply)) = (payload, &mut self.control) {
            supply.hear_observations(observations, self.clock.now());
        }
        self.priced = seq;
    }

    /// Settles: resolves what came late, posts complete days, and writes everything in one transaction. Tries again
    /// while the book cannot be written; pricing waits meanwhile, and with it the doors.
    ///
    /// # Errors
    /// [`BillingError`] when the book or the lake is damaged.
    pub async fn settle(&mut self) -> Result<(), BillingError> {
        let mut settlement = self.prepare().await?;
        if settlement.is_empty(self.settled) {
            return Ok(());
        }
        loop {
            match self.write(&settlement).await {
                Ok(()) => break,
                Err(error @ (BookError::Full | BookError::Busy | BookError::ReadOnly)) => {
                    if let Some(supply) = &mut self.control {
                        supply.doubt(Some(error.to_string()));
                    }
                    tracing::error!(%error, "the settlement waits; readings stay safe in the log");
                    self.ledger = LedgerAccounts::default();
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.settled_through(&mut settlement);
        Ok(())
    }

    /// Settles within a transaction that the caller goes on with; to be followed by [`Writer::settled_through`] once it
    /// is committed.
    pub(super) async fn prepare(&mut self) -> Result<Settlement, BillingError> {
        let now = self.clock.now();
        self.follow_dates(now);
        self.closed_until = now;
        self.pricing.close(now);
        // First what the stream made of earlier readings; what is rated anew below knows more.
        let mut overrides = self.apply_changed_verdicts();
        self.overrides.extend(overrides.iter().map(|(key, verdict)| (*key, *verdict)));
        self.resolve_late(now).await?;
        overrides.append(&mut self.filed);
        overrides.extend(self.apply_changed_verdicts());
        self.overrides.extend(overrides.iter().map(|(key, verdict)| (*key, *verdict)));
        let leapt: Rerated = self.pricing.accrue(now).into_iter().map(|account| (account, now)).collect();
        self.charge_components().await?;
        let (apart, stored) = self.pricing.set_apart_closed();
        let (points, closing) = (&mut self.pricing.points, self.closing.take());
        let mut posting = post(points, &self.registry, closing, now, &mut self.numbers);
        for transfer in &posting.transfers {
            let wallet = self.pricing.wallets.entry(transfer.account).or_default();
            wallet.posted -= transfer.amount;
            wallet.unposted -= transfer.amount;
        }
        posting.removed.extend(stored);
        let (adjustments, mut rerated) = self.adjust(apart, now, &mut posting);
        if !leapt.is_empty() {
            self.rerated.extend(leapt.iter().map(|(account, at)| (*account, *at)));
            self.registry_changed(now);
            rerated.extend(leapt);
        }
        let mut settlement =
            Settlement { applied: self.priced.0, posting, adjustments, rerated, ..Settlement::default() };
        for point in self.pricing.points.iter_mut().filter(|point| point.changed) {
            let id = point.id;
            settlement.states.push((id, point.state.encode()));
            if let Some(news) = &point.news {
                settlement.stale_checkpoints.extend(news.stale_from.map(|month| (id, month)));
                let months = news.checkpoints.iter().map(|(month, state)| (id, *month, state.encode()));
                settlement.checkpoints.extend(months);
            }
            let lines = point.lines.all().iter().filter(|line| line.changed);
            settlement.open_lines.extend(lines.map(|line| (id, line.key, line.sum())));
        }
        settlement.accrued = self.pricing.accruals.take_changed();
        settlement.divided = std::mem::take(&mut self.divided);
        settlement.hot_verdicts = std::mem::take(&mut self.hot_verdicts);
        settlement.corrected = std::mem::take(&mut self.corrected);
        for ((seq, row), verdict) in &settlement.hot_verdicts {
            // A filing that did not come to its end has left overrides of rows that are still hot.
            let left = !self.overrides.is_empty() && !matches!(verdict, Verdict::Duplicate | Verdict::Future);
            if *seq <= self.flushing_through || left {
                self.hot.with_row(Seq(*seq), *row, |meter, time, value| {
                    if *seq <= self.flushing_through || self.overrides.contains_key(&(meter, time, value)) {
                        overrides.insert((meter, time, value), *verdict);
                    }
                });
            }
        }
        settlement.expired = self.expire_holds(now);
        settlement.debts = self.settle_debts();
        if let Some(supply) = &mut self.control {
            settlement.control = supply.tick(now, &mut self.pricing, &self.clock);
        }
        self.overrides.extend(overrides.iter().map(|(key, verdict)| (*key, *verdict)));
        settlement.overrides = overrides;
        Ok(settlement)
    }

    pub(super) async fn write(&mut self, settlement: &Settlement) -> Result<(), BookError> {
        let mut tx = self.book.begin().await?;
        self.write_in(&mut tx, settlement).await?;
        tx.commit().await
    }

    pub(super) async fn write_in(&mut self, tx: &mut Tx, settlement: &Settlement) -> Result<(), BookError> {
        settlement.write(tx).await?;
        settlement.adjustments.write(tx).await?;
        super::supply::write_rerated(tx, &settlement.rerated).await?;
        self.book_usage(tx, &settlement.posting.transfers).await?;
        let now = self.clock.now();
        holds::expire(tx, &settlement.expired, now).await?;
        closings::move_debts(tx, &mut self.ledger, &settlement.debts, now).await?;
        super::supply::write(tx, &settlement.control).await
    }

    /// To be called once a settlement is committed.
    pub(super) fn settled_through(&mut self, settlement: &mut Settlement) {
        self.settled = Seq(settlement.applied);
        if let Some(supply) = &mut self.control {
            supply.doubt(None);
            supply.release(&mut settlement.control);
        }
        self.unsettled_rows = 0;
        for transfer in &settlement.posting.transfers {
            let until = self.posted_until.entry(transfer.account).or_insert(transfer.date);
            *until = transfer.date.max(*until);
        }
        self.pricing.points.iter_mut().filter(|point| point.changed).for_each(PointRuntime::settled);
    }

    /// Books usage transfers, each a difference linked to the first where its day was posted before.
    async fn book_usage(&mut self, tx: &mut Tx, usage: &[UsageTransfer]) -> Result<(), BookError> {
        if usage.is_empty() {
            return Ok(());
        }
        let mut earlier: BTreeMap<(AccountId, i64, i64), i64> = BTreeMap::new();
        let mut oldest: BTreeMap<AccountId, i64> = BTreeMap::new();
        for transfer in usage {
            let date = i64::from(transfer.date.0);
            if transfer.adjustment.is_some()
                || self.posted_until.get(&transfer.account).is_some_and(|until| transfer.date <= *until)
            {
                let first = oldest.entry(transfer.account).or_insert(date);
                *first = (*first).min(date);
            }
        }
        for (account, since) in oldest {
            let sql = "SELECT local_date, debit_id, credit_id, id FROM transfers \
                       WHERE account_id = $1 AND kind = 'usage' AND local_date >= $2";
            let query = sqlx::query(sql).bind(i64::from(account.0)).bind(since);
            for row in query.fetch_all(tx.conn()).await? {
                let (date, id): (i64, i64) = (row.try_get(0)?, row.try_get(3)?);
                for side in [1, 2] {
                    earlier.insert((account, date, row.try_get(side)?), id);
                }
            }
        }
        let booked_at = self.clock.now();
        let mut transfers = Vec::with_capacity(usage.len());
        for item in usage {
            let Some(account) = self.registry.account(item.account) else { continue };
            let currency = self.registry.commodity_of(account.id);
            let wallet = LedgerName::Wallet(item.account, account.name.to_string());
            let wallet = self.ledger.get(tx, &wallet, currency).await?;
            let revenue = self.ledger.get(tx, &self.earned_by(item), currency).await?;
            let linked = earlier.get(&(item.account, i64::from(item.date.0), revenue.id())).copied();
            // Usage debits the wallet; what turns out to be less is given back to it.
            let charged = item.amount > Amount::ZERO;
            let (debit, credit) = if charged { (wallet, revenue) } else { (revenue, wallet) };
            let (kind, what) = match (item.adjustment, linked) {
                (Some(id), _) => (TransferKind::Adjustment, format!("adjustment {id} of ")),
                (None, Some(_)) => (TransferKind::UsageDifference, String::new()),
                (None, None) => (TransferKind::Usage, String::new()),
            };
            transfers.push(Transfer {
                kind,
                debit,
                credit,
                amount: if charged { item.amount } else { -item.amount },
                account: item.account,
                local_date: Some(item.date),
                linked,
                booked_at,
                effective_at: item.effective_at,
                memo: match item.component {
                    ComponentName::ENERGY => format!("{what}{} of {}", item.utility.name(), item.date),
                    other => format!("{what}{}, {} of {}", item.utility.name(), other.as_str(), item.date),
                },
            });
        }
        let written = ledger::insert(tx, &transfers).await?;
        debug_assert_eq!(Some(written.start), usage.first().map(|first| first.id), "transfers are numbered here alone");
        Ok(())
    }

    /// The ledger account against which a charge stands: revenue by component, or a tax that is owed on.
    fn earned_by(&self, item: &UsageTransfer) -> LedgerName {
        let in_units = self.registry.account(item.account).is_some_and(|account| account.unit.is_some());
        match item.component {
            ComponentName::ENERGY if in_units => LedgerName::Delivered(item.utility),
            ComponentName::ENERGY => LedgerName::Revenue(item.utility),
            other if self.registry.is_tax(other.as_str()) => LedgerName::Tax(other.as_str().to_owned()),
            other => LedgerName::RevenueOf(item.utility, other.as_str().to_owned()),
        }
    }

    /// Proposes what closed months cost differently, and posts what was approved.
    fn adjust(&mut self, apart: SetApart, now: Moment, posting: &mut Posting) -> (AdjustmentWrites, Rerated) {
        let origin = self.origin.take().unwrap_or_default();
        let place = Sites { registry: &self.registry, now };
        let usage = posting.transfers.len();
        let mut writes = self.adjustments.propose(apart, &origin, &place, now, &mut self.numbers, posting);
        if let Some((id, decision)) = self.approval.take() {
            self.adjustments.approve(id, decision, &place, &mut self.numbers, posting, &mut writes);
        }
        for transfer in &posting.transfers[usage..] {
            self.pricing.wallets.entry(transfer.account).or_default().posted -= transfer.amount;
            self.pricing.touched.insert(transfer.account);
        }
        let held: BTreeSet<AccountId> = self.adjustments.waiting().collect();
        self.pricing.touched.extend(held.symmetric_difference(&self.pricing.held));
        self.pricing.held = held;
        let rerated: Rerated = writes.debited().map(|account| (account, now)).collect();
        if !rerated.is_empty() {
            self.rerated.extend(rerated.iter().map(|(account, at)| (*account, *at)));
            self.registry_changed(now);
        }
        (writes, rerated)
    }

    fn judge_correction(&mut self, id: i64, verdict: Verdict) {
        let corrections = Arc::make_mut(&mut self.corrections);
        if let Some(correction) = corrections.values_mut().find(|correction| correction.id == id) {
            correction.verdict = verdict;
            self.corrected.insert(id, verdict);
        }
    }

    /// Verdicts that later readings of the stream changed: found among the hot rows, or else filed.
    fn apply_changed_verdicts(&mut self) -> Overrides {
        let mut changed = BTreeMap::new();
        for news in self.pricing.points.iter_mut().filter_map(|point| point.news.as_mut()) {
            for (meter, mark, verdict) in news.verdicts.drain(..) {
                changed.insert((meter, mark.time), (mark.count, verdict));
            }
        }
        if changed.is_empty() {
            return Overrides::new();
        }
        let mut corrected = Vec::new();
        changed.retain(|key, (_, verdict)| match self.corrections.get(key) {
            Some(correction) => {
                corrected.push((correction.id, *verdict));
                false
            }
            None => true,
        });
        corrected.into_iter().for_each(|(id, verdict)| self.judge_correction(id, verdict));
        // A repetition of the reading, or one from the future, has its own verdict.
        let judged = |verdict| matches!(verdict, Verdict::Suspended | Verdict::Exception | Verdict::Glitch);
        let wanted = |meter, time, verdict| judged(verdict) && changed.contains_key(&(meter, time));
        for (seq, row, meter, time) in self.hot.find(wanted) {
            if let Some((_, verdict)) = changed.remove(&(meter, time)) {
                self.hot_verdicts.insert((seq.0, row), verdict);
                self.hot.set_verdicts(seq, [(row, verdict)]);
            }
        }
        changed.into_iter().map(|((meter, time), (count, verdict))| ((meter, time, count), verdict)).collect()
    }

    /// Rates anew the service points whose readings came late.
    async fn resolve_late(&mut self, until: Moment) -> Result<(), BillingError> {
        let late: BTreeSet<ServicePointId> = std::mem::take(&mut self.pricing.late);
        // Those of a pool are rated together, once.
        let led_by = |id: &ServicePointId| {
            let pool = self.pricing.points.get(id).and_then(|point| point.setup.pool());
            pool.and_then(|pool| pool.first()).copied().unwrap_or(*id)
        };
        let late: BTreeSet<ServicePointId> = late.iter().map(led_by).collect();
        let late: Vec<ServicePointId> = late.into_iter().collect();
        let members_of = |id: &ServicePointId| self.pricing.points.get(id).map_or(1, |point| point.setup.pool_size());
        let late = at_once(late, members_of);
        for some in &late {
            let mut work = Vec::new();
            for id in some {
                let Some(members) = self.pricing.points.get(id).map(|point| point.setup.members()) else { continue };
                let mut rows_of = Vec::with_capacity(members.len());
                for id in members {
                    let Some(point) = self.pricing.points.get_mut(&id) else { continue };
                    rows_of.push((
                        Arc::clone(&point.setup),
                        point.news.as_mut().map(|news| std::mem::take(&mut news.late)).unwrap_or_default(),
                    ));
                }
                let rows = || rows_of.iter().flat_map(|(_, rows)| rows);
                let Some(first) = rows().map(|row| row.time).min() else { continue };
                let waiting = rows().filter(|row| waits(row)).map(|row| row.time.plus(-1)).min();
                let setups: Vec<Arc<Setup>> = rows_of.iter().map(|(setup, _)| Arc::clone(setup)).collect();
                let starts = self.starts_before(&setups, first).await?;
                let members = rows_of.iter().zip(starts).map(|((setup, rows), start)| Anew {
                    id: setup.id,
                    old: Arc::clone(setup),
                    new: Arc::clone(setup),
                    start,
                    late: rows.iter().filter_map(|row| Some((row.seq, row.row?))).collect(),
                    // Behind a closing count that waits, those of others may wait too.
                    changed: !rows.is_empty() || waiting.is_some(),
                });
                work.push((members.collect::<Vec<_>>(), waiting.unwrap_or(until)));
            }
            let tasks: Vec<Task<'_>> = work
                .into_iter()
                .map(|(members, closed_until)| Task {
                    members,
                    closed_until,
                    corrections: [self.corrections.as_ref(); 2],
                })
                .collect();
            for outcome in resolve(&self.lake, &self.files, &self.hot, &self.overrides, &tasks, until)? {
                self.take_outcome(outcome);
            }
        }
        Ok(())
    }

    /// Takes over what rating anew gave.
    pub(super) fn take_outcome(&mut self, outcome: Outcome) {
        for (seq, row, verdict) in outcome.hot {
            self.hot_verdicts.insert((seq, row), verdict);
            self.hot.set_verdicts(Seq(seq), [(row, verdict)]);
        }
        self.pricing.add_difference(outcome.id, &outcome.difference, outcome.before);
        self.filed.extend(outcome.filed);
        for (id, verdict) in outcome.corrected {
            self.judge_correction(id, verdict);
        }
        if outcome.state.is_some() {
            let (after, divided) = self.divided.entry(outcome.id).or_insert((outcome.after, Vec::new()));
            *after = outcome.after.min(*after);
            divided.retain(|earlier| earlier.to <= outcome.after);
            divided.extend(outcome.divided);
            // Readings within an interval that is final may change no line of energy, and yet the month's maximum.
            if self.measures_demand(outcome.id) {
                self.mark_final(outcome.id, outcome.after, self.clock.now());
            }
        }
        let Some(point) = self.pricing.points.get_mut(&outcome.id) else { return };
        if let Some((state, checkpoints)) = outcome.state {
            point.replace_state(state, checkpoints, outcome.after);
            point.news().verdicts.extend(outcome.earlier);
        }
        point.replace_calm(outcome.calm);
    }

    /// Bills the installations that ended by now, those included whose last interval only a history can divide.
    pub(super) async fn close_ended(&mut self, now: Moment) -> Result<(), BillingError> {
        self.pricing.close(now);
        let waiting =
            |id: &ServicePointId| self.pricing.points.get(id).is_some_and(|point| point.late().iter().any(waits));
        if self.pricing.late.iter().any(waiting) { self.resolve_late(now).await } else { Ok(()) }
    }

    /// Where to start rating service points anew together, so that no reading at or after what `first` asks for is included:
    /// in a closed month from the month's beginning. Members of a pool are charged from one moment on, the beginning of a
    /// month; a state of an earlier month is rated up to there for nobody.
    pub(super) async fn starts_before(&self, setups: &[Arc<Setup>], first: Moment) -> Result<Vec<Start>, BillingError> {
        let Some(leader) = setups.first() else { return Ok(Vec::new()) };
        let first = setups.iter().map(|setup| setup.rated_from(first)).min().unwrap_or(first);
        if let [only] = setups {
            return Ok(vec![self.start_before(only.id, only, first).await?]);
        }
        let charged_after = leader.begins_before(first);
        let mut starts = Vec::with_capacity(setups.len());
        for setup in setups {
            // Nothing can have been judged before the first installation; at its beginning a reading may have opened it.
            let begins = setup.epochs.iter().map(|epoch| epoch.valid_from).min();
            let mut start = match begins.is_none_or(|begins| begins > charged_after) {
                true => Start::new((PointState::default(), charged_after), None),
                false => self.start_before(setup.id, setup, charged_after.plus(1)).await?,
            };
            start.charged_after = charged_after;
            starts.push(start);
        }
        Ok(starts)
    }

    /// Where to start rating a service point anew, so that no reading at or after `first` is included, and gaps find
    /// their history.
    pub(super) async fn start_before(
        &self,
        id: ServicePointId,
        setup: &Setup,
        first: Moment,
    ) -> Result<Start, BillingError> {
        let (state, after) = self.checkpoint_before(id, setup, first).await?;
        let look_back = match setup.point().looks_back_to(&state, after) {
            Some(back_to) => Some(self.checkpoint_before(id, setup, back_to.plus(1)).await?),
            None => None,
        };
        Ok(Start::new((state, after), look_back))
    }

    /// The latest stored state that includes no reading at or after `first`, and up to where it includes them.
    pub(super) async fn checkpoint_before(
        &self,
        id: ServicePointId,
        setup: &Setup,
        first: Moment,
    ) -> Result<(PointState, Moment), BillingError> {
        let beginning = (PointState::default(), Moment(i64::MIN));
        let Some(month) = setup.month_of(first.plus(-1)) else { return Ok(beginning) };
        let start_of = |month: LocalMonth| setup.terms.days.on(month.first_day()).map(|day| day.start);
        // The month's own state includes the readings up to its first instant.
        let latest = if month.start < first { month.month } else { LocalMonth(month.month.0 - 1) };
        let news = self.pricing.points.get(&id).and_then(|point| point.news.as_ref());
        let pending = news.and_then(|news| news.checkpoints.range(..=latest).next_back());
        let fresh = news
            .and_then(|news| news.stale_from)
            .map_or(latest, |stale| latest.min(LocalMonth(stale.0.saturating_sub(1))));
        let sql = "SELECT local_month, state FROM checkpoints WHERE service_point_id = $1 AND local_month <= $2 \
                   ORDER BY local_month DESC LIMIT 1";
        let query = sqlx::query(sql).bind(i64::from(id.0)).bind(i64::from(fresh.0));
        let stored = query.fetch_optional(self.book.reader()).await.map_err(BookError::from)?;
        let stored = match stored {
            None => None,
            Some(row) => {
                let month: i64 = row.try_get(0).map_err(BookError::from)?;
                let bytes: Vec<u8> = row.try_get(1).map_err(BookError::from)?;
                let state = PointState::decode(&bytes).map_err(|fault| BillingError::State { point: id, fault })?;
                Some((LocalMonth(i32::try_from(month).unwrap_or(i32::MIN)), state))
            }
        };
        let newest = match (pending, stored) {
            (Some((month, state)), Some((other, _))) if *month >= other => Some((*month, state.clone())),
            (_, Some(stored)) => Some(stored),
            (Some((month, state)), None) => Some((*month, state.clone())),
            (None, None) => None,
        };
        Ok(newest.and_then(|(month, state)| Some((state, start_of(month)?))).unwrap_or(beginning))
    }
}
