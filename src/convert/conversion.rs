//! A conversion from beginning to end, as the command and other languages do it.

use std::path::{MAIN_SEPARATOR, Path};
use std::sync::Arc;
use std::time::Duration;

use super::convert;
use super::folder::{FolderOptions, convert_to_folder, format_of_parts};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OutputKind, Phrase};
use crate::reader::ReaderBuilder;
use crate::sink::{Format, OutputCompression, SinkOptions, open_sink};
use crate::source::{ReadOptions, Source};

/// A dataset on its way to a file, or to a folder of part files.
///
/// ```
/// use tfarrow::sink::SinkOptions;
/// use tfarrow::{Conversion, ReaderBuilder};
///
/// let folder = tempfile::tempdir()?;
/// let builder = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]);
/// let conversion = Conversion::new(builder).with_sink(SinkOptions::new().set("compression", "zstd:9")?);
/// let converted = conversion.write(folder.path().join("digits.parquet"))?;
/// assert_eq!(converted.rows, 1797);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Conversion {
    builder: ReaderBuilder,
    source: Option<Arc<dyn Source>>,
    read: Option<ReadOptions>,
    sink: SinkOptions,
    resume: bool,
    threads: usize,
}

/// What a [`Conversion`] did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Converted {
    /// Rows converted; of part files that an earlier run had made, too.
    pub rows: u64,
    /// Bytes written; 0 where nothing is, or where they go to a stream.
    pub bytes_written: u64,
    /// Part files, where the output is a folder of them.
    pub parts: Option<usize>,
    /// Part files that an earlier run had made.
    pub kept: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What was read.
    pub source: Arc<dyn Source>,
}

impl Conversion {
    /// Converts what `builder` reads, with [its threads](ReaderBuilder::with_threads) or, where it was not
    /// told of any, as many as there are cores. The output does not depend on them.
    pub fn new(builder: ReaderBuilder) -> Self {
        let threads = builder.threads_or_cores();
        Self { builder, source: None, read: None, sink: SinkOptions::new(), resume: false, threads }
    }

    /// Reads this source, which the builder built and which may have been projected since.
    pub fn with_source(mut self, source: Arc<dyn Source>) -> Self {
        self.source = Some(source);
        self
    }

    /// Reads as these options say. Default: [those of the builder](ReaderBuilder::read_options).
    pub fn with_read_options(mut self, options: ReadOptions) -> Self {
        self.read = Some(options);
        self
    }

    /// How the output is written.
    pub fn with_sink(mut self, options: SinkOptions) -> Self {
        self.sink = options;
        self
    }

    /// Whether a conversion to a folder that was interrupted is gone on with. Default: false.
    pub fn with_resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Refuses what can be refused before anything is read or written: an output that is there, or that
    /// is of no known format, and options that it does not heed.
    ///
    /// # Errors
    /// It says why.
    pub fn check(&self, output: impl AsRef<Path>) -> Result<()> {
        let output = output.as_ref();
        let parts = self.part_extension(output)?;
        self.check_options(Some(output))?;
        if output == Path::new("-") {
            return match self.sink.overwrite {
                true => Err(nothing_to_replace()),
                false => Ok(()),
            };
        }
        // A folder may be gone on with, and shards have names of their own.
        match parts.is_some() || self.sink.shards.is_some() {
            true => Ok(()),
            false => refuse_present(output, &self.sink),
        }
    }

    /// Refuses options that an output does not heed; if none is named, what is read is not written.
    ///
    /// # Errors
    /// There is one, or the output is of no known format.
    pub fn check_options(&self, output: Option<&Path>) -> Result<()> {
        self.sink.check(self.output_kind(output)?)
    }

    /// Reads and converts everything, and writes nothing: as it would be for `output`, if one is named.
    ///
    /// # Errors
    /// The input cannot be read or is damaged, or an option is not for this output.
    pub fn dry_run(&self, output: Option<&Path>) -> Result<Converted> {
        self.check_options(output)?;
        let source = self.source(self.output_kind(output)?)?;
        let summary = convert(&source, None, self.read_options(), self.threads)?;
        Ok(Converted::file(summary.rows, 0, summary.elapsed, source))
    }

    /// Writes `output`: a file (`-` is standard output), or a folder of part files, one for each
    /// partition or for each [`rows_per_file`](ReaderBuilder::with_part_rows) rows, if the name ends
    /// in a separator or is that of a folder.
    ///
    /// A file appears when it is whole, or not at all; of a folder, part files do, and
    /// `_manifest.json` when all are there.
    ///
    /// # Errors
    /// The input cannot be read or is damaged, an option is not for this output, the output exists
    /// already or cannot be written.
    pub fn write(&self, output: impl AsRef<Path>) -> Result<Converted> {
        let output = output.as_ref();
        self.check(output)?;
        match self.part_extension(output)? {
            Some(extension) => self.write_folder(output, extension),
            None => self.write_file(output),
        }
    }

