//! Files and folders by name, whatever store they lie in, and what is read from: inputs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tfarrow_store::Upload;

use super::kept::Kept;
use super::once::Once;
use super::turns::Turns;
use super::{FileKind, Forward, ReadAt, Stat, Store, changed, shown};
use crate::error::{Error, Result};

/// A path in a store.
#[derive(Clone)]
pub(crate) struct Place {
    store: Arc<dyn Store>,
    path: PathBuf,
    /// What stands before the path in its name: `s3://`.
    prefix: Arc<str>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.name()).finish()
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.prefix == other.prefix
    }
}

/// An error of a store. What it says itself, with kind and hint, is kept.
fn failed(what: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => own,
        Err(error) => Error::io(what, error),
    }
}

impl Place {
    pub(crate) fn new(store: Arc<dyn Store>, path: PathBuf, prefix: impl Into<Arc<str>>) -> Self {
        Self { store, path, prefix: prefix.into() }
    }

    /// A local path.
    pub(crate) fn local(path: impl Into<PathBuf>) -> Self {
        Self::new(Arc::new(super::local::Local), path.into(), "")
    }

    /// What to call it in messages. Nothing in it is secret.
    pub(crate) fn name(&self) -> Arc<str> {
        match &*self.prefix {
            "" => self.path.to_string_lossy().into(),
            prefix => shown(&format!("{prefix}{}", self.path.to_string_lossy())).into(),
        }
    }

    /// Whether it may be a pattern.
    pub(crate) fn has_patterns(&self) -> bool {
        self.store.has_patterns()
    }

    /// How many such files to look at, or to open, at a time: more than one where each takes a while to
    /// answer.
    pub(crate) fn openings(&self) -> usize {
        self.store.openings()
    }

    /// The path in its store.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The local path, if it is one.
    pub(crate) fn local_path(&self) -> Option<&Path> {
        self.prefix.is_empty().then_some(&self.path)
    }

    pub(crate) fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What is called `name` in this folder.
    pub(crate) fn join(&self, name: impl AsRef<OsStr>) -> Self {
        let mut path = self.path.as_os_str().to_owned();
        let ends = |end: &str| path.as_encoded_bytes().ends_with(end.as_bytes());
        if !path.is_empty() && !ends("/") && !ends(std::path::MAIN_SEPARATOR_STR) {
            path.push(if self.prefix.is_empty() { std::path::MAIN_SEPARATOR_STR } else { "/" });
        }
        path.push(name);
        self.with_path(path)
    }

