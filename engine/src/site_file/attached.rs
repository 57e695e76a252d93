//! Files that a site file names: calendars, tariffs and price series of their own.
//!
//! Their texts travel with the site file's, because whoever applies it may have another working folder than the server
//! that takes it. Names are relative to the folder of the file that names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::reader::{Context, Lines, Reader};

/// The most files that one site file may name; each is at most as large as a site file.
const FILES_MAX: usize = 200;

/// Texts by path, relative to the site file's folder; an error says why one could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached(BTreeMap<String, Result<String, String>>);

impl Attached {
    /// Reads what a text names, and what these files name. `read` takes a path relative to the text's folder; what it
    /// cannot read becomes a fault of the line that names it.
    #[must_use]
    pub fn gather(text: &str, mut read: impl FnMut(&str) -> Result<String, String>) -> Attached {
        let mut files: BTreeMap<String, Result<String, String>> = BTreeMap::new();
        let mut wanted = named(text);
        while let Some(path) = wanted.pop() {
            if files.contains_key(&path) || files.len() == FILES_MAX {
                continue;
            }
            let text = read(&path);
            if let Ok(text) = text.as_ref().map(String::as_str)
                && !path.ends_with(".csv")
            {
                wanted.extend(named(text).iter().map(|name| beside(&path, name)));
            }
            files.insert(path, text);
        }
        Attached(files)
    }

    /// The text of a path; the error says what is wrong with it.
    fn text(&self, path: &str) -> Result<&str, String> {
        match self.0.get(path) {
            Some(Ok(text)) if text.len() > super::LARGEST => {
                Err(format!("is {path:?}, which has {} bytes", text.len()))
            }
            Some(Ok(text)) => Ok(text),
            Some(Err(error)) => Err(format!("is {path:?}, which cannot be read: {error}")),
            None if self.0.len() >= FILES_MAX => Err(format!("is one more than {FILES_MAX} files")),
            None => Err(format!("is {path:?}, which did not come with the site file")),
        }
    }
}

/// A path that a file names, relative to what that file's own path is relative to.
pub(super) fn beside(file: &str, name: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    }
}

/// Every `file` of a [[calendar]], a [[tariff]], a [[gas_quality]] or a version's price series.
fn named(text: &str) -> Vec<String> {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut names = Vec::new();
    let mut take = |table: &DeTable<'_>| {
        names.extend(table.get("file").and_then(|value| value.get_ref().as_str()).map(str::to_owned));
    };
    for table in ["calendar", "tariff", "gas_quality"].iter().flat_map(|kind| tables(table.get_ref(), kind)) {
        take(table);
        for version in tables(table, "version") {
            let series = version.get("dynamic").and_then(|value| value.get_ref().as_table());
            series.into_iter().for_each(&mut take);
        }
    }
    names
}

fn tables<'a>(table: &'a DeTable<'a>, key: &str) -> Vec<&'a DeTable<'a>> {
    let list = table.get(key).and_then(|value| value.get_ref().as_array());
    list.into_iter().flat_map(|list| list.iter().filter_map(|item| DeValue::as_table(item.get_ref()))).collect()
}

impl<'a> Reader<'a> {
    /// The text of the file that a key names, with its path; a fault where there is none.
    pub(super) fn attached(&self, key: &'static str) -> Option<(String, &'a str)> {
        let name = self.need(key, "name a file, relative to the folder of this one")?;
        let path = beside(&self.context().path, &name);
        match self.context().attached.text(&path) {
            Ok(text) => Some((path, text)),
            Err(what) => {
                self.fault(key, what, "correct the name, or put the file there");
                None
            }
        }
    }
}

/// All things of one kind in the file that a table names with `file`. Such a file holds [[calendar]], [[tariff]] and
/// [[gas_quality]] tables, written as in a site file.
pub(super) fn included<T>(reader: Reader<'_>, kind: &'static str, read: impl Fn(Reader<'_>) -> Option<T>) -> Vec<T> {
    let attached = reader.attached("file");
    let outer = reader.context();
    let at = reader.at();
    reader.finish();
    let Some((path, text)) = attached else { return Vec::new() };
    let shown = beside(outer.faults.file(), &path);
    let context = Context {
        lines: Lines::new(text),
        faults: Faults::new(&shown),
        attached: outer.attached,
        path,
        file: Some(shown.clone()),
    };
    let items = super::with_tables(&context, text, |table| {
        let root = Reader::new(&context, table, 1, String::new());
        let items: Vec<T> = root
            .tables(kind)
            .into_iter()
            .filter(|inner| {
                if inner.has("file") {
                    inner.fault("file", "stands in a file that is named itself", "name the file in the site file");
                }
                !inner.has("file")
            })
            .filter_map(read)
            .collect();
        for other in ["calendar", "tariff", "gas_quality"] {
            root.pass_over(other);
        }
        if !root.has(kind) {
            let remedy = format!("write [[{kind}]] there as in a site file, or name another file");
            outer.faults.add(&at, "file", format!("is {shown:?}, which has no [[{kind}]]"), remedy);
        }
        root.finish();
        items
    });
    outer.faults.take(context.faults);
    items.unwrap_or_default()
}
