//! The compressions that Riegeli chunks use, each bounded by a size that was checked before.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use crate::error::{Error, Result};
use crate::wire::proto::Cursor;

/// How the buffers of a chunk are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Brotli,
    Zstd,
    Snappy,
}

impl Codec {
    /// The codec that a chunk's compression byte names.
    pub(super) fn from_byte(byte: u8) -> Result<Self> {
        Ok(match byte {
            0 => Codec::None,
            b'b' => Codec::Brotli,
            b'z' => Codec::Zstd,
            b's' => Codec::Snappy,
            _ => {
                return Err(Error::unsupported("chunk of unknown compression")
                    .expected("none, brotli, zstd or snappy", format!("{byte:#04x}")));
            }
        })
    }
}

/// Output that a compressed byte may become before the buffer grows step by step.
const TRUSTED_RATIO: u64 = 64;
/// Output that is reserved in any case.
const TRUSTED_BYTES: u64 = 1 << 20;
/// No snappy stream becomes longer than this many times its size.
const SNAPPY_RATIO: u64 = 22;

/// Decompressors, kept from chunk to chunk.
#[derive(Default)]
pub(super) struct Codecs {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    snappy: snap::raw::Decoder,
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs").finish_non_exhaustive()
    }
}

fn corrupt(codec: Codec) -> Error {
    Error::corrupt(format!("corrupt {codec:?} data in chunk"))
}

impl Codecs {
    /// The content of a buffer: itself if it is not compressed; otherwise the varint size that it
    /// begins with says how much comes out, into `out`.
    ///
    /// # Errors
    /// More than `cap` bytes would come out, or not what the size says.
    pub(super) fn decompress<'a>(
        &mut self,
        codec: Codec,
        packed: &'a [u8],
        cap: u64,
        out: &'a mut Vec<u8>,
    ) -> Result<&'a [u8]> {
        if codec == Codec::None {
            return Ok(packed);
        }
        let mut cursor = Cursor::new(packed);
        let size = cursor.varint().map_err(|_| corrupt(codec))?;
        if size > cap {
            return Err(Error::corrupt("buffer in chunk decompresses to too much")
                .expected(format!("at most {cap} bytes"), size.to_string()));
        }
        let body = packed.get(cursor.position()..).unwrap_or_default();
        let len = usize::try_from(size).map_err(|_| corrupt(codec))?;
        out.clear();
        let trusted = (body.len() as u64).saturating_mul(TRUSTED_RATIO).saturating_add(TRUSTED_BYTES);
        match codec {
            Codec::Zstd if size <= trusted => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    None => {
                        let zstd =
                            zstd::bulk::Decompressor::new().map_err(|e| corrupt(codec).with_cause(e))?;
                        self.zstd.insert(zstd)
                    }
                };
                out.reserve(len);
                zstd.decompress_to_buffer(body, out).map_err(|e| corrupt(codec).with_cause(e))?;
            }
            Codec::Zstd => {
                let reader = zstd::stream::read::Decoder::with_buffer(body)
                    .map_err(|e| corrupt(codec).with_cause(e))?;
                read_all(reader, size, out).map_err(|e| corrupt(codec).with_cause(e))?;
            }
            Codec::Brotli => {
                const BUFFER_BYTES: usize = 4096;
                let reader = brotli_decompressor::Decompressor::new(body, BUFFER_BYTES);
                read_all(reader, size, out).map_err(|e| corrupt(codec).with_cause(e))?;
            }
            Codec::Snappy => {
                let inner = snap::raw::decompress_len(body).map_err(|e| corrupt(codec).with_cause(e))?;
                if inner != len || size > (body.len() as u64).saturating_mul(SNAPPY_RATIO) {
                    return Err(corrupt(codec).expected(format!("{len} bytes"), inner.to_string()));
                }
                out.resize(len, 0);
                self.snappy.decompress(body, out).map_err(|e| corrupt(codec).with_cause(e))?;
            }
            Codec::None => {}
        }
        if out.len() != len {
            return Err(corrupt(codec).expected(format!("{len} bytes"), out.len().to_string()));
        }
        Ok(out)
    }

    /// As [`decompress`](Self::decompress), into a buffer of its own.
    pub(super) fn decompress_owned<'a>(
        &mut self,
        codec: Codec,
        packed: &'a [u8],
        cap: u64,
    ) -> Result<Cow<'a, [u8]>> {
        if codec == Codec::None {
            return Ok(Cow::Borrowed(packed));
        }
        let mut out = Vec::new();
        self.decompress(codec, packed, cap, &mut out)?;
        Ok(Cow::Owned(out))
    }
}

/// Reads `size` bytes, and sees that no more follow.
fn read_all(reader: impl Read, size: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    reader.take(size.saturating_add(1)).read_to_end(out).map(drop)
}
