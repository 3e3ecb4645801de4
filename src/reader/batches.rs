//! The batches of a source, in order, decoded by one thread or by several.
//!
//! Threads take turns at reading: whoever is free takes the next unit under a lock and decodes it
//! outside of it, so that a unit is decoded where it was just read. Where reading itself is the
//! work (decompression), several partitions are read at a time. Either way the batches come out in
//! the order of the source, and no more are under way than a few for each thread.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;

use super::rebatch::Rebatch;
use super::select::RowSelection;
use crate::error::{Error, ErrorKind, Result};
use crate::options::OnError;
use crate::source::report::Report;
use crate::source::{Decoded, ReadOptions, Selection, Source, Unit, Units};

/// An iterator over the batches of a source.
///
/// Batches are those of the source's units, or, where units do not follow one on another or lose
/// rows, made anew from their rows. Which of the two depends on the source and the options, never
/// on the number of threads. Records that could not be read go to the
/// [report](ReadOptions::report) as their place in the order of rows is reached.
///
/// Dropping it stops its threads.
pub struct Batches {
    inner: Inner,
    /// None where units are batches already.
    rebatch: Option<Rebatch>,
    options: ReadOptions,
    /// Selects and counts rows, where units do not.
    selected: Option<RowSelection>,
    /// Whether what is held is to be given out although no batch is full.
    flush: Option<PartItem>,
    /// Rows that came out of units.
    rows: u64,
    failed: bool,
}

/// What is read where parts are told apart.
#[derive(Debug)]
pub(crate) enum PartItem {
    Batch(RecordBatch),
    /// The part is at its end, and another one may follow.
    EndOfPart,
    /// Everything is at its end.
    End,
}

enum Inner {
    Inline(Inline),
    Threads(Pool),
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").finish_non_exhaustive()
    }
}

impl Batches {
    /// Begins to read every partition of `source` with `threads` threads; one thread is the
    /// caller's own.
    ///
    /// # Errors
    /// The source cannot be opened.
    pub fn new(source: Arc<dyn Source>, options: &ReadOptions, threads: usize) -> Result<Self> {
        let all = 0..source.partitions().len();
        Self::of_partitions(source, all, options, threads)
    }

    /// As [`new`](Self::new), for some of the partitions.
    ///
    /// # Errors
    /// The source cannot be opened.
    pub fn of_partitions(
        source: Arc<dyn Source>,
        partitions: Range<usize>,
        options: &ReadOptions,
        threads: usize,
    ) -> Result<Self> {
        let units = source.units_are();
        let varies = units.varying;
        let mut unit_options = options.clone().in_turn(&source, partitions.clone());
        let selected = varies.then(|| RowSelection::new(std::mem::take(&mut unit_options.selection)));
        // Rows are counted across partitions to select them and to end parts, so that then one follows another.
        let apart = units.heavy
            && unit_options.selection == Selection::default()
            && unit_options.part_rows.is_none()
            && partitions.len() > 1;
        let loses_rows = options.on_error == OnError::Skip;
        let rebatch = (apart || loses_rows || varies)
            .then(|| Rebatch::new(source.schema(), options.batch_rows, options.batch_bytes));
        let lanes: Vec<Range<usize>> =
            if apart { partitions.map(|p| p..p + 1).collect() } else { vec![partitions] };
        let inner = if threads <= 1 {
            Inner::Inline(Inline::new(source, &unit_options, lanes)?)
        } else {
            Inner::Threads(Pool::new(source, &unit_options, threads, lanes))
        };
        Ok(Self { inner, rebatch, options: options.clone(), selected, flush: None, rows: 0, failed: false })
    }

    /// Gives out the batches of units as they are, whatever rows they lost.
    pub(crate) fn unit_by_unit(self) -> Self {
        Self { rebatch: None, ..self }
    }

