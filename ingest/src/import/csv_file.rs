//! CSV files, plain or gzip: lines into fields.
//!
//! Fields are separated by commas; by semicolons, tabs or bars where the header has no comma. A malformed row costs
//! itself and nothing else: the reader goes on with the next line, also after a quote that never ends.

use std::cell::Cell as Shared;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::convert::{Cell, Converter, Row, Stop, TimeCell};
use super::error::ImportError;
use super::options::{ImportOptions, Layout};
use super::refused::Reason;
use super::source::column;

/// Bytes of a line, at most: a header of ten thousand meters has a tenth of it.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// Lines that one quoted field may span, at most.
const QUOTED_LINES_MAX: usize = 16;

/// A CSV file whose header was read.
pub(super) struct CsvFile {
    path: PathBuf,
    input: Box<dyn BufRead>,
    bytes_read: Rc<Shared<u64>>,
    /// Lines that were read ahead in search of a closing quote.
    ahead: VecDeque<Vec<u8>>,
    line: u64,
    delimiter: u8,
    header: Vec<String>,
}

/// A file that counts what is read from it.
struct Counted {
    file: File,
    bytes_read: Rc<Shared<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes_read.set(self.bytes_read.get() + u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

/// The fields of a row.
#[derive(Default)]
struct Fields {
    text: String,
    ranges: Vec<(usize, usize)>,
}

impl Fields {
    fn get(&self, field: usize) -> &str {
        self.ranges.get(field).map_or("", |&(from, to)| self.text[from..to].trim())
    }
}

impl CsvFile {
    /// Opens the file and reads its header.
    pub(super) fn open(path: &Path, file: File, gzip: bool) -> Result<CsvFile, ImportError> {
        let bytes_read = Rc::new(Shared::new(0));
        let counted = BufReader::with_capacity(1 << 18, Counted { file, bytes_read: Rc::clone(&bytes_read) });
        let input: Box<dyn BufRead> = if gzip {
            Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(counted)))
        } else {
            Box::new(counted)
        };
        let path = path.to_owned();
        let (ahead, header) = (VecDeque::new(), Vec::new());
        let mut csv = CsvFile { path, input, bytes_read, ahead, line: 0, delimiter: b',', header };
        csv.read_header()?;
        Ok(csv)
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.header
    }

    fn read_header(&mut self) -> Result<(), ImportError> {
        let fail = |path: &Path, problem| ImportError::Header { path: path.to_owned(), problem };
        let mut line = Vec::new();
        while line.trim_ascii().is_empty() {
            if !self.next_line(&mut line)? {
                return Err(fail(&self.path, "the file is empty; get it again"));
            }
        }
        if line.starts_with(b"PAR1") {
            return Err(fail(&self.path, "it is a Parquet file inside gzip; unpack it with gunzip and import it"));
        }
        if line.starts_with(&[0xff, 0xfe]) || line.starts_with(&[0xfe, 0xff]) {
            return Err(fail(&self.path, "it is UTF-16; save the file as UTF-8"));
        }
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        let Ok(text) = std::str::from_utf8(line) else {
            return Err(fail(&self.path, "it is not UTF-8 text; is this a CSV file, and saved as UTF-8?"));
        };
        let has = |candidate: &&u8| line.contains(candidate);
        self.delimiter = *b",;\t|".iter().find(has).unwrap_or(&b',');
        let mut fields = Fields::default();
        if split(text, self.delimiter, &mut fields).is_err() {
            return Err(fail(&self.path, "a quoted name does not end; correct the quotes"));
        }
        self.header = (0..fields.ranges.len()).map(|field| fields.get(field).to_owned()).collect();
        Ok(())
    }

    /// Gives every value to the converter.
    pub(super) fn rows(mut self, options: &ImportOptions, converter: &mut Converter) -> Result<(), Stop> {
        let time_at = column(&self.path, &self.header, &options.time_column)?;
        let columns: Vec<(usize, Option<String>)> = match &options.layout {
            Layout::Long { value_column, .. } => vec![(column(&self.path, &self.header, value_column)?, None)],
            Layout::Wide => {
                let others = self.header.iter().enumerate().filter(|(field, _)| *field != time_at);
                others.map(|(field, name)| (field, Some(name.clone()))).collect()
            }
        };
        let meter_at = match &options.layout {
            Layout::Long { meter_column, .. } => Some(column(&self.path, &self.header, meter_column)?),
            Layout::Wide => None,
        };
        let bytes_read = Rc::clone(&self.bytes_read);
        self.records(|line, record| {
            converter.at_byte(bytes_read.get());
            let fields = match record {
                Ok(fields) => fields,
                Err((text, reason)) => return converter.malformed(line, &text, reason),
            };
            let time = TimeCell::Text(fields.get(time_at));
            for (field, name) in &columns {
                let meter = name.as_deref().unwrap_or_else(|| meter_at.map_or("", |field| fields.get(field)));
                converter.row(&Row { place: line, meter, time, value: Cell::Text(fields.get(*field)) })?;
            }
            Ok(())
        })
    }

