//! Parquet: columns encoded side by side, with encodings chosen from the first rows.

mod codec;
mod column;
mod dictionary;
mod encoding;
mod hybrid;
mod leaf;
mod row_group;
mod statistics;
mod storage;

use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;

use super::atomic::AtomicFile;
use super::dictionaries::{Dictionaries, has_dictionary};
use super::{OutputCompression, Sink, SinkOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::options::ParquetEncodings;
use crate::schema::half;
use column::ColumnPlan;
use encoding::{Choice, Sample};
use row_group::{Encoders, FieldPlan};

/// Rows in a row group at most, unless set.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Bytes of Arrow arrays after which a row group is ended: it is held in memory until it is
/// encoded.
const ROW_GROUP_BYTES: usize = 24 << 20;
/// Bytes that are written to the file in one go.
const BUFFER_BYTES: usize = 1 << 20;
/// Rows to look at, at most, before encodings are chosen.
const SAMPLE_ROWS: usize = 8192;
/// Bytes to look at, at most, before encodings are chosen.
const SAMPLE_BYTES: usize = 16 << 20;

fn compression(options: &SinkOptions) -> Result<Compression> {
    let level = |e: ParquetError| Error::config(format!("compression level: {e}"));
    Ok(match options.compression {
        None | Some(OutputCompression::Zstd(None)) => Compression::ZSTD(ZstdLevel::default()),
        Some(OutputCompression::Zstd(Some(n))) => Compression::ZSTD(ZstdLevel::try_new(n).map_err(level)?),
        Some(OutputCompression::Zlib(_)) => {
            return Err(Error::config("compression not possible in Parquet")
                .expected("none, lz4, zstd[:LEVEL], snappy or gzip[:LEVEL]", "zlib"));
        }
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
///
/// `half` is stored as Float32 unless encodings are to be compact: readers that do not know it
/// refuse the whole file.
///
/// The rows of a row group are held until it is full and then encoded, column by column, by several
/// threads if there are any. The file does not depend on their number.
pub(crate) struct ParquetSink {
    schema: SchemaRef,
    properties: WriterPropertiesBuilder,
    compression: Compression,
    encodings: ParquetEncodings,
    row_group_rows: usize,
    threads: usize,
    /// The file, until the encodings are chosen and the writer takes it.
    file: Option<AtomicFile>,
    writer: Option<Writer>,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bytes: usize,
    /// The dictionaries of the rows held, where columns have some.
    dictionaries: Option<Dictionaries>,
}

/// A file whose encodings are chosen.
struct Writer {
    file: SerializedFileWriter<BufWriter<AtomicFile>>,
    factory: ArrowRowGroupWriterFactory,
    encoders: Encoders,
    row_groups: usize,
}

impl Writer {
    /// Writes the row groups that are encoded.
    fn put_encoded(&mut self) -> Result<()> {
        while let Some(row_group) = self.encoders.take()? {
            row_group.append_to(&mut self.file)?;
        }
        Ok(())
    }
}

/// How each column is encoded: where nothing but plain values and dictionaries is asked for, here.
fn plans(schema: &Schema, choices: Vec<Choice>, compression: Compression) -> Vec<FieldPlan> {
    let mut choices = choices.into_iter().peekable();
    let mut plans = Vec::with_capacity(schema.fields().len());
    for (root, field) in schema.fields().iter().enumerate() {
        let mut own = Vec::new();
        while let Some(choice) = choices.next_if(|choice| choice.root == root) {
            own.push(choice);
        }
        let leaves = own.len();
        let own = match (own.pop(), own.pop()) {
            (Some(choice), None) if choice.encoding == Encoding::PLAIN => {
                ColumnPlan::new(field.data_type(), choice.descriptor, choice.dictionary, compression)
            }
            _ => None,
        };
        plans.push(FieldPlan { field: field.clone(), leaves, own: own.map(Arc::new) });
    }
    plans
}

impl ParquetSink {
    pub(crate) fn new(file: AtomicFile, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        // Readers other than Arrow's own look for metadata in the file's key-value pairs.
        let mut key_values: Vec<KeyValue> =
            schema.metadata().iter().map(|(k, v)| KeyValue::new(k.clone(), v.clone())).collect();
        // A map has no order, but the same input gives the same file.
        key_values.sort_by(|a, b| a.key.cmp(&b.key));
        let compression = compression(options)?;
        let properties = WriterProperties::builder()
            .set_compression(compression)
            // Row groups are a page or a few: nobody looks for rows within them.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_key_value_metadata(Some(key_values))
            .set_created_by(concat!("tfarrow ", env!("CARGO_PKG_VERSION")).to_owned());
        let has_dictionaries = schema.fields().iter().any(|field| has_dictionary(field.data_type()));
        Ok(Self {
            schema: Arc::new(storage::stored(&match options.parquet_encodings {
                ParquetEncodings::Compatible => half::widened(schema),
                ParquetEncodings::Compact => schema.clone(),
            })?),
            properties,
            compression,
            encodings: options.parquet_encodings,
            row_group_rows: options.row_group_rows.unwrap_or(ROW_GROUP_ROWS).max(1),
            threads: options.threads,
            file: Some(file),
            writer: None,
            held: Vec::new(),
            held_rows: 0,
            held_bytes: 0,
            dictionaries: has_dictionaries.then(Dictionaries::default),
        })
    }

    /// How many rows a row group is to have, if all are as wide as those held.
    fn expected_rows(&self) -> usize {
        let there_may_be_more = self.held_rows >= SAMPLE_ROWS || self.held_bytes >= SAMPLE_BYTES;
        match there_may_be_more {
            true => (self.held_rows.saturating_mul(ROW_GROUP_BYTES) / self.held_bytes.max(1))
                .min(self.row_group_rows),
            false => self.held_rows,
        }
    }

    /// The writer, opened with encodings that suit the rows held.
    fn writer(&mut self) -> Result<&mut Writer> {
        if let Some(file) = self.file.take() {
            let properties = self.properties.clone();
            let compression = self.compression;
            let sample = Sample { batches: &self.held, row_group_rows: self.expected_rows() };
            let (properties, choices) =
                encoding::choose(properties, &self.schema, &sample, compression, self.encodings)?;
            let plans = plans(&self.schema, choices, compression);
            let options = ArrowWriterOptions::new().with_properties(properties.build());
            let file = BufWriter::with_capacity(BUFFER_BYTES, file);
            let writer = ArrowWriter::try_new_with_options(file, self.schema.clone(), options)
                .map_err(parquet_error)?;
            let (file, factory) = writer.into_serialized_writer().map_err(parquet_error)?;
            let encoders = Encoders::new(plans, compression, self.threads)?;
            self.writer = Some(Writer { file, factory, encoders, row_groups: 0 });
        }
        self.writer.as_mut().ok_or_else(|| Error::new(ErrorKind::Io, "Parquet output failed before"))
    }

    /// Hands the rows held to an encoder.
    fn end_row_group(&mut self) -> Result<()> {
        if self.held_rows == 0 {
            return Ok(());
        }
        self.writer()?;
        let batches = std::mem::take(&mut self.held);
        self.held_rows = 0;
        self.held_bytes = 0;
        self.dictionaries = self.dictionaries.take().map(|_| Dictionaries::default());
        let writer = self.writer()?;
        while let Some(row_group) = writer.encoders.take_nearly()? {
            row_group.append_to(&mut writer.file)?;
        }
        let writers = match writer.encoders.needs_writers() {
            true => writer.factory.create_column_writers(writer.row_groups).map_err(parquet_error)?,
            false => Vec::new(),
        };
        writer.row_groups += 1;
        writer.encoders.push(writers, batches);
        while let Some(row_group) = writer.encoders.make_room()? {
            row_group.append_to(&mut writer.file)?;
        }
        Ok(())
    }
}

impl Sink for ParquetSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(writer) = &mut self.writer {
            writer.put_encoded()?;
        }
        let mut rest = storage::as_stored(&self.schema, batch)?;
        while rest.num_rows() > 0 {
            let rows = rest.num_rows().min(self.row_group_rows - self.held_rows);
            let part = if rows == rest.num_rows() { rest.clone() } else { rest.slice(0, rows) };
            if self.held_rows > 0 && self.held_bytes + row_group::slice_bytes(&part) > ROW_GROUP_BYTES {
                // Rows are not cut apart for it, and wide ones would be half as much again.
                self.end_row_group()?;
                continue;
            }
            let part = match self.dictionaries.as_mut().map(|dictionaries| dictionaries.unify(&part)) {
                None => part,
                Some(Ok(part)) => part,
                // Readers need keys that count all values of a row group: this one ends before.
                Some(Err(error)) if error.kind() == ErrorKind::Limit && self.held_rows > 0 => {
                    self.end_row_group()?;
                    continue;
                }
                Some(Err(error)) => return Err(error),
            };
            rest = rest.slice(rows, rest.num_rows() - rows);
            let bytes = row_group::slice_bytes(&part);
            self.held_rows += rows;
            self.held_bytes += bytes;
            self.held.push(part);
            if self.held_rows >= SAMPLE_ROWS || self.held_bytes >= SAMPLE_BYTES {
                self.writer()?;
            }
            // Whoever waits for the next rows need not hold these if those will not fit.
            if self.held_rows >= self.row_group_rows || self.held_bytes + bytes > ROW_GROUP_BYTES {
                self.end_row_group()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.end_row_group()?;
        self.writer()?;
        let Some(mut writer) = self.writer.take() else {
            return Err(Error::new(ErrorKind::Io, "Parquet output failed before"));
        };
        while let Some(row_group) = writer.encoders.wait()? {
            row_group.append_to(&mut writer.file)?;
        }
        let file = writer.file.into_inner().map_err(parquet_error)?;
        let file = file.into_inner().map_err(|e| Error::io("cannot write output", e.into_error()))?;
        let target = file.target();
        file.persist().map_err(|e| e.in_source(target))
    }
}

#[cfg(test)]
mod tests;
