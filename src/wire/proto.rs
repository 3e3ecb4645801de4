//! Protobuf's wire format, read without a generated message: tags, varints, lengths.
//!
//! The rules are those of <https://protobuf.dev/programming-guides/encoding/>. All readers take a
//! slice and give back sub-slices of it; none allocates.

use std::fmt;

/// A message's bytes broke a rule of the wire format at byte `at` of the slice that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireError {
    /// The byte within the slice.
    pub(crate) at: usize,
    /// The rule.
    pub(crate) fault: Fault,
}

/// The rules that input can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The slice ends inside a value.
    Truncated,
    /// A varint of more than ten bytes.
    LongVarint,
    /// A length that points past the end of the slice.
    LengthPastEnd,
    /// Field number 0, or a wire type that does not exist.
    BadTag,
    /// Packed fixed-width values whose length is no multiple of their width.
    RaggedPacked,
    /// Groups nested too deeply, or one that is not closed.
    BadGroup,
    /// A string that is not UTF-8.
    NotUtf8,
    /// An entry of a map that has bytes, but neither a key nor a value of their types.
    NotAnEntry,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Truncated => "the message ends inside a value",
            Fault::LongVarint => "a varint is longer than ten bytes",
            Fault::LengthPastEnd => "a length points past the end of the message",
            Fault::BadTag => "a field tag is invalid",
            Fault::RaggedPacked => "packed values do not fill their length",
            Fault::BadGroup => "a group is not closed or nests too deeply",
            Fault::NotUtf8 => "a string is not UTF-8",
            Fault::NotAnEntry => "an entry of a map has no key and value",
        })
    }
}

impl WireError {
    pub(crate) fn new(at: usize, fault: Fault) -> Self {
        Self { at, fault }
    }

    /// The same error seen from a slice in which this one's slice begins at `base`.
    pub(crate) fn rebase(self, base: usize) -> Self {
        Self { at: self.at.saturating_add(base), ..self }
    }
}

/// Wire types of the encoding.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LEN: u32 = 2;
pub(crate) const START_GROUP: u32 = 3;
pub(crate) const END_GROUP: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

const MAX_GROUP_DEPTH: usize = 100;

/// A position-aware reader of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    buf: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(buf: &'a [u8]) -> Self {
        Self { buf, len: buf.len() }
    }

    /// Bytes read so far.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.len - self.buf.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    #[inline]
    fn error(&self, fault: Fault) -> WireError {
        WireError::new(self.position(), fault)
    }

    /// What is left, left in place.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.buf
    }

    /// The next byte, left in place.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.buf.first().copied()
    }

    /// A base-128 varint; bits above the 64th are dropped, as protobuf does.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.buf.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.buf = rest;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        let mut shift = 0u32;
        for (i, &byte) in self.buf.iter().enumerate() {
            if i == 10 {
                return Err(self.error(Fault::LongVarint));
            }
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                self.buf = self.buf.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
            shift += 7;
        }
        let fault = if self.buf.len() >= 10 { Fault::LongVarint } else { Fault::Truncated };
        Err(self.error(fault))
    }

    /// As [`varint`](Self::varint), for values that are as often long as short.
    #[inline]
    pub(crate) fn any_varint(&mut self) -> Result<u64, WireError> {
        match self.buf.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.buf = rest;
                Ok(u64::from(byte))
            }
            _ => self.word_varint(),
        }
    }

    /// A varint of up to eight bytes in a few steps, whatever its length.
    fn word_varint(&mut self) -> Result<u64, WireError> {
        if let Some((word, _)) = self.buf.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let stops = !word & STOPS;
            if stops != 0 {
                let value = gather7(word & (stops ^ (stops - 1)));
                let bytes = (stops.trailing_zeros() >> 3) + 1;
                self.buf = self.buf.get(bytes as usize..).unwrap_or_default();
                return Ok(value);
            }
        }
        self.long_varint()
    }

    /// As [`tag`](Self::tag), for fields of which many have a tag of two bytes.
    #[inline]
    pub(crate) fn short_tag(&mut self) -> Result<(u32, u32), WireError> {
        let (tag, rest) = match self.buf {
            [a, rest @ ..] if *a < 0x80 => (u32::from(*a), rest),
            [a, b, rest @ ..] if *b < 0x80 => (u32::from(*a & 0x7f) | u32::from(*b) << 7, rest),
            _ => return self.tag(),
        };
        if tag < 8 || tag & 7 > FIXED32 {
            return self.tag();
        }
        self.buf = rest;
        Ok((tag >> 3, tag & 7))
    }

    /// As [`bytes`](Self::bytes), for lengths of one or two bytes.
    #[inline]
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let (length, rest) = match self.buf {
            [a, rest @ ..] if *a < 0x80 => (usize::from(*a), rest),
            [a, b, rest @ ..] if *b < 0x80 => (usize::from(*a & 0x7f) | usize::from(*b) << 7, rest),
            _ => return self.bytes(),
        };
        match rest.split_at_checked(length) {
            Some((head, rest)) => {
                self.buf = rest;
                Ok(head)
            }
            None => self.bytes(),
        }
    }

    /// What stands in the group of field `field`, whose tag was read; its end is passed.
    pub(crate) fn group(&mut self, field: u32) -> Result<&'a [u8], WireError> {
        let start = self.buf;
        loop {
            if self.is_empty() {
                return Err(self.error(Fault::BadGroup));
            }
            let before = self.buf;
            let (inner, wire_type) = self.tag()?;
            if wire_type == END_GROUP && inner == field {
                return Ok(start.get(..start.len() - before.len()).unwrap_or_default());
            }
            self.skip(inner, wire_type)?;
        }
    }

    /// A field's number and wire type.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<(u32, u32), WireError> {
        let start = *self;
        let raw = self.varint()?;
        let tag = u32::try_from(raw).map_err(|_| start.error(Fault::BadTag))?;
        let (field, wire_type) = (tag >> 3, tag & 7);
        if field == 0 || wire_type > FIXED32 {
            return Err(start.error(Fault::BadTag));
        }
        Ok((field, wire_type))
    }

    /// The next `n` bytes.
    #[inline]
    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        match self.buf.split_at_checked(n) {
            Some((head, rest)) => {
                self.buf = rest;
                Ok(head)
            }
            None => Err(self.error(Fault::Truncated)),
        }
    }

    /// A length and that many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let start = *self;
        let len = self.varint()?;
        match usize::try_from(len).ok().and_then(|n| self.buf.split_at_checked(n)) {
            Some((head, rest)) => {
                self.buf = rest;
                Ok(head)
            }
            None => Err(start.error(Fault::LengthPastEnd)),
        }
    }

    /// Four little-endian bytes.
    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<[u8; 4], WireError> {
        match self.buf.split_first_chunk::<4>() {
            Some((head, rest)) => {
                self.buf = rest;
                Ok(*head)
            }
            None => Err(self.error(Fault::Truncated)),
        }
    }

    /// Eight little-endian bytes.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<[u8; 8], WireError> {
        match self.buf.split_first_chunk::<8>() {
            Some((head, rest)) => {
                self.buf = rest;
                Ok(*head)
            }
            None => Err(self.error(Fault::Truncated)),
        }
    }

    /// Steps over the value of a field whose tag was read.
    pub(crate) fn skip(&mut self, field: u32, wire_type: u32) -> Result<(), WireError> {
        match wire_type {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LEN => self.bytes().map(drop),
            FIXED32 => self.fixed32().map(drop),
            START_GROUP => self.skip_group(field),
            _ => Err(self.error(Fault::BadGroup)),
        }
    }

    fn skip_group(&mut self, field: u32) -> Result<(), WireError> {
        let mut open = vec![field];
        while let Some(&innermost) = open.last() {
            if self.is_empty() {
                return Err(self.error(Fault::BadGroup));
            }
            let (field, wire_type) = self.tag()?;
            match wire_type {
                START_GROUP if open.len() >= MAX_GROUP_DEPTH => {
                    return Err(self.error(Fault::BadGroup));
                }
                START_GROUP => open.push(field),
                END_GROUP if field == innermost => {
                    open.pop();
                }
                END_GROUP => return Err(self.error(Fault::BadGroup)),
                other => self.skip(field, other)?,
            }
        }
        Ok(())
    }
}

