//! Arrow IPC: the file format and the stream format.

use std::io::{BufWriter, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use super::atomic::AtomicFile;
use super::{OutputCompression, Sink, SinkOptions};
use crate::error::{Error, Result};

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
    writer: FileWriter<BufWriter<AtomicFile>>,
}

impl IpcFileSink {
    pub(crate) fn new(file: AtomicFile, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        let writer = FileWriter::try_new_with_options(BufWriter::new(file), schema, write_options(options)?)?;
        Ok(Self { writer })
    }
}

impl Sink for IpcFileSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        self.writer.finish()?;
        let file = self.writer.into_inner()?.into_inner();
        file.map_err(|e| Error::io("cannot write output", e.into_error()))?.persist()
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
