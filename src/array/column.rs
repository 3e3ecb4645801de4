//! A column of a batch, seen as tensors.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type};
use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn};

use super::parts::{Bytes, Ragged, Sparse};
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tensor::dense::{Dense, is_order, tf_dtype};
use crate::tensor::extension::{CLASS_NAMES, VariableShapeTensor};
use crate::tensor::scalar::{Scalar, views_of};
use crate::tf::dtype::DType;

/// The column at `path` of `batch`, to be viewed as arrays. O(1); copies nothing.
///
/// ```
/// use tfarrow::ndarray::Array;
/// use tfarrow::array::{BatchBuilder, tensor};
///
/// let images = Array::from_shape_fn((2, 4, 4), |(i, y, x)| (16 * i + 4 * y + x) as u8);
/// let batch = BatchBuilder::new().with_array("image", images).build()?;
///
/// let view = tensor(&batch, "image")?.view::<u8>()?;
/// assert_eq!(view.shape(), [2, 4, 4]);
/// assert_eq!(view[[1, 0, 3]], 19);
/// # Ok::<(), tfarrow::Error>(())
/// ```
///
/// A column in structs is found by its path, `outer/inner`; one in lists of structs is then the lists of
/// its values, so that a [`row`](TensorColumn::row) of `steps/action` has shape `[steps, size of an
/// action…]`.
///
/// # Errors
/// There is no such column, or its extension metadata is invalid; or a struct on the path to it is null
/// in a row.
pub fn tensor<'a>(batch: &'a RecordBatch, path: &str) -> Result<TensorColumn<'a>> {
    let fields = batch.schema_ref().fields();
    let Some(Found { field, array, lists }) = find(fields, batch.columns(), path)? else {
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        return Err(Error::config("no such column")
            .expected(format!("one of {}", names.join(", ")), format!("`{path}`")));
    };
    match lists.first().copied() {
        None => TensorColumn::try_new(field, array),
        Some(rows) => {
            let layout = match Dense::of_column(field, array)? {
                Some(values) => Layout::Lists { values, lists },
                None => match self::lists(array, tf_dtype(field)) {
                    Some((inner, values)) => Layout::Lists { lists: [lists, inner].concat(), values },
                    None => Layout::Other,
                },
            };
            Ok(TensorColumn { field, array: rows, layout })
        }
    }
}

/// What a path leads to.
struct Found<'a> {
    field: &'a Field,
    array: &'a dyn Array,
    /// The lists around it, the outermost first.
    lists: Vec<&'a ListArray>,
}

fn find<'a>(fields: &'a Fields, arrays: &'a [ArrayRef], path: &str) -> Result<Option<Found<'a>>> {
    for (field, array) in fields.iter().zip(arrays) {
        if field.name() == path {
            return Ok(Some(Found { field, array, lists: Vec::new() }));
        }
        let rest = path.strip_prefix(field.name().as_str()).and_then(|rest| rest.strip_prefix('/'));
        let Some(rest) = rest else { continue };
        let (mut lists, mut inner): (Vec<&ListArray>, _) = (Vec::new(), array);
        while let Some(list) = inner.as_list_opt::<i32>() {
            lists.push(list);
            inner = list.values();
        }
        let Some(parts) = inner.as_struct_opt() else { continue };
        if let Some(found) = find(parts.fields(), parts.columns(), rest)? {
            if parts.null_count() > 0 {
                return Err(Error::mismatch("null struct around a column").in_column(field.name().as_str()));
            }
            return Ok(Some(Found { lists: [lists, found.lists].concat(), ..found }));
        }
    }
    Ok(None)
}

/// A column seen as tensors: what [`tensor`] gives.
///
/// Views borrow the batch's own buffers. Whatever copies is called `to_…`.
///
/// | column | how to see it |
/// | --- | --- |
/// | numbers, and tensors of one shape | [`view`](Self::view), [`view_as`](Self::view_as), [`view_masked`](Self::view_masked); a row with [`row`](Self::row) |
/// | tensors whose shape varies, lists of numbers | [`row`](Self::row) |
/// | lists, and lists of lists (ragged) | [`ragged`](Self::ragged) |
/// | sparse | [`sparse`](Self::sparse) |
/// | strings and bytes, and tensors of them | [`bytes`](Self::bytes) |
/// | Boolean, and tensors of it | [`to_bool_array`](Self::to_bool_array), which copies |
#[derive(Debug, Clone)]
pub struct TensorColumn<'a> {
    field: &'a Field,
    array: &'a dyn Array,
    layout: Layout<'a>,
}

