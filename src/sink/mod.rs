//! Where batches go: files that appear whole or not at all, and streams.

use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::{Error, Result};

pub(crate) mod atomic;
mod dictionaries;
pub(crate) mod ipc;
pub(crate) mod npy;
#[cfg(feature = "npz")]
pub(crate) mod npz;
mod options;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
pub(crate) mod saved;
pub(crate) mod tfrecord;

pub use options::{Format, OutputCompression, SinkOptions};

/// Takes batches of one schema. What it writes is there only after [`finish`](Sink::finish).
pub trait Sink: Send {
    /// Writes one batch.
    ///
    /// # Errors
    /// The batch cannot be stored in this format, or the output cannot be written.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Ends the output and puts it in its place; returns the bytes written.
    ///
    /// # Errors
    /// The output cannot be written, or something else has taken its place.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// Opens `path` for batches of `schema`, in the format that its extension names. `-` is standard
/// output.
///
/// # Errors
/// The output exists and is not to be overwritten, cannot be created, or cannot hold the schema.
pub fn open_sink(path: &Path, schema: &Schema, options: &SinkOptions) -> Result<Box<dyn Sink>> {
    open_named(path, schema, options, true)
}

/// As [`open_sink`], for one of several part files: what stands beside a file is the folder's, and
/// is written by [`put_beside_parts`].
///
/// # Errors
/// As there.
pub(crate) fn open_part(path: &Path, schema: &Schema, options: &SinkOptions) -> Result<Box<dyn Sink>> {
    open_named(path, schema, options, false)
}

/// Writes what part files of `format` need beside them into `folder`.
///
/// # Errors
/// The file cannot be written, or the parts cannot hold the schema.
pub(crate) fn put_beside_parts(
    folder: &Path,
    format: Format,
    schema: &Schema,
    options: &SinkOptions,
) -> Result<()> {
    match format {
        Format::TfRecord => tfrecord::put_folder_features(folder, schema, options),
        _ => Ok(()),
    }
}

fn open_named(path: &Path, schema: &Schema, options: &SinkOptions, alone: bool) -> Result<Box<dyn Sink>> {
    let format = options.format.map_or_else(|| Format::from_path(path), Ok)?;
    let inner = open_unnamed(path, format, schema, options, alone)?;
    Ok(if path == Path::new("-") { inner } else { Box::new(Named { inner, format, name: describe(path) }) })
}

/// A sink whose errors say where it writes.
struct Named {
    inner: Box<dyn Sink>,
    format: Format,
    name: String,
}

impl Sink for Named {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let counts_rows = matches!(self.format, Format::IpcFile | Format::IpcStream | Format::TfRecord);
        if batch.num_columns() == 0 && batch.num_rows() > 0 && !counts_rows {
            return Err(Error::unsupported("rows without columns, which this output cannot hold")
                .in_source(self.name.as_str())
                .with_hint("write Arrow"));
        }
        self.inner.write(batch).map_err(|e| e.in_source(self.name.as_str()))
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let name = self.name;
        self.inner.finish().map_err(|e| e.in_source(name))
    }
}

fn open_unnamed(
    path: &Path,
    format: Format,
    schema: &Schema,
    options: &SinkOptions,
    alone: bool,
) -> Result<Box<dyn Sink>> {
    options.check(format.kind())?;
    if path == Path::new("-") {
        if format != Format::IpcStream {
            return Err(Error::config("only an Arrow stream can go to standard output"));
        }
        let output: Box<dyn Write + Send> = Box::new(std::io::stdout());
        return Ok(Box::new(ipc::IpcStreamSink::new(ipc::Output::Stream(output), schema, options)?));
    }
    let named = |e: Error| e.in_source(path.to_string_lossy().into_owned());
    if format == Format::Npyd {
        let folder = atomic::AtomicFolder::create(path, options.overwrite, npy::is_npyd)?;
        return Ok(Box::new(npy::NpydSink::new(folder, schema, options).map_err(named)?));
    }
    if format == Format::Saved {
        let folder = atomic::AtomicFolder::create(path, options.overwrite, saved::is_saved)?;
        return Ok(Box::new(saved::SavedSink::new(folder, schema, options).map_err(named)?));
    }
    if format == Format::TfRecord {
        return Ok(Box::new(tfrecord::TfRecordSink::new(path, schema, options, alone)?));
    }
    let file = atomic::AtomicFile::create(path, options.overwrite)?;
    Ok(match format {
        Format::IpcFile => {
            let sink = ipc::IpcFileSink::new(file, schema, options).map_err(named)?;
            if options.one_batch { Box::new(ipc::OneBatch::new(sink)) } else { Box::new(sink) }
        }
        Format::IpcStream => {
            Box::new(ipc::IpcStreamSink::new(ipc::Output::File(file), schema, options).map_err(named)?)
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => Box::new(parquet::ParquetSink::new(file, schema, options).map_err(named)?),
        Format::Npy | Format::Npyd | Format::Saved | Format::TfRecord => {
            Box::new(npy::NpySink::new(file, schema, options).map_err(named)?)
        }
        #[cfg(feature = "npz")]
        Format::Npz => Box::new(npz::NpzSink::new(file, path, schema, options).map_err(named)?),
        #[cfg(not(feature = "npz"))]
        Format::Npz => {
            return Err(Error::unsupported(".npz output").with_hint("build tfarrow with the feature `npz`"));
        }
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => {
            return Err(
                Error::unsupported("Parquet output").with_hint("build tfarrow with the feature `parquet`")
            );
        }
    })
}

/// Removes every output that is not finished yet, and lets this process begin and finish no other: for
/// the handler of a signal that ends the process.
pub fn remove_partial_outputs() {
    atomic::remove_all();
}

/// Where an output stands, for messages.
fn describe(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The folder that holds `path`.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
