//! What leaves control: rows for the book, entries for its audit chain, commands for the field.

use kernel::control::FieldCommand;
use kernel::control::alert::AlertState;
use kernel::control::brake::Brake;
use kernel::control::decide::Reason;
use kernel::control::evidence::{Mode, OpenedFor};
use kernel::control::relay::Command;
use kernel::id::{AccountId, MeterId, SiteId};
use kernel::money::Amount;
use kernel::reading::Contact;
use kernel::time::Moment;

/// What one tick gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlOutput {
    /// For [`super::persist::write`], in this order, in the settlement's transaction.
    pub writes: Vec<ControlWrite>,
    /// For the audit chain, in the same transaction.
    pub audit: Vec<AuditEntry>,
    /// For the field, after the commit, in this order.
    pub field: Vec<FieldCommand>,
}

impl ControlOutput {
    /// Whether the book has nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.audit.is_empty() && self.field.is_empty()
    }
}

/// A row of the audit log, to be chained by the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Moment,
    /// Who.
    pub actor: String,
    /// `relay` or `brake`.
    pub kind: String,
    /// What was changed, such as `meter:12345`.
    pub subject: String,
    /// How.
    pub detail: String,
}

/// One row to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlWrite {
    /// Table `supply`, by meter.
    Supply(SupplyRow),
    /// Table `commands`, by identifier.
    Command(Command),
    /// Table `evaluations`, new.
    Evaluation(EvaluationRow),
    /// Table `notices`, new.
    Notice(NoticeRow),
    /// Table `outbox`, new.
    Outbox(OutboxRow),
    /// Table `alert_states`, by account.
    Alert(AccountId, AlertState),
    /// Table `meta`, key `brake:SITE`.
    Brake(SiteId, Brake),
}

/// A meter's supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplyRow {
    /// The meter.
    pub meter: MeterId,
    /// Who pays for it.
    pub account: AccountId,
    /// What policy wants.
    pub desired: Option<Contact>,
    /// What the last command said.
    pub commanded: Option<Contact>,
    /// What evidence shows.
    pub observed: Option<Contact>,
    /// When it was last shown.
    pub observed_at: Option<Moment>,
    /// Why it is open.
    pub opened_for: Option<OpenedFor>,
    /// When any of this changed.
    pub changed_at: Moment,
    /// The evaluation behind it.
    pub evaluation: Option<i64>,
}

/// An evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationRow {
    /// Its identifier.
    pub id: i64,
    /// Of which account.
    pub account: AccountId,
    /// When.
    pub at: Moment,
    /// The decision's name.
    pub decision: &'static str,
    /// The site's mode.
    pub mode: Mode,
    /// The balance.
    pub balance: Amount,
    /// What it rests on.
    pub balance_as_of: Option<Moment>,
    /// Every rule that was looked at.
    pub reasons: Vec<Reason>,
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// A low-balance level was crossed.
    LowBalance,
    /// Supply was cut.
    Cut,
    /// Supply is back.
    Reconnected,
    /// Somebody must look.
    Alarm,
    /// Paid, but opened by hand or for safety: not restored automatically.
    PaidNotRestored,
}

impl NoticeKind {
    /// The name in the table `notices`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NoticeKind::LowBalance => "low_balance",
            NoticeKind::Cut => "cut",
            NoticeKind::Reconnected => "reconnected",
            NoticeKind::Alarm => "alarm",
            NoticeKind::PaidNotRestored => "paid_not_restored",
        }
    }
}

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its identifier.
    pub id: i64,
    /// To whom.
    pub account: Option<AccountId>,
    /// About which meter.
    pub meter: Option<MeterId>,
    /// What it is about.
    pub kind: NoticeKind,
    /// The low-balance level, from 1; 0 for other kinds.
    pub level: u8,
    /// For a person.
    pub text: String,
    /// The balance then.
    pub balance: Option<Amount>,
    /// When.
    pub at: Moment,
}

/// Something to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its identifier.
    pub id: i64,
    /// `console` or `webhook`.
    pub channel: &'static str,
    /// The notice.
    pub notice: i64,
    /// JSON: `{"url": .., "body": {..}}`; no url for the console.
    pub payload: String,
    /// When.
    pub at: Moment,
}
