//! A feature whose tensor stands in one bytes value: raw bytes, a serialized `TensorProto`, or an
//! encoded image.

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use half::{bf16, f16};

use super::dense::Dense;
use super::feature::{missing_feature, wrong_kind};
use super::image::Images;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::feature::{DefaultValue, Encoding, FeatureSpec, Missing};
use crate::tf::dtype::DType;
use crate::tf::example::{self, Kind, unsound_example};
use crate::tf::shape::Shape;
use crate::tf::tensor_proto::{Dims, Strings, Tensor};
use crate::wire::proto::WireError;

/// Builds the column of one encoded feature.
#[derive(Debug)]
pub(crate) struct EncodedColumn {
    spec: FeatureSpec,
    data_type: DataType,
    tensors: Dense,
    images: Images,
    /// The default's one value, as a tensor holds it.
    default: Option<Vec<u8>>,
    /// Bytes that a missing row takes, at most.
    missing_bytes: usize,
}

impl EncodedColumn {
    /// An empty builder for `spec` as the column `field`.
    ///
    /// # Errors
    /// The default does not fit, or the field is not what the spec maps to.
    pub(crate) fn new(spec: &FeatureSpec, field: &Field) -> Result<Self> {
        let in_column = |e: Error| e.in_column(spec.name.as_str());
        let tensors = Dense::new(spec.dtype, &spec.shape, field.data_type()).map_err(in_column)?;
        let default = match &spec.missing {
            Missing::Default(value) => Some(value_bytes(spec.dtype, value).ok_or_else(|| {
                in_column(
                    Error::config("default does not fit").expected(spec.dtype.name(), format!("{value:?}")),
                )
            })?),
            _ => None,
        };
        let values = spec.shape.num_elements().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let width = default.as_ref().map_or(0, Vec::len).saturating_add(size_of::<u64>());
        let missing_bytes = values.saturating_mul(width);
        Ok(Self {
            spec: spec.clone(),
            data_type: field.data_type().clone(),
            tensors,
            images: Images::default(),
            default,
            missing_bytes,
        })
    }

    /// The feature's key.
    #[inline]
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Rows appended so far.
    #[inline]
    pub(crate) fn rows(&self) -> usize {
        self.tensors.rows()
    }

    /// Whether a record must have the feature.
    pub(crate) fn is_required(&self) -> bool {
        self.spec.missing.is_error()
    }

    /// Bytes that `rows` rows take, of which those that are not set yet are missing.
    pub(crate) fn byte_len(&self, rows: usize) -> usize {
        let missing = rows.saturating_sub(self.rows()).saturating_mul(self.missing_bytes);
        self.tensors.byte_len().saturating_add(missing)
    }

    /// Makes row `rows - 1` null, whatever a missing feature gives otherwise; rows before it that
    /// were not set are filled.
    ///
    /// # Errors
    /// A row before it is missing, or the column would grow too large.
    pub(crate) fn push_null(&mut self, rows: usize) -> Result<()> {
        self.fill(rows.saturating_sub(1))?;
        self.tensors.append_null().map_err(|e| e.in_column(self.spec.name.as_str()))
    }

    /// Sets row `row` from the serialized `list` of the kind `kind`; see
    /// [`FeatureColumn::set`](super::feature::FeatureColumn::set).
    pub(crate) fn set(&mut self, row: usize, kind: Kind, list: &[u8]) -> Result<()> {
        if self.rows() < row {
            self.fill(row)?;
        } else if self.rows() > row {
            self.truncate(row);
        }
        match kind {
            Kind::Bytes => {}
            Kind::None => return self.without_value(),
            found => return Err(wrong_kind(&self.spec, found)),
        }
        let Some(value) = self.value(list)? else { return self.without_value() };
        self.append(&value).map_err(|e| {
            // An offset within the value says nothing that can be found in the file.
            let mut binary = FeatureSpec::values(self.spec.name.as_str(), DType::String, Shape::scalar());
            binary.missing = self.spec.missing.clone();
            if matches!(binary.missing, Missing::Default(_)) {
                binary.missing = Missing::Null;
            }
            e.without_offset().in_column(self.name()).or_hint(|| {
                Phrase::new("pass {feature=_} to keep the bytes").pair(self.name(), binary.to_string())
            })
        })
    }

