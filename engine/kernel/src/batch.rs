//! Readings by column: the shape in which they travel from a door to Parquet.

use alloc::vec::Vec;

use crate::id::MeterId;
use crate::money::Quantity;
use crate::reading::{Contact, Instruments, Observation, Reading, Value};
use crate::time::Moment;

/// The stored stand-in for "absent" in an optional column of integers.
pub const ABSENT: i64 = i64::MIN;

/// Readings as columns of one length. An instrument column that no row fills is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// When the batch was received (one stamp for all its rows).
    pub received_at: i64,
    /// [`MeterId`] of each row.
    pub meter: Vec<u32>,
    /// [`Moment`] of each row: event time, or the end of a usage interval.
    pub time: Vec<i64>,
    /// Start of a usage interval; [`ABSENT`] marks a register row. Empty when every row is a register.
    pub start: Vec<i64>,
    /// Register count, or quantity in 1/1000 unit.
    pub value: Vec<i64>,
    /// Power in mW or [`ABSENT`]; empty when no row has it.
    pub power_mw: Vec<i64>,
    /// Voltage in mV or [`ABSENT`]; empty when no row has it.
    pub voltage_mv: Vec<i64>,
    /// Current in mA or [`ABSENT`]; empty when no row has it.
    pub current_ma: Vec<i64>,
    /// Power factor in 1/1000 or [`ABSENT`]; empty when no row has it.
    pub power_factor_milli: Vec<i64>,
    /// 0 absent, 1 open, 2 closed; empty when no row has it.
    pub contact: Vec<u8>,
}

impl Batch {
    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meter.len()
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meter.is_empty()
    }

    /// Whether every column has the length of `meter`, or is empty where that is allowed.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let rows = self.len();
        let optional = [&self.start, &self.power_mw, &self.voltage_mv, &self.current_ma, &self.power_factor_milli];
        self.time.len() == rows
            && self.value.len() == rows
            && optional.iter().all(|column| column.is_empty() || column.len() == rows)
            && (self.contact.is_empty() || self.contact.len() == rows)
            && self.contact.iter().all(|code| *code <= 2)
    }

    /// Adds a row.
    pub fn push(&mut self, reading: &Reading) {
        let row = self.len();
        self.meter.push(reading.meter.0);
        self.time.push(reading.time.0);
        let (start, value) = match reading.value {
            Value::Register(count) => (None, count),
            Value::Usage { start, quantity } => (Some(start.0), quantity.0),
        };
        self.value.push(value);
        push_optional(&mut self.start, row, start);
        push_optional(&mut self.power_mw, row, reading.instruments.power_mw);
        push_optional(&mut self.voltage_mv, row, reading.instruments.voltage_mv);
        push_optional(&mut self.current_ma, row, reading.instruments.current_ma);
        push_optional(&mut self.power_factor_milli, row, reading.instruments.power_factor_milli);
        let contact = match reading.instruments.contact {
            None => 0,
            Some(Contact::Open) => 1,
            Some(Contact::Closed) => 2,
        };
        if contact != 0 && self.contact.is_empty() {
            self.contact.resize(row, 0);
        }
        if contact != 0 || !self.contact.is_empty() {
            self.contact.push(contact);
        }
    }

    /// The value of a row. Panics outside the batch.
    #[must_use]
    pub fn value_at(&self, row: usize) -> Value {
        match self.start.get(row) {
            Some(&start) if start != ABSENT => {
                Value::Usage { start: Moment(start), quantity: Quantity(self.value[row]) }
            }
            _ => Value::Register(self.value[row]),
        }
    }

    /// A row as a reading. Panics outside the batch.
    #[must_use]
    pub fn reading(&self, row: usize) -> Reading {
        Reading {
            meter: MeterId(self.meter[row]),
            time: Moment(self.time[row]),
            value: self.value_at(row),
            instruments: Instruments {
                power_mw: optional(&self.power_mw, row),
                voltage_mv: optional(&self.voltage_mv, row),
                current_ma: optional(&self.current_ma, row),
                power_factor_milli: optional(&self.power_factor_milli, row),
                contact: match self.contact.get(row) {
                    Some(1) => Some(Contact::Open),
                    Some(2) => Some(Contact::Closed),
                    _ => None,
                },
            },
        }
    }
}

