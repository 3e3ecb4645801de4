//! Encoding of row groups: a column, or a part of one, is a piece of work, which any thread does.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic::Compression;
use parquet::file::writer::SerializedFileWriter;

use super::codec::Codec;
use super::column::{ColumnPlan, Pages};
use super::parquet_error;
use crate::error::{Error, ErrorKind, Result};

/// Values of a column that the library encodes in one go: it makes levels and indices for each, and
/// these should stay in cache.
const SLICE_VALUES: usize = 48 << 10;
/// Bytes of arrays that are a piece of work, of columns that can be divided.
const PART_BYTES: usize = 4 << 20;
/// Row groups that are encoded at a time, with few threads.
const UNDER_WAY: usize = 2;

/// A column of the schema and how it is encoded.
#[derive(Debug, Clone)]
pub(super) struct FieldPlan {
    pub(super) field: FieldRef,
    /// Parquet columns that it becomes.
    pub(super) leaves: usize,
    /// `None`: as the library of Parquet does.
    pub(super) own: Option<Arc<ColumnPlan>>,
}

/// A row group that is encoded and waits to be written.
pub(super) struct RowGroup {
    columns: Vec<Column>,
}

enum Column {
    Own(Arc<ColumnPlan>, Vec<Pages>),
    Library(Vec<ArrowColumnChunk>),
}

impl RowGroup {
    /// Writes it as the next row group of `file`.
    pub(super) fn append_to<W: Write + Send>(self, file: &mut SerializedFileWriter<W>) -> Result<()> {
        let mut row_group = file.next_row_group().map_err(parquet_error)?;
        for column in self.columns {
            match column {
                Column::Own(plan, pages) => {
                    let (bytes, close) = plan.close(pages)?;
                    row_group.append_column(&bytes, close).map_err(parquet_error)?;
                }
                Column::Library(chunks) => {
                    for chunk in chunks {
                        chunk.append_to_row_group(&mut row_group).map_err(parquet_error)?;
                    }
                }
            }
        }
        row_group.close().map_err(parquet_error)?;
        Ok(())
    }
}

/// Rows of a column that are to be encoded.
enum Work {
    /// Of a column that may be divided, the first part or another.
    Own { plan: Arc<ColumnPlan>, arrays: Vec<ArrayRef>, first: bool, done: SyncSender<Result<Pages>> },
    Library {
        field: FieldRef,
        writers: Vec<ArrowColumnWriter>,
        arrays: Vec<ArrayRef>,
        done: SyncSender<Result<Vec<ArrowColumnChunk>>>,
    },
}

/// Whether what is made of `arrays` may take a while.
fn is_large(arrays: &[ArrayRef]) -> bool {
    arrays.iter().map(|array| array_bytes(array.as_ref())).sum::<usize>() > 2 * PART_BYTES
}

impl Work {
    fn run(self, codec: &mut Codec) {
        // Nobody waits for the result if the output was given up.
        match self {
            Work::Own { plan, arrays, first, done } => drop(done.send(plan.encode(&arrays, first, codec))),
            Work::Library { field, writers, arrays, done } => {
                drop(done.send(encode(&field, writers, &arrays)));
            }
        }
    }
}

/// What comes of a piece of work, as soon as it is done.
struct Slot<T> {
    receiver: Receiver<Result<T>>,
    result: Option<Result<T>>,
    /// Whether it may take a while.
    is_large: bool,
}

impl<T> Slot<T> {
    fn new(is_large: bool) -> (SyncSender<Result<T>>, Self) {
        let (done, receiver) = sync_channel(1);
        (done, Self { receiver, result: None, is_large })
    }

    /// Whether it is done; or as good as that, if it is small and somebody is at it.
    fn is_done(&mut self, or_small: bool) -> bool {
        if or_small && !self.is_large {
            return true;
        }
        if self.result.is_none() {
            self.result = match self.receiver.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(lost())),
            };
        }
        self.result.is_some()
    }

    fn wait(self) -> Result<T> {
        self.result.unwrap_or_else(|| self.receiver.recv().unwrap_or_else(|_| Err(lost())))
    }
}

enum Pending {
    Own(Arc<ColumnPlan>, Vec<Slot<Pages>>),
    Library(Slot<Vec<ArrowColumnChunk>>),
}

