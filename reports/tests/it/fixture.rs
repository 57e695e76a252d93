//! Writes the small site down: a book in SQLite, files of the lake, hot rows; and serves snapshots of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::record_batch::RecordBatch;
use engine::lake::schema;
use engine::query::{Options, QueryError, QuerySession, READINGS, SITE_DAYS, Snapshot, Source, load_book, site_days};
use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::id::SiteId;
use kernel::money::{Amount, Quantity};
use kernel::point::Row;
use kernel::reading::{Value, Verdict};
use kernel::time::{HOUR, LocalDate, Moment};
use parquet::arrow::ArrowWriter;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe};

use crate::site::{self, LineKey, mall};

/// A site in a temporary folder.
pub(crate) struct Fixture {
    pub(crate) pool: AnyPool,
    pub(crate) session: QuerySession,
    _folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("book.sqlite").display());
        let pool = AnyPoolOptions::new().max_connections(2).connect(&url).await.unwrap();
        let lake_root = folder.path().join("lake");
        let mut writer = Writer { text: String::new(), lake_root: lake_root.clone(), files: 0 };
        let hot = writer.write();
        for script in engine::book::format::SCRIPTS {
            sqlx::raw_sql(script).execute(&pool).await.unwrap();
        }
        sqlx::raw_sql(AssertSqlSafe(format!("BEGIN;\n{}COMMIT;", writer.text))).execute(&pool).await.unwrap();
        for (point, state) in site::rate().states {
            sqlx::query("INSERT INTO service_point_states VALUES ($1, 9, $2)")
                .bind(i64::from(point))
                .bind(state.encode())
                .execute(&pool)
                .await
                .unwrap();
        }
        let source = Arc::new(FixtureSource { pool: pool.clone(), lake_root, hot });
        let options = Options { target_partitions: Some(2), memory_bytes: Some(1 << 30), ..Options::default() };
        let session = QuerySession::new(source, options).unwrap();
        Fixture { pool, session, _folder: folder }
    }

    /// Plants a fault.
    pub(crate) async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await.unwrap();
    }
}

struct FixtureSource {
    pool: AnyPool,
    lake_root: PathBuf,
    hot: RecordBatch,
}

impl Source for FixtureSource {
    fn snapshot(&self, tables: &BTreeSet<String>) -> BoxFuture<'_, Result<Snapshot, QueryError>> {
        let tables = tables.clone();
        async move {
            let part = load_book(&self.pool, &tables).await?;
            let (mall, berlin, calendar) = (site::mall_days(), site::berlin_days(), site::calendar());
            let sites = [(SiteId(1), &mall, &calendar), (SiteId(2), &berlin, &calendar)];
            let site_days = tables.contains(SITE_DAYS).then(|| site_days::batch(sites)).transpose()?;
            let hot = if tables.contains(READINGS) { vec![self.hot.clone()] } else { Vec::new() };
            let lake_root = self.lake_root.clone();
            let (lake_seq, applied_seq) = (part.lake_seq, part.applied_seq);
            Ok(Snapshot { lake_root, files: part.files, lake_seq, applied_seq, hot, book: part.tables, site_days })
        }
        .boxed()
    }
}

/// A line with its transfer.
type ExportedLine = (LineKey, i64, Quantity, Amount);

struct Writer {
    text: String,
    lake_root: PathBuf,
    files: i64,
}

/// Rows from here on are hot.
fn hot_from() -> Moment {
    Moment(mall(2026, 10, 3) + 3 * HOUR)
}

impl Writer {
    fn insert(&mut self, table: &str, values: &str) {
        self.text.push_str(&format!("INSERT INTO {table} VALUES ({values});\n"));
    }

    /// Writes everything; gives the hot rows.
    fn write(&mut self) -> RecordBatch {
        self.registry();
        let rated = site::rate();
        let (hot, cold): (Vec<_>, Vec<_>) = rated.rows.into_iter().partition(|(row, _)| row.time >= hot_from());
        let mut files: BTreeMap<(&str, String), Vec<(Row, Verdict)>> = BTreeMap::new();
        for (row, verdict) in cold {
            let utility = if [2, 4].contains(&row.meter.0) { "water" } else { "electricity" };
            let month = LocalDate(i32::try_from(row.time.0.div_euclid(24 * HOUR)).unwrap()).month().to_string();
            files.entry((utility, month)).or_default().push((row, verdict));
        }
        for ((utility, month), mut rows) in files {
            rows.sort_by_key(|(row, _)| (row.meter, row.time));
            self.file("readings", utility, &month, &readings(&rows, 7));
        }
        self.money(&rated.lines);
        self.periods();
        self.control();
        readings(&hot, 8)
    }

