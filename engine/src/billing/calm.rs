//! Rows of a pool that need no order: as long as all members are charged in one tier, it does not matter whose turn it is.
//!
//! Members are read one after the other, by several buses; what arrives a moment after another member's later reading would
//! be rated anew with the whole month. It need not, where every part that other members were charged for after it, and every
//! part of its own on top of them, lies in one tier of one day and household, and nothing goes down: then the counter stood
//! in that tier when its turn was, and stands in it still when all are counted.

use kernel::id::{AccountId, MeterId, TariffVersionId};
use kernel::money::Quantity;
use kernel::point::Row;
use kernel::rate::{Part, Terms};
use kernel::tariff::Household;
use kernel::time::{LocalDate, Moment};

/// What decides the bounds between which a part was charged: its tier, by the day and by who lives there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tier {
    account: AccountId,
    version: Option<TariffVersionId>,
    date: LocalDate,
    household: Household,
    tier: u16,
}

/// What a part is to a pool.
enum Counted {
    /// It is in none.
    No,
    /// It goes down.
    Down,
    /// It goes up within a tier.
    Up(Tier),
}

impl Counted {
    fn of(part: &Part, terms: &Terms) -> Counted {
        let contract = terms.contract_at(part.from).filter(|contract| contract.pooled);
        let Some(contract) = contract else { return Counted::No };
        let (account, version, date, tier) = (contract.account, part.version, part.date, part.tier);
        match part.quantity < Quantity::ZERO {
            true => Counted::Down,
            false => Counted::Up(Tier { account, version, date, household: contract.household, tier }),
        }
    }
}

/// A member's stretch in one tier: all that it counted for a pool by rows after this one lies in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calm {
    since: (Moment, MeterId),
    /// None as long as it counted nothing.
    tier: Option<Tier>,
}

impl Calm {
    /// What a stretch is after a row and what it brought about; where nothing is known it begins with the row.
    #[must_use]
    pub fn after(calm: Option<Calm>, row: &Row, parts: &[Part], terms: &Terms) -> Calm {
        let fresh = Calm { since: (row.time, row.meter), tier: None };
        parts.iter().fold(calm.unwrap_or(fresh), |calm, part| match Counted::of(part, terms) {
            Counted::No => calm,
            Counted::Up(tier) if calm.tier.is_none_or(|held| held == tier) => Calm { tier: Some(tier), ..calm },
            Counted::Up(_) | Counted::Down => fresh,
        })
    }

    /// Whether all that came after a row lies in it.
    fn holds_after(&self, row: &Row) -> bool {
        self.since <= (row.time, row.meter)
    }

    /// The one stretch of members that were judged beyond a row, since then; none where their tiers differ, or of one of them
    /// it is not known.
    #[must_use]
    pub fn shared(beyond: impl Iterator<Item = Option<Calm>>, row: &Row) -> Option<Calm> {
        let mut shared = Calm { since: (row.time, row.meter), tier: None };
        for calm in beyond {
            let calm = calm.filter(|calm| calm.holds_after(row))?;
            match (shared.tier, calm.tier) {
                (Some(held), Some(tier)) if held != tier => return None,
                (None, tier) => shared.tier = tier,
                _ => {}
            }
        }
        Some(shared)
    }

    /// Whether all parts of a row may be counted within it, or need no order.
    #[must_use]
    pub fn takes(&self, parts: &[Part], terms: &Terms) -> bool {
        let Some(held) = self.tier else { return true };
        parts.iter().all(|part| match Counted::of(part, terms) {
            Counted::No => true,
            Counted::Up(tier) => tier == held,
            Counted::Down => false,
        })
    }
}