    /// The rows are those after so many others, for whoever is told of one of them.
    pub(crate) fn after_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }

    /// From here on, failures go to `report`.
    pub(crate) fn set_report(&mut self, report: Arc<Report>) {
        self.options.report = report;
    }

    /// The next batch of a unit, or the end of a part.
    fn pull(&mut self) -> Result<PartItem> {
        loop {
            if self.options.progress.is_stopped() {
                return Err(Error::new(ErrorKind::Interrupted, "stopped"));
            }
            if self.selected.as_ref().is_some_and(RowSelection::is_done) {
                return Ok(PartItem::End);
            }
            let decoded = match &mut self.inner {
                Inner::Inline(inline) => inline.next()?,
                Inner::Threads(pool) => pool.next().transpose()?,
            };
            match decoded {
                Some(Decoded::Batch(mut batch)) => {
                    if let Some(selected) = &mut self.selected {
                        batch = selected.apply(&batch)?;
                        self.options.progress.add_rows(batch.num_rows() as u64);
                    }
                    self.rows += batch.num_rows() as u64;
                    return Ok(PartItem::Batch(batch));
                }
                Some(Decoded::Failure(mut failure)) => {
                    failure.location.row = failure.location.row.map(|row| row + self.rows);
                    self.options.report.add(failure, self.options.on_error)?;
                }
                Some(Decoded::NulledValue(mut failure)) => {
                    failure.location.row = failure.location.row.map(|row| row + self.rows);
                    self.options.report.add_value(failure)?;
                }
                Some(Decoded::EndOfPart) => return Ok(PartItem::EndOfPart),
                None => return Ok(PartItem::End),
            }
        }
    }

    /// The next batch, or the end of a part.
    ///
    /// # Errors
    /// The source cannot be read.
    pub(crate) fn next_item(&mut self) -> Result<PartItem> {
        loop {
            if let Some(rebatch) = &mut self.rebatch
                && let Some(batch) = rebatch.pop(self.flush.is_some())?
            {
                return Ok(PartItem::Batch(batch));
            }
            match self.flush.take() {
                Some(PartItem::End) => {
                    self.flush = Some(PartItem::End);
                    return Ok(PartItem::End);
                }
                Some(end) => return Ok(end),
                None => {}
            }
            match (self.pull()?, &mut self.rebatch) {
                (PartItem::Batch(batch), Some(rebatch)) => rebatch.push(batch),
                (item @ PartItem::Batch(_), None) => return Ok(item),
                (end, _) => self.flush = Some(end),
            }
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.next_item()? {
                PartItem::Batch(batch) => return Ok(Some(batch)),
                PartItem::EndOfPart => {}
                PartItem::End => return Ok(None),
            }
        }
    }
}

/// The units of a source, decoded by the caller's own thread.
struct Inline {
    source: Arc<dyn Source>,
    options: ReadOptions,
    lanes: std::vec::IntoIter<Range<usize>>,
    units: Option<Box<dyn Units>>,
    /// What is left of the last unit.
    rest: Option<Box<dyn Unit>>,
    ready: VecDeque<Decoded>,
}

impl Inline {
    fn new(source: Arc<dyn Source>, options: &ReadOptions, lanes: Vec<Range<usize>>) -> Result<Self> {
        let mut lanes = lanes.into_iter();
        let units = lanes.next().map(|lane| source.units(lane, options)).transpose()?;
        Ok(Self { source, options: options.clone(), lanes, units, rest: None, ready: VecDeque::new() })
    }

