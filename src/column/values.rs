//! Growable buffers of one type of value, filled straight from serialized lists.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use half::{bf16, f16};

use crate::error::{Error, Result};
use crate::schema::feature::DefaultValue;
use crate::tf::dtype::DType;
use crate::tf::example;
use crate::wire::proto::WireError;

/// What can go wrong when values are appended.
#[derive(Debug)]
pub(crate) enum ValueError {
    /// The serialized list is not sound.
    Wire(WireError),
    /// A value does not fit the column's dtype.
    DoesNotFit(String),
    /// A value of a text column is not UTF-8.
    NotUtf8,
    /// The column would outgrow 32-bit offsets.
    TooLong,
}

impl From<WireError> for ValueError {
    fn from(error: WireError) -> Self {
        ValueError::Wire(error)
    }
}

/// Room to make for a batch after one that took `n`: a little more, and much of it in round numbers, so that what one batch
/// gives back fits the next.
pub(super) fn room_after(n: usize) -> usize {
    const ROUND: usize = 1 << 20;
    let room = n + n / 8;
    if room > ROUND { room.next_multiple_of(ROUND) } else { room }
}

/// Bytes or text values back to back, with their 32-bit offsets.
#[derive(Debug)]
pub(crate) struct BytesValues {
    offsets: Vec<i32>,
    data: Vec<u8>,
    text: bool,
}

impl BytesValues {
    pub(super) fn with_capacity(values: usize, bytes: usize, text: bool) -> Self {
        let mut offsets = Vec::with_capacity(values + 1);
        offsets.push(0);
        Self { offsets, data: Vec::with_capacity(bytes), text }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// It is not UTF-8, where values are text, or the values would outgrow 32-bit offsets.
    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), ValueError> {
        if self.text && !is_utf8(value) {
            return Err(ValueError::NotUtf8);
        }
        let end = self.data.len() + value.len();
        let Ok(end) = i32::try_from(end) else { return Err(ValueError::TooLong) };
        self.data.extend_from_slice(value);
        self.offsets.push(end);
        Ok(())
    }

    /// Appends `value`, which is sound, `n` times.
    ///
    /// # Errors
    /// The values would outgrow 32-bit offsets.
    pub(super) fn push_repeated(&mut self, value: &[u8], n: usize) -> Result<(), ValueError> {
        let end = value.len().checked_mul(n).and_then(|bytes| bytes.checked_add(self.data.len()));
        if end.is_none_or(|end| i32::try_from(end).is_err()) {
            return Err(ValueError::TooLong);
        }
        if value.is_empty() {
            let end = self.offsets.last().copied().unwrap_or(0);
            self.offsets.resize(self.offsets.len() + n, end);
            return Ok(());
        }
        (0..n).try_for_each(|_| self.push(value))
    }

    /// Adds `more` to the last value, of which there is one; values are no text.
    ///
    /// # Errors
    /// The values would outgrow 32-bit offsets.
    pub(super) fn extend_last(&mut self, more: &[u8]) -> Result<(), ValueError> {
        let Ok(end) = i32::try_from(self.data.len() + more.len()) else { return Err(ValueError::TooLong) };
        self.data.extend_from_slice(more);
        if let Some(last) = self.offsets.last_mut() {
            *last = end;
        }
        Ok(())
    }

    /// The number of values.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes that the values take.
    pub(super) fn byte_len(&self) -> usize {
        self.data.len() + std::mem::size_of_val(self.offsets.as_slice())
    }

    /// The values; none are left, but room for as many.
    pub(super) fn take(&mut self) -> Self {
        let fresh = Self::with_capacity(room_after(self.len()), room_after(self.data.len()), self.text);
        std::mem::replace(self, fresh)
    }

    /// Drops all values but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        let end = self.offsets.last().copied().unwrap_or(0);
        self.data.truncate(usize::try_from(end).unwrap_or(0));
    }

    /// The values as an array.
    pub(super) fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let data = Buffer::from_vec(self.data);
        if !self.text {
            return Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls)?));
        }
        // Every value was checked when it came; arrow-rs checks them again here, all at once,
        // which is much cheaper than one at a time.
        Ok(Arc::new(StringArray::try_new(offsets, data, nulls)?))
    }
}

/// Whether `value` is UTF-8; short ASCII, the most common text, takes a few instructions.
#[inline]
pub(crate) fn is_utf8(value: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if value.len() <= 64 {
        let (words, rest) = value.as_chunks::<8>();
        let high = words.iter().fold(0, |acc, word| acc | u64::from_le_bytes(*word)) & HIGH;
        let rest_high = rest.iter().fold(0, |acc, byte| acc | byte) & 0x80;
        if high == 0 && rest_high == 0 {
            return true;
        }
    }
    simdutf8::basic::from_utf8(value).is_ok()
}

