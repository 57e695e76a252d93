//! The body of a frame: readings as columns, observations by postcard.
//!
//! ```text
//! readings (kind 1)                              observations (kind 2)
//!   0  8  received_at                              a sequence of `Observation` as postcard 1 writes it
//!   8  4  rows n
//!  12  1  presence: 1 start, 2 power, 4 voltage, 8 current, 16 power factor, 32 contact
//!  13     n x 4 meter, n x 8 time, n x 8 value, then of each present column n x 8 (contact: n x 1)
//! ```
//!
//! When you change this (also by changing a variant of `Observation` or `Seen`), also change `format::VERSION` and
//! what it names.

use kernel::batch::{Batch, Payload};
use kernel::reading::Observation;
use thiserror::Error;

/// Rows of one batch, at most: with every column, 1,048,576 x 61 bytes = 61 MiB in memory and as much on disk.
pub const MAX_ROWS: usize = 1 << 20;
/// Observations of one payload, at most: 1,048,576 x at most 28 bytes = 28 MiB on disk.
pub const MAX_OBSERVATIONS: usize = 1 << 20;

const READINGS: u8 = 1;
const OBSERVATIONS: u8 = 2;
const BATCH_HEAD: usize = 13;

/// Why a payload has no bytes.
#[derive(Debug, Error)]
pub enum EncodeError {
    /// Postcard refused the observations.
    #[error("the observations cannot be written: {0}")]
    Observations(#[source] postcard::Error),
    /// The body is longer than a frame can say.
    #[error("a body of {0} bytes does not fit into a frame; split the submission")]
    Size(usize),
}

/// Why bytes are no payload. Behind a checksum, only a fault of the writer or a newer release causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The kind is none of this version.
    #[error("frame kind {0} is unknown")]
    Kind(u8),
    /// The lengths do not fit together.
    #[error("a batch of {rows} rows does not have {bytes} bytes")]
    Length {
        /// Rows that the body states.
        rows: usize,
        /// Bytes of the body.
        bytes: usize,
    },
    /// A column holds what no batch holds.
    #[error("the batch is not well formed")]
    Batch,
    /// Postcard cannot read the observations, or bytes are left over.
    #[error("the observations cannot be read")]
    Observations,
}

/// Appends the body to `out` and returns its kind. Columns are copied, rows are not looked at.
///
/// # Errors
/// [`EncodeError`]; `out` may then hold a part.
pub fn encode(payload: &Payload, out: &mut Vec<u8>) -> Result<u8, EncodeError> {
    match payload {
        Payload::Readings(batch) => {
            encode_batch(batch, out)?;
            Ok(READINGS)
        }
        Payload::Observations(observations) => {
            out.extend_from_slice(&postcard::to_allocvec(observations).map_err(EncodeError::Observations)?);
            Ok(OBSERVATIONS)
        }
    }
}

/// The payload of a frame's kind and body. Never panics, whatever the bytes.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(kind: u8, body: &[u8]) -> Result<Payload, DecodeError> {
    match kind {
        READINGS => decode_batch(body).map(Payload::Readings),
        OBSERVATIONS => match postcard::take_from_bytes::<Vec<Observation>>(body) {
            Ok((observations, [])) => Ok(Payload::Observations(observations)),
            _ => Err(DecodeError::Observations),
        },
        other => Err(DecodeError::Kind(other)),
    }
}

fn optional_columns(batch: &Batch) -> [&Vec<i64>; 5] {
    [&batch.start, &batch.power_mw, &batch.voltage_mv, &batch.current_ma, &batch.power_factor_milli]
}

fn encode_batch(batch: &Batch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let rows = u32::try_from(batch.len()).map_err(|_| EncodeError::Size(batch.len()))?;
    let mut presence = 0;
    for (bit, column) in optional_columns(batch).into_iter().enumerate() {
        presence |= u8::from(!column.is_empty()) << bit;
    }
    presence |= u8::from(!batch.contact.is_empty()) << 5;
    out.reserve(body_length(batch.len(), presence).unwrap_or(0));
    out.extend_from_slice(&batch.received_at.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    out.push(presence);
    let start = out.len();
    out.resize(start + batch.len() * 4, 0);
    let (slots, _) = out[start..].as_chunks_mut::<4>();
    slots.iter_mut().zip(&batch.meter).for_each(|(slot, value)| *slot = value.to_le_bytes());
    put(out, &batch.time);
    put(out, &batch.value);
    optional_columns(batch).into_iter().for_each(|column| put(out, column));
    out.extend_from_slice(&batch.contact);
    Ok(())
}

fn put(out: &mut Vec<u8>, column: &[i64]) {
    let start = out.len();
    out.resize(start + column.len() * 8, 0);
    // The compiler makes one memcpy of this on little-endian machines.
    let (slots, _) = out[start..].as_chunks_mut::<8>();
    slots.iter_mut().zip(column).for_each(|(slot, value)| *slot = value.to_le_bytes());
}

/// Bytes of a batch's body; `None` where the address space ends.
fn body_length(rows: usize, presence: u8) -> Option<usize> {
    let wide = 2 + usize::try_from((presence & 31).count_ones()).ok()?;
    let row = 4 + 8 * wide + usize::from(presence >> 5 & 1);
    rows.checked_mul(row)?.checked_add(BATCH_HEAD)
}

fn decode_batch(body: &[u8]) -> Result<Batch, DecodeError> {
    let wrong = DecodeError::Length { rows: 0, bytes: body.len() };
    let (received_at, rest) = body.split_first_chunk::<8>().ok_or(wrong)?;
    let (rows, rest) = rest.split_first_chunk::<4>().ok_or(wrong)?;
    let (&presence, columns) = rest.split_first().ok_or(wrong)?;
    let rows = usize::try_from(u32::from_le_bytes(*rows)).map_err(|_| wrong)?;
    if body_length(rows, presence) != Some(body.len()) || rows > MAX_ROWS || presence > 63 {
        return Err(DecodeError::Length { rows, bytes: body.len() });
    }
    let (meter, mut columns) = columns.split_at(rows * 4);
    let mut take = |bit: Option<u8>| {
        let present = bit.is_none_or(|bit| presence >> bit & 1 == 1);
        let (column, rest) = columns.split_at(if present { rows * 8 } else { 0 });
        columns = rest;
        column.as_chunks::<8>().0.iter().map(|value| i64::from_le_bytes(*value)).collect()
    };
    let batch = Batch {
        received_at: i64::from_le_bytes(*received_at),
        meter: meter.as_chunks::<4>().0.iter().map(|value| u32::from_le_bytes(*value)).collect(),
        time: take(None),
        value: take(None),
        start: take(Some(0)),
        power_mw: take(Some(1)),
        voltage_mv: take(Some(2)),
        current_ma: take(Some(3)),
        power_factor_milli: take(Some(4)),
        contact: columns.to_vec(),
    };
    if batch.is_well_formed() { Ok(batch) } else { Err(DecodeError::Batch) }
}
