//! From flat values to the column's type: lists, fixed-size lists and structs put around them.
//! No value is copied.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, FixedSizeListArray, Int32Array, ListArray, StructArray, make_array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;

/// Puts the fixed-size lists of `data_type` around `values`, which hold the rows' values one row
/// after the other. `nulls` belong to the outermost list, of `rows` rows.
///
/// # Errors
/// `values` are not as many, or not of the type, that `data_type` needs.
pub(crate) fn wrap_fixed(
    values: ArrayRef,
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    match data_type {
        DataType::FixedSizeList(item, size) if !values.data_type().equals_datatype(data_type) => {
            let inner_rows = usize::try_from(*size).ok().and_then(|size| size.checked_mul(rows));
            let inner_rows = inner_rows.ok_or_else(|| Error::limit("column too long"))?;
            let child = wrap_fixed(values, item.data_type(), inner_rows, None)?;
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(item.clone(), *size, child, nulls, rows)?))
        }
        _ => Ok(values),
    }
}

/// A list column: `values` cut at `offsets`, with the fixed-size lists of the list's item around
/// them first. `offsets` count items, not values.
///
/// # Errors
/// `data_type` is no list, or does not fit the values.
pub(crate) fn wrap_list(
    values: ArrayRef,
    offsets: Vec<i32>,
    data_type: &DataType,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::List(item) = data_type else {
        return Err(Error::unsupported("column type").expected("List", data_type.to_string()));
    };
    let items = offsets.last().copied().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let child = wrap_fixed(values, item.data_type(), items, None)?;
    // Offsets only ever grow here, but the check is cheap beside the values.
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, child, nulls)?))
}

/// A variable-shape tensor column: flat `values` cut at `offsets` (which count values), and each
/// row's sizes one after the other in `shapes`.
///
/// # Errors
/// `data_type` is not the storage of such tensors, or does not fit the values.
pub(crate) fn wrap_variable_shape(
    values: ArrayRef,
    offsets: Vec<i32>,
    shapes: Vec<i32>,
    data_type: &DataType,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let wrong =
        || Error::unsupported("column type").expected("a variable-shape tensor", data_type.to_string());
    let DataType::Struct(fields) = data_type else { return Err(wrong()) };
    let [data, shape] = fields.as_ref() else { return Err(wrong()) };
    let rows = offsets.len().saturating_sub(1);
    let data = wrap_list(values, offsets, data.data_type(), None)?;
    let shape = wrap_fixed(Arc::new(Int32Array::from(shapes)), shape.data_type(), rows, None)?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), vec![data, shape], nulls)?))
}

/// How dense tensors of one shape lie in memory, row after row, where that is how a column holds them.
#[derive(Debug)]
pub(crate) struct InPlace {
    value_type: DataType,
    /// Bytes of a value of the column.
    width: usize,
    /// Bytes of a row; more than none.
    pub(crate) row_bytes: usize,
}

impl InPlace {
    /// How those of this dtype and shape lie; `None` if a column of `data_type` holds them in another way.
    pub(crate) fn of(dtype: DType, shape: &Shape, data_type: &DataType) -> Option<Self> {
        let value_type = innermost(data_type).filter(|to| is_stored_alike(dtype, to))?;
        let values = usize::try_from(shape.num_elements()?).ok()?;
        let row_bytes = values.checked_mul(dtype.item_bytes()?).filter(|bytes| *bytes > 0)?;
        Some(Self { value_type: value_type.clone(), width: value_type.primitive_width()?, row_bytes })
    }

    /// The rows `rows` of `memory` as a column of `data_type`, over the memory itself; `None` if they are not
    /// all there, or not where such values may lie.
    ///
    /// # Errors
    /// None that can be expected.
    pub(crate) fn column(
        &self,
        memory: &Buffer,
        rows: Range<usize>,
        data_type: &DataType,
    ) -> Result<Option<ArrayRef>> {
        let (start, len) = (rows.start * self.row_bytes, rows.len() * self.row_bytes);
        if memory.len() < start + len || memory.as_ptr().align_offset(self.width) != 0 {
            return Ok(None);
        }
        let values = ArrayData::builder(self.value_type.clone())
            .len(len / self.width)
            .add_buffer(memory.slice_with_length(start, len))
            .build()?;
        wrap_fixed(make_array(values), data_type, rows.len(), None).map(Some)
    }
}

/// The type of the values at the bottom of fixed-size lists.
fn innermost(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::FixedSizeList(item, _) => innermost(item.data_type()),
        other => other.is_primitive().then_some(other),
    }
}

/// Whether a value of `dtype` has the bytes of a value (or, if complex, of two) of `data_type`.
fn is_stored_alike(dtype: DType, data_type: &DataType) -> bool {
    match dtype {
        DType::Complex64 => *data_type == DataType::Float32,
        DType::Complex128 => *data_type == DataType::Float64,
        DType::BFloat16 => *data_type == DataType::UInt16,
        _ => dtype.item_bytes().is_some() && dtype.item_bytes() == data_type.primitive_width(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::extension::item;
    use arrow::array::{Array, AsArray};

    #[test]
    fn values_are_wrapped_without_a_copy() {
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..12));
        let pointer = values.to_data().buffers()[0].as_ptr();
        let nested = DataType::FixedSizeList(item(DataType::FixedSizeList(item(DataType::Int32), 3)), 2);
        let array = wrap_fixed(values, &nested, 2, None).unwrap();
        assert_eq!(array.data_type(), &nested);
        let inner = array.as_fixed_size_list().values().as_fixed_size_list().values().to_data();
        assert_eq!(inner.buffers()[0].as_ptr(), pointer);
    }

    #[test]
    fn lists_of_pairs() {
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..6));
        let list = DataType::List(item(DataType::FixedSizeList(item(DataType::Int32), 2)));
        let array = wrap_list(values, vec![0, 1, 3], &list, None).unwrap();
        assert_eq!(array.as_list::<i32>().value(1).len(), 2);
    }
}
