//! What changes in a closed month: proposed line by line, decided by a limit or a second person, posted in the current
//! period (domain.md, 3).
//!
//! Every difference, from a late reading, a correction, a change of the registry or a re-rate, first becomes open lines
//! like any other charge. Those that fall into a closed month are taken out again before anything is posted and become a
//! proposal for their account, utility and month. The service point's state has followed the truth already; the wallet
//! follows when the proposal is approved. One that waits and is added to by the same cause and actor is superseded by one
//! that includes it, under a new number: nobody approves another amount than the one that they were shown.

use std::collections::BTreeMap;
use std::fmt;

use kernel::id::{AccountId, ServicePointId, Utility};
use kernel::money::Amount;
use kernel::time::{LocalDate, LocalMonth, Moment};
use sqlx::Row as _;

use super::lines::{ComponentName, LineKey, Sum};
use super::posting::{Numbers, Posting, SettledLine, UsageTransfer};
use crate::book::bulk::{self, Cell};
use crate::book::chain::{self, Entry};
use crate::book::{Book, BookError, Tx, ledger, malformed};

/// Who approves what is not above a site's limit.
pub const BY_LIMIT: &str = "adjustment_limit";

macro_rules! words {
    ($(#[$doc:meta])* $kind:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $($(#[$variant_doc])* $variant),* }

        impl $kind {
            /// The name in the book.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($kind::$variant => $name),* }
            }

            /// The one of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<$kind> {
                [$($kind::$variant),*].into_iter().find(|kind| kind.name() == name)
            }
        }
    };
}
words!(
    /// What brought a difference about.
    Cause {
        /// Readings that came late.
        Late = "late",
        /// A changed registry.
        Apply = "apply",
        /// A corrected reading.
        Correction = "correction",
        /// A re-rate that somebody asked for.
        Rerate = "rerate",
    }
);
words!(
    /// What became of a proposal.
    State {
        /// Waits for a person.
        Pending = "pending",
        /// Posted.
        Approved = "approved",
        /// Never to be posted.
        Rejected = "rejected",
        /// Another one includes it, or nothing is left of it.
        Superseded = "superseded",
    }
);

/// Why and by whom something is charged differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What kind of cause.
    pub cause: Cause,
    /// Who brought it about.
    pub actor: String,
    /// In words.
    pub detail: String,
}

impl Default for Origin {
    fn default() -> Origin {
        Origin { cause: Cause::Late, actor: "billing".to_owned(), detail: "readings came after the close".to_owned() }
    }
}

/// One line of a proposal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdjustedLine {
    /// What the stored readings cost before.
    pub before: Sum,
    /// What they cost more now.
    pub difference: Sum,
}

/// Lines by service point and key.
pub type AdjustedLines = BTreeMap<(ServicePointId, LineKey), AdjustedLine>;

/// A proposal that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its number.
    pub id: i64,
    /// Whose wallet.
    pub account: AccountId,
    /// For what.
    pub utility: Utility,
    /// The closed month.
    pub month: LocalMonth,
    /// Why and by whom.
    pub origin: Origin,
    /// Since when.
    pub proposed_at: Moment,
    /// What is charged differently.
    pub lines: AdjustedLines,
}

impl Proposal {
    /// What the account owes more; below zero in its favour.
    #[must_use]
    pub fn difference(&self) -> Amount {
        self.lines.values().map(|line| line.difference.amount).sum()
    }

    /// Whether what comes from elsewhere belongs to it.
    fn takes(&self, account: AccountId, utility: Utility, month: LocalMonth, origin: &Origin) -> bool {
        (self.account, self.utility, self.month) == (account, utility, month)
            && (self.origin.cause, &self.origin.actor) == (origin.cause, &origin.actor)
    }
}

/// `adjustment 7 of A-101, electricity 2026-01`.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "adjustment {} of account {}, {} {}", self.id, self.account, self.utility.name(), self.month)
    }
}

