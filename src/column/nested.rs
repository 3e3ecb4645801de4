//! Columns of TFDS features from wire columns: lists, structs and tensors put around flat values.
//!
//! The values of everything in one sequence stand row after row in flat lists, so that a list of
//! structs takes its offsets from one of its parts, and its parts' values as they are; nothing is
//! copied but what must be decoded.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Int64Array, ListArray, StructArray, UInt32Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::Int64Type;

use super::lists::too_long;
use super::transform::{self, Budget};
use crate::error::{Error, Result};
use crate::schema::tfds::{Node, TfdsColumn, TfdsPlan, Transform, Wire};

/// Bytes that a column's values may decode to at a time, where there are several rows.
const PART_BYTES: u64 = 128 << 20;

/// An error and the row of the batch that it belongs to, if it belongs to one.
#[derive(Debug)]
pub(crate) struct RowError {
    pub(crate) row: Option<usize>,
    pub(crate) error: Error,
}

impl From<Error> for RowError {
    fn from(error: Error) -> Self {
        Self { row: None, error }
    }
}

/// The lists around the values of one wire, the outermost first.
struct Levels {
    offsets: Vec<OffsetBuffer<i32>>,
    values: ArrayRef,
}

/// Offsets of lists that stand around an item, the outermost first.
type Outer = Vec<OffsetBuffer<i32>>;

/// The row that holds the item `at` of the innermost of `outer`.
fn row_of(outer: &[OffsetBuffer<i32>], at: usize) -> usize {
    outer.iter().rev().fold(at, |at, offsets| {
        let starts = offsets.partition_point(|offset| usize::try_from(*offset).is_ok_and(|o| o <= at));
        starts.saturating_sub(1)
    })
}

fn index(offset: Option<&i32>) -> usize {
    offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
}

/// Puts the columns of `plan` together from the wire columns of `rows` records. `elements` are the
/// numbers of the records, for exploded rows. Returns the columns and their number of rows.
///
/// # Errors
/// The parts of a sequence differ in length, or a value cannot be decoded.
pub(crate) fn assemble(
    plan: &TfdsPlan,
    wire: &[ArrayRef],
    rows: usize,
    elements: &[u64],
) -> Result<(Vec<ArrayRef>, usize), RowError> {
    let Some(explode) = &plan.explode else {
        return Ok((each_column(plan, wire, rows).collect::<Result<_, _>>()?, rows));
    };
    Assembler { plan, wire, rows }.explode(explode, rows, elements)
}

/// Puts each column of a plan that explodes nothing together on its own.
pub(crate) fn each_column<'a>(
    plan: &'a TfdsPlan,
    wire: &'a [ArrayRef],
    rows: usize,
) -> impl Iterator<Item = Result<ArrayRef, RowError>> + 'a {
    let assembler = Assembler { plan, wire, rows };
    plan.columns.iter().map(move |column: &TfdsColumn| assembler.build(&column.node, &mut Vec::new()))
}

/// Reads the wire column `wire` as lists.
fn as_list(array: &ArrayRef) -> Result<&ListArray> {
    array.as_list_opt::<i32>().ok_or_else(|| Error::unsupported("wire column that is no list"))
}

struct Assembler<'a> {
    plan: &'a TfdsPlan,
    wire: &'a [ArrayRef],
    rows: usize,
}

