//! What is rated anew together: a service point alone, or with all members of the pools that it is or was in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kernel::few::Few;
use kernel::id::ServicePointId;
use kernel::time::Moment;

use super::error::BillingError;
use super::late::Anew;
use super::point::Setup;
use super::writer::{TASKS_AT_ONCE, Writer};
use crate::registry::{Registry, joined};

impl Writer {
    /// What rating these service points anew, each since a moment, takes along. Their terms so far are those in memory; `new`
    /// gives those from now on, which come with `registry`.
    pub(super) async fn anew(
        &self,
        dirty: &[(ServicePointId, Moment)],
        registry: &Registry,
        new: impl Fn(ServicePointId) -> Option<Arc<Setup>>,
    ) -> Result<Vec<Vec<Anew>>, BillingError> {
        // Both what was rated together and what will be: with either set of terms all are there.
        let pools = joined(self.registry.pools().chain(registry.pools()).map(|pool| pool.as_ref().clone()));
        let mut units: BTreeMap<ServicePointId, (Vec<ServicePointId>, Moment)> = BTreeMap::new();
        for (id, since) in dirty {
            let members = pools.get(id).map_or_else(|| vec![*id], |pool| pool.as_ref().clone());
            let unit = units.entry(members.first().copied().unwrap_or(*id)).or_insert((members, *since));
            unit.1 = unit.1.min(*since);
        }
        let changed: BTreeSet<ServicePointId> = dirty.iter().map(|(id, _)| *id).collect();
        let mut work = Vec::with_capacity(units.len());
        for (members, since) in units.into_values() {
            let terms = members.into_iter().filter_map(|id| {
                let new = new(id)?;
                // Where there was no service point, nothing was charged: its meters' earlier readings are now.
                let old = match self.pricing.points.get(&id) {
                    Some(point) => Arc::clone(&point.setup),
                    None => Arc::new(Setup { epochs: Few::default(), ..new.as_ref().clone() }),
                };
                Some((old, new))
            });
            let (olds, news): (Vec<Arc<Setup>>, Vec<Arc<Setup>>) = terms.unzip();
            let starts = self.starts_before(&olds, since).await?;
            let members = olds.into_iter().zip(news).zip(starts).map(|((old, new), start)| {
                let (id, late) = (new.id, BTreeSet::new());
                Anew { id, old, new, start, late, changed: changed.contains(&id) }
            });
            work.push(members.collect());
        }
        Ok(work)
    }
}

/// The work of so few service points at a time that their readings fit memory ([`TASKS_AT_ONCE`]); a unit stays whole.
pub(super) fn at_once<T>(units: Vec<T>, members: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut held = TASKS_AT_ONCE;
    for unit in units {
        let more = members(&unit);
        match groups.last_mut().filter(|_| held + more <= TASKS_AT_ONCE) {
            Some(group) => {
                held += more;
                group.push(unit);
            }
            None => {
                held = more;
                groups.push(vec![unit]);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worked_on_at_once_is_counted_by_members() {
        let sizes = [1, TASKS_AT_ONCE - 1, 1, 3 * TASKS_AT_ONCE, 2];
        let groups = at_once(sizes.to_vec(), |size| *size);
        assert_eq!(groups, [vec![1, TASKS_AT_ONCE - 1], vec![1], vec![3 * TASKS_AT_ONCE], vec![2]]);
        assert!(at_once(Vec::<usize>::new(), |size| *size).is_empty());
    }
}
