//! Records that are messages of any protobuf, in whatever files: by a descriptor, or by their content,
//! where it is TF-Ranking's lists of examples or TensorBoard's events.

mod decoders;
mod load;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::blocks::FrameReader;
use super::options::OpenOptions;
use super::records::{Piece, RecordFile, RecordUnits, RowDecoder, Shared, clip, sample};
use super::{Cardinality, InputFile, Partition, ReadOptions, Source, Units, features, tfds};
use crate::column::elwc::ElwcDecoder;
use crate::column::event::EventDecoder;
use crate::column::message::MessageDecoder;
use crate::error::{Error, Result};
use crate::input::{Input, Place};
use crate::options::{InferRecords, InputKind, OnError, Phrase, RecordKind};
use crate::schema::elwc::{self as ranking, ELWC, ElwcPlan};
use crate::schema::event::{EVENT, EventPlan};
use crate::schema::infer::{Inference, Lists};
use crate::schema::mapping::MappingOptions;
use crate::schema::message::{MessageOptions, MessagePlan};
use crate::schema::{FeaturePlan, Projection};
use crate::tf::elwc::{self, Part};
use crate::tf::event::{self, Fit};
use crate::tf::example::unsound_example;
use crate::tf::spec::ElementSpec;
use crate::wire::compress::Compression;
use crate::wire::proto::WireError;

#[cfg(feature = "array-record")]
use super::array_record;

/// How many records must fit before they are taken for something that nobody said they are.
const PROBE_RECORDS: usize = 100;

/// Files of messages.
#[derive(Debug)]
pub(crate) struct MessageSource {
    shared: Arc<Shared>,
    kind: String,
    notes: Vec<String>,
    schema: SchemaRef,
    element_spec: ElementSpec,
    files: RecordFiles,
    /// Whether a record makes any number of rows.
    rows_vary: bool,
}

/// Files of records, and how they are read.
#[derive(Debug)]
pub(crate) struct RecordFiles {
    /// What they are, in a few words.
    kind: &'static str,
    /// What their kind is called in metadata.
    source: &'static str,
    pieces: Vec<Piece>,
    partitions: Vec<Partition>,
    records: Option<u64>,
    /// Whether they are compressed as a whole.
    compressed: bool,
}

impl RecordFiles {
    /// TFRecord files.
    ///
    /// # Errors
    /// The first one cannot be read.
    pub(crate) fn frames(inputs: &[Input], options: &OpenOptions) -> Result<Self> {
        let partition = |input: &Input| Partition::new(input.name(), vec![InputFile::of(input)]);
        let compressed = match inputs.first() {
            Some(input) => {
                let reader = FrameReader::open_to_sample(input, &Arc::default(), options.max_record_bytes)?;
                reader.compression() != Compression::None
            }
            None => false,
        };
        Ok(Self {
            kind: "TFRecord files",
            source: "tfrecord",
            pieces: inputs.iter().cloned().map(RecordFile::Frames).map(Piece::whole).collect(),
            partitions: inputs.iter().map(partition).collect(),
            records: None,
            compressed,
        })
    }

    /// ArrayRecord files.
    ///
    /// # Errors
    /// One cannot be opened.
    #[cfg(feature = "array-record")]
    pub(crate) fn array_records(inputs: &[Input]) -> Result<Self> {
        let (pieces, partitions, records) = array_record::split_files(inputs)?;
        let (kind, source) = ("ArrayRecord files", "array_record");
        Ok(Self { kind, source, pieces, partitions, records: Some(records), compressed: false })
    }

    /// The shards of a TFDS dataset, whose records are not what TFDS would have them be.
    ///
    /// # Errors
    /// The metadata is invalid, or the split does not exist.
    pub(crate) fn of_tfds(folder: &Place, options: &OpenOptions) -> Result<Self> {
        let pieces = tfds::pieces(folder, options)?;
        let partition =
            |piece: &Piece| Partition::new(piece.file.name(), piece.file.inputs()).with_rows(piece.records);
        let records =
            pieces.iter().map(|piece| piece.records).try_fold(0u64, |sum, rows| sum.checked_add(rows?));
        Ok(Self {
            kind: "TFDS shards",
            source: "tfds",
            partitions: pieces.iter().map(partition).collect(),
            pieces,
            records,
            compressed: false,
        })
    }
}

/// What is known of records whose content says what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Elwc,
    Event,
}

