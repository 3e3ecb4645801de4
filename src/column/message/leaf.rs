//! Values of one field, row by row, read from the wire.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, DurationNanosecondArray, Int32Array,
    PrimitiveArray, StringArray, TimestampNanosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};

use super::fault::{Fault, What};
use super::presence::Gaps;
use crate::column::values::BytesValues;
use crate::error::Result;
use crate::schema::message::{Absent, EnumLeaf, Framing, Leaf};
use crate::tf::descriptor::{DefaultValue, Scalar};
use crate::wire::proto::{self, Cursor, FIXED32, FIXED64, LEN, START_GROUP, VARINT, WireError};

/// Numbers, one a row. Rows that are passed over are filled when a later one is set.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    /// What stands where nothing was set.
    fill: T,
    /// Which rows those are, where they are null.
    gaps: Option<Gaps>,
}

impl<T: Copy + Default> Numbers<T> {
    fn new(fill: Option<T>, nullable: bool) -> Self {
        let gaps = (nullable && fill.is_none()).then(Gaps::default);
        Self { values: Vec::new(), fill: fill.unwrap_or_default(), gaps }
    }

    /// Sets row `row`; if it was set before, the last value counts.
    #[inline]
    fn set(&mut self, row: usize, value: T) {
        if self.values.len() == row {
            self.values.push(value);
        } else {
            self.set_other(row, value);
        }
    }

    #[inline(never)]
    fn set_other(&mut self, row: usize, value: T) {
        if self.values.len() > row {
            self.values.truncate(row);
        } else {
            self.fill_to(row);
        }
        self.values.push(value);
    }

    fn fill_to(&mut self, rows: usize) {
        let from = self.values.len();
        if from < rows {
            if let Some(gaps) = &mut self.gaps {
                gaps.add(from, rows);
            }
            self.values.resize(rows, self.fill);
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        if let Some(gaps) = &mut self.gaps {
            gaps.truncate(rows);
        }
    }

    fn byte_len(&self, rows: usize) -> usize {
        let gaps = self.gaps.as_ref().map_or(0, Gaps::byte_len);
        rows.max(self.values.len()).saturating_mul(size_of::<T>()).saturating_add(gaps)
    }

    /// The values of `rows` rows, and which of them are not null; `nulls` says so of values that are
    /// never null by themselves. The column is then empty.
    fn finish(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> (Vec<T>, Option<NullBuffer>) {
        self.fill_to(rows);
        let room = Vec::with_capacity(rows + rows / 8);
        let values = std::mem::replace(&mut self.values, room);
        let nulls = match &mut self.gaps {
            Some(gaps) => gaps.finish(rows),
            None => nulls.cloned(),
        };
        (values, nulls)
    }
}

/// Bytes or text, one a row.
#[derive(Debug)]
pub(super) struct Texts {
    values: BytesValues,
    fill: Box<[u8]>,
    gaps: Option<Gaps>,
}

impl Texts {
    fn new(text: bool, fill: Option<Vec<u8>>, nullable: bool) -> Self {
        let gaps = (nullable && fill.is_none()).then(Gaps::default);
        let fill = fill.unwrap_or_default().into();
        Self { values: BytesValues::with_capacity(0, 0, text), fill, gaps }
    }

    #[inline]
    fn set(&mut self, row: usize, value: &[u8]) -> Result<(), Fault> {
        if self.values.len() != row {
            self.reach(row)?;
        }
        Ok(self.values.push(value)?)
    }

    #[inline(never)]
    fn reach(&mut self, row: usize) -> Result<(), Fault> {
        if self.values.len() > row {
            self.values.truncate(row);
            return Ok(());
        }
        self.fill_to(row)
    }

    fn fill_to(&mut self, rows: usize) -> Result<(), Fault> {
        let from = self.values.len();
        if from < rows {
            if let Some(gaps) = &mut self.gaps {
                gaps.add(from, rows);
            }
            self.values.push_repeated(&self.fill, rows - from)?;
        }
        Ok(())
    }

    /// Sets row `row`, or adds to it if it was set before: so messages are merged.
    fn append(&mut self, row: usize, value: &[u8]) -> Result<(), Fault> {
        if self.values.len() == row + 1 {
            return Ok(self.values.extend_last(value)?);
        }
        self.set(row, value)
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows.min(self.values.len()));
        if let Some(gaps) = &mut self.gaps {
            gaps.truncate(rows);
        }
    }

    fn byte_len(&self, rows: usize) -> usize {
        let missing = rows.saturating_sub(self.values.len());
        self.values.byte_len().saturating_add(missing.saturating_mul(size_of::<i32>() + self.fill.len()))
    }

    fn finish(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
        self.fill_to(rows).map_err(Fault::into_error)?;
        let nulls = match &mut self.gaps {
            Some(gaps) => gaps.finish(rows),
            None => nulls.cloned(),
        };
        self.values.take().finish(nulls)
    }
}

/// Seconds and nanoseconds as nanoseconds.
#[derive(Debug)]
pub(super) struct Times {
    nanoseconds: Numbers<i64>,
    /// The parts of the last row, in case the message goes on.
    last: (i64, i32),
    timestamp: bool,
}

impl Times {
    fn read(&mut self, row: usize, message: &[u8]) -> Result<(), Fault> {
        const SECOND: i64 = 1_000_000_000;
        let (mut seconds, mut nanos) = if self.nanoseconds.values.len() > row { self.last } else { (0, 0) };
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag()? {
                (1, VARINT) => seconds = cursor.varint()?.cast_signed(),
                (2, VARINT) => nanos = low_int32(cursor.varint()?),
                (field, wire_type) => cursor.skip(field, wire_type)?,
            }
        }
        let total = seconds.checked_mul(SECOND).and_then(|total| total.checked_add(i64::from(nanos)));
        // Before the epoch both parts may be past the end, and their sum within it.
        let total = total.or_else(|| {
            let wide = i128::from(seconds) * i128::from(SECOND) + i128::from(nanos);
            i64::try_from(wide).ok()
        });
        let Some(total) = total else { return Err(Fault::new(0, What::OutOfRange { seconds })) };
        self.last = (seconds, nanos);
        self.nanoseconds.set(row, total);
        Ok(())
    }
}