    /// The path with `suffix` behind its last component.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let mut path = self.path.as_os_str().to_owned();
        path.push(suffix);
        self.with_path(path)
    }

    /// What is called `path` in the same store.
    pub(crate) fn sibling(&self, path: &str) -> Self {
        self.with_path(path.into())
    }

    pub(super) fn with_path(&self, path: OsString) -> Self {
        Self { store: self.store.clone(), path: path.into(), prefix: self.prefix.clone() }
    }

    fn place(&self, error: Error) -> Error {
        error.in_source(self.name())
    }

    /// What it is; `None` if there is nothing.
    ///
    /// # Errors
    /// That cannot be found out.
    pub(crate) fn stat(&self) -> Result<Option<Stat>> {
        match self.store.stat(&self.path) {
            Ok(stat) => Ok(Some(stat)),
            // A file is no folder in which anything could be.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(self.place(failed("cannot open input", error))),
        }
    }

    /// Whether it is a file, as far as one can see.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.stat(), Ok(Some(stat)) if stat.kind == FileKind::File)
    }

    /// Whether it is a folder, as far as one can see.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.stat(), Ok(Some(stat)) if stat.kind == FileKind::Folder)
    }

    /// What lies in this folder, by name.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(crate) fn list(&self) -> Result<Vec<(Place, Stat)>> {
        let entries = self.store.list(&self.path).map_err(|e| self.place(failed("cannot list folder", e)))?;
        let mut entries: Vec<_> =
            entries.into_iter().map(|entry| (self.join(&entry.name), entry.stat)).collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.path.as_os_str().cmp(b.path.as_os_str()));
        Ok(entries)
    }

    /// What is called `name` beside it.
    pub(crate) fn beside(&self, name: &str) -> Self {
        self.parent().join(name)
    }

    /// The folder that it lies in.
    pub(crate) fn parent(&self) -> Self {
        let path = self.path.parent().map(|path| path.as_os_str().to_owned());
        self.with_path(path.unwrap_or_default())
    }

    /// What it is now, whatever was said of it before; `None` if there is nothing.
    ///
    /// # Errors
    /// That cannot be found out.
    pub(crate) fn stat_now(&self) -> Result<Option<Stat>> {
        self.store.forget();
        self.stat()
    }

    /// As [`list`](Self::list), whatever was said before.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn list_now(&self) -> Result<Vec<(Place, Stat)>> {
        self.store.forget();
        self.list()
    }

    /// Begins a file that takes this name when it is whole.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn create(&self, replace: bool) -> Result<Box<dyn Upload>> {
        self.store.create(&self.path, replace).map_err(|e| self.place(failed("cannot create output", e)))
    }

    /// Removes the file, if it is there; `what` says what could not be done if that fails.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, what: &str) -> Result<()> {
        self.store.remove(&self.path).map_err(|e| self.place(failed(what, e)))
    }

    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened, or is not what is `known`.
    pub(crate) fn open(&self, known: Option<&Stat>) -> Result<Opened> {
        let open = || {
            let file = self.store.open(&self.path, known)?;
            let stat = file.stat()?;
            Ok((file, stat))
        };
        let (file, stat) = open().map_err(|e| self.place(failed("cannot open input", e)))?;
        Ok(Opened { file, stat, name: self.name(), turns: None, kept: None })
    }

    /// The content of a file of `most` bytes at most; `None` if there is no such file.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    pub(crate) fn read(&self, most: u64) -> Result<Option<Vec<u8>>> {
        match self.stat()? {
            None => Ok(None),
            Some(stat) => self.open(Some(&stat))?.read_to_end(most).map(Some),
        }
    }

    /// The file as an input, of which `stat` is known.
    pub(crate) fn input(self, stat: Option<Stat>) -> Input {
        match stat {
            Some(stat) if stat.kind == FileKind::Stream && self.prefix.is_empty() => {
                let name = self.name();
                Input::new(name, From::Once(Arc::new(Once::at(self.path))))
            }
            stat => {
                // What is there at once need not be kept.
                let kept = (self.openings() > 1).then(Arc::default);
                Input { kept, ..Input::new(self.name(), From::Place(self, stat)) }
            }
        }
    }
}

/// An open file: where its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) file: Arc<dyn ReadAt>,
    pub(crate) stat: Stat,
    pub(crate) name: Arc<str>,
    turns: Option<Arc<Turns>>,
    /// How it begins, if that is kept.
    kept: Option<Arc<Kept>>,
}

