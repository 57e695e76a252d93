//! What the engine does around the kernel, in its plainest form: on anything late, conflicting or quarantined it sorts
//! all readings known so far and rates them again from the beginning.

use std::collections::BTreeMap;

use kernel::epoch::Epoch;
use kernel::gap::Spread;
use kernel::history::History;
use kernel::id::{AccountId, EpochId, MeterId, TariffVersionId};
use kernel::judge::{Interval, Mark};
use kernel::money::{Amount, Quantity};
use kernel::point::{PointState, Row, Sink, Step};
use kernel::rate::{Cell, Part};
use kernel::reading::{Value, Verdict};
use kernel::tariff::Band;
use kernel::time::{LocalDate, Moment};

use super::scene::Scene;

/// What a ledger line is summed by.
pub(crate) type LineKey = (Option<AccountId>, LocalDate, Band, u16, Option<TariffVersionId>);

/// Quantity and amount by line; lines that sum to nothing are left out.
pub(crate) type Ledger = BTreeMap<LineKey, (Quantity, Amount)>;

type Key = (Moment, MeterId);

/// All that a run leaves behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) parts: Vec<Part>,
    pub(crate) verdicts: BTreeMap<Key, Verdict>,
    pub(crate) state: PointState,
    /// Intervals that were not divided evenly.
    pub(crate) spreads: usize,
    /// All that were billed, whatever they were divided by.
    pub(crate) intervals: Vec<(EpochId, Interval)>,
}

impl Sink for Outcome {
    fn part(&mut self, part: &Part) {
        self.parts.push(*part);
    }

    fn changed(&mut self, meter: MeterId, mark: Mark, verdict: Verdict) {
        let before = self.verdicts.insert((mark.time, meter), verdict);
        assert!(before.is_some(), "only a reading judged before can change its verdict");
    }

    fn spread(&mut self, _: EpochId, interval: &Interval, spread: &Spread) {
        let sum: Quantity = spread.slots.iter().map(|slot| slot.quantity).sum();
        assert_eq!(sum, interval.quantity, "slots add up");
        let ordered = spread.slots.windows(2).all(|pair| pair[0].to <= pair[1].from);
        assert!(ordered && spread.slots.iter().all(|slot| slot.from < slot.to), "slots are in order: {spread:?}");
        self.spreads += 1;
    }

    fn interval(&mut self, epoch: EpochId, interval: &Interval) {
        self.intervals.push((epoch, *interval));
    }
}

impl Outcome {
    /// The verdicts in the order of event time.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.values().copied().collect()
    }

    /// What was billed in all.
    pub(crate) fn quantity(&self) -> i64 {
        self.parts.iter().map(|part| part.quantity).sum::<Quantity>().0
    }

    /// What it costs in all, with two places where that is exact.
    pub(crate) fn amount(&self) -> String {
        let amount = self.parts.iter().map(|part| part.amount).sum::<Amount>();
        if amount.0 % 10_000_000 == 0 { format!("{amount:.2}") } else { amount.to_string() }
    }

    /// Quantities and amounts by line.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        for part in &self.parts {
            let key = (part.account, part.date, part.band, part.tier, part.version);
            let line = ledger.entry(key).or_default();
            line.0 += part.quantity;
            line.1 += part.amount;
        }
        ledger.retain(|_, line| *line != (Quantity::ZERO, Amount::ZERO));
        ledger
    }
}