    fn registry(&mut self) {
        let created = mall(2025, 1, 1);
        self.insert("progress", "'applied_seq', 8");
        self.insert("progress", "'lake_seq', 7");
        self.insert("policies", "1, 'standard', '{}'");
        self.insert("sites", &format!("1, 'mall', '小商城', 'Asia/Shanghai', 'CNY', NULL, 'auto', NULL, {created}"));
        self.insert("sites", &format!("2, 'haus', 'Haus', 'Europe/Berlin', 'EUR', NULL, 'shadow', NULL, {created}"));
        self.insert("locations", "1, 1, NULL, 'A-101', 'Shop 101', 'room', 12050");
        for (id, site, name, holder, location, limit) in [
            (1, 1, "A-101", "张三茶馆", "1", "0"),
            (2, 1, "B-202", "Li Si", "NULL", "10.5"),
            (3, 2, "C-303", "Schmidt", "NULL", "0"),
            (4, 1, "D-404", "Wang Wu", "NULL", "0"),
        ] {
            let values = format!(
                "{id}, {site}, '{name}', '{holder}', 'prepaid', 1, {location}, '{limit}', 1, NULL, NULL, {created}, NULL"
            );
            self.insert("accounts", &values);
        }
        for (id, (name, utility, versions)) in site::tariffs() {
            let unit = if utility == "water" { "m3" } else { "kWh" };
            self.insert("tariffs", &format!("{id}, '{name}', '{utility}', 'CNY', '{unit}'"));
            for version in versions {
                let definition = serde_json::to_string(&*version).unwrap();
                let from = version.valid_from.0;
                self.insert("tariff_versions", &format!("{}, {id}, {from}, '{definition}', {from}, NULL", version.id));
            }
        }
        for (id, site, name, utility) in [
            (1, 1, "A-101-E", "electricity"),
            (2, 1, "A-101-W", "water"),
            (3, 1, "B-202-E", "electricity"),
            (4, 2, "C-303-E", "electricity"),
        ] {
            let unit = if utility == "water" { "m3" } else { "kWh" };
            self.insert("service_points", &format!("{id}, {site}, '{name}', '{utility}', NULL, '{unit}'"));
        }
        for (id, (point, account, tariff, from, to)) in (1..).zip(site::contracts()) {
            let to = to.map_or("NULL".to_owned(), |to| to.to_string());
            self.insert("contracts", &format!("{id}, {point}, {account}, {tariff}, {from}, {to}, NULL, NULL, NULL"));
        }
        for (id, serial, utility, kind, site) in [
            (1, "E-1", "electricity", "register", 1),
            (2, "W-1", "water", "register", 1),
            (3, "E-3", "electricity", "usage", 1),
            (4, "W-2", "water", "register", 1),
            (5, "E-5", "electricity", "usage", 2),
        ] {
            let relay = i64::from(id == 1);
            let values = format!(
                "{id}, {site}, '{serial}', 'fixture', '{utility}', '{kind}', 10, 1, NULL, NULL, 10000000, {relay}, 5000000"
            );
            self.insert("meters", &values);
        }
        for epoch in site::epochs() {
            let definition = serde_json::to_string(&epoch).unwrap();
            let to = epoch.valid_to.map_or("NULL".to_owned(), |to| to.0.to_string());
            let values = format!(
                "{}, {}, {}, {}, {to}, '{definition}', NULL, NULL",
                epoch.id, epoch.meter, epoch.service_point, epoch.valid_from.0
            );
            self.insert("epochs", &values);
        }
    }

