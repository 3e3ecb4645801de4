//! A message of the plan on its way to columns: its fields, and which of them a tag belongs to.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{FieldRef, Fields};

use super::fault::{Fault, What};
use super::layout::Layouts;
use super::leaf::LeafColumn;
use super::lists::{MapColumn, Messages, Values};
use super::presence::Presence;
use crate::error::Result;
use crate::schema::message::{Absent, Content, FieldNode, Framing, Leaf, MessageNode};
use crate::tf::descriptor::Scalar;
use crate::wire::proto::{self, Cursor, END_GROUP, FIXED32, FIXED64, LEN, START_GROUP, VARINT};

/// Field numbers below this are looked up at their place in a table.
const DENSE_NUMBERS: u32 = 1024;
/// No field.
const NONE: u32 = u32::MAX;

/// Where fields stand, by their numbers.
#[derive(Debug)]
pub(super) struct Lookup {
    dense: Box<[u32]>,
    sparse: Box<[(u32, u32)]>,
}

impl Lookup {
    fn new(fields: &[Field]) -> Self {
        let numbered =
            || fields.iter().enumerate().map(|(at, f)| (f.number, u32::try_from(at).unwrap_or(NONE)));
        let is_dense = |(number, _): &(u32, u32)| *number < DENSE_NUMBERS;
        let most = numbered().filter(is_dense).map(|(number, _)| number as usize).max();
        let mut dense = vec![NONE; most.map_or(0, |most| most + 1)].into_boxed_slice();
        for (number, at) in numbered().filter(is_dense) {
            if let Some(place) = dense.get_mut(number as usize) {
                *place = at;
            }
        }
        let mut sparse: Vec<(u32, u32)> = numbered().filter(|field| !is_dense(field)).collect();
        sparse.sort_unstable();
        Self { dense, sparse: sparse.into() }
    }

    /// Which field has this number; past the last one if none has.
    #[inline]
    pub(super) fn find(&self, number: u32) -> usize {
        match self.dense.get(number as usize) {
            Some(at) => *at as usize,
            None => self.find_sparse(number),
        }
    }

    #[inline(never)]
    fn find_sparse(&self, number: u32) -> usize {
        let found = self.sparse.binary_search_by_key(&number, |(number, _)| *number);
        found.ok().and_then(|at| self.sparse.get(at)).map_or(NONE as usize, |(_, at)| *at as usize)
    }
}

/// The fields of a message, as columns.
#[derive(Debug)]
pub(super) struct Node {
    fields: Vec<Field>,
    lookup: Lookup,
    /// For each oneof, the row for which one of its members was set last, and that member.
    oneofs: Vec<(usize, usize)>,
    /// Which rows the message is there in, unless it is in all.
    presence: Option<Presence>,
    flat: bool,
    /// How messages were laid out, if one of them may hold numbers alone.
    layouts: Option<Box<Layouts>>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    name: Box<str>,
    number: u32,
    /// The wire type of its values.
    wire_type: u32,
    oneof: Option<usize>,
    content: Column,
    field: FieldRef,
}

#[derive(Debug)]
enum Column {
    /// A value that displaces others of its oneof: read, and left at once.
    Passed(LeafColumn),
    One(LeafColumn),
    Many(Values),
    Message(Box<Node>),
    Messages(Box<Messages>),
    Map(Box<MapColumn>),
}

fn framing_type(framing: Framing) -> u32 {
    match framing {
        Framing::Length => LEN,
        Framing::Group => START_GROUP,
    }
}

