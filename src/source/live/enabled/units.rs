//! Cuts what a running pipeline delivers into units of a batch each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::columns::Piece;
use super::runner::{Delivered, Fetched, Running};
use crate::error::{Error, Result};
use crate::source::select::Selector;
use crate::source::{Decoded, ReadOptions, Unit, Units};

/// How long a pipeline may have run to be run again to find out which element failed.
const SEARCH_AGAIN: Duration = Duration::from_secs(10);

/// The first stage: TensorFlow runs, batches are put together.
pub(super) struct LiveUnits {
    running: Option<Running>,
    shared: Arc<Shared>,
    options: ReadOptions,
    started: Instant,
    /// What was delivered and not given out yet.
    at_hand: VecDeque<Piece>,
    /// Elements delivered so far.
    element: u64,
    /// With `unbatch`: which rows are selected. Otherwise TensorFlow selects them.
    selector: Selector,
}

impl LiveUnits {
    pub(super) fn new(running: Option<Running>, shared: Arc<Shared>, options: &ReadOptions) -> Self {
        Self {
            running,
            shared,
            options: options.clone(),
            started: Instant::now(),
            at_hand: VecDeque::new(),
            element: 0,
            selector: Selector::new(options.selection),
        }
    }

    /// Takes the next delivery; `false` at the end.
    fn deliver(&mut self) -> Result<bool> {
        let enough = self.shared.columns.unbatch && self.selector.is_done();
        let Some(running) = self.running.as_mut().filter(|_| !enough) else {
            self.running = None;
            return Ok(false);
        };
        let element = self.element;
        let stacked = running.stacked();
        let delivered = match running.next() {
            Ok(Some(delivered)) => delivered,
            Ok(None) => {
                self.running = None;
                return Ok(false);
            }
            Err(error) => return Err(self.place(error, element, stacked)),
        };
        self.element += delivered.elements as u64;
        self.options.progress.add_bytes(delivered.bytes());
        let rows = self.shared.columns.rows(&delivered).map_err(|e| e.at_record(element))?;
        let delivered = Arc::new(delivered);
        let ranges = if self.shared.columns.unbatch {
            self.selector.ranges(rows)
        } else {
            std::iter::once(0..rows).collect()
        };
        self.at_hand.extend(ranges.into_iter().map(|rows| Piece {
            delivered: delivered.clone(),
            rows,
            first_element: element,
        }));
        Ok(true)
    }

    /// Names the element that failed. Of several that are made at a time TensorFlow does not say
    /// which it was: the pipeline is run again, if that does not take long.
    fn place(&mut self, error: Error, first: u64, stacked: usize) -> Error {
        self.running = None;
        let skipped = if self.shared.columns.unbatch { 0 } else { self.options.selection.skip };
        let number = |element: u64| match self.options.selection.shard {
            Some((index, count)) if !self.shared.columns.unbatch => {
                skipped.saturating_add(element.saturating_mul(count)).saturating_add(index)
            }
            _ => skipped.saturating_add(element),
        };
        let found = match stacked {
            1 => Some(first),
            _ if self.started.elapsed() < SEARCH_AGAIN => {
                self.shared.find_failure(&self.options, first, stacked)
            }
            _ => None,
        };
        match found {
            Some(element) => error.at_record(number(element)),
            None => error
                .at_record(number(first))
                .with_hint(format!("it was this element or one of the next {}", stacked - 1)),
        }
    }

    fn cut(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let (mut pieces, mut rows, mut bytes) = (Vec::new(), 0, 0);
        let most = self.options.batch_rows.max(1);
        while rows < most && bytes < self.options.batch_bytes as u64 {
            let Some(mut piece) = self.at_hand.pop_front() else {
                if self.deliver()? {
                    continue;
                }
                break;
            };
            let now = piece.rows.len().min(most - rows);
            if now < piece.rows.len() {
                let rest = piece.rows.start + now..piece.rows.end;
                self.at_hand.push_front(piece.with_rows(rest));
                piece.rows.end = piece.rows.start + now;
            }
            rows += now;
            bytes += piece.delivered.bytes();
            pieces.push(piece);
        }
        if rows == 0 {
            return Ok(None);
        }
        let unit = LiveUnit { pieces, shared: self.shared.clone(), options: self.options.clone() };
        Ok(Some(Box::new(unit)))
    }
}

impl Units for LiveUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let result = self.cut();
        if result.is_err() {
            self.running = None;
            self.at_hand.clear();
        }
        result.map_err(|e: Error| e.in_source(self.shared.pipeline.name.as_str()))
    }
}

/// The second stage: tensors become columns.
struct LiveUnit {
    pieces: Vec<Piece>,
    shared: Arc<Shared>,
    options: ReadOptions,
}

impl Unit for LiveUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let progress = &self.options.progress;
        let result = self.shared.columns.emit(&self.pieces, &mut |batch| {
            let rows = batch.num_rows() as u64;
            emit(Decoded::Batch(batch))?;
            progress.add_rows(rows);
            Ok(())
        });
        result.map(|()| None).map_err(|e| e.in_source(self.shared.pipeline.name.as_str()))
    }
}

impl Delivered {
    /// Bytes that the fetched values take.
    fn bytes(&self) -> u64 {
        let strings = |tensor: &super::tensor::StringTensor| {
            (0..tensor.len()).map(|i| tensor.get(i).len() as u64).sum()
        };
        let part = |fetched: &Fetched| match fetched {
            Fetched::Unread => 0,
            Fetched::Plain(tensor) => tensor.bytes().len() as u64,
            Fetched::Strings(tensor) | Fetched::Serialized(tensor) | Fetched::Wrapped(tensor) => {
                strings(tensor)
            }
            Fetched::Dataset(inner) => inner.iter().map(Delivered::bytes).sum(),
        };
        self.components.iter().map(part).sum()
    }
}
