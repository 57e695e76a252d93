//! What many things have in common, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The different values so far.
#[derive(Debug)]
pub(super) struct Shared<T>(HashSet<Arc<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared(HashSet::new())
    }
}

impl<T: Hash + Eq> Shared<T> {
    /// The one that is equal to this.
    pub(super) fn of(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.0.get(&value) {
            return Arc::clone(known);
        }
        let value = Arc::new(value);
        self.0.insert(Arc::clone(&value));
        value
    }
}