    /// Sets the next row from a feature that is there, but has no value; see
    /// [`FeatureColumn::set`](super::feature::FeatureColumn::set).
    #[cold]
    fn without_value(&mut self) -> Result<()> {
        match self.spec.missing {
            Missing::NullAtKey => {
                self.tensors.append_null().map_err(|e| e.in_column(self.spec.name.as_str()))
            }
            _ => Ok(()),
        }
    }

    /// The one value of the list; none if it is empty and need not be there. Raw bytes may stand in
    /// several values of one length, as `tf.io.decode_raw` takes them: one after the other they are
    /// one.
    fn value<'a>(&self, list: &'a [u8]) -> Result<Option<Cow<'a, [u8]>>> {
        if let Some(value) = example::single_bytes(list) {
            return Ok(Some(Cow::Borrowed(value)));
        }
        let mut values: (Option<&[u8]>, usize) = (None, 0);
        let mut all = Vec::new();
        let mut one_length = true;
        example::for_each_bytes(list, |value| {
            one_length &= values.0.is_none_or(|last| last.len() == value.len());
            values = (Some(value), values.1 + 1);
            all.extend_from_slice(value);
            Ok::<_, WireError>(())
        })
        .map_err(|e| unsound_example(e).in_column(self.name()))?;
        match values {
            (value, 1) => Ok(value.map(Cow::Borrowed)),
            (_, 0) if self.spec.missing != Missing::Error => Ok(None),
            (Some(_), _) if self.spec.encoding == Encoding::Raw && one_length => Ok(Some(Cow::Owned(all))),
            (_, found) => Err(Error::mismatch("feature with another number of values")
                .expected(format!("exactly 1 ({})", self.spec), found.to_string())
                .in_column(self.name())
                .with_hint(Phrase::new("pass {feature=_} to keep the bytes").pair(self.name(), "binary[]"))),
        }
    }

    fn append(&mut self, value: &[u8]) -> Result<()> {
        let FeatureSpec { dtype, shape, .. } = &self.spec;
        match self.spec.encoding {
            Encoding::Values | Encoding::Raw => {
                let tensor = Tensor::from_bytes(*dtype, raw_dims(&self.spec, value)?, Cow::Borrowed(value))?;
                self.tensors.append(&tensor)
            }
            Encoding::Tensor => self.tensors.append(&Tensor::parse(value)?),
            Encoding::Image => {
                let (dims, bytes) = self.images.decode(value, *dtype, shape)?;
                self.tensors.append(&Tensor::from_bytes(*dtype, Dims::new(&dims), Cow::Borrowed(bytes))?)
            }
        }
    }

    /// Fills the rows from the last one set up to `rows` with what a missing feature gives.
    ///
    /// # Errors
    /// The feature is required.
    pub(crate) fn fill(&mut self, rows: usize) -> Result<()> {
        while self.rows() < rows {
            match &self.default {
                None if self.is_required() => return Err(missing_feature(&self.spec)),
                None => self.tensors.append_null(),
                Some(value) => default_tensor(&self.spec, value).and_then(|t| self.tensors.append(&t)),
            }
            .map_err(|e| e.in_column(self.spec.name.as_str()))?;
        }
        Ok(())
    }

    /// Drops all rows but the first `rows`, and what a failed [`set`](Self::set) left behind.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.tensors.truncate(rows);
    }

    /// The rows as an array; the builder is then empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        self.tensors.finish(&self.data_type).map_err(|e| e.in_column(self.spec.name.as_str()))
    }
}

