//! Local files.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{Entry, FileKind, ReadAt, Stat, Store, changed};

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local;

/// Opens a file to be mapped, or handed to a library.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn stat_of(metadata: &Metadata) -> Stat {
    let kind = match metadata {
        m if m.is_file() => FileKind::File,
        m if m.is_dir() => FileKind::Folder,
        _ => FileKind::Stream,
    };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let stat = match kind {
        FileKind::File => Stat::file(metadata.len()),
        kind => Stat::new(kind),
    };
    match modified {
        Some(since) => stat.with_version(format!("modified at {} ns", since.as_nanos())),
        None => stat,
    }
}

impl Store for Local {
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let stat = match std::fs::metadata(entry.path()) {
                Ok(metadata) => stat_of(&metadata),
                // A link that leads nowhere may stand for a shard: opening it says what is wrong.
                Err(_) if entry.file_type().is_ok_and(|kind| kind.is_symlink()) => Stat::new(FileKind::File),
                // What is gone meanwhile was not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            entries.push(Entry::new(entry.file_name(), stat));
        }
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        std::fs::metadata(path).map(|metadata| stat_of(&metadata))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A file whose length is known must still have it.
    fn open(&self, path: &Path, known: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
        let file = LocalFile::new(File::open(path)?)?;
        match (known.and_then(|stat| stat.bytes), file.stat.bytes) {
            (Some(expected), Some(found)) if expected != found => {
                Err(io::Error::other(changed(expected, found)))
            }
            _ => Ok(Arc::new(file)),
        }
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct LocalFile {
    file: Arc<File>,
    stat: Stat,
}

impl LocalFile {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let stat = stat_of(&file.metadata()?);
        if stat.kind == FileKind::Folder {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(Self { file: Arc::new(file), stat })
    }
}

impl ReadAt for LocalFile {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.stat.clone())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_at(&self.file, offset, buf)
    }

    fn open_sequential(&self, range: Range<u64>) -> io::Result<Option<Box<dyn Read + Send>>> {
        let stream = LocalStream {
            file: self.file.clone(),
            at: range.start,
            end: range.end,
            // What the kernel makes up on reading says 0.
            expected: self.stat.bytes.filter(|bytes| *bytes > 0),
        };
        Ok(Some(Box::new(stream)))
    }
}

#[cfg(unix)]
pub(super) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

/// Reads a file forwards. It must not change its length meanwhile: a part of it would pass for all
/// of it.
struct LocalStream {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// How long the file was when it was opened.
    expected: Option<u64>,
}

impl Read for LocalStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        // At the end of the file one looks whether there is more.
        let most = if self.expected == Some(self.end) { buf.len() } else { buf.len().min(left) };
        let n = read_at(&self.file, self.at, buf.get_mut(..most).unwrap_or_default())?;
        self.at += n as u64;
        if let Some(expected) = self.expected
            && (self.at > expected || n == 0 && most > 0 && self.at < expected)
        {
            return Err(io::Error::other(changed(expected, self.file.metadata()?.len())));
        }
        Ok(n)
    }
}