impl Field {
    pub(super) fn new(node: &FieldNode) -> Self {
        let (content, wire_type) = match &node.content {
            Content::Passed(leaf) => {
                // Nobody looks at text that is passed over.
                let leaf = match leaf {
                    Leaf::Scalar(Scalar::String) => Leaf::Scalar(Scalar::Bytes),
                    Leaf::Scalar(_) | Leaf::Enum(_) | Leaf::Opaque(_) => leaf.clone(),
                    _ => Leaf::Opaque(Framing::Length),
                };
                let column = LeafColumn::new(&leaf, &Absent::Zero);
                let wire_type = column.wire_type();
                (Column::Passed(column), wire_type)
            }
            Content::One(leaf, absent) => {
                let column = LeafColumn::new(leaf, absent);
                let wire_type = column.wire_type();
                (Column::One(column), wire_type)
            }
            Content::Many(leaf) => {
                let column = LeafColumn::new(leaf, &Absent::Zero);
                let wire_type = column.wire_type();
                (Column::Many(Values::new(column)), wire_type)
            }
            Content::Message(node, framing) => {
                (Column::Message(Box::new(Node::new(node, true))), framing_type(*framing))
            }
            Content::Messages(node, framing) => {
                (Column::Messages(Box::new(Messages::new(node))), framing_type(*framing))
            }
            Content::Map { key, value } => (Column::Map(Box::new(MapColumn::new(key, value))), LEN),
        };
        Self {
            name: node.name.clone(),
            number: node.number,
            wire_type,
            oneof: node.oneof,
            content,
            field: node.field.clone(),
        }
    }

    /// As [`new`](Self::new), of the value of a map: a message is there in every entry.
    pub(super) fn of_map(node: &FieldNode) -> Self {
        let mut field = Self::new(node);
        if let Column::Message(node) = &mut field.content {
            node.presence = None;
        }
        field
    }

    pub(super) fn wire_type(&self) -> u32 {
        self.wire_type
    }

