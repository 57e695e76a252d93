//! Parquet files: only the columns asked for are read, batch by batch.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::columns::{MeterColumn, TimeColumn, ValueColumn, dictionary};
use super::convert::{Converter, Row, Stop};
use super::error::ImportError;
use super::options::{ImportOptions, Layout};
use super::source::column;

/// Rows decoded at once: small enough for the processor's cache.
const DECODED_ROWS: usize = 8_192;

/// A Parquet file whose footer was read.
pub(super) struct ParquetFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    metadata: ArrowReaderMetadata,
    columns: Vec<String>,
}

impl ParquetFile {
    /// Opens the file and reads its footer.
    pub(super) fn open(path: &Path, file: File) -> Result<ParquetFile, ImportError> {
        let path = path.to_owned();
        let fail = |source| ImportError::Parquet { path: path.clone(), row: 0, source };
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(fail)?;
        let columns = metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        Ok(ParquetFile { path, file, bytes, metadata, columns })
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Gives every value to the converter.
    pub(super) fn rows(self, options: &ImportOptions, converter: &mut Converter) -> Result<(), Stop> {
        let time_at =
            self.typed(&options.time_column, TimeColumn::reads, "a time", "timestamp, date, text or integer")?;
        match &options.layout {
            Layout::Long { meter_column, value_column } => {
                let meter_at = self.meter_at(meter_column)?;
                let value_at = self.value_at(value_column)?;
                self.batches(&[time_at, meter_at, value_at], Some(meter_at), |first, bytes, batch| {
                    let of = |place: usize| batch.column_by_name(&self.columns[place]).expect("it was asked for");
                    let (meters, times) = (MeterColumn::new(of(meter_at))?, TimeColumn::new(of(time_at))?);
                    let values = ValueColumn::new(of(value_at))?;
                    converter.at_byte(bytes);
                    for (place, row) in (first..).zip(0..batch.num_rows()) {
                        let (meter, time, value) = (meters.get(row), times.get(row), values.get(row));
                        if let Err(stop) = converter.row(&Row { place, meter, time, value }) {
                            return Ok(Err(stop));
                        }
                    }
                    Ok(Ok(()))
                })
            }
            Layout::Wide => {
                let known = |place: &usize| converter.knows(&self.columns[*place]);
                let others: Vec<usize> = (0..self.columns.len()).filter(|place| *place != time_at).collect();
                for place in others.iter().filter(|place| known(place)) {
                    self.value_at(&self.columns[*place])?;
                }
                let all: Vec<usize> = (0..self.columns.len()).collect();
                self.batches(&all, None, |first, bytes, batch| {
                    let times = TimeColumn::new(batch.column(time_at))?;
                    let read = |place: &usize| {
                        let array = batch.column(*place);
                        let column = ValueColumn::reads(array.data_type()).then(|| ValueColumn::new(array));
                        Ok((self.columns[*place].as_str(), column.transpose()?.unwrap_or(ValueColumn::Nothing)))
                    };
                    let columns: Vec<(&str, ValueColumn)> =
                        others.iter().map(read).collect::<Result<_, ParquetError>>()?;
                    converter.at_byte(bytes);
                    for (place, row) in (first..).zip(0..batch.num_rows()) {
                        for (meter, values) in &columns {
                            let (time, value) = (times.get(row), values.get(row));
                            if let Err(stop) = converter.row(&Row { place, meter, time, value }) {
                                return Ok(Err(stop));
                            }
                        }
                    }
                    Ok(Ok(()))
                })
            }
        }
    }

    /// Shows every meter's name, runs of one name once.
    pub(super) fn meters(self, meter_column: &str, mut each: impl FnMut(&str)) -> Result<(), Stop> {
        let meter_at = self.meter_at(meter_column)?;
        let mut last = String::new();
        self.batches(&[meter_at], Some(meter_at), |_, _, batch| {
            let meters = MeterColumn::new(batch.column(0))?;
            for row in 0..batch.num_rows() {
                if meters.get(row) != last {
                    meters.get(row).clone_into(&mut last);
                    each(&last);
                }
            }
            Ok(Ok(()))
        })
    }

    fn meter_at(&self, name: &str) -> Result<usize, ImportError> {
        self.typed(name, MeterColumn::reads, "serial numbers", "text or integer")
    }

    fn value_at(&self, name: &str) -> Result<usize, ImportError> {
        self.typed(name, ValueColumn::reads, "numbers", "float, integer, decimal or text")
    }

    /// The place of a column whose type `reads` takes.
    fn typed(
        &self,
        name: &str,
        reads: fn(&DataType) -> bool,
        wanted: &'static str,
        remedy: &'static str,
    ) -> Result<usize, ImportError> {
        let place = column(&self.path, &self.columns, name)?;
        let kind = self.metadata.schema().field(place).data_type();
        if reads(kind) {
            return Ok(place);
        }
        let (column, found) = (name.to_owned(), kind.to_string());
        Err(ImportError::ColumnType { path: self.path.clone(), column, found, wanted, remedy })
    }

    /// Shows the batches of these columns, each with the number of its first row (from 1) and the bytes read with it.
    fn batches(
        &self,
        columns: &[usize],
        repeated: Option<usize>,
        mut each: impl FnMut(u64, u64, &RecordBatch) -> Result<Result<(), Stop>, ParquetError>,
    ) -> Result<(), Stop> {
        let mut row = 0_u64;
        let fail = |row, source| ImportError::Parquet { path: self.path.clone(), row, source };
        let reader = self.reader(columns, repeated).map_err(|source| fail(row, source))?;
        let rows = u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0).max(1);
        for batch in reader {
            let batch = batch.map_err(|source| fail(row, source.into()))?;
            let first = row + 1;
            row += u64::try_from(batch.num_rows()).unwrap_or(0);
            // Bytes are not told row by row: take the same share of the file.
            let share = u128::from(self.bytes) * u128::from(row.min(rows)) / u128::from(rows);
            let bytes = u64::try_from(share).unwrap_or(self.bytes);
            each(first, bytes, &batch).map_err(|source| fail(first, source))??;
        }
        Ok(())
    }

    fn reader(&self, columns: &[usize], repeated: Option<usize>) -> Result<ParquetRecordBatchReader, ParquetError> {
        let metadata = match repeated.map(|place| self.with_dictionary(place)) {
            Some(Ok(metadata)) => metadata,
            _ => self.metadata.clone(),
        };
        let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, metadata)
            .with_projection(mask)
            .with_batch_size(DECODED_ROWS)
            .build()
    }

    /// The footer, with this column's texts as a dictionary.
    fn with_dictionary(&self, place: usize) -> Result<ArrowReaderMetadata, ParquetError> {
        let schema = self.metadata.schema();
        let mut fields = schema.fields().to_vec();
        if *fields[place].data_type() == DataType::Utf8 {
            fields[place] = Arc::new(fields[place].as_ref().clone().with_data_type(dictionary()));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        ArrowReaderMetadata::try_new(Arc::clone(self.metadata.metadata()), options)
    }
}