/// The lower half of a varint: what a field of 32 bits takes.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "protobuf drops the upper half")]
fn low32(value: u64) -> u32 {
    value as u32
}

#[inline]
fn low_int32(value: u64) -> i32 {
    low32(value).cast_signed()
}

#[inline]
fn zigzag32(value: u64) -> i32 {
    let value = low32(value);
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[inline]
fn zigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

macro_rules! leaf_column {
    (
        varints { $($varint:ident: $varint_native:ty, $varint_arrow:ty, $convert:expr;)* }
        fixed { $($fixed:ident: $fixed_native:ty, $fixed_arrow:ty, $take:ident, $width:expr, $wire:expr;)* }
    ) => {
        /// The column of one field.
        #[derive(Debug)]
        pub(super) enum LeafColumn {
            $($varint(Numbers<$varint_native>),)*
            $($fixed(Numbers<$fixed_native>),)*
            /// One byte a value, packed to bits when finished.
            Bool(Numbers<u8>),
            Enum(Numbers<i32>, Arc<EnumLeaf>),
            Bytes(Texts),
            Times(Times),
            Wrapper(Box<LeafColumn>),
            /// Messages as they are.
            Opaque(Texts, Framing),
        }

        impl LeafColumn {
            /// The wire type that a value has.
            pub(super) fn wire_type(&self) -> u32 {
                match self {
                    $(LeafColumn::$varint(_) => VARINT,)*
                    $(LeafColumn::$fixed(_) => $wire,)*
                    LeafColumn::Bool(_) | LeafColumn::Enum(..) => VARINT,
                    LeafColumn::Opaque(_, Framing::Group) => START_GROUP,
                    _ => LEN,
                }
            }

            /// The number of rows so far.
            #[inline]
            pub(super) fn rows(&self) -> usize {
                match self {
                    $(LeafColumn::$varint(numbers) => numbers.values.len(),)*
                    $(LeafColumn::$fixed(numbers) => numbers.values.len(),)*
                    LeafColumn::Bool(numbers) => numbers.values.len(),
                    LeafColumn::Enum(numbers, _) => numbers.values.len(),
                    LeafColumn::Bytes(texts) | LeafColumn::Opaque(texts, _) => texts.values.len(),
                    LeafColumn::Times(times) => times.nanoseconds.values.len(),
                    LeafColumn::Wrapper(inner) => inner.rows(),
                }
            }

            /// Sets row `row` to the next value of `cursor`, which has the column's wire type; `number`
            /// is that of the field. Returns whether it did: an unknown number of a closed enum is none.
            ///
            /// # Errors
            /// The value is not sound, or the column would grow too large.
            #[inline]
            pub(super) fn read(
                &mut self,
                row: usize,
                number: u32,
                cursor: &mut Cursor<'_>,
            ) -> Result<bool, Fault> {
                match self {
                    $(LeafColumn::$varint(numbers) => numbers.set(row, $convert(cursor.any_varint()?)),)*
                    $(LeafColumn::$fixed(numbers) => {
                        numbers.set(row, <$fixed_native>::from_le_bytes(cursor.$take()?));
                    })*
                    LeafColumn::Bool(numbers) => numbers.set(row, u8::from(cursor.any_varint()? != 0)),
                    LeafColumn::Enum(numbers, leaf) => {
                        let value = low_int32(cursor.any_varint()?);
                        if leaf.closed && leaf.name_of(value).is_none() {
                            return Ok(false);
                        }
                        numbers.set(row, value);
                    }
                    LeafColumn::Bytes(texts) => {
                        let value = cursor.short_bytes()?;
                        texts.set(row, value).map_err(|fault| fault.rebase(cursor.position() - value.len()))?;
                    }
                    other => other.read_message(row, number, cursor)?,
                }
                Ok(true)
            }

            /// Sets row `row` to a number, given as the bits that the wire has for it: as
            /// [`read`](Self::read) does.
            #[inline]
            pub(super) fn set_number(&mut self, row: usize, bits: u64) {
                match self {
                    $(LeafColumn::$varint(numbers) => numbers.set(row, $convert(bits)),)*
                    $(LeafColumn::$fixed(numbers) => {
                        if let Some(bytes) = bits.to_le_bytes().first_chunk::<$width>() {
                            numbers.set(row, <$fixed_native>::from_le_bytes(*bytes));
                        }
                    })*
                    LeafColumn::Bool(numbers) => numbers.set(row, u8::from(bits != 0)),
                    LeafColumn::Enum(numbers, leaf) => {
                        let value = low_int32(bits);
                        if !leaf.closed || leaf.name_of(value).is_some() {
                            numbers.set(row, value);
                        }
                    }
                    _ => {}
                }
            }

            /// Appends a packed run of values, one a row.
            ///
            /// # Errors
            /// The run is not sound.
            pub(super) fn read_packed(&mut self, run: &[u8]) -> Result<(), Fault> {
                match self {
                    $(LeafColumn::$varint(numbers) => {
                        each_varint(run, |value| numbers.values.push($convert(value)))?;
                    })*
                    $(LeafColumn::$fixed(numbers) => {
                        let (values, rest) = run.as_chunks::<$width>();
                        if !rest.is_empty() {
                            return Err(WireError::new(run.len() - rest.len(), proto::Fault::RaggedPacked).into());
                        }
                        numbers.values.extend(values.iter().map(|bytes| <$fixed_native>::from_le_bytes(*bytes)));
                    })*
                    LeafColumn::Bool(numbers) => {
                        each_varint(run, |value| numbers.values.push(u8::from(value != 0)))?;
                    }
                    LeafColumn::Enum(numbers, leaf) => each_varint(run, |value| {
                        let value = low_int32(value);
                        if !leaf.closed || leaf.name_of(value).is_some() {
                            numbers.values.push(value);
                        }
                    })?,
                    _ => {}
                }
                Ok(())
            }

            /// Drops all rows but the first `rows`.
            pub(super) fn truncate(&mut self, rows: usize) {
                match self {
                    $(LeafColumn::$varint(numbers) => numbers.truncate(rows),)*
                    $(LeafColumn::$fixed(numbers) => numbers.truncate(rows),)*
                    LeafColumn::Bool(numbers) => numbers.truncate(rows),
                    LeafColumn::Enum(numbers, _) => numbers.truncate(rows),
                    LeafColumn::Bytes(texts) | LeafColumn::Opaque(texts, _) => texts.truncate(rows),
                    LeafColumn::Times(times) => times.nanoseconds.truncate(rows),
                    LeafColumn::Wrapper(inner) => inner.truncate(rows),
                }
            }

            /// Bytes that `rows` rows take, of which those that are not set yet are filled.
            pub(super) fn byte_len(&self, rows: usize) -> usize {
                match self {
                    $(LeafColumn::$varint(numbers) => numbers.byte_len(rows),)*
                    $(LeafColumn::$fixed(numbers) => numbers.byte_len(rows),)*
                    LeafColumn::Bool(numbers) => numbers.byte_len(rows),
                    LeafColumn::Enum(numbers, _) => numbers.byte_len(rows),
                    LeafColumn::Bytes(texts) | LeafColumn::Opaque(texts, _) => texts.byte_len(rows),
                    LeafColumn::Times(times) => times.nanoseconds.byte_len(rows),
                    LeafColumn::Wrapper(inner) => inner.byte_len(rows),
                }
            }

            /// The first `rows` rows as an array; `nulls` says which rows are null of a column that
            /// has none of its own. The column is then empty.
            ///
            /// # Errors
            /// The column would grow too large.
            pub(super) fn finish(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
                Ok(match self {
                    $(LeafColumn::$varint(numbers) => primitive::<$varint_arrow>(numbers, rows, nulls)?,)*
                    $(LeafColumn::$fixed(numbers) => primitive::<$fixed_arrow>(numbers, rows, nulls)?,)*
                    LeafColumn::Bool(numbers) => {
                        let (values, nulls) = numbers.finish(rows, nulls);
                        let bits = BooleanBuffer::from_iter(values.iter().map(|value| *value != 0));
                        Arc::new(BooleanArray::new(bits, nulls))
                    }
                    LeafColumn::Enum(numbers, leaf) if leaf.by_name => {
                        let (values, nulls) = numbers.finish(rows, nulls);
                        let is_valid = |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
                        let name = |(row, value): (usize, &i32)| leaf.name_of(*value).filter(|_| is_valid(row));
                        let keys: Int32Array = values.iter().enumerate().map(name).collect();
                        let names = Arc::new(StringArray::from_iter_values(&leaf.names));
                        Arc::new(DictionaryArray::<Int32Type>::try_new(keys, names)?)
                    }
                    LeafColumn::Enum(numbers, _) => primitive::<Int32Type>(numbers, rows, nulls)?,
                    LeafColumn::Bytes(texts) | LeafColumn::Opaque(texts, _) => texts.finish(rows, nulls)?,
                    LeafColumn::Times(times) => {
                        let (values, nulls) = times.nanoseconds.finish(rows, nulls);
                        let values = ScalarBuffer::from(values);
                        match times.timestamp {
                            true => {
                                Arc::new(TimestampNanosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
                            }
                            false => Arc::new(DurationNanosecondArray::try_new(values, nulls)?),
                        }
                    }
                    LeafColumn::Wrapper(inner) => inner.finish(rows, nulls)?,
                })
            }
        }
    };
}

leaf_column! {
    varints {
        Int64: i64, Int64Type, u64::cast_signed;
        UInt64: u64, UInt64Type, std::convert::identity;
        Int32: i32, Int32Type, low_int32;
        UInt32: u32, UInt32Type, low32;
        SInt32: i32, Int32Type, zigzag32;
        SInt64: i64, Int64Type, zigzag64;
    }
    fixed {
        Double: f64, Float64Type, fixed64, 8, FIXED64;
        Float: f32, Float32Type, fixed32, 4, FIXED32;
        Fixed64: u64, UInt64Type, fixed64, 8, FIXED64;
        Fixed32: u32, UInt32Type, fixed32, 4, FIXED32;
        SFixed64: i64, Int64Type, fixed64, 8, FIXED64;
        SFixed32: i32, Int32Type, fixed32, 4, FIXED32;
    }
}

fn each_varint(run: &[u8], mut take: impl FnMut(u64)) -> Result<(), Fault> {
    let mut cursor = Cursor::new(run);
    while !cursor.is_empty() {
        take(cursor.any_varint()?);
    }
    Ok(())
}

fn primitive<T: ArrowPrimitiveType>(
    numbers: &mut Numbers<T::Native>,
    rows: usize,
    nulls: Option<&NullBuffer>,
) -> Result<ArrayRef> {
    let (values, nulls) = numbers.finish(rows, nulls);
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(values), nulls)?))
}

