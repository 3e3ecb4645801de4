//! The batches of a source, in order, decoded by one thread or by several.
//!
//! Threads take turns at reading: whoever is free takes the next unit under a lock and decodes it
//! outside of it, so that a unit is decoded where it was just read. Where reading itself is the
//! work (decompression), several partitions are read at a time. Either way the batches come out in
//! the order of the source, and no more are under way than a few for each thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;

use super::rebatch::Rebatch;
use super::select::RowSelection;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Progress, ReadOptions, Selection, Source, Units};

/// An iterator over the batches of a source.
///
/// Dropping it stops its threads.
pub struct Batches {
    inner: Inner,
    /// Puts batches together anew, where units give too few or too many rows.
    rebatch: Option<Rebatch>,
    /// Selects and counts rows, where units do not.
    selected: Option<(RowSelection, Arc<Progress>)>,
    ended: bool,
    failed: bool,
}

enum Inner {
    Inline { units: Box<dyn Units>, ready: VecDeque<RecordBatch> },
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
        let partitions = source.partitions().len();
        let varies = source.rows_vary();
        let mut unit_options = options.clone();
        let selected = varies.then(|| {
            let selection = std::mem::take(&mut unit_options.selection);
            (RowSelection::new(selection), options.progress.clone())
        });
        // Rows are counted across partitions to select them, so that then one follows another.
        let several = partitions > 1 && unit_options.selection == Selection::default();
        let lanes = if several && threads > 1 && source.reading_is_heavy() { partitions } else { 1 };
        let rebatch = (lanes > 1 || varies).then(|| Rebatch::new(source.schema(), options.batch_rows));
        let inner = if threads <= 1 {
            Inner::Inline { units: source.units(0..partitions, &unit_options)?, ready: VecDeque::new() }
        } else {
            Inner::Threads(Pool::new(source, &unit_options, threads, lanes))
        };
        Ok(Self { inner, rebatch, selected, ended: false, failed: false })
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        let Some(rebatch) = &mut self.rebatch else { return self.inner.pull() };
        loop {
            if let Some(batch) = rebatch.pop(self.ended)? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            let next = match &self.selected {
                Some((selection, _)) if selection.is_done() => None,
                _ => self.inner.pull()?,
            };
            match (next, &mut self.selected) {
                (None, _) => self.ended = true,
                (Some(batch), None) => rebatch.push(batch),
                (Some(batch), Some((selection, progress))) => {
                    let batch = selection.apply(&batch)?;
                    progress.add_rows(batch.num_rows() as u64);
                    rebatch.push(batch);
                }
            }
        }
    }
}

impl Inner {
    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Inner::Inline { units, ready } => loop {
                if let Some(batch) = ready.pop_front() {
                    return Ok(Some(batch));
                }
                match units.next_unit()? {
                    Some(unit) => unit.decode(&mut |batch| {
                        ready.push_back(batch);
                        Ok(())
                    })?,
                    None => return Ok(None),
                }
            },
            Inner::Threads(pool) => pool.next().transpose(),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.pull().transpose();
        self.failed = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What the threads share.
struct Shared {
    source: Arc<dyn Source>,
    options: ReadOptions,
    state: Mutex<State>,
    changed: Condvar,
    /// Lanes read at a time.
    open_lanes: usize,
    /// Units under way in a lane.
    window: usize,
}

struct State {
    lanes: Vec<Lane>,
    /// The lane whose batches are given out.
    current: usize,
    /// The unit of that lane that is given out next.
    emit: u64,
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
    results: BTreeMap<u64, Result<Vec<RecordBatch>>>,
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
    ready: VecDeque<RecordBatch>,
}

impl Pool {
    fn new(source: Arc<dyn Source>, options: &ReadOptions, threads: usize, lanes: usize) -> Self {
        let state = State {
            lanes: std::iter::repeat_with(Lane::default).take(lanes).collect(),
            current: 0,
            emit: 0,
            stop: false,
        };
        let shared = Arc::new(Shared {
            source,
            options: options.clone(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            open_lanes: threads,
            window: if lanes == 1 { threads + 1 } else { 2 },
        });
        let threads = (0..threads)
            .map(|_| {
                let shared = shared.clone();
                std::thread::spawn(move || work(&shared))
            })
            .collect();
        Self { shared, threads, ready: VecDeque::new() }
    }
}

impl Iterator for Pool {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.ready.pop_front() {
            return Some(Ok(batch));
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
                    Ok(batches) => self.ready.extend(batches),
                    Err(error) => return Some(Err(error)),
                }
                match self.ready.pop_front() {
                    Some(batch) => return Some(Ok(batch)),
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
            let mut left = false;
            for (index, lane) in state.lanes.iter_mut().enumerate().skip(current).take(self.open_lanes) {
                if lane.done {
                    continue;
                }
                left = true;
                let given_out = if index == current { emit } else { 0 };
                if lane.busy || lane.next.saturating_sub(given_out) >= self.window as u64 {
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
        let lanes = self.lock().lanes.len();
        let partitions = if lanes == 1 { 0..self.source.partitions().len() } else { lane..lane + 1 };
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
        let mut batches = Vec::with_capacity(1);
        let result = unit.decode(&mut |batch| {
            batches.push(batch);
            Ok(())
        });
        let mut state = shared.lock();
        if let Some(lane) = state.lanes.get_mut(index) {
            lane.results.insert(number, result.map(|()| batches));
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