macro_rules! values {
    ($($variant:ident: $native:ty, $arrow:ty;)*) => {
        /// A growable buffer of the values of one feature.
        #[derive(Debug)]
        pub(crate) enum Values {
            $($variant(Vec<$native>),)*
            /// One byte a value, packed to bits when finished.
            Bool(Vec<u8>),
            Bytes(BytesValues),
        }

        impl Values {
            /// Makes room for so many more values, which take so many bytes if they are bytes or text.
            pub(super) fn reserve(&mut self, values: usize, bytes: usize) {
                match self {
                    $(Values::$variant(held) => held.reserve_exact(values),)*
                    Values::Bool(held) => held.reserve_exact(values),
                    Values::Bytes(held) => {
                        held.offsets.reserve_exact(values);
                        held.data.reserve_exact(bytes);
                    }
                }
            }

            /// The number of values.
            #[inline]
            pub(crate) fn len(&self) -> usize {
                match self {
                    $(Values::$variant(values) => values.len(),)*
                    Values::Bool(values) => values.len(),
                    Values::Bytes(values) => values.len(),
                }
            }

            /// Drops all values but the first `len`.
            pub(crate) fn truncate(&mut self, len: usize) {
                match self {
                    $(Values::$variant(values) => values.truncate(len),)*
                    Values::Bool(values) => values.truncate(len),
                    Values::Bytes(values) => values.truncate(len),
                }
            }

            /// Appends `n` zeros, or empty values.
            pub(crate) fn push_zeros(&mut self, n: usize) {
                match self {
                    $(Values::$variant(values) => values.resize(values.len() + n, Default::default()),)*
                    Values::Bool(values) => values.resize(values.len() + n, 0),
                    Values::Bytes(values) => {
                        let end = values.offsets.last().copied().unwrap_or(0);
                        values.offsets.resize(values.offsets.len() + n, end);
                    }
                }
            }

            /// The values as an array.
            pub(crate) fn finish(self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
                Ok(match self {
                    $(Values::$variant(values) => Arc::new(primitive::<$arrow>(values, nulls)?),)*
                    Values::Bool(values) => {
                        let bits = BooleanBuffer::from_iter(values.iter().map(|v| *v != 0));
                        Arc::new(BooleanArray::new(bits, nulls))
                    }
                    Values::Bytes(values) => return values.finish(nulls),
                })
            }

            /// Bytes that the values take.
            pub(crate) fn byte_len(&self) -> usize {
                match self {
                    $(Values::$variant(values) => std::mem::size_of_val(values.as_slice()),)*
                    Values::Bool(values) => values.len(),
                    Values::Bytes(values) => values.byte_len(),
                }
            }
        }
    };
}

values! {
    Int8: i8, Int8Type;
    Int16: i16, Int16Type;
    Int32: i32, Int32Type;
    Int64: i64, Int64Type;
    UInt8: u8, UInt8Type;
    UInt16: u16, UInt16Type;
    UInt32: u32, UInt32Type;
    UInt64: u64, UInt64Type;
    Float16: f16, Float16Type;
    Float32: f32, Float32Type;
    Float64: f64, Float64Type;
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<PrimitiveArray<T>> {
    Ok(PrimitiveArray::try_new(ScalarBuffer::from(values), nulls)?)
}

/// Appends `more` to `out`, each value converted by `convert`, which gives `None` for what does
/// not fit.
fn narrow<S: Copy + std::fmt::Display, D>(
    more: &[S],
    out: &mut Vec<D>,
    convert: impl Fn(S) -> Option<D>,
) -> Result<(), ValueError> {
    out.reserve(more.len());
    for &value in more {
        match convert(value) {
            Some(value) => out.push(value),
            None => return Err(ValueError::DoesNotFit(value.to_string())),
        }
    }
    Ok(())
}

/// Scratch space for values on their way to a narrower type.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Whether uint64 values stand as the int64 of the same bits, as TFDS writes them.
    wraps: bool,
    ints: Vec<i64>,
    floats: Vec<f32>,
}

impl Scratch {
    /// As empty as the default; `wraps` says whether uint64 values stand as the int64 of the same bits.
    pub(crate) fn new(wraps: bool) -> Self {
        Self { wraps, ..Self::default() }
    }
}

