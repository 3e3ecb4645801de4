//! Finds out what a folder of stored elements is made of, without reading its data.

use crate::error::{Error, ErrorKind, Result};
use crate::input::{FileKind, Input, Place};
use crate::source::InputFile;
use crate::tf::dtype::DType;
use crate::tf::snapshot::{DistributedMetadata, Metadata};
use crate::tf::spec::ElementSpec;
use crate::tf::structured_value;

/// The largest metadata file to read.
const MAX_METADATA_BYTES: u64 = 64 << 20;

const METADATA: &str = "snapshot.metadata";
const SPEC: &str = "dataset_spec.pb";

/// How the elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// TFRecord frames of `TensorProto`, one a component.
    Frames,
    /// Version 1 of `Dataset.snapshot`: records without checksums.
    Legacy,
    /// The files of `Dataset.cache(filename)`.
    Cache,
}

/// One shard: files that are read one after the other.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// What to call it.
    pub(super) name: String,
    /// Its files; none of a cache.
    pub(super) files: Vec<Input>,
    /// What its bytes lie in: its files, or those of a cache.
    pub(super) inputs: Vec<InputFile>,
    /// The number of its elements, where its name says it.
    pub(super) elements: Option<u64>,
}

/// What a folder is made of.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// What to call the folder.
    pub(super) name: String,
    /// What wrote it.
    pub(super) kind: String,
    /// How the elements are stored.
    pub(super) form: Form,
    /// Of a cache, its files without their suffixes.
    pub(super) prefix: Option<Place>,
    /// The shards, in the order of their rows.
    pub(super) shards: Vec<Shard>,
    /// The spec of the elements, where it is stored.
    pub(super) spec: Option<ElementSpec>,
    /// The dtypes of the stored components; empty where they are not stored.
    pub(super) dtypes: Vec<DType>,
    /// How many elements the writer says there are.
    pub(super) elements: Option<u64>,
    /// Whether it is of `Dataset.save`, which deals no elements to shards in turn and writes a spec.
    pub(super) is_save: bool,
}

/// The stored dataset that `path` is or holds; `None` if it is none.
///
/// # Errors
/// It holds the snapshots of several pipelines.
pub(crate) fn find_folder(path: &Place) -> Result<Option<Place>> {
    if path.join(METADATA).is_file() || path.join(SPEC).is_file() {
        return Ok(Some(path.clone()));
    }
    let folders = path.list().unwrap_or_default().into_iter();
    let folders =
        folders.filter(|(folder, stat)| stat.kind == FileKind::Folder && folder.join(METADATA).is_file());
    match folders.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [(folder, _)] => Ok(Some(folder.clone())),
        several => {
            let names: Vec<_> = several.iter().map(|(folder, _)| folder.name()).collect();
            Err(Error::config("folder holds the snapshots of several pipelines")
                .in_source(path.name())
                .with_hint(format!("name one of them: {}", names.join(", "))))
        }
    }
}

/// The path without `.index`, if `path` names cache files, with or without it.
pub(crate) fn find_cache(path: &Place) -> Option<Place> {
    const FOOTER_BYTES: u64 = 48;
    let text = path.path().as_os_str();
    let prefix = match text.to_string_lossy().strip_suffix(".index") {
        Some(prefix) => path.sibling(prefix),
        None => path.clone(),
    };
    let index = prefix.with_suffix(".index");
    let stat = index.stat().ok().flatten().filter(|stat| stat.kind == FileKind::File)?;
    let begin = stat.bytes?.checked_sub(FOOTER_BYTES)?;
    let mut last = [0; 48];
    index.open(Some(&stat)).ok()?.read_exact_at(begin, &mut last).ok()?;
    crate::wire::table::is_table(&last).then_some(prefix)
}

/// The names of what is in `folder`, sorted.
fn list(folder: &Place) -> Result<Vec<String>> {
    Ok(folder.list()?.iter().map(|(place, _)| place.file_name()).collect())
}

/// What cache files are made of.
pub(super) fn of_cache(prefix: &Place) -> Layout {
    let state = |suffix| {
        let place = prefix.with_suffix(suffix);
        let stat = place.stat().ok().flatten();
        InputFile::of(&place.input(stat))
    };
    let shard = Shard {
        name: prefix.name().to_string(),
        files: Vec::new(),
        inputs: [".index", ".data-00000-of-00001"].map(state).into(),
        elements: None,
    };
    Layout {
        name: prefix.name().to_string(),
        kind: "Dataset.cache files".to_owned(),
        form: Form::Cache,
        prefix: Some(prefix.clone()),
        shards: vec![shard],
        spec: None,
        dtypes: Vec::new(),
        elements: None,
        is_save: false,
    }
}