/// Who decided a proposal, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who; [`BY_LIMIT`] where nobody had to.
    pub by: String,
    /// In words.
    pub reason: String,
    /// When.
    pub at: Moment,
}

/// A proposal that is posted, and under which number the lines of each day and component are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Posted {
    proposal: Proposal,
    decision: Decision,
    date: LocalDate,
    transfers: BTreeMap<(LocalDate, ComponentName), i64>,
    /// It was in the book before.
    known: bool,
}

/// What a settlement writes of adjustments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdjustmentWrites {
    proposed: Vec<Proposal>,
    /// Each with when, and the number of the one that includes it.
    superseded: Vec<(Proposal, Moment, Option<i64>)>,
    posted: Vec<Posted>,
}

impl AdjustmentWrites {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.proposed.is_empty() && self.superseded.is_empty() && self.posted.is_empty()
    }
}

/// What waits, and what was decided without a person.
#[derive(Debug, Default)]
pub struct Adjustments {
    /// By number.
    pub pending: BTreeMap<i64, Proposal>,
    /// What the limit let pass of each account's month. It holds for their sum, or a large difference could pass in small
    /// parts.
    passed: BTreeMap<(AccountId, Utility, LocalMonth), Amount>,
    last: i64,
}

/// A closed month's lines that were taken out of the open ones, by account, utility and month.
pub type SetApart = BTreeMap<(AccountId, Utility, LocalMonth), AdjustedLines>;

/// Where and when approved adjustments are posted.
pub trait Place {
    /// The local day of an account's site.
    fn today(&self, account: AccountId) -> LocalDate;
    /// Up to how much needs no person.
    fn limit(&self, account: AccountId) -> Amount;
}

impl Adjustments {
    /// Proposes what was set apart, merged with what waits for the same reason, and posts what is not above the limit.
    pub fn propose(
        &mut self,
        apart: SetApart,
        origin: &Origin,
        place: &impl Place,
        at: Moment,
        numbers: &mut Numbers,
        posting: &mut Posting,
    ) -> AdjustmentWrites {
        let mut writes = AdjustmentWrites::default();
        for ((account, utility, month), mut lines) in apart {
            let waits = self.pending.values().find(|other| other.takes(account, utility, month, origin));
            let earlier = waits.map(|other| other.id).and_then(|id| self.pending.remove(&id));
            for (key, line) in earlier.iter().flat_map(|earlier| &earlier.lines) {
                let merged =
                    lines.entry(*key).or_insert(AdjustedLine { before: line.before, ..AdjustedLine::default() });
                merged.before = line.before;
                merged.difference.add(line.difference);
            }
            lines.retain(|_, line| !line.difference.is_zero());
            let id = (!lines.is_empty()).then(|| {
                self.last += 1;
                self.last
            });
            writes.superseded.extend(earlier.map(|earlier| (earlier, at, id)));
            let Some(id) = id else { continue };
            let proposal = Proposal { id, account, utility, month, origin: origin.clone(), proposed_at: at, lines };
            let passed = self.passed.entry((account, utility, month)).or_default();
            let total = *passed + proposal.difference();
            if total.0.abs() <= place.limit(account).0 && proposal.difference().0.abs() <= place.limit(account).0 {
                *passed = total;
                let decision = Decision { by: BY_LIMIT.to_owned(), reason: "within the limit".to_owned(), at };
                writes.posted.push(post(proposal, decision, false, place, numbers, posting));
            } else {
                self.pending.insert(id, proposal.clone());
                writes.proposed.push(proposal);
            }
        }
        writes
    }

    /// Posts a proposal that a person approved.
    pub fn approve(
        &mut self,
        id: i64,
        decision: Decision,
        place: &impl Place,
        numbers: &mut Numbers,
        posting: &mut Posting,
        writes: &mut AdjustmentWrites,
    ) {
        if let Some(proposal) = self.pending.remove(&id) {
            writes.posted.push(post(proposal, decision, true, place, numbers, posting));
        }
    }

