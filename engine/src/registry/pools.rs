//! Which service points are rated together: all those of one utility that ever shared an account whose tiers are pooled.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::id::{AccountId, ServicePointId, Utility};

use super::ServicePoint;

/// The most service points in a pool: all of them are rated together, on one thread, with a UTC month of their readings in
/// memory.
pub(crate) const MOST: usize = 256;

/// The members of each pool, by identifier; a pool of one is rated as any service point.
pub(super) type Pools = BTreeMap<ServicePointId, Arc<Vec<ServicePointId>>>;

/// The pools of some service points.
pub(super) fn of<'a>(points: impl Iterator<Item = &'a ServicePoint>, pools: impl Fn(AccountId) -> bool) -> Pools {
    let mut groups: BTreeMap<(AccountId, Utility), Vec<ServicePointId>> = BTreeMap::new();
    for point in points {
        for contract in point.contracts().filter(|contract| pools(contract.account)) {
            groups.entry((contract.account, point.utility)).or_default().push(point.id);
        }
    }
    joined(groups.into_values())
}

/// The sets that groups with a member in common come to, by each member.
pub(crate) fn joined(groups: impl Iterator<Item = Vec<ServicePointId>>) -> Pools {
    let mut sets: Vec<Vec<ServicePointId>> = Vec::new();
    let mut place_of: BTreeMap<ServicePointId, usize> = BTreeMap::new();
    for group in groups {
        let place = sets.len();
        sets.push(Vec::new());
        for id in group {
            match place_of.get(&id).copied() {
                Some(other) if other == place => {}
                Some(other) => {
                    let moved = std::mem::take(&mut sets[other]);
                    moved.iter().for_each(|id| _ = place_of.insert(*id, place));
                    sets[place].extend(moved);
                }
                None => {
                    place_of.insert(id, place);
                    sets[place].push(id);
                }
            }
        }
    }
    let mut pools = Pools::new();
    for mut set in sets.into_iter().filter(|set| set.len() > 1) {
        set.sort_unstable();
        let set = Arc::new(set);
        pools.extend(set.iter().map(|id| (*id, Arc::clone(&set))));
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_with_a_member_in_common_are_one_pool() {
        let groups: [&[u32]; 5] = [&[5, 1], &[2, 3], &[7], &[3, 9, 1], &[4, 4]];
        let groups = groups.iter().map(|group| group.iter().copied().map(ServicePointId).collect());
        let pools = joined(groups);
        let of = |id: u32| pools.get(&ServicePointId(id)).map(|set| set.iter().map(|id| id.0).collect::<Vec<_>>());
        for id in [1, 2, 3, 5, 9] {
            assert_eq!(of(id), Some(vec![1, 2, 3, 5, 9]), "{id}");
        }
        assert_eq!((of(7), of(4)), (None, None), "a pool of one is none");
    }
}