/// The shape of a tensor whose plain bytes are `value`: its one unknown dimension, if there is
/// one, is as long as the bytes make it.
pub(super) fn raw_dims(spec: &FeatureSpec, value: &[u8]) -> Result<Dims> {
    let wrong = |expected: String| {
        Error::mismatch(format!("bytes do not make a tensor of {} {}", spec.dtype, spec.shape))
            .expected(expected, format!("{} bytes", value.len()))
    };
    let Shape::Dims(dims) = &spec.shape else { return Err(wrong("a known rank".to_owned())) };
    let width = spec.dtype.item_bytes().unwrap_or(1) as u64;
    let known = dims.iter().flatten().try_fold(width, |a, b| a.checked_mul(*b));
    let len = value.len() as u64;
    let unknown = match known {
        Some(bytes) if !dims.contains(&None) && bytes == len => 1,
        Some(bytes) if !dims.contains(&None) => return Err(wrong(format!("{bytes} bytes"))),
        Some(0) if len == 0 => 0,
        Some(bytes) if bytes > 0 && len.is_multiple_of(bytes) => len / bytes,
        Some(bytes) => return Err(wrong(format!("a multiple of {bytes} bytes"))),
        None => return Err(wrong("fewer".to_owned())),
    };
    let mut out = Dims::default();
    dims.iter().for_each(|dim| out.push(dim.unwrap_or(unknown)));
    Ok(out)
}

/// A tensor of the spec's shape filled with one value.
fn default_tensor<'a>(spec: &FeatureSpec, value: &'a [u8]) -> Result<Tensor<'a>> {
    let len = spec.shape.num_elements().and_then(|n| usize::try_from(n).ok());
    let (Some(dims), Some(len)) = (spec.shape.as_known(), len) else {
        return Err(Error::config("a default needs a shape without unknown dimensions"));
    };
    let dims = Dims::new(&dims);
    if spec.dtype == DType::String {
        Tensor::from_strings(dims, Strings::from_slices(vec![value; len]))
    } else {
        Tensor::from_bytes(spec.dtype, dims, Cow::Owned(value.repeat(len)))
    }
}

/// The little-endian bytes of one value of `dtype`; `None` if `value` does not fit.
fn value_bytes(dtype: DType, value: &DefaultValue) -> Option<Vec<u8>> {
    fn int<T: TryFrom<i64>>(value: i64, bytes: impl Fn(T) -> Vec<u8>) -> Option<Vec<u8>> {
        T::try_from(value).ok().map(bytes)
    }
    let within = |low: i64, high: i64, v: i64| (low..=high).contains(&v).then_some(v);
    match (value, dtype) {
        (DefaultValue::Bytes(bytes), DType::String) => Some(bytes.clone()),
        (DefaultValue::Float(v), _) => Some(match dtype {
            DType::Float16 => f16::from_f64(*v).to_le_bytes().to_vec(),
            DType::BFloat16 => bf16::from_f64(*v).to_le_bytes().to_vec(),
            #[allow(clippy::cast_possible_truncation)] // rounded, as documented
            DType::Float32 => (*v as f32).to_le_bytes().to_vec(),
            DType::Float64 => v.to_le_bytes().to_vec(),
            _ => return None,
        }),
        (DefaultValue::Int64(v), _) => match dtype {
            DType::Bool | DType::UInt8 | DType::QUInt8 | DType::UInt4 | DType::UInt2 => {
                let high = match dtype {
                    DType::Bool => 1,
                    DType::UInt4 => 15,
                    DType::UInt2 => 3,
                    _ => 255,
                };
                int::<u8>(within(0, high, *v)?, |v| vec![v])
            }
            DType::Int8 | DType::QInt8 | DType::Int4 | DType::Int2 => {
                let (low, high) = match dtype {
                    DType::Int4 => (-8, 7),
                    DType::Int2 => (-2, 1),
                    _ => (-128, 127),
                };
                int::<i8>(within(low, high, *v)?, |v| v.to_le_bytes().to_vec())
            }
            DType::Int16 | DType::QInt16 => int::<i16>(*v, |v| v.to_le_bytes().to_vec()),
            DType::UInt16 | DType::QUInt16 => int::<u16>(*v, |v| v.to_le_bytes().to_vec()),
            DType::Int32 | DType::QInt32 => int::<i32>(*v, |v| v.to_le_bytes().to_vec()),
            DType::UInt32 => int::<u32>(*v, |v| v.to_le_bytes().to_vec()),
            DType::UInt64 => int::<u64>(*v, |v| v.to_le_bytes().to_vec()),
            DType::Int64 => Some(v.to_le_bytes().to_vec()),
            _ => None,
        },
        _ => None,
    }
}
