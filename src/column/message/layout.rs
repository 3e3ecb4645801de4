//! Messages that are laid out as one before them: numbers alone, each at its place.
//!
//! Most messages of numbers have them in the same order, and as long as each other: then their tags are
//! only compared, and the values taken from where they stand.

use super::node::{Field, Lookup};
use crate::wire::proto::{Cursor, FIXED32, FIXED64, VARINT};

/// Layouts that are kept, by the length of the message.
const KEPT: usize = 8;
/// Longer messages are not compared.
const MAX_BYTES: usize = 1024;
/// Of so many messages that are laid out in another way, one is looked at.
const PATIENCE: u32 = 16;

/// What a value takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// A varint of one byte.
    Byte,
    /// A varint of so many bytes.
    Varint(usize),
    Four,
    Eight,
}

/// One field of the message.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Where its tag stands.
    at: usize,
    tag: [u8; 2],
    /// Whether the tag takes both bytes.
    long: bool,
    width: Width,
    /// Which field of the message it is; past the last one if it is not read.
    field: usize,
}

#[derive(Debug, Default)]
struct Layout {
    bytes: usize,
    slots: Vec<Slot>,
    misses: u32,
}

/// The layouts that messages had.
#[derive(Debug, Default)]
pub(super) struct Layouts([Layout; KEPT]);

impl Layouts {
    /// Reads `message` into row `row` if it is laid out as one before it; returns whether it was. What was
    /// read of one that was not is the same when it is read again.
    #[inline]
    pub(super) fn read(&mut self, message: &[u8], lookup: &Lookup, fields: &mut [Field], row: usize) -> bool {
        let Some(layout) = self.0.get_mut(message.len() % KEPT) else { return false };
        if layout.bytes == message.len() && layout.read(message, fields, row) {
            return true;
        }
        layout.miss(message, lookup, fields);
        false
    }
}

impl Layout {
    #[inline]
    fn read(&self, message: &[u8], fields: &mut [Field], row: usize) -> bool {
        let read = |slot: &Slot, fields: &mut [Field]| -> Option<()> {
            let rest = message.get(slot.at..)?;
            let value = match slot.long {
                false => rest.strip_prefix(&slot.tag[..1])?,
                true => rest.strip_prefix(&slot.tag[..])?,
            };
            let word = match slot.width {
                Width::Byte => value.first().filter(|byte| **byte < 0x80).map(|byte| u64::from(*byte))?,
                Width::Four => value.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)))?,
                Width::Eight => value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))?,
                Width::Varint(width) => {
                    let mut cursor = Cursor::new(value);
                    let word = cursor.any_varint().ok()?;
                    (cursor.position() == width).then_some(word)?
                }
            };
            if let Some(field) = fields.get_mut(slot.field) {
                field.set_number(row, word);
            }
            Some(())
        };
        self.slots.iter().all(|slot| read(slot, fields).is_some())
    }

    /// The message was laid out in another way: perhaps those that come are as well.
    #[cold]
    fn miss(&mut self, message: &[u8], lookup: &Lookup, fields: &[Field]) {
        let looks = self.misses.is_multiple_of(PATIENCE);
        self.misses = self.misses.wrapping_add(1);
        if looks && message.len() <= MAX_BYTES && !message.is_empty() {
            self.slots.clear();
            let is_of_numbers = self.learn(message, lookup, fields).is_some();
            self.bytes = if is_of_numbers { message.len() } else { 0 };
        }
    }

    /// Learns where the fields of `message` stand; `None` if it holds anything but numbers.
    fn learn(&mut self, message: &[u8], lookup: &Lookup, fields: &[Field]) -> Option<()> {
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            let at = cursor.position();
            let (number, wire_type) = cursor.tag().ok()?;
            let value_at = cursor.position();
            let tag = message.get(at..value_at)?;
            let (tag, long) = match *tag {
                [tag] => ([tag, 0], false),
                [first, second] => ([first, second], true),
                _ => return None,
            };
            let field = lookup.find(number);
            if fields.get(field).is_some_and(|field| !field.is_number(wire_type)) {
                return None;
            }
            let width = match wire_type {
                FIXED32 => Width::Four,
                FIXED64 => Width::Eight,
                VARINT => Width::Byte,
                _ => return None,
            };
            cursor.skip(number, wire_type).ok()?;
            let width = match (width, cursor.position() - value_at) {
                (Width::Byte, bytes) if bytes > 1 => Width::Varint(bytes),
                (width, _) => width,
            };
            self.slots.push(Slot { at, tag, long, width, field });
        }
        Some(())
    }
}
