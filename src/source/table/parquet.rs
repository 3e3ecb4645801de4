//! Parquet files: row groups, of which only the columns that are asked for are read.

use std::collections::HashSet;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use arrow::array::{ArrayData, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

use super::{Part, count, encryption, footer};
use crate::error::{Error, Result};
use crate::input::{Input, Stat};
use crate::options::Phrase;
use crate::schema::half;
use crate::source::guard::no_panic;
use crate::source::parquet_file::{ParquetFile, ReadFailure, fault};
use crate::source::{PartitionRange, ReadOptions};

/// Bytes of columns after which what is left of a row group has to wait: its batches are given out
/// first.
pub(super) const DECODED_BYTES: usize = 64 << 20;

/// The row groups of one file.
#[derive(Debug, Clone)]
pub(super) struct ParquetTable {
    input: Input,
    name: Arc<str>,
    stat: Stat,
    metadata: ArrowReaderMetadata,
    /// The columns, halves as what they were.
    schema: SchemaRef,
    mask: ProjectionMask,
    /// Parquet columns of points in time that nanoseconds may not hold, and how to find out.
    int96: Option<(Vec<usize>, ArrowReaderMetadata)>,
    /// Columns in which the Parquet crate does not look whether text is UTF-8.
    unchecked: Arc<HashSet<String>>,
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
        let int96 = footer::int96_in_nanoseconds(&metadata).map_err(damaged)?;
        let mask = ProjectionMask::all();
        let unchecked = footer::unchecked_text(&metadata).into();
        Ok(Self { unchecked, input: input.clone(), name: input.name(), stat, metadata, schema, mask, int96 })
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

    /// The row groups that these ranges are, each of one.
    ///
    /// # Errors
    /// One is not of this file.
    pub(super) fn groups(&self, ranges: &[&PartitionRange]) -> Result<Vec<usize>> {
        let groups = self.metadata.metadata().num_row_groups();
        let group = |range: &&PartitionRange| {
            let number = match range {
                PartitionRange::All if groups == 1 => Some(0),
                PartitionRange::RowGroups(range) if range.end.checked_sub(range.start) == Some(1) => {
                    usize::try_from(range.start).ok().filter(|group| *group < groups)
                }
                _ => None,
            };
            number.ok_or_else(|| Error::corrupt("file without the planned row group"))
        };
        ranges.iter().map(group).collect()
    }

    /// The same file, of which these columns only are read.
    pub(super) fn project(&self, columns: &[usize]) -> Self {
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        Self { mask, ..self.clone() }
    }

    /// Opens the file to read row group `group`, whose bytes are fetched from then on, if it takes a while to
    /// answer.
    pub(super) fn announced(&self, group: usize) -> Option<ParquetFile> {
        (self.input.openings() > 1).then(|| self.open_for(group, &self.mask).ok()).flatten()
    }

    fn open_for(&self, group: usize, mask: &ProjectionMask) -> Result<ParquetFile> {
        let file = ParquetFile::open(&self.input, Some(&self.stat))?;
        file.will_read(self.chunks(group, mask).map(ColumnChunkMetaData::byte_range));
        Ok(file)
    }

    /// Begins to read row group `group`, which may be [announced](Self::announced).
    ///
    /// # Errors
    /// The file cannot be opened, is not what it was, or is damaged.
    pub(super) fn group(
        &self,
        group: usize,
        announced: Option<ParquetFile>,
        options: &ReadOptions,
    ) -> Result<GroupReader> {
        let open = || {
            self.check(group)?;
            let file = announced.map_or_else(|| self.open_for(group, &self.mask), Ok)?;
            let (reader, failure) = self.reader(file, group, &self.metadata, &self.mask, options)?;
            let coarse = match &self.int96 {
                None => None,
                Some((leaves, metadata)) => {
                    let leaves = leaves.iter().copied().filter(|leaf| self.mask.leaf_included(*leaf));
                    let mask = ProjectionMask::leaves(metadata.parquet_schema(), leaves);
                    let file = self.open_for(group, &mask)?;
                    let reader = || Ok::<_, Error>(self.reader(file, group, metadata, &mask, options)?.0);
                    self.reads(&mask).next().map(|_| reader()).transpose()?
                }
            };
            Ok((reader, failure, coarse))
        };
        let opened = no_panic("damaged row group", open);
        let (reader, failure, coarse) = opened.map_err(|e| place(e, group, &self.name))?;
        let columns = self.chunks(group, &self.mask);
        let bytes = columns.map(|column| u64::try_from(column.compressed_size()).unwrap_or(0)).sum();
        count(&options.progress, bytes);
        let rows = self.parts().get(group).map_or(0, |part| part.rows);
        let unchecked = self.unchecked.clone();
        Ok(GroupReader { reader, coarse, unchecked, failure, group, name: self.name.clone(), rows })
    }

    /// The numbers of the Parquet columns that `mask` names.
    fn reads(&self, mask: &ProjectionMask) -> impl Iterator<Item = usize> {
        (0..self.metadata.parquet_schema().num_columns()).filter(|leaf| mask.leaf_included(*leaf))
    }

    /// The columns of row group `group` that `mask` names.
    fn chunks(&self, group: usize, mask: &ProjectionMask) -> impl Iterator<Item = &ColumnChunkMetaData> {
        let columns = self.metadata.metadata().row_groups().get(group).map(RowGroupMetaData::columns);
        self.reads(mask).filter_map(move |leaf| columns?.get(leaf))
    }

    /// A reader of row group `group` of `file` as `metadata` says.
    fn reader(
        &self,
        file: ParquetFile,
        group: usize,
        metadata: &ArrowReaderMetadata,
        mask: &ProjectionMask,
        options: &ReadOptions,
    ) -> Result<(ParquetRecordBatchReader, ReadFailure)> {
        let failure = file.failure();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask.clone())
            .with_batch_size(options.batch_rows)
            .build()
            .map_err(|e| failure.or(damaged(e)))?;
        Ok((reader, failure))
    }

    /// Refuses a row group whose columns contradict each other, or are of a kind that is not read.
    fn check(&self, group: usize) -> Result<()> {
        let Some(metadata) = self.metadata.metadata().row_groups().get(group) else { return Ok(()) };
        for column in self.chunks(group, &self.mask) {
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
    /// Points in time in microseconds, where nanoseconds may not hold them.
    coarse: Option<ParquetRecordBatchReader>,
    unchecked: Arc<HashSet<String>>,
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
        let (reader, coarse, unchecked) = (&mut self.reader, &mut self.coarse, &self.unchecked);
        let next = no_panic("damaged row group", || {
            let mut next = |reader: &mut ParquetRecordBatchReader| {
                reader.next().transpose().map_err(|e| fault("damaged row group", e))
            };
            if let Some(times) = coarse.as_mut().map(&mut next).transpose()?.flatten() {
                fits_nanoseconds(&times)?;
            }
            let batch = next(reader)?;
            if let Some(batch) = batch.as_ref().filter(|_| !unchecked.is_empty()) {
                for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                    if unchecked.contains(field.name()) {
                        check_text(&column.to_data()).map_err(|e| e.in_column(field.name().as_str()))?;
                    }
                }
            }
            Ok(batch)
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

/// Refuses text that is not UTF-8.
fn check_text(data: &ArrayData) -> Result<()> {
    if matches!(data.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return data.validate_full().map_err(|e| Error::corrupt("damaged text").with_cause(e));
    }
    data.child_data().iter().try_for_each(check_text)
}

/// Refuses points in time, given in microseconds, that 64 bits of nanoseconds do not hold.
fn fits_nanoseconds(times: &RecordBatch) -> Result<()> {
    const NANOSECONDS: i64 = 1000;
    fn earliest_and_latest(data: &ArrayData) -> (i64, i64) {
        if matches!(data.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)) {
            let times = TimestampMicrosecondArray::from(data.clone());
            return (min(&times).unwrap_or(0), max(&times).unwrap_or(0));
        }
        let children = data.child_data().iter().map(earliest_and_latest);
        children.fold((0, 0), |all, one| (all.0.min(one.0), all.1.max(one.1)))
    }
    for (field, column) in times.schema_ref().fields().iter().zip(times.columns()) {
        let (earliest, latest) = earliest_and_latest(&column.to_data());
        if earliest < i64::MIN / NANOSECONDS || latest > i64::MAX / NANOSECONDS {
            let what = "INT96 of a time before 1678 or after 2261, which nanoseconds of 64 bits cannot hold";
            return Err(Error::unsupported(what)
                .in_column(field.name().as_str())
                .with_hint(Phrase::new("leave it out with {exclude=_}").name(field.name().as_str())));
        }
    }
    Ok(())
}