    fn next(&mut self) -> Result<Option<Decoded>> {
        loop {
            if let Some(decoded) = self.ready.pop_front() {
                return Ok(Some(decoded));
            }
            let Some(units) = &mut self.units else { return Ok(None) };
            let unit = match self.rest.take() {
                Some(rest) => Some(rest),
                None => units.next_unit()?,
            };
            let Some(unit) = unit else {
                let lane = self.lanes.next();
                self.units = lane.map(|lane| self.source.units(lane, &self.options)).transpose()?;
                continue;
            };
            let ready = &mut self.ready;
            let decoded = unit.decode(&mut |decoded| {
                ready.push_back(decoded);
                Ok(())
            });
            if decoded.is_err() {
                // With several threads, a unit that fails gives nothing; so here.
                self.ready.clear();
            }
            self.rest = decoded?;
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_batch().transpose().map(|next| next.map_err(|e| e.after_rows(self.rows)));
        match &next {
            Some(Ok(batch)) => self.options.report.add_rows(batch.num_rows() as u64),
            _ => self.failed = true,
        }
        next
    }
}

/// What the threads share.
struct Shared {
    source: Arc<dyn Source>,
    options: ReadOptions,
    /// The partitions of each lane.
    partitions: Vec<Range<usize>>,
    state: Mutex<State>,
    changed: Condvar,
    /// Lanes read at a time.
    open_lanes: usize,
    /// Units under way in a lane, at least; and more if they are small.
    window: usize,
    ahead_bytes: usize,
}

/// Bytes that are decoded ahead, so that threads need not wait for whoever asks for batches while that is busy
/// with others.
const AHEAD_BYTES: usize = 3 << 20;
/// Units of a lane that are decoded ahead, at most.
const AHEAD_UNITS: usize = 64;

struct State {
    lanes: Vec<Lane>,
    /// The lane whose batches are given out.
    current: usize,
    /// The unit of that lane that is given out next.
    emit: u64,
    /// Bytes of the last unit that was decoded.
    unit_bytes: usize,
    stop: bool,
}

/// Partitions that are read one after the other.
#[derive(Default)]
struct Lane {
    units: Option<Box<dyn Units>>,
    opened: bool,
    /// A thread is reading here.
    busy: bool,
    done: bool,
    next: u64,
    results: BTreeMap<u64, Result<Output>>,
}

/// What a unit gave, and what is left of it if that is much.
struct Output {
    decoded: Vec<Decoded>,
    rest: Option<Box<dyn Unit>>,
}

impl Output {
    fn bytes(&self) -> usize {
        let bytes = self.decoded.iter().map(|decoded| match decoded {
            Decoded::Batch(batch) => batch.get_array_memory_size(),
            _ => 0,
        });
        bytes.sum()
    }
}

/// A turn at reading a lane.
struct Claim {
    index: usize,
    /// The number of the unit to be read.
    number: u64,
    /// What to read from; none if the lane is not open yet.
    units: Option<Box<dyn Units>>,
}

struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ready: VecDeque<Decoded>,
    /// What is left of the unit whose batches are given out. It is decoded by whoever asks for
    /// batches, so that no thread runs ahead with it.
    rest: Option<Box<dyn Unit>>,
}

impl Pool {
    fn new(
        source: Arc<dyn Source>,
        options: &ReadOptions,
        threads: usize,
        partitions: Vec<Range<usize>>,
    ) -> Self {
        let lanes = partitions.len();
        let state = State {
            lanes: std::iter::repeat_with(Lane::default).take(lanes).collect(),
            current: 0,
            emit: 0,
            unit_bytes: usize::MAX,
            stop: false,
        };
        let shared = Arc::new(Shared {
            source,
            options: options.clone(),
            partitions,
            state: Mutex::new(state),
            changed: Condvar::new(),
            open_lanes: threads,
            window: if lanes == 1 { threads } else { 2 },
            ahead_bytes: AHEAD_BYTES / lanes.clamp(1, threads),
        });
        let threads = (0..threads)
            .map(|_| {
                let shared = shared.clone();
                std::thread::spawn(move || work(&shared))
            })
            .collect();
        Self { shared, threads, ready: VecDeque::new(), rest: None }
    }
}

