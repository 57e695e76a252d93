//! A list that nearly always holds one thing, which then lies in the list itself: a million service points have one
//! installation and one contract each, and a place of its own in memory would cost each of them more than the pointer.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list, used as a slice; stored as a `Vec` is.
#[derive(Clone)]
pub struct Few<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    One(T),
    /// None or several; one again after others were removed.
    Many(Vec<T>),
}

impl<T> Few<T> {
    /// Adds a thing at a place, as [`Vec::insert`] does.
    ///
    /// # Panics
    /// When the place is beyond the end.
    pub fn insert(&mut self, place: usize, thing: T) {
        match core::mem::replace(&mut self.0, Held::Many(Vec::new())) {
            Held::Many(all) if all.is_empty() && place == 0 => self.0 = Held::One(thing),
            Held::Many(mut all) => {
                all.insert(place, thing);
                self.0 = Held::Many(all);
            }
            Held::One(first) => {
                let mut all = alloc::vec![first];
                all.insert(place, thing);
                self.0 = Held::Many(all);
            }
        }
    }

    /// Adds a thing at the end.
    pub fn push(&mut self, thing: T) {
        self.insert(self.len(), thing);
    }

    /// Keeps the things that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        match &mut self.0 {
            Held::Many(all) => all.retain_mut(keep),
            Held::One(thing) => {
                if !keep(thing) {
                    *self = Few::default();
                }
            }
        }
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few(Held::Many(Vec::new()))
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::One(thing) => core::slice::from_ref(thing),
            Held::Many(all) => all,
        }
    }
}

impl<T> DerefMut for Few<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Held::One(thing) => core::slice::from_mut(thing),
            Held::Many(all) => all,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Few<T> {
        let mut few = Few::default();
        few.extend(things);
        few
    }
}

impl<T> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, things: I) {
        things.into_iter().for_each(|thing| self.push(thing));
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(things: Vec<T>) -> Few<T> {
        things.into_iter().collect()
    }
}

impl<T, const N: usize> From<[T; N]> for Few<T> {
    fn from(things: [T; N]) -> Few<T> {
        things.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> core::slice::Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Few<T> {
    type Item = &'a mut T;
    type IntoIter = core::slice::IterMut<'a, T>;

    fn into_iter(self) -> core::slice::IterMut<'a, T> {
        self.iter_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Few<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: Serialize> Serialize for Few<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
        deserializer.deserialize_seq(Things(PhantomData))
    }
}

struct Things<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Things<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut things: A) -> Result<Few<T>, A::Error> {
        let mut few = Few::default();
        while let Some(thing) = things.next_element()? {
            few.push(thing);
        }
        Ok(few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn it_does_what_a_list_does_and_is_stored_as_one() {
        let (mut few, mut list) = (Few::default(), Vec::new());
        let check = |few: &Few<u32>, list: &Vec<u32>| {
            assert_eq!(few[..], list[..]);
            let stored = postcard::to_allocvec(few).unwrap();
            assert_eq!(stored, postcard::to_allocvec(list).unwrap());
            assert_eq!(postcard::from_bytes::<Few<u32>>(&stored).unwrap(), *few);
            assert_eq!(*few, Few::from(list.clone()));
        };
        check(&few, &list);
        for (place, thing) in [(0, 5), (0, 3), (1, 4), (3, 9), (0, 2)] {
            few.insert(place, thing);
            list.insert(place, thing);
            check(&few, &list);
        }
        few.iter_mut().for_each(|thing| *thing *= 2);
        list.iter_mut().for_each(|thing| *thing *= 2);
        // Several, then one, then none, then one that lies in the list again, and again none.
        for kept in [10, 18, 0] {
            few.retain(|thing| *thing >= kept && kept > 0);
            list.retain(|thing| *thing >= kept && kept > 0);
            check(&few, &list);
        }
        few.push(7);
        check(&few, &alloc::vec![7]);
        assert!(matches!(few.0, Held::One(7)), "one thing lies in the list itself");
        few.retain(|_| true);
        check(&few, &alloc::vec![7]);
        few.retain(|_| false);
        check(&few, &list);
        let [one, other, two] = [Few::from(alloc::vec![1]), Few::from([2]), Few::from([1, 2])];
        assert!(one != other && one != two && two[1..] == other[..]);
        assert_eq!(alloc::format!("{one:?} {two:?}"), "[1] [1, 2]");
        let fault = serde_json::from_str::<Few<u32>>("7").unwrap_err().to_string();
        assert!(fault.contains("expected a list"), "{fault}");
    }
}
