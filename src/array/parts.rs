//! Columns that are more than one array: ragged and sparse tensors, strings.

use std::ops::Range;

use arrow::array::{Array, ArrayAccessor, AsArray, ListArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int64Type};
use ndarray::{ArrayD, ArrayView1, ArrayView2, ArrayViewD, Ix1, Ix2, IxDyn};

use super::column::{dense_view, range};
use crate::error::{Error, Result};
use crate::tensor::dense::Dense;
use crate::tensor::scalar::Scalar;
use crate::tf::dtype::DType;

/// A column of lists, or of lists of lists, as TensorFlow holds a batch of ragged tensors: flat
/// values and row splits.
///
/// List `i` of the outermost level is entries `splits[i]..splits[i + 1]` of the next level, and
/// those of the innermost level are rows of [`values`](Self::values). In a slice of a batch the
/// first split is not 0, and values outside of the slice are still there.
#[derive(Debug, Clone)]
pub struct Ragged<'a> {
    lists: Vec<&'a ListArray>,
    values: Dense<'a>,
}

impl<'a> Ragged<'a> {
    pub(super) fn try_new(lists: Vec<&'a ListArray>, values: Dense<'a>) -> Result<Self> {
        if lists.iter().any(|list| list.null_count() > 0) {
            return Err(Error::mismatch("null row in a column of lists")
                .with_hint("take the valid rows one by one with row(i)"));
        }
        values.refuse_nulls(0, values.rows)?;
        Ok(Self { lists, values })
    }

    /// How many levels of lists there are; the ragged rank of a batch of rows.
    #[must_use]
    pub fn ragged_rank(&self) -> usize {
        self.lists.len()
    }

    /// The flat values, of shape `[values, shape of a value…]`. O(1), borrowed.
    ///
    /// # Errors
    /// The values are not of type `T`.
    pub fn values<T: Scalar>(&self) -> Result<ArrayViewD<'a, T>> {
        dense_view(&self.values, 0, self.values.rows)
    }

    /// The values of row `row`, of shape `[values, shape of a value…]`, where there is one level of lists.
    /// O(1), borrowed.
    ///
    /// # Errors
    /// There is no such row, there are several levels, or the values are not of type `T`.
    pub fn row<T: Scalar>(&self, row: usize) -> Result<ArrayViewD<'a, T>> {
        let [list] = self.lists.as_slice() else {
            return Err(Error::mismatch("rows of several levels of lists")
                .expected("1 level", self.lists.len().to_string())
                .with_hint("row_splits() says where each level's lists begin"));
        };
        if row >= list.len() {
            let rows = list.len();
            return Err(Error::config("no such row").expected(format!("less than {rows}"), row.to_string()));
        }
        let (start, len) = range(list, row)?;
        dense_view(&self.values, start, len)
    }

    /// The splits of a level, 0 being the outermost: one more than it has lists. O(1), borrowed.
    ///
    /// # Errors
    /// There is no such level.
    pub fn row_splits(&self, level: usize) -> Result<ArrayView1<'a, i32>> {
        let list = self.lists.get(level).ok_or_else(|| {
            Error::config("no such level of lists")
                .expected(format!("less than {}", self.lists.len()), level.to_string())
        })?;
        Ok(ArrayView1::from(&list.offsets()[..]))
    }
}

/// A column of sparse tensors of one rank in coordinate form.
///
/// Row `i` has the entries `splits[i]..splits[i + 1]` of [`indices`](Self::indices) and
/// [`values`](Self::values).
#[derive(Debug, Clone)]
pub struct Sparse<'a> {
    indices: &'a ListArray,
    values: &'a ListArray,
    dense_indices: Dense<'a>,
    dense_values: Dense<'a>,
    shapes: Dense<'a>,
}

/// One sparse tensor; every part borrowed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SparseRow<'a, T> {
    /// The coordinates of each entry, of shape `[entries, rank]`.
    pub indices: ArrayView2<'a, i64>,
    /// The entries.
    pub values: ArrayView1<'a, T>,
    /// The tensor's shape.
    pub dense_shape: ArrayView1<'a, i64>,
}

