//! The values at the bottom of a component's column, one after the other.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayData, ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, FixedSizeListArray, StringArray,
    make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Data, Strings, Tensor};
use crate::tf::widen;

/// A growable buffer of values of one dtype.
#[derive(Debug)]
pub(super) struct Leaf {
    dtype: DType,
    values: Values,
    len: usize,
    /// The size that the last batch had, in bytes: what the next one will probably need.
    last_bytes: usize,
}

#[derive(Debug)]
enum Values {
    /// The bytes of the tensors as they are: a vector, which any allocator aligns well enough. Memory that is asked
    /// for with an alignment leaves holes in the C library's that nothing of the next batch fits in.
    Plain { width: usize, bytes: Vec<u8> },
    /// Integers of four or two bits, in the low bits of a byte; what stands above them says
    /// nothing.
    Narrow { unused: u32, signed: bool, bytes: Vec<u8> },
    /// bfloat16 widened to float32.
    BFloat16(Vec<u8>),
    /// 8-bit floats widened to float32.
    Float8 { table: Box<[f32; 256]>, bytes: Vec<u8> },
    /// Bools as bits.
    Bits { bits: BooleanBufferBuilder, packed: Vec<u8> },
    /// Strings with their 32-bit offsets.
    Strings { text: bool, offsets: Vec<i32>, bytes: Vec<u8> },
}

impl Leaf {
    /// An empty buffer for values of `dtype` that are stored as `data_type`.
    pub(super) fn new(dtype: DType, data_type: &DataType) -> Result<Self> {
        let empty = Vec::new;
        let widened = matches!(data_type, DataType::Float32);
        let values = match (dtype, dtype.item_bytes()) {
            (DType::String, _) => Values::Strings {
                text: matches!(data_type, DataType::Utf8),
                offsets: vec![0],
                bytes: Vec::new(),
            },
            (DType::Bool, _) if matches!(data_type, DataType::Boolean) => {
                Values::Bits { bits: BooleanBufferBuilder::new(0), packed: Vec::new() }
            }
            (DType::Int4 | DType::UInt4, _) => {
                Values::Narrow { unused: 4, signed: dtype == DType::Int4, bytes: Vec::new() }
            }
            (DType::Int2 | DType::UInt2, _) => {
                Values::Narrow { unused: 6, signed: dtype == DType::Int2, bytes: Vec::new() }
            }
            (DType::BFloat16, _) if widened => Values::BFloat16(empty()),
            (_, Some(width)) => match widen::table(dtype).filter(|_| widened) {
                Some(table) => Values::Float8 { table, bytes: empty() },
                None => Values::Plain { width, bytes: empty() },
            },
            (_, None) => return Err(Error::unsupported(format!("values of dtype {dtype}"))),
        };
        Ok(Self { dtype, values, len: 0, last_bytes: 0 })
    }

    /// Bytes that the values take.
    pub(super) fn byte_len(&self) -> usize {
        match &self.values {
            Values::Plain { bytes, .. } | Values::BFloat16(bytes) | Values::Float8 { bytes, .. } => {
                bytes.len()
            }
            Values::Narrow { bytes, .. } => bytes.len(),
            Values::Bits { bits, .. } => bits.len() / 8,
            Values::Strings { offsets, bytes, .. } => bytes.len() + size_of_val(offsets.as_slice()),
        }
    }

    /// Makes room for as much as the last batch took, but no more than `most` bytes.
    pub(super) fn reserve_as_before(&mut self, most: usize) {
        let room = self.last_bytes.min(most);
        match &mut self.values {
            Values::Plain { bytes, .. } | Values::BFloat16(bytes) | Values::Float8 { bytes, .. } => {
                bytes.reserve(room);
            }
            Values::Bits { bits, .. } => bits.reserve(room.saturating_mul(8)),
            Values::Narrow { bytes, .. } | Values::Strings { bytes, .. } => bytes.reserve(room),
        }
    }

