//! Folders of datasets that TFDS prepared: the schema comes from `features.json`, the shards from
//! `dataset_info.json`, the records are `tf.train.Example` in TFRecord, ArrayRecord or Parquet.

mod decoder;
mod folder;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use self::decoder::TfdsDecoder;
use super::options::OpenOptions;
use super::planned::{Learnt, LearntTfds, Planned};
use super::records::{Piece, RecordFile, RecordUnits, RowDecoder, Shared, clip, planned, sample};
use super::{Cardinality, InputFile, Partition, PartitionRange, ReadOptions, Source, Units, UnitsAre};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Place, Stat};
use crate::options::{InferRecords, OnError, Phrase};
use crate::schema::feature::FeatureSpec;
use crate::schema::infer::{Inference, Lists};
use crate::schema::is_under;
use crate::schema::tfds::{ADDED, TfdsOptions, TfdsPlan};
use crate::tf::spec::ElementSpec;
use crate::tf::tfds::info::{DatasetInfo, FileFormat, SplitInfo};
use crate::tf::tfds::split::{self, Slice};
use crate::tf::tfds::{Feature, FeatureKind, TensorEncoding};

pub(crate) use folder::find;

/// Bytes of input after which a batch is ended, at the latest, where rows hold sequences: an
/// episode of a robot takes as much as a thousand plain rows.
const SEQUENCE_BATCH_BYTES: usize = 16 << 20;
/// Episodes and bytes that are exploded at a time.
const EXPLODE_ROWS: usize = 64;
const EXPLODE_BYTES: usize = 8 << 20;

/// A dataset folder, or some of its splits.
#[derive(Debug, Clone)]
pub(crate) struct TfdsSource {
    learnt: Arc<LearntTfds>,
    shared: Arc<Shared>,
    plan: Arc<Columns>,
    options: Arc<OpenOptions>,
    kind: String,
    pieces: Vec<Piece>,
    partitions: Vec<Partition>,
    cardinality: Cardinality,
    /// Which folder of the one that was named is read, if that is another one.
    choice: Option<String>,
    /// Why it cannot be read, though its schema is known: no split was chosen.
    no_split: Option<String>,
    heavy: bool,
}

/// The columns of a dataset, and what they were planned from.
#[derive(Debug)]
struct Columns {
    plan: Arc<TfdsPlan>,
    root: Arc<Feature>,
    /// The names of classes, by what the label feature is called.
    labels: Labels,
}

type Labels = HashMap<String, Option<Vec<String>>>;

impl Columns {
    /// Plans the columns of the features `root`, with the names of classes that `labels` gives; only
    /// those that are `picked` are given out.
    ///
    /// # Errors
    /// A feature cannot be stored, an option does not fit, or `labels` fails.
    fn new(
        root: Arc<Feature>,
        options: &OpenOptions,
        picked: Option<&[&str]>,
        labels: &dyn Fn(&str) -> Result<Option<Vec<String>>>,
    ) -> Result<Self> {
        let read = RefCell::new(Labels::new());
        let plan = TfdsPlan::new(
            &root,
            &TfdsOptions {
                mapping: &options.mapping,
                projection: &options.projection,
                class_names: options.class_names,
                decode_images: options.decode_images,
                explode: options.explode.as_deref(),
                null_values: options.on_error == OnError::NullValue,
                labels: &|label| {
                    let names = labels(label)?;
                    read.borrow_mut().insert(label.to_owned(), names.clone());
                    Ok(names)
                },
            },
        )?;
        let plan = match picked {
            Some(columns) => plan.pick(columns),
            None => plan,
        };
        Ok(Self { plan: Arc::new(plan), root, labels: read.into_inner() })
    }

