//! Cuts stored elements into units, and decodes them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::payload::{Element, Payload};
use super::stream::Stream;
use crate::column::element::ElementBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Decoded, ReadOptions, Unit, Units};
use crate::tf::variant::{self, Value};

/// Bytes that a batch may grow to in memory before it is ended early: repeated values are small in
/// the file.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// The first stage: reads elements and puts together what makes a batch.
pub(super) struct SavedUnits {
    shared: Arc<Shared>,
    options: ReadOptions,
    streams: VecDeque<(usize, Stream)>,
    /// Elements of the first stream so far.
    in_stream: u64,
    /// Rows so far.
    row: u64,
    /// Rows selected so far.
    taken: u64,
    /// With `unbatch`: the batched element at hand, and the rows of it that are still to be given
    /// out.
    at_hand: Option<(Payload, VecDeque<Range<usize>>)>,
    done: bool,
}

impl SavedUnits {
    pub(super) fn new(shared: Arc<Shared>, streams: Vec<(usize, Stream)>, options: &ReadOptions) -> Self {
        Self {
            shared,
            options: options.clone(),
            streams: streams.into(),
            in_stream: 0,
            row: 0,
            taken: 0,
            at_hand: None,
            done: false,
        }
    }

    fn has_enough(&self) -> bool {
        self.done || self.options.selection.take.is_some_and(|take| self.taken >= take)
    }

    /// Whether the next row is selected; counts it.
    #[inline]
    fn select(&mut self) -> bool {
        let selection = &self.options.selection;
        let row = self.row;
        self.row += 1;
        let Some(after_skip) = row.checked_sub(selection.skip) else { return false };
        let mine = selection.shard.is_none_or(|(index, count)| after_skip % count.max(1) == index);
        let wanted = mine && selection.take.is_none_or(|take| self.taken < take);
        self.taken += u64::from(wanted);
        wanted
    }

    /// Steps over the next element of whatever stream has one; `false` at the end of all.
    fn step(&mut self, mut out: Option<&mut Payload>) -> Result<bool> {
        while let Some((partition, stream)) = self.streams.front_mut() {
            if stream.next(out.as_deref_mut())? {
                self.in_stream += 1;
                return Ok(true);
            }
            let (partition, elements) = (*partition, std::mem::take(&mut self.in_stream));
            self.streams.pop_front();
            self.shared.finish_partition(partition, elements)?;
        }
        Ok(false)
    }

    fn cut(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let mut payload = self.shared.stream.payload();
        let (mut rows, mut bytes) = (0, 0);
        let mut slices = None;
        if self.shared.unbatch {
            let mut all = Vec::new();
            while rows < self.options.batch_rows && bytes < self.options.batch_bytes {
                let Some(more) = self.slices_at_hand(self.options.batch_rows - rows, &mut payload)? else {
                    break;
                };
                rows += more.iter().map(Range::len).sum::<usize>();
                bytes = payload.bytes();
                all.push(more);
            }
            slices = Some(all);
        } else {
            while rows < self.options.batch_rows && bytes < self.options.batch_bytes && !self.has_enough() {
                let wanted = self.select();
                if !self.step(wanted.then_some(&mut payload))? {
                    self.done = true;
                } else if wanted {
                    rows += 1;
                    bytes = if rows % 16 == 0 { payload.bytes() } else { bytes };
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let unit = SavedUnit { shared: self.shared.clone(), options: self.options.clone(), payload, slices };
        Ok(Some(Box::new(unit)))
    }

    /// Adds the next batched element that has selected rows to `out`; gives at most `most` of
    /// these rows. `None` at the end.
    fn slices_at_hand(&mut self, most: usize, out: &mut Payload) -> Result<Option<Vec<Range<usize>>>> {
        loop {
            if let Some((payload, ranges)) = &mut self.at_hand {
                let mut given = Vec::new();
                let mut left = most;
                while let Some(range) = ranges.pop_front().filter(|_| left > 0) {
                    let now = range.start..range.end.min(range.start + left);
                    if now.end < range.end {
                        ranges.push_front(now.end..range.end);
                    }
                    left -= now.len();
                    given.push(now);
                    if left == 0 {
                        break;
                    }
                }
                if !given.is_empty() {
                    out.append(payload);
                    return Ok(Some(given));
                }
                self.at_hand = None;
            }
            if self.has_enough() {
                return Ok(None);
            }
            let mut payload = self.shared.stream.payload();
            if !self.step(Some(&mut payload))? {
                self.done = true;
                return Ok(None);
            }
            let count = usize::try_from(slices(&self.shared, &payload)?).unwrap_or(usize::MAX);
            let ranges = self.selected(count);
            self.at_hand = Some((payload, ranges));
        }
    }

    /// The selected ones of the next `count` rows.
    fn selected(&mut self, count: usize) -> VecDeque<Range<usize>> {
        let mut ranges: VecDeque<Range<usize>> = VecDeque::new();
        for row in 0..count {
            if self.has_enough() {
                break;
            }
            if self.select() {
                match ranges.back_mut() {
                    Some(last) if last.end == row => last.end = row + 1,
                    _ => ranges.push_back(row..row + 1),
                }
            }
        }
        ranges
    }
}

impl Units for SavedUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let result = self.cut();
        if !matches!(result, Ok(Some(_))) {
            self.done = true;
        }
        result
    }
}

impl Shared {
    /// Notes that a partition was read to its end. When all were, their elements must be as many
    /// as the writer counted: TensorFlow itself does not see that some are missing.
    fn finish_partition(&self, partition: usize, elements: u64) -> Result<()> {
        if let Some(expected) = self.shards.get(partition).filter(|_| !self.dealt).and_then(|s| s.elements)
            && expected != elements
        {
            let name = self.shards.get(partition).map_or("", |shard| shard.name.as_str());
            return Err(self.wrong_number(expected, elements).in_source(name));
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = found.get_mut(partition) {
            *place = Some(elements);
        }
        let total = found.iter().try_fold(0u64, |sum, part| part.map(|n| sum.saturating_add(n)));
        match (total, self.elements) {
            (Some(total), Some(expected)) if total != expected => Err(self.wrong_number(expected, total)),
            _ => Ok(()),
        }
    }

    fn decode<'p>(&self, element: &Element<'p>, component: usize) -> Result<Value<'p>> {
        let spec = self.specs.get(component).ok_or_else(|| Error::corrupt("unknown component"))?;
        variant::decode(spec, element.tensor(self.lead + component)?)
    }
}

