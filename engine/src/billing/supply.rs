//! Control at the writer's side: it hears what billing hears, and its output goes into billing's transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kernel::batch::Batch;
use kernel::control::FieldCommand;
use kernel::control::evidence::{AccountFacts, BalanceFacts, Mode};
use kernel::control::policy::Policy;
use kernel::id::{AccountId, MeterId};
use kernel::money::Amount;
use kernel::reading::{Observation, Verdict};
use kernel::time::{MINUTE, Moment};
use tokio::sync::mpsc;
use wal::clock::Clock;

use super::error::BillingError;
use super::keep::{self, AllKept};
use super::pricing::Pricing;
use super::writer::Writer;
use crate::book::bulk::{self, Cell};
use crate::book::chain::{self, Entry};
use crate::book::{Book, BookError, Tx};
use crate::control::output::ControlOutput;
use crate::control::setup::{AccountSetup, MeterSetup, Setup, SiteSetup};
use crate::control::state::Health;
use crate::control::{Control, outbox, persist};
use crate::registry::{self, AccountKind, Registry};

/// When a change of the registry last rated an account's charges anew.
pub type Rerated = BTreeMap<AccountId, Moment>;

/// The way out of the writer: commands to the field and rows of the outbox to be delivered.
#[derive(Debug)]
pub struct Doors {
    /// Commands, at most one open for each meter and one read for each.
    pub field: mpsc::Sender<FieldCommand>,
    /// Outbox rows to deliver ...
    pub items: mpsc::Sender<outbox::Item>,
    /// ... and what became of them.
    pub delivered: mpsc::Receiver<outbox::Delivery>,
}

/// Control with its doors.
#[derive(Debug)]
pub struct Supply {
    pub(super) control: Control,
    doors: Doors,
    doubt: Option<String>,
    /// When a contract, an installation or a tariff version begins or ends next: who pays for which meter is worked out anew then.
    next_change: Option<Moment>,
    under_way: BTreeSet<i64>,
    /// Deliveries that the book does not know yet.
    unmarked: Vec<outbox::Delivery>,
}

impl Supply {
    pub(super) fn hear_readings(&mut self, batch: &Batch, verdicts: &[Verdict], now: Moment) {
        for (row, verdict) in verdicts.iter().enumerate() {
            self.control.on_reading(&batch.reading(row), *verdict, now);
        }
    }

    pub(super) fn hear_observations(&mut self, observations: &[Observation], now: Moment) {
        for observation in observations {
            self.control.on_observation(observation, now);
        }
    }

    pub(super) fn doubt(&mut self, doubt: Option<String>) {
        self.doubt = doubt;
    }

    pub(super) fn tick(&mut self, now: Moment, pricing: &mut Pricing, clock: &Clock) -> ControlOutput {
        let changed: Vec<(AccountId, BalanceFacts)> =
            std::mem::take(&mut pricing.touched).into_iter().map(|id| (id, facts(pricing, id, now))).collect();
        let health = Health { clock_step: clock.wall_step(), doubt: self.doubt.clone(), payments_healthy: true };
        self.control.tick(now, &changed, &health)
    }

    /// Lets the commands of a committed output go to the field.
    pub(super) fn release(&mut self, output: &mut ControlOutput) {
        for command in output.field.drain(..) {
            if let Err(error) = self.doors.field.try_send(command) {
                tracing::error!(%error, "a command did not reach the field; it will time out and be decided again");
            }
        }
    }
}

fn facts(pricing: &Pricing, id: AccountId, now: Moment) -> BalanceFacts {
    let wallet = pricing.wallets.get(&id).copied().unwrap_or_default();
    let (as_of, in_doubt) = pricing.evidence(id, now);
    BalanceFacts {
        amount: wallet.balance(),
        as_of,
        measured: !in_doubt,
        rerate_pending: pricing.held.contains(&id)
            || pricing.rerating.holds(id)
            || pricing.points_paid_by(id).any(|point| pricing.late.contains(&point)),
        uncounted_debits: Amount::ZERO,
    }
}

/// Writes control's rows and audit entries in the settlement's transaction.
pub(super) async fn write(tx: &mut Tx, output: &ControlOutput) -> Result<(), BookError> {
    if output.writes.is_empty() && output.audit.is_empty() {
        return Ok(());
    }
    persist::write(tx.conn(), &output.writes).await.map_err(book_error)?;
    let entries = output.audit.iter().map(|entry| Entry {
        at: entry.at,
        actor: entry.actor.clone(),
        kind: entry.kind.clone(),
        subject: entry.subject.clone(),
        detail: entry.detail.clone(),
    });
    chain::append_all(tx, entries.collect::<Vec<_>>()).await
}

