//! What users name: files, globs, shard patterns, folders, URLs, standard input.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern, PatternError};

use super::several::at_a_time;
use super::stores::cloud_scheme;
use super::{FileKind, Input, Place, Stat, Store, Stores, shown};
use crate::error::{Error, ErrorKind, Result};

/// How deep `**` goes: links may lead in circles.
const MAX_DEPTH: usize = 32;

/// What a reader is to read: names in order, and the stores that they may be of.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    names: Vec<Name>,
    stores: Stores,
}

#[derive(Clone)]
enum Name {
    Path(OsString),
    Given(Input),
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Path(name) => f.debug_tuple("Path").field(&shown(&name.to_string_lossy())).finish(),
            Name::Given(input) => f.debug_tuple("Given").field(input).finish(),
        }
    }
}

/// What [`ReaderBuilder::new`](crate::ReaderBuilder::new) reads: one name, or a list of them. A name
/// is a `&str`, `String`, `&Path`, `PathBuf` or `OsString`.
pub trait IntoInputs {
    /// The names, in order.
    fn into_inputs(self) -> Vec<OsString>;
}

macro_rules! one_name {
    ($($name:ty),*) => {
        $(impl IntoInputs for $name {
            fn into_inputs(self) -> Vec<OsString> {
                vec![AsRef::<OsStr>::as_ref(&self).to_owned()]
            }
        })*
    };
}

one_name!(&str, &String, String, &Path, &PathBuf, PathBuf, &OsStr, &OsString, OsString);

macro_rules! several_names {
    ($(($($generics:tt)*) $list:ty),*) => {
        $(impl<$($generics)*> IntoInputs for $list {
            fn into_inputs(self) -> Vec<OsString> {
                self.iter().map(|name| name.as_ref().to_owned()).collect()
            }
        })*
    };
}

several_names!(
    (T: AsRef<OsStr>) Vec<T>, (T: AsRef<OsStr>) &Vec<T>, (T: AsRef<OsStr>) &[T],
    (T: AsRef<OsStr>, const N: usize) [T; N], (T: AsRef<OsStr>, const N: usize) &[T; N]
);

impl Names {
    /// Local names, in order.
    pub(crate) fn new(names: impl IntoInputs) -> Self {
        let names = names.into_inputs().into_iter().map(Name::Path).collect();
        Self { names, stores: Stores::default() }
    }

    /// What is open already.
    pub(crate) fn of(input: Input) -> Self {
        Self { names: vec![Name::Given(input)], stores: Stores::default() }
    }

    /// Reads names of `scheme` from `store`.
    pub(crate) fn set_store(&mut self, scheme: String, store: Arc<dyn Store>) {
        self.stores.give(&scheme, store);
    }

    /// Sets `key` to `value` for the stores that have such a key.
    ///
    /// # Errors
    /// None has.
    pub(crate) fn set_store_option(&mut self, key: &str, value: &str) -> Result<()> {
        self.stores.set_option(key, value)
    }

