//! Cuts stored elements into units, and decodes them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use super::Shared;
use super::payload::{Element, Payload};
use super::stream::Stream;
use crate::column::element::ElementBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::source::select::Selector;
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
    selector: Selector,
    /// Rows put into units so far.
    given: u64,
    /// With `unbatch`: the batched element at hand, and the rows of it that are still to be given
    /// out.
    at_hand: Option<(Payload, VecDeque<Range<usize>>)>,
    done: bool,
}

/// What came next.
enum Step {
    Element,
    /// An element that cannot be read.
    Fault(Error),
    /// Elements are missing, or there are too many.
    Missing(Error),
    End,
}

/// Rows of the next batched element.
enum Slices {
    Rows(Vec<Range<usize>>),
    Fault(Error),
    End,
}

impl SavedUnits {
    pub(super) fn new(shared: Arc<Shared>, streams: Vec<(usize, Stream)>, options: &ReadOptions) -> Self {
        Self {
            shared,
            options: options.clone(),
            streams: streams.into(),
            in_stream: 0,
            selector: Selector::new(options.selection),
            given: 0,
            at_hand: None,
            done: false,
        }
    }

    fn has_enough(&self) -> bool {
        self.done || self.selector.is_done()
    }

    /// Steps over the next element of whatever stream has one.
    fn step(&mut self, mut out: Option<&mut Payload>) -> Result<Step> {
        let on_error = self.options.on_error;
        while let Some((partition, stream)) = self.streams.front_mut() {
            let end = out.as_ref().map(|out| out.end());
            match stream.next(out.as_deref_mut()) {
                Ok(true) => {
                    self.in_stream += 1;
                    return Ok(Step::Element);
                }
                Ok(false) => {}
                Err(error) if on_error.tolerates(&error) => {
                    if let (Some(out), Some(end)) = (out, end) {
                        out.cut_back(end);
                    }
                    self.in_stream += 1;
                    return Ok(Step::Fault(stream.pass_over(error)?));
                }
                Err(error) => return Err(error),
            }
            let elements = Some(std::mem::take(&mut self.in_stream)).filter(|_| !stream.has_lost());
            let partition = *partition;
            self.streams.pop_front();
            match self.shared.finish_partition(partition, elements) {
                Err(error) if on_error.tolerates(&error) => return Ok(Step::Missing(error)),
                other => other?,
            }
        }
        Ok(Step::End)
    }

