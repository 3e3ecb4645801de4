//! Parquet files: row groups, of which only the columns that are asked for are read.

use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::RowGroupMetaData;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{Part, count, encryption, footer};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Stat};
use crate::options::Phrase;
use crate::schema::half;
use crate::source::guard::no_panic;
use crate::source::parquet_file::{ParquetFile, ReadFailure};
use crate::source::{PartitionRange, ReadOptions};

/// Bytes of columns after which what is left of a row group has to wait: its batches are given out
/// first.
pub(super) const DECODED_BYTES: usize = 64 << 20;

/// The row groups of one file.
#[derive(Debug)]
pub(super) struct ParquetTable {
    input: Input,
    name: Arc<str>,
    stat: Stat,
    metadata: ArrowReaderMetadata,
    /// The columns, halves as what they were.
    schema: SchemaRef,
    mask: ProjectionMask,
}

/// What the Parquet crate says: what it does not know is not damaged, nor what cannot be read now.
fn fault(what: &str, error: impl std::error::Error) -> Error {
    let text = error.to_string();
    let unsupported = ["NYI: ", "Disabled feature at compile time: "];
    if let Some((_, said)) = unsupported.iter().find_map(|mark| text.split_once(mark)) {
        return Error::unsupported(format!("Parquet file of a kind that is not read: {said}"))
            .with_hint(Phrase::new("leave the column out with {exclude}, or write the file in another way"));
    }
    let kind = if text.contains("(os error ") { ErrorKind::Io } else { ErrorKind::Corrupt };
    Error::new(kind, what).with_cause(text)
}

fn damaged(error: ParquetError) -> Error {
    fault("damaged Parquet file", error)
}

impl ParquetTable {
    /// Opens a file by its footer.
    ///
    /// # Errors
    /// The file cannot be read, or its footer is damaged.
    pub(super) fn open(input: &Input) -> Result<Self> {
        let file = ParquetFile::open(input, None)?;
        let failed = |e| file.failure().or(damaged(e));
        encryption::refuse(&file).map_err(|e| file.failure().or(e))?;
        let (metadata, schema) = footer::read(&file).map_err(failed)?;
        let stat = file.stat().clone();
        let schema = Arc::new(half::narrowed(&schema));
        let mask = ProjectionMask::all();
        Ok(Self { input: input.clone(), name: input.name(), stat, metadata, schema, mask })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Every row group, with its compressed bytes.
    pub(super) fn parts(&self) -> Vec<Part> {
        let number = |n: i64| u64::try_from(n).unwrap_or(0);
        let groups = (0..).zip(self.metadata.metadata().row_groups());
        let part = |(at, group): (u64, &RowGroupMetaData)| Part {
            range: PartitionRange::RowGroups(at..at + 1),
            rows: number(group.num_rows()),
            bytes: number(group.compressed_size()),
        };
        groups.map(part).collect()
    }

    /// Reads these columns only.
    pub(super) fn project(&mut self, columns: &[usize]) {
        self.mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
    }

    /// Begins to read row group `group`.
    ///
    /// # Errors
    /// The file cannot be opened, is not what it was, or is damaged.
    pub(super) fn group(&self, group: usize, options: &ReadOptions) -> Result<GroupReader> {
        let open = || {
            self.check(group)?;
            let file = ParquetFile::open(&self.input, Some(&self.stat))?;
            let columns = self.metadata.metadata().row_groups().get(group).map(RowGroupMetaData::columns);
            let read = columns.unwrap_or_default().iter().enumerate();
            let read = read.filter(|(leaf, _)| self.mask.leaf_included(*leaf));
            file.will_read(read.map(|(_, column)| column.byte_range()));
            let failure = file.failure();
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(self.mask.clone())
                .with_batch_size(options.batch_rows)
                .build()
                .map_err(|e| failure.or(damaged(e)))?;
            Ok((reader, failure))
        };
        let opened = no_panic("damaged row group", open);
        let (reader, failure) = opened.map_err(|e| place(e, group, &self.name))?;
        let columns = self.metadata.metadata().row_groups().get(group).map(|group| group.columns());
        let read = columns.unwrap_or_default().iter().enumerate();
        let read = read.filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        let bytes = read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0)).sum();
        count(&options.progress, bytes);
        let rows = self.parts().get(group).map_or(0, |part| part.rows);
        Ok(GroupReader { reader, failure, group, name: self.name.clone(), rows })
    }

    /// Refuses a row group whose columns contradict each other, or are of a kind that is not read.
    fn check(&self, group: usize) -> Result<()> {
        let Some(metadata) = self.metadata.metadata().row_groups().get(group) else { return Ok(()) };
        let columns = metadata.columns().iter().enumerate();
        for (_, column) in columns.filter(|(leaf, _)| self.mask.leaf_included(*leaf)) {
            let name = column.column_path().string();
            if column.compression() == Compression::LZO {
                return Err(Error::unsupported("Parquet column compressed with LZO")
                    .in_column(name)
                    .with_hint(Phrase::new(
                        "leave the column out with {exclude}, or write it with another compression",
                    )));
            }
            // A row has a value or a null of each column, and of a list several.
            let (rows, values) = (metadata.num_rows(), column.num_values());
            let is_list = column.column_descr().max_rep_level() > 0;
            if values < rows || values > rows && !is_list {
                return Err(Error::corrupt("Parquet column of another length than its row group")
                    .expected(format!("{rows} values"), values.to_string())
                    .in_column(name));
            }
        }
        Ok(())
    }
}

fn place(error: Error, group: usize, name: &Arc<str>) -> Error {
    error.at_record(group as u64).in_source(name.clone())
}

/// A row group that is being read.
pub(super) struct GroupReader {
    reader: ParquetRecordBatchReader,
    failure: ReadFailure,
    group: usize,
    name: Arc<str>,
    /// Rows that are still to come.
    rows: u64,
}

impl GroupReader {
    /// The next rows, with the columns that are asked for in the order of the file.
    ///
    /// # Errors
    /// The row group is damaged.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let reader = &mut self.reader;
        let next = no_panic("damaged row group", || {
            reader.next().transpose().map_err(|e| fault("damaged row group", e))
        });
        let next = next.map_err(|e| self.place(self.failure.or(e)))?;
        let left = self.rows.checked_sub(next.as_ref().map_or(0, |batch| batch.num_rows() as u64));
        match (left, &next) {
            (Some(left), Some(_)) => self.rows = left,
            (Some(0), None) => {}
            _ => {
                let error = Error::corrupt("row group of another length than the file says");
                return Err(self.place(error));
            }
        }
        Ok(next)
    }

    /// Names the row group as the place of `error`.
    pub(super) fn place(&self, error: Error) -> Error {
        place(error, self.group, &self.name)
    }
}