impl Values {
    /// An empty buffer for values of the Arrow type `data_type`, with room for `values` values
    /// (and `bytes` bytes, if they are bytes).
    ///
    /// # Errors
    /// There are no features of that type.
    pub(crate) fn with_capacity(data_type: &DataType, values: usize, bytes: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Int8 => Values::Int8(Vec::with_capacity(values)),
            DataType::Int16 => Values::Int16(Vec::with_capacity(values)),
            DataType::Int32 => Values::Int32(Vec::with_capacity(values)),
            DataType::Int64 => Values::Int64(Vec::with_capacity(values)),
            DataType::UInt8 => Values::UInt8(Vec::with_capacity(values)),
            DataType::UInt16 => Values::UInt16(Vec::with_capacity(values)),
            DataType::UInt32 => Values::UInt32(Vec::with_capacity(values)),
            DataType::UInt64 => Values::UInt64(Vec::with_capacity(values)),
            DataType::Float16 => Values::Float16(Vec::with_capacity(values)),
            DataType::Float32 => Values::Float32(Vec::with_capacity(values)),
            DataType::Float64 => Values::Float64(Vec::with_capacity(values)),
            DataType::Boolean => Values::Bool(Vec::with_capacity(values)),
            DataType::Binary => Values::Bytes(BytesValues::with_capacity(values, bytes, false)),
            DataType::Utf8 => Values::Bytes(BytesValues::with_capacity(values, bytes, true)),
            other => {
                return Err(Error::unsupported("feature type")
                    .expected("a number, bool, bytes or text", other.to_string()));
            }
        })
    }

    /// Room to reserve in the next buffer of this kind: values and bytes.
    pub(crate) fn size_hint(&self) -> (usize, usize) {
        match self {
            Values::Bytes(values) => (values.len(), values.data.len()),
            other => (other.len(), 0),
        }
    }

    /// Appends every value of a serialized list of the kind that `dtype` is stored in; returns how
    /// many. On error, some may have been appended.
    #[inline]
    pub(crate) fn extend_from_list(
        &mut self,
        list: &[u8],
        dtype: DType,
        scratch: &mut Scratch,
    ) -> Result<usize, ValueError> {
        let before = self.len();
        match self {
            Values::Int64(values) => example::extend_int64s(list, values)?,
            Values::Float32(values) if dtype == DType::Float32 => example::extend_floats(list, values)?,
            Values::Bytes(values) => example::for_each_bytes(list, |value| values.push(value))?,
            Values::Float16(_) | Values::Float32(_) | Values::Float64(_) => {
                self.extend_from_floats(list, dtype, scratch)?
            }
            _ if dtype == DType::BFloat16 => self.extend_from_floats(list, dtype, scratch)?,
            _ => self.extend_from_ints(list, dtype, scratch)?,
        }
        Ok(self.len() - before)
    }

    fn extend_from_floats(
        &mut self,
        list: &[u8],
        dtype: DType,
        scratch: &mut Scratch,
    ) -> Result<(), ValueError> {
        scratch.floats.clear();
        example::extend_floats(list, &mut scratch.floats)?;
        let floats = &scratch.floats;
        // A narrower float fits if nothing but precision is lost: a finite value stays finite.
        let finite = |from: f32, to: f32| !from.is_finite() || to.is_finite();
        match self {
            Values::Float16(out) => {
                narrow(floats, out, |v| Some(f16::from_f32(v)).filter(|w| finite(v, w.to_f32())))
            }
            Values::Float32(out) => {
                narrow(floats, out, |v| Some(bf16::from_f32(v).to_f32()).filter(|w| finite(v, *w)))
            }
            Values::Float64(out) => narrow(floats, out, |v| Some(f64::from(v))),
            Values::UInt16(out) => narrow(floats, out, |v| {
                let w = bf16::from_f32(v);
                finite(v, w.to_f32()).then_some(w.to_bits())
            }),
            _ => Err(ValueError::DoesNotFit(dtype.name().to_owned())),
        }
    }

    fn extend_from_ints(
        &mut self,
        list: &[u8],
        dtype: DType,
        scratch: &mut Scratch,
    ) -> Result<(), ValueError> {
        scratch.ints.clear();
        example::extend_int64s(list, &mut scratch.ints)?;
        let ints = &scratch.ints;
        let within = |low: i64, high: i64| move |v: &i64| (low..=high).contains(v);
        match (self, dtype) {
            (Values::Int8(out), DType::Int4) => {
                narrow(ints, out, |v| Some(v).filter(within(-8, 7)).and_then(|v| v.try_into().ok()))
            }
            (Values::Int8(out), DType::Int2) => {
                narrow(ints, out, |v| Some(v).filter(within(-2, 1)).and_then(|v| v.try_into().ok()))
            }
            (Values::UInt8(out), DType::UInt4) => {
                narrow(ints, out, |v| Some(v).filter(within(0, 15)).and_then(|v| v.try_into().ok()))
            }
            (Values::UInt8(out), DType::UInt2) => {
                narrow(ints, out, |v| Some(v).filter(within(0, 3)).and_then(|v| v.try_into().ok()))
            }
            (Values::Bool(out) | Values::UInt8(out), DType::Bool) => {
                narrow(ints, out, |v| Some(v).filter(within(0, 1)).and_then(|v| v.try_into().ok()))
            }
            (Values::Int8(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::Int16(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::Int32(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::UInt8(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::UInt16(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::UInt32(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            (Values::UInt64(out), _) if scratch.wraps => narrow(ints, out, |v| Some(v.cast_unsigned())),
            (Values::UInt64(out), _) => narrow(ints, out, |v| v.try_into().ok()),
            _ => Err(ValueError::DoesNotFit(dtype.name().to_owned())),
        }
    }

    /// Appends the value of a list that holds exactly one, in the form in which writers write it;
    /// `Ok(false)` means that [`extend_from_list`](Self::extend_from_list) must be tried.
    #[inline]
    pub(crate) fn push_single(&mut self, list: &[u8]) -> Result<bool, ValueError> {
        match self {
            Values::Int64(values) => Ok(example::single_int64(list).map(|v| values.push(v)).is_some()),
            Values::Bytes(values) => match example::single_bytes(list) {
                Some(value) => values.push(value).map(|()| true),
                None => Ok(false),
            },
            _ => Ok(false),
        }
    }

    /// Appends one value to a buffer of bytes.
    #[inline]
    pub(crate) fn push_bytes(&mut self, value: &[u8]) -> Result<(), ValueError> {
        match self {
            Values::Bytes(values) => values.push(value),
            _ => Err(ValueError::DoesNotFit("bytes".to_owned())),
        }
    }

    /// As [`push_single`](Self::push_single), for float32 columns of float features.
    #[inline]
    pub(crate) fn push_single_float(&mut self, list: &[u8]) -> bool {
        match (self, example::single_float(list)) {
            (Values::Float32(values), Some(value)) => {
                values.push(value);
                true
            }
            _ => false,
        }
    }

    /// Appends `value` `n` times.
    pub(crate) fn push_default(
        &mut self,
        value: &DefaultValue,
        n: usize,
        dtype: DType,
    ) -> Result<(), ValueError> {
        let mut list = Vec::new();
        let mut put = |tag: u8, body: &[u8]| {
            list.push(tag);
            list.extend_from_slice(body);
        };
        match value {
            DefaultValue::Int64(v) => {
                let mut varint = Vec::new();
                crate::wire::proto::put_varint(&mut varint, v.cast_unsigned());
                put(0x08, &varint);
            }
            // The floats of a feature are float32, whatever they become.
            #[allow(clippy::cast_possible_truncation)]
            DefaultValue::Float(v) => put(0x0d, &(*v as f32).to_le_bytes()),
            DefaultValue::Bytes(v) => {
                let mut body = Vec::new();
                crate::wire::proto::put_varint(&mut body, v.len() as u64);
                body.extend_from_slice(v);
                put(0x0a, &body);
            }
        }
        let mut scratch = Scratch::default();
        for _ in 0..n {
            self.extend_from_list(&list, dtype, &mut scratch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_check_agrees_with_std() {
        for len in 0..80 {
            for bad in 0..=len {
                let mut bytes = vec![b'a'; len];
                if bad < len {
                    bytes[bad] = 0xff;
                }
                assert_eq!(is_utf8(&bytes), std::str::from_utf8(&bytes).is_ok());
            }
        }
        assert!(is_utf8("déjà vu".as_bytes()));
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let mut scratch = Scratch::default();
        for (data_type, dtype, value, fits) in [
            (DataType::UInt8, DType::UInt8, 255, true),
            (DataType::UInt8, DType::UInt8, 256, false),
            (DataType::UInt8, DType::UInt8, -1, false),
            (DataType::Boolean, DType::Bool, 1, true),
            (DataType::Boolean, DType::Bool, 2, false),
            (DataType::Int8, DType::Int4, -9, false),
            (DataType::UInt64, DType::UInt64, -1, false),
            (DataType::UInt64, DType::UInt64, i64::MAX, true),
        ] {
            let mut values = Values::with_capacity(&data_type, 0, 0).unwrap();
            let mut list = vec![0x08];
            crate::wire::proto::put_varint(&mut list, i64::cast_unsigned(value));
            assert_eq!(values.extend_from_list(&list, dtype, &mut scratch).is_ok(), fits, "{dtype} {value}");
        }
        let mut values = Values::with_capacity(&DataType::Float16, 0, 0).unwrap();
        let list = [&[0x0d][..], &1e6f32.to_le_bytes()].concat();
        assert!(values.extend_from_list(&list, DType::Float16, &mut scratch).is_err());
    }
}
