//! Tensors that TensorFlow made, and buffers over their memory.

#![allow(unsafe_code)]

use std::fmt;
use std::panic::RefUnwindSafe;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;
use tensorflow::{DataType, FetchToken, SessionRunArgs, Status, Tensor as TfTensor, TensorType};
use tensorflow_sys_runtime as sys;

use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Dims, Strings, Tensor};

/// A value of TensorFlow's dtype number `N`, which lies in memory as `T` does. Any bytes are a `T`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(transparent)]
pub(super) struct Plain<const N: i32, T>(T);

impl<const N: i32, T: fmt::Debug> fmt::Display for Plain<N, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bindings' type for TensorFlow's dtype number `number`.
fn data_type(number: i32) -> DataType {
    match number {
        1 => DataType::Float,
        2 => DataType::Double,
        3 => DataType::Int32,
        4 => DataType::UInt8,
        5 => DataType::Int16,
        6 => DataType::Int8,
        7 => DataType::String,
        8 => DataType::Complex64,
        9 => DataType::Int64,
        10 => DataType::Bool,
        14 => DataType::BFloat16,
        17 => DataType::UInt16,
        18 => DataType::Complex128,
        19 => DataType::Half,
        22 => DataType::UInt32,
        23 => DataType::UInt64,
        other => DataType::UnrecognizedEnumValue(other.unsigned_abs()),
    }
}

fn not_needed() -> Status {
    Status::new_set_lossy(tensorflow::Code::Unimplemented, "plain memory is neither packed nor unpacked")
}

impl<const N: i32, T> TensorType for Plain<N, T>
where
    T: Default + Copy + fmt::Debug + 'static,
{
    type InnerType = tensorflow::TensorDataCRepr<Self>;

    fn data_type() -> DataType {
        data_type(N)
    }

    fn zero() -> Self {
        Self::default()
    }

    fn one() -> Self {
        Self::default()
    }

    fn is_repr_c() -> bool {
        true
    }

    fn unpack(_: &[u8], _: usize) -> tensorflow::Result<Vec<Self>> {
        Err(not_needed())
    }

    fn pack(_: &[Self], _: &[u64]) -> tensorflow::Result<*mut sys::TF_Tensor> {
        Err(not_needed())
    }
}

/// A `TF_TString`: 24 bytes that are only read through the C API.
pub(super) type RawString = Plain<7, [u64; 3]>;
const _: () = assert!(size_of::<sys::TF_TString>() == 24 && align_of::<sys::TF_TString>() == 8);

/// A tensor of fixed-width values.
trait Memory: Send + Sync + RefUnwindSafe {
    fn dims(&self) -> &[u64];
    /// The values' bytes; a tensor without values may have no memory.
    fn bytes(&self) -> &[u8];
}

impl<const N: i32, T> Memory for TfTensor<Plain<N, T>>
where
    T: Default + Copy + fmt::Debug + Send + Sync + RefUnwindSafe + 'static,
{
    fn dims(&self) -> &[u64] {
        TfTensor::dims(self)
    }

    fn bytes(&self) -> &[u8] {
        if TfTensor::dims(self).contains(&0) {
            return &[];
        }
        let values: &[Plain<N, T>] = self;
        // SAFETY: `Plain` is a transparent wrapper of integers and arrays of them, without padding.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }
}

/// Keeps a tensor alive for a buffer.
struct Owner(#[allow(dead_code)] Arc<dyn Memory>);

/// A fetched tensor of fixed-width values.
#[derive(Clone)]
pub(super) struct PlainTensor {
    dtype: DType,
    memory: Arc<dyn Memory>,
}

impl fmt::Debug for PlainTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.memory.dims())
    }
}

impl PlainTensor {
    pub(super) fn dims(&self) -> &[u64] {
        self.memory.dims()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// The tensor's memory as a buffer that keeps it alive: no value is copied.
    pub(super) fn buffer(&self) -> Buffer {
        let bytes = self.memory.bytes();
        let Some(start) = NonNull::new(bytes.as_ptr().cast_mut()).filter(|_| !bytes.is_empty()) else {
            return Buffer::from_vec(Vec::<u8>::new());
        };
        let owner = Arc::new(Owner(self.memory.clone()));
        // SAFETY: the bytes belong to the tensor, which nobody writes to any more and which the
        // owner keeps alive; the buffer only reads.
        unsafe { Buffer::from_custom_allocation(start, bytes.len(), owner) }
    }

    /// The tensor for the decoders of the layers below; borrows its memory.
    ///
    /// # Errors
    /// The memory does not fill the shape.
    pub(super) fn tensor(&self) -> Result<Tensor<'_>> {
        Tensor::from_bytes(self.dtype, Dims::new(self.dims()), self.bytes().into())
    }
}

/// A fetched tensor of strings.
pub(super) struct StringTensor(TfTensor<RawString>);

impl fmt::Debug for StringTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "string {:?}", self.dims())
    }
}

impl StringTensor {
    pub(super) fn dims(&self) -> &[u64] {
        self.0.dims()
    }

    pub(super) fn len(&self) -> usize {
        if self.dims().contains(&0) { 0 } else { self.0.len() }
    }

