//! A table for people: aligned, numbers to the right, Han two columns wide, totals, and what it rests on.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use crate::cells::{group, rounded, unscaled, width};
use crate::{Column, Report};

/// One column, ready to print.
struct Shown {
    place: usize,
    numeric: bool,
    heading: String,
    cells: Vec<String>,
    totals: Vec<String>,
}

/// The report with title, period, totals and provenance.
pub(crate) fn render(report: &Report) -> String {
    let mut text = format!("{}\n", report.title.replace(" | ", "  "));
    if let Some(period) = report.period {
        text.push_str(&format!("{} to {}\n", period.from, period.to));
    }
    text.push('\n');
    let groups = groups(report);
    let columns = shown(report, &groups);
    text.push_str(&lines(&columns, report.row_count(), groups.len()));
    text.push_str(&format!("\n{} rows, {}\n", report.row_count(), as_of(report)));
    text
}

/// The rows alone, each figure in full.
pub(crate) fn render_plain(report: &Report) -> String {
    let column = |(place, column): (usize, &Column)| Shown {
        place,
        numeric: column.numeric,
        heading: column.name.clone(),
        cells: report.texts(place).into_iter().map(Option::unwrap_or_default).collect(),
        totals: Vec::new(),
    };
    let columns: Vec<Shown> = report.columns.iter().enumerate().map(column).collect();
    format!("{}{} rows\n", lines(&columns, report.row_count(), 0), report.row_count())
}

/// What the figures rest on.
pub(crate) fn as_of(report: &Report) -> String {
    let until = report.provenance.measured_until.map_or_else(|| "nothing".to_owned(), |moment| moment.to_string());
    format!("as of frame {} of the log, readings until {until}", report.provenance.applied_seq)
}

/// The rows of each total: by the column after `by` and by currency, or all.
fn groups(report: &Report) -> BTreeMap<Vec<String>, Vec<usize>> {
    let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    if report.header.totals.is_empty() {
        return groups;
    }
    let keys: Vec<Vec<Option<String>>> = total_keys(report).into_iter().map(|place| report.texts(place)).collect();
    for row in 0..report.row_count() {
        let key = keys.iter().map(|column| column[row].clone().unwrap_or_default()).collect();
        groups.entry(key).or_default().push(row);
    }
    groups
}

fn total_keys(report: &Report) -> Vec<usize> {
    let by = report.header.totals.iter().skip_while(|word| *word != "by").skip(1).map(String::as_str);
    let mut keys: Vec<usize> = by.chain(["currency"]).filter_map(|name| report.place(name)).collect();
    keys.dedup();
    keys
}

fn shown(report: &Report, groups: &BTreeMap<Vec<String>, Vec<usize>>) -> Vec<Shown> {
    let summed: Vec<&str> = report.header.totals.iter().map(String::as_str).take_while(|word| *word != "by").collect();
    let keys = total_keys(report);
    let mut columns = Vec::new();
    for (place, column) in report.columns.iter().enumerate() {
        let exact = report.texts(place);
        let is_zero = |text: &Option<String>| {
            text.as_deref().is_none_or(|text| unscaled(text).is_some_and(|(value, _)| value == 0))
        };
        let optional = report.header.optional.contains(&column.name);
        if optional && exact.iter().all(is_zero) {
            continue;
        }
        let decimal = matches!(report.schema.field(place).data_type(), DataType::Decimal128(..));
        let places = places(column, &exact);
        let show = |text: &Option<String>| match text {
            None => String::new(),
            // A band that a tariff does not have.
            Some(_) if optional && is_zero(text) => String::new(),
            Some(text) if decimal => rounded(text, places),
            Some(text) => text.clone(),
        };
        let mut totals = Vec::new();
        for (key, rows) in groups {
            let total = if summed.contains(&column.name.as_str()) {
                let parts = rows.iter().filter_map(|row| exact[*row].as_deref().and_then(unscaled));
                let scale = exact.iter().flatten().find_map(|text| unscaled(text)).map_or(0, |(_, scale)| scale);
                group(parts.map(|(value, _)| value).sum(), scale, if decimal { places } else { 0 })
            } else if let Some(index) = keys.iter().position(|known| *known == place) {
                key[index].clone()
            } else if place == 0 {
                "total".to_owned()
            } else {
                String::new()
            };
            totals.push(total);
        }
        columns.push(Shown {
            place,
            numeric: column.numeric,
            heading: column.name.replace('_', " "),
            cells: exact.iter().map(show).collect(),
            totals,
        });
    }
    columns
}

/// Places after the point: two for money, else as many as the column needs.
pub(crate) fn places(column: &Column, exact: &[Option<String>]) -> usize {
    if column.unit.starts_with("currency") {
        return 2;
    }
    let needed = |text: &String| text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
    exact.iter().flatten().map(needed).max().unwrap_or(0)
}

fn lines(columns: &[Shown], rows: usize, totals: usize) -> String {
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let cells = column.cells.iter().chain(&column.totals).chain([&column.heading]);
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let line = |cell: &dyn Fn(&Shown) -> String| {
        let mut text = String::new();
        for (column, wide) in columns.iter().zip(&widths) {
            let cell = cell(column);
            let fill = " ".repeat(wide.saturating_sub(width(&cell)));
            let gap = if column.place == columns[0].place { "" } else { "  " };
            text.push_str(gap);
            text.push_str(&if column.numeric { format!("{fill}{cell}") } else { format!("{cell}{fill}") });
        }
        format!("{}\n", text.trim_end())
    };
    let rule = format!("{}\n", "─".repeat(widths.iter().sum::<usize>() + widths.len().saturating_sub(1) * 2));
    let mut text = line(&|column| column.heading.clone());
    text.push_str(&rule);
    for row in 0..rows {
        text.push_str(&line(&|column| column.cells[row].clone()));
    }
    if totals > 0 {
        text.push_str(&rule);
        for total in 0..totals {
            text.push_str(&line(&|column| column.totals[total].clone()));
        }
    }
    text
}
