//! What users name as input: files, globs, shard patterns, standard input.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::InputFile;
use crate::error::{Error, ErrorKind, Result};

/// One input: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input, written `-`.
    Stdin,
}

impl Input {
    /// What to call it in messages.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Input::File(path) => path.to_string_lossy().into(),
            Input::Stdin => "standard input".into(),
        }
    }

    /// It as it is now.
    pub(crate) fn state(&self) -> InputFile {
        match self {
            Input::File(path) => InputFile::local(path),
            Input::Stdin => InputFile::named(self.name()),
        }
    }

    /// Opens it for reading, and says how long it is, where that is known.
    ///
    /// Of a file whose length is known, reading gives exactly so many bytes or an error.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(&self) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
        match self {
            Input::File(path) => {
                let error = |e| Error::io("cannot open input", e).in_source(self.name());
                let file = std::fs::File::open(path).map_err(error)?;
                let metadata = file.metadata().map_err(error)?;
                // Pipes have no length, and what the kernel makes up on reading says 0.
                if !metadata.is_file() || metadata.len() == 0 {
                    return Ok((Box::new(file), None));
                }
                let expected = metadata.len();
                Ok((Box::new(SizedFile { file, expected, read: 0 }), Some(expected)))
            }
            Input::Stdin => Ok((Box::new(std::io::stdin()), None)),
        }
    }
}

/// A file that must not change its length while it is read: a part of it would pass for all of it.
struct SizedFile {
    file: std::fs::File,
    expected: u64,
    read: u64,
}

impl Read for SizedFile {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read += n as u64;
        if self.read > self.expected || n == 0 && !buf.is_empty() && self.read < self.expected {
            return Err(std::io::Error::other(changed(self.expected, self.file.metadata()?.len())));
        }
        Ok(n)
    }
}

/// What is said of a file whose length changed.
pub(crate) fn changed(expected: u64, found: u64) -> String {
    format!("the file changed while it was read: expected {expected} bytes, found {found}")
}

/// Finds the files that `names` mean, in order: each name's own files in shard order, names in the
/// order given. A name is a path, a glob (`*`, `?`, `[…]`), or `-`.
///
/// # Errors
/// A path does not exist, a glob matches nothing, a folder is of no known kind, or standard input
/// is named twice.
pub(crate) fn resolve(names: &[String]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for name in names {
        if name == "-" {
            if inputs.contains(&Input::Stdin) {
                return Err(Error::config("standard input is named twice"));
            }
            inputs.push(Input::Stdin);
            continue;
        }
        let path = Path::new(name);
        // A file of that very name comes before a pattern.
        if path.is_dir() {
            return Err(Error::unsupported("folder of no known kind")
                .in_source(name.as_str())
                .with_hint("name the files in it, as in `folder/*.tfrecord`"));
        }
        if path.exists() {
            inputs.push(Input::File(path.to_path_buf()));
            continue;
        }
        if !name.contains(['*', '?', '[']) {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::io("cannot open input", missing).in_source(name.as_str()));
        }
        let bad =
            |e: glob::PatternError| Error::config(format!("invalid pattern: {e}")).in_source(name.as_str());
        let mut matches = Vec::new();
        for entry in glob::glob(name).map_err(bad)? {
            let path =
                entry.map_err(|e| Error::io("cannot list input", e.into()).in_source(name.as_str()))?;
            if path.is_file() {
                matches.push(path);
            }
        }
        if matches.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "no file matches").in_source(name.as_str()));
        }
        matches.sort_by_cached_key(|path| shard_key(&path.to_string_lossy()));
        inputs.extend(matches.into_iter().map(Input::File));
    }
    if inputs.is_empty() {
        return Err(Error::config("no input is named"));
    }
    Ok(inputs)
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

    #[test]
    fn shards_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t-10-of-12", "t-2-of-12", "t-1-of-12", "other"] {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let pattern = folder.path().join("t-*-of-*").to_string_lossy().into_owned();
        let names: Vec<_> = resolve(&[pattern])
            .unwrap()
            .iter()
            .map(|i| i.name().rsplit('/').next().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["t-1-of-12", "t-2-of-12", "t-10-of-12"]);
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_read_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (length, kept) in [(50, "50"), (150, "150")] {
            std::fs::write(file.path(), [7; 100]).unwrap();
            let (mut reader, bytes) = Input::File(file.path().to_path_buf()).open().unwrap();
            assert_eq!(bytes, Some(100));
            reader.read_exact(&mut [0; 40]).unwrap();
            file.as_file().set_len(length).unwrap();
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("changed") && error.contains(kept), "{error}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for name in ["/nowhere/at-all", "/nowhere/*.tfrecord"] {
            let error = resolve(&[name.to_owned()]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains(name));
        }
        assert!(resolve(&["-".to_owned(), "-".to_owned()]).is_err());
    }
}