impl LeafColumn {
    /// An empty column of `leaf`.
    pub(super) fn new(leaf: &Leaf, absent: &Absent) -> Self {
        let nullable = matches!(absent, Absent::Null);
        let (mut int, mut uint, mut float, mut bytes) = (None, None, None, None);
        if let Absent::Default(default) = absent {
            match default {
                DefaultValue::Int(value) => int = Some(*value),
                DefaultValue::UInt(value) => uint = Some(*value),
                DefaultValue::Float(value) => float = Some(*value),
                DefaultValue::Bool(value) => uint = Some(u64::from(*value)),
                DefaultValue::Bytes(value) => bytes = Some(value.clone()),
            }
        }
        let int32 = int.and_then(|value| i32::try_from(value).ok());
        let uint32 = uint.and_then(|value| u32::try_from(value).ok());
        match leaf {
            Leaf::Scalar(scalar) => match scalar {
                Scalar::Double => LeafColumn::Double(Numbers::new(float, nullable)),
                #[expect(clippy::cast_possible_truncation, reason = "a default is rounded as the field is")]
                Scalar::Float => LeafColumn::Float(Numbers::new(float.map(|value| value as f32), nullable)),
                Scalar::Int64 => LeafColumn::Int64(Numbers::new(int, nullable)),
                Scalar::UInt64 => LeafColumn::UInt64(Numbers::new(uint, nullable)),
                Scalar::Int32 => LeafColumn::Int32(Numbers::new(int32, nullable)),
                Scalar::Fixed64 => LeafColumn::Fixed64(Numbers::new(uint, nullable)),
                Scalar::Fixed32 => LeafColumn::Fixed32(Numbers::new(uint32, nullable)),
                Scalar::Bool => {
                    LeafColumn::Bool(Numbers::new(uint.map(|value| u8::from(value != 0)), nullable))
                }
                Scalar::String => LeafColumn::Bytes(Texts::new(true, bytes, nullable)),
                Scalar::Bytes => LeafColumn::Bytes(Texts::new(false, bytes, nullable)),
                Scalar::UInt32 => LeafColumn::UInt32(Numbers::new(uint32, nullable)),
                Scalar::SFixed32 => LeafColumn::SFixed32(Numbers::new(int32, nullable)),
                Scalar::SFixed64 => LeafColumn::SFixed64(Numbers::new(int, nullable)),
                Scalar::SInt32 => LeafColumn::SInt32(Numbers::new(int32, nullable)),
                Scalar::SInt64 => LeafColumn::SInt64(Numbers::new(int, nullable)),
            },
            Leaf::Enum(leaf) => LeafColumn::Enum(Numbers::new(int32, nullable), leaf.clone()),
            Leaf::Timestamp | Leaf::Duration => LeafColumn::Times(Times {
                nanoseconds: Numbers::new(None, nullable),
                last: (0, 0),
                timestamp: matches!(leaf, Leaf::Timestamp),
            }),
            Leaf::Wrapper(scalar) => {
                LeafColumn::Wrapper(Box::new(LeafColumn::new(&Leaf::Scalar(*scalar), absent)))
            }
            Leaf::Opaque(framing) => LeafColumn::Opaque(Texts::new(false, None, nullable), *framing),
        }
    }

