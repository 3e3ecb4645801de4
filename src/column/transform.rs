//! What the values of TFDS features must be turned into: bytes to tensors, images to pixels,
//! numbers of classes to names.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use super::dense::Dense;
use super::encoded::raw_dims;
use super::image::Images;
use super::nested::RowError;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::feature::{Encoding, FeatureSpec};
use crate::schema::tfds::Transform;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::tensor_proto::{Dims, Strings, Tensor};

/// The most bytes that one value may decompress to where its size is not known beforehand.
#[cfg(feature = "gzip")]
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// How many bytes values may decode to, all in all; more is a limit, so that fewer rows at a time
/// are tried.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        match self.0.checked_sub(bytes as u64) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Error::limit("values decode to too many bytes for one batch")
                .with_hint(Phrase::new("pass a smaller {batch_rows}"))),
        }
    }
}

/// Turns `values` into an array of `data_type`. Rows of errors are positions in `values`.
///
/// # Errors
/// A value does not decode to what the feature says.
pub(super) fn apply(
    transform: &Transform,
    path: &str,
    values: ArrayRef,
    sizes: Option<ArrayRef>,
    data_type: &DataType,
    mut budget: Budget,
) -> Result<ArrayRef, RowError> {
    match transform {
        Transform::None => Ok(values),
        Transform::ClassNames(names) => class_names(&values, names),
        Transform::Reshape { dtype, shape } => {
            let mut tensors = Dense::new(*dtype, shape, data_type)?;
            let lists = values.as_list_opt::<i32>().ok_or_else(|| unexpected(&values))?;
            each(lists.len(), |at| {
                if lists.is_null(at) {
                    return tensors.append_null();
                }
                let items = lists.value(at);
                tensors.append(&reshape(&items, *dtype, shape)?)
            })?;
            Ok(tensors.finish(data_type)?)
        }
        Transform::Raw { dtype, shape, zlib, .. } => {
            let spec =
                FeatureSpec { encoding: Encoding::Raw, ..FeatureSpec::values(path, *dtype, shape.clone()) };
            let mut tensors = Dense::new(*dtype, shape, data_type)?;
            let mut inflated = Vec::new();
            each_bytes(&values, |at, value| {
                let Some(value) = value else { return tensors.append_null() };
                let dims = match &sizes {
                    Some(sizes) => Some(dims_of(sizes, at, shape)?),
                    None => None,
                };
                let value = if *zlib {
                    inflate(value, expected_bytes(*dtype, shape, dims.as_ref()), &mut inflated)?;
                    inflated.as_slice()
                } else {
                    value
                };
                budget.spend(value.len())?;
                let dims = match dims {
                    Some(dims) => dims,
                    None => raw_dims(&spec, value)?,
                };
                tensors.append(&Tensor::from_bytes(*dtype, dims, Cow::Borrowed(value))?)
            })?;
            Ok(tensors.finish(data_type)?)
        }
        Transform::Image { dtype, shape } => {
            let (mut tensors, mut images) = (Dense::new(*dtype, shape, data_type)?, Images::default());
            each_bytes(&values, |_, value| {
                let Some(value) = value else { return tensors.append_null() };
                let (dims, bytes) = pixels(&mut images, value, *dtype, shape)?;
                budget.spend(bytes.len())?;
                tensors.append(&Tensor::from_bytes(*dtype, Dims::new(&dims), Cow::Borrowed(bytes))?)
            })?;
            Ok(tensors.finish(data_type)?)
        }
    }
}

