//! Where batches go: files that appear whole or not at all, and streams.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::error::{Error, Result};
use crate::schema::feature::Encoding;

pub(crate) mod atomic;
pub(crate) mod ipc;
pub(crate) mod npy;
#[cfg(feature = "npz")]
pub(crate) mod npz;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
pub(crate) mod saved;
pub(crate) mod tfrecord;

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

/// A file format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Arrow IPC file: `.arrow`, `.feather`, `.ipc`.
    IpcFile,
    /// Arrow IPC stream: `.arrows`, or standard output.
    IpcStream,
    /// Parquet: `.parquet`.
    Parquet,
    /// NumPy array of one column: `.npy`.
    Npy,
    /// NumPy archive, one array a column: `.npz`.
    Npz,
    /// Folder with one NumPy array a column: `.npyd`.
    Npyd,
    /// Folder for `tf.data.Dataset.load`: no extension names it.
    Saved,
    /// TFRecord of `tf.train.Example`: `.tfrecord`, `.tfrecords`, `.tfrecord.gz`.
    TfRecord,
}

impl Format {
    /// The format that `path`'s extension names; `-` is a stream.
    ///
    /// # Errors
    /// The extension names none.
    pub fn from_path(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Format::IpcStream);
        }
        let name = path.to_string_lossy().to_ascii_lowercase();
        if [".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz"].iter().any(|end| name.ends_with(end))
        {
            return Ok(Format::TfRecord);
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("arrow" | "feather" | "ipc") => Ok(Format::IpcFile),
            Some("arrows") => Ok(Format::IpcStream),
            Some("parquet" | "pq") => Ok(Format::Parquet),
            Some("npy") => Ok(Format::Npy),
            Some("npz") => Ok(Format::Npz),
            Some("npyd") => Ok(Format::Npyd),
            _ => Err(Error::config("output format not recognised").expected(
                "a name that ends in .parquet, .arrow, .feather, .ipc, .arrows, .npy, .npz, .npyd, .tfrecord or \
                 .tfrecord.gz, or `-`",
                path.to_string_lossy(),
            )),
        }
    }
}

impl Format {
    /// The format called `name`: an extension without its dot, or `saved`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        let name = name.trim_start_matches('.');
        if name == "saved" {
            return Ok(Format::Saved);
        }
        Self::from_path(&Path::new("output").with_extension(name)).map_err(|_| {
            Error::config("no such format").expected(
                "parquet, arrow, feather, ipc, arrows, npy, npz, npyd, tfrecord, tfrecord.gz or saved",
                format!("`{name}`"),
            )
        })
    }
}

/// How the bytes of an output file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputCompression {
    /// Not at all.
    None,
    /// LZ4: IPC and Parquet.
    Lz4,
    /// Zstandard at a level, or at its default: IPC and Parquet.
    Zstd(Option<i32>),
    /// Snappy: Parquet, and `Dataset.save` folders.
    Snappy,
    /// GZIP at a level, or at its default: Parquet, TFRecord, `Dataset.save` folders, and the
    /// deflated members of `.npz` archives.
    Gzip(Option<i32>),
    /// ZLIB at a level, or at its default: TFRecord.
    Zlib(Option<i32>),
}

impl fmt::Display for OutputCompression {
    /// The form that [`OutputCompression::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, level) = match self {
            OutputCompression::None => ("none", &None),
            OutputCompression::Lz4 => ("lz4", &None),
            OutputCompression::Zstd(level) => ("zstd", level),
            OutputCompression::Snappy => ("snappy", &None),
            OutputCompression::Gzip(level) => ("gzip", level),
            OutputCompression::Zlib(level) => ("zlib", level),
        };
        f.write_str(name)?;
        level.map_or(Ok(()), |level| write!(f, ":{level}"))
    }
}