impl Assembler<'_> {
    fn column(&self, wire: usize) -> Result<&ArrayRef> {
        self.wire.get(wire).ok_or_else(|| Error::unsupported("wire column that does not exist"))
    }

    /// One row may decode to any number of bytes; there is no fewer.
    fn budget(&self) -> Budget {
        Budget::new(if self.rows > 1 { PART_BYTES } else { u64::MAX })
    }

    fn key(&self, wire: usize) -> &str {
        self.plan.wire.features.get(wire).map_or("", |feature| feature.name.as_str())
    }

    fn explode(
        &self,
        explode: &Wire,
        rows: usize,
        elements: &[u64],
    ) -> Result<(Vec<ArrayRef>, usize), RowError> {
        let levels = self.levels(explode)?;
        let offsets = levels.offsets.first().cloned().unwrap_or_else(|| OffsetBuffer::new_zeroed(rows));
        let steps = index(offsets.last());
        let (mut episode_of, mut episodes, mut numbers) =
            (Vec::with_capacity(steps), Vec::with_capacity(steps), Vec::with_capacity(steps));
        for (row, length) in offsets.lengths().enumerate() {
            let element = elements.get(row).copied().unwrap_or(0);
            let element = i64::try_from(element).map_err(|_| too_long())?;
            let row = u32::try_from(row).map_err(|_| too_long())?;
            let length = i64::try_from(length).map_err(|_| too_long())?;
            numbers.extend(0..length);
            episode_of.resize(numbers.len(), row);
            episodes.resize(numbers.len(), element);
        }
        let episode_of = UInt32Array::from(episode_of);
        let mut columns = Vec::with_capacity(self.plan.columns.len() + 2);
        for column in &self.plan.columns {
            columns.push(if column.exploded {
                self.build(&column.node, &mut vec![offsets.clone()])?
            } else {
                let whole = self.build(&column.node, &mut Vec::new())?;
                take(&whole, &episode_of, None).map_err(Error::from)?
            });
        }
        columns.push(Arc::new(Int64Array::from(episodes)));
        columns.push(Arc::new(Int64Array::from(numbers)));
        Ok((columns, steps))
    }

    /// The array of a node's items, `outer` being the lists around them.
    fn build(&self, node: &Node, outer: &mut Outer) -> Result<ArrayRef, RowError> {
        match node {
            Node::Leaf { path, wire, transform, data_type, keep_nulls } => {
                let levels = self.levels(wire)?;
                check_same(&levels.offsets, outer, path)?;
                let sizes = match transform {
                    Transform::Raw { sizes: Some(sizes), .. } => {
                        let sizes = self.levels(sizes)?;
                        check_same(&sizes.offsets, outer, path)?;
                        Some(sizes.values)
                    }
                    _ => None,
                };
                let values = if *keep_nulls { levels.values } else { without_nulls(levels.values)? };
                let place = |failed: RowError| RowError {
                    row: failed.row.map(|at| row_of(outer, at)),
                    error: failed.error.in_column(path.clone()),
                };
                transform::apply(transform, path, values, sizes, data_type, self.budget()).map_err(place)
            }
            Node::Frames { path, wire, dtype, shape, data_type } => {
                let mut levels = self.levels(wire)?;
                let videos =
                    levels.offsets.pop().ok_or_else(|| Error::unsupported("video that is no list"))?;
                check_same(&levels.offsets, outer, path)?;
                let place = |failed: RowError| RowError {
                    row: failed.row.map(|at| row_of(outer, at)),
                    error: failed.error.in_column(path.clone()),
                };
                transform::videos(*dtype, shape, &videos, &levels.values, data_type, self.budget())
                    .map_err(place)
            }
            Node::List { path, item, field, length, fixed } => {
                let wire = item.first_wire().ok_or_else(|| Error::unsupported("list of nothing"))?;
                let offsets = self.levels(wire)?.offsets.get(outer.len()).cloned();
                let offsets = offsets.ok_or_else(|| Error::unsupported("list deeper than its values"))?;
                if let Some(length) = length {
                    check_length(&offsets, *length, outer, path)?;
                }
                outer.push(offsets);
                let child = self.build(item, outer)?;
                let offsets = outer.pop().unwrap_or_else(OffsetBuffer::new_empty);
                let size = length.and_then(|n| i32::try_from(n).ok()).filter(|_| *fixed);
                Ok(match size {
                    Some(size) => Arc::new(
                        FixedSizeListArray::try_new_with_length(
                            field.clone(),
                            size,
                            child,
                            None,
                            offsets.len().saturating_sub(1),
                        )
                        .map_err(Error::from)?,
                    ),
                    None => Arc::new(
                        ListArray::try_new(field.clone(), offsets, child, None).map_err(Error::from)?,
                    ),
                })
            }
            Node::Struct { fields, children } => {
                let arrays =
                    children.iter().map(|child| self.build(child, outer)).collect::<Result<Vec<_>, _>>()?;
                let rows = arrays.first().map_or(0, |array| array.len());
                let array = StructArray::try_new_with_length(fields.clone(), arrays, None, rows);
                Ok(Arc::new(array.map_err(Error::from)?))
            }
        }
    }

    /// The lists around the values of `wire`.
    fn levels(&self, wire: &Wire) -> Result<Levels, RowError> {
        let values = self.column(wire.values)?;
        if wire.rank == 0 {
            return Ok(Levels { offsets: Vec::new(), values: values.clone() });
        }
        let (flat, values) = from_zero(as_list(values)?);
        if wire.lengths.is_empty() {
            return Ok(Levels { offsets: vec![flat], values });
        }
        let mut offsets: Outer = Vec::with_capacity(wire.rank);
        let mut ends: Vec<usize> = Vec::new();
        for lengths in &wire.lengths {
            let (rows, lists) = from_zero(as_list(self.column(*lengths)?)?);
            self.check_rows(&rows, &ends, *lengths)?;
            let lists = lists.as_primitive_opt::<Int64Type>();
            let lists = lists.ok_or_else(|| Error::unsupported("row lengths that are no numbers"))?;
            let next = accumulate(lists.values()).map_err(|(at, error)| RowError {
                row: Some(row_of(std::slice::from_ref(&rows), at)),
                error: error.in_column(self.key(*lengths)),
            })?;
            ends = rows.iter().map(|end| index(next.get(index(Some(end))))).collect();
            if offsets.is_empty() {
                offsets.push(rows);
            }
            offsets.push(next);
        }
        self.check_rows(&flat, &ends, wire.values)?;
        Ok(Levels { offsets, values })
    }

    /// Checks that each row of a list ends where the lengths of the level above say: at `ends`,
    /// unless it is the outermost level.
    fn check_rows(&self, offsets: &OffsetBuffer<i32>, ends: &[usize], wire: usize) -> Result<(), RowError> {
        let pairs = offsets.iter().zip(ends).map(|(found, expected)| (index(Some(found)), *expected));
        let mut before = 0;
        for (at, (found, expected)) in pairs.enumerate() {
            if found != expected {
                let error = Error::mismatch("nested sequence whose row lengths do not fit its values")
                    .expected((expected - before).to_string(), (found - before).to_string())
                    .in_column(self.key(wire));
                return Err(RowError { row: Some(at.saturating_sub(1)), error });
            }
            before = found;
        }
        Ok(())
    }
}

