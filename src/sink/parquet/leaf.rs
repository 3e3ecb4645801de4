//! The values of one column of one batch, and where they stand in rows and lists.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, is_not_null};
use arrow::datatypes::DataType;

use super::hybrid::Levels;
use crate::error::Result;

/// The levels of an item of a list: of a list that is null, of one that is empty, of a null in a list,
/// of a value in one.
const NULL_LIST: u8 = 0;
const EMPTY_LIST: u8 = 1;
const NULL_ITEM: u8 = 2;
const ITEM: u8 = 3;

/// How the values of a column stand in its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nesting {
    /// A value a row, or none.
    Flat,
    /// A list of values a row, or none.
    Lists,
}

/// The nesting of a column, and the type of its values; `None` if they lie deeper.
pub(super) fn nesting(data_type: &DataType) -> Option<(Nesting, &DataType)> {
    let is_leaf = |leaf: &DataType| !leaf.is_nested() && !matches!(leaf, DataType::Dictionary(..));
    match data_type {
        DataType::List(item) if is_leaf(item.data_type()) => Some((Nesting::Lists, item.data_type())),
        DataType::FixedSizeList(item, size) if *size > 0 && is_leaf(item.data_type()) => {
            Some((Nesting::Lists, item.data_type()))
        }
        leaf if is_leaf(leaf) => Some((Nesting::Flat, leaf)),
        _ => None,
    }
}

/// The levels of a page.
#[derive(Debug)]
pub(super) struct PageLevels {
    /// None where nothing repeats.
    repetition: Option<Levels>,
    definition: Levels,
    /// How many of each.
    count: usize,
}

impl PageLevels {
    pub(super) fn new(nesting: Nesting) -> Self {
        match nesting {
            Nesting::Flat => Self { repetition: None, definition: Levels::new(1), count: 0 },
            Nesting::Lists => Self { repetition: Some(Levels::new(1)), definition: Levels::new(2), count: 0 },
        }
    }

    fn put_list(&mut self, items: usize) {
        if let Some(repetition) = &mut self.repetition {
            repetition.put(0, 1);
            repetition.put(1, items.saturating_sub(1));
        }
        self.count += items.max(1);
    }

    /// Appends the levels to `page` and is empty again; returns how many there were.
    pub(super) fn end(&mut self, page: &mut Vec<u8>) -> usize {
        if let Some(repetition) = &mut self.repetition {
            repetition.end(page);
        }
        self.definition.end(page);
        std::mem::take(&mut self.count)
    }
}

#[derive(Debug)]
enum Rows {
    /// A value a row, but for the nulls.
    Values(Option<NullBuffer>),
    /// So many values a row.
    Fixed(usize),
    /// Lists that end there, but for those that are null; and the items that are null.
    Lists { ends: Vec<usize>, nulls: Option<NullBuffer>, items: Option<NullBuffer> },
}

/// A column of a batch: its values without nulls, and how they stand in rows.
#[derive(Debug)]
pub(super) struct Leaf {
    len: usize,
    rows: Rows,
    values: ArrayRef,
}

impl Leaf {
    /// Takes `array` apart; its type is one of those that have a [`nesting`].
    ///
    /// # Errors
    /// Values cannot be taken out of it.
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        let len = array.len();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets: Vec<usize> =
                    list.value_offsets().iter().map(|offset| usize::try_from(*offset).unwrap_or(0)).collect();
                Self::lists(len, &offsets, nulls, list.values())
            }
            DataType::FixedSizeList(_, size) => {
                let list = array.as_fixed_size_list();
                let size = usize::try_from(*size).unwrap_or(0);
                let first = list.offset() * size;
                if nulls.is_none() && list.values().null_count() == 0 {
                    let values = list.values().slice(first, len * size);
                    return Ok(Self { len, rows: Rows::Fixed(size), values });
                }
                let offsets: Vec<usize> = (0..=len).map(|row| first + row * size).collect();
                Self::lists(len, &offsets, nulls, list.values())
            }
            _ => Ok(Self { len, values: without_nulls(array)?, rows: Rows::Values(nulls) }),
        }
    }

    fn lists(len: usize, offsets: &[usize], nulls: Option<NullBuffer>, items: &ArrayRef) -> Result<Self> {
        let first = offsets.first().copied().unwrap_or(0);
        let mut items = items.slice(first, offsets.last().copied().unwrap_or(0) - first);
        let mut ends: Vec<usize> = offsets.iter().skip(1).map(|offset| offset - first).collect();
        if let Some(nulls) = &nulls {
            // There may be items in what is null.
            let (mut keep, mut begin, mut end) = (Vec::with_capacity(items.len()), 0, 0);
            for (row, old) in ends.iter_mut().enumerate() {
                let size = *old - begin;
                begin = *old;
                keep.resize(keep.len() + size, nulls.is_valid(row));
                end += if nulls.is_valid(row) { size } else { 0 };
                *old = end;
            }
            if end < items.len() {
                items = filter(&items, &BooleanArray::from(keep))?;
            }
        }
        let missing = items.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let values = without_nulls(&items)?;
        Ok(Self { len, rows: Rows::Lists { ends, nulls, items: missing }, values })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All values, none of them null.
    pub(super) fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// How many rows are null.
    pub(super) fn null_count(&self) -> usize {
        match &self.rows {
            Rows::Values(nulls) | Rows::Lists { nulls, .. } => {
                nulls.as_ref().map_or(0, NullBuffer::null_count)
            }
            Rows::Fixed(_) => 0,
        }
    }

    /// Adds the levels of `rows` and returns how many values these have.
    pub(super) fn put_levels(&self, rows: Range<usize>, levels: &mut PageLevels) -> usize {
        let count = rows.len();
        match &self.rows {
            Rows::Values(nulls) => {
                levels.count += count;
                let Some(nulls) = nulls else {
                    levels.definition.put(1, count);
                    return count;
                };
                put_validity(nulls, rows, &mut levels.definition, 0, 1)
            }
            Rows::Fixed(size) => {
                (0..count).for_each(|_| levels.put_list(*size));
                levels.definition.put(ITEM, count * size);
                count * size
            }
            Rows::Lists { ends, nulls, items } => {
                let mut values = 0;
                for row in rows {
                    let begin = row.checked_sub(1).and_then(|row| ends.get(row)).copied().unwrap_or(0);
                    let end = ends.get(row).copied().unwrap_or(begin);
                    levels.put_list(end - begin);
                    if begin < end {
                        match items {
                            Some(items) => {
                                let definition = &mut levels.definition;
                                values += put_validity(items, begin..end, definition, NULL_ITEM, ITEM);
                            }
                            None => {
                                levels.definition.put(ITEM, end - begin);
                                values += end - begin;
                            }
                        }
                    } else {
                        let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                        levels.definition.put(if null { NULL_LIST } else { EMPTY_LIST }, 1);
                    }
                }
                values
            }
        }
    }
}

fn without_nulls(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.null_count() {
        0 => array.clone(),
        _ => filter(array, &is_not_null(array)?)?,
    })
}

/// Adds a level for each place in `range`; returns how many are valid.
fn put_validity(nulls: &NullBuffer, range: Range<usize>, levels: &mut Levels, null: u8, valid: u8) -> usize {
    let slice = nulls.slice(range.start, range.len());
    let mut at = 0;
    for (begin, end) in slice.valid_slices() {
        levels.put(null, begin - at);
        levels.put(valid, end - begin);
        at = end;
    }
    levels.put(null, slice.len() - at);
    slice.len() - slice.null_count()
}