impl OutputCompression {
    /// Reads `none`, `lz4`, `zstd`, `zstd:LEVEL`, `snappy`, `gzip`, `gzip:LEVEL`, `zlib` or
    /// `zlib:LEVEL`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || {
            Error::config("no such compression").expected(
                "none, lz4, zstd[:LEVEL], snappy, gzip[:LEVEL] or zlib[:LEVEL]",
                format!("`{text}`"),
            )
        };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<i32>().map_err(|_| bad())?)),
            None => (text, None),
        };
        match (name, level) {
            ("none" | "uncompressed", None) => Ok(OutputCompression::None),
            ("lz4", None) => Ok(OutputCompression::Lz4),
            ("zstd", level) => Ok(OutputCompression::Zstd(level)),
            ("snappy", None) => Ok(OutputCompression::Snappy),
            ("gzip", level) => Ok(OutputCompression::Gzip(level)),
            ("zlib", level) => Ok(OutputCompression::Zlib(level)),
            _ => Err(bad()),
        }
    }
}

/// How an output is written.
#[derive(Debug, Clone, Default)]
pub struct SinkOptions {
    /// The format; `None` is the one that the output's extension names.
    pub format: Option<Format>,
    /// The compression; `None` is the format's own default: Zstandard for Parquet, none for
    /// others.
    pub compression: Option<OutputCompression>,
    /// Rows in a Parquet row group. `None`: 1,048,576, or fewer where a group would grow past
    /// 24 MiB of Arrow arrays.
    pub row_group_rows: Option<usize>,
    /// Whether an existing output is replaced.
    pub overwrite: bool,
    /// The width of strings in NumPy arrays, in bytes: `S16`, say. `None`: strings are refused.
    pub string_bytes: Option<usize>,
    /// Whether an Arrow IPC file holds all rows in one batch, so that a mapped column is one array.
    /// All rows are then held in memory, for a moment twice.
    pub one_batch: bool,
    /// Threads that encode. 0 and 1: the caller's own.
    pub threads: usize,
    /// TFRecord: so many files, `NAME-00000-of-00004.tfrecord` …, to which the rows are dealt in turn,
    /// as `Dataset.shard` deals them. `None`: one file of the output's own name.
    pub shards: Option<usize>,
    /// TFRecord: how the tensors of some columns are encoded, by the column's path. Others are
    /// encoded as values, or where a list of values could not hold them as bytes.
    pub encodings: Vec<(String, Encoding)>,
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
    let inner = open_unnamed(path, schema, options, alone)?;
    Ok(if path == Path::new("-") { inner } else { Box::new(Named { inner, name: describe(path) }) })
}

/// A sink whose errors say where it writes.
struct Named {
    inner: Box<dyn Sink>,
    name: String,
}

impl Sink for Named {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.inner.write(batch).map_err(|e| e.in_source(self.name.as_str()))
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let name = self.name;
        self.inner.finish().map_err(|e| e.in_source(name))
    }
}

fn open_unnamed(path: &Path, schema: &Schema, options: &SinkOptions, alone: bool) -> Result<Box<dyn Sink>> {
    let format = options.format.map_or_else(|| Format::from_path(path), Ok)?;
    let given = [("--shards", options.shards.is_some()), ("--encoding", !options.encodings.is_empty())];
    if let (Some((option, _)), true) = (given.iter().find(|(_, given)| *given), format != Format::TfRecord) {
        return Err(Error::config(format!("{option} is for TFRecord files"))
            .with_hint("end the output's name in .tfrecord, or pass --format tfrecord"));
    }
    if path == Path::new("-") {
        if format != Format::IpcStream {
            return Err(Error::config("only an Arrow stream can go to standard output"));
        }
        let output: Box<dyn Write + Send> = Box::new(std::io::stdout());
        return Ok(Box::new(ipc::IpcStreamSink::new(ipc::Output::Stream(output), schema, options)?));
    }
    let named = |e: Error| e.in_source(path.to_string_lossy().into_owned());
    if options.one_batch && format != Format::IpcFile {
        return Err(Error::config("only an Arrow IPC file can hold all rows in one batch")
            .expected("a name that ends in .arrow, .feather or .ipc", describe(path))
            .with_hint("leave --one-batch out; .npy and .npyd hold each column as one array anyway"));
    }
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

/// Removes every output that is not finished yet: for the handler of a signal that ends the
/// process.
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
