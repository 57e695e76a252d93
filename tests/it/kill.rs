//! kill -9 of the real binary at seeded moments under load, an audit after each, and the same book in the end as without.
//!
//! Another seed: `METERLEDGER_SEED=7 cargo test --test it kill`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use crate::harness::{Folder, import_words, pause};
use crate::site::{SITE, minutes, registers};

const PARTS: usize = 6;
const PART_ROWS: i64 = 400;

/// What F1's readings came to.
const FILED: [&str; 4] = [
    "select count(*), sum(register_count), min(time), max(time) from readings where meter = 'F1'",
    "select verdict, count(*) from readings where meter = 'F1' group by verdict order by verdict",
    "select balance from balances where account = 'filed'",
    "select local_date, band, tier, sum(quantity), sum(amount) from charges where account = 'filed' \
     group by local_date, band, tier having sum(quantity) <> 0 order by local_date, band, tier",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    /// A seed that is printed where the test fails.
    fn new(name: &str) -> Random {
        let seed = std::env::var("METERLEDGER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
        eprintln!("{name}: METERLEDGER_SEED={seed}");
        Random(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }

    fn pause(&mut self, longest_ms: u64) {
        let time = Duration::from_millis(self.below(longest_ms));
        eprintln!("  kill after {time:?}");
        pause(time);
    }
}

fn part(place: usize) -> String {
    format!("part-{}.csv", place % PARTS)
}

/// A folder with the site and the parts of F1's series.
fn prepared() -> Folder {
    let folder = Folder::with_site(SITE);
    for (place, from) in (0..PARTS).zip((0..).step_by(usize::try_from(PART_ROWS).unwrap())) {
        folder.write(&part(place), &registers(from, PART_ROWS));
    }
    folder
}

/// The answers of a folder that nobody killed.
fn clean() -> &'static [String] {
    static ANSWERS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let folder = prepared();
        for place in 0..PARTS {
            folder.import(&part(place));
        }
        FILED.iter().map(|query| folder.sql(query)).collect()
    });
    &ANSWERS
}

fn assert_as_clean(folder: &Folder) {
    for place in 0..PARTS {
        folder.import(&part(place));
    }
    for (query, expected) in FILED.iter().zip(clean()) {
        assert_eq!(folder.sql(query), *expected, "{query}");
    }
}

/// Payments of customers who try the same key until they see that it is posted.
#[derive(Default)]
struct Customers {
    /// Keys that nobody has acknowledged, and how many were given out.
    waiting: Mutex<(Vec<u32>, u32)>,
    acknowledged: Mutex<Vec<u32>>,
}

impl Customers {
    fn next(&self) -> u32 {
        let (again, given) = &mut *self.waiting.lock().unwrap();
        again.pop().unwrap_or_else(|| {
            *given += 1;
            *given
        })
    }

    /// Pays with one key; whether that was acknowledged.
    fn pay(&self, folder: &Folder, number: u32) -> bool {
        let (amount, key) = (amount(number), format!("key-{number}"));
        let done = folder.run(&["topup", "paid", &amount, "--key", &key]);
        match done.status.success() {
            true => self.acknowledged.lock().unwrap().push(number),
            false => self.waiting.lock().unwrap().0.push(number),
        }
        done.status.success()
    }

    fn assert_each_acknowledged_once(&self, folder: &Folder) {
        let posted = folder.sql(
            "select memo, payment_key, y.amount from transfers as t join payments as y \
            on y.transfer_id = t.transfer_id where t.kind = 'topup' and y.state = 'posted'",
        );
        for number in self.acknowledged.lock().unwrap().iter() {
            let line = format!(",key-{number},{}0000000", amount(*number));
            assert_eq!(posted.lines().filter(|row| row.ends_with(&line)).count(), 1, "{line} in\n{posted}");
        }
    }
}

fn amount(number: u32) -> String {
    format!("{number}.25")
}

#[test]
fn what_a_server_acknowledged_under_load_survives_kills_and_is_posted_once() {
    let folder = prepared();
    let customers = Customers::default();
    let mut random = Random::new("server");
    for round in 0..16_usize {
        if round % 4 == 3 {
            // Killed while it opens.
            let opening = folder.start(&["serve", "--simulate"]);
            random.pause(120);
            opening.kill();
        }
        let server = folder.serve();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        customers.pay(&folder, customers.next());
                    }
                });
            }
            let importing = folder.start(&import_words(&part(round)));
            random.pause(700);
            server.kill();
            over.store(true, Ordering::Relaxed);
            importing.end();
        });
        folder.ok(&["audit"]);
        customers.assert_each_acknowledged_once(&folder);
    }
    assert!(!folder.sql("select 1 from readings where meter = 'L1' limit 1").is_empty(), "meters were polled");
    eprintln!("  {} payments acknowledged", customers.acknowledged.lock().unwrap().len());
    let rest = std::mem::take(&mut customers.waiting.lock().unwrap().0);
    for number in rest {
        assert!(customers.pay(&folder, number));
    }
    customers.assert_each_acknowledged_once(&folder);
    let given = u64::from(customers.waiting.lock().unwrap().1);
    assert_eq!(customers.acknowledged.lock().unwrap().len(), usize::try_from(given).unwrap());
    let sum = format!("{}.{:02}0000000", given * (given + 1) / 2 + given / 4, given % 4 * 25);
    assert_eq!(
        folder.sql("select count(*), sum(amount) from transfers where kind = 'topup'"),
        format!("{given},{sum}")
    );
    assert_eq!(folder.sql("select balance from balances where account = 'paid'"), sum);
    assert_as_clean(&folder);
    folder.ok(&["audit"]);
}

#[test]
fn imports_that_are_killed_at_any_moment_and_come_again_in_any_order_give_the_book_of_a_clean_run() {
    let folder = prepared();
    let mut random = Random::new("import");
    for _ in 0..16 {
        let importing = folder.start(&import_words(&part(usize::try_from(random.below(PARTS as u64)).unwrap())));
        random.pause(300);
        importing.kill();
        folder.ok(&["audit"]);
    }
    assert_as_clean(&folder);
    folder.ok(&["audit"]);
}

#[test]
fn a_large_import_that_is_killed_between_its_frames_is_finished_by_the_next() {
    let rows = 140_000;
    let folder = Folder::with_site(SITE);
    folder.write("large.csv", &minutes(rows));
    let mut random = Random::new("large import");
    for _ in 0..6 {
        let importing = folder.start(&import_words("large.csv"));
        random.pause(900);
        importing.kill();
    }
    folder.import("large.csv");
    let whole = Folder::with_site(SITE);
    whole.write("large.csv", &minutes(rows));
    whole.import("large.csv");
    for query in FILED {
        assert_eq!(folder.sql(query), whole.sql(query), "{query}");
    }
    assert!(folder.sql(FILED[0]).starts_with("140000,"));
}