    /// The plan of these columns only, and the options that ask for them.
    ///
    /// # Errors
    /// There is no such column.
    fn project(&self, columns: &[&str], options: &OpenOptions) -> Result<(Self, OpenOptions)> {
        let labels = |label: &str| Ok(self.labels.get(label).cloned().flatten());
        let Some(sequence) = &options.explode else {
            let options = options.projected(columns)?;
            return Ok((Self::new(self.root.clone(), &options, None, &labels)?, options));
        };
        // How many rows there are is said by a column of the sequence; exploding adds columns to those
        // that are features.
        let columns: Vec<&str> = columns.iter().map(|name| options.mapping.path_of(name)).collect();
        self.plan.check_picked(&columns)?;
        let mut features: Vec<&str> = columns.iter().copied().filter(|name| !ADDED.contains(name)).collect();
        if !features.iter().any(|name| name == sequence || is_under(name, sequence)) {
            let exploded = self.plan.columns.iter().filter(|column| column.exploded);
            features.extend(exploded.map(|column| column.path.as_str()).take(1));
        }
        let options = OpenOptions { projection: options.projection.narrowed(&features)?, ..options.clone() };
        Ok((Self::new(self.root.clone(), &options, Some(&columns), &labels)?, options))
    }

    /// What decoding by the plan needs.
    fn shared(&self, options: &OpenOptions) -> Shared {
        let plan = self.plan.clone();
        let mut shared = Shared::new(options.check_crc, options.max_record_bytes, move |rows| {
            TfdsDecoder::new(&plan, rows).map(|decoder| Box::new(decoder) as Box<dyn RowDecoder>)
        });
        shared.counts_rows = options.explode.is_none();
        shared
    }

    /// Whether a column holds sequences.
    fn has_sequences(&self) -> bool {
        self.plan.wire.fields.iter().any(|field| matches!(field.data_type(), DataType::List(_)))
    }
}

/// What is to be read of a folder.
struct Selected {
    info: DatasetInfo,
    pieces: Vec<Piece>,
    format: FileFormat,
    no_split: Option<String>,
}

fn select(folder: &Place, options: &OpenOptions) -> Result<Selected> {
    let place = |e: Error| e.in_source(folder.name());
    let info = folder::read_info(folder).and_then(|json| DatasetInfo::from_json(&json)).map_err(place)?;
    let everything = || (0..info.splits.len()).map(|split| (split, info.splits.get(split)));
    let mut no_split = None;
    let slices = match &options.split {
        Some(text) => split::parse(text, &info.splits).map_err(place)?,
        None => {
            // All of them are verified.
            if info.splits.len() > 1 && !options.to_verify {
                no_split = Some(split::listed(&info.splits));
            }
            let whole = |(split, info): (usize, Option<&SplitInfo>)| Slice {
                split,
                from: 0,
                to: info.and_then(SplitInfo::examples),
            };
            everything().map(whole).collect()
        }
    };
    let files = folder.list()?.into_iter().map(|(file, stat)| (file.file_name(), stat)).collect();
    let format = format_of(&files, &info, &slices)?;
    let pieces = pieces_of(folder, &files, &info, format, &slices, options.lenient).map_err(place)?;
    Ok(Selected { info, pieces, format, no_split })
}

/// What lies in a dataset folder, by name.
type Files = HashMap<String, Stat>;

/// The format in which the files of the splits are there.
fn format_of(files: &Files, info: &DatasetInfo, slices: &[Slice]) -> Result<FileFormat> {
    let split = slices.iter().filter_map(|slice| info.splits.get(slice.split)).find(|split| split.shards > 0);
    let first = info.formats.first().copied().unwrap_or(FileFormat::TfRecord);
    let Some(split) = split else { return Ok(first) };
    for format in &info.formats {
        if files.contains_key(&split.file_name(&info.name, *format, 0)?) {
            return Ok(*format);
        }
    }
    Ok(first)
}

/// The shards, or parts of such, that hold the slices.
fn pieces_of(
    folder: &Place,
    files: &Files,
    info: &DatasetInfo,
    format: FileFormat,
    slices: &[Slice],
    lenient: bool,
) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut element = 0u64;
    for slice in slices {
        let Some(split) = info.splits.get(slice.split) else { continue };
        let mut begin = 0u64;
        for shard in 0..split.shards {
            let name = split.file_name(&info.name, format, shard)?;
            let input = folder.join(&name).input(files.get(&name).cloned());
            let length = split.lengths.as_ref().and_then(|lengths| lengths.get(shard).copied());
            let Some(length) = length else {
                pieces.push(piece(input, format, 0, None, false, element)?);
                continue;
            };
            let end = begin.saturating_add(length);
            let from = slice.from.max(begin);
            let to = slice.to.unwrap_or(end).min(end);
            if from < to {
                let to_end = to == end;
                let all = lenient && from == begin && to_end;
                let records = (!all).then_some(to - from);
                pieces.push(piece(input, format, from - begin, records, to_end && !lenient, element)?);
                element = element.saturating_add(to - from);
            }
            begin = end;
        }
    }
    Ok(pieces)
}

