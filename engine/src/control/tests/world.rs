//! A small house: accounts with one electric meter each, a field that obeys or lies, and the book.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::calendar::Calendar;
use kernel::control::FieldCommand;
use kernel::control::evidence::{AccountFacts, BalanceFacts, Mode};
use kernel::control::policy::Policy;
use kernel::id::{AccountId, CommandId, MeterId, SiteId, Utility};
use kernel::money::Amount;
use kernel::reading::{Contact, Instruments, Observation, Reading, Seen, Value, Verdict};
use kernel::time::{DAY, HOUR, LocalDate, MINUTE, Moment, SECOND, SiteDay, SiteDays};
use sqlx::{AnyConnection, Connection, Row};

use crate::control::output::ControlOutput;
use crate::control::setup::{AccountSetup, MeterSetup, Setup, SiteSetup};
use crate::control::state::Health;
use crate::control::{Control, persist};

/// One step of the world's clock.
pub(crate) const STEP: i64 = 5 * SECOND;

/// How a fake meter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The contact is welded: the status obeys, the load does not.
    Welded,
    /// As welded, and shows no power for 45 s.
    FalseZero,
    /// Takes the write and does not answer it.
    LostAnswer,
    /// Answers nothing.
    Dead,
    /// Refuses writes.
    Refuses,
}

/// Where the process dies within a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    BeforeCommit,
    BeforeField,
    AfterField,
}

pub(crate) struct FakeMeter {
    pub(crate) contact: Contact,
    pub(crate) fault: Fault,
    pub(crate) load_mw: i64,
    pub(crate) energy_uwh: i64,
    opened_at: Option<Moment>,
    silent_for: u32,
}

pub(crate) struct World {
    conn: AnyConnection,
    pub(crate) control: Control,
    pub(crate) setup: Setup,
    pub(crate) now: Moment,
    pub(crate) meters: BTreeMap<MeterId, FakeMeter>,
    pub(crate) balances: BTreeMap<AccountId, Amount>,
    pub(crate) health: Health,
    heard: Vec<Observation>,
    /// Every write that reached a meter.
    pub(crate) writes: Vec<(CommandId, MeterId, Contact)>,
    pub(crate) reads: usize,
    /// Balance changes since the last tick that was committed.
    changed: Vec<AccountId>,
}

pub(crate) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// Wednesday 2026-06-03, 12:00 by UTC, which is the site's zone.
pub(crate) fn noon() -> Moment {
    Moment(i64::from(LocalDate::new(2026, 6, 3).unwrap().0) * DAY + 12 * HOUR)
}

fn setup(accounts: u32, mode: Mode) -> Setup {
    let first = LocalDate::new(2026, 5, 1).unwrap();
    let day = |offset: i32| {
        let date = first.plus(offset);
        let start = Moment(i64::from(date.0) * DAY);
        SiteDay { date, start, end: start.plus(DAY), wall_start: 0, jump: None }
    };
    let mut policy = Policy::named("shops");
    policy.final_notice_minutes = 1;
    let policy = Arc::new(policy);
    let site = SiteSetup {
        name: "mall".into(),
        mode,
        webhook: Some("http://127.0.0.1:9/hook".into()),
        days: Arc::new(SiteDays::new((0..90).map(day).collect()).unwrap()),
        calendar: Arc::new(Calendar::default()),
    };
    let account = |id: u32| AccountSetup {
        site: SiteId(1),
        name: format!("A-{id}"),
        holder: format!("Shop {id}"),
        facts: AccountFacts {
            account: AccountId(id),
            prepaid: true,
            closed_at: None,
            cutoff_enabled: true,
            protected: None,
            protected_until: None,
            credit_limit: Amount::ZERO,
            emergency_unused: Amount::ZERO,
            confirmed_at: Some(Moment(0)),
            changed_at: None,
        },
        policy: Some(Arc::clone(&policy)),
        meters: vec![MeterId(id)],
        unit: None,
    };
    let meter = |id: u32| MeterSetup {
        serial: format!("M-{id}"),
        account: Some(AccountId(id)),
        utility: Utility::Electricity,
        has_relay: true,
        poll: Some(10 * SECOND),
        rating_mw: Some(10_000_000),
    };
    Setup {
        sites: BTreeMap::from([(SiteId(1), site)]),
        accounts: (1..=accounts).map(|id| (AccountId(id), account(id))).collect(),
        meters: (1..=accounts).map(|id| (MeterId(id), meter(id))).collect(),
    }
}

