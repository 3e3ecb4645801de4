//! Stored elements between being read and being decoded.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::source::blocks::FrameRun;
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Dims, Tensor};
use crate::wire::tfrecord;

/// Some elements, in order.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// Frames of `TensorProto`, `components` an element; an element may begin in one run and end
    /// in another.
    Frames {
        /// Frames an element.
        components: usize,
        /// The frames.
        runs: Vec<FrameRun>,
    },
    /// Elements in memory of their own.
    Owned(Vec<Arc<Owned>>),
}

/// An end of a payload.
#[derive(Debug)]
pub(super) struct End {
    items: usize,
    /// The last run, which may have grown since.
    last: Option<FrameRun>,
}

/// One element that was read into memory of its own.
#[derive(Debug)]
pub(super) struct Owned {
    /// Where it was read from.
    pub(super) source: Arc<str>,
    /// Its number in that file.
    pub(super) number: u64,
    /// Where it begins there.
    pub(super) offset: u64,
    /// The bytes of all components.
    pub(super) bytes: Vec<u8>,
    /// The components.
    pub(super) parts: Vec<OwnedPart>,
}

/// A component of an [`Owned`] element.
#[derive(Debug)]
pub(super) struct OwnedPart {
    /// Its place in the element's bytes.
    pub(super) range: Range<usize>,
    /// What stands there.
    pub(super) kind: Stored,
}

/// How one component is stored.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// A serialized `TensorProto`.
    Proto,
    /// Plain values of this dtype and shape.
    Plain(DType, Dims),
    /// Strings or variants of a TensorBundle.
    Bundle(DType, Dims),
}

/// One element at hand.
#[derive(Debug)]
pub(super) struct Element<'p> {
    source: &'p Arc<str>,
    number: u64,
    parts: Vec<Part<'p>>,
}

#[derive(Debug, Clone)]
struct Part<'p> {
    bytes: &'p [u8],
    /// Where the bytes begin in their file.
    offset: u64,
    kind: Cow<'p, Stored>,
}

impl<'p> Element<'p> {
    /// The tensor of the component that stands at position `i`.
    pub(super) fn tensor(&self, i: usize) -> Result<Tensor<'p>> {
        let part = self.parts.get(i).ok_or_else(|| {
            Error::corrupt("element with too few components")
                .expected(format!("more than {i}"), self.parts.len().to_string())
        })?;
        let tensor = match part.kind.as_ref() {
            Stored::Proto => Tensor::parse(part.bytes),
            Stored::Plain(dtype, dims) => Tensor::from_bytes(*dtype, dims.clone(), part.bytes.into()),
            Stored::Bundle(dtype, dims) => super::cache::bundle_tensor(*dtype, dims.clone(), part.bytes),
        };
        tensor.map_err(|e| e.rebase(part.offset))
    }

    /// Names the element as the place of `error`.
    pub(super) fn place(&self, error: Error) -> Error {
        let offset = self.parts.first().map_or(0, |part| part.offset);
        error.at_offset(offset).at_record(self.number).in_source(self.source.clone())
    }
}

impl Payload {
    /// Nothing, in frames.
    pub(super) fn frames(components: usize) -> Self {
        Payload::Frames { components, runs: Vec::new() }
    }

    /// The bytes of the elements.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Payload::Frames { runs, .. } => runs.iter().map(|run| run.bytes().len()).sum(),
            Payload::Owned(elements) => elements.iter().map(|element| element.bytes.len()).sum(),
        }
    }

    /// The bytes of the last element, and of those that lie before it in one block.
    pub(super) fn last_bytes(&self) -> usize {
        match self {
            Payload::Frames { runs, .. } => runs.last().map_or(0, |run| run.bytes().len()),
            Payload::Owned(elements) => elements.last().map_or(0, |element| element.bytes.len()),
        }
    }

    /// Adds the elements of another payload of the same form.
    pub(super) fn append(&mut self, other: &Payload) {
        match (self, other) {
            (Payload::Frames { runs, .. }, Payload::Frames { runs: more, .. }) => {
                runs.extend_from_slice(more)
            }
            (Payload::Owned(elements), Payload::Owned(more)) => elements.extend_from_slice(more),
            _ => {}
        }
    }

    /// Where the payload ends now, to be [cut back](Self::cut_back) to.
    pub(super) fn end(&self) -> End {
        match self {
            Payload::Frames { runs, .. } => End { items: runs.len(), last: runs.last().cloned() },
            Payload::Owned(elements) => End { items: elements.len(), last: None },
        }
    }

    /// Drops what was added after `end`.
    pub(super) fn cut_back(&mut self, end: End) {
        match self {
            Payload::Frames { runs, .. } => {
                runs.truncate(end.items);
                if let (Some(last), Some(was)) = (runs.last_mut(), end.last) {
                    *last = was;
                }
            }
            Payload::Owned(elements) => elements.truncate(end.items),
        }
    }

    /// Visits the elements in order, after checking the CRCs of their frames; what does not hold is
    /// given in an element's place.
    ///
    /// # Errors
    /// `visit` fails; the element is then named as the place.
    pub(super) fn visit<'p>(
        &'p self,
        check_crc: bool,
        visit: &mut dyn FnMut(Result<&Element<'p>>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Payload::Frames { components, runs } => visit_frames(runs, *components, check_crc, visit),
            Payload::Owned(elements) => elements.iter().try_for_each(|owned| {
                let part = |part: &'p OwnedPart| Part {
                    bytes: owned.bytes.get(part.range.clone()).unwrap_or_default(),
                    offset: owned.offset,
                    kind: Cow::Borrowed(&part.kind),
                };
                let element = Element {
                    source: &owned.source,
                    number: owned.number,
                    parts: owned.parts.iter().map(part).collect(),
                };
                visit(Ok(&element)).map_err(|e| element.place(e))
            }),
        }
    }
}

fn visit_frames<'p>(
    runs: &'p [FrameRun],
    components: usize,
    check_crc: bool,
    visit: &mut dyn FnMut(Result<&Element<'p>>) -> Result<()>,
) -> Result<()> {
    let mut damage = None;
    let Some(first) = runs.first() else { return Ok(()) };
    let mut element = Element { source: &first.source, number: 0, parts: Vec::with_capacity(components) };
    for run in runs {
        let (mut offset, mut record) = (run.offset, run.first_record);
        for frame in run.frames() {
            if element.parts.is_empty() {
                element.source = &run.source;
                element.number = record.checked_div(components as u64).unwrap_or(record);
            }
            let bytes = tfrecord::record_of(frame, check_crc).unwrap_or_else(|fault| {
                let error = Error::corrupt(fault.to_string()).at_offset(offset + fault.offset_in_frame());
                damage.get_or_insert_with(|| element.place(error));
                &[]
            });
            element.parts.push(Part {
                bytes,
                offset: offset + tfrecord::HEADER_BYTES as u64,
                kind: Cow::Owned(Stored::Proto),
            });
            offset += frame.len() as u64;
            record += 1;
            if element.parts.len() == components {
                match damage.take() {
                    None => visit(Ok(&element)).map_err(|e| element.place(e))?,
                    Some(error) => visit(Err(error))?,
                }
                element.parts.clear();
            }
        }
    }
    Ok(())
}
