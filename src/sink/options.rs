//! How an output is written: its format, its compression, and the rest.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::atomic::Witness;
use crate::error::{Error, Result};
use crate::input::{Place, Store, Stores};
use crate::options::{
    Given, InvalidValue, OutputKind, ParquetEncodings, flag, number, split_assignments, split_setting,
};
use crate::schema::feature::Encoding;

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
    /// The extension of its files, without a dot; `saved` for folders of `Dataset.load`.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::IpcFile => "arrow",
            Format::IpcStream => "arrows",
            Format::Parquet => "parquet",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Npyd => "npyd",
            Format::Saved => "saved",
            Format::TfRecord => "tfrecord",
        }
    }

    /// What options know the format as.
    #[must_use]
    pub fn kind(self) -> OutputKind {
        match self {
            Format::IpcFile => OutputKind::IpcFile,
            Format::IpcStream => OutputKind::IpcStream,
            Format::Parquet => OutputKind::Parquet,
            Format::Npy => OutputKind::Npy,
            Format::Npz => OutputKind::Npz,
            Format::Npyd => OutputKind::Npyd,
            Format::Saved => OutputKind::Saved,
            Format::TfRecord => OutputKind::TfRecord,
        }
    }

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
#[must_use]
pub struct SinkOptions {
    /// The options that were set, whatever to.
    pub(crate) given: Given,
    pub(crate) format: Option<Format>,
    pub(crate) compression: Option<OutputCompression>,
    pub(crate) row_group_rows: Option<usize>,
    pub(crate) parquet_encodings: ParquetEncodings,
    pub(crate) overwrite: bool,
    pub(crate) string_bytes: Option<usize>,
    pub(crate) one_batch: bool,
    pub(crate) threads: usize,
    pub(crate) shards: Option<usize>,
    pub(crate) encodings: Vec<(String, Encoding)>,
    /// Where names with a scheme lie.
    pub(crate) stores: Stores,
    /// Where files of other stores are told of.
    pub(crate) witness: Option<Arc<Witness>>,
}

impl SinkOptions {
    /// Options that are all at their defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The format. Default: the one that the output's extension names.
    pub fn with_format(mut self, format: Format) -> Self {
        self.given.set("format");
        self.format = Some(format);
        self
    }

    /// The compression. Default: Zstandard for Parquet, none for others.
    pub fn with_compression(mut self, compression: OutputCompression) -> Self {
        self.given.set("compression");
        self.compression = Some(compression);
        self
    }

    /// Rows in a Parquet row group; 0 means 1. Default: 1,048,576, or fewer where a group would grow past
    /// 24 MiB of Arrow arrays.
    pub fn with_row_group_rows(mut self, rows: usize) -> Self {
        self.given.set("row_group_rows");
        self.row_group_rows = Some(rows.max(1));
        self
    }

    /// Which encodings a Parquet file may use. Default: those that every reader opens.
    pub fn with_parquet_encodings(mut self, encodings: ParquetEncodings) -> Self {
        self.given.set("parquet_encodings");
        self.parquet_encodings = encodings;
        self
    }

    /// Whether an existing output is replaced. Default: false.
    pub fn with_overwrite(mut self, overwrite: bool) -> Self {
        self.given.set("overwrite");
        self.overwrite = overwrite;
        self
    }

    /// The width of strings in NumPy arrays, in bytes: `S16`, say. Default: strings are refused.
    pub fn with_string_bytes(mut self, bytes: usize) -> Self {
        self.given.set("string_bytes");
        self.string_bytes = Some(bytes.max(1));
        self
    }

    /// Whether an Arrow IPC file holds all rows in one batch, so that a mapped column is one array.
    /// All rows are then held in memory, for a moment twice. Default: false.
    pub fn with_one_batch(mut self, one_batch: bool) -> Self {
        self.given.set("one_batch");
        self.one_batch = one_batch;
        self
    }

    /// Threads that encode. Default: the caller's own, as 0 and 1 mean too.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// TFRecord: so many files, `NAME-00000-of-00004.tfrecord` …, to which the rows are dealt in turn,
    /// as `Dataset.shard` deals them. Default: one file of the output's own name.
    pub fn with_shards(mut self, shards: usize) -> Self {
        self.given.set("shards");
        self.shards = Some(shards.max(1));
        self
    }

    /// TFRecord: how the tensors of a column are encoded, by the column's path. Others are
    /// encoded as values, or where a list of values could not hold them as bytes.
    pub fn with_encoding(mut self, column: impl Into<String>, encoding: Encoding) -> Self {
        self.given.set("encoding");
        let column = column.into();
        self.encodings.retain(|(name, _)| *name != column);
        self.encodings.push((column, encoding));
        self
    }

    /// Sets `key` to `value` for the object stores that are written to: see
    /// [`ReaderBuilder::with_store_option`](crate::ReaderBuilder::with_store_option).
    ///
    /// # Errors
    /// No store has such a key, or this build reaches none (feature `cloud`).
    pub fn with_store_option(mut self, key: &str, value: &str) -> Result<Self> {
        self.given.set("store");
        self.stores.set_option(key, value)?;
        Ok(self)
    }

