//! TensorBoard's events: what event files hold.
//!
//! The messages are `tensorflow.Event` of `tensorflow/core/util/event.proto` and `Summary` of
//! `tensorflow/core/framework/summary.proto`, of which only what becomes columns is read. Values are
//! oneofs: the last member counts.

use crate::wire::proto::{Cursor, FIXED32, FIXED64, LEN, VARINT, WireError};

/// What every value of an event has in common.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Head {
    /// Seconds since the epoch.
    pub(crate) wall_time: f64,
    pub(crate) step: i64,
}

/// A value of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Value<'a> {
    pub(crate) tag: &'a [u8],
    pub(crate) data: Data<'a>,
    pub(crate) metadata: Metadata<'a>,
}

/// What a value holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Data<'a> {
    #[default]
    None,
    Scalar(f32),
    /// A serialized `Summary.Image`.
    Image(&'a [u8]),
    /// A serialized `HistogramProto`.
    Histogram(&'a [u8]),
    /// A serialized `Summary.Audio`.
    Audio(&'a [u8]),
    /// A serialized `TensorProto`.
    Tensor(&'a [u8]),
}

/// What is known of a value's tag. Empty where it is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Metadata<'a> {
    /// The plugin that shows it.
    pub(crate) plugin: &'a [u8],
    /// What the plugin wants to know.
    pub(crate) content: &'a [u8],
    pub(crate) display_name: &'a [u8],
    pub(crate) description: &'a [u8],
}

/// The parts of an event that come out: its head, and the summaries that it holds.
///
/// # Errors
/// The record is not a sound message.
pub(crate) fn parse(record: &[u8]) -> Result<(Head, Vec<Value<'_>>), WireError> {
    let mut head = Head::default();
    let mut values = Vec::new();
    let mut cursor = Cursor::new(record);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, FIXED64) => head.wall_time = f64::from_le_bytes(cursor.fixed64()?),
            (2, VARINT) => head.step = cursor.varint()?.cast_signed(),
            // Another member of the oneof.
            (3 | 4 | 6..=9, LEN) => {
                values.clear();
                cursor.bytes()?;
            }
            (5, LEN) => {
                let summary = cursor.bytes()?;
                let base = cursor.position() - summary.len();
                self::summary(summary, &mut values).map_err(|e| e.rebase(base))?;
            }
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok((head, values))
}

fn summary<'a>(summary: &'a [u8], values: &mut Vec<Value<'a>>) -> Result<(), WireError> {
    let mut cursor = Cursor::new(summary);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => {
                let bytes = cursor.bytes()?;
                let base = cursor.position() - bytes.len();
                values.push(value(bytes).map_err(|e| e.rebase(base))?);
            }
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(())
}

fn value(message: &[u8]) -> Result<Value<'_>, WireError> {
    let mut value = Value::default();
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => value.tag = cursor.bytes()?,
            (2, FIXED32) => value.data = Data::Scalar(f32::from_le_bytes(cursor.fixed32()?)),
            (3, LEN) => {
                cursor.bytes()?;
                value.data = Data::None;
            }
            (4, LEN) => value.data = Data::Image(cursor.bytes()?),
            (5, LEN) => value.data = Data::Histogram(cursor.bytes()?),
            (6, LEN) => value.data = Data::Audio(cursor.bytes()?),
            (8, LEN) => value.data = Data::Tensor(cursor.bytes()?),
            (9, LEN) => metadata(cursor.bytes()?, &mut value.metadata)?,
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(value)
}

fn metadata<'a>(message: &'a [u8], metadata: &mut Metadata<'a>) -> Result<(), WireError> {
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => {
                let mut plugin = Cursor::new(cursor.bytes()?);
                while !plugin.is_empty() {
                    match plugin.tag()? {
                        (1, LEN) => metadata.plugin = plugin.bytes()?,
                        (2, LEN) => metadata.content = plugin.bytes()?,
                        (field, wire_type) => plugin.skip(field, wire_type)?,
                    }
                }
            }
            (2, LEN) => metadata.display_name = cursor.bytes()?,
            (3, LEN) => metadata.description = cursor.bytes()?,
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(())
}

/// `Summary.Image`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Image<'a> {
    pub(crate) height: i32,
    pub(crate) width: i32,
    pub(crate) encoded: &'a [u8],
}

impl<'a> Image<'a> {
    /// # Errors
    /// The message is not sound.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut image = Self::default();
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag()? {
                (1, VARINT) => image.height = int32(cursor.varint()?),
                (2, VARINT) => image.width = int32(cursor.varint()?),
                (4, LEN) => image.encoded = cursor.bytes()?,
                (field, wire_type) => cursor.skip(field, wire_type)?,
            }
        }
        Ok(image)
    }
}