/// The frames in each list of `frames` as one tensor.
///
/// # Errors
/// A frame cannot be decoded, or frames of one video differ in shape.
pub(super) fn videos(
    dtype: DType,
    shape: &Shape,
    offsets: &OffsetBuffer<i32>,
    frames: &ArrayRef,
    data_type: &DataType,
    mut budget: Budget,
) -> Result<ArrayRef, RowError> {
    let frames: &BinaryArray = frames.as_binary_opt().ok_or_else(|| unexpected(frames))?;
    let inner = shape.inner().unwrap_or(Shape::UnknownRank);
    let (mut tensors, mut images) = (Dense::new(dtype, shape, data_type)?, Images::default());
    let ranges = offsets.windows(2).map(|pair| match *pair {
        [start, end] => usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0),
        _ => 0..0,
    });
    for (at, range) in ranges.enumerate() {
        let video = || -> Result<()> {
            let count = range.len() as u64;
            let mut size: Option<Vec<u64>> = None;
            let mut all = Vec::new();
            for frame in range {
                let (dims, bytes) = pixels(&mut images, frames.value(frame), dtype, &inner)?;
                budget.spend(bytes.len())?;
                let first = size.get_or_insert_with(|| dims.clone());
                if *first != dims {
                    return Err(Error::mismatch("frames of one video differ in shape")
                        .expected(Shape::known(first).to_string(), Shape::known(&dims).to_string()));
                }
                all.extend_from_slice(bytes);
            }
            let mut dims = size.unwrap_or_else(|| known_or_zero(&inner));
            dims.insert(0, count);
            tensors.append(&Tensor::from_bytes(dtype, Dims::new(&dims), Cow::Owned(all))?)
        };
        video().map_err(|error| RowError { row: Some(at), error })?;
    }
    Ok(tensors.finish(data_type)?)
}

fn known_or_zero(shape: &Shape) -> Vec<u64> {
    match shape {
        Shape::Dims(dims) => dims.iter().map(|dim| dim.unwrap_or(0)).collect(),
        Shape::UnknownRank => vec![0; 3],
    }
}

fn unexpected(array: &ArrayRef) -> Error {
    Error::unsupported(format!("wire column of type {}", array.data_type()))
}

fn each(len: usize, mut take: impl FnMut(usize) -> Result<()>) -> Result<(), RowError> {
    (0..len).try_for_each(|at| {
        take(at).map_err(|error| RowError { row: Some(at), error: error.without_offset() })
    })
}

fn each_bytes(
    values: &ArrayRef,
    mut take: impl FnMut(usize, Option<&[u8]>) -> Result<()>,
) -> Result<(), RowError> {
    let values: &BinaryArray = values.as_binary_opt().ok_or_else(|| unexpected(values))?;
    each(values.len(), |at| take(at, values.is_valid(at).then(|| values.value(at))))
}

/// Classes by name; −1 is unlabelled, null.
fn class_names(values: &ArrayRef, names: &ArrayRef) -> Result<ArrayRef, RowError> {
    let classes = values.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(values))?;
    let mut keys = Vec::with_capacity(classes.len());
    for (at, class) in classes.iter().enumerate() {
        keys.push(match class {
            None | Some(-1) => None,
            Some(class) => {
                let key = usize::try_from(class).ok().filter(|class| *class < names.len());
                let key = key.and_then(|_| i32::try_from(class).ok()).ok_or_else(|| RowError {
                    row: Some(at),
                    error: Error::mismatch("class without a name")
                        .expected(format!("-1 to {}", names.len().saturating_sub(1)), class.to_string())
                        .with_hint(Phrase::new("leave out {class_names} to keep the numbers")),
                })?;
                Some(key)
            }
        });
    }
    let array = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), names.clone());
    Ok(Arc::new(array.map_err(Error::from)?))
}

/// The values of one list as a tensor whose one unknown dimension is as long as they make it.
fn reshape<'a>(items: &'a ArrayRef, dtype: DType, shape: &Shape) -> Result<Tensor<'a>> {
    let wrong = |expected: String| {
        Error::mismatch("feature with another number of values").expected(expected, items.len().to_string())
    };
    let Shape::Dims(dims) = shape else { return Err(wrong("a known rank".to_owned())) };
    let known = dims.iter().flatten().try_fold(1u64, |a, b| a.checked_mul(*b));
    let len = items.len() as u64;
    let unknown = match known {
        Some(0) if len == 0 => 0,
        Some(known) if known > 0 && len.is_multiple_of(known) => len / known,
        known => return Err(wrong(format!("a multiple of {}", known.unwrap_or(u64::MAX)))),
    };
    let mut out = Dims::default();
    dims.iter().for_each(|dim| out.push(dim.unwrap_or(unknown)));
    if let Some(strings) = items.as_binary_opt::<i32>() {
        return Tensor::from_strings(out, Strings::from_slices(strings.iter().flatten().collect()));
    }
    if let Some(strings) = items.as_string_opt::<i32>() {
        let slices = strings.iter().flatten().map(str::as_bytes).collect();
        return Tensor::from_strings(out, Strings::from_slices(slices));
    }
    if let Some(bools) = items.as_boolean_opt() {
        let bytes = bools.values().iter().map(u8::from).collect();
        return Tensor::from_bytes(dtype, out, Cow::Owned(bytes));
    }
    let data = items.to_data();
    let width = items.data_type().primitive_width().ok_or_else(|| unexpected(items))?;
    let start = data.offset().saturating_mul(width);
    let bytes = data.buffers().first().and_then(|b| b.get(start..start + items.len().saturating_mul(width)));
    Tensor::from_bytes(dtype, out, Cow::Owned(bytes.unwrap_or_default().to_vec()))
}

