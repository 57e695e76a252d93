//! Usage lines: rated usage and other charges added up by day, component, band, tier and tariff version, until posted.

use kernel::few::Few;
use kernel::id::{AccountId, TariffVersionId};
use kernel::money::{Amount, Quantity};
use kernel::rate::Part;
use kernel::time::LocalDate;

pub use super::names::{ComponentName, ENERGY};

/// One line of a service point. Account 0 owes what flowed while no contract was in force; its version is 0 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// Who owes it.
    pub account: AccountId,
    /// The local day.
    pub date: LocalDate,
    /// Tariff version.
    pub version: TariffVersionId,
    /// Band code; 0 where the component has no prices by band.
    pub band: u8,
    /// Tier from 1; 0 where the component has no tiers.
    pub tier: u16,
    /// What is charged.
    pub component: ComponentName,
}

impl LineKey {
    /// The line that a priced part belongs to.
    #[must_use]
    pub fn of(part: &Part) -> LineKey {
        LineKey {
            account: part.account.unwrap_or(AccountId(0)),
            date: part.date,
            version: part.version.unwrap_or(TariffVersionId(0)),
            band: part.band as u8,
            tier: part.tier,
            component: ComponentName::ENERGY,
        }
    }
}

/// What a line adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// 1/1000 units.
    pub quantity: Quantity,
    /// 1e-9 currency.
    pub amount: Amount,
}

impl Sum {
    /// Adds another.
    pub fn add(&mut self, other: Sum) {
        self.quantity += other.quantity;
        self.amount += other.amount;
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Sum::default()
    }
}

/// A line that is not posted yet; flat, because a million service points have some each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub key: LineKey,
    quantity: Quantity,
    amount: Amount,
    /// The book holds a row of it (with an older sum when `changed`).
    pub stored: bool,
    /// The book does not know the present sum.
    pub changed: bool,
}

impl Line {
    /// What it adds up to.
    #[must_use]
    pub fn sum(&self) -> Sum {
        Sum { quantity: self.quantity, amount: self.amount }
    }
}

/// Lines in order of their keys: a sorted list, because the smallest tree takes the room of eleven.
#[derive(Clone, Debug, Default)]
pub struct Sorted(Few<Line>);

impl Sorted {
    /// The line of a key, which is there from now on.
    fn at(&mut self, key: LineKey) -> &mut Line {
        let place = self.0.binary_search_by_key(&key, |line| line.key).unwrap_or_else(|place| {
            let (quantity, amount) = (Quantity::ZERO, Amount::ZERO);
            self.0.insert(place, Line { key, quantity, amount, stored: false, changed: false });
            place
        });
        &mut self.0[place]
    }

    /// All lines, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.0.iter()
    }

    /// All lines, to be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Line> {
        self.0.iter_mut()
    }

    /// Keeps the lines that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Line) -> bool) {
        self.0.retain(|line| keep(line));
    }
}

/// The lines of one service point that are not posted yet.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    lines: Sorted,
    /// Only where something was added of late.
    added: Option<Box<Added>>,
}

/// What was added since it was asked for last.
#[derive(Clone, Debug, Default)]
struct Added {
    /// To one line: consecutive parts mostly share it.
    recent: Option<(LineKey, Sum)>,
    /// To what accounts owe, since [`Lines::take_owed`].
    owed: Vec<(AccountId, Amount)>,
}

impl Lines {
    /// A line as the book holds it.
    pub fn load(&mut self, key: LineKey, sum: Sum) {
        let line = self.lines.at(key);
        *line = Line { key, quantity: sum.quantity, amount: sum.amount, stored: true, changed: false };
    }

    /// Adds to a line.
    pub fn add(&mut self, key: LineKey, sum: Sum) {
        let added = self.added.get_or_insert_default();
        match &mut added.recent {
            Some((recent, total)) if *recent == key => total.add(sum),
            recent => {
                if let Some(earlier) = recent.replace((key, sum)) {
                    fold(&mut self.lines, earlier);
                }
            }
        }
        match added.owed.last_mut() {
            Some((account, amount)) if *account == key.account => *amount += sum.amount,
            _ => added.owed.push((key.account, sum.amount)),
        }
    }

    /// What accounts owe more (or less) since this was asked last.
    pub fn take_owed(&mut self) -> Vec<(AccountId, Amount)> {
        self.added.as_mut().map(|added| std::mem::take(&mut added.owed)).unwrap_or_default()
    }

    /// The keys of all lines, in order but for the one that was added to last.
    pub fn keys(&self) -> impl Iterator<Item = LineKey> {
        let recent = self.added.as_ref().and_then(|added| added.recent).map(|(key, _)| key);
        self.lines.iter().map(|line| line.key).chain(recent)
    }

    /// All lines, in order.
    pub fn all(&mut self) -> &mut Sorted {
        if let Some(added) = &mut self.added {
            if let Some(recent) = added.recent.take() {
                fold(&mut self.lines, recent);
            }
            if added.owed.is_empty() {
                self.added = None;
            }
        }
        &mut self.lines
    }
}

fn fold(lines: &mut Sorted, (key, sum): (LineKey, Sum)) {
    let line = lines.at(key);
    line.quantity += sum.quantity;
    line.amount += sum.amount;
    line.changed = true;
}