    /// Looks anew at what was looked at, and refuses options of stores that none of the names takes.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn begin(&self) -> Result<()> {
        let names = self.names.iter().filter_map(|name| match name {
            Name::Path(name) => name.to_str(),
            Name::Given(_) => None,
        });
        let schemes: BTreeSet<&str> = names.filter_map(cloud_scheme).collect();
        self.stores.check(schemes.iter().copied())?;
        for scheme in schemes {
            // That there is no store is told with the name.
            if let Ok(Some(store)) = self.stores.of(scheme) {
                store.forget();
            }
        }
        Ok(())
    }

    /// The place that is named, if that is all that is named. It may be a pattern.
    ///
    /// # Errors
    /// There is no store for its scheme.
    pub(crate) fn only_place(&self) -> Result<Option<Place>> {
        match self.names.as_slice() {
            [Name::Path(name)] if name != "-" => self.stores.place(name).map(Some),
            _ => Ok(None),
        }
    }

    /// The place that is called `name`, which is relative to `folder` if it is a relative path.
    ///
    /// # Errors
    /// There is no store for its scheme.
    pub(crate) fn place_in(&self, folder: &Path, name: &str) -> Result<Place> {
        let place = self.stores.place(name.as_ref())?;
        Ok(match place.local_path() {
            Some(path) if path.is_relative() => place.with_path(folder.join(path).into()),
            _ => place,
        })
    }

    /// The same stores without any name.
    pub(crate) fn stores(&self) -> Self {
        Self { names: Vec::new(), ..self.clone() }
    }

    /// Finds the files that are named, in order: each name's own files in shard order, names in the
    /// order given. A name is a path, a glob (`*`, `?`, `[…]`, `**`), a folder or `-`; `folder` says
    /// what files a folder means.
    ///
    /// # Errors
    /// A path does not exist, a glob matches nothing, or a stream is named twice.
    pub(crate) fn resolve(&self, folder: &dyn Fn(&Place) -> Result<Vec<Input>>) -> Result<Vec<Input>> {
        let mut inputs: Vec<Input> = Vec::new();
        let place = |name: &Name| match name {
            Name::Path(name) if name != "-" => self.stores.place(name).map(Some),
            _ => Ok(None),
        };
        let places = self.names.iter().map(place).collect::<Result<Vec<_>>>()?;
        let most = places.iter().flatten().map(Place::openings).max().unwrap_or(1);
        let found = at_a_time(most, &places, |place| match place {
            Some(place) => Ok(Some((place.clone(), place.stat()?))),
            None => Ok(None),
        })?;
        for (name, found) in self.names.iter().zip(found) {
            let found = match (name, found) {
                (Name::Given(input), _) => vec![input.clone()],
                (Name::Path(_), None) => vec![Input::stdin()],
                // A file of that very name comes before a pattern.
                (_, Some((place, Some(stat)))) if stat.kind == FileKind::Folder => folder(&place)?,
                (_, Some((place, Some(stat)))) => vec![place.input(Some(stat))],
                (_, Some((place, None))) => matches_of(&place)?,
            };
            for input in found {
                if input.is_once()
                    && inputs.iter().any(|other| other.is_once() && other.name() == input.name())
                {
                    return Err(Error::config(format!("{} is named twice", input.name()))
                        .with_hint("it can be read once"));
                }
                inputs.push(input);
            }
        }
        if inputs.is_empty() {
            return Err(Error::config("no input is named"));
        }
        Ok(inputs)
    }
}

/// Whether a file of this name is hidden: notes of writers and systems beside data.
fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// The files that match a pattern, in shard order. Hidden ones do not, unless the pattern says so.
fn matches_of(place: &Place) -> Result<Vec<Input>> {
    let name = place.name();
    let text = place.path().to_string_lossy().into_owned();
    if !text.contains(['*', '?', '[']) || !place.has_patterns() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::io("cannot open input", missing).in_source(name));
    }
    let bad = |e: PatternError| Error::config(format!("invalid pattern: {e}")).in_source(name.clone());
    let separator = |c: char| c == '/' || place.local_path().is_some() && std::path::is_separator(c);
    let first = text.find(['*', '?', '[']).unwrap_or(0);
    let begin = text.get(..first).and_then(|fixed| fixed.rfind(separator)).map_or(0, |at| at + 1);
    let (base, pattern) = text.split_at(begin);
    let parts = pattern.split(separator).filter(|part| !part.is_empty());
    let parts = parts.map(|part| Pattern::new(part).map_err(bad)).collect::<Result<Vec<_>>>()?;
    let mut found = Vec::new();
    let base = place.with_path(base.into());
    if base.path().as_os_str().is_empty() || base.is_folder() {
        walk(&base, &parts, MAX_DEPTH, &mut found)?;
    }
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "no file matches").in_source(name));
    }
    Ok(in_shard_order(found))
}

/// Adds the files below `folder` that match `parts`, each a component of their paths.
fn walk(folder: &Place, parts: &[Pattern], depth: usize, found: &mut Vec<(Place, Stat)>) -> Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    let any = part.as_str() == "**";
    if any {
        // No folder at all.
        walk(folder, rest, depth, found)?;
    }
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    for (place, stat) in folder.list()? {
        let name = place.file_name();
        let hidden = is_hidden(&name) && !part.as_str().starts_with(['.', '_']);
        if hidden || !any && !part.matches_with(&name, options) {
            continue;
        }
        match stat.kind {
            FileKind::Folder if any && depth > 0 => walk(&place, parts, depth - 1, found)?,
            FileKind::Folder => walk(&place, rest, depth, found)?,
            // `**` at the end means everything below.
            FileKind::File if rest.is_empty() => found.push((place, stat)),
            _ => {}
        }
    }
    Ok(())
}

