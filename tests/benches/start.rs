//! `cargo bench --bench start`: from a closed data folder with a million meters to the first answer. Target: under 10 s
//! and 1 GiB.
//!
//! `METERLEDGER_METERS` makes it smaller. The book is written by one process and opened by another, whose peak memory is
//! watched: each meter has an account with a top-up and three posted days, a state, and usage of today that is not posted
//! yet.

mod estate;
mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use engine::book::bulk::{self, Cell};
use engine::engine::{Engine, Options};
use kernel::id::{EpochId, MeterId};
use kernel::judge::{Mark, RegisterState};
use kernel::money::{Amount, Quantity};
use kernel::point::{EpochState, PointState};
use kernel::rate::TierCounter;
use kernel::time::{DAY, HOUR, LocalDate};
use wal::clock::Clock;

/// Names the folder to the process that is measured.
const FOLDER: &str = "METERLEDGER_START_FOLDER";
const ROUNDS: usize = 3;
/// Posted days.
const DAYS: i64 = 3;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if let Some(folder) = std::env::var_os(FOLDER) {
        runtime.block_on(measure(Path::new(&folder)));
        return;
    }
    let meters = std::env::var("METERLEDGER_METERS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder for the data");
    let ((), micros) = support::timed(&Clock::live(), || runtime.block_on(fill(folder.path(), meters)));
    println!("filled: a book of {meters} meters in {} s", micros / 1_000_000);
    for _ in 0..ROUNDS {
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command.env(FOLDER, folder.path()).stdin(Stdio::null());
        let peak = support::watch(command.spawn().expect("this program starts"));
        println!("peak {} MiB", peak / 1_024);
    }
}

async fn fill(folder: &Path, meters: u32) {
    let (book, version) = estate::book(folder, meters).await;
    let today = LocalDate(i32::try_from(estate::START.0 / DAY + DAYS).expect("a date"));
    let now = estate::START.plus(DAYS * DAY);
    let mut tx = book.begin().await.expect("a transaction begins");
    let ledger = (1..=meters).map(|id| -> [Cell<'_>; 5] {
        [id.into(), format!("wallet:A-{id:07}").into(), "liability".into(), id.into(), "CNY".into()]
    });
    let (cash, revenue) = (meters + 1, meters + 2);
    let others = [(cash, "cash:cash", "asset"), (revenue, "revenue:electricity", "income")];
    let others = others.map(|(id, name, kind)| -> [Cell<'_>; 5] {
        [id.into(), name.into(), kind.into(), Cell::OptionalInt(None), "CNY".into()]
    });
    let head = "INSERT INTO ledger_accounts (id, name, kind, account_id, currency) VALUES";
    bulk::insert(&mut tx, head, "", ledger.chain(others)).await.expect("the book takes rows");
    let moves = (0..=DAYS).flat_map(|day| (1..=meters).map(move |account| (day, account)));
    let transfers = (1_i64..).zip(moves).map(|(id, (day, account))| -> [Cell<'_>; 11] {
        let (kind, debit, credit, amount) = if day == 0 {
            ("topup", cash, account, "100.000000000")
        } else {
            ("usage", account, revenue, "12.345678900")
        };
        [
            id.into(),
            kind.into(),
            debit.into(),
            credit.into(),
            amount.into(),
            account.into(),
            Some(i64::from(today.0) - day).filter(|_| day > 0).into(),
            Cell::OptionalInt(None),
            now.0.into(),
            now.0.into(),
            "".into(),
        ]
    });
    let head = "INSERT INTO transfers (id, kind, debit_id, credit_id, amount, account_id, local_date, linked_id, \
                booked_at, effective_at, memo) VALUES";
    bulk::insert(&mut tx, head, "", transfers).await.expect("the book takes rows");
    let wallets = (1..=meters).map(|id| -> [Cell<'_>; 2] { [id.into(), "62.962963300".into()] });
    bulk::insert(&mut tx, "INSERT INTO wallets (account_id, posted) VALUES", "", wallets).await.expect("rows");
    let states = (1..=meters).map(|id| -> [Cell<'_>; 3] {
        let at = now.plus(HOUR);
        let register =
            RegisterState { baseline: Some(Mark { time: at, count: i64::from(id) * 7 }), ..RegisterState::default() };
        let state = PointState {
            watermark: Some(at),
            last_meter: Some(MeterId(id)),
            epochs: [EpochState { epoch: EpochId(id), last_seen: at, register }].into(),
            counter: TierCounter { period: today.month().0, used: Quantity(57_600) },
            fine_day: i32::try_from(at.0 / DAY).expect("a day"),
            shares: Vec::new().into(),
        };
        [id.into(), 0_u32.into(), state.encode().into()]
    });
    let head = "INSERT INTO service_point_states (service_point_id, seq, state) VALUES";
    bulk::insert(&mut tx, head, "", states).await.expect("the book takes rows");
    let lines = (1..=meters).map(|id| -> [Cell<'_>; 10] {
        [
            id.into(),
            id.into(),
            i64::from(today.0).into(),
            "energy".into(),
            4_u32.into(),
            1_u32.into(),
            version.id.0.into(),
            0_u32.into(),
            800_u32.into(),
            "0.264000000".into(),
        ]
    });
    let head = "INSERT INTO usage_lines (service_point_id, account_id, local_date, component, band, tier, \
                tariff_version_id, transfer_id, quantity, amount) VALUES";
    bulk::insert(&mut tx, head, "", lines).await.expect("the book takes rows");
    tx.commit().await.expect("the book is written");
    book.close().await;
    // The first opening gives the folder its log.
    let engine = Engine::open(folder, Options::new(Clock::manual(now.plus(HOUR)))).await.expect("the folder opens");
    engine.close().await.expect("the engine closes");
}

async fn measure(folder: &Path) {
    let real = Clock::live();
    let now = estate::START.plus(DAYS * DAY + HOUR);
    let began = real.now();
    let engine = Engine::open(folder, Options::new(Clock::manual(now))).await.expect("the folder opens");
    let opened = real.now().since(began);
    let balances = engine.handle().balances().await.expect("billing runs");
    let answered = real.now().since(began);
    let sum: Amount = balances.iter().map(|(_, balance)| balance.balance).sum();
    let seconds = |micros: i64| format!("{}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000);
    println!("open in {}, {} balances after {}; {sum:.2}", seconds(opened), balances.iter().count(), seconds(answered));
    drop(balances);
    engine.close().await.expect("the engine closes");
}