impl Opened {
    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.stat.bytes.unwrap_or(0)
    }

    /// How long it is, where that is known: what the kernel makes up on reading says 0.
    fn known_bytes(&self) -> Option<u64> {
        self.stat.bytes.filter(|bytes| *bytes > 0)
    }

    /// The bytes in `range`, to be read forwards.
    pub(crate) fn forward(&self, range: Range<u64>) -> Forward {
        let forward = match self.turns.as_ref().and_then(|turns| turns.take(self, &range)) {
            Some((begun, turn)) => {
                Forward::new(begun.as_ref().unwrap_or(self).file.clone(), range).in_turn(turn)
            }
            None => Forward::new(self.file.clone(), range),
        };
        match self.kept.as_ref().and_then(|kept| kept.take(&self.stat)) {
            Some(beginning) => forward.behind_all_of(beginning),
            None => forward,
        }
    }

    /// The same bytes where others of the file are read between them: nothing is read ahead but what was
    /// announced.
    #[cfg(feature = "parquet")]
    pub(crate) fn in_pieces(&self, range: Range<u64>) -> Forward {
        Forward::new(self.file.clone(), range).in_pieces()
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// The file cannot be read, or ends before.
    pub(crate) fn read_exact_at(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        while !buf.is_empty() {
            match self.file.read_at(offset, buf) {
                Ok(0) => {
                    let end = io::Error::other(changed(self.bytes(), offset));
                    return Err(self.failed(offset, end));
                }
                Ok(n) => {
                    offset += n as u64;
                    buf = buf.get_mut(n..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(offset, error)),
            }
        }
        Ok(())
    }

    fn failed(&self, offset: u64, error: io::Error) -> Error {
        failed("cannot read input", error).at_offset(offset).in_source(self.name.clone())
    }

    /// All of it, which must not be more than `most` bytes.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    pub(crate) fn read_to_end(&self, most: u64) -> Result<Vec<u8>> {
        let too_large = |found: String| {
            Error::limit("file too large")
                .expected(format!("at most {most} bytes"), found)
                .in_source(self.name.clone())
        };
        if self.bytes() > most {
            return Err(too_large(self.bytes().to_string()));
        }
        let mut bytes = Vec::new();
        let end = self.known_bytes().unwrap_or(u64::MAX);
        let read = self.forward(0..end).take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| self.failed(0, e))?;
        if bytes.len() as u64 > most {
            return Err(too_large("more".to_owned()));
        }
        Ok(bytes)
    }
}

/// What is read from: a file, a stream that can be read once, or bytes.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    name: Arc<str>,
    from: From,
    /// What it is read in turn with.
    turns: Option<Arc<Turns>>,
    /// How it begins, if that is kept from when it was looked at to when it is read.
    kept: Option<Arc<Kept>>,
}

#[derive(Debug, Clone)]
enum From {
    /// A file, and what is known of it.
    Place(Place, Option<Stat>),
    Once(Arc<Once>),
    /// What is open for good.
    Open(Arc<dyn ReadAt>),
}

impl Input {
    /// The local file `path`.
    #[cfg(test)]
    pub(crate) fn local(path: impl Into<PathBuf>) -> Self {
        Place::local(path).input(None)
    }

    fn new(name: Arc<str>, from: From) -> Self {
        Self { name, from, turns: None, kept: None }
    }

    /// Standard input.
    pub(crate) fn stdin() -> Self {
        Self::stream("standard input", Box::new(io::stdin()))
    }

    /// A stream that is called `name`.
    pub(crate) fn stream(name: &str, stream: Box<dyn Read + Send>) -> Self {
        Self::new(name.into(), From::Once(Arc::new(Once::new(stream))))
    }

    /// What is open, and called `name`.
    pub(crate) fn open_file(name: &str, file: Arc<dyn ReadAt>) -> Self {
        Self::new(name.into(), From::Open(file))
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The same under another name.
    pub(crate) fn called(self, name: Arc<str>) -> Self {
        Self { name, ..self }
    }

    /// The same, as one of several that are read in turn.
    pub(crate) fn in_turn(&self, turns: Option<&Arc<Turns>>) -> Self {
        Self { turns: turns.cloned(), ..self.clone() }
    }

    /// Whether it can be read once only.
    pub(crate) fn is_once(&self) -> bool {
        matches!(self.from, From::Once(_))
    }

    /// Where it lies, if that has a name.
    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.from {
            From::Place(place, _) => Some(place),
            From::Once(_) | From::Open(_) => None,
        }
    }

    /// What it is, where that is known without reading it; of a file, asked for if nobody did before.
    pub(crate) fn stat(&self) -> Stat {
        match &self.from {
            From::Place(_, Some(stat)) => stat.clone(),
            From::Place(place, None) => place.stat().ok().flatten().unwrap_or_else(Stat::stream),
            From::Once(_) => Stat::stream(),
            From::Open(file) => file.stat().unwrap_or_else(|_| Stat::stream()),
        }
    }

    /// The same, as it is now.
    pub(crate) fn stat_now(&self) -> Stat {
        match &self.from {
            From::Place(place, _) => place.stat_now().ok().flatten().unwrap_or_else(Stat::stream),
            _ => self.stat(),
        }
    }