/// The sizes of the item `at`, which must fit `shape`.
fn dims_of(sizes: &ArrayRef, at: usize, shape: &Shape) -> Result<Dims> {
    let lists = sizes.as_fixed_size_list_opt().ok_or_else(|| unexpected(sizes))?;
    if at >= lists.len() || lists.is_null(at) {
        return Err(Error::mismatch("tensor without its shape"));
    }
    let list = lists.value(at);
    let sizes = list.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(&list))?;
    let dims: Option<Vec<u64>> = sizes.values().iter().map(|size| u64::try_from(*size).ok()).collect();
    match dims.filter(|dims| shape.accepts(dims)) {
        Some(dims) => Ok(Dims::new(&dims)),
        None => Err(Error::mismatch("tensor of another shape")
            .expected(shape.to_string(), format!("{:?}", sizes.values()))),
    }
}

/// How many bytes a tensor takes, where that is known.
fn expected_bytes(dtype: DType, shape: &Shape, dims: Option<&Dims>) -> Option<u64> {
    let values = match dims {
        Some(dims) => dims.num_elements()? as u64,
        None => shape.num_elements()?,
    };
    values.checked_mul(dtype.item_bytes()? as u64)
}

/// Decompresses `value` to `out`: `expected` bytes, if that is known.
#[cfg(feature = "gzip")]
fn inflate(value: &[u8], expected: Option<u64>, out: &mut Vec<u8>) -> Result<()> {
    use std::io::Read;
    out.clear();
    let cap = expected.unwrap_or(MAX_DECODED_BYTES);
    let mut reader = flate2::bufread::ZlibDecoder::new(value).take(cap.saturating_add(1));
    reader.read_to_end(out).map_err(|e| Error::corrupt("corrupt zlib data").with_cause(e))?;
    if out.len() as u64 > cap {
        return Err(Error::limit("zlib data decompresses to too much")
            .expected(format!("at most {cap} bytes"), "more"));
    }
    Ok(())
}

#[cfg(not(feature = "gzip"))]
fn inflate(_: &[u8], _: Option<u64>, _: &mut Vec<u8>) -> Result<()> {
    Err(Error::unsupported("this build cannot read zlib").with_hint("build with the feature `gzip`"))
}

/// The pixels of an image in the shape that the feature says, as TFDS has them. Floats stand in the
/// four channels of a PNG.
fn pixels<'a>(
    images: &'a mut Images,
    value: &[u8],
    dtype: DType,
    shape: &Shape,
) -> Result<(Vec<u64>, &'a [u8])> {
    let mut wanted = match shape {
        Shape::Dims(dims) if matches!(dims.len(), 3 | 4) => dims.clone(),
        Shape::UnknownRank => vec![None; 3],
        Shape::Dims(_) => return Err(Error::unsupported("image that is not of rank 3 or 4")),
    };
    if dtype != DType::Float32 {
        return images.decode_to(value, dtype, &Shape::Dims(wanted));
    }
    wanted.pop();
    wanted.push(Some(4));
    let (mut dims, bytes) = images.decode_to(value, DType::UInt8, &Shape::Dims(wanted))?;
    dims.pop();
    dims.push(1);
    Ok((dims, bytes))
}
