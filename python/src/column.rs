//! What a column consists of, for `tfarrow/_columns.py` to make arrays of: buffers, types, shapes.
//!
//! A column is told as a tuple whose first item says what it is:
//!
//! | tuple | is |
//! | --- | --- |
//! | `("dense", buffer, dtype, shape, permutation, nulls)` | values of one shape; `nulls` is `None` or a byte a row (or a value), 1 where it is null |
//! | `("bits", buffer, offset, shape, nulls)` | the same, of Boolean |
//! | `("bytes", offsets, data, is_text, shape, nulls)` | strings, or tensors of them |
//! | `("ragged", row_splits, values, nulls)` | a list a row; `values` is a column |
//! | `("variable", row_splits, values, shapes, nulls, permutation)` | tensors whose shape varies |
//! | `("sparse", indices, values, dense_shape)` | columns |
//! | `("struct", [(name, column), …], rows, nulls)` | |
//! | `("other", type)` | what has no NumPy form |

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, ListArray, StructArray};
use arrow::buffer::{Buffer as ArrowBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, ByteArrayType, DataType, Field, FieldRef, LargeBinaryType, LargeUtf8Type, TimeUnit, Utf8Type,
};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use tfarrow::array::{FixedShapeTensor, VariableShapeTensor};

use crate::buffer::Buffer;
use crate::error::raise;

type Described<'py> = PyResult<Bound<'py, PyTuple>>;

/// Describes `array`, which `field` describes.
pub(crate) fn describe<'py>(py: Python<'py>, field: &Field, array: &ArrayRef) -> Described<'py> {
    describe_as(py, field, array, None)
}

/// As [`describe`]; what TensorFlow calls the values' type stands at the column, not at its items.
fn describe_as<'py>(
    py: Python<'py>,
    field: &Field,
    array: &ArrayRef,
    tf_dtype: Option<&str>,
) -> Described<'py> {
    let tf_dtype = field.metadata().get("tf.dtype").map(String::as_str).or(tf_dtype);
    match array.data_type() {
        DataType::List(item) => {
            let list: &ListArray = array.as_list();
            let (row_splits, values) = splits(list);
            let values = describe_as(py, item, &values, tf_dtype)?;
            ("ragged", Buffer::from(row_splits), values, null_bytes(py, list.nulls())?).into_pyobject(py)
        }
        DataType::Struct(_) => structure(py, field, array.as_struct(), tf_dtype),
        DataType::Dictionary(_, values) => {
            let plain = cast(array, values).map_err(|e| raise(py, &e.into()))?;
            describe(py, &field.clone().with_data_type(values.as_ref().clone()), &plain)
        }
        _ => dense(py, field, array, tf_dtype),
    }
}

/// The column at `path` in `columns`: a name, or names joined by `/` where structs hold it, within
/// lists too.
pub(crate) fn find(fields: &[FieldRef], columns: &[ArrayRef], path: &str) -> Option<(FieldRef, ArrayRef)> {
    for (field, array) in fields.iter().zip(columns) {
        if field.name() == path {
            return Some((field.clone(), array.clone()));
        }
        let Some(rest) = path.strip_prefix(field.name().as_str()).and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        if let Some(found) = within(array, rest) {
            return Some(found);
        }
    }
    None
}

fn within(array: &ArrayRef, path: &str) -> Option<(FieldRef, ArrayRef)> {
    match array.data_type() {
        DataType::Struct(fields) => find(fields, array.as_struct().columns(), path),
        DataType::List(_) => {
            let list: &ListArray = array.as_list();
            let (field, items) = within(list.values(), path)?;
            let item = Arc::new(field.as_ref().clone().with_name("item"));
            let nulls = list.nulls().cloned();
            let list = ListArray::try_new(item.clone(), list.offsets().clone(), items, nulls).ok()?;
            let field =
                Field::new(field.name(), DataType::List(item), true).with_metadata(field.metadata().clone());
            Some((Arc::new(field), Arc::new(list)))
        }
        _ => None,
    }
}

/// The row splits of lists, beginning with 0, and the values that they divide.
fn splits(list: &ListArray) -> (ArrowBuffer, ArrayRef) {
    let offsets = list.offsets();
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    let from = usize::try_from(first).unwrap_or(0);
    let len = usize::try_from(last - first).unwrap_or(0);
    let splits = match first {
        0 => offsets.inner().inner().slice_with_length(0, offsets.len() * size_of::<i32>()),
        _ => ArrowBuffer::from_vec(offsets.iter().map(|at| at - first).collect::<Vec<i32>>()),
    };
    (splits, list.values().slice(from, len))
}

fn structure<'py>(
    py: Python<'py>,
    field: &Field,
    array: &StructArray,
    tf_dtype: Option<&str>,
) -> Described<'py> {
    let kind = field.metadata().get("tf.kind").map(String::as_str);
    if let Some(variable) = VariableShapeTensor::from_field(field).map_err(|e| raise(py, &e))?
        && let [data, shapes] = array.columns()
        && let DataType::List(item) = data.data_type()
    {
        let (row_splits, values) = splits(data.as_list::<i32>());
        let values = describe_as(py, item, &values, tf_dtype)?;
        let shapes = describe(py, &Field::new("shape", shapes.data_type().clone(), true), shapes)?;
        let nulls = null_bytes(py, array.nulls())?;
        return ("variable", Buffer::from(row_splits), values, shapes, nulls, variable.permutation)
            .into_pyobject(py);
    }
    let mut members = Vec::new();
    for (field, column) in array.fields().iter().zip(array.columns()) {
        members.push((field.name().clone(), describe_as(py, field, column, tf_dtype)?));
    }
    if kind == Some("sparse")
        && let [indices, values, dense_shape] = members.as_slice()
    {
        return ("sparse", indices.1.clone(), values.1.clone(), dense_shape.1.clone()).into_pyobject(py);
    }
    ("struct", PyList::new(py, members)?, array.len(), null_bytes(py, array.nulls())?).into_pyobject(py)
}

