//! Workbooks: real numbers with number formats, a frozen header, sums as formulas beside their values.
//!
//! **Promises.** A number in a cell is the nearest that a spreadsheet can hold (15 digits) of the exact decimal; it is rounded
//! only for show, by its format. A sum is a formula that stands with the exact sum as its value, so that a reader who does not
//! calculate shows it too. Text stays text, whatever it begins with. The same data give the same bytes.

use engine::query::header::Header;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Formula, Workbook, XlsxError};

use crate::cells::{unscaled, width};
use crate::run::Report;
use crate::{Column, ReportError};

/// Characters of the widest column.
const WIDEST: usize = 60;
/// The characters of a sheet's name, of which there are at most 31.
const NAME_MAX: usize = 31;
/// A4.
const PAPER: u8 = 9;

/// A cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Words.
    Text(String),
    /// An exact decimal, shown with so many places.
    Number(String, usize),
    /// A local date, such as `2026-10-31`.
    Date(String),
    /// The sum of this column's rows above, from the first row of the table; with the exact sum and places to show.
    Sum(String, usize),
    /// A formula in which `#` stands for the row's own number, with its exact value and places to show.
    Formula(&'static str, String, usize),
}

/// A sheet: lines of words, a table with a header, and rows that are set off below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Its name.
    pub name: String,
    /// Above the table; the first is the title.
    pub head: Vec<String>,
    /// Headings of the table.
    pub columns: Vec<String>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Rows below the table, in bold, such as sums.
    pub totals: Vec<Vec<Cell>>,
    /// Lines of words below it.
    pub notes: Vec<String>,
}

/// A workbook's bytes.
///
/// # Errors
/// [`ReportError::Workbook`] where a sheet is larger than a spreadsheet may be (1,048,576 rows).
pub fn workbook(sheets: &[Sheet]) -> Result<Vec<u8>, ReportError> {
    let name = sheets.first().map_or("", |sheet| &sheet.name);
    written(sheets).map_err(|error| ReportError::Workbook { name: name.to_owned(), fault: error.to_string() })
}

fn written(sheets: &[Sheet]) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    // The time of writing would make every file another one.
    let epoch = ExcelDateTime::parse_from_str("2000-01-01T00:00:00Z")?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&epoch));
    let mut taken: Vec<String> = Vec::new();
    for sheet in sheets {
        let name = sheet_name(&sheet.name, &taken);
        taken.push(name.to_lowercase());
        write(book.add_worksheet().set_name(name)?, sheet)?;
    }
    book.save_to_buffer()
}

/// A name that spreadsheets take, unlike those that are taken.
fn sheet_name(wanted: &str, taken: &[String]) -> String {
    let plain: String =
        wanted.chars().map(|c| if "[]:*?/\\'".contains(c) { ' ' } else { c }).take(NAME_MAX - 4).collect();
    let plain = if plain.trim().is_empty() { "sheet".to_owned() } else { plain.trim().to_owned() };
    let numbered = (2..).map(|number| format!("{plain} {number}"));
    let free = std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(&name.to_lowercase()));
    free.unwrap_or(plain)
}

fn write(out: &mut rust_xlsxwriter::Worksheet, sheet: &Sheet) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    let mut row = 0;
    for (place, line) in sheet.head.iter().enumerate() {
        let title = Format::new().set_bold().set_font_size(14);
        out.write_string_with_format(row, 0, line, if place == 0 { &title } else { &bold })?;
        row += 1;
    }
    let heading = bold.clone().set_border_bottom(FormatBorder::Thin).set_text_wrap().set_align(FormatAlign::Top);
    for (column, text) in (0_u16..).zip(&sheet.columns) {
        out.write_string_with_format(row, column, text, &heading)?;
    }
    out.set_freeze_panes(row + 1, 0)?;
    out.set_repeat_rows(row, row)?;
    let first = row + 1;
    row = first;
    for cells in &sheet.rows {
        line(out, row, cells, &Format::new(), first..first)?;
        row += 1;
    }
    let end = row;
    for cells in &sheet.totals {
        line(out, row, cells, &bold.clone().set_border_top(FormatBorder::Thin), first..end)?;
        row += 1;
    }
    for note in &sheet.notes {
        out.write_string(row + 1, 0, note)?;
        row += 1;
    }
    for (place, column) in (0_u16..).zip(0..sheet.columns.len()) {
        out.set_column_width(place, f64::from(u32::try_from(wide(sheet, column)).unwrap_or(u32::MAX)))?;
    }
    out.set_landscape().set_paper_size(PAPER).set_print_fit_to_pages(1, 0);
    Ok(())
}