impl Pending {
    fn is_done(&mut self, or_small: bool) -> bool {
        match self {
            Pending::Own(_, slots) => slots.iter_mut().all(|slot| slot.is_done(or_small)),
            Pending::Library(slot) => slot.is_done(or_small),
        }
    }

    fn wait(self) -> Result<Column> {
        Ok(match self {
            Pending::Own(plan, slots) => {
                Column::Own(plan, slots.into_iter().map(Slot::wait).collect::<Result<_>>()?)
            }
            Pending::Library(slot) => Column::Library(slot.wait()?),
        })
    }
}

/// Work that nobody does yet.
#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    work: VecDeque<Waiting>,
    ended: bool,
}

struct Waiting {
    work: Work,
    /// Whether it may take a while.
    is_large: bool,
}

impl Queue {
    fn push(&self, work: Work, is_large: bool) {
        let waiting = Waiting { work, is_large };
        self.state.lock().unwrap_or_else(PoisonError::into_inner).work.push_back(waiting);
        self.changed.notify_one();
    }

    /// The next work, or the next that is small.
    fn try_pop(&self, may_be_large: bool) -> Option<Work> {
        let waiting = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).work;
        let at = waiting.iter().position(|waiting| may_be_large || !waiting.is_large)?;
        waiting.remove(at).map(|waiting| waiting.work)
    }

    /// Waits for work; `None` when there will be none.
    fn pop(&self) -> Option<Work> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.ended {
                return None;
            }
            if let Some(Waiting { work, .. }) = state.work.pop_front() {
                return Some(work);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.changed.notify_all();
    }
}

/// Encodes row groups, on other threads and the caller's; they come out in the order in which they
/// went in.
pub(super) struct Encoders {
    plans: Vec<FieldPlan>,
    codec: Codec,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
    under_way: VecDeque<Vec<Pending>>,
    most: usize,
}

impl Encoders {
    /// Encoders on `threads` threads: if that is one, on the caller's. If there are more, the caller's does only what is
    /// small: those that decode would wait for it while it is at a column that cannot be divided.
    ///
    /// # Errors
    /// There is no memory for a codec.
    pub(super) fn new(plans: Vec<FieldPlan>, compression: Compression, threads: usize) -> Result<Self> {
        let codec = || Codec::new(compression).map(|codec| codec.unwrap_or(Codec::None));
        let queue: Arc<Queue> = Arc::default();
        let mut encoders = Self {
            plans,
            codec: codec()?,
            queue: queue.clone(),
            threads: Vec::new(),
            under_way: VecDeque::new(),
            most: if threads > 1 { UNDER_WAY.max(threads / 2) } else { 1 },
        };
        let others = if threads > 1 { threads } else { 0 };
        for _ in 0..others {
            let (queue, mut codec) = (queue.clone(), codec()?);
            encoders.threads.push(std::thread::spawn(move || {
                while let Some(work) = queue.pop() {
                    work.run(&mut codec);
                }
            }));
        }
        Ok(encoders)
    }

    /// Whether some columns need writers of the library.
    pub(super) fn needs_writers(&self) -> bool {
        self.plans.iter().any(|plan| plan.own.is_none())
    }

