//! Reading TOML tables key by key: every key has a line, a wrong type names the right one, and a key that nobody
//! asked for is a fault.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::tz::TimeZone;
use kernel::time::{LocalDate, Moment};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::attached::Attached;
use super::fault::{At, Faults};
use super::words;

/// A file's text, to find lines in.
#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn new(text: &str) -> Lines {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(breaks).collect() }
    }

    pub(super) fn of(&self, span: &Range<usize>) -> usize {
        self.starts.partition_point(|start| *start <= span.start)
    }
}

/// What all tables of a file share.
#[derive(Debug)]
pub(super) struct Context<'f> {
    pub(super) lines: Lines,
    pub(super) faults: Faults,
    /// The files that came with the site file.
    pub(super) attached: &'f Attached,
    /// This file's path relative to the site file's folder; empty for the site file.
    pub(super) path: String,
    /// What faults call this file, where it is not the site file.
    pub(super) file: Option<String>,
}

/// One table of the file. [`Reader::finish`] must end its reading.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    context: &'a Context<'a>,
    table: &'a DeTable<'a>,
    line: usize,
    label: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(context: &'a Context<'a>, table: &'a DeTable<'a>, line: usize, label: String) -> Reader<'a> {
        Reader { context, table, line, label, asked: RefCell::default() }
    }

    /// Where this table and its keys stand.
    pub(super) fn at(&self) -> At {
        let lines = &self.context.lines;
        let keys = self.table.iter().map(|(key, _)| (key.get_ref().to_string(), lines.of(&key.span())));
        At { label: self.label.clone(), line: self.line, lines: keys.collect(), file: self.context.file.clone() }
    }

    /// Reports a fault of one of its keys (of itself where `key` is empty).
    pub(super) fn fault(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.context.faults.add(&self.at(), key, what, remedy);
    }

    /// What all tables of its file share.
    pub(super) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Takes a key as known.
    pub(super) fn pass_over(&self, key: &'static str) {
        self.asked.borrow_mut().push(key);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn raw(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    fn wrong_type(&self, key: &str, value: &DeValue<'_>, remedy: &str) {
        self.fault(key, format!("is {}", shown(value)), remedy);
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.raw(key)?.get_ref();
        match value.as_str() {
            Some(text) if !text.trim().is_empty() => return Some(text.to_owned()),
            Some(_) => self.fault(key, "is empty", "write a text, or leave the key out"),
            None => self.wrong_type(key, value, "write a text in quotes"),
        }
        None
    }

    /// A text that must be there.
    pub(super) fn need(&self, key: &'static str, remedy: &str) -> Option<String> {
        if !self.has(key) {
            self.raw(key);
            self.fault(key, "is missing", remedy);
            return None;
        }
        self.text(key)
    }

    /// A text out of a list of words.
    pub(super) fn word<T>(&self, key: &'static str, parse: impl Fn(&str) -> Option<T>, words: &str) -> Option<T> {
        let text = self.text(key)?;
        let word = parse(&text);
        if word.is_none() {
            self.fault(key, format!("is {text:?}"), format!("write {words}"));
        }
        word
    }

    pub(super) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.raw(key)?.get_ref();
        if value.as_bool().is_none() {
            self.wrong_type(key, value, "write true or false");
        }
        value.as_bool()
    }

    pub(super) fn integer(&self, key: &'static str, range: Range<i64>) -> Option<i64> {
        let value = self.raw(key)?.get_ref();
        let remedy = format!("write a whole number from {} to {}", range.start, range.end - 1);
        let number = integer(value).filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong_type(key, value, &remedy);
        }
        number
    }

    /// An exact value: a text or a whole number that `parse` takes. A float is refused.
    pub(super) fn exact<T>(&self, key: &'static str, parse: impl Fn(&str) -> Option<T>, example: &str) -> Option<T> {
        exact(self.raw(key)?.get_ref(), parse, example).map_err(|(what, remedy)| self.fault(key, what, remedy)).ok()
    }

    /// An instant: a date-time with offset, or a date or date-time in `zone`.
    pub(super) fn moment(&self, key: &'static str, zone: Option<&TimeZone>) -> Option<Moment> {
        let value = self.raw(key)?.get_ref();
        let result = match value.as_datetime() {
            Some(datetime) => words::moment(datetime, zone),
            None => Err((
                format!("is {}", shown(value)),
                "write a date such as 2026-03-01 or 2026-03-01T12:00:00, without quotes".to_owned(),
            )),
        };
        result.map_err(|(what, remedy)| self.fault(key, what, remedy)).ok()
    }

    /// A date.
    pub(super) fn date(&self, key: &'static str) -> Option<LocalDate> {
        let value = self.raw(key)?.get_ref();
        let date = date(value);
        if date.is_none() {
            self.wrong_type(key, value, "write a date such as 2026-12-31, without quotes");
        }
        date
    }

    /// A table whose keys are names and whose values are lists of dates. A name must be short, and not one of the words
    /// that `is_taken` knows.
    pub(super) fn dates_by_name(self, is_taken: impl Fn(&str) -> bool) -> BTreeMap<String, BTreeSet<LocalDate>> {
        let mut named = BTreeMap::new();
        for (name, value) in self.entries() {
            let key = self.label.clone();
            let fault = |what: String, remedy: &str| {
                self.context.faults.at_line(self.line, &format!("{key}.{name}"), what, remedy);
            };
            if is_taken(name) || name.is_empty() || name.len() > 64 {
                fault(format!("is {name:?}"), "write a short name that is not a day type, such as \"long-holiday\"");
            }
            let Some(list) = value.as_array() else {
                fault(format!("is {}", shown(value)), "write a list of dates in brackets");
                continue;
            };
            let mut dates = BTreeSet::new();
            for item in list {
                match date(item.get_ref()) {
                    Some(date) => _ = dates.insert(date),
                    None => fault(
                        format!("holds {}", shown(item.get_ref())),
                        "write dates such as 2026-10-01, without quotes",
                    ),
                }
            }
            named.insert(name.to_owned(), dates);
        }
        named
    }

    /// A list of dates.
    pub(super) fn dates(&self, key: &'static str) -> Vec<(LocalDate, usize)> {
        let mut dates = Vec::new();
        for (value, line) in self.list(key) {
            match date(value) {
                Some(date) => dates.push((date, line)),
                None => self.context.faults.at_line(
                    line,
                    &format!("{}.{key}", self.label),
                    format!("holds {}", shown(value)),
                    "write dates such as 2026-10-01, without quotes",
                ),
            }
        }
        dates
    }

    /// A list's values with their lines; empty where the key is absent.
    pub(super) fn list(&self, key: &'static str) -> Vec<(&'a DeValue<'a>, usize)> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        match value.get_ref().as_array() {
            Some(array) => {
                let lines = &self.context.lines;
                array.iter().map(|item| (item.get_ref(), lines.of(&item.span()))).collect()
            }
            None => {
                self.wrong_type(key, value.get_ref(), "write a list in brackets");
                Vec::new()
            }
        }
    }

    /// The tables of `[[..key]]`.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Reader<'a>> {
        let mut tables = Vec::new();
        for (value, line) in self.list(key) {
            match value.as_table() {
                Some(table) => tables.push(Reader::new(self.context, table, line, self.inner(key))),
                None => self.wrong_type(key, value, "write tables in double brackets"),
            }
        }
        tables
    }

    /// The table of `key = { .. }` or `[..key]`.
    pub(super) fn table(&self, key: &'static str) -> Option<Reader<'a>> {
        let value = self.raw(key)?;
        let line = self.context.lines.of(&value.span());
        if value.get_ref().as_table().is_none() {
            self.wrong_type(key, value.get_ref(), "write a table in braces");
        }
        Some(Reader::new(self.context, value.get_ref().as_table()?, line, self.inner(key)))
    }

    fn inner(&self, key: &str) -> String {
        if self.label.is_empty() { key.to_owned() } else { format!("{}.{key}", self.label) }
    }

    /// Adds the thing's name to its label, before anything else is read.
    pub(super) fn named(mut self, key: &str) -> Reader<'a> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(name)) => self.label = format!("{} {name:?}", self.label),
            Some(DeValue::Datetime(datetime)) => self.label = format!("{} {datetime}", self.label),
            _ => {}
        }
        self
    }

    /// All its keys and values, for tables whose keys are data.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a DeValue<'a>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()))
    }

    /// Every key that nobody asked for is a fault.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries() {
            if !asked.contains(&key) {
                let mut known = asked.clone();
                known.sort_unstable();
                known.dedup();
                self.fault(
                    key,
                    "is not a key of this table",
                    format!("remove it, or write one of: {}", known.join(", ")),
                );
            }
        }
    }

    /// The whole table as JSON, for a definition that another part of the program knows. Floats are refused.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        let mut object = serde_json::Map::new();
        let mut whole = true;
        for (key, value) in self.entries() {
            match json(value) {
                Some(value) => drop(object.insert(key.to_owned(), value)),
                None => {
                    whole = false;
                    self.wrong_type(key, value, "write whole numbers, and decimals in quotes");
                }
            }
        }
        whole.then_some(serde_json::Value::Object(object))
    }
}

fn date(value: &DeValue<'_>) -> Option<LocalDate> {
    let date = value.as_datetime().filter(|datetime| datetime.time.is_none())?.date?;
    LocalDate::new(i32::from(date.year), date.month, date.day)
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// An exact value out of a text or a whole number.
pub(super) fn exact<T>(
    value: &DeValue<'_>,
    parse: impl Fn(&str) -> Option<T>,
    example: &str,
) -> Result<T, (String, String)> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(_) => integer(value).map(|number| number.to_string()).unwrap_or_default(),
        DeValue::Float(float) => {
            let what = format!("is a float ({}), which is not exact", float.as_str());
            return Err((what, format!("write it in quotes: \"{}\"", float.as_str())));
        }
        _ => String::new(),
    };
    parse(&text).ok_or_else(|| (format!("is {}", shown(value)), format!("write {example}")))
}

fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Integer(_) => integer(value)?.into(),
        DeValue::Float(_) => return None,
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(datetime) => datetime.to_string().into(),
        DeValue::Array(array) => array.iter().map(|item| json(item.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)));
            serde_json::Value::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// A value as a fault shows it.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(float) => format!("the float {}", float.as_str()),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(datetime) => format!("the date or time {datetime}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