/// Takes readings as they arrive.
#[derive(Clone, Debug)]
pub(crate) struct Driver<'a> {
    scene: &'a Scene,
    from: PointState,
    /// Every value known for a key; more than one is a conflict.
    known: BTreeMap<Key, Vec<Row>>,
    outcome: Outcome,
    cell: Option<Cell>,
    history: History,
    /// How often all was rated again.
    pub(crate) rerated: usize,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Driver<'a> {
        Driver::starting(scene, PointState::default())
    }

    /// With a state from before, such as a tier counter.
    pub(crate) fn starting(scene: &'a Scene, from: PointState) -> Driver<'a> {
        let outcome = Outcome { state: from.clone(), ..Outcome::default() };
        Driver { scene, from, known: BTreeMap::new(), outcome, cell: None, history: History::default(), rerated: 0 }
    }

    /// Takes what arrives next.
    pub(crate) fn arrive(&mut self, row: &Row) {
        let key = (row.time, row.meter);
        let values = self.known.entry(key).or_default();
        if values.iter().any(|known| known.value == row.value) {
            return;
        }
        values.push(*row);
        if values.len() > 1 || !self.advance(row) {
            self.rate_anew();
        }
    }

    fn advance(&mut self, row: &Row) -> bool {
        let mut state = std::mem::take(&mut self.outcome.state);
        let step =
            self.scene.point().advance(&mut state, &mut self.cell, Some(&mut self.history), row, &mut self.outcome);
        self.outcome.state = state;
        let Step::Judged(verdict) = step else { return false };
        self.outcome.verdicts.insert((row.time, row.meter), verdict);
        true
    }

    fn rate_anew(&mut self) {
        self.rerated += 1;
        self.outcome = Outcome { state: self.from.clone(), ..Outcome::default() };
        (self.cell, self.history) = (None, History::default());
        for (key, values) in self.known.clone() {
            match values[..] {
                [row] => assert!(self.advance(&row), "no reading is late in sorted order: {row:?}"),
                _ => _ = self.outcome.verdicts.insert(key, Verdict::Conflict),
            }
        }
    }

    /// Ends the run: bills stated closing counts up to `until`, and proves that nothing was lost.
    pub(crate) fn finish(mut self, until: Moment) -> Outcome {
        self.close(until);
        self.assert_conserved();
        self.outcome
    }

    /// The same for a meter that brought registers and usage by turns: a register opens anew after usage, so that its last
    /// less its first count is not what was billed.
    pub(crate) fn finish_by_turns(mut self, until: Moment) -> Outcome {
        self.close(until);
        self.outcome
    }

    fn close(&mut self, until: Moment) {
        let mut state = std::mem::take(&mut self.outcome.state);
        let waits =
            self.scene.point().close(&mut state, &mut self.cell, Some(&mut self.history), until, &mut self.outcome);
        assert_eq!(waits, None, "with a history nothing waits");
        self.outcome.state = state;
    }

    /// Conservation: what was charged is Q(last) - Q(first) of every installation, and all accepted usage.
    fn assert_conserved(&self) {
        let by_registers: i64 = self.scene.epochs.iter().map(|epoch| self.difference(epoch)).sum();
        let by_usage: i64 = self.known.iter().filter_map(|(key, rows)| self.accepted_usage(*key, rows)).sum();
        assert_eq!(self.outcome.quantity(), by_registers + by_usage, "conservation");
        for part in &self.outcome.parts {
            assert_eq!(part.amount, part.quantity * part.price);
        }
    }

    fn difference(&self, epoch: &Epoch) -> i64 {
        let state = self.outcome.state.epochs.iter().find(|known| known.epoch == epoch.id);
        let Some(last) = state.and_then(|known| known.register.baseline) else { return 0 };
        let within = |row: &Row| {
            let verdict = self.outcome.verdicts.get(&(row.time, row.meter)).copied();
            let counted = verdict.is_some_and(Verdict::counts);
            // A reading at the seam opens the new installation also where it does not fit the old one.
            let suspended = matches!(verdict, Some(Verdict::Suspended | Verdict::Glitch | Verdict::Exception));
            (counted || suspended && row.time == epoch.valid_from)
                && row.meter == epoch.meter
                && epoch.valid_from <= row.time
        };
        let first = self.known.values().flatten().find(|row| within(row)).map(|row| row.value);
        let first = match (epoch.opening_count, first) {
            (Some(count), _) | (None, Some(Value::Register(count))) => count,
            (None, _) => return 0,
        };
        epoch.quantity_at(last.count).0 - epoch.quantity_at(first).0
    }

    fn accepted_usage(&self, key: Key, rows: &[Row]) -> Option<i64> {
        let accepted = self.outcome.verdicts.get(&key) == Some(&Verdict::Accepted);
        match rows {
            [Row { value: Value::Usage { quantity, .. }, .. }] if accepted => Some(quantity.0),
            _ => None,
        }
    }
}

/// All rows in the order given, and the end.
pub(crate) fn run(scene: &Scene, rows: &[Row]) -> Outcome {
    run_from(scene, PointState::default(), rows)
}

/// The same, from a state.
pub(crate) fn run_from(scene: &Scene, from: PointState, rows: &[Row]) -> Outcome {
    let mut driver = Driver::starting(scene, from);
    rows.iter().for_each(|row| driver.arrive(row));
    let until = rows.iter().map(|row| row.time).max().unwrap_or(Moment(0));
    driver.finish(until)
}