fn line(
    out: &mut rust_xlsxwriter::Worksheet,
    row: u32,
    cells: &[Cell],
    format: &Format,
    summed: std::ops::Range<u32>,
) -> Result<(), XlsxError> {
    for (column, cell) in (0_u16..).zip(cells) {
        let number = |places: usize| format.clone().set_num_format(number_format(places));
        match cell {
            Cell::Empty => out.write_blank(row, column, format)?,
            Cell::Text(text) => out.write_string_with_format(row, column, text, format)?,
            Cell::Number(text, places) => match text.parse::<f64>() {
                Ok(value) => out.write_number_with_format(row, column, value, &number(*places))?,
                Err(_) => out.write_string_with_format(row, column, text, format)?,
            },
            Cell::Date(text) => match ExcelDateTime::parse_from_str(text) {
                Ok(date) => {
                    out.write_datetime_with_format(row, column, &date, &format.clone().set_num_format("yyyy-mm-dd"))?
                }
                Err(_) => out.write_string_with_format(row, column, text, format)?,
            },
            Cell::Formula(formula, text, places) => {
                let formula = Formula::new(formula.replace('#', &(row + 1).to_string())).set_result(text);
                out.write_formula_with_format(row, column, formula, &number(*places))?
            }
            Cell::Sum(text, places) if summed.is_empty() => {
                out.write_number_with_format(row, column, text.parse::<f64>().unwrap_or(0.0), &number(*places))?
            }
            Cell::Sum(text, places) => {
                let letters = rust_xlsxwriter::utility::column_number_to_name(column);
                let formula = format!("=SUM({letters}{}:{letters}{})", summed.start + 1, summed.end);
                out.write_formula_with_format(row, column, Formula::new(formula).set_result(text), &number(*places))?
            }
        };
    }
    Ok(())
}

/// Such as `#,##0.00`.
fn number_format(places: usize) -> String {
    if places == 0 { "#,##0".to_owned() } else { format!("#,##0.{}", "0".repeat(places)) }
}

fn wide(sheet: &Sheet, column: usize) -> usize {
    let of = |cell: &Cell| match cell {
        Cell::Empty => 0,
        Cell::Text(text) | Cell::Date(text) => width(text),
        // Digits before the point, their separators, the point and the places.
        Cell::Number(text, places) | Cell::Sum(text, places) | Cell::Formula(_, text, places) => {
            let whole = text.split('.').next().map_or(0, str::len);
            whole + whole / 3 + places + 1
        }
    };
    let cells = sheet.rows.iter().chain(&sheet.totals).filter_map(|row| row.get(column)).map(of);
    let widest = cells.chain([width(&sheet.columns[column]).min(18)]).max().unwrap_or(0);
    widest.clamp(8, WIDEST) + 2
}

