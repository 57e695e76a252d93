//! Which days a report covers, and how they get into its SQL.

use kernel::time::{LocalDate, LocalMonth};

use crate::ReportError;

/// The period that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Params {
    /// None: the last month (or year, or all) with data, as the report says.
    #[default]
    Default,
    /// From one local day to another, both included; an open end is the data's own.
    Range(Option<LocalDate>, Option<LocalDate>),
    /// A local month.
    Month(LocalMonth),
    /// A local year.
    Year(i32),
}

/// The days of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// First local day.
    pub from: LocalDate,
    /// Last local day.
    pub to: LocalDate,
}

impl Params {
    /// The parameters of the command line's options, as text.
    ///
    /// # Errors
    /// [`ReportError::Parameter`] names what is malformed, [`ReportError::Periods`] what excludes each other.
    pub fn parse(
        from: Option<&str>,
        to: Option<&str>,
        month: Option<&str>,
        year: Option<&str>,
    ) -> Result<Params, ReportError> {
        match (from, to, month, year) {
            (None, None, None, None) => Ok(Params::Default),
            (None, None, Some(text), None) => {
                let month = date(&format!("{text}-01")).map(LocalDate::month);
                let fault = || fault("month", text, "a month such as 2026-10");
                month.map(Params::Month).ok_or_else(fault)
            }
            (None, None, None, Some(text)) => {
                let year = text.parse().ok().filter(|year| (1..=9_999).contains(year));
                year.map(Params::Year).ok_or_else(|| fault("year", text, "a year such as 2026"))
            }
            (from, to, None, None) => {
                let day = |name, text: Option<&str>| match text {
                    Some(text) => date(text).map(Some).ok_or_else(|| fault(name, text, "a day such as 2026-10-31")),
                    None => Ok(None),
                };
                let (from, to) = (day("from", from)?, day("to", to)?);
                if let (Some(first), Some(last)) = (from, to)
                    && first > last
                {
                    return Err(fault("from", &first.to_string(), "on or before --to"));
                }
                Ok(Params::Range(from, to))
            }
            _ => Err(ReportError::Periods),
        }
    }

    /// The days covered, where the data reach from `first` to `last` and the report's own period is `usual`.
    #[must_use]
    pub fn period(self, usual: Option<&str>, first: LocalDate, last: LocalDate) -> Period {
        let month =
            |month: LocalMonth| Period { from: month.first_day(), to: LocalMonth(month.0 + 1).first_day().plus(-1) };
        let year = |year: i32| Period {
            from: LocalMonth(year * 12).first_day(),
            to: LocalMonth((year + 1) * 12).first_day().plus(-1),
        };
        match (self, usual) {
            (Params::Month(asked), _) => month(asked),
            (Params::Year(asked), _) => year(asked),
            (Params::Range(from, to), _) => {
                let to = to.unwrap_or(last.max(from.unwrap_or(last)));
                Period { from: from.unwrap_or(to.month().first_day()), to }
            }
            (Params::Default, Some("year")) => year(last.ymd().0),
            (Params::Default, Some("all")) => Period { from: first, to: last },
            (Params::Default, _) => month(last.month()),
        }
    }
}

impl Period {
    /// The same days a year earlier; a leap day becomes the day before.
    #[must_use]
    pub fn year_before(self) -> Period {
        let earlier = |date: LocalDate| {
            let (year, month, day) = date.ymd();
            let there = LocalDate::new(year - 1, month, day);
            there.unwrap_or_else(|| LocalDate::new(year - 1, month, day - 1).unwrap_or(date))
        };
        // The end is that of the month where this one is, so that February is whole in both years.
        let month_end = self.to.plus(1).month() != self.to.month();
        let to = if month_end { LocalMonth(self.to.month().0 - 11).first_day().plus(-1) } else { earlier(self.to) };
        Period { from: earlier(self.from), to }
    }
}

fn fault(parameter: &'static str, found: &str, expected: &'static str) -> ReportError {
    ReportError::Parameter { parameter, found: found.to_owned(), expected }
}

/// The date of `YYYY-MM-DD`.
fn date(text: &str) -> Option<LocalDate> {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    LocalDate::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// Puts the values of `$name` into a statement; text in quotes and comments stays as it is.
pub(crate) fn substitute(sql: &str, values: &[(&str, LocalDate)]) -> String {
    let mut text = String::with_capacity(sql.len());
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        for (index, piece) in line.split('\'').enumerate() {
            if index > 0 {
                text.push('\'');
            }
            text.push_str(&if index % 2 == 0 { fill(piece, values) } else { piece.to_owned() });
        }
        text.push('\n');
    }
    text
}

fn fill(piece: &str, values: &[(&str, LocalDate)]) -> String {
    let mut parts = piece.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        match values.iter().find(|(name, _)| *name == &part[..end]) {
            Some((_, date)) => {
                text.push_str(&format!("DATE '{date}'{}", &part[end..]));
            }
            None => {
                text.push('$');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> LocalDate {
        date(text).unwrap()
    }

    #[test]
    fn periods_are_read_and_nonsense_is_refused_with_its_remedy() {
        let parse = |from, to, month, year| Params::parse(from, to, month, year);
        assert_eq!(parse(None, None, Some("2024-02"), None).unwrap(), Params::Month(day("2024-02-01").month()));
        assert_eq!(parse(None, None, None, Some("2024")).unwrap(), Params::Year(2024));
        for (from, to, month, year) in [
            (None, None, Some("2024-13"), None),
            (None, None, Some("24-1"), None),
            (None, None, None, Some("last")),
            (Some("2024-02-30"), None, None, None),
            (Some("2024-03-01"), Some("2024-02-01"), None, None),
            (Some("2024-03-01"), None, Some("2024-03"), None),
        ] {
            assert!(parse(from, to, month, year).is_err(), "{from:?} {to:?} {month:?} {year:?}");
        }
    }

    #[test]
    fn a_period_defaults_to_the_last_month_with_data_and_has_one_a_year_before() {
        let (first, last) = (day("2023-05-17"), day("2024-02-11"));
        let period = |params: Params, usual| params.period(usual, first, last);
        let whole = |from, to| Period { from: day(from), to: day(to) };
        assert_eq!(period(Params::Default, Some("month")), whole("2024-02-01", "2024-02-29"));
        assert_eq!(period(Params::Default, Some("year")), whole("2024-01-01", "2024-12-31"));
        assert_eq!(period(Params::Default, Some("all")), whole("2023-05-17", "2024-02-11"));
        assert_eq!(period(Params::Range(Some(day("2024-02-03")), None), None), whole("2024-02-03", "2024-02-11"));
        assert_eq!(whole("2024-02-01", "2024-02-29").year_before(), whole("2023-02-01", "2023-02-28"));
        assert_eq!(whole("2025-02-01", "2025-02-28").year_before(), whole("2024-02-01", "2024-02-29"));
        assert_eq!(whole("2024-02-03", "2024-02-11").year_before(), whole("2023-02-03", "2023-02-11"));
    }

    #[test]
    fn parameters_get_into_the_statement_but_not_into_its_text() {
        let sql = "-- $from\nSELECT '$from', $from, $from_x, $to;";
        let values = [("from", day("2026-10-01")), ("to", day("2026-10-31"))];
        assert_eq!(substitute(sql, &values), "SELECT '$from', DATE '2026-10-01', $from_x, DATE '2026-10-31';\n");
    }
}
