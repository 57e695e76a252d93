//! From a data folder to a writer that goes on where the last one stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::id::{AccountId, Seq, ServicePointId, TariffVersionId, Utility};
use kernel::money::Quantity;
use kernel::point::PointState;
use kernel::reading::Verdict;
use kernel::time::{LocalDate, LocalMonth, Moment};
use sqlx::{AnyConnection, Row as _};
use wal::clock::Clock;
use wal::{Disk, Recovered};

use super::adjustments::Adjustments;
use super::charging::Charging;
use super::error::BillingError;
use super::hot::Hot;
use super::lines::{ComponentName, LineKey, Sum};
use super::posting::Numbers;
use super::pricing::{Pricing, Wallet};
use super::writer::Writer;
use crate::book::ledger::{self, LedgerAccounts};
use crate::book::pages::{self, Select, unhex};
use crate::book::{Book, BookError, closings, holds};
use crate::lake::file::sweep;
use crate::lake::flush::LakeFile;
use crate::registry::Registry;

/// Where everything of a data folder lies.
#[derive(Clone, Debug)]
pub struct Places {
    /// Segments of the log.
    pub log: PathBuf,
    /// Files of the lake.
    pub lake: PathBuf,
}

impl Places {
    /// The places in a data folder.
    #[must_use]
    pub fn of(folder: &Path) -> Places {
        Places { log: folder.join("wal"), lake: folder.join("lake") }
    }
}

impl Writer {
    /// Loads what the book holds and prices what the log holds beyond it. The log must be open already.
    ///
    /// # Errors
    /// [`BillingError`] where book, log and lake do not belong together or are damaged.
    pub async fn recover(
        book: Book,
        registry: Arc<Registry>,
        clock: Clock,
        places: &Places,
        disk: Arc<dyn Disk>,
        log: &Recovered,
    ) -> Result<Writer, BillingError> {
        let applied = progress(&book, "applied_seq").await?;
        let lake_seq = progress(&book, "lake_seq").await?;
        if log.log_id.0 != book.log_id() {
            return Err(BillingError::Apart(format!(
                "the log in {} belongs to another book (log {:016x}, book {:016x}): put the folder back together from one \
                 backup",
                places.log.display(),
                log.log_id.0,
                book.log_id()
            )));
        }
        if log.last_seq.0 < applied {
            return Err(BillingError::Apart(format!(
                "the log in {} ends at frame {}, but the book includes frame {applied}: segments are missing; restore \
                 them from a backup",
                places.log.display(),
                log.last_seq.0
            )));
        }
        let files = lake_files(&mut *book.snapshot().await?).await?;
        if let Some(lost) = files.iter().find(|file| !places.lake.join(&file.path).exists()) {
            return Err(BillingError::Apart(format!(
                "the book lists {}, which is not in {}: put the folder back together from one backup; nothing was changed",
                lost.path,
                places.lake.display()
            )));
        }
        let mut writer = Writer {
            numbers: numbers(&book).await?,
            overrides: overrides(&book).await?,
            posted_until: posted_until(&book).await?,
            rerated: super::supply::load_rerated(&book).await?,
            kept: super::keep::load(&book).await?,
            adjustments: Adjustments::load(&book).await?,
            corrections: Arc::new(super::corrections::load(&mut *book.snapshot().await?).await?),
            corrected: std::collections::BTreeMap::new(),
            holds: holds::all_standing(&book).await?,
            closed: closings::arrears(&book).await?,
            book,
            clock,
            lake: places.lake.clone(),
            log: places.log.clone(),
            disk,
            hot: Arc::new(Hot::new(lake_seq)),
            registry,
            pricing: Pricing::default(),
            files,
            ledger: LedgerAccounts::default(),
            priced: Seq(applied),
            settled: Seq(applied),
            unsettled_rows: 0,
            hot_verdicts: std::collections::BTreeMap::new(),
            filed: super::late::Overrides::new(),
            divided: std::collections::BTreeMap::new(),
            flushing_through: 0,
            control: None,
            origin: None,
            closing: None,
            recorded: None,
            approval: None,
            charging: Charging::default(),
            closed_until: Moment(i64::MIN),
            broken: None,
        };
        writer.charging.follow(&writer.registry);
        // Before the service points: what building a map takes for a moment is gone when they come.
        writer.load_wallets().await?;
        writer.pricing.follow(&writer.registry);
        writer.pricing.held = writer.adjustments.waiting().collect();
        writer.load_points().await?;
        writer.replay(applied, lake_seq, log.last_seq.0).await?;
        // Only now: in a folder with an older book, whose log has lost its beginning, unlisted files are no orphans.
        let swept = sweep(&places.lake, |path| writer.files.iter().any(|file| file.path == path))?;
        if swept > 0 {
            tracing::info!(swept, "removed files of the lake that a crash left unlisted");
        }
        writer.settle().await?;
        Ok(writer)
    }