/// The layout of the folder of a stored dataset.
///
/// # Errors
/// It is not finished, lacks a part, or was written by a version that is not known.
pub(super) fn of_folder(folder: &Place) -> Result<Layout> {
    in_folder(folder).map_err(|e| e.in_source(folder.name()))
}

fn in_folder(folder: &Place) -> Result<Layout> {
    let read = |place: &Place| place.read(MAX_METADATA_BYTES);
    let metadata_path = folder.join(METADATA);
    let Some(metadata) = read(&metadata_path)? else {
        return Err(Error::new(
            ErrorKind::NotFound,
            "`snapshot.metadata` is missing: the save is not finished",
        ));
    };
    let spec_path = folder.join(SPEC);
    let spec = match read(&spec_path)? {
        Some(bytes) => {
            Some((structured_value::parse(&bytes).map_err(|e| e.in_source(spec_path.name()))?, bytes))
        }
        None => None,
    };
    let is_text = metadata.starts_with(b"element_spec") || metadata.starts_with(b"compression");
    if is_text || folder.join("chunks").is_folder() {
        return distributed(folder, &metadata, spec);
    }
    if metadata.is_empty() {
        return Err(Error::corrupt("`snapshot.metadata` is empty: the save is not finished"));
    }
    let metadata = Metadata::parse(&metadata).map_err(|e| e.in_source(metadata_path.name()))?;
    if !(1..=2).contains(&metadata.version) {
        let what =
            if metadata.version > 2 { "stored by a newer version" } else { "stored by an early version" };
        return Err(
            Error::unsupported(what).expected("snapshot version 1 or 2", metadata.version.to_string())
        );
    }
    if !metadata.finalized {
        return Err(Error::corrupt("the dataset was not written to its end")
            .expected("`finalized` in snapshot.metadata", "a save that is under way, or whose writer died"));
    }
    let run = folder.join(&metadata.run_id);
    let is_save = metadata.graph_hash.is_empty();
    // The empty folder of an empty dataset is easily lost: neither git nor object stores keep it.
    let is_empty = is_save && metadata.num_elements == 0;
    let has_run = run.is_folder();
    if !has_run && !is_empty {
        let folders = folder.list()?.into_iter().filter(|(_, stat)| stat.kind == FileKind::Folder);
        let others: Vec<_> = folders.map(|(folder, _)| folder.file_name()).collect();
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("the data folder `{}` is missing", metadata.run_id),
        )
        .with_hint(match others.as_slice() {
            [] => "copy the whole folder".to_owned(),
            others => format!("snapshot.metadata is not of the run that is here: {}", others.join(", ")),
        }));
    }
    let legacy = metadata.version == 1;
    let spec = spec.map(|(spec, _)| spec);
    // What the tensors say of themselves is enough, if it is known how many make an element.
    if spec.is_none() && metadata.dtypes.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "`dataset_spec.pb` is missing"));
    }
    if let Some(spec) = &spec {
        check_dtypes(spec, &metadata.dtypes)?;
    }
    let shards = match legacy {
        true => vec![legacy_shard(&run)?],
        false if has_run => shards(&run)?,
        false => Vec::new(),
    };
    let elements = match u64::try_from(metadata.num_elements) {
        Ok(0) if is_save && shards.is_empty() => Some(0),
        Ok(0) | Err(_) => None,
        Ok(n) => Some(n),
    };
    Ok(Layout {
        name: folder.name().to_string(),
        kind: match (legacy, is_save) {
            (true, _) => "Dataset.snapshot folder (version 1)",
            (false, true) => "Dataset.save folder",
            (false, false) => "Dataset.snapshot folder",
        }
        .to_owned(),
        form: if legacy { Form::Legacy } else { Form::Frames },
        prefix: None,
        shards,
        spec,
        dtypes: metadata.dtypes,
        elements,
        is_save,
    })
}

/// Refuses a spec that is not of these components: then it is not of this data.
fn check_dtypes(spec: &ElementSpec, dtypes: &[DType]) -> Result<()> {
    let expected: Vec<DType> = spec
        .components()
        .iter()
        .map(|(_, spec)| match spec {
            ElementSpec::Tensor { dtype, .. } => *dtype,
            _ => DType::Variant,
        })
        .collect();
    if dtypes.is_empty() || dtypes == expected {
        return Ok(());
    }
    let names = |dtypes: &[DType]| dtypes.iter().map(|d| d.name()).collect::<Vec<_>>().join(", ");
    Err(Error::corrupt("dataset_spec.pb and snapshot.metadata are of different datasets")
        .expected(names(&expected), names(dtypes)))
}

