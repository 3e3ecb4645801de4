//! Records that are messages of any protobuf, in whatever files: by a descriptor, or by their content,
//! where it is TF-Ranking's lists of examples or TensorBoard's events.

mod decoders;
mod load;
mod plans;

use std::sync::Arc;

use self::plans::{ElwcRows, EventRows, MessageRows};
use super::features;
use super::options::OpenOptions;
use super::planned::{DescriptorFile, Features, RecordsOf};
use super::records::{RecordFiles, RecordSource, sample};
use crate::error::{Error, Result};
use crate::options::{InferRecords, InputKind, OnError, Phrase, RecordKind};
use crate::schema::elwc::{self as ranking, ELWC, ElwcPlan};
use crate::schema::event::EVENT;
use crate::schema::infer::{Inference, Lists};
use crate::schema::mapping::MappingOptions;
use crate::schema::{FeaturePlan, Projection};
use crate::tf::elwc::{self, Part};
use crate::tf::event::{self, Fit};
use crate::tf::example::unsound_example;
use crate::wire::proto::WireError;

/// How many records must fit before they are taken for something that nobody said they are.
const PROBE_RECORDS: usize = 100;

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
    let probe = sample(&files.pieces, &files.pool, options, 1, |record| {
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

/// Opens the records of `files` as messages, if options or the records themselves say that they are,
/// and otherwise as Examples or as what they are.
///
/// # Errors
/// A record read for inference is damaged, or an option does not fit what the records are.
pub(crate) fn open_any(files: RecordFiles, options: &OpenOptions) -> Result<RecordSource> {
    let examples = || {
        let source = RecordSource::examples(files.clone(), options)?;
        // Now that they are known not to be lists of examples or events.
        options.check(options.kind_of_records())?;
        Ok(source)
    };
    if is_asked_for(options) {
        return open(files, options);
    }
    if options.to_verify {
        // Checking Examples needs no columns.
        let sure = options.record == RecordKind::Auto && !options.features_complete;
        let kind = if sure { recognise(&files, options).ok().flatten() } else { None };
        let record = match kind {
            Some(Known::Elwc) => RecordKind::Elwc,
            Some(Known::Event) => RecordKind::Event,
            None => return examples(),
        };
        return open(files, &OpenOptions { record, ..options.clone() });
    }
    if options.record != RecordKind::Auto || options.features_complete {
        return examples();
    }
    // Most records are Examples, and those that are not are looked at only then; but where records
    // that are none are passed over, all of them would be.
    let refused = match options.on_error {
        OnError::Fail => match examples() {
            Err(error) if error.is_data() => Some(error),
            other => return other,
        },
        _ => None,
    };
    match (recognise(&files, options)?, refused) {
        (Some(kind), _) => known(files, kind, options),
        (None, None) => examples(),
        (None, Some(error)) => Err(error),
    }
}

/// Plans the columns of the records in `files`, as options say.
///
/// # Errors
/// The descriptor cannot be read or does not declare the message, or an option does not fit it.
pub(crate) fn open(files: RecordFiles, options: &OpenOptions) -> Result<RecordSource> {
    // What is damaged is told of when it is read again.
    let tolerant = options.to_verify.then(|| OpenOptions { on_error: OnError::Skip, ..options.clone() });
    let options = tolerant.as_ref().unwrap_or(options);
    match options.record {
        RecordKind::Elwc => known(files, Known::Elwc, options),
        RecordKind::Event => known(files, Known::Event, options),
        _ => described(files, options),
    }
}

/// The records of `files`, which are of this kind.
///
/// # Errors
/// A record read for inference is damaged, or an option does not fit.
fn known(files: RecordFiles, kind: Known, options: &OpenOptions) -> Result<RecordSource> {
    match kind {
        Known::Elwc => {
            options.check(InputKind::Elwc)?;
            elwc_source(files, options)
        }
        Known::Event => {
            options.check(InputKind::Events)?;
            event_source(files, options)
        }
    }
}

fn described(files: RecordFiles, options: &OpenOptions) -> Result<RecordSource> {
    let Some(proto) = &options.proto else {
        return Err(Error::config("messages without a descriptor")
            .with_hint(Phrase::new("name the .proto file, or the FileDescriptorSet, with {proto}")));
    };
    let descriptor = load::read_all(proto, &options.proto_path)?;
    described_by(files, descriptor, options)
}

/// The records of `files`, which are a message that `descriptor` declares.
fn described_by(
    files: RecordFiles,
    descriptor: Vec<DescriptorFile>,
    options: &OpenOptions,
) -> Result<RecordSource> {
    let declared = load::parse(&descriptor)?;
    let in_file = |error: Error| match descriptor.first() {
        Some(file) => error.in_source(file.name.as_str()),
        None => error,
    };
    let root = declared.root(options.message.as_deref()).map_err(in_file)?;
    let plan = MessageRows::new(&Arc::new(declared), root, options, files.source)?;
    let (what, notes) = (plan.plan.name.clone(), plan.plan.notes.clone());
    let records = RecordsOf::Messages(descriptor);
    Ok(RecordSource::new(files, &what, plan, records, options).with_notes(notes))
}

/// Opens the records of `files`, of which `records` is known.
///
/// # Errors
/// An option does not fit them.
pub(crate) fn open_learnt(
    files: RecordFiles,
    records: &RecordsOf,
    options: &OpenOptions,
) -> Result<RecordSource> {
    match records {
        RecordsOf::Raw => RecordSource::raw(files, options),
        RecordsOf::Examples(features) => RecordSource::of_features(files, features.clone(), options),
        RecordsOf::Elwc { context, examples } => {
            elwc_of(files, Ranking { context: context.clone(), examples: examples.clone() }, options)
        }
        RecordsOf::Events => event_source(files, options),
        RecordsOf::Messages(descriptor) => described_by(files, descriptor.clone(), options),
    }
}

fn elwc_source(files: RecordFiles, options: &OpenOptions) -> Result<RecordSource> {
    let learnt = learn_elwc(&files, options)?;
    elwc_of(files, learnt, options)
}

fn elwc_of(files: RecordFiles, learnt: Ranking, options: &OpenOptions) -> Result<RecordSource> {
    let source = files.source;
    let plan = Arc::new(elwc_plan(&learnt, options, source)?);
    let records = RecordsOf::Elwc { context: learnt.context, examples: learnt.examples };
    Ok(RecordSource::new(files, ELWC, ElwcRows { plan, source }, records, options))
}

fn event_source(files: RecordFiles, options: &OpenOptions) -> Result<RecordSource> {
    let plan = EventRows::new(options, files.source)?;
    let what = format!("{EVENT} (TensorBoard)");
    let notes = vec!["a row is a value of a summary; graphs, logs and metadata of runs have none".to_owned()];
    let source = RecordSource::new(files, &what, plan, RecordsOf::Events, options);
    Ok(source.with_notes(notes).with_rows_that_vary())
}

/// What the features of contexts and of examples hold.
struct Ranking {
    context: Features,
    examples: Features,
}

/// Options as they are for the context's features and for the examples', and whether any column of
/// either is asked for.
fn shared_options(options: &OpenOptions) -> [(OpenOptions, bool); 2] {
    let (context, examples) = ranking::share(&options.features, &options.projection, &options.mapping);
    [context, examples].map(|share| {
        let wanted = share.wanted;
        let options = OpenOptions {
            record: RecordKind::Example,
            features: share.features,
            projection: share.projection,
            mapping: share.mapping,
            ..options.clone()
        };
        (options, wanted)
    })
}

/// Infers the features of contexts and of examples.
fn learn_elwc(files: &RecordFiles, options: &OpenOptions) -> Result<Ranking> {
    let [(context, wants_context), (examples, wants_examples)] = shared_options(options);
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
        sample(&files.pieces, &files.pool, options, limit, |record| {
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
    let settle = |wanted: bool, options: &OpenOptions, inference: &Inference<'_>| {
        let is_empty = none_asked(options) && inference.finish().is_empty();
        match wanted && !is_empty {
            true => features::settle(options, inference),
            false => Ok(Features::default()),
        }
    };
    Ok(Ranking {
        context: settle(wants_context, &context, &contexts)?,
        examples: settle(wants_examples, &examples, &lists).map_err(in_examples)?,
    })
}

/// Says that a column is one of the examples'.
fn in_examples(error: Error) -> Error {
    match error.location().column.clone() {
        Some(column) => error.column(format!("{}/{column}", ranking::EXAMPLES)),
        None => error,
    }
}

/// Plans the columns of contexts and examples whose features hold what is known of them.
fn elwc_plan(learnt: &Ranking, options: &OpenOptions, source: &str) -> Result<ElwcPlan> {
    let [(context, wants_context), (examples, wants_examples)] = shared_options(options);
    let plan = |wanted: bool, options: &OpenOptions, features: &Features| match wanted {
        // Of what nobody asks for nothing is decoded.
        false => FeaturePlan::new(Vec::new(), &MappingOptions::default(), true, source),
        true if none_asked(options) && features.specs.is_empty() => {
            FeaturePlan::new(Vec::new(), &MappingOptions::default(), false, source)
        }
        true => features::plan_of(features, options, source),
    };
    let context = plan(wants_context, &context, &learnt.context)?;
    let examples = plan(wants_examples, &examples, &learnt.examples).map_err(in_examples)?;
    ElwcPlan::new(context, examples, wants_examples, &options.projection, &options.mapping, source)
}

/// Whether no feature is asked for by name.
fn none_asked(options: &OpenOptions) -> bool {
    options.projection == Projection::default() && options.features.is_empty()
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
