//! Opening input: what kind it is.

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "array-record")]
use super::array_record::{self, ArrayRecordSource};
use super::cast::CastSource;
use super::count;
#[cfg(feature = "array-record")]
use super::input::Input;
use super::options::OpenOptions;
use super::records::{self, Piece, RecordFile};
use super::saved::{self, SavedSource};
use super::tfds::{self, TfdsSource};
use super::tfrecord::TfRecordSource;
use super::{Decoded, Progress, ReadOptions, Selection, Source, input, live, table};
use crate::error::{Error, Result};

/// Whether `names` name a live pipeline.
pub(crate) fn is_pipeline(names: &[String]) -> bool {
    matches!(names, [name] if live::looks_like_pipeline(Path::new(name)))
}

/// Opens what `names` name: recognises its kind, and learns or infers its schema.
///
/// # Errors
/// The input does not exist, is of no known kind or is damaged, or an option does not fit it.
pub(crate) fn open(names: &[String], options: &OpenOptions) -> Result<Arc<dyn Source>> {
    with_casts(open_as_it_is(names, options)?, options)
}

/// `source` with the casts that `options` ask for.
///
/// # Errors
/// A cast does not fit the source.
pub(crate) fn with_casts(source: Arc<dyn Source>, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    match options.casts.as_slice() {
        [] => Ok(source),
        _ if options.to_verify => Ok(source),
        casts => Ok(Arc::new(CastSource::new(source, casts, &options.mapping)?)),
    }
}

fn open_as_it_is(names: &[String], options: &OpenOptions) -> Result<Arc<dyn Source>> {
    if let ([name], true) = (names, is_pipeline(names)) {
        return live::open_pipeline(Path::new(name), options);
    }
    if let Some(saved) = open_saved(names, options)? {
        return Ok(Arc::new(saved));
    }
    if let [name] = names
        && let Some(folder) = tfds::find(Path::new(name))?
    {
        return Ok(Arc::new(TfdsSource::open(&folder, Path::new(name), options)?));
    }
    check_tfds_options(options)?;
    let inputs = input::resolve(names)?;
    #[cfg(feature = "array-record")]
    if inputs.iter().any(array_record::is_array_record) {
        return Ok(Arc::new(ArrayRecordSource::open(&inputs, options)?));
    }
    if let Some(table) = table::open(&inputs, options)? {
        return Ok(Arc::new(table));
    }
    Ok(Arc::new(TfRecordSource::open(inputs, options)?))
}

/// Opens what `names` name if that is one stored dataset.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_saved(names: &[String], options: &OpenOptions) -> Result<Option<SavedSource>> {
    let [name] = names else { return Ok(None) };
    let path = Path::new(name);
    if !saved::looks_like_saved(path) {
        return Ok(None);
    }
    saved::open_saved(path, options).map(Some)
}

/// Options that only a TFDS dataset knows must not be given in vain.
fn check_tfds_options(options: &OpenOptions) -> Result<()> {
    let given = [
        ("--split", options.split.is_some()),
        ("--class-names", options.class_names),
        ("--decode-images", options.decode_images),
        ("--explode", options.explode.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Error::config(format!("{option} is for folders of TFDS datasets"))
            .with_hint("name the folder that holds dataset_info.json")),
    }
}

/// The number of records of what `names` name: from the metadata where there is any, by stepping
/// over records otherwise.
///
/// # Errors
/// The input does not exist, or is damaged where records begin and end.
pub(crate) fn count(names: &[String], options: &OpenOptions, progress: &Arc<Progress>) -> Result<u64> {
    if let [name] = names
        && let Some(folder) = tfds::find(std::path::Path::new(name))?
    {
        return tfds::count(&folder, options);
    }
    check_tfds_options(options)?;
    let inputs = input::resolve(names)?;
    #[cfg(feature = "array-record")]
    if inputs.iter().any(array_record::is_array_record) {
        return Ok(array_record::open_files(&inputs)?.iter().map(|file| file.index.records).sum());
    }
    if let Some(table) = table::open(&inputs, options)? {
        return Ok(table.rows());
    }
    let count = |input| count::count_records(input, options.max_record_bytes, progress);
    inputs.iter().map(count).sum()
}

/// As [`count`], but every record is read and checked.
///
/// # Errors
/// As [`count`], or a record is damaged.
pub(crate) fn count_all(names: &[String], options: &OpenOptions, read: &ReadOptions) -> Result<u64> {
    let mut pieces = Vec::new();
    if let Some(saved) = open_saved(names, options)? {
        return count_rows(&saved, read);
    }
    if let [name] = names
        && let Some(folder) = tfds::find(std::path::Path::new(name))?
    {
        pieces = tfds::pieces(&folder, options)?;
    } else {
        let inputs = input::resolve(names)?;
        if let Some(table) = table::open(&inputs, options)? {
            return count_rows(&table, read);
        }
        for input in inputs {
            let file = match &input {
                #[cfg(feature = "array-record")]
                Input::File(path) if array_record::is_array_record(&input) => {
                    RecordFile::ChunksAt(path.clone())
                }
                _ => RecordFile::Frames(input),
            };
            pieces.push(Piece::whole(file));
        }
    }
    records::count(pieces, options, read)
}

/// The rows of `source`, every one of which is decoded.
fn count_rows(source: &dyn Source, read: &ReadOptions) -> Result<u64> {
    let options = ReadOptions { selection: Selection::default(), ..read.clone() };
    let mut units = source.units(0..source.partitions().len(), &options)?;
    let (mut rows, mut rest) = (0, None);
    while let Some(unit) = rest.take().map_or_else(|| units.next_unit(), |unit| Ok(Some(unit)))? {
        rest = unit.decode(&mut |decoded| {
            if let Decoded::Batch(batch) = decoded {
                rows += batch.num_rows() as u64;
            }
            Ok(())
        })?;
    }
    Ok(rows)
}
