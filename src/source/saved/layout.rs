//! Finds out what a folder of stored elements is made of, without reading its data.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::source::InputFile;
use crate::tf::dtype::DType;
use crate::tf::snapshot::{DistributedMetadata, Metadata};
use crate::tf::spec::ElementSpec;
use crate::tf::structured_value;

/// The largest metadata file to read.
const MAX_METADATA_BYTES: u64 = 64 << 20;

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
    /// Its files.
    pub(super) files: Vec<PathBuf>,
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
    pub(super) kind: &'static str,
    /// How the elements are stored.
    pub(super) form: Form,
    /// The shards, in the order of their rows.
    pub(super) shards: Vec<Shard>,
    /// The spec of the elements, where it is stored.
    pub(super) spec: Option<ElementSpec>,
    /// The dtypes of the stored components; empty where they are not stored.
    pub(super) dtypes: Vec<DType>,
    /// How many elements the writer says there are.
    pub(super) elements: Option<u64>,
}

/// Whether `path` is, or holds, something that [`find`] knows.
pub(crate) fn looks_like_saved(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("snapshot.metadata").is_file()
            || path.join("dataset_spec.pb").is_file()
            || !snapshot_folders(path).is_empty();
    }
    cache_prefix(path).is_some()
}

/// The path without `.index`, if `path` names cache files, with or without it.
pub(super) fn cache_prefix(path: &Path) -> Option<PathBuf> {
    let text = path.to_string_lossy();
    let prefix = match text.strip_suffix(".index") {
        Some(prefix) => PathBuf::from(prefix),
        None => path.to_path_buf(),
    };
    let index = with_suffix(&prefix, ".index");
    (index.is_file() && crate::wire::table::is_table(&last_bytes(&index)?)).then_some(prefix)
}

fn last_bytes(path: &Path) -> Option<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::End(-48)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// `path` with `suffix` behind its last component.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

/// The folders of `Dataset.snapshot` inside `path`, one a pipeline.
fn snapshot_folders(path: &Path) -> Vec<PathBuf> {
    let entries = list(path).unwrap_or_default();
    entries
        .into_iter()
        .map(|name| path.join(name))
        .filter(|p| p.join("snapshot.metadata").is_file())
        .collect()
}

/// The names of what is in `folder`, sorted.
fn list(folder: &Path) -> Result<Vec<String>> {
    let fail = |e| Error::io("cannot list folder", e).in_source(folder.to_string_lossy().as_ref());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// The layout of what `path` names.
///
/// # Errors
/// It is none of the known forms, is not finished, lacks a part, or was written by a version that
/// is not known.
pub(super) fn find(path: &Path) -> Result<Layout> {
    let name = path.to_string_lossy().into_owned();
    let place = |e: Error| e.in_source(name.as_str());
    if !path.is_dir() {
        let prefix = cache_prefix(path).ok_or_else(|| place(Error::unsupported("not a stored dataset")))?;
        return Ok(Layout {
            name,
            kind: "Dataset.cache files",
            form: Form::Cache,
            shards: vec![Shard {
                name: prefix.to_string_lossy().into_owned(),
                inputs: [".index", ".data-00000-of-00001"]
                    .map(|suffix| InputFile::local(&with_suffix(&prefix, suffix)))
                    .into(),
                files: vec![prefix],
                elements: None,
            }],
            spec: None,
            dtypes: Vec::new(),
            elements: None,
        });
    }
    if path.join("snapshot.metadata").is_file() || path.join("dataset_spec.pb").is_file() {
        return in_folder(path).map_err(place);
    }
    match snapshot_folders(path).as_slice() {
        [folder] => in_folder(folder).map_err(place),
        [] => Err(place(Error::unsupported("not a stored dataset"))),
        several => {
            let names: Vec<_> = several.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
            Err(place(
                Error::config("folder holds the snapshots of several pipelines")
                    .with_hint(format!("name one of them: {}", names.join(", "))),
            ))
        }
    }
}

/// A small file's content; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("cannot read metadata", error)),
    };
    if size > MAX_METADATA_BYTES {
        return Err(Error::limit("metadata file too large")
            .expected(format!("at most {MAX_METADATA_BYTES} bytes"), size.to_string())
            .in_source(path.to_string_lossy().as_ref()));
    }
    std::fs::read(path).map(Some).map_err(|e| Error::io("cannot read metadata", e))
}

