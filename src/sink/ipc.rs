//! Arrow IPC: the file format and the stream format.

mod file;

use std::io::{BufWriter, Write};

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use self::file::DictionaryFileWriter;
use super::atomic::AtomicFile;
use super::dictionaries::has_dictionary;
use super::{OutputCompression, Sink, SinkOptions};
use crate::error::{Error, Result};
use crate::options::Phrase;

fn write_options(options: &SinkOptions) -> Result<IpcWriteOptions> {
    let (compression, level) = match options.compression {
        None | Some(OutputCompression::None) => (None, None),
        Some(OutputCompression::Lz4) => (Some(CompressionType::LZ4_FRAME), None),
        Some(OutputCompression::Zstd(level)) => (Some(CompressionType::ZSTD), level),
        Some(other) => {
            return Err(Error::config("compression not possible in Arrow IPC")
                .expected("none, lz4 or zstd", format!("{other:?}").to_lowercase()));
        }
    };
    Ok(IpcWriteOptions::default().try_with_compression(compression)?.try_with_compression_level(level)?)
}

/// Writes an Arrow IPC file.
pub(crate) struct IpcFileSink {
    writer: Box<FileOf<BufWriter<AtomicFile>>>,
}

/// An IPC file that is being written.
enum FileOf<W: Write> {
    Plain(FileWriter<W>),
    Dictionaries(DictionaryFileWriter<W>),
}

impl IpcFileSink {
    pub(crate) fn new(file: AtomicFile, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        let (file, options) = (BufWriter::new(file), write_options(options)?);
        let writer = match schema.fields().iter().any(|field| has_dictionary(field.data_type())) {
            true => FileOf::Dictionaries(DictionaryFileWriter::new(file, schema, options)?),
            false => FileOf::Plain(FileWriter::try_new_with_options(file, schema, options)?),
        };
        Ok(Self { writer: Box::new(writer) })
    }
}

impl Sink for IpcFileSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self.writer.as_mut() {
            FileOf::Plain(writer) => Ok(writer.write(batch)?),
            FileOf::Dictionaries(writer) => writer.write(batch),
        }
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let file = match *self.writer {
            FileOf::Plain(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            FileOf::Dictionaries(writer) => writer.finish()?,
        };
        file.into_inner().map_err(|e| Error::io("cannot write output", e.into_error()))?.persist()
    }
}

/// Writes all rows as one batch, at the end.
pub(crate) struct OneBatch {
    inner: IpcFileSink,
    batches: Vec<RecordBatch>,
}

impl OneBatch {
    pub(crate) fn new(inner: IpcFileSink) -> Self {
        Self { inner, batches: Vec::new() }
    }
}

/// Whether `parts`, put together, keep within their 32-bit offsets.
fn check_offsets(parts: Vec<ArrayData>) -> Result<()> {
    let Some(first) = parts.first() else { return Ok(()) };
    if matches!(first.data_type(), DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..))
    {
        let total: i64 = parts.iter().map(offsets_span).sum();
        if total > i64::from(i32::MAX) {
            return Err(Error::limit("the rows do not fit into one batch")
                .expected(format!("at most {} bytes or items a column", i32::MAX), total.to_string())
                .with_hint(Phrase::new("leave {one_batch} out, or take fewer rows with {take}")));
        }
    }
    (0..first.child_data().len()).try_for_each(|i| {
        check_offsets(parts.iter().filter_map(|part| part.child_data().get(i).cloned()).collect())
    })
}

/// What lies between the first and the last of `data`'s 32-bit offsets.
fn offsets_span(data: &ArrayData) -> i64 {
    let Some(buffer) = data.buffers().first() else { return 0 };
    let offsets = buffer.typed_data::<i32>();
    let span = offsets.get(data.offset()..).and_then(|offsets| offsets.get(..=data.len()));
    span.and_then(|span| Some(i64::from(*span.last()?) - i64::from(*span.first()?))).unwrap_or(0)
}

impl Sink for OneBatch {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.batches.push(batch.clone());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        let batches = std::mem::take(&mut self.batches);
        if let Some(first) = batches.first() {
            for (i, field) in first.schema_ref().fields().iter().enumerate() {
                let parts = batches.iter().filter_map(|b| b.columns().get(i)).map(|c| c.to_data()).collect();
                check_offsets(parts).map_err(|e| e.in_column(field.name().as_str()))?;
            }
            let batch = arrow::compute::concat_batches(first.schema_ref(), &batches)?;
            drop(batches);
            self.inner.write(&batch)?;
        }
        Box::new(self.inner).finish()
    }
}

/// Where a stream goes.
pub(crate) enum Output {
    File(AtomicFile),
    Stream(Box<dyn Write + Send>),
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Output::File(file) => file.write(buf),
            Output::Stream(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Output::File(file) => file.flush(),
            Output::Stream(stream) => stream.flush(),
        }
    }
}

/// Writes an Arrow IPC stream.
pub(crate) struct IpcStreamSink {
    writer: StreamWriter<BufWriter<Output>>,
}

impl IpcStreamSink {
    pub(crate) fn new(output: Output, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        let writer =
            StreamWriter::try_new_with_options(BufWriter::new(output), schema, write_options(options)?)?;
        Ok(Self { writer })
    }
}

impl Sink for IpcStreamSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch)?;
        // Whoever reads the stream need not wait for the next batch.
        Ok(self.writer.flush()?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.writer.finish()?;
        let output = self.writer.into_inner()?.into_inner();
        match output.map_err(|e| Error::io("cannot write output", e.into_error()))? {
            Output::File(file) => file.persist(),
            Output::Stream(mut stream) => {
                stream.flush().map_err(|e| Error::io("cannot write output", e))?;
                Ok(0)
            }
        }
    }
}