/// What the first records are, if every one of them is that, and none can be an Example.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn recognise(files: &RecordFiles, options: &OpenOptions) -> Result<Option<Known>> {
    let (mut elwc, mut event, mut sure) = (true, true, false);
    let mut probed = 0;
    let probe =
        sample(&files.pieces, options.check_crc, options.max_record_bytes, options.on_error, |record| {
            elwc &= elwc::fits(record);
            let fit = event::fit(record);
            event &= fit != Fit::No;
            sure |= fit == Fit::Yes;
            probed += 1;
            Ok((elwc || event) && probed < PROBE_RECORDS)
        });
    match probe {
        // Damage is told of by whoever reads the records.
        Err(error) if error.is_data() => return Ok(None),
        other => drop(other?),
    }
    Ok(match (probed > 0 && elwc, probed > 0 && event && sure) {
        (true, false) => Some(Known::Elwc),
        (false, true) => Some(Known::Event),
        _ => None,
    })
}

impl MessageSource {
    /// Opens the records of `files` as messages, if options or the records themselves say that they are,
    /// and otherwise as `examples` does.
    ///
    /// # Errors
    /// As [`open`](Self::open) or `examples`.
    pub(crate) fn open_or(
        files: impl FnOnce() -> Result<RecordFiles>,
        options: &OpenOptions,
        examples: impl FnOnce() -> Result<Arc<dyn Source>>,
    ) -> Result<Arc<dyn Source>> {
        // Checking records needs no columns.
        if options.to_verify {
            return examples();
        }
        if is_asked_for(options) {
            return Ok(Arc::new(Self::open(files()?, options)?));
        }
        if options.record != RecordKind::Auto || options.features_complete {
            return examples();
        }
        // Most records are Examples, and those that are not are looked at only then; but where records
        // that are none are passed over, all of them would be.
        let refused = match options.on_error {
            OnError::Fail => match examples() {
                Err(error) if error.is_data() => Err(error),
                other => return other,
            },
            _ => Ok(examples),
        };
        let files = files()?;
        match (recognise(&files, options)?, refused) {
            (Some(known), _) => Ok(Arc::new(Self::known(files, known, options)?)),
            (None, Ok(examples)) => examples(),
            (None, Err(error)) => Err(error),
        }
    }

    /// Plans the columns of the records in `files`, as options say.
    ///
    /// # Errors
    /// The descriptor cannot be read or does not declare the message, or an option does not fit it.
    pub(crate) fn open(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        match options.record {
            RecordKind::Elwc => Self::known(files, Known::Elwc, options),
            RecordKind::Event => Self::known(files, Known::Event, options),
            _ => Self::described(files, options),
        }
    }

    /// The records of `files`, which are what `known` says.
    ///
    /// # Errors
    /// A record read for inference is damaged, or an option does not fit.
    pub(crate) fn known(files: RecordFiles, known: Known, options: &OpenOptions) -> Result<Self> {
        match known {
            Known::Elwc => {
                options.check(InputKind::Messages)?;
                Self::elwc(files, options)
            }
            Known::Event => {
                options.check(InputKind::Events)?;
                Self::events(files, options)
            }
        }
    }

    fn described(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        let Some(proto) = &options.proto else {
            return Err(Error::config("messages without a descriptor")
                .with_hint(Phrase::new("name the .proto file, or the FileDescriptorSet, with {proto}")));
        };
        let declared = load::load(proto, &options.proto_path)?;
        let root = declared.root(options.message.as_deref()).map_err(|e| in_file(e, proto))?;
        let message = MessageOptions {
            mapping: &options.mapping,
            projection: &options.projection,
            class_names: options.class_names,
            defaults: options.proto_defaults,
        };
        let plan = Arc::new(MessagePlan::new(&declared, root, message, files.source)?);
        let (schema, element_spec) = (plan.schema.clone(), plan.element_spec.clone());
        let kind = format!("{} of {}", files.kind, plan.name);
        let notes = plan.notes.clone();
        let shared = Shared::new(options.check_crc, options.max_record_bytes, move |_| {
            Ok(Box::new(MessageDecoder::new(plan.clone())) as Box<dyn RowDecoder>)
        });
        Ok(Self { shared: Arc::new(shared), kind, notes, schema, element_spec, files, rows_vary: false })
    }

    fn elwc(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        let plan = Arc::new(elwc_plan(&files, options)?);
        let (schema, element_spec) = (plan.schema.clone(), plan.element_spec.clone());
        let kind = format!("{} of {ELWC}", files.kind);
        let shared = Shared::new(options.check_crc, options.max_record_bytes, move |rows| {
            ElwcDecoder::new(plan.clone(), rows).map(|decoder| Box::new(decoder) as Box<dyn RowDecoder>)
        });
        let notes = Vec::new();
        Ok(Self { shared: Arc::new(shared), kind, notes, schema, element_spec, files, rows_vary: false })
    }