    /// The accounts for which a proposal waits: nobody is cut meanwhile (design.md, "How exactly-once works", 7).
    pub fn waiting(&self) -> impl Iterator<Item = AccountId> {
        self.pending.values().map(|proposal| proposal.account)
    }

    /// What the book holds.
    ///
    /// # Errors
    /// What the database says, or [`BookError::Malformed`].
    pub async fn load(book: &Book) -> Result<Adjustments, BookError> {
        let mut all = Adjustments::default();
        let sql = "SELECT id, account_id, utility, local_month, state, cause, detail, difference, actor, proposed_at, \
                   decided_by FROM adjustments ORDER BY id";
        for row in sqlx::query(sql).fetch_all(book.reader()).await? {
            let id: i64 = row.try_get(0)?;
            let fault = |column: &str| malformed(format!("adjustments {id}: {column} is not a word of this format"));
            let text = |column: usize| row.try_get::<String, _>(column);
            let account = AccountId(u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX));
            let utility = Utility::parse(&text(2)?).ok_or_else(|| fault("utility"))?;
            let month = LocalMonth(i32::try_from(row.try_get::<i64, _>(3)?).unwrap_or(i32::MAX));
            let state = State::parse(&text(4)?).ok_or_else(|| fault("state"))?;
            all.last = id;
            if state == State::Approved && row.try_get::<Option<String>, _>(10)?.as_deref() == Some(BY_LIMIT) {
                let passed = all.passed.entry((account, utility, month)).or_default();
                *passed += ledger::amount(&text(7)?, "adjustments.difference")?;
            }
            if state != State::Pending {
                continue;
            }
            let cause = Cause::parse(&text(5)?).ok_or_else(|| fault("cause"))?;
            let origin = Origin { cause, detail: text(6)?, actor: text(8)? };
            let proposed_at = Moment(row.try_get(9)?);
            let lines = lines_of(book, id, account).await?;
            all.pending.insert(id, Proposal { id, account, utility, month, origin, proposed_at, lines });
        }
        Ok(all)
    }
}

async fn lines_of(book: &Book, id: i64, account: AccountId) -> Result<AdjustedLines, BookError> {
    let sql = "SELECT service_point_id, local_date, band, tier, tariff_version_id, quantity_before, amount_before, quantity, \
               amount, component FROM adjustment_lines WHERE adjustment_id = $1";
    let mut lines = AdjustedLines::new();
    for row in sqlx::query(sql).bind(id).fetch_all(book.reader()).await? {
        let int = |column: usize| row.try_get::<i64, _>(column);
        let small = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
        let key = LineKey {
            account,
            date: LocalDate(i32::try_from(int(1)?).unwrap_or(i32::MAX)),
            version: kernel::id::TariffVersionId(small(int(4)?)),
            band: u8::try_from(int(2)?).unwrap_or(u8::MAX),
            tier: u16::try_from(int(3)?).unwrap_or(u16::MAX),
            component: ComponentName::of(&row.try_get::<String, _>(9)?),
        };
        let sum = |quantity: usize, amount: usize| -> Result<Sum, BookError> {
            let text: String = row.try_get(amount)?;
            Ok(Sum {
                quantity: kernel::money::Quantity(int(quantity)?),
                amount: ledger::amount(&text, "adjustment_lines.amount")?,
            })
        };
        let line = AdjustedLine { before: sum(5, 6)?, difference: sum(7, 8)? };
        lines.insert((ServicePointId(small(int(0)?)), key), line);
    }
    Ok(lines)
}

