//! Ragged tensors: lists of lists.

use std::ops::Range;

use super::dense::{check_rows, push_dims, row_values, to_usize};
use super::lists::{Lists, too_long};
use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::Tensor;
use crate::tf::variant::Ragged;

pub(super) fn append_ragged(
    lists: &mut Lists,
    dtype: DType,
    ragged_rank: usize,
    ragged: &Ragged<'_>,
) -> Result<()> {
    if ragged.splits.len() != ragged_rank {
        return Err(Error::mismatch("ragged value of another ragged rank")
            .expected(ragged_rank.to_string(), ragged.splits.len().to_string()));
    }
    let rows = ragged.splits.first().map_or(0, |splits| splits.len().saturating_sub(1));
    lists.push_lists(0, 1, rows as u64)?;
    for (level, splits) in ragged.splits.iter().enumerate() {
        lists.push_splits(level + 1, splits)?;
    }
    for tensor in &ragged.values {
        push_flat_values(lists, dtype, ragged_rank, tensor, None)?;
    }
    lists.add_rows(1);
    Ok(())
}

/// Appends the rows in `rows` (all of them, without) of flat values below the ragged levels.
fn push_flat_values(
    lists: &mut Lists,
    dtype: DType,
    ragged_rank: usize,
    tensor: &Tensor<'_>,
    rows: Option<Range<usize>>,
) -> Result<()> {
    let (Some((total, inner)), true) = (tensor.dims().split_first(), tensor.dtype() == dtype) else {
        return Err(
            Error::mismatch("flat values of another dtype").expected(dtype.name(), tensor.dtype().name())
        );
    };
    let total = usize::try_from(*total).map_err(|_| too_long())?;
    let rows = rows.unwrap_or(0..total);
    let width = row_values(tensor);
    push_dims(lists, ragged_rank + 1, rows.len(), inner)?;
    if lists.depth() != ragged_rank + 1 + inner.len() {
        return Err(Error::mismatch("flat values of another rank")
            .expected((lists.depth() - ragged_rank).to_string(), tensor.dims().len().to_string()));
    }
    lists.leaf().extend(tensor, rows.start * width..rows.end * width)
}

/// Rows of a ragged value as rows of a column with one ragged dimension less.
pub(super) fn append_ragged_slices(
    lists: &mut Lists,
    dtype: DType,
    ragged_rank: usize,
    ragged: &Ragged<'_>,
    rows: Range<usize>,
) -> Result<()> {
    if ragged.splits.len() != ragged_rank + 1 {
        return Err(Error::mismatch("ragged value of another ragged rank")
            .expected((ragged_rank + 1).to_string(), ragged.splits.len().to_string()));
    }
    let count = rows.len();
    let mut range = rows;
    for (level, splits) in ragged.splits.iter().enumerate() {
        check_rows(&range, splits.len().saturating_sub(1))?;
        let part = splits.get(range.start..=range.end).unwrap_or_default();
        lists.push_splits(level, part)?;
        let at = |split: Option<&i64>| to_usize(split.copied().unwrap_or(0));
        range = at(part.first())..at(part.last());
    }
    let mut before = 0usize;
    for tensor in &ragged.values {
        let total = tensor.dims().first().and_then(|n| usize::try_from(*n).ok()).unwrap_or(0);
        let start = range.start.clamp(before, before + total) - before;
        let end = range.end.clamp(before, before + total) - before;
        if start < end {
            push_flat_values(lists, dtype, ragged_rank, tensor, Some(start..end))?;
        }
        before += total;
    }
    lists.add_rows(count);
    Ok(())
}
