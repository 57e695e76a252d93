//! The views of `queries/views`: their text, their documentation, and what each of them reaches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use datafusion::common::TableReference;
use datafusion::error::Result;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;

use super::header::Header;
use super::{READINGS, SITE_DAYS};
use super::{columns, derive, quality_rules};

macro_rules! views {
    ($($name:literal),* $(,)?) => {
        /// Name and text of every view, in the order of design.md, 3.
        const TEXTS: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../queries/views/", $name, ".sql")))),*
        ];
    };
}
views![
    "readings",
    "intervals",
    "charges",
    "usage_daily",
    "usage_monthly",
    "accounts",
    "service_points",
    "meters",
    "balances",
    "transfers",
    "payments",
    "statements",
    "supply_states",
    "commands",
    "kept_supplies",
    "notices",
    "data_quality",
    "estimates",
    "site_days",
    "periods",
    "adjustments",
    "adjustment_lines",
    "corrections",
    "outages",
    "ledger_accounts",
    "holds",
    "refunds",
    "suspense",
    "unit_sales",
    "users",
    "tokens",
];

/// A view that energy managers rely on.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its text: a documented header and one SELECT, its `$names` filled in ([`quality_rules`]).
    pub sql: String,
    /// The header.
    pub header: Header,
}

/// All views, in the order of design.md, 3.
#[must_use]
pub fn catalogue() -> &'static [View] {
    static VIEWS: LazyLock<Vec<View>> = LazyLock::new(|| {
        let view = |(name, sql): &(&'static str, &str)| {
            let sql = quality_rules::fill(sql);
            View { name, header: Header::parse(&sql), sql }
        };
        TEXTS.iter().map(view).collect()
    });
    &VIEWS
}

/// What statements reach, through views too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Views, each after those that it reads.
    pub(crate) views: Vec<&'static str>,
    /// Tables to ask of the source.
    pub(crate) tables: BTreeSet<String>,
    /// `lake.readings`, `lake.charges` or `lake.files` is read.
    pub(crate) lake: BTreeSet<String>,
    /// The statement asks which tables and columns there are.
    pub(crate) information_schema: bool,
}

impl Reach {
    /// Adds what `sql` reaches.
    pub(crate) fn add(&mut self, sql: &str) -> Result<()> {
        for statement in DFParser::parse_sql(sql)? {
            self.add_statement(&statement)?;
        }
        Ok(())
    }

    /// Adds every view and table of the book, for statements about the schema itself.
    pub(crate) fn everything() -> Result<Reach> {
        let mut reach = Reach::default();
        for view in catalogue() {
            reach.add_table(None, view.name)?;
        }
        reach.tables.extend(columns::TABLES.iter().map(|table| table.name.to_owned()));
        reach.tables.extend(derive::TABLES.iter().map(|table| table.name.to_owned()));
        reach.lake.extend(["readings", "charges", "files"].map(str::to_owned));
        Ok(reach)
    }

    fn add_statement(&mut self, statement: &Statement) -> Result<()> {
        let (tables, _) = resolve_table_references(statement, true)?;
        for table in tables {
            let schema = match &table {
                TableReference::Bare { .. } => None,
                TableReference::Partial { schema, .. } | TableReference::Full { schema, .. } => Some(schema.as_ref()),
            };
            self.add_table(schema, table.table())?;
        }
        Ok(())
    }

    fn add_table(&mut self, schema: Option<&str>, name: &str) -> Result<()> {
        match schema {
            None | Some("public") => {
                static TEXT_OF: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| TEXTS.iter().copied().collect());
                // An unknown name is left to the planner, whose message says so.
                if let Some((name, sql)) = TEXT_OF.get_key_value(name)
                    && !self.views.contains(name)
                {
                    self.add(sql)?;
                    self.views.push(name);
                }
            }
            Some("book") if name == SITE_DAYS => {
                self.tables.insert(SITE_DAYS.to_owned());
            }
            Some("book") if columns::table(name).is_some() || derive::table(name).is_some() => {
                self.tables.insert(name.to_owned());
            }
            Some("lake") => {
                self.lake.insert(name.to_owned());
                match name {
                    "readings" => self.tables.insert(READINGS.to_owned()),
                    "charges" => self.tables.insert("usage_lines".to_owned()),
                    _ => false,
                };
            }
            Some("information_schema") => self.information_schema = true,
            Some(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_reaches_tables_through_views_and_no_others() {
        let mut reach = Reach::default();
        reach.add("SELECT * FROM usage_daily WHERE account IN (SELECT account FROM public.accounts)").unwrap();
        assert!(reach.tables.contains("usage_lines") && reach.tables.contains("accounts"));
        assert!(!reach.tables.contains(READINGS) && !reach.tables.contains("transfers"), "{reach:?}");
        let place = |name| reach.views.iter().position(|view| *view == name);
        assert!(place("charges") < place("usage_daily"), "{reach:?}");
        assert_eq!(reach.lake, BTreeSet::from(["charges".to_owned()]));
    }

    #[test]
    fn every_view_says_what_it_is_for_and_names_its_columns() {
        for view in catalogue() {
            assert!(!view.header.purpose.is_empty(), "{}: no purpose", view.name);
            assert!(!view.header.columns.is_empty(), "{}: no columns", view.name);
        }
    }
}
