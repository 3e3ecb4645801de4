//! A whole dataset as one owned array a column.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch, RecordBatchReader, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field};
use half::{bf16, f16};
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use num_complex::Complex;

use super::column::{element_shape, internal, permuted_axes, shape_of};
use crate::error::{Error, Result};
use crate::tensor::dense::{Dense, is_complex};
use crate::tensor::memory::advise_large_pages;
use crate::tensor::scalar::Scalar;
use crate::tf::dtype::DType;

/// How many values are cast at a time, so that a cast needs no second batch's worth of memory.
const CAST_VALUES: usize = 1 << 16;

/// Collects every batch of `reader` into one owned array a column, of shape
/// `[rows, shape of a row…]`.
///
/// Copies each value once. Where the number of rows is known,
/// [`ArrayCollector::with_rows`] keeps peak memory at the result and one batch; otherwise arrays
/// grow by doubling, which costs addresses rather than memory where the system can move pages
/// (Linux).
///
/// ```
/// use tfarrow::arrow::array::RecordBatchIterator;
/// use tfarrow::ndarray::{Array, array};
/// use tfarrow::array::{BatchBuilder, to_arrays};
///
/// let batch = BatchBuilder::new().with_array("x", array![[1f32, 2.], [3., 4.]]).build()?;
/// let reader = RecordBatchIterator::new([Ok(batch.clone()), Ok(batch.slice(0, 1))], batch.schema());
/// let mut arrays = to_arrays(reader)?;
/// assert_eq!(arrays.take::<f32>("x")?, array![[1., 2.], [3., 4.], [1., 2.]].into_dyn());
/// # Ok::<(), tfarrow::Error>(())
/// ```
///
/// # Errors
/// As for [`ArrayCollector::collect`].
pub fn to_arrays(reader: impl RecordBatchReader) -> Result<Arrays> {
    ArrayCollector::new().collect(reader)
}

/// Collects batches into arrays, with choices: which columns, how many rows to expect, which casts.
///
/// ```
/// # use tfarrow::arrow::array::RecordBatchIterator;
/// # use tfarrow::ndarray::array;
/// # use tfarrow::array::BatchBuilder;
/// use tfarrow::array::ArrayCollector;
/// use tfarrow::DType;
/// # let batch = BatchBuilder::new().with_array("x", array![1f64, 2.]).with_array("y", array![1, 2]).build()?;
/// # let schema = batch.schema();
/// # let reader = RecordBatchIterator::new([Ok(batch)], schema);
///
/// let mut arrays = ArrayCollector::new()
///     .with_columns(["x"])
///     .with_rows(60_000)
///     .with_cast(DType::Float64, DType::Float32)
///     .collect(reader)?;
/// let x = arrays.take::<f32>("x")?;
/// # assert_eq!(x.len(), 2);
/// # Ok::<(), tfarrow::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ArrayCollector {
    rows: Option<usize>,
    columns: Option<Vec<String>>,
    casts: Vec<(DType, DType)>,
    column_casts: Vec<(String, DType)>,
}

impl ArrayCollector {
    /// Every column, in its own type, of an unknown number of rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows to make room for. More or fewer may come. Default: arrays grow as they fill.
    #[must_use]
    pub fn with_rows(mut self, rows: usize) -> Self {
        self.rows = Some(rows);
        self
    }

    /// Only these columns, in this order. Default: all.
    #[must_use]
    pub fn with_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Casts every column of dtype `from` to `to`, batch by batch. Default: none.
    #[must_use]
    pub fn with_cast(mut self, from: DType, to: DType) -> Self {
        self.casts.push((from, to));
        self
    }

    /// Casts one column, which goes before [`with_cast`](Self::with_cast). Default: none.
    #[must_use]
    pub fn with_column_cast(mut self, column: impl Into<String>, to: DType) -> Self {
        self.column_casts.push((column.into(), to));
        self
    }

