//! Comma-separated values: a header line, every digit, quotes where needed.

use crate::Report;

/// The report as CSV. Null is empty.
pub(crate) fn render(report: &Report) -> String {
    let columns: Vec<Vec<Option<String>>> = (0..report.columns.len()).map(|place| report.texts(place)).collect();
    let mut text = String::new();
    let names: Vec<String> = report.columns.iter().map(|column| quoted(&column.name)).collect();
    text.push_str(&names.join(","));
    text.push('\n');
    for row in 0..report.row_count() {
        let cells: Vec<String> = columns.iter().map(|column| quoted(column[row].as_deref().unwrap_or(""))).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

fn quoted(cell: &str) -> String {
    // A cell that a spreadsheet would run as a formula is given as text; numbers keep their sign.
    let formula = cell.starts_with(['=', '+', '@', '\t']) || (cell.starts_with('-') && cell.parse::<f64>().is_err());
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!((quoted("=1+1"), quoted("-1.5"), quoted("-x")), ("'=1+1".into(), "-1.5".into(), "'-x".into()));
    }
}