/// One transfer for each day and component that money moves for, each linked to that day's by the ledger.
fn post(
    proposal: Proposal,
    decision: Decision,
    known: bool,
    place: &impl Place,
    numbers: &mut Numbers,
    posting: &mut Posting,
) -> Posted {
    let mut days: BTreeMap<(LocalDate, ComponentName), Amount> = BTreeMap::new();
    for ((_, key), line) in &proposal.lines {
        *days.entry((key.date, key.component)).or_default() += line.difference.amount;
    }
    let mut transfers = BTreeMap::new();
    for ((date, component), amount) in days {
        if amount == Amount::ZERO {
            transfers.insert((date, component), numbers.unmoved);
            continue;
        }
        let id = numbers.transfer;
        numbers.transfer += 1;
        transfers.insert((date, component), id);
        posting.transfers.push(UsageTransfer {
            id,
            account: proposal.account,
            utility: proposal.utility,
            date,
            component,
            amount,
            effective_at: decision.at,
            adjustment: Some(proposal.id),
        });
    }
    for ((point, key), line) in &proposal.lines {
        let transfer = transfers.get(&(key.date, key.component)).copied().unwrap_or(numbers.unmoved);
        posting.lines.push(SettledLine { transfer, point: *point, key: *key, sum: line.difference });
    }
    numbers.unmoved -= 1;
    let date = place.today(proposal.account);
    Posted { proposal, decision, date, transfers, known }
}

impl AdjustmentWrites {
    /// Accounts that owe more by what is posted now: it counts for cut-off only after its own notice time.
    pub fn debited(&self) -> impl Iterator<Item = AccountId> {
        let debits = self.posted.iter().filter(|posted| posted.proposal.difference() > Amount::ZERO);
        debits.map(|posted| posted.proposal.account)
    }

    /// Writes proposals, decisions and their audit rows; the transfers are the ledger's.
    ///
    /// # Errors
    /// What the database says.
    pub async fn write(&self, tx: &mut Tx) -> Result<(), BookError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (old, at, by) in &self.superseded {
            let sql = "UPDATE adjustments SET state = 'superseded', superseded_by = $1, decided_at = $2 WHERE id = $3";
            sqlx::query(sql).bind(*by).bind(at.0).bind(old.id).execute(tx.conn()).await?;
            let sql = "DELETE FROM adjustment_lines WHERE adjustment_id = $1";
            sqlx::query(sql).bind(old.id).execute(tx.conn()).await?;
            let detail = serde_json::json!({ "adjustment": old.id, "superseded_by": by });
            entries.push(entry(*at, &old.origin.actor, "adjustment_superseded", old, &detail));
        }
        let waiting = self.proposed.iter().map(|proposal| header(proposal, None));
        let posted = self.posted.iter().filter(|posted| !posted.known);
        let posted = posted.map(|posted| header(&posted.proposal, Some((&posted.decision, posted.date))));
        let head = "INSERT INTO adjustments (id, account_id, utility, local_month, state, cause, detail, difference, actor, \
                    proposed_at, decided_by, decided_at, reason, posted_date) VALUES";
        bulk::insert(tx, head, "", waiting.chain(posted)).await?;
        let waiting = self.proposed.iter().flat_map(|proposal| lines(proposal, |_| 0));
        let posted = self.posted.iter().filter(|posted| !posted.known);
        let posted = posted.flat_map(|posted| {
            lines(&posted.proposal, |key| posted.transfers.get(&(key.date, key.component)).copied().unwrap_or_default())
        });
        let head = "INSERT INTO adjustment_lines (adjustment_id, service_point_id, local_date, component, band, tier, \
                    tariff_version_id, quantity_before, amount_before, quantity, amount, transfer_id) VALUES";
        bulk::insert(tx, head, "", waiting.chain(posted)).await?;
        for proposal in self.proposed.iter().chain(self.posted.iter().filter(|one| !one.known).map(|one| &one.proposal))
        {
            let detail = serde_json::json!({
                "adjustment": proposal.id, "difference": proposal.difference().to_string(), "lines": proposal.lines.len(),
                "month": proposal.month.to_string(), "cause": proposal.origin.cause.name(), "detail": proposal.origin.detail,
            });
            entries.push(entry(proposal.proposed_at, &proposal.origin.actor, "adjustment_proposed", proposal, &detail));
        }
        for Posted { proposal, decision, date, transfers, known } in &self.posted {
            if *known {
                let sql = "UPDATE adjustments SET state = 'approved', decided_by = $1, decided_at = $2, reason = $3, \
                           posted_date = $4 WHERE id = $5";
                let update = sqlx::query(sql).bind(decision.by.clone()).bind(decision.at.0);
                let update = update.bind(decision.reason.clone()).bind(i64::from(date.0)).bind(proposal.id);
                update.execute(tx.conn()).await?;
                for ((day, component), transfer) in transfers {
                    let sql = "UPDATE adjustment_lines SET transfer_id = $1 \
                               WHERE adjustment_id = $2 AND local_date = $3 AND component = $4";
                    let update = sqlx::query(sql).bind(*transfer).bind(proposal.id).bind(i64::from(day.0));
                    update.bind(component.as_str()).execute(tx.conn()).await?;
                }
            }
            let detail = serde_json::json!({
                "adjustment": proposal.id, "difference": proposal.difference().to_string(), "reason": decision.reason,
            });
            entries.push(entry(decision.at, &decision.by, "adjustment_approved", proposal, &detail));
        }
        chain::append_all(tx, entries).await
    }
}

