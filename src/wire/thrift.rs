//! Thrift's compact protocol, as far as it takes to find a field: everything else is passed over.
//!
//! The protocol is defined in
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// How deep structures may nest.
const MAX_DEPTH: usize = 32;

/// The type of a field's value, or of a list's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type(u8);

impl Type {
    pub(crate) const LIST: Self = Self(9);
}

/// Bytes of a structure that are not read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thrift<'a> {
    bytes: &'a [u8],
    depth: usize,
}

impl<'a> Thrift<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, depth: 0 }
    }

    /// Gives the number and type of every field of the structure at hand to `field`, with the bytes at
    /// its value; what it returns counts as read. `None` where the structure is cut short or no
    /// structure.
    pub(crate) fn fields(mut self, field: &mut dyn FnMut(i16, Type, Self) -> Option<Self>) -> Option<Self> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH)?;
        let mut last = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                self.depth -= 1;
                return Some(self);
            }
            last = match head >> 4 {
                0 => i16::try_from(self.signed()?).ok()?,
                step => last.checked_add(i16::from(step))?,
            };
            let depth = self.depth;
            self = field(last, Type(head & 0x0f), self)?;
            self.depth = depth;
        }
    }

    /// Gives the bytes at every item of the list at hand to `item`, with their type; what it returns
    /// counts as read.
    pub(crate) fn items(mut self, item: &mut dyn FnMut(Type, Self) -> Option<Self>) -> Option<Self> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        for _ in 0..count {
            self = item(Type(head & 0x0f), self)?;
        }
        Some(self)
    }

    /// What comes after a value of type `of`; `in_list` if it is a list's item.
    pub(crate) fn skip(mut self, of: Type, in_list: bool) -> Option<Self> {
        match of.0 {
            // A bool is its own type, but in a list.
            1 | 2 if in_list => self.byte().map(|_| self),
            1 | 2 => Some(self),
            3 => self.byte().map(|_| self),
            4..=6 => self.varint().map(|_| self),
            7 => self.take(8),
            8 => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                self.depth = self.depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH)?;
                let rest = self.items(&mut |of, value| value.skip(of, true))?;
                Some(Self { depth: self.depth - 1, ..rest })
            }
            12 => self.fields(&mut |_, of, value| value.skip(of, false)),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take(self, count: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(count..)?, ..self })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_passed_over() {
        // true, a byte, an i16, a double, a string, a list of bools, a list of 16 bytes, a struct, and a
        // field whose number does not follow.
        let mut bytes = vec![0x11, 0x13, 7, 0x14, 0x80, 1, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x18, 2, b'a', b'b'];
        bytes.extend([0x19, 0x21, 1, 2, 0x19, 0xf3, 16]);
        bytes.extend([9; 16]);
        bytes.extend([0x1c, 0x15, 4, 0, 0x05, 0x80, 4, 3, 0, 77]);
        let mut seen = Vec::new();
        let rest = Thrift::new(&bytes).fields(&mut |number, of, value| {
            seen.push((number, of.0));
            value.skip(of, false)
        });
        assert_eq!(seen, [(1, 1), (2, 3), (3, 4), (4, 7), (5, 8), (6, 9), (7, 9), (8, 12), (256, 5)]);
        assert_eq!(rest.unwrap().bytes, [77]);
        for end in 0..bytes.len() - 1 {
            assert!(Thrift::new(&bytes[..end]).skip(Type(12), false).is_none(), "{end}");
        }
    }

    #[test]
    fn nesting_ends() {
        assert!(Thrift::new(&[0x1c; 1000]).skip(Type(12), false).is_none());
        assert!(Thrift::new(&[0x19; 1000]).skip(Type::LIST, false).is_none());
    }
}