/// The number of slices of the one batched element in `payload`.
pub(super) fn slices(shared: &Shared, payload: &Payload) -> Result<u64> {
    let mut slices = 0;
    payload.visit(false, &mut |element| {
        let Some(spec) = shared.specs.first() else { return Ok(()) };
        let tensor = element.tensor(shared.lead)?;
        slices = variant::leading_dim(spec, &tensor)
            .filter(|slices| *slices <= u64::from(u32::MAX))
            .ok_or_else(|| Error::mismatch("element has no dimension to split it along"))?;
        Ok(())
    })?;
    Ok(slices)
}

/// The second stage: elements enough for about one batch.
struct SavedUnit {
    shared: Arc<Shared>,
    options: ReadOptions,
    payload: Payload,
    /// With `unbatch`: the rows to take of each element.
    slices: Option<Vec<Vec<Range<usize>>>>,
}

impl SavedUnit {
    fn decode_with(
        &self,
        builder: &mut ElementBuilder,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<()> {
        let shared = &*self.shared;
        builder.reserve_as_before(self.payload.bytes().saturating_mul(4));
        let mut element_slices = self.slices.iter().flatten();
        self.payload.visit(shared.check_crc, &mut |element| {
            if self.slices.is_none() {
                let mut append = |builder: &mut ElementBuilder| {
                    builder.append(&mut |component, _| shared.decode(element, component))
                };
                return self.append(builder, emit, &mut append);
            }
            for range in element_slices.next().into_iter().flatten() {
                let mut append = |builder: &mut ElementBuilder| {
                    builder
                        .append_slices(range.clone(), &mut |component, _| shared.decode(element, component))
                };
                self.append(builder, emit, &mut append)?;
            }
            Ok(())
        })?;
        self.flush(builder, emit)
    }

    /// Appends to the batch, or to a fresh one if this one is full.
    fn append(
        &self,
        builder: &mut ElementBuilder,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
        append: &mut dyn FnMut(&mut ElementBuilder) -> Result<()>,
    ) -> Result<()> {
        match append(builder) {
            Err(error) if error.kind() == ErrorKind::Limit && builder.rows() > 0 => {
                self.flush(builder, emit)?;
                append(builder)?;
            }
            other => other?,
        }
        if builder.byte_len() > MAX_BATCH_BYTES {
            self.flush(builder, emit)?;
        }
        Ok(())
    }

    fn flush(&self, builder: &mut ElementBuilder, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<()> {
        let rows = builder.rows() as u64;
        if rows > 0 {
            emit(builder.finish()?.into())?;
            self.options.progress.add_rows(rows);
        }
        Ok(())
    }
}

impl Unit for SavedUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let builders = &self.shared.builders;
        let pooled = builders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut builder = match pooled {
            Some(builder) => builder,
            None => ElementBuilder::new(self.shared.plan.clone())?,
        };
        self.decode_with(&mut builder, emit)?;
        // A builder that failed is in the middle of a batch and is not used again.
        builders.lock().unwrap_or_else(PoisonError::into_inner).push(builder);
        Ok(None)
    }
}