    /// Reads the next value of `cursor`, which is of wire type `wire_type`, for row `row`; returns
    /// whether the field now has a value, and is not to be treated as unknown.
    #[inline]
    pub(super) fn read(
        &mut self,
        wire_type: u32,
        row: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<bool, Fault> {
        if wire_type != self.wire_type {
            return self.read_other(wire_type, row, cursor);
        }
        let number = self.number;
        match &mut self.content {
            Column::One(leaf) => leaf.read(row, number, cursor),
            Column::Many(values) => values.read(row, number, cursor),
            Column::Message(node) => {
                node.mark(row);
                read_framed(wire_type, number, cursor, |cursor, group| node.read(cursor, group, row))
            }
            Column::Messages(messages) => {
                read_framed(wire_type, number, cursor, |cursor, group| messages.read(cursor, group, row))
            }
            Column::Map(map) => {
                let entry = cursor.short_bytes()?;
                let base = cursor.position() - entry.len();
                map.read(entry, row).map_err(|fault| fault.rebase(base))?;
                Ok(true)
            }
            Column::Passed(leaf) => {
                leaf.truncate(0);
                leaf.read(0, number, cursor)
            }
        }
    }

    /// Reads a packed run of values; what else has another wire type is an unknown field.
    #[inline]
    fn read_other(&mut self, wire_type: u32, row: usize, cursor: &mut Cursor<'_>) -> Result<bool, Fault> {
        match &mut self.content {
            Column::Many(values) if wire_type == LEN && values.packs() => {
                let run = cursor.short_bytes()?;
                let base = cursor.position() - run.len();
                values.read_packed(run, row).map_err(|fault| fault.rebase(base))?;
                Ok(true)
            }
            _ => {
                cursor.skip(self.number, wire_type)?;
                Ok(false)
            }
        }
    }

    /// Whether a value of wire type `wire_type` is a number that displaces nothing but itself.
    pub(super) fn is_number(&self, wire_type: u32) -> bool {
        let number = matches!(wire_type, VARINT | FIXED32 | FIXED64) && wire_type == self.wire_type;
        number && self.oneof.is_none() && matches!(self.content, Column::One(_))
    }

    /// Sets row `row` to a number, given as the bits that the wire has for it.
    #[inline]
    pub(super) fn set_number(&mut self, row: usize, bits: u64) {
        if let Column::One(leaf) = &mut self.content {
            leaf.set_number(row, bits);
        }
    }

    /// Which of the row's values is the last one, where there are several.
    #[cold]
    fn index(&self, row: usize) -> Option<usize> {
        match &self.content {
            Column::Many(values) => Some(values.index(row)),
            Column::Messages(messages) => Some(messages.index(row)),
            _ => None,
        }
    }

    /// Drops all rows but the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        match &mut self.content {
            Column::Passed(_) => {}
            Column::One(leaf) => leaf.truncate(rows),
            Column::Many(values) => values.truncate(rows),
            Column::Message(node) => node.truncate(rows),
            Column::Messages(messages) => messages.truncate(rows),
            Column::Map(map) => map.truncate(rows),
        }
    }

    pub(super) fn byte_len(&self, rows: usize) -> usize {
        match &self.content {
            Column::Passed(_) => 0,
            Column::One(leaf) => leaf.byte_len(rows),
            Column::Many(values) => values.byte_len(rows),
            Column::Message(node) => node.byte_len(rows),
            Column::Messages(messages) => messages.byte_len(rows),
            Column::Map(map) => map.byte_len(rows),
        }
    }

    /// How many bytes of columns a byte of the field may become.
    pub(super) fn growth(&self) -> usize {
        /// A varint of one byte becomes a number of eight; a value of no bytes has an offset.
        const VALUE: usize = 8;
        match &self.content {
            Column::Passed(_) | Column::One(_) | Column::Many(_) => VALUE,
            Column::Message(node) => node.growth(),
            Column::Messages(messages) => messages.growth(),
            Column::Map(map) => map.growth(),
        }
    }

    /// Gives the columns of `rows` rows to `out`: one, or those of a message that is flat. `nulls`
    /// says which rows are null because the message around it is not there.
    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        out: &mut Vec<ArrayRef>,
    ) -> Result<()> {
        let array: ArrayRef = match &mut self.content {
            Column::Passed(_) => return Ok(()),
            Column::One(leaf) => leaf.finish(rows, nulls)?,
            Column::Many(values) => values.finish(rows, nulls, &self.field)?,
            Column::Message(node) if node.flat => return node.finish(rows, nulls, out),
            Column::Message(node) => Arc::new(node.finish_struct(rows, nulls)?),
            Column::Messages(messages) => messages.finish(rows, nulls, &self.field)?,
            Column::Map(map) => map.finish(rows, nulls, &self.field)?,
        };
        out.push(array);
        Ok(())
    }
}

/// Reads a message behind its length, or one that ends with the end of group `number`.
#[inline]
fn read_framed(
    wire_type: u32,
    number: u32,
    cursor: &mut Cursor<'_>,
    mut read: impl FnMut(&mut Cursor<'_>, u32) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    if wire_type == LEN {
        let message = cursor.short_bytes()?;
        if let Err(fault) = read(&mut Cursor::new(message), 0) {
            return Err(fault.rebase(cursor.position() - message.len()));
        }
    } else {
        read(cursor, number)?;
    }
    Ok(true)
}

impl Node {
    /// The columns of `node`; `optional` says that it may be absent.
    pub(super) fn new(node: &MessageNode, optional: bool) -> Self {
        let fields: Vec<Field> = node.fields.iter().map(Field::new).collect();
        let numbers = fields.iter().filter(|field| field.is_number(field.wire_type)).count();
        Self {
            layouts: (numbers > 0).then(Box::default),
            lookup: Lookup::new(&fields),
            fields,
            oneofs: vec![(usize::MAX, 0); node.oneofs],
            presence: optional.then(Presence::default),
            flat: node.flat,
        }
    }

    /// The message is there in row `row`.
    #[inline]
    pub(super) fn mark(&mut self, row: usize) {
        if let Some(presence) = &mut self.presence {
            presence.mark(row);
        }
    }

