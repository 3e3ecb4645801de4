//! Lists of lists around values: what dense, ragged and sparse components are stored as.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeListArray, ListArray, NullBufferBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use super::leaf::Leaf;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tf::dtype::DType;

/// How many lists one value may add that hold nothing: no input stands behind them.
const MAX_EMPTY_LISTS: usize = 1 << 24;

/// One level of lists.
#[derive(Debug)]
pub(super) enum Level {
    /// Lists of any length, cut at these offsets into the level below.
    Any(Vec<i32>),
    /// Lists of this length.
    Fixed(usize),
}

/// Levels of lists, outermost first, and the values below. A row is an item of the outermost
/// level, or a value if there is none.
#[derive(Debug)]
pub(super) struct Lists {
    levels: Vec<Level>,
    leaf: Leaf,
    nulls: NullBufferBuilder,
    rows: usize,
    /// Arrow values for one TensorFlow value at the innermost level: two for complex numbers that
    /// are stored flat.
    scale: usize,
}

impl Lists {
    /// An empty column of `data_type`, which must be lists of what values of `dtype` are stored
    /// as. `flat` gives the number of values in a row that is one fixed-size list.
    pub(super) fn new(dtype: DType, data_type: &DataType, flat: Option<usize>) -> Result<Self> {
        let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
        let mut levels = Vec::new();
        let mut inner = data_type;
        loop {
            match inner {
                DataType::List(item) => {
                    levels.push(Level::Any(vec![0]));
                    inner = item.data_type();
                }
                DataType::FixedSizeList(item, size) => {
                    if complex && flat.is_none() && *size == 2 && item.data_type().is_primitive() {
                        break;
                    }
                    let size = usize::try_from(*size).unwrap_or(0);
                    levels.push(Level::Fixed(flat.unwrap_or(size)));
                    inner = item.data_type();
                }
                _ => break,
            }
        }
        let scale = if complex && inner.is_primitive() { 2 } else { 1 };
        let leaf = Leaf::new(dtype, inner)?;
        Ok(Self { levels, leaf, nulls: NullBufferBuilder::new(0), rows: 0, scale })
    }

    /// The number of levels.
    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The values.
    pub(super) fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the rows take.
    pub(super) fn byte_len(&self) -> usize {
        let offsets: usize = self
            .levels
            .iter()
            .map(|level| match level {
                Level::Any(offsets) => size_of_val(offsets.as_slice()),
                Level::Fixed(_) => 0,
            })
            .sum();
        offsets + self.leaf.byte_len()
    }

    /// Counts `rows` rows whose lists and values were appended.
    pub(super) fn add_rows(&mut self, rows: usize) {
        self.nulls.append_n_non_nulls(rows);
        self.rows += rows;
    }

    /// Appends `count` lists of `size` items each to `level`.
    pub(super) fn push_lists(&mut self, level: usize, count: usize, size: u64) -> Result<()> {
        let limit = self.limit(level);
        match self.levels.get_mut(level) {
            Some(Level::Any(offsets)) => {
                let mut end = i64::from(offsets.last().copied().unwrap_or(0));
                let step = i64::try_from(size).unwrap_or(i64::MAX);
                let last = i64::try_from(count).ok().and_then(|n| n.checked_mul(step)?.checked_add(end));
                if last.is_none_or(|last| last > limit) || size == 0 && count > MAX_EMPTY_LISTS {
                    return Err(too_long());
                }
                offsets.reserve(count);
                for _ in 0..count {
                    end += step;
                    offsets.push(i32::try_from(end).map_err(|_| too_long())?);
                }
                Ok(())
            }
            Some(Level::Fixed(expected)) if *expected as u64 == size || count == 0 => Ok(()),
            Some(Level::Fixed(expected)) => {
                Err(Error::mismatch("dimension of another size")
                    .expected(expected.to_string(), size.to_string()))
            }
            None => Err(Error::mismatch("tensor of another rank")),
        }
    }

    /// Appends lists to `level` that are cut at `splits`, the first of which says where they
    /// begin.
    pub(super) fn push_splits(&mut self, level: usize, splits: &[i64]) -> Result<()> {
        let limit = self.limit(level);
        match self.levels.get_mut(level) {
            Some(Level::Any(offsets)) => {
                let end = i64::from(offsets.last().copied().unwrap_or(0));
                let first = splits.first().copied().unwrap_or(0);
                offsets.reserve(splits.len());
                for split in splits.iter().skip(1) {
                    let next = split.checked_sub(first).and_then(|n| n.checked_add(end));
                    let next = next.filter(|next| *next <= limit).and_then(|next| i32::try_from(next).ok());
                    offsets.push(next.ok_or_else(too_long)?);
                }
                Ok(())
            }
            _ => Err(Error::mismatch("ragged value where no list is")),
        }
    }

    /// The highest offset that `level` may have.
    fn limit(&self, level: usize) -> i64 {
        let scale = if level + 1 == self.levels.len() { self.scale } else { 1 };
        i64::from(i32::MAX) / i64::try_from(scale).unwrap_or(1)
    }

    /// Appends a null row.
    pub(super) fn push_null(&mut self) -> Result<()> {
        let mut count = 1usize;
        for level in &mut self.levels {
            match level {
                Level::Any(offsets) => {
                    let end = offsets.last().copied().unwrap_or(0);
                    offsets.resize(offsets.len() + count, end);
                    count = 0;
                }
                Level::Fixed(size) => count = count.checked_mul(*size).ok_or_else(too_long)?,
            }
        }
        self.leaf.extend_default(count)?;
        self.nulls.append_null();
        self.rows += 1;
        Ok(())
    }

    /// Drops all rows but the first `rows`, and what belongs to no row.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows = rows.min(self.rows);
        self.nulls.truncate(self.rows);
        let mut count = self.rows;
        for level in &mut self.levels {
            match level {
                Level::Any(offsets) => {
                    offsets.truncate(count + 1);
                    count = offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
                }
                Level::Fixed(size) => count = count.saturating_mul(*size),
            }
        }
        self.leaf.truncate(count);
    }

    /// The rows as an array of `data_type`; the column is then empty.
    pub(super) fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let nulls = self.nulls.finish();
        wrap(&mut self.levels, &mut self.leaf, data_type, rows, self.scale, nulls)
    }
}

fn wrap(
    levels: &mut [Level],
    leaf: &mut Leaf,
    data_type: &DataType,
    rows: usize,
    scale: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let Some((level, inner)) = levels.split_first_mut() else { return leaf.finish(data_type, nulls) };
    match (level, data_type) {
        (Level::Any(offsets), DataType::List(item)) => {
            let mut offsets = std::mem::replace(offsets, vec![0]);
            let items = offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
            if inner.is_empty() && scale == 2 {
                offsets.iter_mut().for_each(|offset| *offset *= 2);
            }
            let child = wrap(inner, leaf, item.data_type(), items, scale, None)?;
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, child, nulls)?))
        }
        (Level::Fixed(size), DataType::FixedSizeList(item, stored)) => {
            let items = rows.saturating_mul(*size);
            let child = wrap(inner, leaf, item.data_type(), items, scale, None)?;
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(item.clone(), *stored, child, nulls, rows)?))
        }
        (_, other) => Err(Error::unsupported("column type").expected("lists", other.to_string())),
    }
}

pub(super) fn too_long() -> Error {
    Error::limit("column outgrows 32-bit offsets").with_hint(Phrase::new("pass a smaller {batch_rows}"))
}