    /// Reads every batch.
    ///
    /// A float that a narrower float cannot hold becomes infinite, as in NumPy; a number that an
    /// integer type cannot hold is an error.
    ///
    /// # Errors
    /// - A column is not of numbers or bools, or its rows differ in shape.
    /// - There is a null.
    /// - A cast is impossible, or a value does not fit.
    /// - The arrays do not fit in memory.
    /// - The reader fails.
    pub fn collect(&self, reader: impl RecordBatchReader) -> Result<Arrays> {
        let schema = reader.schema();
        let mut columns = Vec::new();
        for (index, field) in self.chosen(schema.fields())? {
            let column = self.start(field).map_err(|e| e.in_column(field.name().as_str()))?;
            columns.push((index, field.name().clone(), column));
        }
        let mut rows = 0;
        for batch in reader {
            let batch: RecordBatch = batch?;
            for (index, name, column) in &mut columns {
                let (Some(field), Some(array)) = (schema.fields().get(*index), batch.columns().get(*index))
                else {
                    return Err(Error::corrupt("a batch has fewer columns than its schema"));
                };
                append(column.as_mut(), field, array).map_err(|e| e.in_column(name.as_str()))?;
            }
            rows += batch.num_rows();
        }
        let finish = |(_, name, column): (usize, String, Box<dyn Column>)| {
            column.finish(rows).map(|array| (name, array))
        };
        Ok(Arrays { rows, columns: columns.into_iter().map(finish).collect::<Result<_>>()? })
    }

    fn chosen<'a>(&self, fields: &'a [Arc<Field>]) -> Result<Vec<(usize, &'a Field)>> {
        let find = |name: &str| {
            let found = fields.iter().enumerate().find(|(_, field)| field.name() == name);
            found.map(|(index, field)| (index, &**field)).ok_or_else(|| {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                Error::config("no such column")
                    .expected(format!("one of {}", names.join(", ")), format!("`{name}`"))
            })
        };
        for (name, _) in &self.column_casts {
            find(name)?;
        }
        match &self.columns {
            Some(columns) => columns.iter().map(|name| find(name)).collect(),
            None => Ok(fields.iter().map(|field| &**field).enumerate().collect()),
        }
    }

    /// An empty array for the column `field`.
    fn start(&self, field: &Field) -> Result<Box<dyn Column>> {
        let unfit = || {
            Error::mismatch("a column that is no array")
                .expected("numbers or bools, every row of one shape", field.data_type().to_string())
                .with_hint("leave it out with with_columns(), and read it batch by batch")
        };
        let empty = new_empty_array(field.data_type());
        let dense = Dense::of_column(field, &empty)?.ok_or_else(unfit)?;
        let from = dtype_of(&dense).ok_or_else(unfit)?;
        let cast = self.column_casts.iter().find(|(name, _)| name == field.name()).map(|(_, to)| *to);
        let cast = cast.or_else(|| self.casts.iter().find(|(of, _)| *of == from).map(|(_, to)| *to));
        let to = cast.unwrap_or(from);
        let impossible = || Error::unsupported(format!("no cast from {from} to {to}"));
        if to != from && (is_complex(from) != is_complex(to) || to == DType::BFloat16) {
            return Err(impossible());
        }
        let is_cast = to != from;
        Ok(match to {
            DType::Bool if !is_cast => Box::new(Bools::start(&dense, self.rows)?),
            DType::Int8 => Values::<i8>::start(&dense, self.rows, is_cast)?,
            DType::Int16 => Values::<i16>::start(&dense, self.rows, is_cast)?,
            DType::Int32 => Values::<i32>::start(&dense, self.rows, is_cast)?,
            DType::Int64 => Values::<i64>::start(&dense, self.rows, is_cast)?,
            DType::UInt8 => Values::<u8>::start(&dense, self.rows, is_cast)?,
            DType::UInt16 => Values::<u16>::start(&dense, self.rows, is_cast)?,
            DType::UInt32 => Values::<u32>::start(&dense, self.rows, is_cast)?,
            DType::UInt64 => Values::<u64>::start(&dense, self.rows, is_cast)?,
            DType::Float16 => Values::<f16>::start(&dense, self.rows, is_cast)?,
            DType::BFloat16 => Values::<bf16>::start(&dense, self.rows, is_cast)?,
            DType::Float32 => Values::<f32>::start(&dense, self.rows, is_cast)?,
            DType::Float64 => Values::<f64>::start(&dense, self.rows, is_cast)?,
            DType::Complex64 => Values::<Complex<f32>>::start(&dense, self.rows, is_cast)?,
            DType::Complex128 => Values::<Complex<f64>>::start(&dense, self.rows, is_cast)?,
            _ => return Err(impossible()),
        })
    }
}