impl Iterator for Pool {
    type Item = Result<Decoded>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(decoded) = self.ready.pop_front() {
            return Some(Ok(decoded));
        }
        while let Some(unit) = self.rest.take() {
            match decode(unit) {
                Ok(output) => {
                    self.ready.extend(output.decoded);
                    self.rest = output.rest;
                }
                Err(error) => return Some(Err(error)),
            }
            if let Some(decoded) = self.ready.pop_front() {
                return Some(Ok(decoded));
            }
        }
        let mut state = self.shared.lock();
        loop {
            if state.stop {
                let what = "a decoding thread ended unexpectedly";
                return Some(Err(Error::new(ErrorKind::Interrupted, what)));
            }
            let emit = state.emit;
            let current = state.current;
            let lane = state.lanes.get_mut(current)?;
            if let Some(result) = lane.results.remove(&emit) {
                state.emit += 1;
                self.shared.changed.notify_all();
                match result {
                    Ok(output) => {
                        self.ready.extend(output.decoded);
                        self.rest = output.rest;
                    }
                    Err(error) => return Some(Err(error)),
                }
                match self.ready.pop_front() {
                    Some(decoded) => return Some(Ok(decoded)),
                    None => continue,
                }
            }
            if lane.done && lane.next == emit {
                state.current += 1;
                state.emit = 0;
                self.shared.changed.notify_all();
                continue;
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a lane to read from; `None` when there is nothing left to do.
    fn claim(&self) -> Option<Claim> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            let (current, emit) = (state.current, state.emit);
            let small = (self.ahead_bytes / state.unit_bytes.max(1)).min(AHEAD_UNITS);
            let window = self.window.max(small) as u64;
            let mut left = false;
            for (index, lane) in state.lanes.iter_mut().enumerate().skip(current).take(self.open_lanes) {
                if lane.done {
                    continue;
                }
                left = true;
                let given_out = if index == current { emit } else { 0 };
                if lane.busy || lane.next.saturating_sub(given_out) >= window {
                    continue;
                }
                lane.busy = true;
                let number = lane.next;
                let opened = std::mem::replace(&mut lane.opened, true);
                let units = if opened { lane.units.take() } else { None };
                if opened && units.is_none() {
                    lane.done = true;
                    continue;
                }
                return Some(Claim { index, number, units });
            }
            if !left && current + self.open_lanes >= state.lanes.len() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self, lane: usize) -> Result<Box<dyn Units>> {
        let partitions = self.partitions.get(lane).cloned().unwrap_or_default();
        self.source.units(partitions, &self.options)
    }
}

/// Stops everything if its thread panics, so that nobody waits for it.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stop = true;
            self.0.changed.notify_all();
        }
    }
}

fn decode(unit: Box<dyn Unit>) -> Result<Output> {
    let mut decoded = Vec::with_capacity(1);
    let rest = unit.decode(&mut |item| {
        decoded.push(item);
        Ok(())
    })?;
    Ok(Output { decoded, rest })
}

fn work(shared: &Shared) {
    let _guard = StopOnPanic(shared);
    while let Some(Claim { index, number, units }) = shared.claim() {
        let mut units = match units.map_or_else(|| shared.open(index), Ok) {
            Ok(units) => units,
            Err(error) => {
                finish_lane(shared, index, Some((number, error)));
                continue;
            }
        };
        let unit = match units.next_unit() {
            Ok(Some(unit)) => unit,
            Ok(None) => {
                finish_lane(shared, index, None);
                continue;
            }
            Err(error) => {
                finish_lane(shared, index, Some((number, error)));
                continue;
            }
        };
        {
            let mut state = shared.lock();
            if let Some(lane) = state.lanes.get_mut(index) {
                lane.units = Some(units);
                lane.next += 1;
                lane.busy = false;
            }
        }
        shared.changed.notify_all();
        let result = decode(unit);
        let bytes = result.as_ref().map_or(usize::MAX, Output::bytes);
        let mut state = shared.lock();
        state.unit_bytes = bytes;
        if let Some(lane) = state.lanes.get_mut(index) {
            lane.results.insert(number, result);
        }
        drop(state);
        shared.changed.notify_all();
    }
}

fn finish_lane(shared: &Shared, index: usize, error: Option<(u64, Error)>) {
    let mut state = shared.lock();
    if let Some(lane) = state.lanes.get_mut(index) {
        lane.busy = false;
        lane.done = true;
        if let Some((number, error)) = error {
            lane.next = number + 1;
            lane.results.insert(number, Err(error));
        }
    }
    drop(state);
    shared.changed.notify_all();
}
