//! A line of a CSV file into fields.

/// The fields of a row.
#[derive(Default)]
pub(super) struct Fields {
    text: String,
    ranges: Vec<(usize, usize)>,
}

impl Fields {
    /// A field without the spaces around it; empty where there is none.
    pub(super) fn get(&self, field: usize) -> &str {
        self.ranges.get(field).map_or("", |&(from, to)| self.text[from..to].trim())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

/// Why a text with quotes is no row.
pub(super) enum QuoteFault {
    /// The last quoted field does not end.
    Open,
    /// There is text after a quoted field's end.
    Garbage,
}

/// Takes a row apart at its delimiters.
pub(super) fn split(text: &str, delimiter: u8, fields: &mut Fields) -> Result<(), QuoteFault> {
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