    /// The bytes of value `i`; borrowed from TensorFlow's memory.
    pub(super) fn get(&self, i: usize) -> &[u8] {
        if self.dims().contains(&0) {
            return &[];
        }
        let values: &[RawString] = &self.0;
        let Some(value) = values.get(i) else { return &[] };
        let value: *const sys::TF_TString = std::ptr::from_ref(value).cast();
        // SAFETY: the tensor is of dtype string, so that its values are initialized TF_TStrings,
        // which live and do not move as long as the tensor does.
        unsafe {
            let (start, len) = (sys::TF_StringGetDataPointer(value), sys::TF_StringGetSize(value));
            if start.is_null() || len == 0 { &[] } else { std::slice::from_raw_parts(start.cast(), len) }
        }
    }

    /// The tensor for the decoders of the layers below; borrows its memory.
    ///
    /// # Errors
    /// The shape is too large.
    pub(super) fn tensor(&self) -> Result<Tensor<'_>> {
        let values = (0..self.len()).map(|i| self.get(i)).collect();
        Tensor::from_strings(Dims::new(self.dims()), Strings::from_slices(values))
    }
}

/// Calls `$body` with `$name` standing for the [`Plain`] type of `$dtype`; `$other` for dtypes that
/// are not exchanged as plain memory.
macro_rules! with_plain {
    ($dtype:expr, $name:ident => $body:expr, $other:expr) => {
        match $dtype {
            DType::Float32 => {
                type $name = Plain<1, u32>;
                $body
            }
            DType::Float64 => {
                type $name = Plain<2, u64>;
                $body
            }
            DType::Int32 => {
                type $name = Plain<3, u32>;
                $body
            }
            DType::UInt8 => {
                type $name = Plain<4, u8>;
                $body
            }
            DType::Int16 => {
                type $name = Plain<5, u16>;
                $body
            }
            DType::Int8 => {
                type $name = Plain<6, u8>;
                $body
            }
            DType::Complex64 => {
                type $name = Plain<8, [u32; 2]>;
                $body
            }
            DType::Int64 => {
                type $name = Plain<9, u64>;
                $body
            }
            DType::Bool => {
                type $name = Plain<10, u8>;
                $body
            }
            DType::BFloat16 => {
                type $name = Plain<14, u16>;
                $body
            }
            DType::UInt16 => {
                type $name = Plain<17, u16>;
                $body
            }
            DType::Complex128 => {
                type $name = Plain<18, [u64; 2]>;
                $body
            }
            DType::Float16 => {
                type $name = Plain<19, u16>;
                $body
            }
            DType::UInt32 => {
                type $name = Plain<22, u32>;
                $body
            }
            DType::UInt64 => {
                type $name = Plain<23, u64>;
                $body
            }
            _ => $other,
        }
    };
}

/// Whether tensors of `dtype` can be fetched as they are. The bindings do not know the newer and
/// the quantized ones.
pub(super) fn is_plain(dtype: DType) -> bool {
    with_plain!(dtype, _T => true, false)
}

fn unknown(dtype: DType) -> Error {
    Error::unsupported(format!("tensor of dtype {dtype} cannot be exchanged with TensorFlow"))
}

/// Takes a fetched tensor of fixed-width values.
///
/// # Errors
/// It is of another dtype.
pub(super) fn take_plain(
    args: &mut SessionRunArgs<'_>,
    token: FetchToken,
    dtype: DType,
) -> Result<PlainTensor> {
    let status = |e: Status| Error::mismatch("cannot take TensorFlow's tensor").with_cause(e.to_string());
    let memory: Arc<dyn Memory> = with_plain!(
        dtype,
        T => Arc::new(args.fetch::<T>(token).map_err(status)?),
        return Err(unknown(dtype))
    );
    Ok(PlainTensor { dtype, memory })
}

/// Takes a fetched tensor of strings.
///
/// # Errors
/// It is of another dtype.
pub(super) fn take_strings(args: &mut SessionRunArgs<'_>, token: FetchToken) -> Result<StringTensor> {
    let tensor = args.fetch::<RawString>(token);
    tensor
        .map(StringTensor)
        .map_err(|e| Error::mismatch("cannot take TensorFlow's tensor").with_cause(e.to_string()))
}

/// A tensor that is fed into a graph.
pub(super) trait Feed: Send + Sync {
    /// Feeds it in place of the output of `operation`.
    fn feed<'l>(&'l self, args: &mut SessionRunArgs<'l>, operation: &tensorflow::Operation);
}

impl<T: TensorType> Feed for TfTensor<T>
where
    T::InnerType: Send + Sync,
{
    fn feed<'l>(&'l self, args: &mut SessionRunArgs<'l>, operation: &tensorflow::Operation) {
        args.add_feed(operation, 0, self);
    }
}

/// A tensor of TensorFlow's own, filled by `fill`, which is given its bytes.
///
/// # Errors
/// The dtype cannot be fed, the shape is too large for memory, or `fill` fails.
pub(super) fn new_feed(
    dtype: DType,
    dims: &[u64],
    fill: &mut dyn FnMut(&mut [u8]) -> Result<()>,
) -> Result<Box<dyn Feed>> {
    with_plain!(
        dtype,
        T => {
            let mut tensor = TfTensor::<T>::new(dims);
            if !dims.contains(&0) {
                let values: &mut [T] = &mut tensor;
                let len = size_of_val(values);
                // SAFETY: `Plain` is a transparent wrapper of integers and arrays of them: no
                // padding, and any bytes are a value.
                fill(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), len) })?;
            }
            Ok(Box::new(tensor))
        },
        Err(unknown(dtype))
    )
}