    fn events(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        let plan = Arc::new(EventPlan::new(&options.mapping, &options.projection, files.source)?);
        let (schema, element_spec) = (plan.schema.clone(), plan.element_spec.clone());
        let kind = format!("{} of {EVENT} (TensorBoard)", files.kind);
        let mut shared = Shared::new(options.check_crc, options.max_record_bytes, move |_| {
            Ok(Box::new(EventDecoder::new(plan.clone())) as Box<dyn RowDecoder>)
        });
        shared.counts_rows = false;
        let notes =
            vec!["a row is a value of a summary; graphs, logs and metadata of runs have none".to_owned()];
        Ok(Self { shared: Arc::new(shared), kind, notes, schema, element_spec, files, rows_vary: true })
    }
}

fn in_file(error: Error, path: &Path) -> Error {
    error.in_source(path.to_string_lossy().into_owned())
}

/// Infers the features of contexts and of examples.
fn elwc_plan(files: &RecordFiles, options: &OpenOptions) -> Result<ElwcPlan> {
    let (context, examples) = ranking::share(&options.features, &options.projection, &options.mapping);
    let wants_examples = examples.wanted;
    let with = |share: ranking::Share| OpenOptions {
        record: RecordKind::Example,
        features: share.features,
        projection: share.projection,
        mapping: share.mapping,
        ..options.clone()
    };
    let wants_context = context.wanted;
    let (context, examples) = (with(context), with(examples));
    let settled = |name: &str| !wants_context || features::is_settled(&context, name);
    let settled_in_examples = |name: &str| !wants_examples || features::is_settled(&examples, name);
    let mut contexts = Inference::new(Lists::Refuse, &settled);
    let mut lists = Inference::new(Lists::Refuse, &settled_in_examples);
    let limit = match options.infer {
        _ if options.features_complete => 0,
        InferRecords::First(limit) => limit,
        InferRecords::All => u64::MAX,
    };
    let mut records = 0;
    if limit > 0 {
        sample(&files.pieces, options.check_crc, options.max_record_bytes, options.on_error, |record| {
            let mut merged = Vec::new();
            elwc::visit(record, |part, _| match part {
                Part::Context(context) => {
                    merged.extend_from_slice(context);
                    Ok(())
                }
                Part::Example(example) => lists.observe(example).map_err(Observed),
            })
            .map_err(|Observed(error)| error)?;
            contexts.observe(&merged)?;
            records += 1;
            Ok(records < limit)
        })?;
    }
    let plan = |wanted: bool, options: &OpenOptions, inference: &Inference<'_>| match wanted {
        // Of what nobody asks for nothing is decoded.
        false => FeaturePlan::new(Vec::new(), &MappingOptions::default(), true, files.source),
        true if is_empty(options, inference) => {
            FeaturePlan::new(Vec::new(), &MappingOptions::default(), false, files.source)
        }
        true => features::plan(options, inference, files.source),
    };
    let in_examples = |error: Error| match error.location().column.clone() {
        Some(column) => error.column(format!("{}/{column}", ranking::EXAMPLES)),
        None => error,
    };
    let context = plan(wants_context, &context, &contexts)?;
    let examples = plan(wants_examples, &examples, &lists).map_err(in_examples)?;
    ElwcPlan::new(context, examples, wants_examples, &options.projection, &options.mapping, files.source)
}

/// Whether there is no feature at all, so that nothing can be asked for.
fn is_empty(options: &OpenOptions, inference: &Inference<'_>) -> bool {
    let none_asked = options.projection == Projection::default() && options.features.is_empty();
    none_asked && inference.finish().is_empty()
}

/// What an inference says of an example.
struct Observed(Error);

impl From<WireError> for Observed {
    fn from(error: WireError) -> Self {
        Observed(unsound_example(error))
    }
}

/// Whether options say that records are messages.
pub(crate) fn is_asked_for(options: &OpenOptions) -> bool {
    let by_descriptor = options.proto.is_some() && options.record == RecordKind::Auto;
    by_descriptor || matches!(options.record, RecordKind::Message | RecordKind::Elwc | RecordKind::Event)
}

impl Source for MessageSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn row_name(&self) -> &str {
        if self.rows_vary { "values" } else { "records" }
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        match self.files.records {
            Some(records) if !self.rows_vary => Cardinality::Known(records),
            _ => Cardinality::Unknown,
        }
    }

    fn partitions(&self) -> &[Partition] {
        &self.files.partitions
    }

    fn reading_is_heavy(&self) -> bool {
        self.files.compressed
    }

    fn rows_vary(&self) -> bool {
        self.rows_vary
    }

    fn cuts_parts(&self) -> bool {
        !self.rows_vary
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(RecordUnits::new(&self.shared, clip(&self.files.pieces, partitions), options)))
    }
}
