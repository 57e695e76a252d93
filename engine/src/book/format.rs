//! The book's formats: the script that makes the first, and one for each step from a format to the next.

/// A new book runs all of them in order; an older one those after its format, in one transaction. When you add one,
/// change `query/columns.rs` with it and keep a book of the format before as a fixture (`tests/fixtures`). A script
/// that has been released is never edited.
pub const SCRIPTS: [&str; 5] = [
    include_str!("format_1.sql"),
    include_str!("format_2.sql"),
    include_str!("format_3.sql"),
    include_str!("format_4.sql"),
    include_str!("format_5.sql"),
];

/// The newest format that this program reads and writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of scripts")]
pub const FORMAT: i64 = SCRIPTS.len() as i64;

/// The scripts that bring a book of `format` to the newest; all of them for 0, a book that is not there yet.
#[must_use]
pub fn scripts_after(format: i64) -> &'static [&'static str] {
    let done = usize::try_from(format).unwrap_or(0).min(SCRIPTS.len());
    &SCRIPTS[done..]
}
