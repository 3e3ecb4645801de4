//! Parquet files: row groups, of which only the columns that are asked for are read.

use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::file::metadata::RowGroupMetaData;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{Part, count};
use crate::error::{Error, Result};
use crate::input::{Input, Stat};
use crate::schema::half;
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

fn damaged(error: ::parquet::errors::ParquetError) -> Error {
    Error::corrupt("damaged Parquet file").with_cause(error)
}

impl ParquetTable {
    /// Opens a file by its footer.
    ///
    /// # Errors
    /// The file cannot be read, or its footer is damaged.
    pub(super) fn open(input: &Input) -> Result<Self> {
        let file = ParquetFile::open(input, None)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = metadata.map_err(|e| file.failure().or(damaged(e)))?;
        let stat = file.stat().clone();
        let schema = Arc::new(half::narrowed(metadata.schema()));
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
        let (reader, failure) = super::no_panic(open).map_err(|e| place(e, group, &self.name))?;
        let columns = self.metadata.metadata().row_groups().get(group).map(|group| group.columns());
        let read = columns.unwrap_or_default().iter().enumerate();
        let read = read.filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        let bytes = read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0)).sum();
        count(&options.progress, bytes);
        Ok(GroupReader { reader, failure, group, name: self.name.clone() })
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
}

impl GroupReader {
    /// The next rows, with the columns that are asked for in the order of the file.
    ///
    /// # Errors
    /// The row group is damaged.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let reader = &mut self.reader;
        let next = super::no_panic(|| {
            reader.next().transpose().map_err(|e| Error::corrupt("damaged row group").with_cause(e))
        });
        next.map_err(|e| self.place(self.failure.or(e)))
    }

    /// Names the row group as the place of `error`.
    pub(super) fn place(&self, error: Error) -> Error {
        place(error, self.group, &self.name)
    }
}
