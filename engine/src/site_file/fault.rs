//! What is wrong with a site file: file, line, key, and what to do about it. All faults are collected.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file's name as the user gave it.
    pub file: String,
    /// The line, from 1; 0 for a command.
    pub line: usize,
    /// The thing and its key, such as `meter "E-101".ct`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// `mall.toml:41: meter "E-101".ct: what is wrong; what to do`; without a line where a command was given.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { file, line, key, what, remedy } = self;
        let place = if *line == 0 { file.clone() } else { format!("{file}:{line}") };
        match key.as_str() {
            "" => write!(f, "{place}: {what}; {remedy}"),
            key => write!(f, "{place}: {key}: {what}; {remedy}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Where a thing stands in the file, for faults that show only later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct At {
    /// The thing, such as `meter "E-101"`.
    pub(super) label: String,
    /// Its first line.
    pub(super) line: usize,
    /// The lines of its keys.
    pub(super) lines: BTreeMap<String, usize>,
    /// The file, where the site file names another.
    pub(super) file: Option<String>,
}

/// Collects faults of one file.
#[derive(Debug)]
pub(super) struct Faults {
    file: String,
    list: RefCell<Vec<Fault>>,
}

impl Faults {
    pub(super) fn new(file: &str) -> Faults {
        Faults { file: file.to_owned(), list: RefCell::new(Vec::new()) }
    }

    /// A fault at a line.
    pub(super) fn at_line(&self, line: usize, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.push(&self.file, line, key, what.into(), remedy.into());
    }

    fn push(&self, file: &str, line: usize, key: &str, what: String, remedy: String) {
        let fault = Fault { file: file.to_owned(), line, key: key.to_owned(), what, remedy };
        self.list.borrow_mut().push(fault);
    }

    /// The name of the file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Takes over the faults of another file.
    pub(super) fn take(&self, other: Faults) {
        self.list.borrow_mut().append(&mut other.list.into_inner());
    }

    /// A fault of a thing's key; of the thing itself where `key` is empty or not in the file.
    pub(super) fn add(&self, at: &At, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let line = at.lines.get(key).copied().unwrap_or(at.line);
        let full = match (at.label.as_str(), key) {
            (label, "") => label.to_owned(),
            ("", key) => key.to_owned(),
            (label, key) => format!("{label}.{key}"),
        };
        self.push(at.file.as_deref().unwrap_or(&self.file), line, &full, what.into(), remedy.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// All faults in the order of the file; `value` where there are none.
    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<Fault>> {
        let mut list = self.list.into_inner();
        if list.is_empty() {
            return Ok(value);
        }
        list.sort();
        list.dedup();
        Err(list)
    }
}
