//! `TensorProto`: a tensor's dtype, shape and values, borrowed from the message where its layout
//! allows.
//!
//! The message is `tensorflow/core/framework/tensor.proto`; the rules for short value lists are
//! those of `Tensor::FromProto`. `tensor_content` wins over the typed fields; of these, the last
//! value repeats to fill the shape.

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use super::dims::Dims;
use super::dtype::DType;
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, FIXED32, FIXED64, LEN, VARINT, WireError};

/// TensorFlow's own limit on the number of dimensions.
const MAX_RANK: usize = 254;

/// How many bytes (for strings: values) a message may grow to by repeating its last value.
/// A 20-byte message may ask for any number of them.
const MAX_FILL: usize = 64 << 20;

/// A list of byte strings: values of dtype string, or the serialized values of dtype variant.
#[derive(Debug, Clone)]
pub(crate) struct Strings<'a> {
    repr: Repr<'a>,
    len: usize,
}

#[derive(Debug, Clone)]
enum Repr<'a> {
    /// As `tensor_content` holds them: the lengths as varints, then the bytes of all.
    Content { lengths: &'a [u8], bytes: &'a [u8] },
    /// One slice a value; `fill` stands for those that are not there.
    List { values: Vec<&'a [u8]>, fill: &'a [u8] },
}

impl<'a> Strings<'a> {
    /// The strings of a tensor that lie anywhere in memory.
    pub(crate) fn from_slices(values: Vec<&'a [u8]>) -> Self {
        Self { len: values.len(), repr: Repr::List { values, fill: b"" } }
    }

    /// Reads `len` varint lengths and the bytes that follow them, which must be used up.
    fn from_content(content: &'a [u8], len: usize) -> Result<Self> {
        let bad = |expected: String| {
            Error::corrupt("invalid string tensor content")
                .expected(expected, format!("{} bytes", content.len()))
        };
        // Every length takes a byte.
        if len > content.len() {
            return Err(bad(format!("at least {len} bytes")));
        }
        let mut cursor = Cursor::new(content);
        let mut total = 0u64;
        for _ in 0..len {
            let length = cursor.varint().map_err(|e| malformed("string tensor content", e))?;
            total = total.checked_add(length).ok_or_else(|| bad("lengths that fit in 64 bits".to_owned()))?;
        }
        let bytes = content.get(cursor.position()..).unwrap_or_default();
        if total != bytes.len() as u64 {
            let found = cursor.position() as u64;
            return Err(bad(format!("{} bytes by its lengths", found.saturating_add(total))));
        }
        let lengths = content.get(..cursor.position()).unwrap_or_default();
        Ok(Self { repr: Repr::Content { lengths, bytes }, len })
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The values in order.
    pub(crate) fn iter(&self) -> StringIter<'_, 'a> {
        match &self.repr {
            Repr::Content { lengths, bytes } => {
                StringIter { lengths: Cursor::new(lengths), bytes, list: None, left: self.len }
            }
            Repr::List { values, fill } => StringIter {
                lengths: Cursor::new(b""),
                bytes: b"",
                list: Some((values.as_slice(), fill)),
                left: self.len,
            },
        }
    }

    /// The values in `range`, in order; fast for those that were [indexed](Self::index).
    pub(crate) fn range(&self, range: Range<usize>) -> StringIter<'_, 'a> {
        let mut iter = self.iter();
        iter.left = range.end.min(self.len).saturating_sub(range.start);
        match &mut iter.list {
            Some((values, _)) => *values = values.get(range.start..).unwrap_or_default(),
            None => {
                for _ in 0..range.start.min(self.len) {
                    iter.step();
                }
            }
        }
        iter
    }

    /// Makes [`range`](Self::range) fast wherever it begins.
    pub(crate) fn index(&mut self) {
        if let Repr::Content { .. } = self.repr {
            self.repr = Repr::List { values: self.iter().collect(), fill: b"" };
        }
    }

    /// The bytes of all values in one slice, where they lie so.
    pub(crate) fn contiguous(&self) -> Option<&'a [u8]> {
        match &self.repr {
            Repr::Content { bytes, .. } => Some(bytes),
            Repr::List { .. } => None,
        }
    }
}

/// An iterator over [`Strings`].
#[derive(Debug, Clone)]
pub(crate) struct StringIter<'s, 'a> {
    lengths: Cursor<'a>,
    bytes: &'a [u8],
    list: Option<(&'s [&'a [u8]], &'a [u8])>,
    left: usize,
}

impl<'a> StringIter<'_, 'a> {
    /// The next value of those that lie one after the other.
    #[inline]
    fn step(&mut self) -> Option<&'a [u8]> {
        // The lengths were checked when the strings were made.
        let length = usize::try_from(self.lengths.varint().ok()?).ok()?;
        let (value, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(value)
    }
}

