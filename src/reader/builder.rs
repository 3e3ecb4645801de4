//! The front door: name the input, set options, iterate over batches.

use std::io::Read;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::made::Made;
use super::{Batches, Reader};
use crate::error::{Error, Result};
use crate::input::{Input, IntoInputs, Memory, Names, Store};
use crate::options::{
    BFloat16Storage, BoolStorage, InferRecords, OnError, OutputKind, RecordKind, Structure, TensorLayout,
};
use crate::schema::cast::Cast;
use crate::schema::feature::FeatureSpec;
use crate::source::kinds;
use crate::source::open;
use crate::source::options::OpenOptions;
use crate::source::report::Report;
use crate::source::{Progress, ReadOptions, Selection, Source};

/// Names the input of a [`Reader`] and how to read it.
///
/// ```
/// use tfarrow::ReaderBuilder;
///
/// let reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"])
///     .with_columns(["label", "pixels"])
///     .with_batch_rows(512)
///     .build()?;
/// let mut rows = 0;
/// for batch in reader {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(rows, 1797);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReaderBuilder {
    pub(super) inputs: Names,
    pub(super) made: Option<Made>,
    pub(super) open: OpenOptions,
    pub(super) read: ReadOptions,
    /// Bytes of a file from which it is cut.
    pub(super) task_bytes: Option<u64>,
    threads: Option<usize>,
}

impl ReaderBuilder {
    /// Reads these inputs, one after the other: one name or a list of them, each a `&str`, `String`,
    /// `&Path` or `PathBuf`. A name is a path, a glob (its matches in shard order, hidden files left
    /// out), a folder, a URL, or `-` for standard input.
    #[must_use]
    pub fn new(inputs: impl IntoInputs) -> Self {
        Self::of(Names::new(inputs))
    }

