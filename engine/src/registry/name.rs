//! Names: millions of them, nearly all of a dozen letters.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::book::pages::{Cell, FromCell};

/// The longest name that needs no memory of its own: then a name is as large as a `String`.
const SHORT: usize = 22;

/// A text that stays as it is; used as a `str`.
#[derive(Clone)]
pub struct Name(Held);

#[derive(Clone)]
enum Held {
    Short {
        length: u8,
        /// UTF-8 up to the length.
        bytes: [u8; SHORT],
    },
    Long(Box<str>),
}

impl Name {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("the bytes were a text")
            }
            Held::Long(text) => text,
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Name {
        let mut bytes = [0; SHORT];
        Name(match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(start), Ok(length)) => {
                start.copy_from_slice(text.as_bytes());
                Held::Short { length, bytes }
            }
            _ => Held::Long(text.into()),
        })
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Name {
        Name::from(text.as_str())
    }
}

impl<'a> FromCell<'a> for Name {
    fn from_cell(cell: &'a Cell<'_>) -> Result<Name, &'static str> {
        <&str>::from_cell(cell).map(Name::from)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<Name> for String {
    fn eq(&self, other: &Name) -> bool {
        self == other.as_str()
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_text_whatever_its_length() {
        for text in ["", "A-1", "三相电表", "exactly 22 bytes long.", "23 bytes, one too many.", &"x".repeat(300)] {
            let name = Name::from(text);
            assert_eq!(name, *text);
            assert_eq!((name.to_string(), format!("{name:?}")), (text.to_owned(), format!("{text:?}")));
            assert_eq!(format!("{name:>5}"), format!("{text:>5}"));
            assert_eq!(matches!(name.0, Held::Short { .. }), text.len() <= 22, "{text:?}");
        }
        assert_eq!(size_of::<Name>(), size_of::<String>());
        let (a, b) = (Name::from("a"), Name::from("b"));
        assert!(a == a.clone() && a != b && a != "b" && a == "a");
    }
}
