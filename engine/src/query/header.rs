//! The comment at the head of a query file: what it is for, its parameters, its columns with their units, its chart.
//!
//! ```sql
//! -- title: Daily energy | 每日能耗
//! -- purpose: What each service point used, by local day.
//! -- parameter from: first day
//! -- column quantity: kWh or m3; what was used
//! -- chart: stacked-bars x=local_date y=quantity series=band
//! ```
//! A line that starts with `--` and two spaces goes on with the line before.

/// A parsed header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// For people, in English and after `|` in Chinese.
    pub title: String,
    /// One or two sentences.
    pub purpose: String,
    /// Parameters with their description.
    pub parameters: Vec<(String, String)>,
    /// Columns in order.
    pub columns: Vec<ColumnNote>,
    /// Kind of chart and its settings.
    pub chart: Option<String>,
    /// Columns that a totals row adds up.
    pub totals: Vec<String>,
}

/// What is said of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNote {
    /// Its name in SQL.
    pub name: String,
    /// Its unit, empty where it has none.
    pub unit: String,
    /// What it holds.
    pub text: String,
}

impl Header {
    /// Reads the comment lines at the head of `sql`; lines of an unknown form are left out.
    #[must_use]
    pub fn parse(sql: &str) -> Header {
        let mut entries: Vec<(String, String)> = Vec::new();
        for line in sql.lines().take_while(|line| line.starts_with("--")) {
            let body = &line[2..];
            match body.strip_prefix("   ") {
                Some(rest) => {
                    if let Some((_, value)) = entries.last_mut() {
                        value.push(' ');
                        value.push_str(rest.trim());
                    }
                }
                None => {
                    if let Some((key, value)) = body.trim().split_once(':') {
                        entries.push((key.trim().to_owned(), value.trim().to_owned()));
                    }
                }
            }
        }
        let mut header = Header::default();
        for (key, value) in entries {
            match key.split_once(' ') {
                Some(("parameter", name)) => header.parameters.push((name.to_owned(), value)),
                Some(("column", name)) => header.columns.push(ColumnNote::parse(name, &value)),
                None if key == "title" => header.title = value,
                None if key == "purpose" => header.purpose = value,
                None if key == "chart" => header.chart = Some(value),
                None if key == "totals" => header.totals = value.split_whitespace().map(str::to_owned).collect(),
                _ => {}
            }
        }
        header
    }

    /// What is said of a column, if anything.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnNote> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl ColumnNote {
    fn parse(name: &str, value: &str) -> ColumnNote {
        let (unit, text) = value.split_once(';').unwrap_or(("", value));
        ColumnNote { name: name.to_owned(), unit: unit.trim().to_owned(), text: text.trim().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_up_to_the_first_line_of_sql() {
        let sql = "-- title: Use | 用量\n-- purpose: What was used,\n--   by day.\n-- parameter from: first day\n\
                   -- column quantity: kWh; used\n-- column name: who\n-- chart: bars x=a\n-- totals: quantity\n\
                   SELECT 1 -- column not: me\n";
        let header = Header::parse(sql);
        assert_eq!(header.title, "Use | 用量");
        assert_eq!(header.purpose, "What was used, by day.");
        assert_eq!(header.parameters, [("from".to_owned(), "first day".to_owned())]);
        assert_eq!(header.column("quantity").map(|column| column.unit.as_str()), Some("kWh"));
        assert_eq!(header.column("name").map(|column| column.text.as_str()), Some("who"));
        assert_eq!((header.columns.len(), header.chart.as_deref()), (2, Some("bars x=a")));
    }
}
