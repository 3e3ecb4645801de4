//! Repeated fields and maps: values, messages and entries, cut into rows.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field as ArrowField, Int32Type, Int64Type, UInt32Type, UInt64Type};

use super::fault::{Fault, What};
use super::leaf::LeafColumn;
use super::node::{Field, Node};
use crate::error::{Error, Result};
use crate::schema::message::{Absent, FieldNode, Leaf, MessageNode};
use crate::wire::proto::Cursor;

/// Where the rows of a list end.
#[derive(Debug)]
struct Offsets(Vec<i32>);

impl Offsets {
    fn new() -> Self {
        Self(vec![0])
    }

    /// The number of rows so far.
    #[inline]
    fn rows(&self) -> usize {
        self.0.len() - 1
    }

    fn last(&self) -> i32 {
        self.0.last().copied().unwrap_or(0)
    }

    /// Where the items of row `row` begin.
    fn start(&self, row: usize) -> usize {
        self.0.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0)
    }

    /// The items of row `row`, which is the last one, now end at `items`.
    #[inline]
    fn end(&mut self, row: usize, items: usize) -> Result<(), Fault> {
        let Ok(items) = i32::try_from(items) else { return Err(Fault::new(0, What::TooLong)) };
        if self.0.len() != row + 2 {
            let last = self.last();
            self.0.resize(row + 2, last);
        }
        if let Some(last) = self.0.last_mut() {
            *last = items;
        }
        Ok(())
    }

    /// Drops all rows but the first `rows`; returns the number of their items.
    fn truncate(&mut self, rows: usize) -> usize {
        self.0.truncate(rows + 1);
        self.start(self.rows())
    }

    fn byte_len(&self, rows: usize) -> usize {
        (rows.max(self.rows()) + 1).saturating_mul(size_of::<i32>())
    }

    fn finish(&mut self, rows: usize) -> Vec<i32> {
        let last = self.last();
        self.0.resize(rows + 1, last);
        let mut fresh = Vec::with_capacity(rows + rows / 8 + 1);
        fresh.push(0);
        std::mem::replace(&mut self.0, fresh)
    }
}

fn list_of(
    offsets: Vec<i32>,
    items: ArrayRef,
    nulls: Option<&NullBuffer>,
    field: &ArrowField,
) -> Result<ArrayRef> {
    let DataType::List(item) = field.data_type() else {
        return Err(Error::unsupported("column type").expected("List", field.data_type().to_string()));
    };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(ListArray::try_new(item.clone(), offsets, items, nulls.cloned())?))
}

/// Lists of values.
#[derive(Debug)]
pub(super) struct Values {
    offsets: Offsets,
    items: LeafColumn,
}

impl Values {
    pub(super) fn new(items: LeafColumn) -> Self {
        Self { offsets: Offsets::new(), items }
    }

    pub(super) fn packs(&self) -> bool {
        self.items.packs()
    }

    #[inline]
    pub(super) fn read(&mut self, row: usize, number: u32, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        let set = self.items.read(self.items.rows(), number, cursor)?;
        self.offsets.end(row, self.items.rows())?;
        Ok(set)
    }

    #[inline]
    pub(super) fn read_packed(&mut self, run: &[u8], row: usize) -> Result<(), Fault> {
        self.items.read_packed(run)?;
        self.offsets.end(row, self.items.rows())
    }

    /// The number of items of row `row`, without one that could not be read.
    pub(super) fn index(&self, row: usize) -> usize {
        self.items.rows().saturating_sub(self.offsets.start(row.min(self.offsets.rows())))
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        let items = self.offsets.truncate(rows);
        self.items.truncate(items);
    }

    pub(super) fn byte_len(&self, rows: usize) -> usize {
        self.offsets.byte_len(rows).saturating_add(self.items.byte_len(self.items.rows()))
    }

    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        field: &ArrowField,
    ) -> Result<ArrayRef> {
        let items = self.items.finish(self.items.rows(), None)?;
        list_of(self.offsets.finish(rows), items, nulls, field)
    }
}

/// Lists of messages.
#[derive(Debug)]
pub(super) struct Messages {
    offsets: Offsets,
    items: usize,
    node: Node,
}

impl Messages {
    pub(super) fn new(node: &MessageNode) -> Self {
        Self { offsets: Offsets::new(), items: 0, node: Node::new(node, false) }
    }

    /// Reads one message, which becomes the next item of row `row`.
    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, group: u32, row: usize) -> Result<(), Fault> {
        self.node.read(cursor, group, self.items)?;
        self.items += 1;
        self.offsets.end(row, self.items)
    }

    /// The number of items of row `row`, without one that could not be read.
    pub(super) fn index(&self, row: usize) -> usize {
        self.items.saturating_sub(self.offsets.start(row.min(self.offsets.rows())))
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.items = self.offsets.truncate(rows);
        self.node.truncate(self.items);
    }

    pub(super) fn byte_len(&self, rows: usize) -> usize {
        self.offsets.byte_len(rows).saturating_add(self.node.byte_len(self.items))
    }

    /// An item takes two bytes of a record at least, and a row.
    pub(super) fn growth(&self) -> usize {
        self.node.growth().max(self.node.byte_len(1) / 2 + 1)
    }

    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        field: &ArrowField,
    ) -> Result<ArrayRef> {
        let items = Arc::new(self.node.finish_struct(std::mem::take(&mut self.items), None)?);
        list_of(self.offsets.finish(rows), items, nulls, field)
    }
}

/// Maps: lists of entries, of which the last one with a key counts.
#[derive(Debug)]
pub(super) struct MapColumn {
    offsets: Offsets,
    items: usize,
    keys: LeafColumn,
    values: Field,
}