/// The dtype of the array that holds such a column as it is.
fn dtype_of(dense: &Dense<'_>) -> Option<DType> {
    Some(match (dense.values.data_type(), dense.tf_dtype) {
        (DataType::Float32, Some(DType::Complex64)) => DType::Complex64,
        (DataType::Float64, Some(DType::Complex128)) => DType::Complex128,
        (DataType::UInt16, Some(DType::BFloat16)) => DType::BFloat16,
        (DataType::Boolean, _) | (DataType::UInt8, Some(DType::Bool)) => DType::Bool,
        (DataType::Int8, _) => DType::Int8,
        (DataType::Int16, _) => DType::Int16,
        (DataType::Int32, _) => DType::Int32,
        (DataType::Int64, _) => DType::Int64,
        (DataType::UInt8, _) => DType::UInt8,
        (DataType::UInt16, _) => DType::UInt16,
        (DataType::UInt32, _) => DType::UInt32,
        (DataType::UInt64, _) => DType::UInt64,
        (DataType::Float16, _) => DType::Float16,
        (DataType::Float32, _) => DType::Float32,
        (DataType::Float64, _) => DType::Float64,
        _ => return None,
    })
}

fn append(column: &mut dyn Column, field: &Field, array: &ArrayRef) -> Result<()> {
    let dense = Dense::of_column(field, array)?
        .ok_or_else(|| Error::corrupt("a batch does not have the type of its schema"))?;
    dense.refuse_nulls(0, dense.rows)?;
    column.append(&dense)
}

/// An array that grows, batch by batch.
trait Column {
    fn append(&mut self, dense: &Dense<'_>) -> Result<()>;
    fn finish(self: Box<Self>, rows: usize) -> Result<OwnedArray>;
}

struct Values<T> {
    values: Vec<T>,
    shape: Vec<usize>,
    axes: Option<Vec<usize>>,
    cast: bool,
}

impl<T: Scalar> Values<T> {
    fn start(dense: &Dense<'_>, rows: Option<usize>, cast: bool) -> Result<Box<dyn Column>> {
        let shape = element_shape::<T>(dense)?;
        let axes = permuted_axes(dense, shape.len() + 1)?;
        let values = room(rows, dense.row_values / T::PARTS)?;
        Ok(Box::new(Self { values, shape, axes, cast }))
    }

