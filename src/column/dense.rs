//! Dense tensors: every row of one dtype, of a shape that may vary.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::DataType;

use super::component::wrong_type;
use super::lists::{Lists, too_long};
use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::tensor_proto::{Dims, Tensor};
use crate::tf::variant::{Ragged, check_dense};

/// How the shapes of rows are stored, where they vary.
#[derive(Debug)]
enum Shapes {
    None,
    /// So many sizes a row, with a trailing 2 for complex numbers.
    Ranked {
        complex: bool,
        sizes: Lists,
    },
    /// Any number of sizes a row.
    Unranked(Lists),
}

#[derive(Debug)]
pub(super) struct Dense {
    dtype: DType,
    shape: Shape,
    /// Whether the rows' values are one list each, whatever the rank.
    flat: bool,
    data: Lists,
    shapes: Shapes,
}

impl Dense {
    pub(super) fn new(dtype: DType, shape: &Shape, data_type: &DataType) -> Result<Self> {
        let values = shape.num_elements().and_then(|n| usize::try_from(n).ok());
        let flat_size = values.filter(|n| *n > 0 && is_flat(dtype, shape, data_type));
        let (data, shapes) = match data_type {
            DataType::Struct(fields) => {
                let [data, sizes] = fields.as_ref() else { return Err(wrong_type(data_type)) };
                let data = Lists::new(dtype, data.data_type(), None)?;
                let shapes = match sizes.data_type() {
                    DataType::FixedSizeList(_, rank) => Shapes::Ranked {
                        complex: shape.rank().is_none_or(|r| i32::try_from(r) != Ok(*rank)),
                        sizes: Lists::new(DType::Int32, sizes.data_type(), None)?,
                    },
                    _ => Shapes::Unranked(Lists::new(DType::Int64, sizes.data_type(), None)?),
                };
                (data, shapes)
            }
            _ => (Lists::new(dtype, data_type, flat_size)?, Shapes::None),
        };
        let flat = data.depth() <= 1;
        Ok(Self { dtype, shape: shape.clone(), flat, data, shapes })
    }

    #[inline]
    pub(super) fn append(&mut self, tensor: &Tensor<'_>) -> Result<()> {
        check_dense(tensor, self.dtype, &self.shape)?;
        self.push(tensor, 0..tensor.len(), 1, tensor.dims())
    }

    /// Appends `count` rows of the shape `dims` each: the values in `range`.
    fn push(&mut self, tensor: &Tensor<'_>, range: Range<usize>, count: usize, dims: &[u64]) -> Result<()> {
        if self.data.depth() > 0 {
            if self.flat {
                let values = range.len().checked_div(count).unwrap_or(0);
                self.data.push_lists(0, count, values as u64)?;
            } else {
                push_dims(&mut self.data, 0, count, dims)?;
            }
        }
        self.data.leaf().extend(tensor, range)?;
        self.push_shapes(count, dims)?;
        self.data.add_rows(count);
        Ok(())
    }

    fn push_shapes(&mut self, count: usize, dims: &[u64]) -> Result<()> {
        match &mut self.shapes {
            Shapes::None => Ok(()),
            Shapes::Ranked { complex, sizes } => {
                let mut bytes = Vec::with_capacity(4 * (dims.len() + 1));
                for size in dims.iter().chain(complex.then_some(&2)) {
                    let size = i32::try_from(*size).map_err(|_| too_long())?;
                    bytes.extend_from_slice(&size.to_le_bytes());
                }
                append_row(sizes, DType::Int32, &bytes, count)
            }
            Shapes::Unranked(sizes) => {
                let bytes: Vec<u8> = dims.iter().flat_map(|size| size.to_le_bytes()).collect();
                append_row(sizes, DType::Int64, &bytes, count)
            }
        }
    }

    pub(super) fn append_null(&mut self) -> Result<()> {
        self.data.push_null()?;
        match &mut self.shapes {
            Shapes::None => Ok(()),
            Shapes::Ranked { sizes, .. } | Shapes::Unranked(sizes) => sizes.push_null(),
        }
    }

    pub(super) fn append_slices(&mut self, tensor: &Tensor<'_>, rows: Range<usize>) -> Result<()> {
        let Some((batch, dims)) = tensor.dims().split_first() else {
            return Err(Error::unsupported("scalar cannot be split into rows"));
        };
        if tensor.dtype() != self.dtype || !self.shape.accepts(dims) {
            return Err(Error::mismatch("slice of another dtype or shape").expected(
                format!("{} {}", self.dtype, self.shape),
                format!("{} {}", tensor.dtype(), Shape::known(dims)),
            ));
        }
        let batch = usize::try_from(*batch).unwrap_or(usize::MAX);
        check_rows(&rows, batch)?;
        let row = tensor.len().checked_div(batch).unwrap_or(0);
        let range = rows.start * row..rows.end * row;
        self.push(tensor, range, rows.len(), dims)
    }