fn is_number(name: &str) -> bool {
    (8..=20).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_digit())
}

/// The numbered `.snapshot` files of `folder`, which must be all of them.
fn numbered_files(folder: &Place) -> Result<Vec<Input>> {
    let mut files: Vec<(u64, Input)> = folder
        .list()?
        .into_iter()
        .filter_map(|(place, stat)| {
            let name = place.file_name();
            let number = name.strip_suffix(".snapshot").filter(|number| is_number(number))?;
            Some((number.parse().ok()?, place.input(Some(stat))))
        })
        .collect();
    files.sort_by_key(|(number, _)| *number);
    let missing = (0..).zip(&files).find(|(expected, (found, _))| expected != found);
    if let Some(expected) = missing.map(|(expected, _)| expected).or(files.is_empty().then_some(0)) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("the data file `{expected:08}.snapshot` is missing"),
        )
        .in_source(folder.name()));
    }
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

fn states(files: &[Input]) -> Vec<InputFile> {
    files.iter().map(InputFile::of).collect()
}

fn shards(run: &Place) -> Result<Vec<Shard>> {
    // Sorted as text, as TensorFlow sorts them. What is not named as it names shards is not its.
    let names = list(run)?.into_iter().filter(|name| name.strip_suffix(".shard").is_some_and(is_number));
    names
        .map(|name| {
            let folder = run.join(name);
            let files = numbered_files(&folder)?;
            let name = match files.as_slice() {
                [file] => file.name(),
                _ => folder.name(),
            };
            Ok(Shard { name: name.to_string(), inputs: states(&files), files, elements: None })
        })
        .collect()
}

fn legacy_shard(run: &Place) -> Result<Shard> {
    let files = numbered_files(run)?;
    Ok(Shard { name: run.name().to_string(), inputs: states(&files), files, elements: None })
}

fn distributed(folder: &Place, metadata: &[u8], spec: Option<(ElementSpec, Vec<u8>)>) -> Result<Layout> {
    if let Some(error) = folder.join("ERROR").read(MAX_METADATA_BYTES)? {
        let error = String::from_utf8_lossy(&error);
        let shown: String = error.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        return Err(Error::corrupt(format!("the distributed save failed: {shown}")));
    }
    if !folder.join("DONE").is_file() {
        return Err(Error::corrupt("the distributed save is not finished").expected("a file `DONE`", "none"));
    }
    let metadata = DistributedMetadata::parse(metadata)?;
    let spec = match spec {
        Some((_, bytes)) if !metadata.element_spec.is_empty() && bytes != metadata.element_spec => {
            return Err(Error::corrupt("dataset_spec.pb and snapshot.metadata are of different datasets"));
        }
        Some((spec, _)) => spec,
        None => structured_value::parse(&metadata.element_spec)?,
    };
    let chunks = folder.join("chunks");
    let chunks = if chunks.is_folder() { chunks.list()? } else { Vec::new() };
    let mut numbered: Vec<([u64; 3], Input)> = chunks
        .into_iter()
        .filter_map(|(chunk, stat)| {
            let name = chunk.file_name();
            let mut numbers = name.strip_prefix("chunk_")?.split('_').map(|part| part.parse().ok());
            let key = [numbers.next()??, numbers.next()??, numbers.next()??];
            numbers.next().is_none().then(|| (key, chunk.input(Some(stat))))
        })
        .collect();
    numbered.sort_by_key(|(key, _)| *key);
    let shards: Vec<Shard> = numbered
        .into_iter()
        .map(|([_, _, elements], chunk)| {
            let (name, files) = (chunk.name().to_string(), vec![chunk]);
            Shard { name, inputs: states(&files), files, elements: Some(elements) }
        })
        .collect();
    let elements = shards.iter().filter_map(|shard| shard.elements).fold(0, u64::saturating_add);
    Ok(Layout {
        name: folder.name().to_string(),
        kind: "distributed save".to_owned(),
        form: Form::Frames,
        prefix: None,
        shards,
        spec: Some(spec),
        dtypes: Vec::new(),
        elements: Some(elements),
        is_save: true,
    })
}