    async fn load_wallets(&mut self) -> Result<(), BookError> {
        let wallet = |posted| Wallet { posted, ..Wallet::default() };
        let posted = ledger::wallets(&self.book).await?;
        self.pricing.wallets = posted.into_iter().map(|(account, posted)| (account, wallet(posted))).collect();
        for hold in self.holds.values() {
            self.pricing.wallets.entry(hold.account).or_default().held += hold.amount;
        }
        Ok(())
    }

    async fn load_points(&mut self) -> Result<(), BillingError> {
        let mut snapshot = self.book.snapshot().await?;
        let points = &mut self.pricing.points;
        let select = Select {
            table: "service_point_states",
            key: "service_point_id",
            columns: &["service_point_id", "hex(state) AS state"],
            condition: "1 = 1",
        };
        pages::each::<BillingError>(&mut snapshot, &select, |line| {
            let id = point_id(line.get("service_point_id")?);
            let bytes = unhex(line.get("state")?).ok_or_else(|| line.fault("state", "is no state"))?;
            let state = PointState::decode(&bytes).map_err(|fault| BillingError::State { point: id, fault })?;
            if let Some(point) = points.get_mut(&id) {
                point.state = state;
            }
            Ok(())
        })
        .await?;
        let accruals = &mut self.pricing.accruals;
        let columns = &["service_point_id", "accrued_through"];
        let select = Select { key: "service_point_id", ..Select::all("accruals", columns) };
        pages::each::<BillingError>(&mut snapshot, &select, |line| {
            let through = LocalDate(i32::try_from(line.get::<i64>("accrued_through")?).unwrap_or(i32::MAX));
            accruals.load(point_id(line.get("service_point_id")?), through);
            Ok(())
        })
        .await?;
        let select = Select {
            table: "usage_lines",
            key: "service_point_id",
            columns: &[
                "account_id",
                "local_date",
                "tariff_version_id",
                "band",
                "tier",
                "component",
                "amount",
                "quantity",
                "service_point_id",
            ],
            condition: "transfer_id = 0",
        };
        let (points, wallets) = (&mut self.pricing.points, &mut self.pricing.wallets);
        pages::each::<BillingError>(&mut snapshot, &select, |line| {
            let int = |column: &str| line.get::<i64>(column);
            let key = LineKey {
                account: AccountId(u32::try_from(int("account_id")?).unwrap_or(u32::MAX)),
                date: LocalDate(i32::try_from(int("local_date")?).unwrap_or(i32::MAX)),
                version: TariffVersionId(u32::try_from(int("tariff_version_id")?).unwrap_or(u32::MAX)),
                band: u8::try_from(int("band")?).unwrap_or(u8::MAX),
                tier: u16::try_from(int("tier")?).unwrap_or(u16::MAX),
                component: ComponentName::of(line.get("component")?),
            };
            let amount = ledger::amount(line.get("amount")?, "usage_lines.amount")?;
            let sum = Sum { quantity: Quantity(int("quantity")?), amount };
            if let Some(point) = points.get_mut(&point_id(int("service_point_id")?)) {
                point.lines.load(key, sum);
            }
            wallets.entry(key.account).or_default().unposted += amount;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Frames that the book includes become hot rows with their verdicts; later ones are priced.
    async fn replay(&mut self, applied: u64, lake_seq: u64, last: u64) -> Result<(), BillingError> {
        if lake_seq < last {
            let frames = wal::read_from(&self.log, Arc::clone(&self.disk), Seq(lake_seq + 1));
            for frame in frames {
                let (seq, payload) = frame?;
                let payload = Arc::new(payload);
                if seq.0 <= applied {
                    self.hot.push(seq, payload, Verdict::Accepted);
                } else {
                    self.hot.push(seq, Arc::clone(&payload), Verdict::Pending);
                    self.price(seq, &payload);
                }
            }
        }
        let sql = "SELECT seq, row_index, verdict FROM hot_verdicts";
        for row in sqlx::query(sql).fetch_all(self.book.reader()).await.map_err(BookError::from)? {
            let int = |column: usize| row.try_get::<i64, _>(column).map_err(BookError::from);
            let (seq, at) = (Seq(int(0)?.unsigned_abs()), usize::try_from(int(1)?).unwrap_or(usize::MAX));
            let code = u8::try_from(int(2)?).unwrap_or(0);
            if seq.0 <= applied {
                self.hot.set_verdicts(seq, [(at, Verdict::from_code(code).unwrap_or(Verdict::Pending))]);
            }
        }
        Ok(())
    }
}

fn point_id(value: i64) -> ServicePointId {
    ServicePointId(u32::try_from(value).unwrap_or(u32::MAX))
}

async fn progress(book: &Book, name: &'static str) -> Result<u64, BookError> {
    let query = sqlx::query("SELECT value FROM progress WHERE name = $1").bind(name);
    Ok(query.fetch_one(book.reader()).await?.try_get::<i64, _>(0)?.unsigned_abs())
}

async fn numbers(book: &Book) -> Result<Numbers, BookError> {
    let transfers = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM transfers").fetch_one(book.reader()).await?;
    let lines = "SELECT COALESCE(MIN(least), 0) FROM posted_lines";
    let lines = sqlx::query(lines).fetch_one(book.reader()).await?;
    Ok(Numbers { transfer: transfers.try_get::<i64, _>(0)? + 1, unmoved: lines.try_get::<i64, _>(0)?.min(0) - 1 })
}

async fn overrides(book: &Book) -> Result<super::late::Overrides, BookError> {
    let rows = sqlx::query("SELECT meter_id, time, value, verdict FROM verdict_overrides");
    let mut overrides = super::late::Overrides::new();
    for row in rows.fetch_all(book.reader()).await? {
        let meter = kernel::id::MeterId(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX));
        let code = u8::try_from(row.try_get::<i64, _>(3)?).unwrap_or(0);
        let verdict = Verdict::from_code(code).unwrap_or(Verdict::Pending);
        overrides.insert((meter, Moment(row.try_get(1)?), row.try_get(2)?), verdict);
    }
    Ok(overrides)
}

async fn posted_until(book: &Book) -> Result<std::collections::BTreeMap<AccountId, LocalDate>, BookError> {
    // One text for all accounts, 16 MB for a million: see `book::pages`.
    let sql = "SELECT json_group_array(json_array(account_id, until)) FROM \
               (SELECT account_id, MAX(local_date) AS until FROM transfers WHERE kind = 'usage' GROUP BY account_id)";
    let row = sqlx::query(sql).fetch_one(book.reader()).await?;
    let all: Vec<(u32, i32)> = serde_json::from_str(row.try_get(0)?)
        .map_err(|error| crate::book::malformed(format!("transfers, account_id and local_date: {error}")))?;
    Ok(all.into_iter().map(|(account, until)| (AccountId(account), LocalDate(until))).collect())
}

/// All files of the lake as one connection sees them, oldest first.
pub(crate) async fn lake_files(connection: &mut AnyConnection) -> Result<Vec<LakeFile>, BookError> {
    let sql = "SELECT table_name, path, utility, month, row_count, byte_count, first_seq, last_seq FROM lake_files \
               ORDER BY id";
    let mut files = Vec::new();
    for row in sqlx::query(sql).fetch_all(connection).await? {
        let (table, utility, month): (String, String, String) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
        let place =
            || crate::book::malformed(format!("lake_files: table {table:?}, utility {utility:?}, month {month:?}"));
        files.push(LakeFile {
            table: match table.as_str() {
                "readings" => "readings",
                "charges" => "charges",
                _ => return Err(place()),
            },
            path: row.try_get(1)?,
            utility: Utility::parse(&utility).ok_or_else(place)?,
            month: LocalMonth::parse(&month).ok_or_else(place)?,
            rows: usize::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0),
            bytes: row.try_get::<i64, _>(5)?.unsigned_abs(),
            first_seq: row.try_get::<i64, _>(6)?.unsigned_abs(),
            last_seq: row.try_get::<i64, _>(7)?.unsigned_abs(),
        });
    }
    Ok(files)
}
