//! The Riegeli container, as ArrayRecord files use it: chunks of records between block headers.
//!
//! A file is a sequence of chunks, interrupted at every multiple of 64 KiB by a block header of 24
//! bytes. Block headers help to find chunks after damage; a reader that knows where chunks begin
//! steps over them. A chunk begins with a header:
//!
//! | offset | size | content |
//! | --- | --- | --- |
//! | 0 | 8 | HighwayHash64 of the other 32 bytes |
//! | 8 | 8 | `data_size`, without block headers |
//! | 16 | 8 | HighwayHash64 of the data |
//! | 24 | 1 | chunk type |
//! | 25 | 7 | number of records |
//! | 32 | 8 | sum of the records' sizes |
//!
//! The format is defined by `doc/riegeli_records_file_format.md` of
//! <https://github.com/google/riegeli>.

pub(crate) mod array_record;
mod codec;
mod transposed;

use highway::{HighwayHash, HighwayHasher, Key};

use self::codec::{Codec, Codecs};
use super::proto::Cursor;
use crate::error::{Error, Result};
use crate::options::Phrase;

/// Distance between block headers.
pub(crate) const BLOCK_BYTES: u64 = 1 << 16;
/// Bytes of a block header.
pub(crate) const BLOCK_HEADER_BYTES: u64 = 24;
/// Bytes of a chunk header.
pub(crate) const CHUNK_HEADER_BYTES: u64 = 40;

/// The first bytes of every file: a block header and the signature chunk.
pub(crate) const SIGNATURE: [u8; 64] = [
    0x83, 0xaf, 0x70, 0xd1, 0x0d, 0x88, 0x4a, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x40,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x91, 0xba, 0xc2, 0x3c, 0x92, 0x87, 0xe1, 0xa9, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe1, 0x9f, 0x13, 0xc0, 0xe9, 0xb1, 0xc3, 0x72, 0x73, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// "Riegeli/", "records\n", twice.
const HASH_KEY: Key =
    Key([0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572, 0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572]);

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    HighwayHasher::new(HASH_KEY).hash64(bytes)
}

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkType {
    /// The file's signature, metadata or padding: no records.
    Other,
    /// Records one after the other.
    Simple,
    /// Records taken apart into columns.
    Transposed,
}

/// A chunk's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkHeader {
    data_size: u64,
    data_hash: u64,
    pub(crate) chunk_type: ChunkType,
    pub(crate) records: u64,
    /// The sum of the records' sizes.
    pub(crate) decoded_size: u64,
}

impl ChunkHeader {
    /// Reads a header; byte 0 of errors is its first byte.
    ///
    /// # Errors
    /// Its hash does not hold, or there is no such chunk type.
    fn parse(header: &[u8; 40]) -> Result<Self> {
        let word = |at: usize| {
            let bytes = header.get(at..).and_then(<[u8]>::first_chunk::<8>);
            u64::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        let (expected, found) = (word(0), hash(header.get(8..).unwrap_or_default()));
        if expected != found {
            return Err(Error::corrupt("corrupt chunk header")
                .expected(format!("hash {expected:#018x}"), format!("{found:#018x}")));
        }
        let [kind, ..] = word(24).to_le_bytes();
        let chunk_type = match kind {
            b's' | b'm' | b'p' => ChunkType::Other,
            b'r' => ChunkType::Simple,
            b't' => ChunkType::Transposed,
            _ => {
                return Err(Error::unsupported("chunk of unknown type")
                    .expected("s, m, p, r or t", kind.escape_ascii().to_string()));
            }
        };
        Ok(Self {
            data_size: word(8),
            data_hash: word(16),
            chunk_type,
            records: word(24) >> 8,
            decoded_size: word(32),
        })
    }

    /// Bytes of the chunk without block headers.
    fn chunk_bytes(&self) -> Option<u64> {
        self.data_size.checked_add(CHUNK_HEADER_BYTES)
    }
}

/// Where a run of `bytes` bytes that begins at `begin` ends, the block headers in it counted.
pub(crate) fn end_of(begin: u64, bytes: u64) -> Option<u64> {
    const USABLE: u64 = BLOCK_BYTES - BLOCK_HEADER_BYTES;
    // Usable bytes before `begin` in its block; a block header that begins there lies ahead.
    let before = (begin % BLOCK_BYTES).saturating_sub(BLOCK_HEADER_BYTES);
    let block = begin - begin % BLOCK_BYTES;
    let usable = before.checked_add(bytes)?;
    match usable.checked_sub(1) {
        None => Some(begin),
        // The last byte's block, and its place there.
        Some(last) => (last / USABLE)
            .checked_mul(BLOCK_BYTES)?
            .checked_add(block)?
            .checked_add(BLOCK_HEADER_BYTES + last % USABLE + 1),
    }
}

/// Copies bytes from the beginning of `raw`, which stands at `begin` in its file, to `out`, but for
/// block headers, until `out` holds `wanted` bytes. Returns the number of bytes of `raw` that were
/// passed; `None` if it is too short.
fn strip(raw: &[u8], begin: u64, wanted: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0usize;
    while out.len() < wanted {
        let in_block = begin.checked_add(at as u64)? % BLOCK_BYTES;
        if in_block < BLOCK_HEADER_BYTES {
            at = at.checked_add(usize::try_from(BLOCK_HEADER_BYTES - in_block).ok()?)?;
            continue;
        }
        let to_border = usize::try_from(BLOCK_BYTES - in_block).ok()?;
        let take = to_border.min(wanted - out.len());
        out.extend_from_slice(raw.get(at..at.checked_add(take)?)?);
        at += take;
    }
    Some(at)
}

/// The records of a decoded chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    /// Where each record ends.
    ends: &'a [usize],
}