impl World {
    pub(crate) async fn new(accounts: u32, mode: Mode) -> World {
        sqlx::any::install_default_drivers();
        let mut conn = AnyConnection::connect("sqlite::memory:").await.unwrap();
        for script in crate::book::format::SCRIPTS {
            sqlx::raw_sql(script).execute(&mut conn).await.unwrap();
        }
        let (setup, now) = (setup(accounts, mode), noon());
        let loaded = persist::load(&mut conn, now).await.unwrap();
        let control = Control::load(Arc::new(setup.clone()), loaded, now);
        let meter = || FakeMeter {
            contact: Contact::Closed,
            fault: Fault::None,
            load_mw: 900_000,
            energy_uwh: 5_000_000,
            opened_at: None,
            silent_for: 0,
        };
        World {
            conn,
            control,
            now,
            meters: setup.meters.keys().map(|id| (*id, meter())).collect(),
            balances: setup.accounts.keys().map(|id| (*id, amount("100"))).collect(),
            changed: setup.accounts.keys().copied().collect(),
            setup,
            health: Health::default(),
            heard: Vec::new(),
            writes: Vec::new(),
            reads: 0,
        }
    }

    pub(crate) fn meter(&mut self, id: u32) -> &mut FakeMeter {
        self.meters.get_mut(&MeterId(id)).unwrap()
    }

    pub(crate) fn set_balance(&mut self, account: u32, balance: &str) {
        self.balances.insert(AccountId(account), amount(balance));
        self.changed.push(AccountId(account));
    }

    pub(crate) fn top_up(&mut self, account: u32, paid: &str) {
        let balance = self.balances[&AccountId(account)] + amount(paid);
        self.balances.insert(AccountId(account), balance);
        self.changed.push(AccountId(account));
        self.control.on_top_up(AccountId(account), self.now);
    }

    /// The registry changes.
    pub(crate) fn apply(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        self.control.on_setup(Arc::new(self.setup.clone()), self.now);
    }

    /// The process ends and starts again from the book; what is in memory is lost, the meters go on.
    pub(crate) async fn restart(&mut self) {
        let loaded = persist::load(&mut self.conn, self.now).await.unwrap();
        self.control = Control::load(Arc::new(self.setup.clone()), loaded, self.now);
        self.changed = self.setup.accounts.keys().copied().collect();
    }

    pub(crate) async fn run(&mut self, minutes: i64) {
        for _ in 0..minutes * MINUTE / STEP {
            self.step(None).await;
        }
    }

    /// One step: time passes, meters are polled, control ticks, the book stores, the field acts.
    pub(crate) async fn step(&mut self, crash: Option<Crash>) -> ControlOutput {
        self.now = self.now.plus(STEP);
        let heard = std::mem::take(&mut self.heard);
        heard.iter().for_each(|observation| self.control.on_observation(observation, self.now));
        let ids: Vec<MeterId> = self.meters.keys().copied().collect();
        ids.into_iter().for_each(|id| self.poll(id));
        let balances: Vec<(AccountId, BalanceFacts)> = self.changed.iter().map(|id| (*id, self.balance(*id))).collect();
        // Freshness moves with every reading, as billing's balances do.
        let waiting: Vec<(AccountId, BalanceFacts)> = self.balances.keys().map(|id| (*id, self.balance(*id))).collect();
        let changed = if balances.is_empty() && self.now.0 / STEP % 2 == 0 { waiting } else { balances };
        let output = self.control.tick(self.now, &changed, &self.health);
        if crash == Some(Crash::BeforeCommit) {
            self.restart().await;
            return output;
        }
        let mut tx = self.conn.begin().await.unwrap();
        persist::write(&mut tx, &output.writes).await.unwrap();
        tx.commit().await.unwrap();
        self.changed.clear();
        if crash != Some(Crash::BeforeField) {
            output.field.iter().for_each(|command| self.obey(*command));
        }
        if crash.is_some() {
            self.restart().await;
        }
        output
    }