/// `Summary.Audio`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Audio<'a> {
    /// Samples a second.
    pub(crate) sample_rate: f32,
    pub(crate) channels: i64,
    pub(crate) frames: i64,
    pub(crate) encoded: &'a [u8],
}

impl<'a> Audio<'a> {
    /// # Errors
    /// The message is not sound.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self, WireError> {
        let mut audio = Self::default();
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag()? {
                (1, FIXED32) => audio.sample_rate = f32::from_le_bytes(cursor.fixed32()?),
                (2, VARINT) => audio.channels = cursor.varint()?.cast_signed(),
                (3, VARINT) => audio.frames = cursor.varint()?.cast_signed(),
                (4, LEN) => audio.encoded = cursor.bytes()?,
                (field, wire_type) => cursor.skip(field, wire_type)?,
            }
        }
        Ok(audio)
    }
}

/// `HistogramProto`: of each bucket, the upper limit and the count.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Histogram {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) num: f64,
    pub(crate) sum: f64,
    pub(crate) sum_squares: f64,
    pub(crate) limits: Vec<f64>,
    pub(crate) counts: Vec<f64>,
}

impl Histogram {
    /// # Errors
    /// The message is not sound.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, WireError> {
        let mut histogram = Self::default();
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            let (field, wire_type) = cursor.tag()?;
            if wire_type == FIXED64 && (1..=7).contains(&field) {
                let value = f64::from_le_bytes(cursor.fixed64()?);
                match field {
                    1 => histogram.min = value,
                    2 => histogram.max = value,
                    3 => histogram.num = value,
                    4 => histogram.sum = value,
                    5 => histogram.sum_squares = value,
                    6 => histogram.limits.push(value),
                    _ => histogram.counts.push(value),
                }
            } else if wire_type == LEN && (field == 6 || field == 7) {
                let values = if field == 6 { &mut histogram.limits } else { &mut histogram.counts };
                let mut run = Cursor::new(cursor.bytes()?);
                while !run.is_empty() {
                    values.push(f64::from_le_bytes(run.fixed64()?));
                }
            } else {
                cursor.skip(field, wire_type)?;
            }
        }
        Ok(histogram)
    }

    /// Left and right edge and count of every bucket, as TensorBoard shows them: without the empty ones
    /// at either end, from the least value to the greatest.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = [f64; 3]> + '_ {
        let is_full = |count: &f64| *count > 0.0;
        let first = self.counts.iter().position(is_full).unwrap_or(self.counts.len());
        let last = self.counts.iter().rposition(is_full).unwrap_or(0);
        let edge = |at: usize| self.limits.get(at).copied().unwrap_or(self.max);
        self.counts.iter().enumerate().skip(first).take((last + 1).saturating_sub(first)).map(
            move |(at, count)| {
                let left = if at == first { self.min } else { edge(at - 1) };
                [left, if at == last { self.max } else { edge(at) }, *count]
            },
        )
    }
}

/// An int32 on the wire: the lower half of the varint.
fn int32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// How well a record fits: see [`fit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is no event.
    No,
    /// Nothing speaks against it.
    May,
    /// It says of itself that it is one, or holds values.
    Yes,
}

/// Whether a record is an event: it has a time, every field that it has is one of an event's, and
/// tags are text.
pub(crate) fn fit(record: &[u8]) -> Fit {
    strict(record).unwrap_or(Fit::No)
}

fn strict(record: &[u8]) -> Option<Fit> {
    let mut cursor = Cursor::new(record);
    let (mut timed, mut sure) = (false, false);
    while !cursor.is_empty() {
        match cursor.tag().ok()? {
            (1, FIXED64) => {
                timed = true;
                cursor.fixed64().ok()?;
            }
            (2, VARINT) => drop(cursor.varint().ok()?),
            (3, LEN) => sure |= cursor.bytes().ok()?.starts_with(b"brain.Event:"),
            (5, LEN) => sure |= strict_summary(cursor.bytes().ok()?)?,
            (4 | 6..=10, LEN) => drop(cursor.bytes().ok()?),
            _ => return None,
        }
    }
    timed.then_some(if sure { Fit::Yes } else { Fit::May })
}

/// Whether a summary holds a value with a tag; none if it is no summary.
fn strict_summary(summary: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(summary);
    let mut tagged = false;
    while !cursor.is_empty() {
        let (1, LEN) = cursor.tag().ok()? else { return None };
        let mut value = Cursor::new(cursor.bytes().ok()?);
        while !value.is_empty() {
            match value.tag().ok()? {
                (1 | 7, LEN) => {
                    let text = value.bytes().ok()?;
                    simdutf8::basic::from_utf8(text).ok()?;
                    tagged |= !text.is_empty();
                }
                (2, FIXED32) => drop(value.fixed32().ok()?),
                (3..=6 | 8 | 9, LEN) => drop(value.bytes().ok()?),
                _ => return None,
            }
        }
    }
    Some(tagged)
}