    /// Begins to encode `batches`. `writers` are the library's, for all Parquet columns; there may be none where none is
    /// [needed](Self::needs_writers).
    pub(super) fn push(&mut self, writers: Vec<ArrowColumnWriter>, batches: Vec<RecordBatch>) {
        let mut writers = writers.into_iter();
        let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::with_capacity(batches.len()); self.plans.len()];
        for batch in batches {
            for (column, array) in columns.iter_mut().zip(batch.columns()) {
                column.push(array.clone());
            }
        }
        let mut pending = Vec::with_capacity(self.plans.len());
        for (FieldPlan { field, leaves, own }, arrays) in self.plans.iter().zip(columns) {
            let writers: Vec<_> = writers.by_ref().take(*leaves).collect();
            pending.push(match own {
                Some(plan) => {
                    let parts = if plan.is_divisible() { parts(arrays) } else { vec![arrays] };
                    let slots = parts.into_iter().enumerate().map(|(part, arrays)| {
                        let is_large = is_large(&arrays);
                        let (done, slot) = Slot::new(is_large);
                        let work = Work::Own { plan: plan.clone(), arrays, first: part == 0, done };
                        self.queue.push(work, is_large);
                        slot
                    });
                    Pending::Own(plan.clone(), slots.collect())
                }
                None => {
                    let is_large = is_large(&arrays);
                    let (done, slot) = Slot::new(is_large);
                    self.queue.push(Work::Library { field: field.clone(), writers, arrays, done }, is_large);
                    Pending::Library(slot)
                }
            });
        }
        self.under_way.push_back(pending);
    }

    /// Does what nobody does yet, if it is small or there is nobody else: rows that are to be encoded take more memory
    /// than what is encoded of them.
    fn help(&mut self) {
        while let Some(work) = self.queue.try_pop(self.threads.is_empty()) {
            work.run(&mut self.codec);
        }
    }

    /// The next row group, if it is encoded.
    pub(super) fn take(&mut self) -> Result<Option<RowGroup>> {
        self.take_if(false)
    }

    /// As [`take`](Self::take); but what is left of it is waited for if that is little, so that less is held.
    pub(super) fn take_nearly(&mut self) -> Result<Option<RowGroup>> {
        self.help();
        self.take_if(true)
    }

    fn take_if(&mut self, or_small: bool) -> Result<Option<RowGroup>> {
        let next = self.under_way.front_mut();
        match next.is_some_and(|next| next.iter_mut().all(|column| column.is_done(or_small))) {
            true => self.wait(),
            false => Ok(None),
        }
    }

    /// The next row group, if no other may be under way until it is written: none is collected before.
    pub(super) fn make_room(&mut self) -> Result<Option<RowGroup>> {
        if self.under_way.len() < self.most { Ok(None) } else { self.wait() }
    }

    /// The next row group; `None` if there are no more. Helps until nothing is left to be begun.
    pub(super) fn wait(&mut self) -> Result<Option<RowGroup>> {
        self.help();
        let Some(next) = self.under_way.pop_front() else { return Ok(None) };
        let columns = next.into_iter().map(Pending::wait).collect::<Result<_>>()?;
        Ok(Some(RowGroup { columns }))
    }
}

impl Drop for Encoders {
    fn drop(&mut self) {
        self.queue.end();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            drop(thread.join());
        }
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Interrupted, "an encoding thread ended unexpectedly")
}

/// Cuts arrays that follow each other into parts of some size.
fn parts(arrays: Vec<ArrayRef>) -> Vec<Vec<ArrayRef>> {
    let (mut parts, mut part, mut held) = (Vec::new(), Vec::new(), 0);
    for array in arrays {
        let bytes = array_bytes(array.as_ref()).max(1);
        let mut at = 0;
        while at < array.len() {
            let room = (array.len().saturating_mul(PART_BYTES - held) / bytes).max(1);
            let rows = room.min(array.len() - at);
            part.push(array.slice(at, rows));
            held += bytes * rows / array.len();
            at += rows;
            // What is left of a part is not worth a piece of its own.
            if held >= PART_BYTES - PART_BYTES / 8 {
                parts.push(std::mem::take(&mut part));
                held = 0;
            }
        }
    }
    if !part.is_empty() || parts.is_empty() {
        parts.push(part);
    }
    parts
}

fn encode(
    field: &FieldRef,
    mut writers: Vec<ArrowColumnWriter>,
    arrays: &[ArrayRef],
) -> Result<Vec<ArrowColumnChunk>> {
    for array in arrays {
        let rows = slice_rows(array.as_ref());
        let mut at = 0;
        while at < array.len() {
            let part = array.slice(at, rows.min(array.len() - at));
            at += part.len();
            let leaves = compute_leaves(field, &part).map_err(parquet_error)?;
            for (writer, leaf) in writers.iter_mut().zip(leaves) {
                writer.write(&leaf).map_err(parquet_error)?;
            }
        }
    }
    let chunks = writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>();
    chunks.map_err(parquet_error)
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

fn array_bytes(array: &dyn Array) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// Bytes that the rows of `batch` take, without what lies around a slice.
pub(super) fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| array_bytes(column.as_ref())).sum()
}
