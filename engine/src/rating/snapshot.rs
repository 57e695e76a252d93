//! What is rated from: the lake's files, the hot rows above them and the states with which months began, all as one
//! commit of the book left them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kernel::component::facts::FactFault;
use kernel::id::ServicePointId;
use kernel::point::{PointState, StateFault};
use kernel::time::{LocalMonth, Moment};
use sqlx::{AnyConnection, Row as _};

use super::work::{Pair, Rerated, Span, Work};
use crate::billing::component_facts::AccountMonth;
use crate::billing::corrections::{self, Corrections};
use crate::billing::hot::HotFrame;
use crate::billing::recovery::lake_files;
use crate::billing::rerate::Start;
use crate::book::BookError;
use crate::engine::Handle;
use crate::lake::file::LakeError;
use crate::lake::flush::LakeFile;
use crate::registry::Registry;

/// Why rating over the lake gave no result. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RatingError {
    /// The book.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A stored state of a service point cannot be read.
    #[error(
        "a stored state of service point {point} cannot be read ({fault:?}): use the newer meterledger that wrote it, or restore a backup"
    )]
    State {
        /// Whose.
        point: ServicePointId,
        /// Why.
        fault: StateFault,
    },
    /// Charges beside energy of a month are beyond the kernel's bounds.
    #[error(
        "the components of account {} at service point {} in {} cannot be worked out ({fault:?}): correct the tariff, or the readings", of.account, of.point, of.month
    )]
    Components {
        /// Whose month.
        of: AccountMonth,
        /// Why.
        fault: FactFault,
    },
    /// A thread of the rating panicked.
    #[error("rating has stopped: {0}; its last message in the log says why")]
    Stopped(String),
}

/// Readings as one commit of the book left them.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The lake's folder.
    pub root: PathBuf,
    /// The files that the book lists.
    pub files: Vec<LakeFile>,
    /// The frames that are priced and not in those files.
    pub frames: Vec<HotFrame>,
    /// What people say instead of some of them.
    pub corrections: Corrections,
}

impl Handle {
    /// A snapshot of all priced readings, and the work on `pairs` that gives the lines of `span`: each from the last
    /// stored state before it, or from the beginning where a state made by the one set of terms does not serve the other.
    /// Members of pools that are missing among `pairs` are rated along, by the terms of the registry.
    ///
    /// # Errors
    /// [`RatingError`].
    pub async fn rating_work(&self, pairs: Vec<Pair>, span: Span) -> Result<(Snapshot, Vec<Work>), RatingError> {
        let units = units(pairs, &self.registry());
        let mut months: BTreeMap<ServicePointId, LocalMonth> = BTreeMap::new();
        for unit in units.iter().filter(|unit| unit.iter().all(|(pair, _)| pair.shares_states())) {
            let month = |pair: &Pair| Some((pair.id(), pair.new.month_of(span.start(&pair.new))?.month));
            months.extend(unit.iter().filter_map(|(pair, _)| month(pair)));
        }
        let latest = months.values().min().copied();
        loop {
            let mut transaction = self.book().snapshot().await?;
            let (applied, lake_seq) = progress(&mut transaction).await?;
            let files = lake_files(&mut transaction).await?;
            let corrections = corrections::load(&mut transaction).await?;
            let pairs = || units.iter().flatten().map(|(pair, _)| pair);
            let mut starts = starts(&mut transaction, pairs, &months).await?;
            drop(transaction);
            let (floor, mut frames) = self.hot().snapshot();
            if floor > lake_seq {
                // A filing ended between the two: its frames are in files that this reading does not list.
                continue;
            }
            // Billing may have judged more than the book includes: a snapshot says what the book says.
            frames.retain(|frame| lake_seq < frame.seq.0 && frame.seq.0 <= applied);
            let work = units.into_iter().map(|unit| {
                let months = unit.iter().all(|(pair, _)| months.contains_key(&pair.id()));
                together(unit, latest.filter(|_| months), &mut starts)
            });
            let work = work.collect();
            return Ok((Snapshot { root: self.lake().to_path_buf(), files, frames, corrections }, work));
        }
    }
}

/// Frames priced, and frames in the lake.
async fn progress(connection: &mut AnyConnection) -> Result<(u64, u64), BookError> {
    let rows = sqlx::query("SELECT name, value FROM progress").fetch_all(connection).await?;
    let mut found = BTreeMap::new();
    for row in rows {
        found.insert(row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?.unsigned_abs());
    }
    let of = |name: &str| found.get(name).copied().unwrap_or(0);
    Ok((of("applied_seq"), of("lake_seq")))
}

/// What is rated together, with whether anybody asked for it: each pair, or all members of its pool.
fn units(pairs: Vec<Pair>, registry: &Registry) -> Vec<Vec<(Pair, bool)>> {
    let (mut units, mut pools) = (Vec::with_capacity(pairs.len()), BTreeMap::new());
    for pair in pairs {
        match pair.pool().map(Arc::clone) {
            None => units.push(vec![(pair, true)]),
            Some(pool) => {
                let asked: &mut BTreeMap<ServicePointId, Pair> = pools.entry(pool).or_default();
                asked.insert(pair.id(), pair);
            }
        }
    }
    for (pool, mut asked) in pools {
        let compares = asked.values().any(|pair| pair.old.is_some());
        let members = pool.iter().filter_map(|id| match asked.remove(id) {
            Some(pair) if compares && pair.old.is_none() => {
                Some((Pair { old: Some(Arc::clone(&pair.new)), ..pair }, true))
            }
            Some(pair) => Some((pair, true)),
            None => {
                let setup = Arc::clone(registry.setup(*id)?);
                let pair = if compares { Pair::between(Arc::clone(&setup), setup) } else { Pair::of(setup) };
                Some((pair, false))
            }
        });
        units.push(members.collect());
    }
    units
}