/// Values of one shape.
fn dense<'py>(py: Python<'py>, field: &Field, array: &ArrayRef, tf_dtype: Option<&str>) -> Described<'py> {
    let rows = array.len();
    let tensor = FixedShapeTensor::from_field(field).map_err(|e| raise(py, &e))?;
    let mut shape = vec![rows];
    let mut nulls = array.nulls().cloned();
    let mut values = array.clone();
    let mut is_inner = false;
    while let Some(list) = values.clone().as_fixed_size_list_opt() {
        shape.push(usize::try_from(list.value_length()).unwrap_or(0));
        values = list.values().clone();
        if values.null_count() > 0 {
            // A null anywhere inside: told value by value.
            let size = values.len().checked_div(rows).unwrap_or(0);
            let outer = nulls.filter(|_| !is_inner).map(|rows| rows.expand(size));
            nulls = NullBuffer::union(outer.as_ref(), values.nulls());
            is_inner = true;
        }
    }
    let permutation = tensor.as_ref().and_then(|tensor| tensor.permutation.clone());
    if let Some(tensor) = tensor {
        shape = [vec![rows], tensor.shape].concat();
    }
    let nulls = null_bytes(py, nulls.as_ref())?;
    let bytes = match values.data_type() {
        DataType::Boolean => {
            let bits = values.as_boolean().values();
            let (buffer, offset) = (bits.inner().clone(), bits.offset());
            return ("bits", Buffer::from(buffer), offset, shape, nulls).into_pyobject(py);
        }
        DataType::Utf8 => Some((true, byte_parts(values.as_bytes::<Utf8Type>()))),
        DataType::Binary => Some((false, byte_parts(values.as_bytes::<BinaryType>()))),
        DataType::LargeUtf8 => Some((true, byte_parts(values.as_bytes::<LargeUtf8Type>()))),
        DataType::LargeBinary => Some((false, byte_parts(values.as_bytes::<LargeBinaryType>()))),
        _ => None,
    };
    if let Some((is_text, (offsets, data))) = bytes {
        return ("bytes", Buffer::from(offsets), Buffer::from(data), is_text, shape, nulls).into_pyobject(py);
    }
    let Some(dtype) = numpy_type(values.data_type(), tf_dtype) else {
        return ("other", values.data_type().to_string()).into_pyobject(py);
    };
    if dtype.starts_with("complex") {
        shape.pop();
    }
    let data = values.to_data();
    let width = values.data_type().primitive_width().unwrap_or(1);
    let buffer = data.buffers().first().cloned().unwrap_or_else(|| Vec::<u8>::new().into());
    let buffer = buffer.slice_with_length(data.offset() * width, data.len() * width);
    ("dense", Buffer::from(buffer), dtype, shape, permutation, nulls).into_pyobject(py)
}

/// Offsets (as 64-bit integers where they are, else 32-bit) and bytes of strings.
fn byte_parts<T: ByteArrayType>(array: &GenericByteArray<T>) -> (ArrowBuffer, ArrowBuffer) {
    let offsets = array.offsets();
    let bytes = size_of::<T::Offset>() * offsets.len();
    (offsets.inner().inner().slice_with_length(0, bytes), array.values().clone())
}

/// A byte a value: 1 where it is null; `None` if nothing is.
fn null_bytes<'py>(py: Python<'py>, nulls: Option<&NullBuffer>) -> PyResult<Option<Bound<'py, Buffer>>> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return Ok(None) };
    let bytes: Vec<u8> = nulls.iter().map(|valid| u8::from(!valid)).collect();
    Bound::new(py, Buffer::from(ArrowBuffer::from_vec(bytes))).map(Some)
}

/// NumPy's name of a type; what TensorFlow calls it where Arrow has no such type.
fn numpy_type(data_type: &DataType, tf_dtype: Option<&str>) -> Option<String> {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    Some(match (data_type, tf_dtype) {
        (DataType::Float32, Some("complex64")) => "complex64".to_owned(),
        (DataType::Float64, Some("complex128")) => "complex128".to_owned(),
        (DataType::UInt16, Some("bfloat16")) => "bfloat16".to_owned(),
        (DataType::UInt8, Some(float8)) if float8.starts_with("float8") => float8.to_owned(),
        (DataType::UInt8, Some("bool")) => "bool".to_owned(),
        (DataType::Timestamp(of, _), _) => format!("datetime64[{}]", unit(of)),
        (DataType::Duration(of), _) => format!("timedelta64[{}]", unit(of)),
        (DataType::Date64, _) => "datetime64[ms]".to_owned(),
        (
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float16
            | DataType::Float32
            | DataType::Float64,
            _,
        ) => data_type.to_string().to_lowercase(),
        _ => return None,
    })
}