/// Writes down that a proposal is never to be posted.
///
/// # Errors
/// What the database says.
pub async fn write_rejected(tx: &mut Tx, proposal: &Proposal, decision: &Decision) -> Result<(), BookError> {
    let sql = "UPDATE adjustments SET state = 'rejected', decided_by = $1, decided_at = $2, reason = $3 WHERE id = $4";
    let update = sqlx::query(sql).bind(decision.by.clone()).bind(decision.at.0);
    update.bind(decision.reason.clone()).bind(proposal.id).execute(tx.conn()).await?;
    let detail = serde_json::json!({
        "adjustment": proposal.id, "difference": proposal.difference().to_string(), "reason": decision.reason,
    });
    chain::append(tx, entry(decision.at, &decision.by, "adjustment_rejected", proposal, &detail)).await
}

fn entry(at: Moment, actor: &str, kind: &str, proposal: &Proposal, detail: &serde_json::Value) -> Entry {
    let subject = format!("account:{}", proposal.account);
    Entry { at, actor: actor.to_owned(), kind: kind.to_owned(), subject, detail: detail.to_string() }
}

fn header<'a>(proposal: &'a Proposal, posted: Option<(&'a Decision, LocalDate)>) -> [Cell<'a>; 14] {
    let state = if posted.is_some() { State::Approved } else { State::Pending };
    let decision = posted.map(|(decision, _)| decision);
    [
        proposal.id.into(),
        proposal.account.0.into(),
        proposal.utility.name().into(),
        i64::from(proposal.month.0).into(),
        state.name().into(),
        proposal.origin.cause.name().into(),
        proposal.origin.detail.as_str().into(),
        proposal.difference().to_string().into(),
        proposal.origin.actor.as_str().into(),
        proposal.proposed_at.0.into(),
        decision.map(|decision| decision.by.as_str()).into(),
        decision.map(|decision| decision.at.0).into(),
        decision.map(|decision| decision.reason.as_str()).into(),
        posted.map(|(_, date)| i64::from(date.0)).into(),
    ]
}

fn lines<'a>(
    proposal: &'a Proposal,
    transfer: impl Fn(&LineKey) -> i64 + 'a,
) -> impl Iterator<Item = [Cell<'a>; 12]> + 'a {
    proposal.lines.iter().map(move |((point, key), line)| {
        [
            proposal.id.into(),
            point.0.into(),
            i64::from(key.date.0).into(),
            key.component.as_str().into(),
            i64::from(key.band).into(),
            i64::from(key.tier).into(),
            key.version.0.into(),
            line.before.quantity.0.into(),
            line.before.amount.to_string().into(),
            line.difference.quantity.0.into(),
            line.difference.amount.to_string().into(),
            transfer(key).into(),
        ]
    })
}