    /// What the output is to options. Part files are Parquet unless something says otherwise.
    fn output_kind(&self, output: Option<&Path>) -> Result<OutputKind> {
        let is_parts = |output: &Path| named_format(output).is_none() && is_folder(output);
        Ok(match (self.sink.format, output) {
            (Some(format), _) => format.kind(),
            (None, Some(output)) if is_parts(output) => OutputKind::Parquet,
            (None, Some(output)) => Format::from_path(output)?.kind(),
            (None, None) => OutputKind::Batches,
        })
    }

    fn source(&self, output: OutputKind) -> Result<Arc<dyn Source>> {
        let source = match &self.source {
            Some(source) => source.clone(),
            None => self.builder.clone().for_output(output).build_source()?,
        };
        self.read_options().progress.set_total_bytes(source.as_ref());
        Ok(source)
    }

    fn read_options(&self) -> &ReadOptions {
        self.read.as_ref().unwrap_or_else(|| self.builder.read_options())
    }

    fn write_file(&self, output: &Path) -> Result<Converted> {
        let source = self.source(self.output_kind(Some(output))?)?;
        let options = self.sink.clone().with_threads(self.threads);
        let sink = open_sink(output, &source.schema(), &options)?;
        let summary = convert(&source, Some(sink), self.read_options(), self.threads)?;
        Ok(Converted::file(summary.rows, summary.bytes_written, summary.elapsed, source))
    }

    fn write_folder(&self, folder: &Path, extension: String) -> Result<Converted> {
        let source = self.builder.cut(self.source(format_of_parts(&extension)?.kind())?)?;
        let options = FolderOptions {
            extension,
            sink: self.sink.clone().with_threads(self.threads),
            resume: self.resume,
            settings: self.builder.settings(),
        };
        convert_to_folder(&source, folder, self.read_options(), &options).map_err(|error| {
            let is_told = matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::Config);
            match is_told || error.hint().is_some() {
                true => error,
                false => error
                    .with_hint(Phrase::new("parts that are whole stay, and {resume=true} makes the others")),
            }
        })
    }

    /// The extension of the part files, if `output` is to be a folder of them.
    fn part_extension(&self, output: &Path) -> Result<Option<String>> {
        // These are folders by themselves.
        let format = self.sink.format.or(named_format(output));
        if matches!(format, Some(Format::Npyd | Format::Saved)) || !is_folder(output) {
            let cut = self.builder.task_bytes().is_some();
            if self.read_options().part_rows.is_some() || self.resume || cut {
                let what = Phrase::new("{rows_per_file}, {task_bytes} and {resume} are for an output folder");
                return Err(Error::config(what)
                    .in_source(output.to_string_lossy().into_owned())
                    .with_hint("end the output's name in /"));
            }
            return Ok(None);
        }
        Ok(Some(extension_of_parts(output, &self.sink)))
    }
}

/// What a folder's own name says of a format: `train.parquet/`.
fn named_format(folder: &Path) -> Option<Format> {
    Format::from_path(folder).ok().filter(|_| folder != Path::new("-"))
}

/// Whether part files are to be written into `output`, unless its format is a folder by itself.
fn is_folder(output: &Path) -> bool {
    output.to_string_lossy().ends_with(['/', MAIN_SEPARATOR]) || output.is_dir()
}

/// The extension of part files in `folder`.
pub(crate) fn extension_of_parts(folder: &Path, sink: &SinkOptions) -> String {
    let gzip = matches!(sink.compression, Some(OutputCompression::Gzip(_)));
    match (sink.format, named_format(folder)) {
        (Some(Format::TfRecord), _) if gzip => "tfrecord.gz".to_owned(),
        (Some(format), _) => format.extension().to_owned(),
        (None, Some(_)) => folder.extension().unwrap_or_default().to_string_lossy().into_owned(),
        (None, None) => Format::Parquet.extension().to_owned(),
    }
}

/// What is said of an output that is not there to be replaced.
fn nothing_to_replace() -> Error {
    let what = "{overwrite=true} is for files and folders; what is written goes to standard output";
    Error::config(Phrase::new(what)).with_hint(Phrase::new("leave {overwrite} out, or name a file"))
}

/// Refuses an output that is there, unless it may be replaced.
fn refuse_present(output: &Path, options: &SinkOptions) -> Result<()> {
    let place = options.place(output)?;
    let is_there = match place.local_path() {
        Some(path) => path.symlink_metadata().is_ok(),
        None => place.stat_now()?.is_some(),
    };
    match is_there && !options.overwrite {
        true => Err(Error::new(ErrorKind::AlreadyExists, "output exists already")
            .in_source(place.name())
            .with_hint(Phrase::new("pass {overwrite=true} to replace it"))),
        false => Ok(()),
    }
}

impl Converted {
    fn file(rows: u64, bytes_written: u64, elapsed: Duration, source: Arc<dyn Source>) -> Self {
        Self { rows, bytes_written, parts: None, kept: 0, elapsed, source }
    }
}
