//! The metadata of stored datasets: `SnapshotMetadataRecord` (binary) and
//! `DistributedSnapshotMetadata` (text).
//!
//! Both are messages of `tensorflow/core/protobuf/snapshot.proto` (and
//! `tensorflow/core/data/service/distributed_snapshot.proto`).

use super::dtype::DType;
use super::tensor_proto::{dtype_of, malformed};
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, LEN, VARINT};

/// What `snapshot.metadata` says of a stored dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Metadata {
    /// The fingerprint of the pipeline's graph; empty for `Dataset.save`.
    pub(crate) graph_hash: String,
    /// The folder that holds the data.
    pub(crate) run_id: String,
    /// The version of the format.
    pub(crate) version: i64,
    /// The dtypes of the components, in flatten order.
    pub(crate) dtypes: Vec<DType>,
    /// How many elements were written; 0 where it is not known yet, -2 where it never will be.
    pub(crate) num_elements: i64,
    /// Whether the writer finished.
    pub(crate) finalized: bool,
}

impl Metadata {
    /// Reads a serialized `SnapshotMetadataRecord`.
    ///
    /// # Errors
    /// The message is malformed, or its run id is not a plain number: it becomes part of a path.
    pub(crate) fn parse(message: &[u8]) -> Result<Self> {
        let wire = |e| malformed("snapshot metadata", e);
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| Error::corrupt("snapshot metadata is not UTF-8"))
        };
        let mut out = Self::default();
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag().map_err(wire)? {
                (1, LEN) => out.graph_hash = text(cursor.bytes().map_err(wire)?)?,
                (2, LEN) => out.run_id = text(cursor.bytes().map_err(wire)?)?,
                (4, VARINT) => out.version = cursor.varint().map_err(wire)?.cast_signed(),
                (5, VARINT) => out.dtypes.push(dtype_of(cursor.varint().map_err(wire)?)?),
                (5, LEN) => {
                    let mut packed = Cursor::new(cursor.bytes().map_err(wire)?);
                    while !packed.is_empty() {
                        out.dtypes.push(dtype_of(packed.varint().map_err(wire)?)?);
                    }
                }
                (6, VARINT) => out.num_elements = cursor.varint().map_err(wire)?.cast_signed(),
                (1000, VARINT) => out.finalized = cursor.varint().map_err(wire)? != 0,
                (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
            }
        }
        // Decimal, or hexadecimal in version 1.
        if out.run_id.is_empty() || !out.run_id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::corrupt("invalid run id in snapshot metadata")
                .expected("digits", format!("`{}`", out.run_id.escape_default())));
        }
        Ok(out)
    }
}

/// What the text `snapshot.metadata` of a distributed save says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DistributedMetadata {
    /// A serialized `StructuredValue`.
    pub(crate) element_spec: Vec<u8>,
    /// The compression's name; empty for none.
    pub(crate) compression: String,
}

impl DistributedMetadata {
    /// Reads a `DistributedSnapshotMetadata` in protobuf's text form.
    ///
    /// # Errors
    /// The text is not a list of `name: "value"`.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let bad = |at: usize, found: &str| {
            Error::corrupt("malformed distributed snapshot metadata")
                .expected("fields of the form `name: \"value\"`", found)
                .at_offset(at as u64)
        };
        let mut out = Self::default();
        let mut rest = text;
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return Ok(out);
            }
            let at = text.len() - rest.len();
            let end =
                rest.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).unwrap_or(rest.len());
            let (name, tail) = rest.split_at_checked(end).unwrap_or_default();
            let tail = tail.trim_ascii_start().strip_prefix(b":").ok_or_else(|| bad(at, "no colon"))?;
            let mut tail = tail.trim_ascii_start();
            let mut value = Vec::new();
            let mut any = false;
            // Adjacent literals are one, as in C.
            while let Some((quote @ (b'"' | b'\''), literal)) = tail.split_first() {
                let used = unescape(literal, *quote, &mut value)
                    .ok_or_else(|| bad(text.len() - tail.len(), "an unfinished or invalid string"))?;
                tail = literal.get(used..).unwrap_or_default().trim_ascii_start();
                any = true;
            }
            if !any {
                return Err(bad(text.len() - tail.len(), "no string"));
            }
            match name {
                b"element_spec" => out.element_spec = value,
                b"compression" => {
                    out.compression =
                        String::from_utf8(value).map_err(|_| bad(at, "text that is not UTF-8"))?;
                }
                _ => {}
            }
            rest = tail;
        }
    }
}

/// Appends the C-escaped bytes up to `quote` to `out`; gives the bytes used with the quote.
fn unescape(literal: &[u8], quote: u8, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let byte = *literal.get(at)?;
        at += 1;
        match byte {
            b'\n' => return None,
            byte if byte == quote => return Some(at),
            b'\\' => {
                let escape = *literal.get(at)?;
                at += 1;
                out.push(match escape {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'v' => 11,
                    b'\\' | b'\'' | b'"' | b'?' => escape,
                    b'0'..=b'7' => {
                        let mut value = u32::from(escape - b'0');
                        for _ in 0..2 {
                            let Some(digit @ b'0'..=b'7') = literal.get(at) else { break };
                            value = value * 8 + u32::from(digit - b'0');
                            at += 1;
                        }
                        u8::try_from(value).ok()?
                    }
                    b'x' | b'X' => {
                        let mut value = None;
                        for _ in 0..2 {
                            let digit = literal.get(at).and_then(|b| char::from(*b).to_digit(16));
                            let Some(digit) = digit else { break };
                            value = Some(value.unwrap_or(0) * 16 + digit);
                            at += 1;
                        }
                        u8::try_from(value?).ok()?
                    }
                    _ => return None,
                });
            }
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_metadata() {
        let mut message = vec![0x12, 19];
        message.extend(b"1885802537339266252");
        message.extend([0x20, 2, 0x2a, 2, 9, 7, 0x30, 5, 0xc0, 0x3e, 1]);
        let metadata = Metadata::parse(&message).unwrap();
        assert_eq!(metadata.run_id, "1885802537339266252");
        assert_eq!(metadata.dtypes, [DType::Int64, DType::String]);
        assert_eq!((metadata.version, metadata.num_elements, metadata.finalized), (2, 5, true));
        for run_id in ["../other/1", "", "a/b", "/etc"] {
            let mut message = vec![0x12, u8::try_from(run_id.len()).unwrap()];
            message.extend(run_id.as_bytes());
            assert!(Metadata::parse(&message).is_err(), "{run_id}");
        }
    }

    #[test]
    fn text_metadata() {
        let text = br#"element_spec: "\212\002\004\022\000\030\t\"\x41" 'b'
compression: "SNAPPY"
"#;
        let metadata = DistributedMetadata::parse(text).unwrap();
        assert_eq!(metadata.element_spec, b"\x8a\x02\x04\x12\x00\x18\t\"Ab");
        assert_eq!(metadata.compression, "SNAPPY");
        for bad in [&b"element_spec"[..], b"x: \"\\", b"x: \"abc", b"x: 5", b"\xff\xfe", b"x: \"\\777\""] {
            assert!(DistributedMetadata::parse(bad).is_err());
        }
        assert_eq!(DistributedMetadata::parse(b"").unwrap(), DistributedMetadata::default());
    }
}