    fn balance(&self, account: AccountId) -> BalanceFacts {
        BalanceFacts {
            amount: self.balances[&account],
            as_of: Some(self.now),
            measured: true,
            rerate_pending: false,
            uncounted_debits: Amount::ZERO,
        }
    }

    fn poll(&mut self, id: MeterId) {
        let now = self.now;
        let meter = self.meters.get_mut(&id).unwrap();
        if meter.fault == Fault::Dead {
            meter.silent_for += 1;
            if meter.silent_for == 3 {
                self.control.on_observation(&Observation { meter: id, time: now, seen: Seen::Silent }, now);
            }
            return;
        }
        meter.silent_for = 0;
        let held = matches!(meter.fault, Fault::Welded | Fault::FalseZero);
        let false_zero =
            meter.fault == Fault::FalseZero && meter.opened_at.is_some_and(|at| now.since(at) < 45 * SECOND);
        let flows = meter.contact == Contact::Closed || (held && !false_zero);
        let power_mw = if flows { meter.load_mw } else { 0 };
        meter.energy_uwh += power_mw * (STEP / SECOND) * 10 / 36;
        let reading = Reading {
            meter: id,
            time: now,
            value: Value::Register(meter.energy_uwh / 1_000_000),
            instruments: Instruments {
                power_mw: Some(power_mw),
                contact: Some(meter.contact),
                ..Instruments::default()
            },
        };
        self.control.on_reading(&reading, Verdict::Accepted, now);
    }

    fn obey(&mut self, command: FieldCommand) {
        let time = self.now.plus(1);
        let (id, write) = match command {
            FieldCommand::ReadNow { meter } => (meter, None),
            FieldCommand::Write { command, meter, target, expires } => (meter, Some((command, target, expires))),
        };
        let meter = self.meters.get_mut(&id).unwrap();
        let mut tell = |seen| self.heard.push(Observation { meter: id, time, seen });
        let Some((command, target, expires)) = write else {
            self.reads += 1;
            if meter.fault != Fault::Dead {
                tell(Seen::Contact(meter.contact));
            }
            return;
        };
        assert!(time < expires, "a command leaves in time");
        if meter.fault != Fault::Dead {
            self.writes.push((command, id, target));
        }
        match meter.fault {
            Fault::Dead => tell(Seen::TimedOut(command)),
            Fault::Refuses => tell(Seen::Refused(command, 4)),
            fault => {
                meter.contact = target;
                meter.opened_at = (target == Contact::Open).then_some(time);
                tell(if fault == Fault::LostAnswer { Seen::TimedOut(command) } else { Seen::Written(command) });
            }
        }
    }

    async fn column(&mut self, sql: &'static str) -> Vec<String> {
        let rows = sqlx::query(sql).fetch_all(&mut self.conn).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    /// The commands in the book: `id action state`.
    pub(crate) async fn commands(&mut self) -> Vec<String> {
        self.column("SELECT CAST(id AS TEXT) || ' ' || action || ' ' || state FROM commands ORDER BY id").await
    }

    /// The notices in the book: `kind level`, or an alarm's text.
    pub(crate) async fn notices(&mut self) -> Vec<String> {
        self.column(
            "SELECT CASE kind WHEN 'alarm' THEN text WHEN 'low_balance' THEN kind || ' ' || CAST(level AS TEXT) \
             ELSE kind END FROM notices ORDER BY id",
        )
        .await
    }

    /// The decisions in the book, repeated ones once.
    pub(crate) async fn decisions(&mut self) -> Vec<String> {
        let mut decisions = self.column("SELECT decision FROM evaluations WHERE account_id = 1 ORDER BY id").await;
        decisions.dedup();
        decisions
    }

    /// `desired commanded observed opened_for` of meter 1.
    pub(crate) async fn supply(&mut self) -> String {
        let rows = self
            .column(
                "SELECT desired || ' ' || commanded || ' ' || observed || ' ' || COALESCE(opened_for, '-') \
                 FROM supply WHERE meter_id = 1",
            )
            .await;
        rows.into_iter().next().unwrap_or_default()
    }

    pub(crate) async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query(sql).fetch_one(&mut self.conn).await.unwrap().get(0)
    }

    pub(crate) fn conn(&mut self) -> &mut AnyConnection {
        &mut self.conn
    }
}