impl MapColumn {
    pub(super) fn new(key: &Leaf, value: &FieldNode) -> Self {
        Self {
            offsets: Offsets::new(),
            items: 0,
            keys: LeafColumn::new(key, &Absent::Zero),
            values: Field::of_map(value),
        }
    }

    /// Reads one entry of row `row`.
    pub(super) fn read(&mut self, entry: &[u8], row: usize) -> Result<(), Fault> {
        const KEY: u32 = 1;
        const VALUE: u32 = 2;
        let mut cursor = Cursor::new(entry);
        let mut known = true;
        while !cursor.is_empty() {
            match cursor.short_tag()? {
                (KEY, wire_type) if wire_type == self.keys.wire_type() => {
                    let read = self.keys.read(self.items, KEY, &mut cursor);
                    read.map_err(|fault| fault.within("key", None))?;
                }
                (VALUE, wire_type) if wire_type == self.values.wire_type() => {
                    let read = self.values.read(wire_type, self.items, &mut cursor);
                    known &= read.map_err(|fault| fault.within("value", None))?;
                }
                (number, wire_type) => cursor.skip(number, wire_type)?,
            }
        }
        if known {
            self.items += 1;
        } else {
            // An entry whose value is an unknown number of a closed enum is an unknown field.
            self.keys.truncate(self.items);
            self.values.truncate(self.items);
        }
        self.offsets.end(row, self.items)
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.items = self.offsets.truncate(rows);
        self.keys.truncate(self.items);
        self.values.truncate(self.items);
    }

    pub(super) fn byte_len(&self, rows: usize) -> usize {
        let entries = self.keys.byte_len(self.items).saturating_add(self.values.byte_len(self.items));
        self.offsets.byte_len(rows).saturating_add(entries)
    }

    /// An entry takes two bytes of a record at least, and a row.
    pub(super) fn growth(&self) -> usize {
        let row = self.keys.byte_len(1).saturating_add(self.values.byte_len(1));
        self.values.growth().max(row / 2 + size_of::<u64>())
    }

    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        field: &ArrowField,
    ) -> Result<ArrayRef> {
        let DataType::Map(entries, _) = field.data_type() else {
            return Err(Error::unsupported("column type").expected("Map", field.data_type().to_string()));
        };
        let DataType::Struct(parts) = entries.data_type() else {
            return Err(Error::unsupported("column type").expected("Struct", entries.data_type().to_string()));
        };
        let items = std::mem::take(&mut self.items);
        let mut offsets = self.offsets.finish(rows);
        let mut columns = vec![self.keys.finish(items, None)?];
        self.values.finish(items, None, &mut columns)?;
        if let Some(kept) =
            columns.first().map(|keys| last_of_each(keys, &mut offsets)).transpose()?.flatten()
        {
            for column in &mut columns {
                *column = take(column, &kept, None)?;
            }
        }
        let structs = StructArray::try_new(parts.clone(), columns, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, structs, nulls.cloned(), false)?))
    }
}

/// Which entries are the last ones with their key in their row, unless all are; `offsets` are then
/// those of the entries that are left.
fn last_of_each(keys: &ArrayRef, offsets: &mut [i32]) -> Result<Option<UInt32Array>> {
    Ok(match keys.data_type() {
        DataType::Utf8 => {
            let keys = keys.as_string::<i32>();
            keep_last(offsets, |at| keys.value(at))
        }
        DataType::Boolean => {
            let keys = keys.as_boolean();
            keep_last(offsets, |at| keys.value(at))
        }
        DataType::Int32 => {
            let keys = keys.as_primitive::<Int32Type>().values();
            keep_last(offsets, |at| keys.get(at))
        }
        DataType::UInt32 => {
            let keys = keys.as_primitive::<UInt32Type>().values();
            keep_last(offsets, |at| keys.get(at))
        }
        DataType::Int64 => {
            let keys = keys.as_primitive::<Int64Type>().values();
            keep_last(offsets, |at| keys.get(at))
        }
        _ => {
            let keys = cast(keys, &DataType::UInt64)?;
            let keys = keys.as_primitive::<UInt64Type>().values();
            keep_last(offsets, |at| keys.get(at))
        }
    })
}

fn keep_last<K: Eq + Hash>(offsets: &mut [i32], key: impl Fn(usize) -> K) -> Option<UInt32Array> {
    /// Up to so many keys are compared with each other.
    const FEW: usize = 8;
    let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
    let mut dropped: Vec<usize> = Vec::new();
    let mut later = HashSet::new();
    for row in offsets.windows(2) {
        let [start, end] = row else { continue };
        let (start, end) = (place(*start), place(*end));
        if end - start <= FEW {
            let repeated = |at: &usize| (at + 1..end).any(|other| key(other) == key(*at));
            dropped.extend((start..end).filter(repeated));
            continue;
        }
        later.clear();
        let before = dropped.len();
        dropped.extend((start..end).rev().filter(|at| !later.insert(key(*at))));
        dropped.get_mut(before..).unwrap_or_default().reverse();
    }
    if dropped.is_empty() {
        return None;
    }
    let entries = offsets.last().map_or(0, |end| place(*end));
    let mut gone = dropped.iter().copied().peekable();
    let kept = (0..entries).filter(|at| gone.next_if_eq(at).is_none());
    let kept: Vec<u32> = kept.filter_map(|at| u32::try_from(at).ok()).collect();
    let mut gone = dropped.iter().copied().peekable();
    let mut before = 0;
    for offset in offsets {
        while gone.next_if(|at| *at < place(*offset)).is_some() {
            before += 1;
        }
        *offset -= before;
    }
    Some(kept.into())
}
