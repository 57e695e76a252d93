//! Names of components, each a small number while the process runs: so the key of a line stays small and is copied freely.
//!
//! The number is this process's own and is never written anywhere; order is that of the names. A name is kept for as long
//! as the process runs: names come from published tariff versions, of which the book takes [`NAMES_MAX`] at most.

use std::sync::{PoisonError, RwLock};

/// The most different names that the tariffs of a book may give their components.
pub const NAMES_MAX: usize = 1_000;

/// What is charged for energy or volume itself.
pub const ENERGY: &str = kernel::component::ENERGY;

/// All but [`ENERGY`], which is the number 0.
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// The name of a component.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ComponentName(u16);

impl ComponentName {
    /// [`ENERGY`].
    pub const ENERGY: ComponentName = ComponentName(0);

    /// The name of that text.
    ///
    /// # Panics
    /// Beyond 65,535 different names, which no book holds.
    #[must_use]
    pub fn of(text: &str) -> ComponentName {
        let place = |names: &[&str]| names.iter().position(|name| *name == text);
        let number =
            |place: usize| ComponentName(u16::try_from(place + 1).expect("a book has a thousand names at most"));
        if text == ENERGY {
            return ComponentName::ENERGY;
        }
        if let Some(place) = place(&NAMES.read().unwrap_or_else(PoisonError::into_inner)) {
            return number(place);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added it meanwhile.
        let place = place(&names).unwrap_or_else(|| {
            names.push(Box::leak(text.to_owned().into_boxed_str()));
            names.len() - 1
        });
        number(place)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match usize::from(self.0).checked_sub(1) {
            None => ENERGY,
            Some(place) => NAMES.read().unwrap_or_else(PoisonError::into_inner).get(place).copied().unwrap_or_default(),
        }
    }
}

impl Ord for ComponentName {
    fn cmp(&self, other: &ComponentName) -> std::cmp::Ordering {
        // Most lines are for energy: nothing is looked up.
        if self == other { std::cmp::Ordering::Equal } else { self.as_str().cmp(other.as_str()) }
    }
}

impl PartialOrd for ComponentName {
    fn partial_cmp(&self, other: &ComponentName) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Debug for ComponentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_and_the_order_of_its_text() {
        let (sewer, basic) = (ComponentName::of("sewer"), ComponentName::of("basic charge"));
        assert_eq!((sewer, sewer.as_str()), (ComponentName::of("sewer"), "sewer"));
        assert_eq!((ComponentName::of("energy"), ComponentName::ENERGY.as_str()), (ComponentName::ENERGY, "energy"));
        assert!(basic < ComponentName::ENERGY && ComponentName::ENERGY < sewer && basic != sewer);
    }
}
