//! Rows on their way to the intake: a batch, and what it takes to tell of its refused rows.

use kernel::batch::Batch;

use super::refused::RefusedRow;
use crate::intake::BATCH_ROWS_MAX;

/// A batch with the places of its rows, and the rows refused meanwhile.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) batch: Batch,
    pub(super) places: Vec<u64>,
    pub(super) refused: Vec<RefusedRow>,
    /// Values read so far, in this and all chunks before.
    pub(super) rows_read: u64,
    /// Values read so far that are missing.
    pub(super) missing: u64,
    /// Bytes of the file read so far.
    pub(super) bytes: u64,
}

impl Chunk {
    /// Adds a row: of usage where it has a start, else of a register.
    pub(super) fn push(&mut self, place: u64, meter: u32, time: i64, start: Option<i64>, value: i64) {
        self.batch.meter.push(meter);
        self.batch.time.push(time);
        self.batch.start.extend(start);
        self.batch.value.push(value);
        self.places.push(place);
    }

    /// Whether it should be sent.
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_ROWS_MAX || self.refused.len() >= BATCH_ROWS_MAX
    }

    /// The chunk after this one: the counts go on, and there is room for as many rows.
    pub(super) fn next(&self) -> Chunk {
        let rows = self.batch.len().min(BATCH_ROWS_MAX);
        let column = |column: &Vec<i64>| Vec::with_capacity(if column.is_empty() { 0 } else { rows });
        let batch = Batch {
            meter: Vec::with_capacity(rows),
            time: column(&self.batch.time),
            start: column(&self.batch.start),
            value: column(&self.batch.value),
            ..Batch::default()
        };
        let Chunk { rows_read, missing, bytes, .. } = *self;
        Chunk { batch, places: Vec::with_capacity(rows), refused: Vec::new(), rows_read, missing, bytes }
    }

    /// This chunk in parts of no more than [`BATCH_ROWS_MAX`] rows, the refused rows with the last. Deciding a doubled
    /// hour may add more rows at once than one submission holds.
    pub(super) fn parts(mut self) -> Vec<Chunk> {
        let mut parts = Vec::new();
        while self.batch.len() > BATCH_ROWS_MAX {
            let rest = split(&mut self);
            parts.push(std::mem::replace(&mut self, rest));
        }
        parts.push(self);
        parts
    }
}

/// Leaves the first [`BATCH_ROWS_MAX`] rows in `chunk` and returns the others.
fn split(chunk: &mut Chunk) -> Chunk {
    let batch = &mut chunk.batch;
    let start_at = BATCH_ROWS_MAX.min(batch.start.len());
    let rest = Batch {
        meter: batch.meter.split_off(BATCH_ROWS_MAX),
        time: batch.time.split_off(BATCH_ROWS_MAX),
        start: batch.start.split_off(start_at),
        value: batch.value.split_off(BATCH_ROWS_MAX),
        ..Batch::default()
    };
    let Chunk { rows_read, missing, bytes, .. } = *chunk;
    let (places, refused) = (chunk.places.split_off(BATCH_ROWS_MAX), std::mem::take(&mut chunk.refused));
    Chunk { batch: rest, places, refused, rows_read, missing, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_grew_too_large_leaves_in_parts_that_lose_no_row() {
        for with_start in [true, false] {
            let mut chunk = Chunk { rows_read: 9, ..Chunk::default() };
            let rows = u32::try_from(2 * BATCH_ROWS_MAX + 1).unwrap();
            for row in 0..rows {
                let time = i64::from(row);
                chunk.push(u64::from(row), row, time, with_start.then_some(time - 1), -time);
            }
            let parts = chunk.parts();
            let sizes: Vec<usize> = parts.iter().map(|part| part.batch.len()).collect();
            assert_eq!(sizes, [BATCH_ROWS_MAX, BATCH_ROWS_MAX, 1]);
            assert!(parts.iter().all(|part| part.batch.is_well_formed() && part.rows_read == 9));
            assert!(parts.iter().flat_map(|part| &part.batch.meter).copied().eq(0..rows));
            assert!(parts.iter().flat_map(|part| &part.places).copied().eq(0..u64::from(rows)));
            let starts: usize = parts.iter().map(|part| part.batch.start.len()).sum();
            assert_eq!(starts > 0, with_start);
        }
    }
}
