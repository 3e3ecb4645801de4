//! Parquet.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::atomic::AtomicFile;
use super::{OutputCompression, Sink, SinkOptions};
use crate::error::{Error, ErrorKind, Result};

/// Rows in a row group at most, unless set.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Encoded bytes after which a row group is ended, so that memory stays bounded.
const ROW_GROUP_BYTES: usize = 128 << 20;

fn compression(options: &SinkOptions) -> Result<Compression> {
    let level = |e: ParquetError| Error::config(format!("compression level: {e}"));
    Ok(match options.compression {
        None | Some(OutputCompression::Zstd(None)) => Compression::ZSTD(ZstdLevel::default()),
        Some(OutputCompression::Zstd(Some(n))) => Compression::ZSTD(ZstdLevel::try_new(n).map_err(level)?),
        Some(OutputCompression::None) => Compression::UNCOMPRESSED,
        Some(OutputCompression::Lz4) => Compression::LZ4_RAW,
        Some(OutputCompression::Snappy) => Compression::SNAPPY,
        Some(OutputCompression::Gzip(None)) => Compression::GZIP(GzipLevel::default()),
        Some(OutputCompression::Gzip(Some(n))) => {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            Compression::GZIP(GzipLevel::try_new(n).map_err(level)?)
        }
    })
}

fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => Error::new(ErrorKind::Io, "cannot write Parquet").with_cause(cause),
        other => Error::new(ErrorKind::Unsupported, "cannot write Parquet").with_cause(other),
    }
}

/// Writes a Parquet file.
pub(crate) struct ParquetSink {
    writer: ArrowWriter<AtomicFile>,
}

impl ParquetSink {
    pub(crate) fn new(file: AtomicFile, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        // Readers other than Arrow's own look for metadata in the file's key-value pairs.
        let mut key_values: Vec<KeyValue> =
            schema.metadata().iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        // A map has no order, but the same input gives the same file.
        key_values.sort_by(|a, b| a.key.cmp(&b.key));
        let properties = WriterProperties::builder()
            .set_compression(compression(options)?)
            .set_max_row_group_row_count(Some(options.row_group_rows.unwrap_or(ROW_GROUP_ROWS).max(1)))
            .set_key_value_metadata(Some(key_values))
            .set_created_by(concat!("tfarrow ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = std::sync::Arc::new(schema.clone());
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(parquet_error)?;
        Ok(Self { writer })
    }
}

impl Sink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(parquet_error)?;
        if self.writer.memory_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(parquet_error)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        self.writer.into_inner().map_err(parquet_error)?.persist()
    }
}
