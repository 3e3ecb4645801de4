//! Columns and batches made from arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, ListArray, RecordBatch, RecordBatchOptions, UInt8Array,
};
use arrow::buffer::{BooleanBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema};
use ndarray::{Array as NdArray, ArrayView, Dimension};

use crate::error::{Error, Result};
use crate::options::{BFloat16Storage, BoolStorage, TensorLayout};
use crate::schema::mapping::{MappingOptions, field};
use crate::tensor::extension::list_size;
use crate::tensor::scalar::Scalar;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// The column `name` made from an owned array: one row for each index of its first dimension.
///
/// The array's memory becomes the column's buffer without a copy if the array is in standard
/// (row-major, contiguous) layout; otherwise its values are copied into that order. One dimension
/// gives a column of numbers, more give `arrow.fixed_shape_tensor`; sizes of 0 give empty lists.
/// `bf16` is kept as its bits, in UInt16.
///
/// ```
/// use tfarrow::ndarray::Array;
/// use tfarrow::array::from_array;
///
/// let array = Array::<f32, _>::zeros((10, 28, 28));
/// let memory = array.as_ptr();
/// let (field, column) = from_array("image", array)?;
/// assert_eq!(column.len(), 10);
/// assert_eq!(column.to_data().child_data()[0].buffers()[0].as_ptr(), memory.cast());
/// # Ok::<(), tfarrow::Error>(())
/// ```
///
/// # Errors
/// The array has no dimension, or a row has more than 2³¹−1 values.
pub fn from_array<T: Scalar, D: Dimension>(name: &str, array: NdArray<T, D>) -> Result<(Field, ArrayRef)> {
    with_layout(name, array, TensorLayout::Extension)
}

/// The column `name` made from a view, whose values are copied. Otherwise as [`from_array`].
///
/// # Errors
/// As for [`from_array`].
pub fn from_view<T: Scalar, D: Dimension>(
    name: &str,
    view: &ArrayView<'_, T, D>,
) -> Result<(Field, ArrayRef)> {
    from_array(name, standard(view))
}

/// Makes a [`RecordBatch`] with tensor columns from named arrays of one length.
///
/// ```
/// use tfarrow::ndarray::{Array, array};
/// use tfarrow::array::BatchBuilder;
///
/// let batch = BatchBuilder::new()
///     .with_array("image", Array::<u8, _>::zeros((2, 28, 28)))
///     .with_array("label", array![3i64, 7])
///     .build()?;
/// assert_eq!((batch.num_rows(), batch.num_columns()), (2, 2));
/// # Ok::<(), tfarrow::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct BatchBuilder {
    columns: Vec<(Field, ArrayRef)>,
    layout: TensorLayout,
    bools: BoolStorage,
    error: Option<Error>,
}

impl BatchBuilder {
    /// A batch without columns; tensors as extension types, bools as Boolean.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the tensors of columns added from here on are stored. Default: extension types.
    #[must_use]
    pub fn with_tensor_layout(mut self, layout: TensorLayout) -> Self {
        self.layout = layout;
        self
    }

    /// How bool tensors added from here on are stored. Default: Boolean.
    #[must_use]
    pub fn with_bool(mut self, bools: BoolStorage) -> Self {
        self.bools = bools;
        self
    }

    /// Adds a column made from an owned array, as [`from_array`] does: not copied if it is in
    /// standard layout.
    #[must_use]
    pub fn with_array<T: Scalar, D: Dimension>(self, name: &str, array: NdArray<T, D>) -> Self {
        let layout = self.layout;
        self.with(name, |name| with_layout(name, array, layout))
    }

    /// Adds a column made from a view, whose values are copied.
    #[must_use]
    pub fn with_view<T: Scalar, D: Dimension>(self, name: &str, view: &ArrayView<'_, T, D>) -> Self {
        self.with_array(name, standard(view))
    }

    /// Adds a column of bools, which are copied: into bits, or, for tensors under
    /// [`BoolStorage::UInt8`], into bytes.
    #[must_use]
    pub fn with_bools<D: Dimension>(self, name: &str, array: &ArrayView<'_, bool, D>) -> Self {
        let (layout, bools) = (self.layout, self.bools);
        self.with(name, |name| {
            let shape = array.shape();
            let values = if bools == BoolStorage::UInt8 && shape.len() > 1 {
                Arc::new(UInt8Array::from_iter_values(array.iter().map(|value| u8::from(*value)))) as ArrayRef
            } else {
                Arc::new(BooleanArray::new(BooleanBuffer::from_iter(array.iter().copied()), None))
            };
            column(name, DType::Bool, shape, values, layout, bools)
        })
    }

