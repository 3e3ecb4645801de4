//! Sparse tensors: coordinates, values and the shape of what they stand for.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StructArray};
use arrow::datatypes::DataType;

use super::component::wrong_type;
use super::dense::{Position, check_rows, to_usize};
use super::lists::Lists;
use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Dims, Tensor};
use crate::tf::variant::Sparse;

#[derive(Debug)]
pub(super) struct SparseBuilder {
    rank: Option<usize>,
    dtype: DType,
    indices: Lists,
    values: Lists,
    dense_shape: Lists,
    nulls: NullBufferBuilder,
    rows: usize,
}

impl SparseBuilder {
    /// An empty column; the types are those of its members.
    pub(super) fn new(rank: Option<usize>, dtype: DType, types: [&DataType; 3]) -> Result<Self> {
        let [indices, values, dense_shape] = types;
        Ok(Self {
            rank,
            dtype,
            indices: Lists::new(DType::Int64, indices, None)?,
            values: Lists::new(dtype, values, None)?,
            dense_shape: Lists::new(DType::Int64, dense_shape, None)?,
            nulls: NullBufferBuilder::new(0),
            rows: 0,
        })
    }

    #[cfg(feature = "tensorflow")]
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn byte_len(&self) -> usize {
        self.indices.byte_len() + self.values.byte_len()
    }

    pub(super) fn append(&mut self, sparse: &Sparse<'_>) -> Result<()> {
        let rank = sparse.dense_shape.len();
        self.check(rank, sparse)?;
        let count: usize = sparse.values.iter().map(Tensor::len).sum();
        self.push_row(&sparse.dense_shape, &sparse.indices, rank, count)?;
        for tensor in &sparse.values {
            self.values.leaf().extend(tensor, 0..tensor.len())?;
        }
        self.end_row();
        Ok(())
    }

    fn check(&self, rank: usize, sparse: &Sparse<'_>) -> Result<()> {
        if self.rank.is_some_and(|expected| expected != rank) {
            return Err(Error::mismatch("sparse tensor of another rank")
                .expected(self.rank.unwrap_or(0).to_string(), rank.to_string()));
        }
        match sparse.values.iter().find(|tensor| tensor.dtype() != self.dtype) {
            Some(other) => Err(Error::mismatch("sparse values of another dtype")
                .expected(self.dtype.name(), other.dtype().name())),
            None => Ok(()),
        }
    }

    /// Appends everything of a row but its values.
    fn push_row(&mut self, dense_shape: &[i64], indices: &[i64], rank: usize, count: usize) -> Result<()> {
        self.dense_shape.push_lists(0, 1, rank as u64)?;
        extend_i64s(&mut self.dense_shape, dense_shape)?;
        self.dense_shape.add_rows(1);
        self.indices.push_lists(0, 1, count as u64)?;
        self.indices.push_lists(1, count, rank as u64)?;
        extend_i64s(&mut self.indices, indices)?;
        self.indices.add_rows(1);
        self.values.push_lists(0, 1, count as u64)
    }

    fn end_row(&mut self) {
        self.values.add_rows(1);
        self.nulls.append_non_null();
        self.rows += 1;
    }

    /// Slices along the first dimension. Indices need not be sorted.
    pub(super) fn append_slices(&mut self, sparse: &Sparse<'_>, rows: Range<usize>) -> Result<()> {
        let Some((batch, dense_shape)) = sparse.dense_shape.split_first() else {
            return Err(Error::unsupported("scalar cannot be split into rows"));
        };
        self.check(dense_shape.len(), sparse)?;
        check_rows(&rows, to_usize(*batch))?;
        let rank = sparse.dense_shape.len();
        let mut order: Vec<usize> = (0..sparse.indices.len() / rank).collect();
        let row_of = |i: &usize| sparse.indices.get(i * rank).copied().map_or(usize::MAX, to_usize);
        if !order.is_sorted_by_key(row_of) {
            order.sort_by_key(row_of);
        }
        let mut order = order.as_slice();
        let mut at = Position::default();
        let mut indices = Vec::new();
        for row in rows {
            let skipped = order.iter().take_while(|i| row_of(i) < row).count();
            order = order.get(skipped..).unwrap_or_default();
            let count = order.iter().take_while(|i| row_of(i) == row).count();
            let (mine, rest) = order.split_at_checked(count).unwrap_or_default();
            order = rest;
            indices.clear();
            for i in mine {
                indices
                    .extend_from_slice(sparse.indices.get(i * rank + 1..(i + 1) * rank).unwrap_or_default());
            }
            self.push_row(dense_shape, &indices, rank - 1, count)?;
            let mut mine = mine;
            while let Some(first) = mine.first().copied() {
                let run = mine.iter().zip(first..).take_while(|(i, expected)| *i == expected).count();
                let (tensor, range) = at.find_values(&sparse.values, first..first + run)?;
                mine = mine.get(range.len().max(1)..).unwrap_or_default();
                self.values.leaf().extend(tensor, range)?;
            }
            self.end_row();
        }
        Ok(())
    }

    pub(super) fn append_null(&mut self) -> Result<()> {
        self.indices.push_null()?;
        self.values.push_null()?;
        self.dense_shape.push_null()?;
        self.nulls.append_null();
        self.rows += 1;
        Ok(())
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows = rows.min(self.rows);
        self.nulls.truncate(self.rows);
        self.indices.truncate(rows);
        self.values.truncate(rows);
        self.dense_shape.truncate(rows);
    }

    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let DataType::Struct(fields) = data_type else { return Err(wrong_type(data_type)) };
        let [indices, values, dense_shape] = fields.as_ref() else { return Err(wrong_type(data_type)) };
        let arrays = vec![
            self.indices.finish(indices.data_type())?,
            self.values.finish(values.data_type())?,
            self.dense_shape.finish(dense_shape.data_type())?,
        ];
        let rows = std::mem::take(&mut self.rows);
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, self.nulls.finish(), rows)?))
    }
}

fn extend_i64s(lists: &mut Lists, values: &[i64]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = Tensor::from_bytes(DType::Int64, Dims::new(&[values.len() as u64]), bytes.into())?;
    lists.leaf().extend(&tensor, 0..values.len())
}