    /// Days before 2026-10-03 are posted, months before 2026-10 are in the lake.
    fn money(&mut self, lines: &BTreeMap<LineKey, (Quantity, Amount)>) {
        let ledger = [
            (1, "wallet:A-101", "liability", "1", "CNY"),
            (2, "wallet:B-202", "liability", "2", "CNY"),
            (3, "wallet:C-303", "liability", "3", "EUR"),
            (10, "cash:cash", "asset", "NULL", "CNY"),
            (11, "cash:wechat", "asset", "NULL", "CNY"),
            (20, "revenue:electricity", "income", "NULL", "CNY"),
            (21, "revenue:water", "income", "NULL", "CNY"),
            (22, "revenue:electricity:EUR", "income", "NULL", "EUR"),
            (30, "suspense", "liability", "NULL", "CNY"),
            (31, "deposit:A-101", "liability", "1", "CNY"),
            (4, "wallet:D-404", "liability", "4", "m3"),
            (32, "units:water", "asset", "NULL", "m3"),
            (33, "revenue:water:units", "income", "NULL", "CNY"),
            (34, "rounding", "income", "NULL", "CNY"),
        ];
        for (id, name, kind, account, currency) in ledger {
            self.insert("ledger_accounts", &format!("{id}, '{name}', '{kind}', {account}, '{currency}'"));
        }
        let noon = mall(2026, 9, 28) + 12 * HOUR;
        for (id, account, channel, cash, amount, at) in [
            (1, 1, "cash", 10, "800.000000000", noon),
            (2, 2, "wechat", 11, "120.500000000", noon + HOUR),
            (3, 1, "wechat", 11, "300.000000000", mall(2026, 10, 2) + 9 * HOUR),
        ] {
            self.insert(
                "transfers",
                &format!("{id}, 'topup', {cash}, {account}, '{amount}', {account}, NULL, NULL, {at}, {at}, 'top-up'"),
            );
            self.insert("payments", &format!("{id}, 'key-{id}', {account}, '{channel}', '{channel}', 'tx-{id}', '{amount}', 'posted', {at}, {at}, {id}, 'desk'"));
        }
        self.insert(
            "payments",
            &format!("4, 'key-4', 2, 'wechat', 'wechat', 'tx-4', '50.000000000', 'pending', {noon}, NULL, NULL, 'app'"),
        );

        self.orders(noon);
        self.users(noon);
        self.units(noon + 2 * HOUR);
        let posted_before = LocalDate::new(2026, 10, 3).unwrap();
        let mut transfers: BTreeMap<(u32, LocalDate, i64), (i64, Amount)> = BTreeMap::new();
        let mut exported: BTreeMap<(&str, String), Vec<ExportedLine>> = BTreeMap::new();
        for (key, (quantity, amount)) in lines {
            let (point, account, date, band, tier, version) = *key;
            let utility = if point == 2 { "water" } else { "electricity" };
            let revenue = match point {
                2 => 21,
                4 => 22,
                _ => 20,
            };
            let mut transfer_id = 0;
            if date < posted_before {
                let next = 100 + i64::try_from(transfers.len()).unwrap();
                let transfer = transfers.entry((account, date, revenue)).or_insert((next, Amount::ZERO));
                transfer.1 += *amount;
                transfer_id = transfer.0;
            }
            if date.month().to_string().as_str() < "2026-10" {
                let file = exported.entry((utility, date.month().to_string())).or_default();
                file.push((*key, transfer_id, *quantity, *amount));
            } else {
                let values = format!(
                    "{point}, {account}, {}, 'energy', {}, {tier}, {version}, {transfer_id}, {}, '{amount}'",
                    date.0, band as u8, quantity.0
                );
                self.insert("usage_lines", &values);
            }
        }
        for ((account, date, revenue), (id, amount)) in transfers {
            let at = i64::from(date.0 + 1) * 24 * HOUR;
            self.insert(
                "transfers",
                &format!(
                    "{id}, 'usage', {account}, {revenue}, '{amount}', {account}, {}, NULL, {at}, {at}, 'usage'",
                    date.0
                ),
            );
        }
        for ((utility, month), lines) in exported {
            self.file("charges", utility, &month, &charges(&lines));
        }
    }