#[derive(Debug, Clone)]
enum Layout<'a> {
    Dense(Dense<'a>),
    Variable(Variable<'a>),
    Lists { lists: Vec<&'a ListArray>, values: Dense<'a> },
    Other,
}

/// `Struct<data: List<T>, shape>`.
#[derive(Debug, Clone)]
struct Variable<'a> {
    nulls: Option<&'a NullBuffer>,
    data: &'a ListArray,
    values: Dense<'a>,
    shapes: &'a dyn Array,
    permutation: Option<Vec<usize>>,
}

impl<'a> TensorColumn<'a> {
    /// An array with the field that describes it: a column of a batch or of a struct. O(1).
    ///
    /// # Errors
    /// The field's extension metadata is invalid.
    pub fn try_new(field: &'a Field, array: &'a dyn Array) -> Result<Self> {
        let layout = if let Some(dense) = Dense::of_column(field, array)? {
            Layout::Dense(dense)
        } else if let Some((lists, values)) = lists(array, tf_dtype(field)) {
            Layout::Lists { lists, values }
        } else if let Some(variable) = Variable::of_column(field, array)? {
            Layout::Variable(variable)
        } else {
            Layout::Other
        };
        Ok(Self { field, array, layout })
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.field.name()
    }

    /// The field that describes the column.
    #[must_use]
    pub fn field(&self) -> &'a Field {
        self.field
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.array.is_empty()
    }

    /// The dtype TensorFlow gave the component, where the column says so.
    #[must_use]
    pub fn dtype(&self) -> Option<DType> {
        tf_dtype(self.field)
    }

    /// The names of a class label's classes, by number, where the column says so.
    #[must_use]
    pub fn class_names(&self) -> Option<Vec<String>> {
        serde_json::from_str(self.field.metadata().get(CLASS_NAMES)?).ok()
    }

    /// The shape of one row as stored, where every row has the same: `[]` for numbers; complex
    /// numbers have a last dimension of 2.
    #[must_use]
    pub fn row_shape(&self) -> Option<&[usize]> {
        match &self.layout {
            Layout::Dense(dense) => Some(&dense.shape),
            _ => None,
        }
    }

    /// The whole column as one array of shape `[rows, shape of a row…]`. O(1): the view borrows the
    /// column's buffer, row-major (unless the extension type has a permutation).
    ///
    /// # Errors
    /// - The values are not of type `T`.
    /// - Rows differ in shape, or are lists, strings, bits.
    /// - A row is null, or a value inside of a row.
    pub fn view<T: Scalar>(&self) -> Result<ArrayViewD<'a, T>> {
        self.located(|| {
            let dense = self.dense()?;
            let view = dense_view(dense, 0, dense.rows)?;
            dense.refuse_nulls(0, dense.rows)?;
            Ok(view)
        })
    }

    /// [`view`](Self::view) with the number of dimensions in the type, rows included: `Ix1` for a
    /// column of numbers, `Ix4` for images of height, width and channels. O(1).
    ///
    /// ```
    /// use tfarrow::ndarray::{Array, Ix2};
    /// use tfarrow::array::{BatchBuilder, tensor};
    ///
    /// let batch = BatchBuilder::new().with_array("x", Array::<f32, _>::zeros((3, 2))).build()?;
    /// let x = tensor(&batch, "x")?.view_as::<f32, Ix2>()?;
    /// assert_eq!(x.dim(), (3, 2));
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`view`](Self::view), and when the number of dimensions is another.
    pub fn view_as<T: Scalar, D: Dimension>(&self) -> Result<ArrayView<'a, T, D>> {
        let view = self.view::<T>()?;
        let (shape, expected) = (view.shape().to_vec(), D::NDIM);
        view.into_dimensionality::<D>().map_err(|_| {
            Error::mismatch("wrong number of dimensions")
                .expected(
                    format!("{}", expected.unwrap_or_default()),
                    format!("{} in {shape:?}", shape.len()),
                )
                .in_column(self.name())
        })
    }

    /// The whole column, and which rows are valid; `None` if all are. What stands in a null row is
    /// unspecified. O(1), except that nulls inside of tensors are looked for when there are nulls.
    ///
    /// # Errors
    /// As for [`view`](Self::view), but a null row is no error.
    pub fn view_masked<T: Scalar>(&self) -> Result<(ArrayViewD<'a, T>, Option<&'a NullBuffer>)> {
        self.located(|| {
            let dense = self.dense()?;
            let view = dense_view(dense, 0, dense.rows)?;
            dense.refuse_inner_nulls(0, dense.rows)?;
            Ok((view, dense.nulls))
        })
    }

    /// The tensor of row `row`. O(1): the view borrows the column's buffer.
    ///
    /// For a list of numbers it has shape `[length]`, for a list of fixed-size lists
    /// `[length, size…]`.
    ///
    /// # Errors
    /// - There is no such row, or it is null.
    /// - The values are not of type `T`.
    /// - The column holds lists of lists, strings, bits or sparse tensors.
    /// - The row's shape does not fit its number of values.
    pub fn row<T: Scalar>(&self, row: usize) -> Result<ArrayViewD<'a, T>> {
        self.located(|| {
            if row >= self.len() {
                return Err(Error::config("no such row")
                    .expected(format!("less than {}", self.len()), row.to_string()));
            }
            match &self.layout {
                Layout::Dense(dense) => {
                    let view = dense_view(dense, row, 1)?;
                    dense.refuse_nulls(row, 1)?;
                    Ok(view.index_axis_move(Axis(0), 0))
                }
                Layout::Variable(variable) => variable.row(row),
                Layout::Lists { lists, values } => match lists.as_slice() {
                    [list] => {
                        let (start, len) = range(list, row)?;
                        let view = dense_view(values, start, len)?;
                        values.refuse_nulls(start, len)?;
                        Ok(view)
                    }
                    _ => Err(self.wrong_layout("tensors")),
                },
                Layout::Other => Err(self.wrong_layout("tensors")),
            }
            .map_err(|e| e.at_record(row as u64))
        })
    }

    /// Bools, stored as bits or as bytes, copied into an array of shape `[rows, shape of a row…]`.
    ///
    /// # Errors
    /// The values are neither Boolean nor UInt8 with `tf.dtype` bool, or there are nulls.
    pub fn to_bool_array(&self) -> Result<ArrayD<bool>> {
        self.located(|| {
            let dense = self.dense()?;
            dense.refuse_nulls(0, dense.rows)?;
            let len = dense.rows * dense.row_values;
            let values: Vec<bool> = match dense.values.data_type() {
                DataType::Boolean => dense.values.as_boolean().values().slice(0, len).iter().collect(),
                DataType::UInt8 if dense.tf_dtype == Some(DType::Bool) => {
                    let bytes = u8::values(dense.values, None).and_then(|bytes| bytes.get(..len));
                    bytes.unwrap_or_default().iter().map(|byte| *byte != 0).collect()
                }
                _ => return Err(Error::mismatch("not a column of bools").expected("bool", dense.describe())),
            };
            ArrayD::from_shape_vec(shape_of(dense.rows, &dense.shape), values).map_err(internal)
        })
    }

    /// The parts of a column of lists, or of lists of lists: the flat values and the row splits.
    /// O(1).
    ///
    /// # Errors
    /// The column holds no lists, or a list is null.
    pub fn ragged(&self) -> Result<Ragged<'a>> {
        self.located(|| match &self.layout {
            Layout::Lists { lists, values } => Ragged::try_new(lists.clone(), values.clone()),
            _ => Err(self.wrong_layout("lists")),
        })
    }

    /// The parts of a column of sparse tensors: indices, values, dense shapes. O(1).
    ///
    /// # Errors
    /// The column holds no sparse tensors of known rank, or one of them is null.
    pub fn sparse(&self) -> Result<Sparse<'a>> {
        self.located(|| {
            Sparse::try_new(self.array, self.dtype())?.ok_or_else(|| self.wrong_layout("sparse tensors"))
        })
    }

    /// Strings or bytes, and tensors or lists of them. O(1).
    ///
    /// # Errors
    /// The column holds neither.
    pub fn bytes(&self) -> Result<Bytes<'a>> {
        self.located(|| {
            match &self.layout {
                Layout::Dense(dense) => Bytes::try_new(dense, None),
                Layout::Variable(variable) => Bytes::try_new(&variable.values, Some(variable.data)),
                Layout::Lists { lists, values } => match lists.as_slice() {
                    [list] => Bytes::try_new(values, Some(list)),
                    _ => None,
                },
                Layout::Other => None,
            }
            .ok_or_else(|| self.wrong_layout("strings"))
        })
    }

    fn dense(&self) -> Result<&Dense<'a>> {
        match &self.layout {
            Layout::Dense(dense) => Ok(dense),
            _ => Err(self.wrong_layout("tensors of one shape")),
        }
    }

    fn wrong_layout(&self, expected: &str) -> Error {
        let error = Error::mismatch(format!("not a column of {expected}"));
        let hint = match (&self.layout, self.array.data_type()) {
            (Layout::Dense(dense), _) if dense.values.data_type() == &DataType::Boolean => {
                "use to_bool_array()"
            }
            (Layout::Dense(dense), _) if Bytes::try_new(dense, None).is_some() => "use bytes()",
            (Layout::Dense(_), _) => "use view()",
            (Layout::Variable(_), _) => "use row(i)",
            (Layout::Lists { lists, .. }, _) if lists.len() == 1 => "use row(i), or ragged()",
            (Layout::Lists { .. }, _) => "use ragged()",
            (Layout::Other, _) if Sparse::try_new(self.array, self.dtype()).is_ok_and(|s| s.is_some()) => {
                "use sparse()"
            }
            (Layout::Other, DataType::Struct(_)) => "use TensorColumn::try_new on the struct's own columns",
            (Layout::Other, DataType::Dictionary(..)) => "cast it to its values first",
            (Layout::Other, _) => return error.expected(expected, self.array.data_type().to_string()),
        };
        error.expected(expected, self.array.data_type().to_string()).with_hint(hint)
    }

    fn located<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        f().map_err(|e| e.in_column(self.name()))
    }
}