    fn cut(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let mut payload = self.shared.stream.payload();
        let (mut rows, mut bytes) = (0, 0);
        let left = usize::try_from(self.options.left_of_part(self.given)).unwrap_or(usize::MAX);
        let most = self.options.batch_rows.min(left);
        let mut faults: Vec<(usize, Error)> = Vec::new();
        let mut slices = None;
        if self.shared.unbatch {
            let mut all = Vec::new();
            while rows < most && bytes < self.options.batch_bytes {
                match self.slices_at_hand(most - rows, &mut payload)? {
                    Slices::End => break,
                    Slices::Rows(more) => {
                        rows += more.iter().map(Range::len).sum::<usize>();
                        bytes = payload.bytes();
                        all.push(more);
                    }
                    Slices::Fault(error) => {
                        rows += 1;
                        faults.push((all.len(), error));
                    }
                }
            }
            slices = Some(all);
        } else {
            let mut elements = 0;
            while rows < most && bytes < self.options.batch_bytes && !self.has_enough() {
                let wanted = self.selector.is_next();
                let step = loop {
                    match self.step(wanted.then_some(&mut payload))? {
                        // No element of the selection's.
                        Step::Missing(error) => {
                            rows += 1;
                            faults.push((elements, error));
                        }
                        step => break step,
                    }
                };
                match step {
                    Step::End | Step::Missing(_) => self.done = true,
                    Step::Element if wanted => {
                        (rows, elements) = (rows + 1, elements + 1);
                        // Small ones need not be added up each time.
                        if rows % 16 == 0 || payload.last_bytes() >= self.options.batch_bytes / 16 {
                            bytes = payload.bytes();
                        }
                    }
                    Step::Fault(error) if wanted => {
                        rows += 1;
                        faults.push((elements, error));
                    }
                    Step::Element | Step::Fault(_) => {}
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        self.given += rows as u64;
        let ends_part = self.options.ends_part(self.given);
        let options = self.options.clone();
        let unit = SavedUnit { shared: self.shared.clone(), options, payload, slices, faults, ends_part };
        Ok(Some(Box::new(unit)))
    }

    /// Adds the next batched element that has selected rows to `out`; gives at most `most` of
    /// these rows.
    fn slices_at_hand(&mut self, most: usize, out: &mut Payload) -> Result<Slices> {
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
                    return Ok(Slices::Rows(given));
                }
                self.at_hand = None;
            }
            if self.has_enough() {
                return Ok(Slices::End);
            }
            let mut payload = self.shared.stream.payload();
            let fault = match self.step(Some(&mut payload))? {
                Step::End => {
                    self.done = true;
                    return Ok(Slices::End);
                }
                Step::Missing(error) => return Ok(Slices::Fault(error)),
                Step::Fault(error) => error,
                Step::Element => match slices(&self.shared, &payload) {
                    Ok(count) => {
                        let count = usize::try_from(count).unwrap_or(usize::MAX);
                        let ranges = self.selector.ranges(count);
                        self.at_hand = Some((payload, ranges.into()));
                        continue;
                    }
                    Err(error) if self.options.on_error.tolerates(&error) => error,
                    Err(error) => return Err(error),
                },
            };
            // How many rows it had is not known: it counts as one.
            if self.selector.is_next() {
                return Ok(Slices::Fault(fault));
            }
        }
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
    ///
    /// `elements`: none if some were lost, and told of, and it is not known how many.
    fn finish_partition(&self, partition: usize, elements: Option<u64>) -> Result<()> {
        if let Some(elements) = elements
            && let Some(expected) =
                self.shards.get(partition).filter(|_| !self.dealt).and_then(|s| s.elements)
            && expected != elements
        {
            let name = self.shards.get(partition).map_or("", |shard| shard.name.as_str());
            return Err(self.wrong_number(expected, elements).in_source(name));
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = found.get_mut(partition) {
            *place = elements;
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
        let element = element?;
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
    /// What could not be read, with the number of elements before it.
    faults: Vec<(usize, Error)>,
    /// Whether it ends with the last row of a part.
    ends_part: bool,
}

impl SavedUnit {
    fn decode_with(
        &mut self,
        builder: &mut ElementBuilder,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<()> {
        builder.reserve_as_before(self.payload.bytes().saturating_mul(4));
        let mut faults = std::mem::take(&mut self.faults).into_iter().peekable();
        let this = &*self;
        let shared = &*this.shared;
        let mut element_slices = this.slices.iter().flatten();
        let mut number = 0;
        this.payload.visit(shared.check_crc, &mut |element| {
            while let Some((_, error)) = faults.next_if(|(before, _)| *before <= number) {
                this.stand_in(error, builder, emit)?;
            }
            number += 1;
            let slices = element_slices.next();
            let element = match element {
                Ok(element) => element,
                Err(error) => return this.stand_in(error, builder, emit),
            };
            let appended = match (&this.slices, slices) {
                (None, _) => this.append(builder, emit, &mut |builder: &mut ElementBuilder| {
                    builder.append(&mut |component, _| shared.decode(element, component))
                }),
                (Some(_), slices) => slices.into_iter().flatten().try_for_each(|range| {
                    this.append(builder, emit, &mut |builder: &mut ElementBuilder| {
                        let decode = &mut |component, _: &_| shared.decode(element, component);
                        builder.append_slices(range.clone(), decode)
                    })
                }),
            };
            appended.or_else(|error| this.stand_in(element.place(error), builder, emit))
        })?;
        for (_, error) in faults {
            this.stand_in(error, builder, emit)?;
        }
        this.flush(builder, emit)?;
        if this.ends_part { emit(Decoded::EndOfPart) } else { Ok(()) }
    }

    /// Deals with an element that cannot be read: with `unbatch`, with all of its rows.
    ///
    /// # Errors
    /// The policy is to fail, or the error is not one of the element's data.
    fn stand_in(
        &self,
        error: Error,
        builder: &mut ElementBuilder,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<()> {
        if !self.options.on_error.tolerates(&error) {
            return Err(error);
        }
        if self.options.on_error.keeps_rows() {
            builder.push_null()?;
        }
        emit(error.into())
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
    fn decode(
        mut self: Box<Self>,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<Option<Box<dyn Unit>>> {
        let shared = self.shared.clone();
        let builders = &shared.builders;
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