impl<'a> Iterator for StringIter<'_, 'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        if let Some((values, fill)) = &mut self.list {
            return Some(match values.split_first() {
                Some((first, rest)) => {
                    *values = rest;
                    first
                }
                None => fill,
            });
        }
        self.step()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The values of a tensor, row-major.
#[derive(Debug, Clone)]
pub(crate) enum Data<'a> {
    /// Fixed-width values, little-endian, [`DType::item_bytes`] each.
    Bytes(Cow<'a, [u8]>),
    /// Strings.
    Strings(Strings<'a>),
    /// Serialized `VariantTensorDataProto`s.
    Variants(Strings<'a>),
}

/// A tensor whose data fits its dtype and shape.
#[derive(Debug, Clone)]
pub(crate) struct Tensor<'a> {
    dtype: DType,
    dims: Dims,
    data: Data<'a>,
    len: usize,
}

impl<'a> Tensor<'a> {
    /// A tensor of fixed-width values.
    ///
    /// # Errors
    /// The dtype has no fixed width, the bytes do not fill the shape, or a bool is neither 0 nor 1.
    pub(crate) fn from_bytes(dtype: DType, dims: Dims, bytes: Cow<'a, [u8]>) -> Result<Self> {
        let len = num_elements(&dims)?;
        let width = dtype
            .item_bytes()
            .ok_or_else(|| Error::unsupported(format!("tensor of dtype {dtype} has no plain bytes")))?;
        if len.checked_mul(width) != Some(bytes.len()) {
            return Err(Error::corrupt("tensor content does not fill its shape").expected(
                format!("{len} values of {width} bytes (dtype {dtype}, shape {dims:?})"),
                format!("{} bytes", bytes.len()),
            ));
        }
        if dtype == DType::Bool && bytes.iter().fold(0, |all, b| all | b) > 1 {
            return Err(Error::corrupt("invalid bool in tensor content").expected("0 or 1", "another byte"));
        }
        Ok(Self { dtype, dims, data: Data::Bytes(bytes), len })
    }

    /// A tensor of strings.
    ///
    /// # Errors
    /// Their number is not that of the shape.
    pub(crate) fn from_strings(dims: Dims, strings: Strings<'a>) -> Result<Self> {
        let len = num_elements(&dims)?;
        if strings.len() != len {
            return Err(Error::corrupt("string tensor does not fill its shape")
                .expected(format!("{len} values"), strings.len().to_string()));
        }
        Ok(Self { dtype: DType::String, dims, data: Data::Strings(strings), len })
    }

    /// A tensor of serialized variants.
    ///
    /// # Errors
    /// Their number is not that of the shape.
    pub(crate) fn from_variants(dims: Dims, items: Strings<'a>) -> Result<Self> {
        let tensor = Self::from_strings(dims, items)?;
        let Data::Strings(items) = tensor.data else { return Err(Error::corrupt("variant tensor")) };
        Ok(Self { dtype: DType::Variant, data: Data::Variants(items), ..tensor })
    }

    /// Reads a serialized `TensorProto`.
    ///
    /// # Errors
    /// The message is malformed, has no dtype or one that is not a value's (a reference), its
    /// shape is invalid, its content does not fill its shape, or it asks for far more memory than
    /// it takes itself.
    pub(crate) fn parse(message: &'a [u8]) -> Result<Self> {
        let wire = |e| malformed("TensorProto", e);
        let (mut dtype, mut dims, mut unknown_rank, mut content) = (0u64, Dims::default(), false, None);
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag().map_err(wire)? {
                (1, VARINT) => dtype = cursor.varint().map_err(wire)?,
                (2, LEN) => {
                    let shape = cursor.bytes().map_err(wire)?;
                    let base = (cursor.position() - shape.len()) as u64;
                    parse_shape(shape, &mut unknown_rank, |size| {
                        let size = u64::try_from(size).map_err(|_| {
                            Error::corrupt("invalid tensor shape")
                                .expected("dimensions of at least 0", size.to_string())
                        })?;
                        if dims.len() == MAX_RANK {
                            return Err(Error::limit("tensor of more than 254 dimensions"));
                        }
                        dims.push(size);
                        Ok(())
                    })
                    .map_err(|e| e.rebase(base))?;
                }
                (4, LEN) => content = Some(cursor.bytes().map_err(wire)?),
                (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
            }
        }
        if unknown_rank {
            dims = Dims::default();
        }
        let dtype = dtype_of(dtype)?;
        let len = num_elements(&dims)?;
        match content.filter(|content| !content.is_empty()) {
            Some(content) => Self::from_content(dtype, dims, len, content),
            None => Self::from_fields(dtype, dims, len, message),
        }
    }

    fn from_content(dtype: DType, dims: Dims, len: usize, content: &'a [u8]) -> Result<Self> {
        match dtype {
            DType::String | DType::Variant => {
                let strings = Strings::from_content(content, len)?;
                let data = match dtype {
                    DType::String => Data::Strings(strings),
                    _ => Data::Variants(strings),
                };
                Ok(Self { dtype, dims, data, len })
            }
            _ => Self::from_bytes(dtype, dims, Cow::Borrowed(content)),
        }
    }

    fn from_fields(dtype: DType, dims: Dims, len: usize, message: &'a [u8]) -> Result<Self> {
        let data = match dtype {
            DType::String => Data::Strings(listed(message, 8, len, true)?),
            DType::Variant => Data::Variants(listed(message, 15, len, false)?),
            DType::Resource => return Err(Error::unsupported("tensor of dtype resource holds no data")),
            _ => {
                let width = dtype.item_bytes().unwrap_or(1);
                Data::Bytes(fixed_width(dtype, width, len, message)?)
            }
        };
        Ok(Self { dtype, dims, data, len })
    }

    /// The dtype of its values.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its shape.
    pub(crate) fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Its values.
    pub(crate) fn data(&self) -> &Data<'a> {
        &self.data
    }

    /// Makes it fast to take strings out of the middle.
    pub(crate) fn index(&mut self) {
        if let Data::Strings(strings) = &mut self.data {
            strings.index();
        }
    }

    /// The number of its values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The values as `i64`, if they are int32 or int64.
    pub(crate) fn to_i64s(&self) -> Option<Vec<i64>> {
        let Data::Bytes(bytes) = &self.data else { return None };
        match self.dtype {
            DType::Int64 => Some(bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
            DType::Int32 => {
                Some(bytes.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect())
            }
            _ => None,
        }
    }

    /// The bytes of the fixed-width values in `range`.
    pub(crate) fn bytes_of(&self, range: Range<usize>) -> Option<&[u8]> {
        let Data::Bytes(bytes) = &self.data else { return None };
        let width = self.dtype.item_bytes()?;
        bytes.get(range.start.checked_mul(width)?..range.end.checked_mul(width)?)
    }
}

fn num_elements(dims: &Dims) -> Result<usize> {
    dims.num_elements().ok_or_else(|| {
        Error::corrupt("invalid tensor shape").expected("at most 2⁶³−1 values", format!("{dims:?}"))
    })
}

/// A dtype by its number in a message.
pub(crate) fn dtype_of(number: u64) -> Result<DType> {
    i32::try_from(number).ok().and_then(DType::from_number).ok_or_else(|| {
        Error::corrupt("invalid dtype").expected("a number of `DataType`, 1 to 33", number.to_string())
    })
}

/// A broken rule of protobuf's encoding, as this crate's error.
pub(crate) fn malformed(what: &str, error: WireError) -> Error {
    Error::corrupt(format!("malformed {what}: {}", error.fault)).at_offset(error.at as u64)
}

/// Reads a `TensorShapeProto`, one size at a time; -1 stands for unknown.
pub(crate) fn parse_shape(
    message: &[u8],
    unknown_rank: &mut bool,
    mut size: impl FnMut(i64) -> Result<()>,
) -> Result<()> {
    let wire = |e| malformed("TensorShapeProto", e);
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (2, LEN) => {
                let dim = cursor.bytes().map_err(wire)?;
                let base = cursor.position() - dim.len();
                let mut value = 0u64;
                let mut dim = Cursor::new(dim);
                while !dim.is_empty() {
                    let step = match dim.tag() {
                        Ok((1, VARINT)) => dim.varint().map(|v| value = v),
                        Ok((field, wire_type)) => dim.skip(field, wire_type),
                        Err(e) => Err(e),
                    };
                    step.map_err(|e| wire(e.rebase(base)))?;
                }
                size(value.cast_signed())?;
            }
            (3, VARINT) => *unknown_rank = cursor.varint().map_err(wire)? != 0,
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    Ok(())
}

/// The values of repeated bytes field `number`; `repeat_last` where the last one stands for those
/// that are missing.
fn listed<'a>(message: &'a [u8], number: u32, len: usize, repeat_last: bool) -> Result<Strings<'a>> {
    let wire = |e| malformed("TensorProto", e);
    let mut values = Vec::new();
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (field, LEN) if field == number => {
                let value = cursor.bytes().map_err(wire)?;
                if values.len() < len {
                    values.push(value);
                }
            }
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    check_fill(len, values.len())?;
    let fill = if repeat_last { values.last().copied().unwrap_or_default() } else { b"" };
    // Every string that is not there may be as long as the last one.
    check_fill(len.saturating_sub(values.len()).saturating_mul(fill.len()), 0)?;
    Ok(Strings { repr: Repr::List { values, fill }, len })
}

