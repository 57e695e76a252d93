//! A list that is nearly always empty, and then takes no more than a pointer: of a million registers hardly one is in doubt.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Deref, DerefMut, Range};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list, used as a slice; stored as a `Vec` is.
#[derive(Clone)]
#[allow(clippy::box_collection, reason = "one pointer in place of three words is what it is for")]
pub struct Seldom<T>(Option<Box<Vec<T>>>);

impl<T> Seldom<T> {
    /// Adds a thing at the end.
    pub fn push(&mut self, thing: T) {
        self.0.get_or_insert_default().push(thing);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Removes what stands in a range.
    ///
    /// # Panics
    /// When the range ends beyond the list.
    pub fn remove(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.0.get_or_insert_default().drain(range);
        }
    }

    /// Keeps the first ones.
    pub fn truncate(&mut self, length: usize) {
        match &mut self.0 {
            Some(all) if length > 0 => all.truncate(length),
            _ => self.clear(),
        }
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Seldom<T> {
        Seldom(None)
    }
}

impl<T> From<Vec<T>> for Seldom<T> {
    fn from(all: Vec<T>) -> Seldom<T> {
        Seldom((!all.is_empty()).then(|| Box::new(all)))
    }
}

impl<T> Deref for Seldom<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |all| all)
    }
}

impl<T> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut().map_or(&mut [], |all| all)
    }
}

impl<T: fmt::Debug> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

impl<T: PartialEq> PartialEq for Seldom<T> {
    fn eq(&self, other: &Seldom<T>) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for Seldom<T> {}

impl<T: Serialize> Serialize for Seldom<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self[..].serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Seldom<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seldom<T>, D::Error> {
        Vec::deserialize(deserializer).map(Seldom::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn it_is_a_list_and_takes_a_pointer() {
        let mut list: Seldom<u32> = Seldom::default();
        assert_eq!((size_of_val(&list), list.len()), (size_of::<usize>(), 0));
        list.remove(0..0);
        list.truncate(3);
        assert_eq!((list.is_empty(), list == Seldom::from(vec![])), (true, true));
        for thing in 1..=5 {
            list.push(thing);
        }
        list.remove(1..3);
        assert_eq!(list[..], [1, 4, 5]);
        list[0] = 7;
        list.truncate(2);
        assert_eq!((list[..].to_vec(), alloc::format!("{list:?}")), (vec![7, 4], "[7, 4]".into()));
        assert_ne!(list, Seldom::from(vec![7]));
        list.truncate(0);
        assert!(list.is_empty() && list.0.is_none());
        list.push(1);
        list.clear();
        assert!(list.0.is_none());
    }

    #[test]
    fn it_is_stored_as_any_list() {
        for things in [vec![], vec![3_u8, 200]] {
            let stored = postcard::to_allocvec(&things).unwrap();
            let list = Seldom::from(things);
            assert_eq!(postcard::to_allocvec(&list).unwrap(), stored);
            assert_eq!(postcard::from_bytes::<Seldom<u8>>(&stored).unwrap(), list);
        }
    }
}
