//! Compression of pages, with what a codec needs kept from page to page.

use parquet::basic::Compression;

use crate::error::{Error, ErrorKind, Result};

/// Compresses pages, one after the other.
pub(super) enum Codec {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Codec {
    /// The codec of `compression`; `None` if only the library of Parquet has it.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(compression: Compression) -> Result<Option<Self>> {
        Ok(Some(match compression {
            Compression::UNCOMPRESSED => Codec::None,
            Compression::SNAPPY => Codec::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::ZSTD(level) => {
                Codec::Zstd(zstd::bulk::Compressor::new(level.compression_level()).map_err(cannot_compress)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Whether there is one of `compression` here.
    pub(super) fn exists(compression: Compression) -> bool {
        matches!(compression, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
    }

    /// The bytes of `page`, compressed.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(super) fn compress(&mut self, page: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Codec::None => Ok(page),
            Codec::Snappy(encoder) => encoder.compress_vec(&page).map_err(cannot_compress),
            Codec::Zstd(compressor) => compressor.compress(&page).map_err(cannot_compress),
        }
    }
}

fn cannot_compress(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Io, "cannot compress a Parquet page").with_cause(cause)
}
