//! Corrections: what a person says that a meter said, or that it said nothing (domain.md, 2).
//!
//! A correction takes the place of every reading of its meter and time, whenever they come: those that came before are
//! judged [`Verdict::Superseded`], and so are those that come after it. The last correction of a key counts. Corrections
//! live in the book and change only through the writer, in one transaction with what they re-rate; stored readings are
//! never edited. [`truth`] is where readings and corrections meet, for late readings, re-rates and explanations alike;
//! [`crate::rating`], which reads the lake by months, keeps the same rule.

use std::collections::{BTreeMap, BTreeSet};

use kernel::id::MeterId;
use kernel::money::Quantity;
use kernel::reading::{Value, Verdict};
use kernel::time::Moment;
use sqlx::{AnyConnection, Row as _};

use crate::book::{BookError, malformed};
use crate::lake::read::StoredRow;

/// One correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its number in the book.
    pub id: i64,
    /// What the meter said; none where it said nothing.
    pub value: Option<Value>,
    /// When it was entered.
    pub at: Moment,
    /// What billing made of it; [`Verdict::Superseded`] for one without a value.
    pub verdict: Verdict,
}

/// The corrections that hold, by meter and event time.
pub type Corrections = BTreeMap<(MeterId, Moment), Correction>;

impl Correction {
    /// What it states; of one that says that nothing was said, a value that nobody may count.
    #[must_use]
    pub fn stated(&self) -> Value {
        self.value.unwrap_or(Value::Register(0))
    }

    fn row(&self, meter: MeterId, time: Moment) -> StoredRow {
        StoredRow {
            meter,
            time,
            value: self.stated(),
            received_at: self.at,
            seq: 0,
            row: None,
            verdict: self.verdict,
            correction: Some(self.id),
        }
    }

    /// How the book names its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.value {
            None => "void",
            Some(Value::Register(_)) => "register",
            Some(Value::Usage { .. }) => "usage",
        }
    }
}

/// The readings that count as said: those without a correction, and the corrections of these meters after a moment.
#[must_use]
pub fn truth(
    rows: impl IntoIterator<Item = StoredRow>,
    corrections: &Corrections,
    meters: &BTreeSet<MeterId>,
    after: Moment,
) -> Vec<StoredRow> {
    let mut said: Vec<StoredRow> =
        rows.into_iter().filter(|row| !corrections.contains_key(&(row.meter, row.time))).collect();
    for meter in meters {
        let since = (*meter, after.plus(1))..=(*meter, Moment(i64::MAX));
        said.extend(corrections.range(since).map(|((meter, time), correction)| correction.row(*meter, *time)));
    }
    said
}

/// The corrections that hold.
///
/// # Errors
/// What the database says, or [`BookError::Malformed`].
pub async fn load(connection: &mut AnyConnection) -> Result<Corrections, BookError> {
    let sql = "SELECT id, meter_id, time, kind, start, value, corrected_at, verdict FROM corrections \
               WHERE superseded_by IS NULL";
    let mut all = Corrections::new();
    for row in sqlx::query(sql).fetch_all(connection).await? {
        let int = |column: usize| row.try_get::<Option<i64>, _>(column);
        let id: i64 = row.try_get(0)?;
        let fault = || malformed(format!("corrections {id}: its kind and values do not fit"));
        let kind: String = row.try_get(3)?;
        let value = match (kind.as_str(), int(4)?, int(5)?) {
            ("void", None, None) => None,
            ("register", None, Some(count)) => Some(Value::Register(count)),
            ("usage", Some(start), Some(quantity)) => {
                Some(Value::Usage { start: Moment(start), quantity: Quantity(quantity) })
            }
            _ => return Err(fault()),
        };
        let meter = MeterId(u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(u32::MAX));
        let code = u8::try_from(row.try_get::<i64, _>(7)?).unwrap_or(0);
        let verdict = Verdict::from_code(code).unwrap_or(Verdict::Pending);
        let correction = Correction { id, value, at: Moment(row.try_get(6)?), verdict };
        all.insert((meter, Moment(row.try_get(2)?)), correction);
    }
    Ok(all)
}