impl<'a> Variable<'a> {
    fn of_column(field: &Field, array: &'a dyn Array) -> Result<Option<Self>> {
        let Some(parts) = array.as_struct_opt() else { return Ok(None) };
        let [data, shapes] = parts.columns() else { return Ok(None) };
        let names = parts.column_names();
        let Some(data) = data.as_list_opt::<i32>().filter(|_| names == ["data", "shape"]) else {
            return Ok(None);
        };
        let tensor = VariableShapeTensor::from_field(field)?;
        let Some(values) = Dense::of_values(data.values(), tf_dtype(field)) else { return Ok(None) };
        let permutation = tensor.and_then(|tensor| tensor.permutation);
        Ok(Some(Self { nulls: parts.nulls(), data, values, shapes: &**shapes, permutation }))
    }

    fn row<T: Scalar>(&self, row: usize) -> Result<ArrayViewD<'a, T>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Err(Error::mismatch("null row in a tensor column"));
        }
        let (start, len) = range(self.data, row)?;
        self.values.refuse_nulls(start, len)?;
        let shape = self.shape(row)?;
        let mut values = self.values.clone();
        values.shape = shape.iter().chain(&self.values.shape).copied().collect();
        let slice = element_slice::<T>(&values, start * values.row_values, len * values.row_values)?;
        let shape = element_shape::<T>(&values)?;
        let view = ArrayViewD::from_shape(IxDyn(&shape), slice)
            .ok()
            .filter(|view| view.len() == slice.len())
            .ok_or_else(|| {
                Error::corrupt("a row's shape does not fit its values")
                    .expected(format!("{shape:?}"), format!("{} values", slice.len()))
            })?;
        match &self.permutation {
            Some(axes) if is_order(axes, view.ndim()) => Ok(view.permuted_axes(IxDyn(axes))),
            _ => Ok(view),
        }
    }

    fn shape(&self, row: usize) -> Result<Vec<usize>> {
        let bad = || Error::corrupt("no valid shape beside a row's values");
        let sizes = match self.shapes.data_type() {
            DataType::FixedSizeList(..) => {
                let lists = self.shapes.as_fixed_size_list();
                let rank = usize::try_from(lists.value_length()).map_err(|_| bad())?;
                lists.values().slice(row * rank, rank)
            }
            DataType::List(_) => {
                let lists = self.shapes.as_list::<i32>();
                let (start, len) = range(lists, row)?;
                lists.values().slice(start, len)
            }
            _ => return Err(bad()),
        };
        if self.shapes.is_null(row) || sizes.null_count() > 0 {
            return Err(bad());
        }
        let sizes: Option<Vec<usize>> = if let Some(sizes) = sizes.as_primitive_opt::<Int32Type>() {
            sizes.values().iter().map(|size| usize::try_from(*size).ok()).collect()
        } else {
            let sizes = sizes.as_primitive_opt::<Int64Type>().ok_or_else(bad)?;
            sizes.values().iter().map(|size| usize::try_from(*size).ok()).collect()
        };
        sizes.ok_or_else(bad)
    }
}