fn piece(
    input: Input,
    format: FileFormat,
    skip: u64,
    records: Option<u64>,
    to_end: bool,
    first_element: u64,
) -> Result<Piece> {
    let file = record_file(input, format.name())?;
    Ok(Piece { file, skip, records, to_end, first_element })
}

/// `input` as a file of records of the format that TFDS calls `format`.
///
/// # Errors
/// Such files are not read.
pub(crate) fn record_file(input: Input, format: &str) -> Result<RecordFile> {
    match format {
        "tfrecord" => Ok(RecordFile::Frames(input)),
        #[cfg(feature = "array-record")]
        "array_record" => Ok(RecordFile::ChunksAt(input)),
        #[cfg(feature = "parquet")]
        "parquet" => Ok(RecordFile::Values(Arc::new(parquet::ParquetShard::new(input)))),
        "riegeli" => Err(Error::unsupported("dataset in Riegeli files")
            .with_hint("prepare it in another format: tfrecord, array_record or parquet")),
        other => Err(Error::unsupported(format!("{other} files"))
            .with_hint("build tfarrow with the features `array-record` and `parquet`")),
    }
}

impl TfdsSource {
    /// Opens the dataset folder `folder`, which was [found](find) in `named`, and plans its columns.
    ///
    /// # Errors
    /// A file of the folder is missing or invalid, the split does not exist, a feature cannot be
    /// stored, or an option does not fit.
    pub(crate) fn open(folder: &Place, named: &Place, options: &OpenOptions) -> Result<Self> {
        let Selected { info, pieces, format, no_split } = select(folder, options)?;
        let place = |e: Error| e.in_source(folder.name());
        let features = folder::read_features(folder)?;
        let root = Feature::from_json(&features, options.lenient).map_err(place)?;
        let guessed = match has_unknown(&root) {
            true => guess_unknown(&pieces, options)?,
            false => Vec::new(),
        };
        let labels = |label: &str| folder::read_labels(folder, label);
        let plan = columns_of(root, &guessed, options, &labels).map_err(place)?;
        let mut labels: Vec<(String, Option<Vec<String>>)> =
            plan.labels.iter().map(|(label, names)| (label.clone(), names.clone())).collect();
        labels.sort();
        let learnt = Arc::new(LearntTfds {
            folder: folder.name(),
            full_name: info.full_name(),
            format: format.name(),
            features,
            guessed,
            labels,
        });
        let partitions = pieces.iter().map(|piece| partition(piece, options.explode.is_none())).collect();
        let chosen = folder.path().strip_prefix(named.path()).ok();
        let chosen = chosen.filter(|path| !path.as_os_str().is_empty());
        let choice = chosen.map(|path| format!("{} of {}", path.display(), named.name()));
        Ok(Self { choice, no_split, ..Self::of(learnt, plan, pieces, partitions, options) })
    }

    /// `pieces`, which are `partitions`, of the dataset of which `learnt` is known.
    ///
    /// # Errors
    /// A feature cannot be stored, or an option does not fit.
    pub(crate) fn of_parts(
        learnt: &Arc<LearntTfds>,
        pieces: Vec<Piece>,
        partitions: Vec<Partition>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let place = |e: Error| e.in_source(learnt.folder.clone());
        let root = Feature::from_json(&learnt.features, options.lenient).map_err(place)?;
        let labels = |label: &str| {
            let found = learnt.labels.iter().find(|(known, _)| known == label);
            Ok(found.and_then(|(_, names)| names.clone()))
        };
        let plan = columns_of(root, &learnt.guessed, options, &labels).map_err(place)?;
        Ok(Self::of(learnt.clone(), plan, pieces, partitions, options))
    }