fn in_folder(folder: &Path) -> Result<Layout> {
    let metadata_path = folder.join("snapshot.metadata");
    let Some(metadata) = read(&metadata_path)? else {
        return Err(Error::new(
            ErrorKind::NotFound,
            "`snapshot.metadata` is missing: the save is not finished",
        ));
    };
    let spec = match read(&folder.join("dataset_spec.pb"))? {
        Some(bytes) => Some((
            structured_value::parse(&bytes)
                .map_err(|e| e.in_source(folder.join("dataset_spec.pb").to_string_lossy().as_ref()))?,
            bytes,
        )),
        None => None,
    };
    let is_text = metadata.starts_with(b"element_spec") || metadata.starts_with(b"compression");
    if is_text || folder.join("chunks").is_dir() {
        return distributed(folder, &metadata, spec);
    }
    if metadata.is_empty() {
        return Err(Error::corrupt("`snapshot.metadata` is empty: the save is not finished"));
    }
    let metadata =
        Metadata::parse(&metadata).map_err(|e| e.in_source(metadata_path.to_string_lossy().as_ref()))?;
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
    if !run.is_dir() && !is_empty {
        let others: Vec<_> = list(folder)?.into_iter().filter(|name| folder.join(name).is_dir()).collect();
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
    if spec.is_none() && is_save {
        return Err(Error::new(ErrorKind::NotFound, "`dataset_spec.pb` is missing"));
    }
    if let Some(spec) = &spec {
        check_dtypes(spec, &metadata.dtypes)?;
    }
    let shards = match legacy {
        true => vec![legacy_shard(&run)?],
        false if run.is_dir() => shards(&run)?,
        false => Vec::new(),
    };
    let elements = match u64::try_from(metadata.num_elements) {
        Ok(0) if is_save && shards.is_empty() => Some(0),
        Ok(0) | Err(_) => None,
        Ok(n) => Some(n),
    };
    Ok(Layout {
        name: folder.to_string_lossy().into_owned(),
        kind: match (legacy, is_save) {
            (true, _) => "Dataset.snapshot folder (version 1)",
            (false, true) => "Dataset.save folder",
            (false, false) => "Dataset.snapshot folder",
        },
        form: if legacy { Form::Legacy } else { Form::Frames },
        shards,
        spec,
        dtypes: metadata.dtypes,
        elements,
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
fn numbered_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let names = list(folder)?;
    let mut files: Vec<(u64, &str)> = names
        .iter()
        .filter_map(|name| {
            let number = name.strip_suffix(".snapshot").filter(|number| is_number(number))?;
            Some((number.parse().ok()?, name.as_str()))
        })
        .collect();
    files.sort_unstable();
    let missing = (0..).zip(&files).find(|(expected, (found, _))| expected != found);
    if let Some((expected, _)) = missing.or_else(|| files.is_empty().then_some((0, &(0, "")))) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("the data file `{expected:08}.snapshot` is missing"),
        )
        .in_source(folder.to_string_lossy().as_ref()));
    }
    Ok(files.into_iter().map(|(_, name)| folder.join(name)).collect())
}

fn states(files: &[PathBuf]) -> Vec<InputFile> {
    files.iter().map(|file| InputFile::local(file)).collect()
}

fn shards(run: &Path) -> Result<Vec<Shard>> {
    // Sorted as text, as TensorFlow sorts them. What is not named as it names shards is not its.
    let names = list(run)?.into_iter().filter(|name| name.strip_suffix(".shard").is_some_and(is_number));
    names
        .map(|name| {
            let folder = run.join(name);
            let files = numbered_files(&folder)?;
            let name = match files.as_slice() {
                [file] => file.to_string_lossy().into_owned(),
                _ => folder.to_string_lossy().into_owned(),
            };
            Ok(Shard { name, inputs: states(&files), files, elements: None })
        })
        .collect()
}

fn legacy_shard(run: &Path) -> Result<Shard> {
    let files = numbered_files(run)?;
    Ok(Shard { name: run.to_string_lossy().into_owned(), inputs: states(&files), files, elements: None })
}

fn distributed(folder: &Path, metadata: &[u8], spec: Option<(ElementSpec, Vec<u8>)>) -> Result<Layout> {
    if let Some(error) = read(&folder.join("ERROR"))? {
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
    let names = if chunks.is_dir() { list(&chunks)? } else { Vec::new() };
    let mut numbered: Vec<([u64; 3], String)> = names
        .into_iter()
        .filter_map(|name| {
            let mut numbers = name.strip_prefix("chunk_")?.split('_').map(|part| part.parse().ok());
            let key = [numbers.next()??, numbers.next()??, numbers.next()??];
            numbers.next().is_none().then_some((key, name))
        })
        .collect();
    numbered.sort_unstable();
    let shards: Vec<Shard> = numbered
        .into_iter()
        .map(|([_, _, elements], name)| {
            let files = vec![chunks.join(name)];
            let name = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
            Shard { name, inputs: states(&files), files, elements: Some(elements) }
        })
        .collect();
    let elements = shards.iter().filter_map(|shard| shard.elements).fold(0, u64::saturating_add);
    Ok(Layout {
        name: folder.to_string_lossy().into_owned(),
        kind: "distributed save",
        form: Form::Frames,
        shards,
        spec: Some(spec),
        dtypes: Vec::new(),
        elements: Some(elements),
    })
}