/// The nested lists of `array`, outermost first, and the values in the innermost.
fn lists<'a>(array: &'a dyn Array, tf_dtype: Option<DType>) -> Option<(Vec<&'a ListArray>, Dense<'a>)> {
    let mut lists = Vec::new();
    let mut values = array;
    while let Some(list) = values.as_list_opt::<i32>() {
        lists.push(list);
        values = list.values();
    }
    if lists.is_empty() {
        return None;
    }
    Some((lists, Dense::of_values(values, tf_dtype)?))
}

/// Where the values of the list in row `row` begin, and how many there are.
pub(super) fn range(list: &ListArray, row: usize) -> Result<(usize, usize)> {
    if list.is_null(row) {
        return Err(Error::mismatch("null row in a column of lists"));
    }
    let offsets = list.offsets();
    let offset = |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok());
    let bounds =
        offset(row).zip(offset(row + 1)).and_then(|(start, end)| Some((start, end.checked_sub(start)?)));
    bounds.ok_or_else(|| Error::config("no such row"))
}

/// `rows` rows from `start` as one array.
pub(super) fn dense_view<'a, T: Scalar>(
    dense: &Dense<'a>,
    start: usize,
    rows: usize,
) -> Result<ArrayViewD<'a, T>> {
    let slice = element_slice::<T>(dense, start * dense.row_values, rows * dense.row_values)?;
    let shape = shape_of(rows, &element_shape::<T>(dense)?);
    let view = ArrayViewD::from_shape(shape, slice).map_err(internal)?;
    match permuted_axes(dense, view.ndim())? {
        Some(axes) => Ok(view.permuted_axes(IxDyn(&axes))),
        None => Ok(view),
    }
}