    /// Reads a message into row `row`, or more of it, if some was read before: up to the end of
    /// `cursor`, or of the group of that number if it is not 0.
    ///
    /// # Errors
    /// It is not sound, or a column would grow too large.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, group: u32, row: usize) -> Result<(), Fault> {
        if group == 0
            && let Some(layouts) = &mut self.layouts
            && layouts.read(cursor.rest(), &self.lookup, &mut self.fields, row)
        {
            return Ok(());
        }
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.short_tag()?;
            if wire_type == END_GROUP {
                return match number == group {
                    true => Ok(()),
                    false => Err(bad_group(cursor)),
                };
            }
            let at = self.lookup.find(number);
            let Some(field) = self.fields.get_mut(at) else {
                cursor.skip(number, wire_type)?;
                continue;
            };
            match field.read(wire_type, row, cursor) {
                Ok(set) => {
                    if set && let Some(oneof) = field.oneof {
                        self.displace(oneof, at, row);
                    }
                }
                Err(fault) => return Err(fault.within(&field.name, field.index(row))),
            }
        }
        if group == 0 { Ok(()) } else { Err(bad_group(cursor)) }
    }

    /// Member `at` of `oneof` was set: another one that was set in this row no longer is.
    #[inline]
    fn displace(&mut self, oneof: usize, at: usize, row: usize) {
        let Some(last) = self.oneofs.get_mut(oneof) else { return };
        let (last_row, last_at) = std::mem::replace(last, (row, at));
        if last_row == row
            && last_at != at
            && let Some(other) = self.fields.get_mut(last_at)
        {
            other.truncate(row);
        }
    }

    /// Drops all rows but the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.fields.iter_mut().for_each(|field| field.truncate(rows));
        if let Some(presence) = &mut self.presence {
            presence.truncate(rows);
        }
        self.forget_oneofs();
    }

    /// Rows are numbered anew: what was set last does not matter any more.
    fn forget_oneofs(&mut self) {
        self.oneofs.fill((usize::MAX, 0));
    }

    /// Bytes that `rows` rows take.
    pub(super) fn byte_len(&self, rows: usize) -> usize {
        self.fields.iter().map(|field| field.byte_len(rows)).fold(0, usize::saturating_add)
    }

    /// How many bytes of columns a byte of the message may become, apart from what each row takes.
    pub(super) fn growth(&self) -> usize {
        self.fields.iter().map(Field::growth).max().unwrap_or(1)
    }

    /// Gives the columns of `rows` rows to `out`, in the order of the fields.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(super) fn finish(
        &mut self,
        rows: usize,
        nulls: Option<&NullBuffer>,
        out: &mut Vec<ArrayRef>,
    ) -> Result<()> {
        self.forget_oneofs();
        // A message that is there stands in one that is there.
        let own = self.presence.as_mut().map(|presence| presence.finish(rows));
        let nulls = match &own {
            Some(own) => own.as_ref(),
            None => nulls,
        };
        self.fields.iter_mut().try_for_each(|field| field.finish(rows, nulls, out))
    }

    /// The rows as structs.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub(super) fn finish_struct(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> Result<StructArray> {
        self.forget_oneofs();
        let nulls = match &mut self.presence {
            Some(presence) => presence.finish(rows),
            None => nulls.cloned(),
        };
        let mut arrays = Vec::with_capacity(self.fields.len());
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &mut self.fields {
            let before = arrays.len();
            field.finish(rows, None, &mut arrays)?;
            if arrays.len() > before {
                fields.push(field.field.clone());
            }
        }
        Ok(StructArray::try_new(Fields::from(fields), arrays, nulls)?)
    }
}

#[cold]
fn bad_group(cursor: &Cursor<'_>) -> Fault {
    Fault::new(cursor.position(), What::Wire(proto::Fault::BadGroup))
}