impl<'a> Records<'a> {
    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The record `index`.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end)
    }
}

/// Decodes chunks, one after the other, into buffers that are kept.
#[derive(Debug, Default)]
pub(crate) struct ChunkDecoder {
    codecs: Codecs,
    /// The chunk's data, where block headers had to be taken out of it.
    data: Vec<u8>,
    sizes: Vec<u8>,
    values: Vec<u8>,
    ends: Vec<usize>,
}

impl ChunkDecoder {
    /// Checks and decodes the chunk that begins at the beginning of `raw`, which stands at `begin`
    /// in its file and may reach past the chunk. Chunks that hold no records give none.
    ///
    /// `cap` bounds the bytes of the chunk's records.
    ///
    /// # Errors
    /// A hash does not hold, the chunk is cut short or breaks a rule of the format, or its records
    /// are larger than `cap`. Offsets of errors are bytes of the file.
    pub(crate) fn decode<'a>(&'a mut self, raw: &'a [u8], begin: u64, cap: u64) -> Result<Records<'a>> {
        self.try_decode(raw, begin, cap).map_err(|e| e.at_offset(begin))
    }

    fn try_decode<'a>(&'a mut self, raw: &'a [u8], begin: u64, cap: u64) -> Result<Records<'a>> {
        self.ends.clear();
        self.data.clear();
        let truncated = || Error::corrupt("truncated chunk");
        let header_bytes = usize::try_from(CHUNK_HEADER_BYTES).map_err(|_| truncated())?;
        let after_header = strip(raw, begin, header_bytes, &mut self.data).ok_or_else(truncated)?;
        let header = self.data.first_chunk().ok_or_else(truncated)?;
        let header = ChunkHeader::parse(header)?;
        let end = header.chunk_bytes().and_then(|bytes| end_of(begin, bytes)).ok_or_else(truncated)?;
        let present = begin.saturating_add(raw.len() as u64);
        if end > present {
            return Err(
                truncated().expected(format!("{} bytes", end.saturating_sub(begin)), raw.len().to_string())
            );
        }
        let data_size = usize::try_from(header.data_size).map_err(|_| truncated())?;
        let whole = raw.get(after_header..).unwrap_or_default();
        let data_begin = begin.saturating_add(after_header as u64);
        // Mostly no block header stands in between, and nothing need be copied.
        let straight = end.checked_sub(data_begin) == Some(header.data_size);
        let data = if straight {
            whole.get(..data_size).ok_or_else(truncated)?
        } else {
            self.data.clear();
            strip(whole, data_begin, data_size, &mut self.data).ok_or_else(truncated)?;
            self.data.as_slice()
        };
        let found = hash(data);
        if found != header.data_hash {
            return Err(Error::corrupt("corrupt chunk")
                .expected(format!("hash {:#018x}", header.data_hash), format!("{found:#018x}")));
        }
        if header.decoded_size > cap {
            return Err(Error::limit("chunk with too many bytes of records")
                .expected(format!("at most {cap}"), header.decoded_size.to_string())
                .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound")));
        }
        match header.chunk_type {
            ChunkType::Other if header.records > 0 => Err(Error::corrupt("records in a chunk of none")),
            ChunkType::Other => Ok(Records { bytes: &[], ends: &[] }),
            ChunkType::Simple => {
                let values = decode_simple(
                    data,
                    &header,
                    &mut self.codecs,
                    &mut self.sizes,
                    &mut self.values,
                    &mut self.ends,
                )?;
                Ok(Records { bytes: values, ends: &self.ends })
            }
            ChunkType::Transposed => {
                transposed::decode(data, &header, &mut self.codecs, &mut self.values, &mut self.ends)?;
                Ok(Records { bytes: &self.values, ends: &self.ends })
            }
        }
    }
}

/// Decodes the data of a simple chunk: `codec`, `varint size of compressed sizes`, compressed
/// sizes, compressed values. Values that are not compressed stay where they are.
fn decode_simple<'a>(
    data: &'a [u8],
    header: &ChunkHeader,
    codecs: &mut Codecs,
    sizes: &mut Vec<u8>,
    values: &'a mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> Result<&'a [u8]> {
    let bad = |what: &str| Error::corrupt(format!("corrupt simple chunk: {what}"));
    let (codec, rest) = data.split_first().ok_or_else(|| bad("no compression type"))?;
    let codec = Codec::from_byte(*codec)?;
    let mut cursor = Cursor::new(rest);
    let packed = cursor.bytes().map_err(|_| bad("the sizes reach past its end"))?;
    let rest = rest.get(cursor.position()..).unwrap_or_default();
    // A varint takes at most ten bytes.
    let cap = header.records.saturating_mul(10);
    let sizes = codecs.decompress(codec, packed, cap, sizes)?;
    if header.records > sizes.len() as u64 {
        return Err(bad("fewer sizes than records"));
    }
    let mut cursor = Cursor::new(sizes);
    let mut end = 0u64;
    for _ in 0..header.records {
        let size = cursor.varint().map_err(|_| bad("a size is no number"))?;
        end = end
            .checked_add(size)
            .filter(|end| *end <= header.decoded_size)
            .ok_or_else(|| bad("sizes do not add up"))?;
        ends.push(usize::try_from(end).map_err(|_| bad("sizes do not add up"))?);
    }
    if !cursor.is_empty() || end != header.decoded_size {
        return Err(bad("sizes do not add up"));
    }
    let values = codecs.decompress(codec, rest, header.decoded_size, values)?;
    if values.len() as u64 != header.decoded_size {
        return Err(bad("values do not fill their size"));
    }
    Ok(values)
}

#[cfg(test)]
pub(crate) mod tests;