/// A report as a workbook of one sheet.
pub(crate) fn render(
    report: &Report,
    places: impl Fn(&Column, &[Option<String>]) -> usize,
) -> Result<Vec<u8>, ReportError> {
    let texts: Vec<Vec<Option<String>>> = (0..report.columns.len()).map(|place| report.texts(place)).collect();
    let places: Vec<usize> = report.columns.iter().zip(&texts).map(|(column, texts)| places(column, texts)).collect();
    let cell = |place: usize, row: usize| match &texts[place][row] {
        None => Cell::Empty,
        Some(text) if report.columns[place].numeric => Cell::Number(text.clone(), places[place]),
        Some(text) if is_date(text) => Cell::Date(text.clone()),
        Some(text) => Cell::Text(text.clone()),
    };
    let rows: Vec<Vec<Cell>> =
        (0..report.row_count()).map(|row| (0..report.columns.len()).map(|place| cell(place, row)).collect()).collect();
    let mut head = vec![report.title.replace(" | ", "  ")];
    head.extend(report.period.map(|period| format!("{} to {}", period.from, period.to)));
    let columns = report.columns.iter().map(|column| match column.unit.as_str() {
        "" => column.name.replace('_', " "),
        unit => format!("{} ({unit})", column.name.replace('_', " ")),
    });
    let totals = totals(&report.header, report, &texts, &places);
    let sheet = Sheet {
        name: report.name.clone(),
        head,
        columns: columns.collect(),
        rows,
        totals: totals.into_iter().collect(),
        notes: vec![report.purpose.clone(), crate::table::as_of(report)],
    };
    workbook(&[sheet])
}

/// The row of sums where all rows add up to one: not those of several currencies or utilities.
fn totals(header: &Header, report: &Report, texts: &[Vec<Option<String>>], places: &[usize]) -> Option<Vec<Cell>> {
    let mut words = header.totals.iter();
    let summed: Vec<&String> = words.by_ref().take_while(|word| *word != "by").collect();
    let mut keys: Vec<usize> = words.filter_map(|name| report.place(name)).collect();
    keys.extend(report.place("currency"));
    let alone = keys.iter().all(|place| texts[*place].windows(2).all(|pair| pair[0] == pair[1]));
    if summed.is_empty() || report.row_count() == 0 || !alone {
        return None;
    }
    let total = |place: usize, column: &Column| {
        if summed.contains(&&column.name) {
            Cell::Sum(sum(&texts[place]), places[place])
        } else if place == 0 {
            Cell::Text("total 合计".to_owned())
        } else {
            Cell::Empty
        }
    };
    Some(report.columns.iter().enumerate().map(|(place, column)| total(place, column)).collect())
}

/// The exact sum of decimals of one scale.
fn sum(texts: &[Option<String>]) -> String {
    let parsed: Vec<(i128, usize)> = texts.iter().flatten().filter_map(|text| unscaled(text)).collect();
    let scale = parsed.iter().map(|(_, scale)| *scale).max().unwrap_or(0);
    let total: i128 = parsed.iter().map(|(value, _)| value).sum();
    let digits = format!("{:0>1$}", total.unsigned_abs(), scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if total < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_at_their_scale() {
        let of = |texts: &[&str]| sum(&texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>());
        assert_eq!(of(&["1.10", "-3.15"]), "-2.05");
        assert_eq!(of(&["0.001", "0.002"]), "0.003");
        assert_eq!((of(&["7", "8"]), of(&[])), ("15".to_owned(), "0".to_owned()));
    }

    #[test]
    fn sheet_names_are_short_allowed_and_different() {
        let taken = vec!["a b".to_owned()];
        assert_eq!(sheet_name("A/B", &taken), "A B 2");
        assert_eq!(sheet_name("", &[]), "sheet");
        assert!(sheet_name(&"清".repeat(40), &[]).chars().count() <= NAME_MAX);
    }

    #[test]
    fn the_same_sheets_give_the_same_bytes() {
        let sheet = Sheet {
            name: "清河".to_owned(),
            columns: vec!["a".to_owned(), "b".to_owned()],
            rows: vec![vec![Cell::Text("=1+1".to_owned()), Cell::Number("1.25".to_owned(), 2)]],
            totals: vec![vec![Cell::Empty, Cell::Sum("1.25".to_owned(), 2)]],
            ..Sheet::default()
        };
        let bytes = workbook(std::slice::from_ref(&sheet)).unwrap();
        assert_eq!(bytes, workbook(&[sheet]).unwrap());
        assert!(bytes.starts_with(b"PK"));
    }
}