    fn of(
        learnt: Arc<LearntTfds>,
        plan: Columns,
        pieces: Vec<Piece>,
        partitions: Vec<Partition>,
        options: &OpenOptions,
    ) -> Self {
        let rows = pieces.iter().map(|piece| piece.records).try_fold(0, |sum, rows| Some(sum + rows?));
        let cardinality = match rows {
            Some(rows) if options.explode.is_none() => Cardinality::Known(rows),
            _ => Cardinality::Unknown,
        };
        let split = options.split.as_ref().map(|split| format!(", split {split}")).unwrap_or_default();
        Self {
            shared: Arc::new(plan.shared(options)),
            options: Arc::new(options.clone()),
            kind: format!("TFDS dataset {} ({}){split}", learnt.full_name, learnt.format),
            pieces,
            partitions,
            cardinality,
            choice: None,
            no_split: None,
            heavy: learnt.format == FileFormat::Parquet.name(),
            plan: Arc::new(plan),
            learnt,
        }
    }
}

/// The columns of a dataset whose features of unknown classes hold what was `guessed`.
fn columns_of(
    root: Feature,
    guessed: &[FeatureSpec],
    options: &OpenOptions,
    labels: &dyn Fn(&str) -> Result<Option<Vec<String>>>,
) -> Result<Columns> {
    let root = if has_unknown(&root) { with_guessed(&root, guessed) } else { root };
    if let Some(path) = options.explode.as_deref() {
        check_explode(&root, path)?;
    }
    Columns::new(Arc::new(root), options, None, labels)
}

fn partition(piece: &Piece, rows_are_records: bool) -> Partition {
    let name = piece.file.name();
    let whole = Partition::new(name.clone(), piece.file.inputs())
        .with_rows(piece.records.filter(|_| rows_are_records));
    match piece.records {
        Some(records) if piece.skip > 0 || !piece.to_end => {
            let range = PartitionRange::Records(piece.skip..piece.skip + records);
            Partition { name: format!("{name}{range}").into(), ..whole.with_range(range, None) }
        }
        _ => whole,
    }
}

/// The number of examples of a dataset folder's splits, from its metadata; counted where that does
/// not say.
///
/// # Errors
/// The metadata is invalid, the split does not exist, or a file cannot be read.
pub(crate) fn count(folder: &Place, options: &OpenOptions) -> Result<u64> {
    let selected = select(folder, options)?;
    if let Some(listed) = selected.no_split {
        return Err(no_split(&listed));
    }
    let known =
        selected.pieces.iter().map(|piece| piece.records).try_fold(0u64, |sum, n| sum.checked_add(n?));
    match known {
        Some(count) => Ok(count),
        None => {
            let mut count = 0;
            let options = OpenOptions { on_error: OnError::Fail, ..options.clone() };
            sample(&selected.pieces, &Arc::default(), &options, u64::MAX, |_| {
                count += 1;
                Ok(true)
            })?;
            Ok(count)
        }
    }
}

/// What is to be read of a dataset folder's splits, and the name of the format of its files.
///
/// # Errors
/// As [`count`].
pub(crate) fn pieces(folder: &Place, options: &OpenOptions) -> Result<(Vec<Piece>, &'static str)> {
    let selected = select(folder, options)?;
    match selected.no_split {
        Some(listed) => Err(no_split(&listed)),
        None => Ok((selected.pieces, selected.format.name())),
    }
}

#[cold]
fn no_split(listed: &str) -> Error {
    Error::new(ErrorKind::Config, "dataset with several splits")
        .with_hint(Phrase::new("pass {split} with one or more of: ").text(listed).then("; or {split=all}"))
}

fn check_explode(root: &Feature, path: &str) -> Result<()> {
    let mut found = Vec::new();
    sequences(root, "", &mut found);
    if found.iter().any(|sequence| sequence == path) {
        return Ok(());
    }
    let error = Error::config(format!("no sequence `{path}` to explode"));
    Err(match found.is_empty() {
        true => error.with_hint("the dataset holds no sequences"),
        false => error.with_hint(format!("there are: {}", found.join(", "))),
    })
}

