//! Columns whose rows all have one shape, followed down to the buffer that holds their values.
//!
//! Fixed-size lists may be nested, flat or an extension type; here they are all rows, a row shape
//! and one array of values, row-major, without a copy.

use arrow::array::{Array, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use serde_json::Value;

use super::extension::{FixedShapeTensor, TF_DTYPE, TF_SHAPE};
use crate::error::{Error, Result};
use crate::tf::dtype::DType;

/// A column of `rows` tensors of one shape.
#[derive(Debug, Clone)]
pub(crate) struct Dense<'a> {
    pub(crate) rows: usize,
    /// The shape of a row as stored: complex numbers have a trailing dimension of 2.
    pub(crate) shape: Vec<usize>,
    /// Values of a row: the product of `shape`.
    pub(crate) row_values: usize,
    /// The order in which the dimensions of a row are to be shown.
    pub(crate) permutation: Option<Vec<usize>>,
    /// The values, from index 0, row after row; at least `rows * row_values`.
    pub(crate) values: &'a dyn Array,
    /// The dtype TensorFlow gave the component.
    pub(crate) tf_dtype: Option<DType>,
    pub(crate) nulls: Option<&'a NullBuffer>,
    /// Validity below the rows, where anything is null: entries per row, and their nulls.
    inner_nulls: Vec<(usize, &'a NullBuffer)>,
}

impl<'a> Dense<'a> {
    /// Follows `array`, the column `field`, down to its values. `None` if rows differ in shape.
    ///
    /// # Errors
    /// The extension metadata is invalid.
    pub(crate) fn of_column(field: &Field, array: &'a dyn Array) -> Result<Option<Self>> {
        let tf_dtype = tf_dtype(field);
        if let DataType::List(_) = array.data_type() {
            return Ok(empty_rows(field, array, tf_dtype));
        }
        let Some(mut dense) = Self::of_values(array, tf_dtype) else { return Ok(None) };
        if let Some(tensor) = FixedShapeTensor::from_field(field)? {
            if tensor.shape.iter().product::<usize>() == dense.row_values {
                dense.shape = tensor.shape;
            }
            dense.permutation = tensor.permutation.filter(|axes| is_order(axes, dense.shape.len()));
        } else if dense.shape.len() == 1 {
            // One flat list a row: its shape stands beside it.
            let stated = tf_shape(field).map(|mut shape| {
                if tf_dtype.is_some_and(is_complex) {
                    shape.push(2);
                }
                shape
            });
            if let Some(shape) = stated.filter(|shape| product(shape) == Some(dense.row_values)) {
                dense.shape = shape;
            }
        }
        Ok(Some(dense))
    }

    /// The same without a field: the shape of the lists' nesting.
    pub(crate) fn of_values(array: &'a dyn Array, tf_dtype: Option<DType>) -> Option<Self> {
        let mut shape = Vec::new();
        let mut row_values = 1usize;
        let mut inner_nulls = Vec::new();
        let mut values = array;
        while let DataType::FixedSizeList(_, size) = values.data_type() {
            let size = usize::try_from(*size).ok()?;
            shape.push(size);
            row_values = row_values.checked_mul(size)?;
            values = values.as_fixed_size_list().values();
            if let Some(nulls) = values.nulls().filter(|nulls| nulls.null_count() > 0) {
                inner_nulls.push((row_values, nulls));
            }
        }
        let is_enough = array.len().checked_mul(row_values).is_some_and(|needed| needed <= values.len());
        if !is_enough || values.data_type().is_nested() {
            return None;
        }
        let rows = array.len();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        Some(Self { rows, shape, row_values, permutation: None, values, tf_dtype, nulls, inner_nulls })
    }

    /// Refuses a null row among `rows` rows from `start`, and a null inside of one.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn refuse_nulls(&self, start: usize, rows: usize) -> Result<()> {
        if let Some(nulls) = self.nulls {
            let row = (start..start + rows).find(|row| nulls.is_null(*row));
            if let Some(row) = row {
                return Err(Error::mismatch("null row in a tensor column")
                    .at_record(row as u64)
                    .with_hint("view_masked() gives the values beside their validity"));
            }
        }
        self.refuse_inner_nulls(start, rows)
    }

    /// Refuses a null value inside a row that is not null itself.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn refuse_inner_nulls(&self, start: usize, rows: usize) -> Result<()> {
        for (per_row, nulls) in &self.inner_nulls {
            let found = (start..start + rows).find(|row| {
                self.nulls.is_none_or(|outer| outer.is_valid(*row))
                    && nulls.slice(row * per_row, *per_row).null_count() > 0
            });
            if let Some(row) = found {
                return Err(Error::mismatch("null value inside a tensor").at_record(row as u64));
            }
        }
        Ok(())
    }

    /// What a row holds, in words for errors.
    #[cfg(feature = "ndarray")]
    pub(crate) fn describe(&self) -> String {
        let dtype = self.tf_dtype.map(|dtype| format!(" (tf.dtype {dtype})")).unwrap_or_default();
        format!("{} of shape {:?}{dtype}", self.values.data_type(), self.shape)
    }
}

/// A tensor with a 0 dimension is stored as an empty list.
fn empty_rows<'a>(field: &Field, array: &'a dyn Array, tf_dtype: Option<DType>) -> Option<Dense<'a>> {
    let mut shape = tf_shape(field)?;
    let list = array.as_list::<i32>();
    let mut dense = Dense::of_values(list.values(), tf_dtype)?;
    if !shape.contains(&0) || list.offsets().first() != list.offsets().last() {
        return None;
    }
    if tf_dtype.is_some_and(is_complex) {
        shape.push(2);
    }
    dense.rows = array.len();
    dense.shape = shape;
    dense.row_values = 0;
    dense.nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    dense.inner_nulls.clear();
    Some(dense)
}

pub(crate) fn is_complex(dtype: DType) -> bool {
    matches!(dtype, DType::Complex64 | DType::Complex128)
}

/// The dtype that TensorFlow gave the component of this column.
pub(crate) fn tf_dtype(field: &Field) -> Option<DType> {
    DType::from_name(field.metadata().get(TF_DTYPE)?)
}

/// The shape that TensorFlow gave the component of this column, if every dimension is known.
fn tf_shape(field: &Field) -> Option<Vec<usize>> {
    let shape: Value = serde_json::from_str(field.metadata().get(TF_SHAPE)?).ok()?;
    shape.as_array()?.iter().map(|dim| usize::try_from(dim.as_u64()?).ok()).collect()
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b))
}

/// Whether `axes` names each of `rank` axes once.
pub(crate) fn is_order(axes: &[usize], rank: usize) -> bool {
    axes.len() == rank && (0..rank).all(|axis| axes.contains(&axis))
}
