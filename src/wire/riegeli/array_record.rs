//! ArrayRecord's own part of a Riegeli file: the index of chunks at its end.
//!
//! The last 64 KiB begin with a chunk of three identical postscripts, which say where the footer
//! chunk is; the footer's first record is metadata, the others say where the data chunks are and
//! how many records each holds. Zero values may be left out.

use super::{BLOCK_BYTES, BLOCK_HEADER_BYTES, CHUNK_HEADER_BYTES, ChunkDecoder, Records, SIGNATURE};
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, LEN, VARINT, WireError};

/// The number that marks a postscript.
const MAGIC: u64 = 0x7193_0e70_4fda_e05e;
/// The footer's only version.
const VERSION: u64 = 1;
/// The least that a chunk adds to a file, and the most that it adds to the footer, in bytes.
const FOOTER_BYTES_PER_CHUNK: u64 = 64;

/// Where the chunks of an ArrayRecord file are, and which records each holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// Where each chunk begins, and where the last one ends at the latest.
    offsets: Vec<u64>,
    first_records: FirstRecords,
    /// The number of records.
    pub(crate) records: u64,
    /// What the file was written with, as the writer put it.
    pub(crate) writer_options: String,
}

/// The number of each chunk's first record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FirstRecords {
    /// Every chunk but the last holds so many.
    Even(u64),
    Each(Vec<u64>),
}

impl Default for FirstRecords {
    fn default() -> Self {
        FirstRecords::Even(1)
    }
}

impl Index {
    /// The number of chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Where the chunk `chunk` begins in the file. The number after the last chunk's gives where
    /// that ends.
    pub(crate) fn offset(&self, chunk: usize) -> u64 {
        self.offsets.get(chunk).or(self.offsets.last()).copied().unwrap_or(0)
    }

    /// The number of the first record of the chunk `chunk`.
    pub(crate) fn first_record(&self, chunk: usize) -> u64 {
        let first = match &self.first_records {
            FirstRecords::Even(records) => (chunk as u64).saturating_mul(*records),
            FirstRecords::Each(firsts) => firsts.get(chunk).copied().unwrap_or(self.records),
        };
        first.min(self.records)
    }

    /// The chunk that holds the record `record`; the number of chunks if none does.
    pub(crate) fn chunk_of(&self, record: u64) -> usize {
        if record >= self.records {
            return self.chunks();
        }
        match &self.first_records {
            FirstRecords::Even(records) => {
                record.checked_div(*records).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
            }
            FirstRecords::Each(firsts) => firsts.partition_point(|first| *first <= record).saturating_sub(1),
        }
    }
}

/// Whether a file begins as every Riegeli file does.
pub(crate) fn is_signature(first: &[u8]) -> bool {
    first.starts_with(&SIGNATURE)
}

fn no_postscript() -> Error {
    Error::corrupt("no ArrayRecord index at the end of the file")
        .with_hint("is the file whole, and is it an ArrayRecord file?")
}

/// Where the last block of a file of `file_bytes` bytes begins.
///
/// # Errors
/// An ArrayRecord file cannot have that size.
pub(crate) fn postscript_offset(file_bytes: u64) -> Result<u64> {
    let offset = file_bytes.checked_sub(BLOCK_BYTES).filter(|offset| offset % BLOCK_BYTES == 0);
    offset.filter(|offset| *offset > 0).ok_or_else(|| {
        no_postscript().expected("at least two whole blocks of 64 KiB", format!("{file_bytes} bytes"))
    })
}

/// Where the footer chunk is, from the last block of the file, which begins at `begin`.
///
/// # Errors
/// The block does not begin with postscripts, or they point to where no footer can be.
pub(crate) fn footer_offset(block: &[u8], begin: u64) -> Result<u64> {
    let mut decoder = ChunkDecoder::default();
    let records = decoder.decode(block, begin, BLOCK_BYTES)?;
    let message = records.get(0).filter(|_| records.len() == 3).ok_or_else(no_postscript)?;
    let (offset, magic) = postscript(message).map_err(|_| no_postscript())?;
    if magic != MAGIC {
        return Err(no_postscript().at_offset(begin));
    }
    if offset < SIGNATURE.len() as u64 || offset.saturating_add(CHUNK_HEADER_BYTES) > begin {
        return Err(Error::corrupt("footer outside of the file")
            .expected(format!("from 64 to {begin}"), offset.to_string())
            .at_offset(begin));
    }
    Ok(offset)
}