/// The paths of the outermost sequences.
fn sequences(feature: &Feature, path: &str, out: &mut Vec<String>) {
    match &feature.kind {
        FeatureKind::Dict(parts) => {
            for (name, part) in parts {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                sequences(part, &path, out);
            }
        }
        FeatureKind::Sequence { .. } => out.push(path.to_owned()),
        _ => {}
    }
}

fn has_unknown(feature: &Feature) -> bool {
    match &feature.kind {
        FeatureKind::Unknown => true,
        FeatureKind::Dict(parts) => parts.iter().any(|(_, part)| has_unknown(part)),
        FeatureKind::Sequence { feature, .. } => has_unknown(feature),
        _ => false,
    }
}

/// What the first records hold, for features of unknown classes.
fn guess_unknown(pieces: &[Piece], options: &OpenOptions) -> Result<Vec<FeatureSpec>> {
    let settled = |_: &str| false;
    let mut inference = Inference::new(Lists::Refuse, &settled);
    let limit = match options.infer {
        InferRecords::First(limit) => limit.max(1),
        InferRecords::All => u64::MAX,
    };
    sample(pieces, &Arc::default(), options, limit, |record| {
        inference.observe(record)?;
        Ok(inference.records() < limit)
    })?;
    Ok(inference.finish())
}

/// Features of unknown classes as what was guessed that they hold.
fn with_guessed(root: &Feature, specs: &[FeatureSpec]) -> Feature {
    let known = |key: &str| {
        let spec = specs.iter().find(|spec| spec.name == key)?;
        Some(FeatureKind::Tensor {
            dtype: spec.dtype,
            shape: spec.shape.clone(),
            encoding: TensorEncoding::None,
            optional: true,
        })
    };
    fn replace(
        feature: &Feature,
        path: &str,
        known: &dyn Fn(&str) -> Option<FeatureKind>,
    ) -> Option<Feature> {
        let kind = match &feature.kind {
            FeatureKind::Unknown => known(path)?,
            FeatureKind::Dict(parts) => FeatureKind::Dict(
                parts
                    .iter()
                    .filter_map(|(name, part)| {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                        Some((name.clone(), replace(part, &path, known)?))
                    })
                    .collect(),
            ),
            other => other.clone(),
        };
        Some(Feature { kind, ..feature.clone() })
    }
    replace(root, "", &known).unwrap_or_else(|| root.clone())
}

impl Source for TfdsSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn choice(&self) -> Option<&str> {
        self.choice.as_deref()
    }

    fn row_name(&self) -> &str {
        "examples"
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.plan.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        self.cardinality
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn units_are(&self) -> UnitsAre {
        // Steps are counted after they were cut.
        let varying = self.plan.plan.explode.is_some();
        UnitsAre { heavy: self.heavy, cut_by_parts: !varying, varying }
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let (plan, options) = self.plan.project(columns, &self.options)?;
        let shared = Arc::new(plan.shared(&options));
        Ok(Arc::new(Self { plan: Arc::new(plan), shared, options: Arc::new(options), ..self.clone() }))
    }

    fn planned(&self, part_bytes: Option<u64>) -> Result<Option<Planned>> {
        if let Some(listed) = &self.no_split {
            return Err(no_split(listed));
        }
        let (rows_vary, most) = (self.units_are().varying, self.shared.max_record_bytes);
        let parts = planned(&self.pieces, &self.partitions, part_bytes, most, rows_vary)?;
        Ok(Some(Planned { learnt: Learnt::Tfds(self.learnt.clone()), parts }))
    }

    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        self.pieces.get(partition).map(Piece::in_order).unwrap_or_default()
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        if let Some(listed) = &self.no_split {
            return Err(no_split(listed));
        }
        let mut options = options.clone();
        if self.plan.plan.explode.is_some() {
            options.batch_bytes = options.batch_bytes.min(EXPLODE_BYTES);
        } else if self.plan.has_sequences() {
            options.batch_bytes = options.batch_bytes.min(SEQUENCE_BATCH_BYTES);
        }
        let unit_rows = if self.plan.plan.explode.is_some() { EXPLODE_ROWS } else { options.batch_rows };
        let units = RecordUnits::new(&self.shared, clip(&self.pieces, partitions), &options);
        Ok(Box::new(units.with_unit_rows(unit_rows)))
    }
}