    /// The rows of a ragged tensor with one ragged dimension are dense.
    pub(super) fn append_ragged_rows(&mut self, ragged: &Ragged<'_>, rows: Range<usize>) -> Result<()> {
        let [splits] = ragged.splits.as_slice() else {
            return Err(Error::mismatch("ragged value of another ragged rank"));
        };
        check_rows(&rows, splits.len().saturating_sub(1))?;
        let mut at = Position::default();
        for row in rows {
            let (Some(start), Some(end)) = (splits.get(row), splits.get(row + 1)) else { break };
            let (start, end) = (to_usize(*start), to_usize(*end));
            let (tensor, range) = at.find(&ragged.values, start..end)?;
            let inner = tensor.dims().get(1..).unwrap_or_default();
            let mut dims = Dims::new(&[(end - start) as u64]);
            inner.iter().for_each(|dim| dims.push(*dim));
            if tensor.dtype() != self.dtype || !self.shape.accepts(&dims) {
                return Err(Error::mismatch("row of another dtype or shape")
                    .expected(self.shape.to_string(), Shape::known(&dims).to_string()));
            }
            let width = row_values(tensor);
            self.push(tensor, range.start * width..range.end * width, 1, &dims)?;
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> usize {
        self.data.rows()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.data.byte_len()
    }

    pub(super) fn reserve_as_before(&mut self, most: usize) {
        self.data.leaf().reserve_as_before(most);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.data.truncate(rows);
        match &mut self.shapes {
            Shapes::None => {}
            Shapes::Ranked { sizes, .. } | Shapes::Unranked(sizes) => sizes.truncate(rows),
        }
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let sizes = match &mut self.shapes {
            Shapes::None => return self.data.finish(data_type),
            Shapes::Ranked { sizes, .. } | Shapes::Unranked(sizes) => sizes,
        };
        let DataType::Struct(fields) = data_type else { return Err(wrong_type(data_type)) };
        let [data_field, sizes_field] = fields.as_ref() else { return Err(wrong_type(data_type)) };
        let data = self.data.finish(data_field.data_type())?;
        let sizes = sizes.finish(sizes_field.data_type())?;
        let nulls = data.nulls().cloned();
        Ok(Arc::new(StructArray::try_new(fields.clone(), vec![data, sizes], nulls)?))
    }
}

/// Whether rows of a known shape are one fixed-size list of all their values.
fn is_flat(dtype: DType, shape: &Shape, data_type: &DataType) -> bool {
    let DataType::FixedSizeList(item, size) = data_type else { return false };
    let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
    let factor = if complex { 2 } else { 1 };
    // A pair of floats is a complex scalar.
    shape.rank() != Some(0)
        && !item.data_type().is_nested()
        && shape.num_elements().and_then(|n| n.checked_mul(factor)) == u64::try_from(*size).ok()
}

pub(super) fn push_dims(lists: &mut Lists, from: usize, count: usize, dims: &[u64]) -> Result<()> {
    let mut count = count;
    for (level, size) in dims.iter().enumerate() {
        lists.push_lists(from + level, count, *size)?;
        count = usize::try_from(*size).ok().and_then(|size| count.checked_mul(size)).ok_or_else(too_long)?;
    }
    Ok(())
}

/// Appends `count` rows of the same plain values to `lists`, which has one level.
fn append_row(lists: &mut Lists, dtype: DType, bytes: &[u8], count: usize) -> Result<()> {
    let len = bytes.len() / dtype.item_bytes().unwrap_or(1);
    let tensor = Tensor::from_bytes(dtype, Dims::new(&[len as u64]), bytes.into())?;
    lists.push_lists(0, count, len as u64)?;
    for _ in 0..count {
        lists.leaf().extend(&tensor, 0..len)?;
    }
    lists.add_rows(count);
    Ok(())
}

pub(super) fn to_usize(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}

pub(super) fn check_rows(rows: &Range<usize>, batch: usize) -> Result<()> {
    if rows.end > batch {
        return Err(Error::mismatch("components of different batch sizes")
            .expected(format!("at least {} rows", rows.end), batch.to_string()));
    }
    Ok(())
}

/// The number of values in one row of `tensor` along its first dimension.
pub(super) fn row_values(tensor: &Tensor<'_>) -> usize {
    let inner = Dims::new(tensor.dims().get(1..).unwrap_or_default());
    inner.num_elements().unwrap_or(0)
}

/// Where rows lie among tensors that follow one another along the first dimension.
#[derive(Debug, Default)]
pub(super) struct Position {
    tensor: usize,
    /// The number of rows before that tensor.
    before: usize,
}

impl Position {
    /// The tensor that holds the rows in `range`, and their place in it. Ranges must ascend, and
    /// none may reach from one tensor into another.
    pub(super) fn find<'t, 'a>(
        &mut self,
        tensors: &'t [Tensor<'a>],
        range: Range<usize>,
    ) -> Result<(&'t Tensor<'a>, Range<usize>)> {
        let bad = || Error::corrupt("row splits do not end where the values do");
        loop {
            let tensor = tensors.get(self.tensor).ok_or_else(bad)?;
            let rows = tensor.dims().first().and_then(|n| usize::try_from(*n).ok()).ok_or_else(bad)?;
            let end = self.before + rows;
            if range.end <= end && (range.start < end || range.is_empty() || self.tensor + 1 == tensors.len())
            {
                let start = range.start.checked_sub(self.before).ok_or_else(bad)?;
                return Ok((tensor, start..start + range.len()));
            }
            self.before = end;
            self.tensor += 1;
        }
    }
}

impl Position {
    /// The vector that holds the first values in `range`, and the place in it of as many of them
    /// as it holds.
    pub(super) fn find_values<'t, 'a>(
        &mut self,
        tensors: &'t [Tensor<'a>],
        range: Range<usize>,
    ) -> Result<(&'t Tensor<'a>, Range<usize>)> {
        if range.start < self.before {
            *self = Self::default();
        }
        loop {
            let tensor =
                tensors.get(self.tensor).ok_or_else(|| Error::corrupt("sparse indices without values"))?;
            let end = self.before + tensor.len();
            if range.start < end {
                return Ok((tensor, range.start - self.before..range.end.min(end) - self.before));
            }
            self.before = end;
            self.tensor += 1;
        }
    }
}
