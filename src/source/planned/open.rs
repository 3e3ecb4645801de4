//! Opening parts of a source that are given as data.

use std::sync::Arc;

use super::json::changed;
use super::{Learnt, PlannedPart, Reading, RecordsIn};
use crate::error::{Error, Result};
use crate::source::open::with_casts;
use crate::source::options::OpenOptions;
use crate::source::records::{Piece, RecordFile, RecordFiles};
use crate::source::tfds::{self, TfdsSource};
use crate::source::{Partition, Source, kinds, message, saved, table};

/// Opens `parts` of a source of which `learnt` is known, as a source whose partitions they are. Nothing
/// but their own files is opened.
///
/// # Errors
/// A file is not what it was, or is damaged.
pub(crate) fn open(
    learnt: &Learnt,
    parts: &[PlannedPart],
    reading: &Reading<'_>,
    options: &OpenOptions,
) -> Result<Arc<dyn Source>> {
    let source: Arc<dyn Source> = match learnt {
        Learnt::Records { files, records } => {
            let files = record_files(*files, parts, reading)?;
            Arc::new(message::open_learnt(files, records, options)?)
        }
        Learnt::Tfds(tfds) => {
            let pieces = pieces(parts, reading, |input| tfds::record_file(input, tfds.format))?;
            Arc::new(TfdsSource::of_parts(tfds, pieces, found(parts, reading)?, options)?)
        }
        Learnt::Table { kind, schema } => {
            Arc::new(table::open_parts(*kind, schema, &found(parts, reading)?, options)?)
        }
        Learnt::Saved { kind, is_save, spec, dtypes } => {
            let shards = found(parts, reading)?;
            Arc::new(saved::open_parts(kind, *is_save, spec, dtypes, shards, options)?)
        }
        Learnt::Whole { name, spec } => return open_whole(name, spec.as_ref(), parts, reading, options),
    };
    with_casts(source, options)
}

/// The partitions that `parts` are.
fn found(parts: &[PlannedPart], reading: &Reading<'_>) -> Result<Vec<Partition>> {
    parts.iter().map(|part| part.found(reading)).collect()
}

fn pieces(
    parts: &[PlannedPart],
    reading: &Reading<'_>,
    file: impl Fn(crate::input::Input) -> Result<RecordFile>,
) -> Result<Vec<Piece>> {
    parts.iter().map(|part| Piece::of_part(part, reading, &file)).collect()
}

fn record_files(form: RecordsIn, parts: &[PlannedPart], reading: &Reading<'_>) -> Result<RecordFiles> {
    let format = match form {
        RecordsIn::TfRecord { .. } => "tfrecord",
        RecordsIn::ArrayRecord => "array_record",
        RecordsIn::Tfds(format) => format,
    };
    let pieces = pieces(parts, reading, |input| tfds::record_file(input, format))?;
    let records = parts.iter().map(|part| part.elements).try_fold(0u64, |sum, n| sum.checked_add(n?));
    let (kind, source) = form.names();
    Ok(RecordFiles {
        form,
        kind,
        source,
        pieces,
        partitions: found(parts, reading)?,
        records,
        compressed: matches!(form, RecordsIn::TfRecord { compressed: true }),
        pool: Arc::default(),
    })
}

impl RecordsIn {
    /// What such files are called, and what their kind is called in metadata.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            RecordsIn::TfRecord { .. } => ("TFRecord files", "tfrecord"),
            RecordsIn::ArrayRecord => ("ArrayRecord files", "array_record"),
            RecordsIn::Tfds(_) => ("TFDS shards", "tfds"),
        }
    }
}

/// Opens what has no parts that could be opened by themselves.
fn open_whole(
    name: &str,
    spec: Option<&(crate::tf::spec::ElementSpec, usize)>,
    parts: &[PlannedPart],
    reading: &Reading<'_>,
    options: &OpenOptions,
) -> Result<Arc<dyn Source>> {
    let before = found(parts, reading)?;
    let place = reading.names.place_in(reading.folder, name)?;
    let source = kinds::open_known(&place, spec, options)?;
    let now = source.partitions();
    // Files that appeared or are gone are a change, too.
    for (then, now) in
        before.iter().flat_map(|part| &part.inputs).zip(now.iter().flat_map(|part| &part.inputs))
    {
        if (then.bytes, &then.version) != (now.bytes, &now.version) {
            return Err(changed(then, now));
        }
    }
    if before.len() != now.len()
        || before.iter().zip(now).any(|(then, now)| then.inputs.len() != now.inputs.len())
    {
        return Err(Error::new(crate::error::ErrorKind::Io, "input changed since it was planned")
            .expected("the files that it had", "others")
            .with_hint("plan anew")
            .in_source(name.to_owned()));
    }
    with_casts(source, options)
}