    /// Appends the values in `range` of `tensor`, whose dtype must be this one's.
    pub(super) fn extend(&mut self, tensor: &Tensor<'_>, range: Range<usize>) -> Result<()> {
        let count = range.len();
        match (&mut self.values, tensor.data()) {
            (Values::Strings { text, offsets, bytes }, Data::Strings(strings)) => {
                extend_strings(*text, offsets, bytes, strings, range)?;
            }
            (values, Data::Bytes(_)) if tensor.dtype() == self.dtype => {
                let Some(more) = tensor.bytes_of(range) else {
                    return Err(Error::corrupt("tensor content does not fill its shape"));
                };
                values.extend_bytes(more, count);
            }
            _ => {
                return Err(Error::mismatch("tensor of another dtype")
                    .expected(self.dtype.name(), tensor.dtype().name()));
            }
        }
        self.len += count;
        Ok(())
    }

    /// Appends `n` zeros, or empty strings.
    pub(super) fn extend_default(&mut self, n: usize) -> Result<()> {
        let too_long = || Error::limit("column too long for memory");
        match &mut self.values {
            Values::Plain { width, bytes } => {
                let more = n.checked_mul(*width).ok_or_else(too_long)?;
                bytes.resize(bytes.len().checked_add(more).ok_or_else(too_long)?, 0);
            }
            Values::BFloat16(bytes) | Values::Float8 { bytes, .. } => {
                let more = n.checked_mul(4).ok_or_else(too_long)?;
                bytes.resize(bytes.len().checked_add(more).ok_or_else(too_long)?, 0);
            }
            Values::Narrow { bytes, .. } => {
                bytes.resize(bytes.len().checked_add(n).ok_or_else(too_long)?, 0);
            }
            Values::Bits { bits, .. } => bits.append_n(n, false),
            Values::Strings { offsets, .. } => {
                let end = offsets.last().copied().unwrap_or(0);
                offsets.resize(offsets.len() + n, end);
            }
        }
        self.len += n;
        Ok(())
    }

    /// Drops all values but the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        let len = len.min(self.len);
        match &mut self.values {
            Values::Plain { width, bytes } => bytes.truncate(len * *width),
            Values::BFloat16(bytes) | Values::Float8 { bytes, .. } => bytes.truncate(len * 4),
            Values::Narrow { bytes, .. } => bytes.truncate(len),
            Values::Bits { bits, .. } => bits.truncate(len),
            Values::Strings { offsets, bytes, .. } => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0));
            }
        }
        self.len = len;
    }

    /// The values as an array of type `data_type`; the buffer is then empty.
    pub(super) fn finish(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        self.last_bytes = self.byte_len();
        let len = std::mem::take(&mut self.len);
        let take = |bytes: &mut Vec<u8>| Buffer::from_vec(std::mem::take(bytes));
        match &mut self.values {
            Values::Plain { bytes, .. } | Values::BFloat16(bytes) | Values::Float8 { bytes, .. } => {
                primitive(take(bytes), data_type, len, nulls)
            }
            Values::Narrow { bytes, .. } => primitive(take(bytes), data_type, len, nulls),
            Values::Bits { bits, .. } => Ok(Arc::new(BooleanArray::new(bits.finish(), nulls))),
            Values::Strings { text, offsets, bytes } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                let bytes = Buffer::from_vec(std::mem::take(bytes));
                Ok(match text {
                    true => Arc::new(StringArray::try_new(offsets, bytes, nulls)?),
                    false => Arc::new(BinaryArray::try_new(offsets, bytes, nulls)?),
                })
            }
        }
    }
}

/// An array over `bytes`: of numbers, or of the pairs of numbers that complex values are.
fn primitive(bytes: Buffer, data_type: &DataType, len: usize, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    if let DataType::FixedSizeList(item, 2) = data_type {
        let values = primitive(bytes, item.data_type(), len * 2, None)?;
        return Ok(Arc::new(FixedSizeListArray::try_new_with_length(item.clone(), 2, values, nulls, len)?));
    }
    // The flat storage of complex tensors has two numbers a value.
    let len = data_type.primitive_width().and_then(|width| bytes.len().checked_div(width)).unwrap_or(len);
    let data = ArrayData::builder(data_type.clone()).len(len).add_buffer(bytes).nulls(nulls);
    // Copies where they are not aligned after all.
    let data = data.align_buffers(true).build()?;
    Ok(make_array(data))
}

