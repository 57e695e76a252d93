//! Small tables of text that commands print: aligned, CSV or JSON.

use crate::call::Tabular;

/// A table of text. A column whose name ends with `>` is aligned to the right.
pub(crate) struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[&'static str]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The table in a format. JSON has strings throughout, so that no digit of money is lost.
    pub(crate) fn render(&self, format: Tabular) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.trim_end_matches('>')).collect();
        match format {
            Tabular::Csv => {
                let line = |cells: &mut dyn Iterator<Item = &str>| cells.map(quote).collect::<Vec<_>>().join(",") + "\n";
                let rows = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
                line(&mut names.iter().copied()) + &rows.collect::<String>()
            }
            Tabular::Json => {
                let object = |row: &Vec<String>| -> serde_json::Value {
                    names.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.clone().into())).collect::<serde_json::Map<_, _>>().into()
                };
                let rows: Vec<serde_json::Value> = self.rows.iter().map(object).collect();
                serde_json::Value::from(rows).to_string() + "\n"
            }
            Tabular::Table => {
                let width = |index: usize| {
                    let cells = self.rows.iter().filter_map(|row| row.get(index));
                    cells.map(|cell| reports::width(cell)).chain([names[index].len()]).max().unwrap_or(0)
                };
                let widths: Vec<usize> = (0..names.len()).map(width).collect();
                let line = |cells: &[&str]| {
                    let padded = cells.iter().zip(&widths).zip(&self.columns).map(|((cell, width), column)| {
                        let space = " ".repeat(width.saturating_sub(reports::width(cell)));
                        if column.ends_with('>') { format!("{space}{cell}") } else { format!("{cell}{space}") }
                    });
                    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
                };
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
                let rows = self.rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
                line(&names) + &line(&rule) + &rows.collect::<String>()
            }
        }
    }
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}