    /// Writes names that begin with `scheme://` to `store`, which is given what stands behind that.
    pub fn with_store(mut self, scheme: &str, store: Arc<dyn Store>) -> Self {
        self.stores.give(scheme, store);
        self
    }

    /// Where `path` lies.
    ///
    /// # Errors
    /// There is no store for its scheme, or an option is for another.
    pub(crate) fn place(&self, path: &Path) -> Result<Place> {
        self.stores.check_name(path.as_os_str())?;
        self.stores.place(path.as_os_str())
    }

    /// Sets the option `key` to what `text` says, as the command does: see
    /// [`OPTIONS`](crate::options::OPTIONS) for the keys.
    ///
    /// ```
    /// use tfarrow::sink::SinkOptions;
    ///
    /// let options = SinkOptions::new().set("compression", "zstd:9")?.set("row_group_rows", "10000")?;
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such option of writing, or the text is no value of it.
    pub fn set(self, key: &str, text: &str) -> Result<Self> {
        match key {
            "format" => {
                let mut options = self.with_format(Format::from_name(text)?);
                if text.ends_with(".gz") {
                    options.compression.get_or_insert(OutputCompression::Gzip(None));
                }
                Ok(options)
            }
            "compression" => Ok(self.with_compression(OutputCompression::parse(text)?)),
            "row_group_rows" => Ok(self.with_row_group_rows(number("row_group_rows", text, 1)?)),
            "parquet_encodings" => Ok(self.with_parquet_encodings(text.parse()?)),
            "overwrite" => Ok(self.with_overwrite(flag("overwrite", text)?)),
            "string_bytes" => Ok(self.with_string_bytes(number("string_bytes", text, 1)?)),
            "one_batch" => Ok(self.with_one_batch(flag("one_batch", text)?)),
            "threads" => Ok(self.with_threads(number("threads", text, 1)?)),
            "store" => {
                let (key, value) = split_setting("store", text)?;
                self.with_store_option(key, value)
            }
            "shards" => Ok(self.with_shards(number("shards", text, 1)?)),
            "encoding" => {
                let encodings = encodings(text)?;
                Ok(encodings.into_iter().fold(self, |options, (column, e)| options.with_encoding(column, e)))
            }
            _ => Err(Error::unknown_option(key, "writing")),
        }
    }

    /// Refuses options that an output of this kind does not heed.
    ///
    /// # Errors
    /// One that was set does not concern such an output; the error says which ones it is for.
    pub fn check(&self, output: OutputKind) -> Result<()> {
        match self.given.options().find(|option| !option.outputs.contains(&output)) {
            Some(option) => Err(Error::not_heeded(option, output, &OutputKind::list(option.outputs))),
            None => Ok(()),
        }
    }

    /// What the options say of the bytes that are written, by the options' keys.
    pub(crate) fn settings(&self) -> Map<String, Value> {
        // Every field is named, so that none that is added is forgotten.
        let Self {
            given: _,
            // A folder of parts has the extension of its parts for it.
            format: _,
            compression,
            row_group_rows,
            parquet_encodings,
            overwrite: _,
            string_bytes,
            one_batch,
            threads: _,
            shards,
            encodings,
            stores: _,
            witness: _,
        } = self;
        let encodings = encodings.iter().map(|(column, encoding)| [column.clone(), encoding.to_string()]);
        let settings = json!({
            "compression": compression.map(|compression| compression.to_string()),
            "row_group_rows": row_group_rows,
            "parquet_encodings": parquet_encodings.to_string(),
            "string_bytes": string_bytes,
            "one_batch": one_batch,
            "shards": shards,
            "encoding": encodings.collect::<Vec<_>>(),
        });
        match settings {
            Value::Object(settings) => settings,
            _ => Map::new(),
        }
    }
}

/// How columns are encoded: `COLUMN=ENCODING` each.
fn encodings(text: &str) -> Result<Vec<(String, Encoding)>> {
    let bad = || InvalidValue::new("encoding", "COLUMN=values, COLUMN=raw or COLUMN=tensor", text);
    let parse = |(column, sign, encoding): (String, char, String)| {
        let encoding = match (sign, encoding.as_str()) {
            ('=', "values") => Encoding::Values,
            ('=', "raw") => Encoding::Raw,
            ('=', "tensor") => Encoding::Tensor,
            _ => return Err(bad().into()),
        };
        Ok((column, encoding))
    };
    split_assignments(text).map_err(|_| bad())?.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{OPTIONS, Topic};

    #[test]
    fn every_option_of_writing_can_be_set() {
        for option in OPTIONS.iter().filter(|option| option.topic == Topic::Writing) {
            let error = SinkOptions::new().set(option.key, "\u{0}").err();
            let unknown = error.is_some_and(|e| e.to_string().contains("no option"));
            assert!(!unknown, "{}", option.key);
        }
    }

    #[test]
    fn columns_with_signs_have_encodings() {
        let options = SinkOptions::new().set("encoding", r#""a,b"=raw,c=d=tensor"#).unwrap();
        let expected = [("a,b".to_owned(), Encoding::Raw), ("c=d".to_owned(), Encoding::Tensor)];
        assert_eq!(options.encodings, expected);
        assert!(SinkOptions::new().set("encoding", "x=image").is_err());
    }
}