impl Writer {
    /// Starts control with what the book left of it; relays are read before anything is done.
    pub(crate) async fn start_control(&mut self, doors: Doors) -> Result<(), BillingError> {
        let now = self.clock.now();
        let mut snapshot = self.book.snapshot().await?;
        let loaded = persist::load(&mut snapshot, now).await?;
        drop(snapshot);
        let control = Control::load(Arc::new(setup(&self.registry, &self.rerated, &self.kept, now)), loaded, now);
        self.pricing.touched.extend(self.registry.accounts().map(|account| account.id));
        let next_change = next_change(&self.registry, &self.kept, now);
        self.control =
            Some(Supply { control, doors, doubt: None, next_change, under_way: BTreeSet::new(), unmarked: Vec::new() });
        Ok(())
    }

    /// Tells control of a payment; gives whether there is a control.
    pub(super) fn paid(&mut self, account: AccountId) -> bool {
        let now = self.clock.now();
        self.pricing.touched.insert(account);
        match &mut self.control {
            Some(supply) => {
                supply.control.on_top_up(account, now);
                true
            }
            None => false,
        }
    }

    /// Tells control of a changed registry.
    pub(super) fn registry_changed(&mut self, now: Moment) {
        self.pricing.touched.extend(self.registry.accounts().map(|account| account.id));
        if let Some(supply) = &mut self.control {
            supply.control.on_setup(Arc::new(setup(&self.registry, &self.rerated, &self.kept, now)), now);
            supply.next_change = next_change(&self.registry, &self.kept, now);
        }
    }

    /// Follows contracts and installations that begin or end by themselves.
    pub(super) fn follow_dates(&mut self, now: Moment) {
        let due = self.control.as_ref().and_then(|supply| supply.next_change).is_some_and(|change| change <= now);
        if due {
            self.registry_changed(now);
        }
    }