impl<'a> Sparse<'a> {
    pub(super) fn try_new(array: &'a dyn Array, tf_dtype: Option<DType>) -> Result<Option<Self>> {
        let Some(parts) = array.as_struct_opt() else { return Ok(None) };
        let [indices, values, shapes] = parts.columns() else { return Ok(None) };
        if parts.column_names() != ["indices", "values", "dense_shape"] {
            return Ok(None);
        }
        let (Some(indices), Some(values)) = (indices.as_list_opt::<i32>(), values.as_list_opt::<i32>())
        else {
            return Ok(None);
        };
        let dense = (
            Dense::of_values(indices.values(), None),
            Dense::of_values(values.values(), tf_dtype),
            Dense::of_values(shapes, None),
        );
        let (Some(dense_indices), Some(dense_values), Some(shapes)) = dense else { return Ok(None) };
        let coordinates = |dense: &Dense<'_>| {
            dense.shape.len() == 1 && dense.values.as_primitive_opt::<Int64Type>().is_some()
        };
        if !coordinates(&dense_indices) || !coordinates(&shapes) {
            return Ok(None);
        }
        if parts.null_count() + indices.null_count() + values.null_count() > 0 {
            return Err(Error::mismatch("null row in a column of sparse tensors"));
        }
        for dense in [&dense_indices, &dense_values, &shapes] {
            dense.refuse_nulls(0, dense.rows)?;
        }
        Ok(Some(Self { indices, values, dense_indices, dense_values, shapes }))
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The coordinates of every entry, of shape `[entries, rank]`. O(1), borrowed.
    ///
    /// # Errors
    /// The column is damaged.
    pub fn indices(&self) -> Result<ArrayView2<'a, i64>> {
        two(dense_view(&self.dense_indices, 0, self.dense_indices.rows)?)
    }

    /// Where each row's [indices](Self::indices) begin; the last says where they end. O(1),
    /// borrowed.
    #[must_use]
    pub fn index_splits(&self) -> ArrayView1<'a, i32> {
        ArrayView1::from(&self.indices.offsets()[..])
    }

    /// The values of every entry. O(1), borrowed.
    ///
    /// # Errors
    /// The values are not of type `T`.
    pub fn values<T: Scalar>(&self) -> Result<ArrayView1<'a, T>> {
        one(dense_view(&self.dense_values, 0, self.dense_values.rows)?)
    }

    /// Where each row's [values](Self::values) begin; the last says where they end. O(1), borrowed.
    #[must_use]
    pub fn value_splits(&self) -> ArrayView1<'a, i32> {
        ArrayView1::from(&self.values.offsets()[..])
    }

    /// The shape of each row, of shape `[rows, rank]`. O(1), borrowed.
    ///
    /// # Errors
    /// The column is damaged.
    pub fn dense_shapes(&self) -> Result<ArrayView2<'a, i64>> {
        two(dense_view(&self.shapes, 0, self.shapes.rows)?)
    }

    /// The sparse tensor of row `row`. O(1), borrowed.
    ///
    /// # Errors
    /// There is no such row, the values are not of type `T`, or there are more or fewer values than
    /// indices.
    pub fn row<T: Scalar>(&self, row: usize) -> Result<SparseRow<'a, T>> {
        if row >= self.len() {
            return Err(
                Error::config("no such row").expected(format!("less than {}", self.len()), row.to_string())
            );
        }
        let (start, len) = range(self.indices, row)?;
        let indices = two(dense_view(&self.dense_indices, start, len)?)?;
        let (start, entries) = range(self.values, row)?;
        if len != entries {
            return Err(Error::corrupt("a sparse tensor's parts differ in length")
                .expected(format!("{len} values"), entries.to_string())
                .at_record(row as u64));
        }
        let values = one(dense_view(&self.dense_values, start, entries)?)?;
        let dense_shape =
            one(two(dense_view(&self.shapes, row, 1)?)?.index_axis_move(ndarray::Axis(0), 0).into_dyn())?;
        Ok(SparseRow { indices, values, dense_shape })
    }
}

/// The largest tensor that is made of a sparse one.
const MAX_DENSE_BYTES: usize = 1 << 30;