    /// Whether values may stand packed.
    pub(super) fn packs(&self) -> bool {
        !matches!(self.wire_type(), LEN | START_GROUP)
    }

    /// As [`read`](Self::read), of messages.
    fn read_message(&mut self, row: usize, number: u32, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        match self {
            LeafColumn::Opaque(texts, Framing::Group) => texts.append(row, cursor.group(number)?),
            other => {
                let message = cursor.bytes()?;
                let base = cursor.position() - message.len();
                let read = match other {
                    LeafColumn::Opaque(texts, _) => texts.append(row, message),
                    LeafColumn::Times(times) => times.read(row, message),
                    LeafColumn::Wrapper(inner) => inner.read_wrapped(row, message),
                    _ => Ok(()),
                };
                read.map_err(|fault| fault.rebase(base))
            }
        }
    }

    /// Sets row `row` to field 1 of `message`, or to zero if it has none and the row is not set yet.
    fn read_wrapped(&mut self, row: usize, message: &[u8]) -> Result<(), Fault> {
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag()? {
                (1, wire_type) if wire_type == self.wire_type() => {
                    self.read(row, 1, &mut cursor)?;
                }
                (field, wire_type) => cursor.skip(field, wire_type)?,
            }
        }
        if self.rows() <= row {
            let zero: &[u8] = match self.wire_type() {
                FIXED64 => &[0; 8],
                FIXED32 => &[0; 4],
                _ => &[0],
            };
            self.read(row, 1, &mut Cursor::new(zero))?;
        }
        Ok(())
    }
}
