//! Version 1 of `Dataset.snapshot`: records after their length, without checksums.
//!
//! Without compression, or in one gzip stream, a record is a `SnapshotRecord`
//! (`{1: repeated TensorProto}`), one element. With Snappy an element is two records: a
//! `SnapshotTensorMetadata` (`{1: repeated {2: shape, 3: bytes}}`), and a Snappy block of the
//! components one after the other, plain values or, where there is no such thing, a `TensorProto`.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::payload::{Owned, OwnedPart, Stored};
use super::stream::StreamOptions;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::Phrase;
use crate::source::Progress;
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Dims, malformed, parse_shape};
use crate::wire::proto::{Cursor, LEN, VARINT};
use crate::wire::snappy;

/// Reads one file.
pub(super) struct LegacyReader {
    reader: Box<dyn Read + Send>,
    source: Arc<str>,
    dtypes: Vec<DType>,
    max_record_bytes: u64,
    progress: Arc<Progress>,
    /// Records hold `SnapshotRecord`s; `None` before the first record.
    plain: Option<bool>,
    offset: u64,
    number: u64,
}

impl LegacyReader {
    /// Opens a file.
    pub(super) fn open(input: &Input, options: &StreamOptions) -> Result<Self> {
        let source = input.name();
        let fail = |e| Error::io("cannot read input", e).in_source(source.clone());
        let mut file = BufReader::with_capacity(1 << 18, input.open()?.0);
        let first = std::io::BufRead::fill_buf(&mut file).map_err(fail)?;
        let gzip = first.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read + Send> = match gzip {
            false => Box::new(file),
            #[cfg(feature = "gzip")]
            true => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            #[cfg(not(feature = "gzip"))]
            true => {
                return Err(
                    Error::unsupported("gzip input").with_hint("build tfarrow with the feature `gzip`")
                );
            }
        };
        Ok(Self {
            reader,
            source,
            dtypes: options.dtypes.clone(),
            max_record_bytes: options.max_record_bytes,
            progress: options.progress.clone(),
            plain: gzip.then_some(true),
            offset: 0,
            number: 0,
        })
    }

    fn place(&self, error: Error) -> Error {
        error.at_offset(self.offset).at_record(self.number).in_source(self.source.clone())
    }

    /// The next record; `None` at the end of the file.
    fn record(&mut self) -> Result<Option<Vec<u8>>> {
        let mut length = Vec::with_capacity(8);
        let fail = |this: &Self, e| this.place(Error::corrupt("cannot read record").with_cause(e));
        (&mut self.reader).take(8).read_to_end(&mut length).map_err(|e| fail(self, e))?;
        if length.is_empty() {
            return Ok(None);
        }
        let Some(length) = length.first_chunk::<8>().map(|length| u64::from_le_bytes(*length)) else {
            return Err(
                self.place(Error::corrupt("truncated record").expected("8 bytes", length.len().to_string()))
            );
        };
        if length > self.max_record_bytes {
            return Err(self.place(
                Error::limit(format!("record of {length} bytes"))
                    .expected(format!("at most {} bytes", self.max_record_bytes), length.to_string())
                    .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound")),
            ));
        }
        let mut record = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut record).map_err(|e| fail(self, e))?;
        if record.len() as u64 != length {
            let error = Error::corrupt("truncated record");
            return Err(self.place(error.expected(format!("{length} bytes"), record.len().to_string())));
        }
        self.progress.add_bytes(length + 8);
        Ok(Some(record))
    }

    /// The next element; `None` at the end of the file.
    pub(super) fn next_element(&mut self) -> Result<Option<Owned>> {
        let Some(record) = self.record()? else { return Ok(None) };
        let start = self.offset;
        let body = self.offset + 8;
        self.offset = body + record.len() as u64;
        let plain = match self.plain {
            Some(plain) => plain,
            None => *self.plain.insert(
                plain_parts(&record).is_ok_and(|parts| parts.len() == self.dtypes.len())
                    && !is_metadata(&record),
            ),
        };
        let parts = if plain { plain_parts(&record) } else { metadata_parts(&record, &self.dtypes) };
        let parts = parts.map_err(|e| self.place(e.rebase(body)))?;
        let (bytes, parts) = if plain { (record, parts) } else { self.unpack(parts)? };
        if parts.len() != self.dtypes.len() {
            return Err(self.place(
                Error::corrupt("element with another number of components")
                    .expected(self.dtypes.len().to_string(), parts.len().to_string()),
            ));
        }
        let number = self.number;
        self.number += 1;
        let offset = if plain { body } else { start };
        Ok(Some(Owned { source: self.source.clone(), number, offset, bytes, parts }))
    }

    /// Reads the block that follows the metadata.
    fn unpack(&mut self, parts: Vec<OwnedPart>) -> Result<(Vec<u8>, Vec<OwnedPart>)> {
        let Some(block) = self.record()? else {
            return Err(self.place(Error::corrupt("file ends inside an element")));
        };
        let mut bytes = Vec::new();
        snappy::decode(&block, self.max_record_bytes, &mut bytes)
            .map_err(|what| self.place(Error::corrupt(format!("corrupt snappy block: {what}"))))?;
        let expected = parts.last().map_or(0, |part| part.range.end);
        if bytes.len() != expected {
            return Err(self.place(
                Error::corrupt("element of another size than its metadata says")
                    .expected(format!("{expected} bytes"), bytes.len().to_string()),
            ));
        }
        self.offset += 8 + block.len() as u64;
        Ok((bytes, parts))
    }
}