    /// Orders that leave every wallet as it was: each is undone, or waits.
    fn orders(&mut self, at: i64) {
        for (id, kind, debit, credit, amount, account, linked) in [
            (4, "capture", 1, 31, "50.000000000", 1, "NULL"),
            (5, "reversal", 31, 1, "50.000000000", 1, "4"),
            (6, "suspense", 10, 30, "25.000000000", 0, "NULL"),
            (7, "refund", 1, 10, "20.000000000", 1, "NULL"),
            (8, "reversal", 10, 1, "20.000000000", 1, "7"),
        ] {
            let values = format!(
                "{id}, '{kind}', {debit}, {credit}, '{amount}', {account}, NULL, {linked}, {at}, {at}, 'an order'"
            );
            self.insert("transfers", &values);
        }
        let hash = "0".repeat(64);
        for (key, kind, hash, transfer, subject) in [
            ("key-1", "topup", "", "1", "1"),
            ("key-2", "topup", "", "2", "2"),
            ("key-3", "topup", "", "3", "3"),
            ("key-4", "topup", "", "NULL", "4"),
            ("hold-1", "hold", &hash, "NULL", "1"),
            ("capture-1", "hold_capture", &hash, "4", "1"),
            ("reversal-1", "reversal", &hash, "5", "4"),
            ("suspense-1", "suspense", &hash, "6", "1"),
            ("refund-1", "refund", &hash, "NULL", "1"),
            ("reversal-2", "reversal", &hash, "8", "7"),
            ("refund-2", "refund", &hash, "NULL", "2"),
            ("hold-2", "hold", &hash, "NULL", "2"),
        ] {
            self.insert("money_keys", &format!("'{key}', '{kind}', '{hash}', {transfer}, {subject}, 'desk', {at}"));
        }
        let later = at + HOUR;
        self.insert(
            "holds",
            &format!("1, 1, '60.000000000', 'key card', 'captured', {at}, NULL, {later}, '50.000000000', 4, 'desk'"),
        );
        self.insert(
            "holds",
            &format!("2, 2, '5.000000000', 'parcel', 'expired', {at}, {later}, {later}, NULL, NULL, 'desk'"),
        );
        self.insert(
            "refunds",
            &format!(
                "1, 1, '20.000000000', 'cash', 'left', 'reversed', '0.000000000', 'desk', {at}, 'head', {later}, 7"
            ),
        );
        self.insert(
            "refunds",
            &format!("2, 1, '3.000000000', 'cash', 'left', 'requested', '0.000000000', 'desk', {at}, NULL, NULL, NULL"),
        );
        self.insert(
            "suspense",
            &format!("1, 'suspense-1', '陈', '25.000000000', 'CNY', 'cash', 'open', {at}, 6, NULL, NULL, NULL, 'desk'"),
        );
    }

    /// Who asks.
    fn users(&mut self, at: i64) {
        self.insert("users", &format!("1, 'head', '王', {at}, NULL"));
        self.insert("users", &format!("2, 'desk', NULL, {at}, {}", at + HOUR));
        for (user, role) in [(1, "approver"), (1, "admin"), (2, "cashier")] {
            self.insert("user_roles", &format!("{user}, '{role}'"));
        }
        self.insert("tokens", &format!("1, 1, 'api', 'nightly', {at}, {}, NULL", at + HOUR));
        self.insert("keep_power", &format!("1, 1, {at}, {}, 'a child is ill', 'head', NULL, NULL", at + HOUR));
    }

    /// An account that buys water by the cubic metre, and has bought some.
    fn units(&mut self, at: i64) {
        self.insert("unit_accounts", "4, 'm3'");
        for (id, kind, debit, credit, amount, linked) in [
            (11, "topup", 10, 33, "100.000000000", "NULL"),
            (12, "unit_sale", 32, 4, "30.769000000", "11"),
            (13, "unit_sale", 33, 34, "0.000750000", "11"),
        ] {
            let values =
                format!("{id}, '{kind}', {debit}, {credit}, '{amount}', 4, NULL, {linked}, {at}, {at}, 'units bought'");
            self.insert("transfers", &values);
        }
        self.insert(
            "payments",
            &format!("5, 'key-5', 4, 'cash', 'cash', 'tx-5', '100.000000000', 'posted', {at}, {at}, 11, 'desk'"),
        );
        self.insert("money_keys", &format!("'key-5', 'topup', '', 11, 5, 'desk', {at}"));
        let values = format!("1, 4, {at}, 'water', 3, 3250000, 30769, '100.000000000', '0.000750000', 11, 12, 'sold'");
        self.insert("unit_sales", &values);
    }

    /// What leaves all charges as they are: a month in review, an adjustment that was superseded, a correction of before.
    fn periods(&mut self) {
        let (at, month) = (mall(2026, 10, 2) + 10 * HOUR, 12 * 2026 + 7);
        self.insert("periods", &format!("1, {month}, 'review', {at}, 'desk', NULL"));
        self.insert(
            "adjustments",
            &format!(
                "1, 2, 'electricity', {month}, 'superseded', 'late', 'readings came after the close', '0.500000000', \
                 'billing', {at}, NULL, NULL, NULL, NULL, NULL"
            ),
        );
        let day = LocalDate::new(2026, 8, 14).unwrap().0;
        self.insert(
            "adjustment_lines",
            &format!("1, 3, {day}, 'energy', 0, 1, 1, 2000, '1.000000000', 1000, '0.500000000', 0"),
        );
        let said = mall(2026, 9, 1) + HOUR;
        self.insert(
            "corrections",
            &format!("1, 1, {said}, 'register', NULL, 1000, 'read by hand', 'desk', {at}, 13, 2"),
        );
        self.insert(
            "corrections",
            &format!("2, 1, {said}, 'void', NULL, NULL, 'it was another meter', 'head', {at}, 13, NULL"),
        );
    }