/// The offsets and the values of a list that may be a slice of a longer one; the first offset is 0.
fn from_zero(list: &ListArray) -> (OffsetBuffer<i32>, ArrayRef) {
    let offsets = list.offsets();
    let (first, last) = (index(offsets.first()), index(offsets.last()));
    if first == 0 && last == list.values().len() {
        return (offsets.clone(), list.values().clone());
    }
    let start = offsets.first().copied().unwrap_or(0);
    let shifted: Vec<i32> = offsets.iter().map(|offset| offset - start).collect();
    (OffsetBuffer::new(ScalarBuffer::from(shifted)), list.values().slice(first, last - first))
}

/// Offsets of lists of these lengths.
fn accumulate(lengths: &[i64]) -> Result<OffsetBuffer<i32>, (usize, Error)> {
    let mut offsets = Vec::with_capacity(lengths.len() + 1);
    let mut end = 0i32;
    offsets.push(end);
    for (at, length) in lengths.iter().enumerate() {
        let next = i32::try_from(*length).ok().filter(|length| *length >= 0).and_then(|n| end.checked_add(n));
        end = next.ok_or_else(|| {
            let what = Error::mismatch("row length that cannot be");
            (at, what.expected("a number from 0 to 2³¹−1", length.to_string()))
        })?;
        offsets.push(end);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

/// Checks that the lists around a feature's values are those around the other parts of its
/// sequence.
fn check_same(found: &[OffsetBuffer<i32>], outer: &Outer, path: &Arc<str>) -> Result<(), RowError> {
    for (level, (found, expected)) in found.iter().zip(outer).enumerate() {
        if found.ptr_eq(expected) || found == expected {
            continue;
        }
        let pairs = found.lengths().zip(expected.lengths());
        let at = pairs.enumerate().find(|(_, (found, expected))| found != expected);
        let (at, (found, expected)) = at.unwrap_or_default();
        let error = Error::mismatch("parts of a sequence differ in length")
            .expected(format!("{expected} items"), found.to_string())
            .in_column(path.clone());
        return Err(RowError { row: Some(row_of(outer.get(..level).unwrap_or_default(), at)), error });
    }
    Ok(())
}

fn check_length(
    offsets: &OffsetBuffer<i32>,
    length: u64,
    outer: &Outer,
    path: &Arc<str>,
) -> Result<(), RowError> {
    match offsets.lengths().enumerate().find(|(_, found)| *found as u64 != length) {
        None => Ok(()),
        Some((at, found)) => {
            let error = Error::mismatch("sequence of another length")
                .expected(format!("{length} items"), found.to_string())
                .in_column(path.clone());
            Err(RowError { row: Some(row_of(outer, at)), error })
        }
    }
}

/// What is missing from an example and need not be there is empty, not null.
fn without_nulls(array: ArrayRef) -> Result<ArrayRef> {
    if array.null_count() == 0 {
        return Ok(array);
    }
    let data = array.to_data().into_builder().nulls(None).build()?;
    Ok(arrow::array::make_array(data))
}