fn postscript(message: &[u8]) -> Result<(u64, u64), WireError> {
    let (mut offset, mut magic) = (0, 0);
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, VARINT) => offset = cursor.varint()?,
            (2, VARINT) => magic = cursor.varint()?,
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok((offset, magic))
}

/// Reads the index from the footer chunk, which begins at `begin`; `raw` holds the file's bytes
/// from there to its last block.
///
/// # Errors
/// The chunk is damaged, of an unknown version, or what it says does not fit the file.
pub(crate) fn read_index(raw: &[u8], begin: u64) -> Result<Index> {
    let mut decoder = ChunkDecoder::default();
    // A chunk takes at least its header, so the place of the footer bounds its size.
    let cap = (begin / CHUNK_HEADER_BYTES).saturating_mul(FOOTER_BYTES_PER_CHUNK).saturating_add(BLOCK_BYTES);
    let records = decoder.decode(raw, begin, cap)?;
    index_of(&records, begin).map_err(|e| e.at_offset(begin))
}

fn bad(what: &str) -> Error {
    Error::corrupt(format!("corrupt ArrayRecord footer: {what}"))
}

fn index_of(records: &Records<'_>, begin: u64) -> Result<Index> {
    let wire = |_: WireError| bad("it is no message");
    let metadata = records.get(0).ok_or_else(|| bad("it is empty"))?;
    let (mut version, mut chunks, mut total, mut writer_options) = (0, 0, 0, String::new());
    let mut cursor = Cursor::new(metadata);
    while !cursor.is_empty() {
        let (1, LEN) = cursor.tag().map_err(wire)? else { return Err(bad("it is no metadata")) };
        let mut inner = Cursor::new(cursor.bytes().map_err(wire)?);
        while !inner.is_empty() {
            match inner.tag().map_err(wire)? {
                (1, VARINT) => version = inner.varint().map_err(wire)?,
                (2, VARINT) => chunks = inner.varint().map_err(wire)?,
                (3, VARINT) => total = inner.varint().map_err(wire)?,
                (4, LEN) => {
                    writer_options = String::from_utf8_lossy(inner.bytes().map_err(wire)?).into_owned();
                }
                (field, wire_type) => inner.skip(field, wire_type).map_err(wire)?,
            }
        }
    }
    if version != VERSION {
        return Err(Error::unsupported("ArrayRecord footer of another version")
            .expected(VERSION.to_string(), version.to_string()));
    }
    if chunks != records.len() as u64 - 1 {
        return Err(bad("chunks are not as many as it says")
            .expected(chunks.to_string(), (records.len() - 1).to_string()));
    }
    let mut offsets = Vec::with_capacity(records.len());
    let mut firsts = Vec::with_capacity(records.len());
    let mut next_record = 0u64;
    let mut least = SIGNATURE.len() as u64;
    for chunk in 1..records.len() {
        let (offset, count) = chunk_entry(records.get(chunk).unwrap_or_default()).map_err(wire)?;
        if offset < least || offset.saturating_add(CHUNK_HEADER_BYTES) > begin {
            return Err(bad("a chunk is not where it can be")
                .expected(format!("from {least} to {begin}"), offset.to_string()));
        }
        least = offset.saturating_add(CHUNK_HEADER_BYTES - BLOCK_HEADER_BYTES);
        offsets.push(offset);
        firsts.push(next_record);
        next_record = next_record.checked_add(count).ok_or_else(|| bad("too many records"))?;
    }
    if next_record != total {
        return Err(
            bad("records are not as many as it says").expected(total.to_string(), next_record.to_string())
        );
    }
    offsets.push(begin);
    // Mostly every chunk holds as many records as every other.
    let each = firsts.get(1).copied().unwrap_or(total).max(1);
    let even = firsts.iter().zip(0u64..).all(|(first, chunk)| Some(*first) == chunk.checked_mul(each))
        && (firsts.len() as u64).checked_mul(each).is_some_and(|most| total <= most);
    let first_records = if even { FirstRecords::Even(each) } else { FirstRecords::Each(firsts) };
    Ok(Index { offsets, first_records, records: total, writer_options })
}

/// A chunk's offset and its number of records.
fn chunk_entry(message: &[u8]) -> Result<(u64, u64), WireError> {
    let (mut offset, mut count) = (0, 0);
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, VARINT) => offset = cursor.varint()?,
            (3, VARINT) => count = cursor.varint()?,
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok((offset, count))
}
