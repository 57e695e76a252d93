//! Usage lines: rated usage and other charges added up by day, component, band, tier and tariff version, until posted.

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

/// A line that is not posted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What it adds up to.
    pub sum: Sum,
    /// The book holds a row of it (with an older sum when `changed`).
    pub stored: bool,
    /// The book does not know the present sum.
    pub changed: bool,
}

/// Lines in order of their keys: a sorted list, because a million service points have a few lines each, and the smallest
/// tree takes the room of eleven.
#[derive(Clone, Debug, Default)]
pub struct Sorted(Vec<(LineKey, Line)>);

impl Sorted {
    fn insert(&mut self, key: LineKey, line: Line) {
        *self.at(key) = line;
    }

    /// The line of a key, which is there from now on.
    fn at(&mut self, key: LineKey) -> &mut Line {
        let place = match self.0.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(place) => place,
            Err(place) => {
                if self.0.is_empty() {
                    // One at a time would round up to four.
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (key, Line::default()));
                place
            }
        };
        &mut self.0[place].1
    }

    /// All lines, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LineKey, &Line)> {
        self.0.iter().map(|(key, line)| (key, line))
    }

    /// Their keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &LineKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// All lines, to be changed.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Line> {
        self.0.iter_mut().map(|(_, line)| line)
    }

    /// Keeps the lines that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&LineKey, &mut Line) -> bool) {
        self.0.retain_mut(|(key, line)| keep(key, line));
    }
}

/// The lines of one service point that are not posted yet.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    lines: Sorted,
    /// What the last parts added to one line: consecutive parts mostly share it.
    recent: Option<(LineKey, Sum)>,
    /// What was added since [`Lines::take_owed`], by account.
    owed: Vec<(AccountId, Amount)>,
}

impl Lines {
    /// A line as the book holds it.
    pub fn load(&mut self, key: LineKey, sum: Sum) {
        self.lines.insert(key, Line { sum, stored: true, changed: false });
    }

    /// Adds to a line.
    pub fn add(&mut self, key: LineKey, sum: Sum) {
        match &mut self.recent {
            Some((recent, total)) if *recent == key => total.add(sum),
            _ => {
                self.fold();
                self.recent = Some((key, sum));
            }
        }
        match self.owed.last_mut() {
            Some((account, amount)) if *account == key.account => *amount += sum.amount,
            _ => self.owed.push((key.account, sum.amount)),
        }
    }

    fn fold(&mut self) {
        if let Some((key, sum)) = self.recent.take() {
            let line = self.lines.at(key);
            line.sum.add(sum);
            line.changed = true;
        }
    }

    /// What accounts owe more (or less) since this was asked last.
    pub fn take_owed(&mut self) -> Vec<(AccountId, Amount)> {
        std::mem::take(&mut self.owed)
    }

    /// All lines, in order.
    pub fn all(&mut self) -> &mut Sorted {
        self.fold();
        &mut self.lines
    }
}
