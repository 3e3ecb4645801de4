//! What tfarrow reads from and writes to: a place where files lie, as traits of the standard library's
//! types alone.
//!
//! A [`Store`] is such a place, and [`ReadAt`] an open file of it. What can be written to hands out
//! [`Upload`]s: files that appear whole or not at all. All of it stands in a crate of its own so that
//! a store can be implemented in a crate that tfarrow itself uses, as `tfarrow-cloud` is;
//! `tfarrow::input` exports it.

mod error;
mod memory;
mod output;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

pub use error::{Hint, StoreError};
pub use output::{Upload, Written};

/// A place where files lie.
///
/// Paths are what stands in a name after `scheme://`, with `/` between folders. All methods may be
/// called from several threads at a time, and may block.
pub trait Store: fmt::Debug + Send + Sync {
    /// What lies directly in `folder`, in any order, with what is known of it: nothing that is
    /// listed is asked for again.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be listed.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// What `path` is.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if there is nothing of this name, or another kind if that
    /// cannot be found out.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// Opens the file `path`, of which a listing, [`stat`](Self::stat) or an earlier opening said
    /// `known`. Nothing needs to be asked for then; what is read must be of that version, though.
    ///
    /// # Errors
    /// The file cannot be opened.
    fn open(&self, path: &Path, known: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>>;

    /// How many files it is worth to open at a time, where each takes a while to answer. Default: 1,
    /// one after the other.
    fn openings(&self) -> usize {
        1
    }

    /// Forgets what was kept of earlier answers, if anything is: what is asked for next is as it is
    /// then. Default: nothing is kept.
    fn forget(&self) {}

    /// Whether names of this store may be patterns. Default: true.
    fn has_patterns(&self) -> bool {
        true
    }

    /// Begins a file `path`, which takes its name when it is [finished](Upload::finish). What is there
    /// is replaced then if `replace` is set, and is an error otherwise, as soon as it is seen. Folders
    /// around it are made as they are needed.
    ///
    /// # Errors
    /// Nothing can be written there, or something of that name [exists](io::ErrorKind::AlreadyExists).
    /// Default: this store cannot be written to.
    fn create(&self, path: &Path, replace: bool) -> io::Result<Box<dyn Upload>> {
        let _ = (path, replace);
        Err(io::Error::new(io::ErrorKind::Unsupported, "it cannot be written to"))
    }

    /// Removes the file `path`; none is no error.
    ///
    /// # Errors
    /// It cannot be removed. Default: this store cannot be written to.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::Error::new(io::ErrorKind::Unsupported, "it cannot be written to"))
    }
}

/// An open file that can be read from any place, by several threads at a time.
pub trait ReadAt: fmt::Debug + Send + Sync {
    /// What the file is, as it was when it was opened.
    ///
    /// # Errors
    /// That cannot be found out.
    fn stat(&self) -> io::Result<Stat>;

    /// Reads from byte `offset` on into `buf`, as [`Read::read`] does: at least one byte, unless
    /// the file ends there or `buf` is empty; returns how many.
    ///
    /// # Errors
    /// The file cannot be read, or is no longer what it was.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// A stream of the bytes in `range`, if there is one that is faster than reading them piece by
    /// piece: one that reads ahead, with several requests under way. It may end early only where the
    /// file does. Default: none.
    ///
    /// # Errors
    /// The file cannot be read.
    fn open_sequential(&self, range: Range<u64>) -> io::Result<Option<Box<dyn Read + Send>>> {
        let _ = range;
        Ok(None)
    }

    /// Says that the bytes in `range` will be read in order, by [`open_sequential`](Self::open_sequential),
    /// once those of other files were: about the first `bytes` of them may be fetched until then. It may
    /// be called again, with more. Default: nothing is done.
    fn read_ahead(&self, range: Range<u64>, bytes: u64) {
        let _ = (range, bytes);
    }

    /// Says that these bytes will be read soon, each range as a whole: they may be fetched side by
    /// side until then. Default: nothing is done.
    fn will_read(&self, ranges: &[Range<u64>]) {
        let _ = ranges;
    }
}

/// What is known of a file or folder without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes; `None` if it is no file, or not known before it is read.
    pub bytes: Option<u64>,
    /// What changes whenever its content does: a time of modification, an ETag. `None` if nothing
    /// does.
    pub version: Option<Arc<str>>,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A pipe or a device: a stream that can be read once, from its beginning to its end.
    Stream,
}

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name in the folder.
    pub name: OsString,
    /// What it is.
    pub stat: Stat,
}

impl Stat {
    /// What is of this kind, of which nothing else is known.
    #[must_use]
    pub fn new(kind: FileKind) -> Self {
        Self { kind, bytes: None, version: None }
    }

    /// A file of `bytes` bytes.
    #[must_use]
    pub fn file(bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..Self::new(FileKind::File) }
    }

    /// A folder.
    #[must_use]
    pub fn folder() -> Self {
        Self::new(FileKind::Folder)
    }

    /// A stream that can be read once.
    #[must_use]
    pub fn stream() -> Self {
        Self::new(FileKind::Stream)
    }

    /// The same, in this version.
    #[must_use]
    pub fn with_version(self, version: impl Into<Arc<str>>) -> Self {
        Self { version: Some(version.into()), ..self }
    }
}

impl Entry {
    /// What is called `name` in its folder.
    #[must_use]
    pub fn new(name: impl AsRef<OsStr>, stat: Stat) -> Self {
        Self { name: name.as_ref().to_owned(), stat }
    }
}