impl<T: Scalar> SparseRow<'_, T> {
    /// The tensor with a zero wherever there is no entry; of entries at one place the last one counts. A
    /// copy, of the size that the dense shape says.
    ///
    /// # Errors
    /// An index does not lie within the dense shape, or that is of more than 1 GiB.
    pub fn to_dense(&self) -> Result<ArrayD<T>> {
        let size = |size: &i64| usize::try_from(*size).ok();
        let shape: Option<Vec<usize>> = self.dense_shape.iter().map(size).collect();
        let shape = shape.ok_or_else(|| Error::corrupt("sparse tensor of a negative size"))?;
        // The shape is the data's own, and need not be of use to anybody.
        let bytes = shape.iter().try_fold(size_of::<T>(), |product, size| product.checked_mul(*size));
        if bytes.is_none_or(|bytes| bytes > MAX_DENSE_BYTES) {
            return Err(Error::limit("dense tensor too large")
                .expected(format!("at most {MAX_DENSE_BYTES} bytes"), format!("a shape of {shape:?}"))
                .with_hint("put the values where the indices say into an array of your own"));
        }
        let mut dense = ArrayD::from_elem(IxDyn(&shape), T::default());
        for (index, value) in self.indices.rows().into_iter().zip(&self.values) {
            let place: Option<Vec<usize>> = index.iter().map(size).collect();
            let place = place.and_then(|place| dense.get_mut(IxDyn(&place)));
            *place.ok_or_else(|| {
                Error::corrupt("index outside of a sparse tensor")
                    .expected(format!("within {shape:?}"), index.to_string())
            })? = *value;
        }
        Ok(dense)
    }
}

fn one<T: Scalar>(view: ArrayViewD<'_, T>) -> Result<ArrayView1<'_, T>> {
    view.into_dimensionality::<Ix1>().map_err(super::column::internal)
}

fn two<T: Scalar>(view: ArrayViewD<'_, T>) -> Result<ArrayView2<'_, T>> {
    view.into_dimensionality::<Ix2>().map_err(super::column::internal)
}

/// A column of strings or bytes, or of tensors or lists of them.
#[derive(Debug, Clone)]
pub struct Bytes<'a> {
    rows: usize,
    nulls: Option<&'a NullBuffer>,
    list: Option<&'a ListArray>,
    values: Dense<'a>,
}

impl<'a> Bytes<'a> {
    /// `values` are the rows, or what stands in the lists that are.
    pub(super) fn try_new(values: &Dense<'a>, list: Option<&'a ListArray>) -> Option<Self> {
        let (rows, nulls) = match list {
            Some(list) => (list.len(), list.nulls()),
            None => (values.rows, values.nulls),
        };
        match values.values.data_type() {
            DataType::Binary
            | DataType::Utf8
            | DataType::LargeBinary
            | DataType::LargeUtf8
            | DataType::FixedSizeBinary(_) => Some(Self { rows, nulls, list, values: values.clone() }),
            _ => None,
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The value of row `row`, or the first of several; `None` if it is null, or if there is no
    /// such row. O(1), borrowed.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&'a [u8]> {
        let range = self.range(row);
        if range.is_empty() { None } else { value(self.values.values, range.start) }
    }

    /// The same as text; `None` also if it is not UTF-8. O(1) where the column is Utf8; otherwise
    /// the bytes are checked.
    #[must_use]
    pub fn get_str(&self, row: usize) -> Option<&'a str> {
        match self.values.values.as_string_opt::<i32>() {
            Some(array) => {
                let range = self.range(row);
                (!range.is_empty() && array.is_valid(range.start)).then(|| array.value(range.start))
            }
            None => std::str::from_utf8(self.get(row)?).ok(),
        }
    }

    /// The values of row `row`, row-major, `None` where null: one for a scalar; none if the row is
    /// null or there is no such row. Each is O(1), borrowed.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = Option<&'a [u8]>> + use<'a> {
        let values = self.values.values;
        self.range(row).map(move |at| value(values, at))
    }

    fn range(&self, row: usize) -> Range<usize> {
        if row >= self.rows || self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return 0..0;
        }
        let (start, len) = match self.list {
            Some(list) => range(list, row).unwrap_or_default(),
            None => (row, 1),
        };
        start * self.values.row_values..(start + len) * self.values.row_values
    }
}

fn value(values: &dyn Array, at: usize) -> Option<&[u8]> {
    fn take<'a, A: ArrayAccessor>(array: A, at: usize, f: impl Fn(A::Item) -> &'a [u8]) -> Option<&'a [u8]> {
        array.is_valid(at).then(|| f(array.value(at)))
    }
    match values.data_type() {
        DataType::Binary => take(values.as_binary::<i32>(), at, |v| v),
        DataType::LargeBinary => take(values.as_binary::<i64>(), at, |v| v),
        DataType::Utf8 => take(values.as_string::<i32>(), at, str::as_bytes),
        DataType::LargeUtf8 => take(values.as_string::<i64>(), at, str::as_bytes),
        DataType::FixedSizeBinary(_) => take(values.as_fixed_size_binary(), at, |v| v),
        _ => None,
    }
}