    fn extend(&mut self, values: &dyn Array) -> Result<()> {
        let values = T::values(values, Some(T::DTYPE))
            .ok_or_else(|| Error::corrupt("a batch does not have the type of its schema"))?;
        self.values.try_reserve(values.len()).map_err(too_large)?;
        self.values.extend_from_slice(values);
        Ok(())
    }
}

impl<T: Scalar> Column for Values<T> {
    fn append(&mut self, dense: &Dense<'_>) -> Result<()> {
        let len = dense.rows * dense.row_values;
        if !self.cast {
            return self.extend(&dense.values.slice(0, len));
        }
        let options = CastOptions { safe: false, ..CastOptions::default() };
        for start in (0..len).step_by(CAST_VALUES) {
            let mut values = dense.values.slice(start, CAST_VALUES.min(len - start));
            if let Some(wide) = bf16::values(&values, dense.tf_dtype) {
                values = Arc::new(Float32Array::from_iter_values(wide.iter().map(|value| value.to_f32())));
            }
            let values = cast_with_options(&values, &T::primitive(), &options)
                .map_err(|e| Error::mismatch("a value does not fit").with_cause(e))?;
            self.extend(&values)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, rows: usize) -> Result<OwnedArray> {
        let array = ArrayD::from_shape_vec(shape_of(rows, &self.shape), self.values).map_err(internal)?;
        let array = match self.axes {
            Some(axes) => array.permuted_axes(IxDyn(&axes)),
            None => array,
        };
        Ok(OwnedArray { dtype: T::DTYPE, shape: array.shape().to_vec(), array: Box::new(array) })
    }
}

struct Bools {
    values: Vec<bool>,
    shape: Vec<usize>,
}

impl Bools {
    fn start(dense: &Dense<'_>, rows: Option<usize>) -> Result<Self> {
        Ok(Self { values: room(rows, dense.row_values)?, shape: dense.shape.clone() })
    }
}

impl Column for Bools {
    fn append(&mut self, dense: &Dense<'_>) -> Result<()> {
        let values = dense.values.slice(0, dense.rows * dense.row_values);
        self.values.try_reserve(values.len()).map_err(too_large)?;
        match values.as_boolean_opt() {
            Some(bits) => self.values.extend(bits.values()),
            None => {
                let bytes = u8::values(&values, None).unwrap_or_default();
                self.values.extend(bytes.iter().map(|byte| *byte != 0));
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>, rows: usize) -> Result<OwnedArray> {
        let array = ArrayD::from_shape_vec(shape_of(rows, &self.shape), self.values).map_err(internal)?;
        Ok(OwnedArray { dtype: DType::Bool, shape: array.shape().to_vec(), array: Box::new(array) })
    }
}

/// An empty vector with room for `rows` rows.
fn room<T>(rows: Option<usize>, row_elements: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    if let Some(rows) = rows {
        let len = rows.checked_mul(row_elements).ok_or_else(|| too_large("more than the address space"))?;
        values.try_reserve_exact(len).map_err(too_large)?;
        advise_large_pages(&mut values);
    }
    Ok(values)
}

fn too_large(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::limit("the array does not fit in memory")
        .with_cause(cause)
        .with_hint("write an IPC file and map it (IpcMap), or go batch by batch")
}

/// One owned array a column: what [`to_arrays`] gives.
#[derive(Debug)]
pub struct Arrays {
    rows: usize,
    columns: Vec<(String, OwnedArray)>,
}

struct OwnedArray {
    dtype: DType,
    shape: Vec<usize>,
    array: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for OwnedArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)
    }
}

impl Arrays {
    /// The number of rows: the first size of every array.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the arrays that have not been taken.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The dtype of array `name`, after casts.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<DType> {
        self.find(name).ok().map(|array| array.dtype)
    }

    /// The shape of array `name`.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.find(name).ok().map(|array| array.shape.as_slice())
    }

    /// Array `name`, borrowed. `T` is the Rust type of its dtype: an [`Scalar`], or `bool`.
    ///
    /// # Errors
    /// There is no such array, or its values are of another type.
    pub fn view<T: 'static>(&self, name: &str) -> Result<ArrayViewD<'_, T>> {
        let owned = self.find(name)?;
        let array = owned.array.downcast_ref::<ArrayD<T>>();
        array.map(|array| array.view()).ok_or_else(|| wrong_type::<T>(name, owned.dtype))
    }

    /// Array `name`, taken out. Copies nothing.
    ///
    /// # Errors
    /// As for [`view`](Self::view); then the array stays where it is.
    pub fn take<T: 'static>(&mut self, name: &str) -> Result<ArrayD<T>> {
        let dtype = self.find(name)?.dtype;
        let is_it = |(other, owned): &(String, OwnedArray)| other == name && owned.array.is::<ArrayD<T>>();
        let index = self.columns.iter().position(is_it).ok_or_else(|| wrong_type::<T>(name, dtype))?;
        let (_, owned) = self.columns.remove(index);
        owned.array.downcast().map(|array| *array).map_err(|_| wrong_type::<T>(name, dtype))
    }

    fn find(&self, name: &str) -> Result<&OwnedArray> {
        let found = self.columns.iter().find(|(other, _)| other == name);
        found.map(|(_, array)| array).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Error::config("no such array")
                .expected(format!("one of {}", names.join(", ")), format!("`{name}`"))
        })
    }
}

fn wrong_type<T>(name: &str, dtype: DType) -> Error {
    Error::mismatch("wrong type of values").expected(std::any::type_name::<T>(), dtype.name()).in_column(name)
}