/// The visible files and folders in `folder`, files in shard order.
///
/// # Errors
/// It cannot be listed.
pub(crate) fn expand_folder(folder: &Place) -> Result<(Vec<Input>, Vec<Place>)> {
    let visible = folder.list()?.into_iter().filter(|(place, _)| !is_hidden(&place.file_name()));
    let (folders, files): (Vec<_>, Vec<_>) = visible.partition(|(_, stat)| stat.kind == FileKind::Folder);
    let files = files.into_iter().filter(|(_, stat)| stat.kind == FileKind::File).collect();
    Ok((in_shard_order(files), folders.into_iter().map(|(place, _)| place).collect()))
}

fn in_shard_order(mut files: Vec<(Place, Stat)>) -> Vec<Input> {
    files.sort_by_cached_key(|(place, _)| shard_key(&place.path().to_string_lossy()));
    files.dedup_by(|(a, _), (b, _)| a == b);
    files.into_iter().map(|(place, stat)| place.input(Some(stat))).collect()
}

/// Sorts names as text, but shard numbers (`name-3-of-12`) as numbers.
fn shard_key(name: &str) -> (String, u64, String) {
    if let Some((head, tail)) = name.rsplit_once("-of-")
        && let Some((prefix, shard)) = head.rsplit_once('-')
        && let Ok(shard) = shard.parse()
    {
        return (format!("{prefix}-of-{tail}"), shard, String::new());
    }
    (name.to_owned(), 0, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(names: impl IntoInputs) -> Result<Vec<String>> {
        let inputs = Names::new(names).resolve(&|_| Err(Error::unsupported("folder")))?;
        Ok(inputs.iter().map(|input| input.name().rsplit('/').next().unwrap().to_owned()).collect())
    }

    #[test]
    fn shards_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t-10-of-12", "t-2-of-12", "t-1-of-12", "other"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let names = resolve(folder.path().join("t-*-of-*")).unwrap();
        assert_eq!(names, ["t-1-of-12", "t-2-of-12", "t-10-of-12"]);
    }

    #[test]
    fn patterns_match_as_a_shell_does() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b/.c")).unwrap();
        let files =
            ["part-0", "part-1.gz", ".part-0.crc", "_SUCCESS", "a/part-2", "a/b/part-3", "a/b/.c/part-4"];
        for name in files {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        for (pattern, expected) in [
            ("*", &["part-0", "part-1.gz"][..]),
            ("part-?", &["part-0"]),
            (".p*", &[".part-0.crc"]),
            ("_*", &["_SUCCESS"]),
            ("[p]art-[0-9].*", &["part-1.gz"]),
            ("*/part-*", &["part-2"]),
            ("a/*/part-3", &["part-3"]),
            ("**/part-?", &["part-3", "part-2", "part-0"]),
            ("a/**", &["part-3", "part-2"]),
        ] {
            assert_eq!(resolve(folder.path().join(pattern)).unwrap(), expected, "{pattern}");
        }
        assert!(resolve(folder.path().join("a*/b*x")).unwrap_err().to_string().contains("no file matches"));
        assert!(resolve(folder.path().join("[")).unwrap_err().to_string().contains("invalid pattern"));
    }

    #[test]
    #[cfg(unix)]
    fn names_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OsStr::from_bytes(b"x\xff.tfrecord"));
        std::fs::write(&path, b"").unwrap();
        assert_eq!(resolve(&path).unwrap().len(), 1);
        assert_eq!(resolve(folder.path().join("x*.tfrecord")).unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for name in ["/nowhere/at-all", "/nowhere/*.tfrecord"] {
            let error = resolve(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(name));
        }
        assert!(resolve(["-", "-"]).unwrap_err().to_string().contains("standard input is named twice"));
        let names: [&str; 0] = [];
        assert!(resolve(names).is_err());
    }

    #[test]
    fn a_scheme_without_a_store_is_told() {
        #[cfg(not(feature = "cloud"))]
        {
            let error = resolve("s3://bucket/x-*").unwrap_err().to_string();
            let way = error.contains("-F cloud") && error.contains("Python package");
            assert!(error.contains("`s3://`") && way && error.contains("bucket/x"), "{error}");
            let error = resolve("https://host/x?Signature=hush").unwrap_err().to_string();
            assert!(error.contains("https://host/x") && !error.contains("hush"), "{error}");
        }
        let error = resolve("shelf://x").unwrap_err().to_string();
        assert!(error.contains("with_store"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(resolve(format!("file://{}", file.path().display())).unwrap().len(), 1);
    }
}