/// Work on what is rated together: from the states of a month where there is one, else from the beginning. Members of a pool
/// are charged together from where that month begins.
fn together(unit: Vec<(Pair, bool)>, month: Option<LocalMonth>, starts: &mut BTreeMap<ServicePointId, Start>) -> Work {
    let days = unit.first().map(|(pair, _)| &pair.new.terms.days);
    let begins = month.and_then(|month| days?.on(month.first_day())).map(|day| day.start);
    let charged_after = begins.filter(|_| unit.len() > 1);
    let members = unit.into_iter().map(|(pair, asked)| {
        let mut start = starts.remove(&pair.id()).unwrap_or_else(Start::beginning);
        start.charged_after = charged_after.unwrap_or(start.charged_after);
        Rerated { pair, start, asked }
    });
    Work { members: members.collect() }
}

/// Where to start each pair from whose month a state is stored, with the earlier states that gaps look back from.
async fn starts<'a, P: Iterator<Item = &'a Pair>>(
    connection: &mut AnyConnection,
    pairs: impl Fn() -> P,
    months: &BTreeMap<ServicePointId, LocalMonth>,
) -> Result<BTreeMap<ServicePointId, Start>, RatingError> {
    let mut starts = BTreeMap::new();
    let mut earlier: BTreeMap<LocalMonth, BTreeMap<ServicePointId, LocalMonth>> = BTreeMap::new();
    let mut states = checkpoints(connection, months).await?;
    let begins = |pair: &Pair, month: LocalMonth| pair.new.terms.days.on(month.first_day()).map(|day| day.start);
    for pair in pairs() {
        let Some((month, state)) = states.remove(&pair.id()) else { continue };
        let Some(after) = begins(pair, month) else { continue };
        let setups = pair.old.iter().chain([&pair.new]);
        if let Some(back_to) = setups.filter_map(|setup| setup.point().looks_back_to(&state, after)).min() {
            // A month's state includes the readings up to its first instant. Most look back from the month before.
            let month = pair.new.month_of(back_to).map_or(LocalMonth(i32::MIN), |month| month.month);
            earlier.entry(month).or_default().insert(pair.id(), month);
        }
        starts.insert(pair.id(), Start::new((state, after), None));
    }
    for wanted in earlier.values() {
        let mut states = checkpoints(connection, wanted).await?;
        for pair in pairs().filter(|pair| wanted.contains_key(&pair.id())) {
            let Some(start) = starts.get_mut(&pair.id()) else { continue };
            let stored = states.remove(&pair.id());
            let stored = stored.and_then(|(month, state)| Some((state, begins(pair, month)?)));
            start.look_back = Some(stored.unwrap_or((PointState::default(), Moment(i64::MIN))));
        }
    }
    Ok(starts)
}

/// The latest stored state of each service point of a month no later than the one named.
async fn checkpoints(
    connection: &mut AnyConnection,
    months: &BTreeMap<ServicePointId, LocalMonth>,
) -> Result<BTreeMap<ServicePointId, (LocalMonth, PointState)>, RatingError> {
    // All service points of one span begin in the same month, or next to it where their zones differ.
    let Some(latest) = months.values().min() else { return Ok(BTreeMap::new()) };
    let sql = "SELECT c.service_point_id, c.local_month, c.state FROM checkpoints AS c JOIN \
               (SELECT service_point_id, MAX(local_month) AS latest FROM checkpoints WHERE local_month <= $1 \
               GROUP BY service_point_id) AS l ON c.service_point_id = l.service_point_id AND c.local_month = l.latest";
    let rows = sqlx::query(sql).bind(i64::from(latest.0)).fetch_all(connection).await.map_err(BookError::from)?;
    let mut states = BTreeMap::new();
    for row in rows {
        let int = |column: usize| row.try_get::<i64, _>(column).map_err(BookError::from);
        let point = ServicePointId(u32::try_from(int(0)?).unwrap_or(u32::MAX));
        if !months.contains_key(&point) {
            continue;
        }
        let month = LocalMonth(i32::try_from(int(1)?).unwrap_or(i32::MIN));
        let bytes: Vec<u8> = row.try_get(2).map_err(BookError::from)?;
        let state = PointState::decode(&bytes).map_err(|fault| RatingError::State { point, fault })?;
        states.insert(point, (month, state));
    }
    Ok(states)
}

/// The beginning of the earliest work: no reading up to there is wanted.
pub(super) fn earliest(work: &[Work]) -> Moment {
    work.iter().flat_map(|work| &work.members).map(|member| member.start.read_after()).min().unwrap_or(Moment(i64::MAX))
}
