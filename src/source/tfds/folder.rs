//! Where a TFDS dataset lies: the folder itself, or the newest version in the folder of a dataset
//! or of one of its configs.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::input::{FileKind, Place};
use crate::source::foreign::foreign;

/// The file that every dataset folder has.
const INFO: &str = "dataset_info.json";
const FEATURES: &str = "features.json";
/// The largest JSON document or label file.
const MAX_TEXT_BYTES: u64 = 256 << 20;
/// How deep a dataset may lie: data folder, dataset, config, version.
const MAX_DEPTH: usize = 3;
/// The most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// The dataset folder that `path` means; `None` if it is none and holds none.
///
/// # Errors
/// There are several configs, and none is the default.
pub(crate) fn find(path: &Place) -> Result<Option<Place>> {
    find_within(path, MAX_DEPTH)
}

fn find_within(path: &Place, depth: usize) -> Result<Option<Place>> {
    if path.join(INFO).is_file() {
        return Ok(Some(path.clone()));
    }
    let inside = folders(path);
    if let Some(newest) = newest_version(&inside) {
        return Ok(Some(newest));
    }
    let configs: Vec<(&str, Place)> = inside
        .iter()
        .filter_map(|(name, folder)| Some((name.as_str(), newest_version(&folders(folder))?)))
        .collect();
    let default = default_config(path);
    let chosen = match configs.as_slice() {
        // A folder that holds one dataset, with configs.
        [] => {
            let visible: Vec<_> = inside.iter().filter(|(name, _)| !name.starts_with('.')).collect();
            return match visible.as_slice() {
                [(_, only)] if depth > 1 => find_within(only, depth - 1),
                _ => Ok(None),
            };
        }
        [one] => Some(one),
        _ => configs.iter().find(|(name, _)| Some(*name) == default.as_deref()),
    };
    match chosen {
        Some((_, folder)) => Ok(Some(folder.clone())),
        None => {
            let names: Vec<_> = configs.iter().map(|(name, _)| *name).collect();
            Err(Error::config("dataset with several configs")
                .in_source(path.name())
                .with_hint(format!("name the folder of one of them: {}", names.join(", "))))
        }
    }
}

/// The folders in `path`, by name.
fn folders(path: &Place) -> Vec<(String, Place)> {
    let entries = path.list().unwrap_or_default().into_iter().take(MAX_ENTRIES);
    let folders = entries.filter(|(_, stat)| stat.kind == FileKind::Folder);
    folders.map(|(folder, _)| (folder.file_name(), folder)).collect()
}

/// The newest of the versions among `folders`.
fn newest_version(folders: &[(String, Place)]) -> Option<Place> {
    let versions = folders.iter().filter_map(|(name, folder)| Some((version(name)?, folder)));
    let datasets = versions.filter(|(_, folder)| folder.join(INFO).is_file());
    datasets.max_by_key(|(version, _)| *version).map(|(_, folder)| folder.clone())
}

/// A version, written `MAJOR.MINOR.PATCH`.
fn version(name: &str) -> Option<[u64; 3]> {
    let mut parts = name.split('.').map(str::parse);
    let version = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
    parts.next().is_none().then_some(version)
}

fn default_config(path: &Place) -> Option<String> {
    let metadata = read_json(&path.join(".config").join("metadata.json")).ok().flatten()?;
    metadata.get("default_config_name")?.as_str().map(str::to_owned)
}

/// The text of a file, if it is there.
fn read_text(path: &Place) -> Result<Option<String>> {
    let Some(bytes) = path.read(MAX_TEXT_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|e| Error::corrupt("file is no text").with_cause(e).in_source(path.name()))
}

fn read_json(path: &Place) -> Result<Option<Value>> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|e| {
        let error = Error::corrupt("file is no JSON").with_cause(e).in_source(path.name());
        match foreign(text.as_bytes()) {
            Some(kind) => error.with_hint(format!("this is {}: {}", kind.name, kind.hint)),
            None => error,
        }
    })
}

/// The folder's `dataset_info.json`.
pub(crate) fn read_info(folder: &Place) -> Result<Value> {
    let path = folder.join(INFO);
    read_json(&path)?.ok_or_else(|| {
        Error::io("cannot open input", std::io::ErrorKind::NotFound.into()).in_source(path.name())
    })
}

/// The folder's `features.json`.
pub(crate) fn read_features(folder: &Place) -> Result<Value> {
    read_json(&folder.join(FEATURES))?.ok_or_else(|| {
        Error::unsupported("dataset without features.json, from before TFDS wrote it")
            .in_source(folder.name())
            .with_hint("name its TFRecord files, as in `folder/*.tfrecord-*`, to infer their columns")
    })
}

/// The names of the classes of the label feature that is called `label` in file names; `None` if
/// there is no file of them.
pub(crate) fn read_labels(folder: &Place, label: &str) -> Result<Option<Vec<String>>> {
    if label.is_empty() || label.contains(['/', '\\', '\0']) {
        return Ok(None);
    }
    let Some(text) = read_text(&folder.join(format!("{label}.labels.txt")))? else { return Ok(None) };
    let names = text.split('\n').map(str::trim).filter(|name| !name.is_empty());
    Ok(Some(names.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn dataset(root: &Path, path: &str) {
        let folder = root.join(path);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(INFO), "{}").unwrap();
    }

    #[test]
    fn folders_resolve_to_the_newest_version() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(find(&Place::local(root)).unwrap(), None);
        for path in [
            "plain/1.2.3",
            "plain/1.10.0",
            "plain/1.9.9",
            "plain/2.0.0-incomplete",
            "two/a/1.0.0",
            "two/b/0.1.0",
        ] {
            dataset(root, path);
        }
        let found = |path: &str| -> Result<Option<PathBuf>> {
            let found = find(&Place::local(root.join(path)))?;
            Ok(found.map(|place| place.path().strip_prefix(root).unwrap().to_owned()))
        };
        assert_eq!(found("plain/1.2.3").unwrap(), Some("plain/1.2.3".into()));
        assert_eq!(found("plain").unwrap(), Some("plain/1.10.0".into()));
        assert_eq!(found("two/b").unwrap(), Some("two/b/0.1.0".into()));
        assert!(found("two").unwrap_err().to_string().contains("one of them: a, b"));
        std::fs::create_dir_all(root.join("two/.config")).unwrap();
        std::fs::write(root.join("two/.config/metadata.json"), r#"{"default_config_name": "b"}"#).unwrap();
        assert_eq!(found("two").unwrap(), Some("two/b/0.1.0".into()));
    }
}