/// The components of a `SnapshotRecord`.
fn plain_parts(record: &[u8]) -> Result<Vec<OwnedPart>> {
    let wire = |e| malformed("SnapshotRecord", e);
    let mut parts = Vec::new();
    let mut cursor = Cursor::new(record);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (1, LEN) => {
                let bytes = cursor.bytes().map_err(wire)?;
                let end = cursor.position();
                parts.push(OwnedPart { range: end - bytes.len()..end, kind: Stored::Proto });
            }
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    Ok(parts)
}

/// Whether the messages of field 1 have no dtype, as a `TensorProto` must have.
fn is_metadata(record: &[u8]) -> bool {
    let Ok(parts) = plain_parts(record) else { return false };
    parts.iter().all(|part| {
        let mut cursor = Cursor::new(record.get(part.range.clone()).unwrap_or_default());
        while !cursor.is_empty() {
            match cursor.tag() {
                Ok((1, VARINT)) => return false,
                Ok((field, wire_type)) if cursor.skip(field, wire_type).is_ok() => {}
                _ => return false,
            }
        }
        true
    })
}

/// Where the components that a `SnapshotTensorMetadata` describes will stand.
fn metadata_parts(record: &[u8], dtypes: &[DType]) -> Result<Vec<OwnedPart>> {
    let wire = |e| malformed("SnapshotTensorMetadata", e);
    let mut parts: Vec<OwnedPart> = Vec::new();
    let mut cursor = Cursor::new(record);
    while !cursor.is_empty() {
        let (1, LEN) = cursor.tag().map_err(wire)? else {
            return Err(Error::corrupt("malformed SnapshotTensorMetadata: unknown field"));
        };
        let (mut dims, mut bytes) = (Dims::default(), 0u64);
        let mut item = Cursor::new(cursor.bytes().map_err(wire)?);
        while !item.is_empty() {
            match item.tag().map_err(wire)? {
                (2, LEN) => parse_shape(item.bytes().map_err(wire)?, &mut false, |size| {
                    let size = u64::try_from(size).map_err(|_| Error::corrupt("invalid tensor shape"))?;
                    if dims.len() >= 254 {
                        return Err(Error::limit("tensor of more than 254 dimensions"));
                    }
                    dims.push(size);
                    Ok(())
                })?,
                (3, VARINT) => bytes = item.varint().map_err(wire)?,
                (field, wire_type) => item.skip(field, wire_type).map_err(wire)?,
            }
        }
        let start = parts.last().map_or(0, |part| part.range.end);
        let end = usize::try_from(bytes).ok().and_then(|bytes| start.checked_add(bytes));
        let end = end.ok_or_else(|| Error::limit("component above the address space"))?;
        let kind = match dtypes.get(parts.len()) {
            Some(dtype) if dtype.item_bytes().is_some() => Stored::Plain(*dtype, dims),
            _ => Stored::Proto,
        };
        parts.push(OwnedPart { range: start..end, kind });
    }
    Ok(parts)
}