    fn control(&mut self) {
        let at = mall(2026, 10, 2) + 8 * HOUR;
        self.insert("supply", &format!("1, 1, 'closed', 'closed', 'closed', {at}, NULL, {at}, NULL"));
        self.insert(
            "commands",
            &format!(
                "1, 1, 1, 'open', 'verified', 0, 'balance below 0', NULL, 'control', {at}, {}, {at}, {}, 1, '{{}}'",
                at + HOUR,
                at + 1_000_000
            ),
        );
        self.insert(
            "commands",
            &format!(
                "2, 1, 1, 'close', 'queued', 1, 'topped up', NULL, 'control', {}, {}, NULL, NULL, 0, '{{}}'",
                at + HOUR,
                at + 2 * HOUR
            ),
        );
        self.insert("notices", &format!("1, 1, 1, 'low_balance', 2, '余额不足', '19.990000000', {at}"));
    }

    fn file(&mut self, table: &str, utility: &str, month: &str, rows: &RecordBatch) {
        self.files += 1;
        let path = format!("{table}/utility={utility}/month={month}/{}.parquet", self.files);
        let bytes = write_parquet(&self.lake_root.join(&path), rows);
        let values = format!(
            "{}, '{table}', '{path}', '{utility}', '{month}', {}, {bytes}, 1, 7, 0",
            self.files,
            rows.num_rows()
        );
        self.insert("lake_files", &values);
    }
}

fn write_parquet(path: &Path, rows: &RecordBatch) -> u64 {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    std::fs::metadata(path).unwrap().len()
}

fn readings(rows: &[(Row, Verdict)], seq: i64) -> RecordBatch {
    let long = |read: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(row, _)| read(row)).collect::<Int64Array>())
    };
    let time = |read: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef {
        let times = rows.iter().map(|(row, _)| read(row)).collect::<TimestampMicrosecondArray>();
        Arc::new(times.with_timezone("UTC"))
    };
    let polled = |row: &Row, value| matches!(row.value, Value::Register(_)).then_some(value);
    let contact = |row: &Row| (row.meter.0 == 1).then_some(2);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(row, _)| i32::try_from(row.meter.0).ok()).collect::<Int32Array>()),
        time(&|row| Some(row.time.0)),
        time(&|row| match row.value {
            Value::Usage { start, .. } => Some(start.0),
            Value::Register(_) => None,
        }),
        long(&|row| match row.value {
            Value::Usage { quantity, .. } => Some(quantity.0),
            Value::Register(count) => Some(count),
        }),
        long(&|row| polled(row, 1_234_567)),
        long(&|row| polled(row, 230_100)),
        long(&|row| polled(row, 5_020)),
        long(&|row| polled(row, 987)),
        Arc::new(rows.iter().map(|(row, _)| contact(row)).collect::<Int8Array>()),
        time(&|row| Some(row.received_at.0)),
        long(&|_| Some(seq)),
        Arc::new(rows.iter().map(|(_, verdict)| i8::try_from(verdict.code()).ok()).collect::<Int8Array>()),
    ];
    RecordBatch::try_new(Arc::clone(&schema::READINGS), columns).unwrap()
}

fn charges(lines: &[ExportedLine]) -> RecordBatch {
    let id = |read: fn(&LineKey) -> u32| -> ArrayRef {
        Arc::new(lines.iter().map(|(key, ..)| i32::try_from(read(key)).ok()).collect::<Int32Array>())
    };
    let amounts: Decimal128Array = lines.iter().map(|line| Some(line.3.0)).collect();
    let columns: Vec<ArrayRef> = vec![
        id(|key| key.0),
        id(|key| key.1),
        Arc::new(lines.iter().map(|(key, ..)| Some(key.2.0)).collect::<Date32Array>()),
        Arc::new(lines.iter().map(|_| Some("energy")).collect::<StringArray>()),
        Arc::new(lines.iter().map(|(key, ..)| i8::try_from(key.3 as u8).ok()).collect::<Int8Array>()),
        Arc::new(lines.iter().map(|(key, ..)| i16::try_from(key.4).ok()).collect::<Int16Array>()),
        id(|key| key.5),
        Arc::new(lines.iter().map(|line| Some(line.1)).collect::<Int64Array>()),
        Arc::new(lines.iter().map(|line| Some(line.2.0)).collect::<Int64Array>()),
        Arc::new(amounts.with_precision_and_scale(38, 9).unwrap()),
    ];
    RecordBatch::try_new(Arc::clone(&schema::CHARGES), columns).unwrap()
}