/// Where bytes end varints, once inverted.
pub(super) const STOPS: u64 = 0x8080_8080_8080_8080;

/// Packs the low seven bits of each byte together.
#[inline]
pub(super) fn gather7(x: u64) -> u64 {
    let x = x & !STOPS;
    let x = (x & 0x007f_007f_007f_007f) | ((x & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

/// Appends `value` to `out` as a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_ways_give_what_the_long_ones_give(bytes in proptest::collection::vec(any::<u8>(), 0..14)) {
            let new = || Cursor::new(&bytes);
            let (mut short, mut long) = (new(), new());
            prop_assert_eq!(short.any_varint(), long.varint());
            prop_assert_eq!(short.rest(), long.rest());
            let (mut short, mut long) = (new(), new());
            prop_assert_eq!(short.short_tag(), long.tag());
            prop_assert!(short.rest() == long.rest());
            let (mut short, mut long) = (new(), new());
            prop_assert_eq!(short.short_bytes(), long.bytes());
            prop_assert_eq!(short.rest(), long.rest());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut cursor = Cursor::new(&bytes);
            while !cursor.is_empty() {
                let Ok((field, wire_type)) = cursor.tag() else { break };
                if cursor.skip(field, wire_type).is_err() { break }
            }
        }
    }

    #[test]
    fn non_minimal_and_overlong_varints() {
        let mut cursor = Cursor::new(&[0x81, 0x80, 0x00]);
        assert_eq!(cursor.varint(), Ok(1));
        let ten = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(Cursor::new(&ten).varint(), Ok(u64::MAX));
        let eleven = [0x80; 11];
        assert_eq!(Cursor::new(&eleven).varint().unwrap_err().fault, Fault::LongVarint);
    }

    #[test]
    fn groups_are_skipped_with_bounded_depth() {
        // group 3 { group 4 { 5: varint 1 } }
        let bytes = [0x1b, 0x23, 0x28, 0x01, 0x24, 0x1c];
        let mut cursor = Cursor::new(&bytes);
        let (field, wire_type) = cursor.tag().unwrap();
        cursor.skip(field, wire_type).unwrap();
        assert!(cursor.is_empty());
        let deep = [0x1b; 500];
        let mut cursor = Cursor::new(&deep);
        let (field, wire_type) = cursor.tag().unwrap();
        assert_eq!(cursor.skip(field, wire_type).unwrap_err().fault, Fault::BadGroup);
    }
}