    /// Shows every meter's name, runs of one name once.
    pub(super) fn meters(mut self, meter_column: &str, mut each: impl FnMut(&str)) -> Result<(), Stop> {
        let meter_at = column(&self.path, &self.header, meter_column)?;
        let mut last = String::new();
        self.records(|_, record| {
            if let Ok(fields) = record
                && fields.get(meter_at) != last
            {
                fields.get(meter_at).clone_into(&mut last);
                each(&last);
            }
            Ok(())
        })
    }

    fn records(
        &mut self,
        mut each: impl FnMut(u64, Result<&Fields, (String, Reason)>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (mut line, mut fields) = (Vec::new(), Fields::default());
        while self.next_line(&mut line)? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = self.line;
            match self.record(&line, &mut fields)? {
                Ok(()) => each(place, Ok(&fields))?,
                Err(reason) => each(place, Err((String::from_utf8_lossy(&line).into_owned(), reason)))?,
            }
        }
        Ok(())
    }

    /// Takes a line apart, with the lines after it where a quoted field goes on in them.
    fn record(&mut self, line: &[u8], fields: &mut Fields) -> Result<Result<(), Reason>, ImportError> {
        let Ok(text) = std::str::from_utf8(line) else { return Ok(Err(Reason::NotUtf8)) };
        match split(text, self.delimiter, fields) {
            Ok(()) if fields.ranges.len() == self.header.len() => Ok(Ok(())),
            Ok(()) => Ok(Err(Reason::FieldCount)),
            Err(QuoteFault::Garbage) => Ok(Err(Reason::Quote)),
            Err(QuoteFault::Open) => self.record_over_lines(text, fields),
        }
    }

    fn record_over_lines(&mut self, first: &str, fields: &mut Fields) -> Result<Result<(), Reason>, ImportError> {
        let (mut text, mut extra) = (first.to_owned(), Vec::new());
        while extra.len() < QUOTED_LINES_MAX {
            let mut more = Vec::new();
            if !self.next_line(&mut more)? {
                break;
            }
            // A line that is a row by itself was never meant as part of a note: a stray quote swallows nothing.
            let delimiters = more.iter().filter(|byte| **byte == self.delimiter).count();
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(&more));
            extra.push(more);
            if delimiters + 1 == self.header.len() {
                break;
            }
            match split(&text, self.delimiter, fields) {
                Ok(()) if fields.ranges.len() == self.header.len() => return Ok(Ok(())),
                Err(QuoteFault::Open) => {}
                _ => break,
            }
        }
        // Only the first line is lost; those read ahead are rows of their own.
        self.line -= u64::try_from(extra.len()).unwrap_or(0);
        extra.into_iter().rev().for_each(|line| self.ahead.push_front(line));
        Ok(Err(Reason::Quote))
    }

    /// The next line without its end; false at the end of the file.
    fn next_line(&mut self, line: &mut Vec<u8>) -> Result<bool, ImportError> {
        if let Some(ahead) = self.ahead.pop_front() {
            self.line += 1;
            *line = ahead;
            return Ok(true);
        }
        line.clear();
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', line);
        let read = read.map_err(|source| ImportError::Read { path: self.path.clone(), line: self.line, source })?;
        if read == 0 {
            return Ok(false);
        }
        self.line += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX) {
            return Err(ImportError::LongLine { path: self.path.clone(), line: self.line, limit: LINE_BYTES_MAX });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(true)
    }
}

/// Why a text with quotes is no row.
enum QuoteFault {
    /// The last quoted field does not end.
    Open,
    /// There is text after a quoted field's end.
    Garbage,
}

/// Takes a row apart at its delimiters.
fn split(text: &str, delimiter: u8, fields: &mut Fields) -> Result<(), QuoteFault> {
    fields.text.clear();
    fields.ranges.clear();
    if text.contains('"') {
        return split_quoted(text, char::from(delimiter), fields);
    }
    fields.text.push_str(text);
    let mut from = 0;
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| *byte == delimiter) {
        fields.ranges.push((from, at));
        from = at + 1;
    }
    fields.ranges.push((from, text.len()));
    Ok(())
}

fn split_quoted(text: &str, delimiter: char, fields: &mut Fields) -> Result<(), QuoteFault> {
    let mut rest = text;
    loop {
        let from = fields.text.len();
        let after = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(delimiter).unwrap_or(rest.len());
                fields.text.push_str(&rest[..end]);
                &rest[end..]
            }
            Some(quoted) => unquote(quoted, &mut fields.text)?,
        };
        fields.ranges.push((from, fields.text.len()));
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(()),
            None => return Err(QuoteFault::Garbage),
        }
    }
}

/// Adds a quoted field's content, two quotes being one, and returns the text after its closing quote.
fn unquote<'a>(mut quoted: &'a str, out: &mut String) -> Result<&'a str, QuoteFault> {
    loop {
        let end = quoted.find('"').ok_or(QuoteFault::Open)?;
        out.push_str(&quoted[..end]);
        let after = &quoted[end + 1..];
        match after.strip_prefix('"') {
            Some(more) => {
                out.push('"');
                quoted = more;
            }
            None => return Ok(after),
        }
    }
}