    /// Adds a column that stands already, with the field that describes it.
    #[must_use]
    pub fn with_column(mut self, field: Field, array: ArrayRef) -> Self {
        self.columns.push((field, array));
        self
    }

    /// The batch.
    ///
    /// # Errors
    /// An array had no dimension or too large a row, two columns have one name, or columns differ in
    /// length.
    pub fn build(self) -> Result<RecordBatch> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let rows = self.columns.first().map_or(0, |(_, array)| array.len());
        for (at, (field, array)) in self.columns.iter().enumerate() {
            if array.len() != rows {
                return Err(Error::mismatch("columns differ in length")
                    .expected(format!("{rows} rows"), array.len().to_string())
                    .in_column(field.name().as_str()));
            }
            if self.columns.iter().take(at).any(|(other, _)| other.name() == field.name()) {
                return Err(Error::config("two columns of one name").in_column(field.name().as_str()));
            }
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = self.columns.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
    }

    fn with(mut self, name: &str, make: impl FnOnce(&str) -> Result<(Field, ArrayRef)>) -> Self {
        if self.error.is_none() {
            match make(name) {
                Ok(column) => self.columns.push(column),
                Err(error) => self.error = Some(error.in_column(name)),
            }
        }
        self
    }
}

fn standard<T: Scalar, D: Dimension>(view: &ArrayView<'_, T, D>) -> NdArray<T, D> {
    view.as_standard_layout().into_owned()
}

fn with_layout<T: Scalar, D: Dimension>(
    name: &str,
    array: NdArray<T, D>,
    layout: TensorLayout,
) -> Result<(Field, ArrayRef)> {
    let shape = array.shape().to_vec();
    let len = array.len();
    let array = if array.is_standard_layout() { array } else { standard(&array.view()) };
    let (values, offset) = array.into_raw_vec_and_offset();
    let values = T::array(values, offset.unwrap_or(0), len);
    column(name, T::DTYPE, &shape, values, layout, BoolStorage::Boolean)
}

/// Wraps flat values into the lists that the mapping prescribes for this dtype and shape.
fn column(
    name: &str,
    dtype: DType,
    shape: &[usize],
    values: ArrayRef,
    tensor_layout: TensorLayout,
    bool_storage: BoolStorage,
) -> Result<(Field, ArrayRef)> {
    let Some((rows, shape)) = shape.split_first() else {
        return Err(Error::mismatch("an array without dimensions has no rows")
            .with_hint("add a first dimension, of 1 for a single row")
            .in_column(name));
    };
    list_size(shape).map_err(|e| e.in_column(name))?;
    let dims: Vec<u64> = shape.iter().map(|dim| *dim as u64).collect();
    let spec = ElementSpec::tensor(dtype, Shape::known(&dims));
    let options = MappingOptions {
        tensor_layout,
        bool_storage,
        bfloat16: BFloat16Storage::Raw,
        ..MappingOptions::default()
    };
    let field = field(name, name, &spec, &options)?
        .ok_or_else(|| Error::unsupported("a column of nothing").in_column(name))?;
    let array = wrap(field.data_type(), *rows, values)?;
    Ok((field, array))
}

fn wrap(data_type: &DataType, rows: usize, values: ArrayRef) -> Result<ArrayRef> {
    match data_type {
        DataType::FixedSizeList(item, size) => {
            let inner = rows.checked_mul(usize::try_from(*size).unwrap_or(0));
            let inner = inner.ok_or_else(|| Error::limit("array above the address space"))?;
            let values = wrap(item.data_type(), inner, values)?;
            Ok(Arc::new(FixedSizeListArray::try_new(item.clone(), *size, values, None)?))
        }
        // Lists stand only for tensors without values.
        DataType::List(item) => {
            let values = wrap(item.data_type(), 0, values)?;
            Ok(Arc::new(ListArray::try_new(item.clone(), OffsetBuffer::new_zeroed(rows), values, None)?))
        }
        _ => Ok(values),
    }
}
