//! Where a TFDS dataset lies: the folder itself, or the newest version in the folder of a dataset
//! or of one of its configs.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};

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
pub(crate) fn find(path: &Path) -> Result<Option<PathBuf>> {
    find_within(path, MAX_DEPTH)
}

fn find_within(path: &Path, depth: usize) -> Result<Option<PathBuf>> {
    if path.join(INFO).is_file() {
        return Ok(Some(path.to_path_buf()));
    }
    if !path.is_dir() {
        return Ok(None);
    }
    if let Some(newest) = newest_version(path) {
        return Ok(Some(newest));
    }
    let configs: Vec<(String, PathBuf)> = folders(path)
        .into_iter()
        .filter_map(|(name, folder)| Some((name, newest_version(&folder)?)))
        .collect();
    let default = default_config(path);
    let chosen = match configs.as_slice() {
        // A folder that holds one dataset, with configs.
        [] => {
            return match folders(path)
                .iter()
                .filter(|(name, _)| !name.starts_with('.'))
                .collect::<Vec<_>>()
                .as_slice()
            {
                [(_, only)] if depth > 1 => find_within(only, depth - 1),
                _ => Ok(None),
            };
        }
        [one] => Some(one),
        _ => configs.iter().find(|(name, _)| Some(name) == default.as_ref()),
    };
    match chosen {
        Some((_, folder)) => Ok(Some(folder.clone())),
        None => {
            let names: Vec<_> = configs.iter().map(|(name, _)| name.as_str()).collect();
            Err(Error::config("dataset with several configs")
                .in_source(path.to_string_lossy().into_owned())
                .with_hint(format!("name the folder of one of them: {}", names.join(", "))))
        }
    }
}

/// The folders in `path`, by name.
fn folders(path: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().take(MAX_ENTRIES);
    let mut folders: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    folders.sort();
    folders
}

/// The newest of the versions in `path`.
fn newest_version(path: &Path) -> Option<PathBuf> {
    let versions = folders(path).into_iter().filter_map(|(name, folder)| Some((version(&name)?, folder)));
    let datasets = versions.filter(|(_, folder)| folder.join(INFO).is_file());
    datasets.max_by_key(|(version, _)| *version).map(|(_, folder)| folder)
}

/// A version, written `MAJOR.MINOR.PATCH`.
fn version(name: &str) -> Option<[u64; 3]> {
    let mut parts = name.split('.').map(str::parse);
    let version = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
    parts.next().is_none().then_some(version)
}

fn default_config(path: &Path) -> Option<String> {
    let metadata = read_json(&path.join(".config").join("metadata.json")).ok()?;
    metadata.get("default_config_name")?.as_str().map(str::to_owned)
}

/// The text of a file.
fn read_text(path: &Path) -> Result<String> {
    let name = || path.to_string_lossy().into_owned();
    let file = std::fs::File::open(path).map_err(|e| Error::io("cannot open input", e).in_source(name()))?;
    let mut text = String::new();
    file.take(MAX_TEXT_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| Error::io("cannot read input", e).in_source(name()))?;
    Ok(text)
}

fn read_json(path: &Path) -> Result<Value> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| {
        Error::corrupt("file is no JSON").with_cause(e).in_source(path.to_string_lossy().into_owned())
    })
}

/// The folder's `dataset_info.json`.
pub(crate) fn read_info(folder: &Path) -> Result<Value> {
    read_json(&folder.join(INFO))
}

/// The folder's `features.json`.
pub(crate) fn read_features(folder: &Path) -> Result<Value> {
    let path = folder.join(FEATURES);
    if !path.is_file() {
        return Err(Error::unsupported("dataset without features.json, from before TFDS wrote it")
            .in_source(folder.to_string_lossy().into_owned())
            .with_hint("name its TFRecord files, as in `folder/*.tfrecord-*`, to infer their columns"));
    }
    read_json(&path)
}

/// The names of the classes of the label feature that is called `label` in file names; `None` if
/// there is no file of them.
pub(crate) fn read_labels(folder: &Path, label: &str) -> Result<Option<Vec<String>>> {
    if label.is_empty() || label.contains(['/', '\\', '\0']) {
        return Ok(None);
    }
    let path = folder.join(format!("{label}.labels.txt"));
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_text(&path)?;
    let names = text.split('\n').map(str::trim).filter(|name| !name.is_empty());
    Ok(Some(names.map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(find(root).unwrap(), None);
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
        let found =
            |path: &str| find(&root.join(path)).map(|p| p.map(|p| p.strip_prefix(root).unwrap().to_owned()));
        assert_eq!(found("plain/1.2.3").unwrap(), Some("plain/1.2.3".into()));
        assert_eq!(found("plain").unwrap(), Some("plain/1.10.0".into()));
        assert_eq!(found("two/b").unwrap(), Some("two/b/0.1.0".into()));
        assert!(found("two").unwrap_err().to_string().contains("one of them: a, b"));
        std::fs::create_dir_all(root.join("two/.config")).unwrap();
        std::fs::write(root.join("two/.config/metadata.json"), r#"{"default_config_name": "b"}"#).unwrap();
        assert_eq!(found("two").unwrap(), Some("two/b/0.1.0".into()));
    }
}
