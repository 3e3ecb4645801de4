//! Where batches go: files that appear whole or not at all, and streams.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::{Error, Result};
use crate::input::Place;

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
    if path == Path::new("-") {
        return open_stream(schema, options);
    }
    open_named(&options.place(path)?, schema, options, true)
}

/// As [`open_sink`], for one of several part files: what stands beside a file is the folder's, and
/// is written by [`put_beside_parts`].
///
/// # Errors
/// As there.
pub(crate) fn open_part(place: &Place, schema: &Schema, options: &SinkOptions) -> Result<Box<dyn Sink>> {
    open_named(place, schema, options, false)
}

/// Writes what part files of `format` need beside them into `folder`.
///
/// # Errors
/// The file cannot be written, or the parts cannot hold the schema.
pub(crate) fn put_beside_parts(
    folder: &Place,
    format: Format,
    schema: &Schema,
    options: &SinkOptions,
) -> Result<()> {
    match format {
        Format::TfRecord => tfrecord::put_folder_features(folder, schema, options),
        _ => Ok(()),
    }
}

fn open_named(place: &Place, schema: &Schema, options: &SinkOptions, alone: bool) -> Result<Box<dyn Sink>> {
    let format = options.format.map_or_else(|| Format::from_path(place.path()), Ok)?;
    let inner = open_unnamed(place, format, schema, options, alone)?;
    Ok(Box::new(Named { inner, format, name: place.name() }))
}

/// A sink whose errors say where it writes.
struct Named {
    inner: Box<dyn Sink>,
    format: Format,
    name: Arc<str>,
}

impl Sink for Named {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let counts_rows = matches!(self.format, Format::IpcFile | Format::IpcStream | Format::TfRecord);
        if batch.num_columns() == 0 && batch.num_rows() > 0 && !counts_rows {
            return Err(Error::unsupported("rows without columns, which this output cannot hold")
                .in_source(self.name.clone())
                .with_hint("write Arrow"));
        }
        self.inner.write(batch).map_err(|e| e.in_source(self.name.clone()))
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let name = self.name;
        self.inner.finish().map_err(|e| e.in_source(name))
    }
}

fn open_stream(schema: &Schema, options: &SinkOptions) -> Result<Box<dyn Sink>> {
    let format = options.format.unwrap_or(Format::IpcStream);
    options.check(format.kind())?;
    if format != Format::IpcStream {
        return Err(Error::config("only an Arrow stream can go to standard output"));
    }
    let output: Box<dyn Write + Send> = Box::new(std::io::stdout());
    Ok(Box::new(ipc::IpcStreamSink::new(ipc::Output::Stream(output), schema, options)?))
}

fn open_unnamed(
    place: &Place,
    format: Format,
    schema: &Schema,
    options: &SinkOptions,
    alone: bool,
) -> Result<Box<dyn Sink>> {
    options.check(format.kind())?;
    let named = |e: Error| e.in_source(place.name());
    if format == Format::Npyd {
        let folder = atomic::AtomicFolder::create(place, options.overwrite, npy::is_npyd)?;
        return Ok(Box::new(npy::NpydSink::new(folder, schema, options).map_err(named)?));
    }
    if format == Format::Saved {
        let folder = atomic::AtomicFolder::create(place, options.overwrite, saved::is_saved)?;
        return Ok(Box::new(saved::SavedSink::new(folder, schema, options).map_err(named)?));
    }
    if format == Format::TfRecord {
        return Ok(Box::new(tfrecord::TfRecordSink::new(place, schema, options, alone)?));
    }
    let file = match format {
        Format::Npy | Format::Npz => atomic::AtomicFile::create_seekable(place, options.overwrite)?,
        _ => atomic::AtomicFile::create(place, options.overwrite)?,
    };
    let file = file.with_witness(options.witness.clone());
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
        Format::Npz => Box::new(npz::NpzSink::new(file, place, schema, options).map_err(named)?),
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