fn push_optional(column: &mut Vec<i64>, row: usize, value: Option<i64>) {
    if value.is_some() && column.is_empty() {
        column.resize(row, ABSENT);
    }
    if value.is_some() || !column.is_empty() {
        column.push(value.unwrap_or(ABSENT));
    }
}

fn optional(column: &[i64], row: usize) -> Option<i64> {
    column.get(row).copied().filter(|value| *value != ABSENT)
}

/// What one frame of the log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Readings that a door accepted.
    Readings(Batch),
    /// What the field saw of relays and commands.
    Observations(Vec<Observation>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in_whatever_their_order() {
        let register = |count, power_mw| Reading {
            meter: MeterId(7),
            time: Moment(count),
            value: Value::Register(count),
            instruments: Instruments { power_mw, ..Instruments::default() },
        };
        let usage = Reading {
            meter: MeterId(8),
            time: Moment(20),
            value: Value::Usage { start: Moment(10), quantity: Quantity(5) },
            instruments: Instruments { contact: Some(Contact::Open), ..Instruments::default() },
        };
        let rows = [register(1, None), usage, register(3, Some(4)), usage];
        let mut batch = Batch::default();
        rows.iter().for_each(|row| batch.push(row));
        assert!(batch.is_well_formed() && !batch.is_empty() && Batch::default().is_empty());
        let back: Vec<Reading> = (0..batch.len()).map(|row| batch.reading(row)).collect();
        assert_eq!(back, rows);
    }
    type Change = fn(&mut Batch);

    #[test]
    fn columns_of_other_lengths_and_contacts_that_are_none_are_ill_formed() {
        let reading = Reading {
            meter: MeterId(7),
            time: Moment(1),
            value: Value::Usage { start: Moment(0), quantity: Quantity(5) },
            instruments: Instruments {
                power_mw: Some(1),
                voltage_mv: Some(2),
                current_ma: Some(3),
                power_factor_milli: Some(4),
                contact: Some(Contact::Closed),
            },
        };
        let mut whole = Batch::default();
        whole.push(&reading);
        whole.push(&reading);
        assert!(whole.is_well_formed());
        let spoilt: [(&str, Change); 9] = [
            ("times", |batch| batch.time.push(1)),
            ("values", |batch| batch.value.truncate(1)),
            ("starts", |batch| batch.start.truncate(1)),
            ("power", |batch| batch.power_mw.push(1)),
            ("voltage", |batch| batch.voltage_mv.push(1)),
            ("current", |batch| batch.current_ma.push(1)),
            ("power factors", |batch| batch.power_factor_milli.push(1)),
            ("contacts", |batch| batch.contact.push(1)),
            ("a contact of 3", |batch| batch.contact[1] = 3),
        ];
        for (what, spoil) in spoilt {
            let mut batch = whole.clone();
            spoil(&mut batch);
            assert!(!batch.is_well_formed(), "{what}");
        }
        let empties: [Change; 3] =
            [|batch| batch.start.clear(), |batch| batch.voltage_mv.clear(), |batch| batch.contact.clear()];
        for empty in empties {
            let mut batch = whole.clone();
            empty(&mut batch);
            assert!(batch.is_well_formed(), "a column that nobody fills is empty");
        }
    }

    /// Columns begin where a row first has something for them: what came before has nothing there.
    #[test]
    fn a_column_that_begins_late_leaves_earlier_rows_without() {
        let plain = Reading {
            meter: MeterId(7),
            time: Moment(1),
            value: Value::Register(1),
            instruments: Instruments::default(),
        };
        let with = |contact| Reading { instruments: Instruments { contact, ..Instruments::default() }, ..plain };
        let mut batch = Batch::default();
        batch.push(&plain);
        batch.push(&plain);
        assert!(batch.contact.is_empty(), "nobody has a contact yet");
        for row in [with(Some(Contact::Open)), with(Some(Contact::Closed))] {
            batch.push(&row);
        }
        assert_eq!(batch.contact, [0, 0, 1, 2]);
        assert_eq!(batch.reading(3), with(Some(Contact::Closed)));
        assert!(batch.start.is_empty() && batch.power_mw.is_empty());
        batch.push(&Reading { instruments: Instruments { power_mw: Some(9), ..Instruments::default() }, ..plain });
        assert_eq!(
            (batch.power_mw.as_slice(), batch.contact.len()),
            ([ABSENT, ABSENT, ABSENT, ABSENT, 9].as_slice(), 5)
        );
    }
}
