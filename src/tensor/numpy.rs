//! What NumPy calls the values of a column.

use arrow::datatypes::DataType;

use super::dense::Dense;
use crate::tf::dtype::DType;

/// How the values of a column stand in a NumPy array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NumpyType {
    /// The type as `.npy` headers spell it.
    pub(crate) descr: String,
    /// Bytes of one value.
    pub(crate) bytes: usize,
    /// The shape of one row, in values.
    pub(crate) shape: Vec<usize>,
    /// How the column's values become those bytes.
    pub(crate) storage: NumpyStorage,
}

/// How a column's values become NumPy's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumpyStorage {
    /// They are these bytes.
    Same,
    /// Bits become bytes.
    Bits,
    /// Strings are filled up with zeros.
    Padded,
}

impl NumpyType {
    /// The type of `dense`; strings have `string_bytes` bytes each. `None` if NumPy has none.
    pub(crate) fn of(dense: &Dense<'_>, string_bytes: Option<usize>) -> Option<Self> {
        use NumpyStorage::{Bits, Padded, Same};
        let values = dense.values.data_type();
        let (kind, bytes, storage) = match (values, dense.tf_dtype) {
            (DataType::Boolean, _) => ('b', 1, Bits),
            (DataType::UInt8, Some(DType::Bool)) => ('b', 1, Same),
            // NumPy has neither bfloat16 nor float8; `.view(ml_dtypes.bfloat16)` takes raw bytes.
            (DataType::UInt16, Some(DType::BFloat16)) => ('V', 2, Same),
            (DataType::UInt8, Some(dtype)) if is_small_float(dtype) => ('V', 1, Same),
            (DataType::Float32, Some(DType::Complex64)) => ('c', 8, Same),
            (DataType::Float64, Some(DType::Complex128)) => ('c', 16, Same),
            (DataType::Float16 | DataType::Float32 | DataType::Float64, _) => {
                ('f', values.primitive_width()?, Same)
            }
            _ if values.is_signed_integer() => ('i', values.primitive_width()?, Same),
            _ if values.is_unsigned_integer() => ('u', values.primitive_width()?, Same),
            (DataType::Binary | DataType::Utf8 | DataType::LargeBinary | DataType::LargeUtf8, _) => {
                ('S', string_bytes?, Padded)
            }
            _ => return None,
        };
        let mut shape = dense.shape.clone();
        if kind == 'c' && shape.pop() != Some(2) {
            return None;
        }
        let order = match (kind, bytes) {
            ('S', _) | (_, 1) => '|',
            _ if cfg!(target_endian = "big") => '>',
            _ => '<',
        };
        Some(Self { descr: format!("{order}{kind}{bytes}"), bytes, shape, storage })
    }
}

fn is_small_float(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::Float8E5M2
            | DType::Float8E4M3FN
            | DType::Float8E4M3FNUZ
            | DType::Float8E4M3B11FNUZ
            | DType::Float8E5M2FNUZ
            | DType::Float4E2M1FN
    )
}
