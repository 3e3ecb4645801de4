//! The Rust types that a tensor's values can be seen as.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use half::slice::HalfBitsSliceExt;
use half::vec::HalfFloatVecExt;
use half::{bf16, f16};
use num_complex::Complex;

use super::dense::is_complex;
use super::memory;
use crate::tf::dtype::DType;

mod sealed {
    pub trait Sealed {}
}

/// A type of value that a tensor column can be viewed as, and made from.
///
/// | Rust type | values of the column |
/// | --- | --- |
/// | `u8` … `u64`, `i8` … `i64`, `f32`, `f64`, [`half::f16`] | the Arrow type of that name |
/// | [`half::bf16`] | UInt16 whose field says `tf.dtype` is `bfloat16` (the option `bfloat16` as `raw`) |
/// | [`Complex<f32>`](num_complex::Complex), `Complex<f64>` | Float32, Float64 with a last dimension of 2; `tf.dtype` absent or complex |
///
/// `bool` is not among them: stored as UInt8 it is viewed as `u8`, and bits have no address.
pub trait Scalar: sealed::Sealed + Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The type's name in messages.
    const NAME: &'static str;
    /// The dtype that a column made from values of this type has.
    const DTYPE: DType;
    /// How many values of the column's buffer make one value of this type.
    #[doc(hidden)]
    const PARTS: usize;
    #[doc(hidden)]
    fn values(array: &dyn Array, tf_dtype: Option<DType>) -> Option<&[Self]>;
    #[doc(hidden)]
    fn array(values: Vec<Self>, offset: usize, len: usize) -> ArrayRef;
    #[doc(hidden)]
    fn primitive() -> DataType;
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&[T::Native]> {
    array.as_primitive_opt::<T>().map(|array| &array.values()[..])
}

fn to_array<T: ArrowPrimitiveType>(values: Vec<T::Native>, offset: usize, len: usize) -> ArrayRef {
    let values = ScalarBuffer::<T::Native>::new(Buffer::from_vec(values), offset, len);
    Arc::new(PrimitiveArray::<T>::new(values, None))
}

macro_rules! plain {
    ($($native:ty => $arrow:ty, $dtype:ident;)*) => {$(
        impl sealed::Sealed for $native {}
        impl Scalar for $native {
            const NAME: &'static str = stringify!($native);
            const DTYPE: DType = DType::$dtype;
            const PARTS: usize = 1;
            fn values(array: &dyn Array, _: Option<DType>) -> Option<&[Self]> {
                primitive::<$arrow>(array)
            }
            fn array(values: Vec<Self>, offset: usize, len: usize) -> ArrayRef {
                to_array::<$arrow>(values, offset, len)
            }
            fn primitive() -> DataType {
                <$arrow>::DATA_TYPE
            }
        }
    )*};
}

plain! {
    i8 => Int8Type, Int8;
    i16 => Int16Type, Int16;
    i32 => Int32Type, Int32;
    i64 => Int64Type, Int64;
    u8 => UInt8Type, UInt8;
    u16 => UInt16Type, UInt16;
    u32 => UInt32Type, UInt32;
    u64 => UInt64Type, UInt64;
    f16 => Float16Type, Float16;
    f32 => Float32Type, Float32;
    f64 => Float64Type, Float64;
}

impl sealed::Sealed for bf16 {}
impl Scalar for bf16 {
    const NAME: &'static str = "bf16";
    const DTYPE: DType = DType::BFloat16;
    const PARTS: usize = 1;
    fn values(array: &dyn Array, tf_dtype: Option<DType>) -> Option<&[Self]> {
        let bits = primitive::<UInt16Type>(array)?;
        (tf_dtype == Some(DType::BFloat16)).then(|| bits.reinterpret_cast())
    }
    fn array(values: Vec<Self>, offset: usize, len: usize) -> ArrayRef {
        to_array::<UInt16Type>(values.reinterpret_into(), offset, len)
    }
    fn primitive() -> DataType {
        DataType::UInt16
    }
}

macro_rules! complex {
    ($($native:ty => $arrow:ty, $dtype:ident;)*) => {$(
        impl sealed::Sealed for Complex<$native> {}
        impl Scalar for Complex<$native> {
            const NAME: &'static str = concat!("Complex<", stringify!($native), ">");
            const DTYPE: DType = DType::$dtype;
            const PARTS: usize = 2;
            fn values(array: &dyn Array, tf_dtype: Option<DType>) -> Option<&[Self]> {
                let parts = primitive::<$arrow>(array)?;
                tf_dtype.is_none_or(is_complex).then(|| memory::as_complex(parts))
            }
            fn array(values: Vec<Self>, offset: usize, len: usize) -> ArrayRef {
                to_array::<$arrow>(memory::into_parts(values), offset * 2, len * 2)
            }
            fn primitive() -> DataType {
                <$arrow>::DATA_TYPE
            }
        }
    )*};
}

complex! {
    f32 => Float32Type, Complex64;
    f64 => Float64Type, Complex128;
}

/// The types as which values of this Arrow type can be viewed, in words for a hint.
pub(crate) fn views_of(values: &DataType, tf_dtype: Option<DType>) -> Option<String> {
    let plain = match values {
        DataType::Int8 => "i8",
        DataType::Int16 => "i16",
        DataType::Int32 => "i32",
        DataType::Int64 => "i64",
        DataType::UInt8 => "u8",
        DataType::UInt16 => "u16",
        DataType::UInt32 => "u32",
        DataType::UInt64 => "u64",
        DataType::Float16 => "f16",
        DataType::Float32 => "f32",
        DataType::Float64 => "f64",
        _ => return None,
    };
    Some(match tf_dtype {
        Some(DType::Complex64 | DType::Complex128) => {
            format!("view it as Complex<{plain}>, or as {plain} with a last dimension of 2")
        }
        Some(DType::BFloat16) if plain == "u16" => "view it as bf16, or its bits as u16".to_owned(),
        Some(DType::Bool) if plain == "u8" => {
            "view it as u8 (0 or 1), or copy it with to_bool_array()".to_owned()
        }
        _ => format!("view it as {plain}"),
    })
}
