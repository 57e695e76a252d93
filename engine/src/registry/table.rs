//! Things by identifier and by name, for a million of them: sorted lists that hold nothing but the things themselves.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kernel::id::{AccountId, MeterId, ServicePointId};

use super::types::{Account, Meter, ServicePoint};

/// What has an identifier.
pub(super) trait Identified {
    /// The type of it.
    type Id: Copy + Ord;

    /// The identifier.
    fn id(&self) -> Self::Id;

    /// The name in files and commands.
    fn name(&self) -> &str;
}

macro_rules! identified {
    ($($kind:ident, $id:ident, $name:ident);*) => {$(
        impl Identified for $kind {
            type Id = $id;

            fn id(&self) -> $id {
                self.id
            }

            fn name(&self) -> &str {
                &self.$name
            }
        }
    )*};
}
identified!(Account, AccountId, name; ServicePoint, ServicePointId, name; Meter, MeterId, serial);

/// Rows by ascending identifier, and their names.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    rows: Vec<T>,
    /// Some bits of the hash of each name and the row that has it, by hash.
    names: Vec<(u32, u32)>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { rows: Vec::new(), names: Vec::new() }
    }
}

fn hash(name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

impl<T: Identified> Table<T> {
    /// Adds a row whose identifier is above all before; [`Table::seal`] makes its name known.
    pub(super) fn push(&mut self, row: T) {
        debug_assert!(self.rows.last().is_none_or(|last| last.id() < row.id()), "rows come by identifier");
        self.rows.push(row);
    }

    /// To be called after the last row.
    pub(super) fn seal(&mut self) {
        self.rows.shrink_to_fit();
        self.names = (0..).zip(&self.rows).map(|(place, row)| (hash(row.name()), place)).collect();
        self.names.sort_unstable();
    }

    /// Where the row of an identifier is.
    fn place(&self, id: T::Id) -> Option<usize> {
        self.rows.binary_search_by_key(&id, Identified::id).ok()
    }

    pub(super) fn get(&self, id: T::Id) -> Option<&T> {
        self.rows.get(self.place(id)?)
    }

    /// The row of an identifier; its name stays as it is.
    pub(super) fn get_mut(&mut self, id: T::Id) -> Option<&mut T> {
        let place = self.place(id)?;
        self.rows.get_mut(place)
    }

    /// The row of a name.
    pub(super) fn named(&self, name: &str) -> Option<&T> {
        let hash = hash(name);
        let first = self.names.partition_point(|(other, _)| *other < hash);
        let same = self.names[first..].iter().take_while(|(other, _)| *other == hash);
        same.filter_map(|(_, place)| self.rows.get(*place as usize)).find(|row| row.name() == name)
    }

    /// All rows, by identifier.
    pub(super) fn rows(&self) -> &[T] {
        &self.rows
    }
}

/// Where each meter is or was installed, in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Installed {
    /// Ascending; one for each place of a meter ...
    meters: Vec<MeterId>,
    /// ... and the place.
    points: Vec<ServicePointId>,
}

impl Installed {
    /// Of every installation's meter, beginning and service point.
    pub(super) fn new<B: Ord + Copy>(mut all: Vec<(MeterId, B, ServicePointId)>) -> Installed {
        all.sort_unstable();
        let mut installed = Installed::default();
        for run in all.chunk_by(|a, b| a.0 == b.0) {
            let first = installed.points.len();
            for (meter, _, point) in run {
                if !installed.points[first..].contains(point) {
                    installed.meters.push(*meter);
                    installed.points.push(*point);
                }
            }
        }
        installed.meters.shrink_to_fit();
        installed.points.shrink_to_fit();
        installed
    }

    /// The places of one meter.
    pub(super) fn of(&self, meter: MeterId) -> &[ServicePointId] {
        let first = self.meters.partition_point(|other| *other < meter);
        let count = self.meters[first..].iter().take_while(|other| **other == meter).count();
        &self.points[first..first + count]
    }
}

/// Which service points each account ever paid for.
#[derive(Clone, Debug, Default)]
pub(super) struct Paid(Vec<(AccountId, ServicePointId)>);

impl Paid {
    pub(super) fn new(mut all: Vec<(AccountId, ServicePointId)>) -> Paid {
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        Paid(all)
    }

    /// The service points of one account, by identifier.
    pub(super) fn by(&self, account: AccountId) -> impl Iterator<Item = ServicePointId> {
        let first = self.0.partition_point(|(other, _)| *other < account);
        self.0[first..].iter().take_while(move |(other, _)| *other == account).map(|(_, point)| *point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_and_payers_know_their_places_in_order() {
        let [a, b, c] = [ServicePointId(1), ServicePointId(2), ServicePointId(3)];
        let moved = vec![(MeterId(7), 20, a), (MeterId(5), 0, b), (MeterId(7), 10, c), (MeterId(7), 30, c)];
        let installed = Installed::new(moved);
        assert_eq!(installed.of(MeterId(7)), [c, a]);
        assert_eq!(installed.of(MeterId(5)), [b]);
        assert!(installed.of(MeterId(6)).is_empty());
        let paid = Paid::new(vec![(AccountId(2), b), (AccountId(1), c), (AccountId(2), a), (AccountId(2), b)]);
        assert_eq!(paid.by(AccountId(2)).collect::<Vec<_>>(), [a, b]);
        assert_eq!(paid.by(AccountId(3)).count(), 0);
    }
}
