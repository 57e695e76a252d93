//! All service points in memory: one list by identifier, because what a tree adds would be felt a million times.

use std::sync::Arc;

use kernel::id::ServicePointId;

use super::point::PointRuntime;
use crate::registry::Registry;

/// All service points in memory, by identifier.
#[derive(Debug, Default)]
pub struct Points(Vec<PointRuntime>);

impl Points {
    /// Takes over a registry: those that were known keep their state and lines, and are rated by the new terms from now on.
    /// A service point never leaves the registry.
    pub fn follow(&mut self, registry: &Registry) {
        self.0.reserve_exact(registry.service_points().len().saturating_sub(self.0.len()));
        let known = self.0.len();
        for point in registry.service_points() {
            match self.0[..known].binary_search_by_key(&point.id, |known| known.id) {
                Ok(place) => self.0[place].replace_setup(Arc::clone(&point.setup)),
                Err(_) => self.0.push(PointRuntime::new(Arc::clone(&point.setup))),
            }
        }
        self.0.sort_by_key(|point| point.id);
    }

    fn place(&self, id: ServicePointId) -> Option<usize> {
        // Identifiers are given out from 1 on, and mostly all of them are in use.
        let likely = (id.0 as usize).wrapping_sub(1);
        match self.0.get(likely) {
            Some(point) if point.id == id => Some(likely),
            _ => self.0.binary_search_by_key(&id, |point| point.id).ok(),
        }
    }

    /// A service point.
    #[must_use]
    pub fn get(&self, id: &ServicePointId) -> Option<&PointRuntime> {
        self.0.get(self.place(*id)?)
    }

    /// A service point, to be changed.
    pub fn get_mut(&mut self, id: &ServicePointId) -> Option<&mut PointRuntime> {
        let place = self.place(*id)?;
        self.0.get_mut(place)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PointRuntime> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut PointRuntime> {
        self.0.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::lines::Line;
    use crate::billing::pricing::Wallet;
    use crate::registry::{Account, Meter, ServicePoint, Setup};

    /// With a million service points each byte is a megabyte: 1 GiB is to hold all of it (the benchmark `start`).
    #[test]
    fn what_a_million_of_each_are_kept_of_stays_small() {
        for (what, bytes, most) in [
            ("account", size_of::<Account>(), 112),
            ("meter", size_of::<Meter>(), 80),
            ("service point", size_of::<ServicePoint>(), 72),
            ("setup", size_of::<Setup>(), 224),
            ("service point in billing", size_of::<PointRuntime>(), 224),
            ("line", size_of::<Line>(), 48),
            ("wallet", size_of::<Wallet>(), 48),
        ] {
            assert!(bytes <= most, "{what}: {bytes} bytes");
        }
    }
}