impl Values {
    fn extend_bytes(&mut self, more: &[u8], count: usize) {
        match self {
            Values::Plain { bytes, .. } => bytes.extend_from_slice(more),
            Values::Narrow { unused, signed, bytes } => {
                let (unused, signed) = (*unused, *signed);
                bytes.extend(more.iter().map(|byte| match signed {
                    true => (byte << unused).cast_signed().wrapping_shr(unused).cast_unsigned(),
                    false => byte << unused >> unused,
                }));
            }
            Values::BFloat16(bytes) => {
                let start = bytes.len();
                bytes.resize(start + count * 4, 0);
                let out = bytes.get_mut(start..).unwrap_or_default();
                for (out, half) in out.as_chunks_mut::<4>().0.iter_mut().zip(more.as_chunks::<2>().0) {
                    *out = [0, 0, half[0], half[1]];
                }
            }
            Values::Float8 { table, bytes } => {
                let start = bytes.len();
                bytes.resize(start + count * 4, 0);
                let out = bytes.get_mut(start..).unwrap_or_default();
                for (out, byte) in out.as_chunks_mut::<4>().0.iter_mut().zip(more) {
                    let value = table.get(usize::from(*byte)).copied().unwrap_or_default();
                    *out = value.to_le_bytes();
                }
            }
            Values::Bits { bits, packed } => {
                pack(more, packed);
                bits.append_packed_range(0..count, packed);
            }
            Values::Strings { .. } => {}
        }
    }
}

/// Packs bytes of 0 or 1 to bits, the first one lowest.
fn pack(bools: &[u8], packed: &mut Vec<u8>) {
    packed.clear();
    let (words, rest) = bools.as_chunks::<8>();
    // The product brings the low bit of byte i to bit 56 + i.
    let gather =
        |word: u64| (word & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080).to_le_bytes()[7];
    packed.extend(words.iter().map(|word| gather(u64::from_le_bytes(*word))));
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0u8, |byte, b| byte << 1 | (b & 1));
        packed.push(last);
    }
}

fn extend_strings(
    text: bool,
    offsets: &mut Vec<i32>,
    bytes: &mut Vec<u8>,
    strings: &Strings<'_>,
    range: Range<usize>,
) -> Result<()> {
    let whole = range.len() == strings.len();
    let mut end = bytes.len();
    offsets.reserve(range.len());
    for value in strings.range(range) {
        if text && simdutf8::basic::from_utf8(value).is_err() {
            return Err(Error::mismatch("value is not UTF-8")
                .with_hint(Phrase::new("name only columns of text in {utf8}")));
        }
        end = end.saturating_add(value.len());
        let offset = i32::try_from(end).map_err(|_| {
            Error::limit("column outgrows 32-bit offsets")
                .with_hint(Phrase::new("pass a smaller {batch_rows}"))
        })?;
        offsets.push(offset);
        if !whole {
            bytes.extend_from_slice(value);
        }
    }
    if whole {
        match strings.contiguous() {
            Some(all) => bytes.extend_from_slice(all),
            None => strings.iter().for_each(|value| bytes.extend_from_slice(value)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bools_are_packed() {
        let bools: Vec<u8> = (0..100).map(|i| u8::from(i % 3 == 0)).collect();
        let mut packed = Vec::new();
        for n in 0..100 {
            pack(&bools[..n], &mut packed);
            assert_eq!(packed.len(), n.div_ceil(8));
            for i in 0..n {
                assert_eq!(packed[i / 8] >> (i % 8) & 1, bools[i], "{i} of {n}");
            }
        }
    }
}