/// The axes of a column of `ndim` dimensions in the order in which they are to be shown.
pub(super) fn permuted_axes(dense: &Dense<'_>, ndim: usize) -> Result<Option<Vec<usize>>> {
    let Some(axes) = &dense.permutation else { return Ok(None) };
    let axes: Vec<usize> = std::iter::once(0).chain(axes.iter().map(|axis| axis + 1)).collect();
    // A complex number's parts are no axis of the view: they must stay last.
    let (shown, parts) = axes.split_at_checked(ndim).unwrap_or((&axes, &[]));
    if parts.iter().any(|axis| *axis < ndim) {
        return Err(Error::unsupported("a permutation that moves the parts of complex numbers"));
    }
    Ok(Some(shown.to_vec()))
}

fn element_slice<'a, T: Scalar>(dense: &Dense<'a>, start: usize, len: usize) -> Result<&'a [T]> {
    let values = T::values(dense.values, dense.tf_dtype).ok_or_else(|| wrong_type::<T>(dense))?;
    let (start, len) = (start / T::PARTS, len / T::PARTS);
    values.get(start..start + len).ok_or_else(|| Error::corrupt("a column shorter than its rows"))
}

/// The shape of a row in elements rather than in their parts.
pub(super) fn element_shape<T: Scalar>(dense: &Dense<'_>) -> Result<Vec<usize>> {
    match dense.shape.split_last() {
        _ if T::PARTS == 1 => Ok(dense.shape.clone()),
        Some((last, shape)) if *last == T::PARTS => Ok(shape.to_vec()),
        _ => Err(wrong_type::<T>(dense)),
    }
}

pub(super) fn wrong_type<T: Scalar>(dense: &Dense<'_>) -> Error {
    let error = Error::mismatch("wrong type of values").expected(T::NAME, dense.describe());
    match dense.values.data_type() {
        DataType::Boolean => error.with_hint(Phrase::new(
            "bits cannot be viewed: to_bool_array() copies them; stored as bytes ({bool=uint8}) they can be \
             viewed as u8",
        )),
        DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => {
            error.with_hint("use bytes()")
        }
        values => match views_of(values, dense.tf_dtype) {
            Some(hint) => error.with_hint(hint),
            None => error,
        },
    }
}

pub(super) fn shape_of(rows: usize, shape: &[usize]) -> IxDyn {
    let dims: Vec<usize> = std::iter::once(rows).chain(shape.iter().copied()).collect();
    IxDyn(&dims)
}

pub(super) fn internal(error: ndarray::ShapeError) -> Error {
    Error::corrupt("a column does not fit its shape").with_cause(error)
}
