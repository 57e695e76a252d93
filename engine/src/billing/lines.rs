//! Usage lines: rated usage added up by day, band, tier and tariff version, until it is posted.

use std::collections::BTreeMap;

use kernel::id::{AccountId, TariffVersionId};
use kernel::money::{Amount, Quantity};
use kernel::rate::Part;
use kernel::time::LocalDate;

/// What is charged for energy or volume itself.
pub const ENERGY: &str = "energy";

/// One line of a service point. Account 0 owes what flowed while no contract was in force; its version is 0 too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// Who owes it.
    pub account: AccountId,
    /// The local day.
    pub date: LocalDate,
    /// Tariff version.
    pub version: TariffVersionId,
    /// Band code.
    pub band: u8,
    /// Tier from 1.
    pub tier: u16,
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

/// The lines of one service point that are not posted yet.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    lines: BTreeMap<LineKey, Line>,
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
            let line = self.lines.entry(key).or_default();
            line.sum.add(sum);
            line.changed = true;
        }
    }

    /// What accounts owe more (or less) since this was asked last.
    pub fn take_owed(&mut self) -> Vec<(AccountId, Amount)> {
        std::mem::take(&mut self.owed)
    }

    /// All lines, in order.
    pub fn all(&mut self) -> &mut BTreeMap<LineKey, Line> {
        self.fold();
        &mut self.lines
    }
}