    /// How many such inputs to open at a time: more than one where each takes a while to answer.
    pub(crate) fn openings(&self) -> usize {
        match &self.from {
            From::Place(place, _) => place.openings(),
            From::Once(_) | From::Open(_) => 1,
        }
    }

    /// Opens it to be read from its beginning to its end, and says how long it is, where that is
    /// known: then reading gives exactly so many bytes or an error. A stream can be opened once.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open(&self) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
        match &self.from {
            From::Once(once) => {
                let stream = once.take().map_err(|e| self.failed("cannot open input", e))?;
                Ok((stream, None))
            }
            From::Place(..) | From::Open(_) => {
                let opened = self.opened(None)?;
                let bytes = opened.known_bytes();
                Ok((Box::new(opened.forward(0..bytes.unwrap_or(u64::MAX))), bytes))
            }
        }
    }

    /// As [`open`](Self::open), but a stream can be opened again, at its beginning, and of a store that
    /// answers slowly what is read is kept for who opens it next.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_to_sample(&self) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
        match &self.from {
            From::Once(once) => Ok((once.sample(), None)),
            From::Place(..) | From::Open(_) => {
                let opened = Opened { kept: None, ..self.opened(None)? };
                let bytes = opened.known_bytes();
                if let Some(turns) = &self.turns {
                    turns.begin_first(&opened, self.kept_bytes());
                }
                let forward = opened.forward(0..bytes.unwrap_or(u64::MAX));
                let spool = self.turns.as_ref().and_then(|turns| turns.spool());
                Ok(match (&self.kept, spool) {
                    (Some(kept), Some(spool)) => (kept.keeping(forward, &opened.stat, spool), bytes),
                    _ => (Box::new(forward), bytes),
                })
            }
        }
    }

    /// Opens it to be read from any place. A stream is read to its end for that, into a temporary
    /// file if it is large.
    ///
    /// # Errors
    /// It cannot be opened, or its length is not that of `same`.
    pub(crate) fn opened(&self, same: Option<&Stat>) -> Result<Opened> {
        let opened = match &self.from {
            From::Place(place, known) => {
                let opened = place.open(same.or(known.as_ref()))?;
                Opened { turns: self.turns.clone(), kept: self.kept.clone(), ..opened }
            }
            From::Once(once) => {
                let file = once.whole().map_err(|e| self.failed("cannot read input", e))?;
                let stat = file.stat().map_err(|e| self.failed("cannot read input", e))?;
                Opened { file, stat, name: self.name(), turns: None, kept: None }
            }
            From::Open(file) => {
                let stat = file.stat().map_err(|e| self.failed("cannot read input", e))?;
                Opened { file: file.clone(), stat, name: self.name(), turns: None, kept: None }
            }
        };
        match same.and_then(|same| same.bytes) {
            Some(expected) if expected != opened.bytes() => {
                let error = io::Error::other(changed(expected, opened.bytes()));
                Err(self.failed("cannot read input", error))
            }
            _ => Ok(opened),
        }
    }

    /// How many of its first bytes are kept.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.bytes())
    }

    /// Opens it, if it is known what it is, so that nothing is asked for.
    pub(super) fn opened_if_known(&self) -> Option<Opened> {
        match &self.from {
            From::Place(place, Some(known)) => place.open(Some(known)).ok(),
            _ => None,
        }
    }

    /// Its first bytes, `most` unless it is shorter.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn first_bytes(&self, most: usize) -> Result<Vec<u8>> {
        let mut first = vec![0; most];
        let mut filled = 0;
        let (mut stream, file) = match &self.from {
            From::Once(once) => (Some(once.sample()), None),
            From::Place(..) | From::Open(_) => (None, Some(self.opened(None)?.file)),
        };
        while filled < most {
            let free = first.get_mut(filled..).unwrap_or_default();
            let read = match (&mut stream, &file) {
                (Some(stream), _) => stream.read(free),
                (_, Some(file)) => file.read_at(filled as u64, free),
                (None, None) => Ok(0),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("cannot read input", error)),
            }
        }
        first.truncate(filled);
        Ok(first)
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        failed(what, error).in_source(self.name())
    }
}
