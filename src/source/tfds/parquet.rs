//! Shards that TFDS wrote as Parquet: one binary column, an example in each row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use crate::error::{Error, Result};
use crate::input::Input;
use crate::source::Progress;
use crate::source::guard::no_panic;
use crate::source::parquet_file::{ParquetFile, fault};

/// Rows read at a time.
const READ_ROWS: usize = 256;

/// A Parquet shard.
#[derive(Debug)]
pub(crate) struct ParquetShard {
    input: Input,
}

impl ParquetShard {
    pub(crate) fn new(input: Input) -> Self {
        Self { input }
    }

    /// What is read.
    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> Arc<str> {
        self.input.name()
    }
}

/// Some rows of a shard.
#[derive(Debug)]
pub(crate) struct ValueRun {
    source: Arc<str>,
    first: u64,
    values: BinaryArray,
}

impl ValueRun {
    /// What the records were read from.
    pub(crate) fn source(&self) -> Arc<str> {
        self.source.clone()
    }

    /// The number of the first record in its file.
    pub(crate) fn first_record(&self) -> u64 {
        self.first
    }

    /// The same records, each in a run of its own.
    pub(crate) fn split(&self) -> Vec<ValueRun> {
        let run = |(first, at)| ValueRun { source: self.source(), first, values: self.values.slice(at, 1) };
        (self.first..).zip(0..self.values.len()).map(run).collect()
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> usize {
        self.values.len()
    }

    /// Bytes of the records.
    pub(crate) fn bytes(&self) -> usize {
        let offsets = self.values.value_offsets();
        let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
        usize::try_from(last.saturating_sub(first)).unwrap_or(0)
    }

    /// Gives every record to `take`.
    pub(crate) fn for_each(&self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for (record, at) in (self.first..).zip(0..self.values.len()) {
            let place = |e: Error| e.at_record(record).in_source(self.source());
            if self.values.is_null(at) {
                return Err(place(Error::mismatch("row without an example").expected("bytes", "null")));
            }
            take(self.values.value(at)).map_err(place)?;
        }
        Ok(())
    }
}

/// Reads a shard, one row after the other.
pub(crate) struct ValueStream {
    shard: Arc<ParquetShard>,
    rows: u64,
    /// Rows passed so far, those of `held` not counted.
    next: u64,
    reader: Option<ParquetRecordBatchReader>,
    held: Option<BinaryArray>,
    progress: Arc<Progress>,
}

impl ValueStream {
    pub(crate) fn open(shard: &Arc<ParquetShard>, progress: &Arc<Progress>) -> Result<Self> {
        let place = |e: Error| e.in_source(shard.name());
        let builder = builder(shard).map_err(place)?;
        let metadata = builder.metadata().file_metadata();
        let rows = u64::try_from(metadata.num_rows())
            .map_err(|_| place(Error::corrupt("negative number of rows")))?;
        Ok(Self { shard: shard.clone(), rows, next: 0, reader: None, held: None, progress: progress.clone() })
    }

    /// Steps over rows without decoding them; returns how many there were.
    pub(crate) fn skip(&mut self, records: u64) -> Result<u64> {
        let mut skipped = 0;
        if let Some(held) = self.held.take() {
            let rows = usize::try_from(records).unwrap_or(usize::MAX).min(held.len());
            skipped = rows as u64;
            self.next += skipped;
            if rows < held.len() {
                self.held = Some(held.slice(rows, held.len() - rows));
                return Ok(skipped);
            }
        }
        let more = (records - skipped).min(self.rows.saturating_sub(self.next));
        if more > 0 {
            self.next += more;
            // It is opened again where reading goes on.
            self.reader = None;
        }
        Ok(skipped + more)
    }

    /// The next rows, `records` at most; `None` at the end.
    pub(crate) fn next_run(&mut self, records: usize) -> Result<Option<ValueRun>> {
        let shard = self.shard.clone();
        let first = self.next;
        let place = |e: Error| e.at_record(first).in_source(shard.name());
        let held = match self.held.take() {
            Some(held) => held,
            None => match self.read().map_err(place)? {
                Some(values) => values,
                None => return Ok(None),
            },
        };
        let rows = records.min(held.len());
        if rows < held.len() {
            self.held = Some(held.slice(rows, held.len() - rows));
        }
        let run = ValueRun { source: shard.name(), first: self.next, values: held.slice(0, rows) };
        self.next += rows as u64;
        self.progress.add_bytes(run.bytes() as u64);
        Ok(Some(run))
    }

    fn read(&mut self) -> Result<Option<BinaryArray>> {
        if self.next >= self.rows {
            return Ok(None);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => {
                let left = usize::try_from(self.rows - self.next).unwrap_or(usize::MAX);
                let before = usize::try_from(self.next).unwrap_or(usize::MAX);
                let selection =
                    RowSelection::from(vec![RowSelector::skip(before), RowSelector::select(left)]);
                let reader = builder(&self.shard)?.with_row_selection(selection).with_batch_size(READ_ROWS);
                self.reader.insert(reader.build().map_err(damaged)?)
            }
        };
        let next = || reader.next().transpose().map_err(|e| fault("corrupt Parquet file", e));
        no_panic("corrupt Parquet file", next)?.map(|batch| values_of(&batch)).transpose()
    }
}

fn damaged(error: parquet::errors::ParquetError) -> Error {
    fault("corrupt Parquet file", error)
}

fn builder(shard: &ParquetShard) -> Result<ParquetRecordBatchReaderBuilder<ParquetFile>> {
    let file = ParquetFile::open(&shard.input, None)?;
    let open = || ParquetRecordBatchReaderBuilder::try_new(file).map_err(damaged);
    let builder = no_panic("corrupt Parquet file", open)?;
    match builder.schema().fields().as_ref() {
        [field]
            if matches!(
                field.data_type(),
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Utf8
            ) =>
        {
            Ok(builder)
        }
        fields => Err(Error::mismatch("Parquet shard of something else")
            .expected("one column of bytes", format!("{} columns", fields.len()))),
    }
}

fn values_of(batch: &RecordBatch) -> Result<BinaryArray> {
    let column = batch.columns().first().ok_or_else(|| Error::mismatch("Parquet shard without a column"))?;
    let binary = cast(column, &DataType::Binary)?;
    Ok(binary.as_binary::<i32>().clone())
}