    /// Reads bytes in memory: a whole file of any kind. A `Vec<u8>` and `bytes::Bytes` are taken as
    /// they are, a `&[u8]` is copied.
    ///
    /// ```
    /// # use tfarrow::ReaderBuilder;
    /// let bytes = std::fs::read("examples/data/digits/digits.tfrecord-00000-of-00002")?;
    /// assert_eq!(ReaderBuilder::from_bytes(bytes).count()?, 898);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Buffer>) -> Self {
        let bytes: Buffer = bytes.into();
        Self::of(Names::of(Input::open_file("bytes", Arc::new(Memory(bytes)))))
    }

    /// Reads a stream: a file of any kind. It can be read once. What needs other than its order, such as
    /// Parquet and Arrow, is read to its end first, past 16 MiB into a temporary file.
    #[must_use]
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self::of(Names::of(Input::stream("stream", Box::new(reader))))
    }

    pub(super) fn of(inputs: Names) -> Self {
        let (open, read) = (OpenOptions::default(), ReadOptions::default());
        Self { inputs, made: None, open, read, task_bytes: None, threads: None }
    }

    /// Reads names that begin with `scheme://` from `store`, which is given what stands behind that.
    #[must_use]
    pub fn with_store(mut self, scheme: impl Into<String>, store: Arc<dyn Store>) -> Self {
        self.inputs.set_store(scheme.into(), store);
        self
    }

    /// Sets `key` to `value` for the object stores and web servers that are read from: a key of
    /// `object_store`'s builders, such as `aws_endpoint`, `google_base_url`, `azure_storage_account_name`
    /// or `skip_signature`. Values are never shown, nor kept in [`settings`](Self::settings).
    ///
    /// # Errors
    /// No store has such a key, or this build reaches none (feature `cloud`).
    pub fn with_store_option(mut self, key: &str, value: &str) -> Result<Self> {
        self.open.given.set("store");
        self.inputs.set_store_option(key, value)?;
        Ok(self)
    }

    /// Reads these columns only, in this order. Features that are not asked for are not decoded.
    #[must_use]
    pub fn with_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.open.given.set("columns");
        self.open.projection.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves these columns out.
    #[must_use]
    pub fn with_exclude<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.open.given.set("exclude");
        self.open.projection.exclude = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Says what a feature holds, in place of what would be inferred.
    #[must_use]
    pub fn with_feature(mut self, feature: FeatureSpec) -> Self {
        self.open.given.set("feature");
        self.add_feature(feature);
        self
    }

    fn add_feature(&mut self, mut feature: FeatureSpec) {
        if self.open.features_optional {
            feature.missing.allow();
        }
        self.open.features.push(feature);
    }

    /// Says what every feature holds: nothing is inferred, and other features are left out.
    #[must_use]
    pub fn with_features(mut self, features: impl IntoIterator<Item = FeatureSpec>) -> Self {
        self.open.given.set("features");
        self.open.features.clear();
        self.open.features_complete = true;
        features.into_iter().for_each(|feature| self.add_feature(feature));
        self
    }

    /// Lets every feature that a spec was or will be given for be missing: it is null then, where its
    /// spec makes that an error.
    #[must_use]
    pub fn with_optional_features(mut self) -> Self {
        self.open.given.set("feature");
        self.open.features_optional = true;
        self.open.features.iter_mut().for_each(|feature| feature.missing.allow());
        self
    }

    /// How many records to read for inference. Default: 10,000.
    #[must_use]
    pub fn with_infer_records(mut self, records: InferRecords) -> Self {
        self.open.given.set("infer_records");
        self.open.infer = records;
        self
    }

    /// What the records are. Default: [`RecordKind::Auto`].
    #[must_use]
    pub fn with_record(mut self, kind: RecordKind) -> Self {
        self.open.given.set("record");
        self.open.record = kind;
        self
    }

    /// What describes the message that the records hold: a `.proto` file, or a `FileDescriptorSet` as
    /// `protoc --include_imports -o` writes it. Unless something else is said of the records, they
    /// are then taken for [messages](RecordKind::Message).
    #[must_use]
    pub fn with_proto(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.open.given.set("proto");
        self.open.proto = Some(path.into());
        self
    }

    /// The message that the records hold, with its package. Default: the only one at the top of the
    /// descriptor.
    #[must_use]
    pub fn with_message(mut self, name: impl Into<String>) -> Self {
        self.open.given.set("message");
        self.open.message = Some(name.into());
        self
    }

    /// Folders in which to look for what a `.proto` file imports, after the one that it is in; they are
    /// added to those given before.
    #[must_use]
    pub fn with_proto_path<P: Into<std::path::PathBuf>>(
        mut self,
        folders: impl IntoIterator<Item = P>,
    ) -> Self {
        self.open.given.set("proto_path");
        self.open.proto_path.extend(folders.into_iter().map(Into::into));
        self
    }

    /// Whether a field of a message that is absent has the default that is declared for it. Default:
    /// false, it is null.
    #[must_use]
    pub fn with_proto_defaults(mut self, defaults: bool) -> Self {
        self.open.given.set("proto_defaults");
        self.open.proto_defaults = defaults;
        self
    }

    /// Reads these bytes columns as text, or every one if `all` is among them; a value that is not
    /// UTF-8 is then an error.
    #[must_use]
    pub fn with_utf8<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.open.given.set("utf8");
        self.open.mapping.utf8.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Gives the column `old` the name `new`. Everywhere else it is still called `old`.
    #[must_use]
    pub fn with_rename(mut self, old: impl Into<String>, new: impl Into<String>) -> Self {
        self.open.given.set("rename");
        let old = old.into();
        self.open.mapping.rename.retain(|(name, _)| *name != old);
        self.open.mapping.rename.push((old, new.into()));
        self
    }

    /// Names the top-level positions of elements that are tuples, or the single column of those that
    /// are one tensor. Default: positions are called by their number, the single column `value`.
    #[must_use]
    pub fn with_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.open.given.set("names");
        self.open.names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Makes every slice along the first dimension of an element a row: undoes `Dataset.batch`.
    /// Default: false, an element is a row.
    #[must_use]
    pub fn with_unbatch(mut self, unbatch: bool) -> Self {
        self.open.given.set("unbatch");
        self.open.unbatch = unbatch;
        self
    }

    /// Whether structures become columns by path, or structs. Default: [`Structure::Flat`].
    #[must_use]
    pub fn with_structure(mut self, structure: Structure) -> Self {
        self.open.given.set("structure");
        self.open.mapping.structure = structure;
        self
    }

    /// Casts columns after they were read. Values are rounded or cut to whole numbers where the
    /// new type demands it; a number that is out of its range is an error that names the row.
    #[must_use]
    pub fn with_cast(mut self, cast: Cast) -> Self {
        self.open.given.set("cast");
        self.open.casts.push(cast);
        self
    }

    /// How tensors are stored. Default: [`TensorLayout::Extension`].
    #[must_use]
    pub fn with_tensor_layout(mut self, layout: TensorLayout) -> Self {
        self.open.given.set("tensor_layout");
        self.open.mapping.tensor_layout = layout;
        self
    }

    /// How bool tensors are stored. Default: [`BoolStorage::Boolean`].
    #[must_use]
    pub fn with_bool(mut self, storage: BoolStorage) -> Self {
        self.open.given.set("bool");
        self.open.mapping.bool_storage = storage;
        self
    }

    /// How bfloat16 and float8 values are stored. Default: [`BFloat16Storage::Float32`].
    #[must_use]
    pub fn with_bfloat16(mut self, storage: BFloat16Storage) -> Self {
        self.open.given.set("bfloat16");
        self.open.mapping.bfloat16 = storage;
        self
    }

    /// Which splits of a TFDS dataset to read, as TFDS writes them: `train`, `train[:10%]`,
    /// `train[5:20]`, `train+test`, `all`. Default: the only one there is.
    #[must_use]
    pub fn with_split(mut self, split: impl Into<String>) -> Self {
        self.open.given.set("split");
        self.open.split = Some(split.into());
        self
    }

    /// Whether the class labels of a TFDS dataset become dictionary columns of their names.
    /// Default: false, the numbers.
    #[must_use]
    pub fn with_class_names(mut self, class_names: bool) -> Self {
        self.open.given.set("class_names");
        self.open.class_names = class_names;
        self
    }

    /// Whether the images and videos of a TFDS dataset are decoded to tensors. Default: false,
    /// their encoded bytes.
    #[must_use]
    pub fn with_decode_images(mut self, decode: bool) -> Self {
        self.open.given.set("decode_images");
        self.open.decode_images = decode;
        self
    }

    /// Whether to read what can be read of a TFDS dataset: features of unknown classes as what
    /// they are encoded as, shards that hold more or fewer records than the metadata says.
    /// Default: false, an error.
    #[must_use]
    pub fn with_lenient(mut self, lenient: bool) -> Self {
        self.open.given.set("lenient");
        self.open.lenient = lenient;
        self
    }

    /// Makes a row of every item of this sequence of a TFDS dataset, mostly `steps`, with the
    /// other features repeated and two columns more: `episode_index`, the number of the example,
    /// and `step_index`, that of the item in it.
    #[must_use]
    pub fn with_explode(mut self, sequence: impl Into<String>) -> Self {
        self.open.given.set("explode");
        self.open.explode = Some(sequence.into());
        self
    }

    /// The largest record to accept, in bytes. Default: 1 GiB.
    #[must_use]
    pub fn with_max_record_bytes(mut self, bytes: u64) -> Self {
        self.open.given.set("max_record_bytes");
        self.open.max_record_bytes = bytes;
        self
    }

    /// Whether to check the CRC of every record's data. Default: true. Lengths are always checked.
    #[must_use]
    pub fn with_check_crc(mut self, check: bool) -> Self {
        self.open.given.set("check_crc");
        self.open.check_crc = check;
        self
    }

    /// Where libtensorflow is, for live pipelines: its file, or a folder that holds it or the
    /// `tensorflow` package. Default: `TENSORFLOW_DIR`, the library path, the active Python
    /// environment and the package folders of the Python on the path are searched.
    #[must_use]
    pub fn with_libtensorflow(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.open.given.set("libtensorflow");
        self.open.libtensorflow = Some(path.into());
        self
    }

    /// Threads that TensorFlow runs a live pipeline's operations with. Default: one a core.
    #[must_use]
    pub fn with_tensorflow_threads(mut self, threads: u8) -> Self {
        self.open.given.set("tensorflow_threads");
        self.open.tensorflow_threads = threads;
        self
    }

    /// Rows in a batch; only the last one has fewer. Default: 1,024; 0 means 1.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> Self {
        self.open.given.set("batch_rows");
        self.read.batch_rows = rows.max(1);
        self
    }

    /// Bytes of input after which a batch is ended early. Default: 256 MiB; of files of records, 16 MiB
    /// at most.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.open.given.set("batch_bytes");
        self.read.batch_bytes = bytes.max(1);
        self
    }

    /// Which elements to take. Default: all.
    #[must_use]
    pub fn with_selection(mut self, selection: Selection) -> Self {
        let Selection { skip, shard, take } = selection;
        for (key, given) in [("skip", skip > 0), ("shard", shard.is_some()), ("take", take.is_some())] {
            if given {
                self.open.given.set(key);
            }
        }
        self.read.selection = selection;
        self
    }

    /// Counters to keep up to date while reading.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<Progress>) -> Self {
        self.read.progress = progress;
        self
    }

    /// Threads that read and decode. Default: 1, the caller's own. The batches and their order do
    /// not depend on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.open.given.set("threads");
        // TensorFlow is given as many, unless it is told otherwise.
        if !self.open.given.has("tensorflow_threads") {
            self.open.tensorflow_threads = u8::try_from(threads).unwrap_or(u8::MAX);
        }
        self.threads = Some(threads);
        self
    }

    /// As [`with_threads`](Self::with_threads), where nobody asked for so many: a kind of output
    /// that has no use for threads does not refuse them.
    #[must_use]
    pub fn with_default_threads(mut self, threads: usize) -> Self {
        self.threads.get_or_insert(threads);
        self
    }

    /// Threads that read and decode.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or(1)
    }

    /// Threads for work that takes as many as there are, unless it was told otherwise.
    pub(crate) fn threads_or_cores(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.unwrap_or_else(cores)
    }

    /// What the rows are read for. Options that such an output does not heed are refused. Default:
    /// batches in memory.
    #[must_use]
    pub fn for_output(mut self, output: OutputKind) -> Self {
        self.open.output = output;
        self
    }

    /// Opens the input: recognises it, and learns or infers its schema.
    ///
    /// The first live pipeline of a process loads libtensorflow, for which environment variables
    /// are set: no other thread may then be in C code that reads them.
    ///
    /// # Errors
    /// The input does not exist, is of no known kind or is damaged, or an option does not fit it.
    pub fn build_source(&self) -> Result<Arc<dyn Source>> {
        if let Some((index, count)) = self.read.selection.shard
            && index >= count
        {
            return Err(Error::config("no such shard")
                .expected(format!("0 to {}", count.saturating_sub(1)), index.to_string()));
        }
        match self.made_source()? {
            Some(source) => open::with_casts(source, &self.open),
            None => open::open(&self.inputs, &self.open),
        }
    }

    /// Elements in a part file of a [`Conversion`](crate::Conversion) to a folder. Default: a partition is
    /// a part.
    #[must_use]
    pub fn with_part_rows(mut self, rows: u64) -> Self {
        self.open.given.set("rows_per_file");
        self.read.part_rows = Some(rows.max(1));
        self
    }

    /// Bytes of input in a task of a [`Plan`](crate::Plan), about: files with more that can be cut are. A
    /// folder of part files is then cut likewise. Default: 256 MiB for plans; folders have a part for each
    /// partition.
    #[must_use]
    pub fn with_task_bytes(mut self, bytes: u64) -> Self {
        self.open.given.set("task_bytes");
        self.task_bytes = Some(bytes.max(1));
        self
    }

    /// What to do with records that are damaged or do not fit. Default: [`OnError::Fail`].
    #[must_use]
    pub fn with_on_error(mut self, on_error: OnError) -> Self {
        self.open.given.set("on_error");
        self.open.on_error = on_error;
        self.read.on_error = on_error;
        self
    }

    /// As [`with_on_error`](Self::with_on_error), as a default and not as an option that was given: no
    /// input refuses it.
    #[must_use]
    pub fn with_default_on_error(mut self, on_error: OnError) -> Self {
        self.open.on_error = on_error;
        self.read.on_error = on_error;
        self
    }

    /// Where records that could not be read are counted and told of.
    #[must_use]
    pub fn with_report(mut self, report: Arc<Report>) -> Self {
        self.read.report = report;
        self
    }

    /// The number of records, without decoding them: from the input's own index or metadata if it
    /// has any, otherwise by hopping over frames, whose lengths are checked and whose data is not.
    ///
    /// # Errors
    /// The input does not exist, or its framing is damaged.
    pub fn count(&self) -> Result<u64> {
        Ok(self.read.selection.count(self.count_all()?))
    }

    /// The number of rows before the selection.
    fn count_all(&self) -> Result<u64> {
        match self.made_source()? {
            Some(source) => kinds::count_source(source.as_ref(), &self.read),
            // Only the values say how many rows a sequence makes.
            None if self.open.explode.is_some() => {
                kinds::count_source(self.build_source()?.as_ref(), &self.read)
            }
            None => open::count(&self.inputs, &self.open, &self.read),
        }
    }

    /// As [`count`](Self::count), but every record is read, its CRC or hash is checked, and there
    /// must be as many as the input's index or metadata says.
    ///
    /// # Errors
    /// As [`count`](Self::count), or a record is damaged, or there are more or fewer.
    pub fn count_checked(&self) -> Result<u64> {
        let found = match self.made_source()? {
            Some(source) => kinds::count_source(source.as_ref(), &self.read)?,
            None if self.open.explode.is_some() => self.count_all()?,
            None => open::count_checked(&self.inputs, &self.open, &self.read)?,
        };
        Ok(self.read.selection.count(found))
    }

    /// Opens the input to [verify](Source::verify) it: nothing is inferred, so that damage does not
    /// stand in the way.
    ///
    /// # Errors
    /// The input does not exist, or is of no known kind.
    pub fn build_to_verify(&self) -> Result<Arc<dyn Source>> {
        let mut open = self.open.clone();
        open.to_verify = true;
        open.on_error = OnError::Skip;
        open::open(&self.inputs, &open)
    }

    /// Opens the input and begins to read it.
    ///
    /// # Errors
    /// As [`build_source`](Self::build_source).
    pub fn build(&self) -> Result<Reader> {
        let source = self.build_source()?;
        let batches = Batches::new(source.clone(), &self.read, self.threads())?;
        Ok(Reader::new(source, batches))
    }

    /// The options that govern reading.
    #[must_use]
    pub fn read_options(&self) -> &ReadOptions {
        &self.read
    }
}
