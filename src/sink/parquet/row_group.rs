//! Encoding of whole row groups, several at a time, in order.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::file::writer::SerializedFileWriter;

use super::parquet_error;
use crate::error::{Error, ErrorKind, Result};
use crate::sink::atomic::AtomicFile;

/// Values of a column that are encoded in one go: the encoder makes levels and indices for each,
/// and these should stay in cache.
const SLICE_VALUES: usize = 48 << 10;

/// A row group that is encoded and waits to be written.
pub(super) struct RowGroup {
    chunks: Vec<ArrowColumnChunk>,
}

impl RowGroup {
    /// Writes it as the next row group of `file`.
    pub(super) fn append_to(self, file: &mut SerializedFileWriter<AtomicFile>) -> Result<()> {
        let mut row_group = file.next_row_group().map_err(parquet_error)?;
        for chunk in self.chunks {
            chunk.append_to_row_group(&mut row_group).map_err(parquet_error)?;
        }
        row_group.close().map_err(parquet_error)?;
        Ok(())
    }
}

/// The rows of a row group and the columns that are to take them.
struct Job {
    columns: Vec<ArrowColumnWriter>,
    batches: Vec<RecordBatch>,
    done: SyncSender<Result<RowGroup>>,
}

/// Encodes row groups, on the caller's thread or on others; they come out in the order in which
/// they went in.
pub(super) struct Encoders {
    schema: SchemaRef,
    /// Parquet columns of each Arrow column.
    leaves: Arc<[usize]>,
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    under_way: VecDeque<Receiver<Result<RowGroup>>>,
}

impl Encoders {
    /// Encoders of columns of `schema`.
    ///
    /// # Errors
    /// Parquet has no place for a column.
    pub(super) fn new(schema: SchemaRef, threads: usize) -> Result<Self> {
        let leaves = leaf_counts(&schema)?.into();
        let mut encoders =
            Self { schema, leaves, jobs: None, threads: Vec::new(), under_way: VecDeque::new() };
        if threads > 1 {
            // The caller's own thread is one of them.
            let (jobs, queue) = sync_channel::<Job>(0);
            let queue = Arc::new(Mutex::new(queue));
            encoders.jobs = Some(jobs);
            encoders.threads = (1..threads)
                .map(|_| {
                    let (queue, schema) = (queue.clone(), encoders.schema.clone());
                    let leaves = encoders.leaves.clone();
                    std::thread::spawn(move || work(&queue, &schema, &leaves))
                })
                .collect();
        }
        Ok(encoders)
    }

    /// Encodes `batches`: on a thread that has nothing to do, or else on this one, so that no row
    /// group waits in memory.
    pub(super) fn push(&mut self, columns: Vec<ArrowColumnWriter>, batches: Vec<RecordBatch>) -> Result<()> {
        let (done, result) = sync_channel(1);
        let mut job = Job { columns, batches, done };
        if let Some(jobs) = &self.jobs {
            job = match jobs.try_send(job) {
                Ok(()) => {
                    self.under_way.push_back(result);
                    return Ok(());
                }
                Err(TrySendError::Full(job)) => job,
                Err(TrySendError::Disconnected(_)) => return Err(lost()),
            };
        }
        let Job { columns, batches, done } = job;
        drop(done.send(encode(&self.schema, &self.leaves, columns, batches)));
        self.under_way.push_back(result);
        Ok(())
    }

    /// The next row group that is encoded; `wait` for it, or give `None` unless it is ready, or
    /// too many are under way.
    pub(super) fn pop(&mut self, wait: bool) -> Result<Option<RowGroup>> {
        let Some(next) = self.under_way.front() else { return Ok(None) };
        let result = if wait || self.under_way.len() > self.threads.len() {
            next.recv().map_err(|_| lost())?
        } else {
            match next.try_recv() {
                Ok(result) => result,
                Err(std::sync::mpsc::TryRecvError::Empty) => return Ok(None),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Err(lost()),
            }
        };
        self.under_way.pop_front();
        result.map(Some)
    }
}

impl Drop for Encoders {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            drop(thread.join());
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Interrupted, "an encoding thread ended unexpectedly")
}

fn work(queue: &Mutex<Receiver<Job>>, schema: &Schema, leaves: &[usize]) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { columns, batches, done }) = job else { return };
        // Nobody waits for the result if the output was given up.
        drop(done.send(encode(schema, leaves, columns, batches)));
    }
}

fn encode(
    schema: &Schema,
    leaves: &[usize],
    mut columns: Vec<ArrowColumnWriter>,
    batches: Vec<RecordBatch>,
) -> Result<RowGroup> {
    for batch in batches {
        let mut writers = columns.iter_mut();
        for ((field, array), leaves) in schema.fields().iter().zip(batch.columns()).zip(leaves) {
            let mut own: Vec<&mut ArrowColumnWriter> = writers.by_ref().take(*leaves).collect();
            let rows = slice_rows(array.as_ref());
            let mut at = 0;
            while at < array.len() {
                let part = array.slice(at, rows.min(array.len() - at));
                at += part.len();
                for (writer, leaf) in own.iter_mut().zip(compute_leaves(field, &part).map_err(parquet_error)?)
                {
                    writer.write(&leaf).map_err(parquet_error)?;
                }
            }
        }
    }
    let chunks = columns.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>();
    Ok(RowGroup { chunks: chunks.map_err(parquet_error)? })
}

/// How many Parquet columns each Arrow column becomes.
fn leaf_counts(schema: &Schema) -> Result<Vec<usize>> {
    let descriptor = ArrowSchemaConverter::new().convert(schema).map_err(parquet_error)?;
    let mut counts = vec![0; schema.fields().len()];
    for leaf in 0..descriptor.num_columns() {
        if let Some(count) = counts.get_mut(descriptor.get_column_root_idx(leaf)) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// Rows of `array` to encode in one go.
fn slice_rows(array: &dyn Array) -> usize {
    let values = leaf_values(array, array.len()).max(1);
    (array.len().saturating_mul(SLICE_VALUES) / values).clamp(1, array.len().max(1))
}

/// About how many values the largest leaf of `rows` rows of `array` has.
fn leaf_values(array: &dyn Array, rows: usize) -> usize {
    use arrow::array::AsArray;
    match array.data_type() {
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            leaf_values(array.as_fixed_size_list().values(), rows.saturating_mul(size))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.value_offsets().first(), list.value_offsets().last());
            let values = last.copied().unwrap_or(0) - first.copied().unwrap_or(0);
            leaf_values(list.values(), usize::try_from(values).unwrap_or(0))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|c| leaf_values(c.as_ref(), rows)).max().unwrap_or(rows)
        }
        _ => rows,
    }
}

/// Bytes that the rows of `batch` take, without what lies around a slice.
pub(super) fn slice_bytes(batch: &RecordBatch) -> usize {
    let bytes = |array: &dyn Array| {
        array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
    };
    batch.columns().iter().map(|column| bytes(column.as_ref())).sum()
}