    /// The real time after which control wants to look again.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let wake = self.control.as_ref()?.control.next_wake()?;
        Some(self.clock.real(wake.since(self.clock.now()).max(0)))
    }

    /// Marks what the deliverers have delivered since; whether all of it could be written down.
    pub(super) async fn mark_delivered(&mut self) -> Result<bool, BillingError> {
        let now = self.clock.now();
        let Some(supply) = &mut self.control else { return Ok(true) };
        while let Ok(delivery) = supply.doors.delivered.try_recv() {
            supply.unmarked.push(delivery);
        }
        if supply.unmarked.is_empty() {
            return Ok(true);
        }
        match mark(&self.book, &supply.unmarked, now).await {
            Ok(()) => {}
            Err(error @ (BookError::Full | BookError::Busy | BookError::ReadOnly)) => {
                tracing::error!(%error, "deliveries are marked later");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        for delivery in supply.unmarked.drain(..) {
            supply.under_way.remove(&delivery.id);
        }
        Ok(true)
    }

    /// Marks what was delivered, and hands the rows of the outbox that are due to the deliverers.
    pub(super) async fn deliver_due(&mut self) -> Result<(), BillingError> {
        if !self.mark_delivered().await? {
            return Ok(());
        }
        let now = self.clock.now();
        let Some(supply) = &mut self.control else { return Ok(()) };
        let mut reader = self.book.snapshot().await?;
        for item in outbox::due(&mut reader, now, &supply.under_way).await? {
            let id = item.id;
            // A full queue is no loss: the row stays due.
            if supply.doors.items.try_send(item).is_ok() {
                supply.under_way.insert(id);
            }
        }
        Ok(())
    }
}

fn book_error(error: persist::PersistError) -> BookError {
    match error {
        persist::PersistError::Database { source, .. } => BookError::from(source),
        other => crate::book::malformed(other.to_string()),
    }
}

/// Writes down what became of deliveries.
async fn mark(book: &Book, delivered: &[outbox::Delivery], now: Moment) -> Result<(), BookError> {
    let mut tx = book.begin().await?;
    outbox::mark(tx.conn(), delivered, now).await.map_err(book_error)?;
    tx.commit().await
}

/// The first moment after `now` at which a contract or an installation begins or ends, a tariff version begins, or power is
/// no longer kept on.
fn next_change(registry: &Registry, kept: &AllKept, now: Moment) -> Option<Moment> {
    let points = registry.service_points();
    let moments = points.flat_map(|point| {
        let contracts = point.contracts().map(|contract| (contract.valid_from, contract.valid_to));
        contracts.chain(point.epochs().iter().map(|epoch| (epoch.valid_from, epoch.valid_to)))
    });
    let moments = moments.flat_map(|(from, to)| [Some(from), to]).flatten();
    let versions = registry.tariffs().flat_map(|tariff| &tariff.versions).map(|version| version.valid_from);
    let kept = kept.values().map(|kept| kept.until);
    moments.chain(versions).chain(kept).filter(|moment| *moment > now).min()
}

/// When a price, a payer or an installation of an account changed last: a person should look before anybody is cut.
/// A change that is dated back counts from the moment at which it was `rerated`.
fn changed_at(registry: &Registry, rerated: &Rerated, account: AccountId, now: Moment) -> Option<Moment> {
    let mut latest = rerated.get(&account).copied();
    for point in registry.points_of_account(account) {
        let Some(contract) = point.contracts().rev().find(|contract| contract.holds(now)) else { continue };
        if contract.account != account {
            continue;
        }
        let tariff = registry.tariff(contract.tariff);
        let versions = tariff.into_iter().flat_map(|tariff| &tariff.versions).map(|version| version.valid_from);
        let epochs = point.epochs().iter().map(|epoch| epoch.valid_from);
        latest = latest.max(versions.chain(epochs).chain([contract.valid_from]).filter(|from| *from <= now).max());
    }
    latest
}

/// The registry in the words of control.
#[must_use]
pub fn setup(registry: &Registry, rerated: &Rerated, kept: &AllKept, now: Moment) -> Setup {
    let policies: BTreeMap<_, _> = registry
        .policies()
        .filter_map(|policy| match serde_json::from_str::<Policy>(&policy.definition) {
            Ok(parsed) => Some((policy.id, Arc::new(parsed))),
            Err(error) => {
                // Without a policy nobody is warned or cut: the safe side.
                tracing::error!(policy = policy.name, %error, "a stored policy cannot be read");
                None
            }
        })
        .collect();
    let sites = registry.sites().map(|site| {
        let setup = SiteSetup {
            name: site.name.clone(),
            mode: match site.mode {
                registry::Mode::Off => Mode::Off,
                registry::Mode::Shadow => Mode::Shadow,
                registry::Mode::Ask => Mode::Ask,
                registry::Mode::Auto => Mode::Auto,
            },
            webhook: site.webhook.clone(),
            days: Arc::clone(&site.days),
            calendar: Arc::clone(&site.calendar),
        };
        (site.id, setup)
    });
    // Who pays for each meter now: by the contract of the service point where it is installed.
    let mut payers = BTreeMap::new();
    let mut meters_of: BTreeMap<AccountId, Vec<MeterId>> = BTreeMap::new();
    for meter in registry.meters() {
        let point = registry.epoch_at(meter.id, now).map(|epoch| epoch.service_point);
        if let Some(account) = point.and_then(|point| registry.payer_at(point, now)) {
            payers.insert(meter.id, account.id);
            meters_of.entry(account.id).or_default().push(meter.id);
        }
    }
    let accounts = registry.accounts().map(|account| {
        let setup = AccountSetup {
            site: account.site,
            name: account.name.to_string(),
            holder: account.holder.to_string(),
            facts: AccountFacts {
                account: account.id,
                prepaid: account.kind == AccountKind::Prepaid,
                closed_at: account.closed_at,
                cutoff_enabled: account.cutoff_enabled,
                protected: keep::protection(registry, kept, account, now),
                protected_until: kept.get(&account.id).map(|kept| kept.until).filter(|until| *until <= now),
                credit_limit: account.credit_limit,
                emergency_unused: Amount::ZERO,
                confirmed_at: account.confirmed_at,
                changed_at: changed_at(registry, rerated, account.id, now),
            },
            policy: account.policy.and_then(|id| policies.get(&id).cloned()),
            meters: meters_of.remove(&account.id).unwrap_or_default(),
            unit: account.unit,
        };
        (account.id, setup)
    });
    let meters = registry.meters().map(|meter| {
        let setup = MeterSetup {
            serial: meter.serial.to_string(),
            account: payers.get(&meter.id).copied(),
            utility: meter.utility,
            has_relay: meter.has_relay,
            poll: Some(meter.poll_micros.unwrap_or(MINUTE)),
            rating_mw: meter.rating_mw,
        };
        (meter.id, setup)
    });
    Setup { sites: sites.collect(), accounts: accounts.collect(), meters: meters.collect() }
}

/// The name under which `progress` keeps when an account's charges were rated anew.
const RERATED: &str = "rerated_account_";

/// Keeps `rerated`, in the transaction that changes the registry.
pub(super) async fn write_rerated(tx: &mut Tx, rerated: &Rerated) -> Result<(), BookError> {
    let names: Vec<(String, i64)> =
        rerated.iter().map(|(account, at)| (format!("{RERATED}{}", account.0), at.0)).collect();
    let rows = names.iter().map(|(name, at)| -> [Cell<'_>; 2] { [name.as_str().into(), (*at).into()] });
    let tail = "ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    bulk::insert(tx, "INSERT INTO progress (name, value) VALUES", tail, rows).await?;
    Ok(())
}

/// What [`write_rerated`] kept.
pub(super) async fn load_rerated(book: &Book) -> Result<Rerated, BookError> {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, value FROM progress").fetch_all(book.reader()).await?;
    let account = |name: &str| name.strip_prefix(RERATED)?.parse().ok().map(AccountId);
    Ok(rows.iter().filter_map(|(name, at)| Some((account(name)?, Moment(*at)))).collect())
}