fn check_fill(wanted: usize, present: usize) -> Result<()> {
    if wanted > present && wanted > MAX_FILL {
        return Err(Error::limit("tensor is far larger than its message")
            .expected(format!("at most {MAX_FILL} bytes of repeated values"), wanted.to_string()));
    }
    Ok(())
}

/// The number of the field that holds values of a fixed-width `dtype`.
fn field_of(dtype: DType) -> u32 {
    match dtype {
        DType::Float32 => 5,
        DType::Float64 => 6,
        DType::Complex64 => 9,
        DType::Int64 => 10,
        DType::Bool => 11,
        DType::Complex128 => 12,
        DType::Float16 | DType::BFloat16 => 13,
        DType::UInt32 => 16,
        DType::UInt64 => 17,
        DType::Float8E5M2
        | DType::Float8E4M3FN
        | DType::Float8E4M3FNUZ
        | DType::Float8E4M3B11FNUZ
        | DType::Float8E5M2FNUZ
        | DType::Float4E2M1FN => 18,
        _ => 7,
    }
}

/// The values of the typed field of `dtype`, as little-endian bytes, brought to `len` values.
fn fixed_width<'a>(dtype: DType, width: usize, len: usize, message: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let wire = |e| malformed("TensorProto", e);
    let wanted = len.checked_mul(width).ok_or_else(|| Error::limit("tensor above the address space"))?;
    let number = field_of(dtype);
    // The width of one item on the wire; 0 for varints.
    let item = match number {
        5 | 9 => 4,
        6 | 12 => 8,
        18 => 1,
        _ => 0,
    };
    let mut whole: Option<&'a [u8]> = None;
    let mut out: Vec<u8> = Vec::new();
    let mut cursor = Cursor::new(message);
    let put = |out: &mut Vec<u8>, value: u64| {
        let value = if dtype == DType::Bool { u64::from(value != 0) } else { value };
        if out.len() < wanted {
            out.extend_from_slice(value.to_le_bytes().get(..width).unwrap_or_default());
        }
    };
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag().map_err(wire)?;
        if field != number {
            cursor.skip(field, wire_type).map_err(wire)?;
            continue;
        }
        match (wire_type, item) {
            (LEN, 0) => {
                let packed = cursor.bytes().map_err(wire)?;
                let base = cursor.position() - packed.len();
                out.reserve(packed.len().saturating_mul(width).min(wanted.saturating_sub(out.len())));
                let mut packed = Cursor::new(packed);
                while !packed.is_empty() {
                    let value = packed.varint().map_err(|e| wire(e.rebase(base)))?;
                    put(&mut out, value);
                }
            }
            (LEN, item) => {
                let packed = cursor.bytes().map_err(wire)?;
                if packed.len() % item != 0 {
                    return Err(Error::corrupt(
                        "malformed TensorProto: packed values do not fill their length",
                    )
                    .at_offset(cursor.position() as u64));
                }
                if number == 18 {
                    // Not a repeated field: the last one counts.
                    out.clear();
                    whole = None;
                }
                if out.is_empty() && whole.is_none() && packed.len() == wanted {
                    whole = Some(packed);
                } else {
                    out.extend_from_slice(whole.take().unwrap_or_default());
                    out.extend_from_slice(packed);
                }
            }
            (VARINT, 0) => {
                let value = cursor.varint().map_err(wire)?;
                put(&mut out, value);
            }
            (FIXED32, 4) => {
                out.extend_from_slice(whole.take().unwrap_or_default());
                out.extend_from_slice(&cursor.fixed32().map_err(wire)?);
            }
            (FIXED64, 8) => {
                out.extend_from_slice(whole.take().unwrap_or_default());
                out.extend_from_slice(&cursor.fixed64().map_err(wire)?);
            }
            _ => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    if let Some(whole) = whole {
        return Ok(Cow::Borrowed(whole));
    }
    out.truncate(wanted);
    // Half a complex number is no value.
    out.truncate(out.len() - out.len() % width);
    check_fill(wanted, out.len())?;
    let last = out.len().checked_sub(width).and_then(|at| out.get(at..)).map(<[u8]>::to_vec);
    match last.filter(|last| last.iter().any(|b| *b != 0)) {
        Some(last) => {
            out.reserve(wanted - out.len());
            while out.len() < wanted {
                out.extend_from_slice(&last);
            }
        }
        None => out.resize(wanted, 0),
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests;
