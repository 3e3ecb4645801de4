//! Outputs that appear under their name only when they are whole: here as a file or a folder beside its
//! target, under another name until it is whole; in other stores as these have it.

mod folder;
mod local;
mod remote;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use folder::{AtomicFolder, FolderFile};
use local::LocalFile;
use remote::RemoteFile;

use crate::error::{Error, ErrorKind, Result};
use crate::input::{FileKind, Place};
use crate::options::Phrase;

/// The partial outputs of this process on this machine. Whoever makes one or gives it its name holds the
/// lock, so that [`remove_all`] comes before or after, and never in between.
static PARTIAL: Mutex<Outputs> = Mutex::new(Outputs { partial: Vec::new(), ended: false });

#[derive(Debug)]
struct Outputs {
    partial: Vec<PathBuf>,
    /// Whether they have been removed: from then on none is made, and none gets its name.
    ended: bool,
}

/// The outputs, unless they have been removed.
fn outputs() -> Result<MutexGuard<'static, Outputs>> {
    let outputs = PARTIAL.lock().unwrap_or_else(PoisonError::into_inner);
    match outputs.ended {
        false => Ok(outputs),
        true => Err(Error::new(ErrorKind::Interrupted, "the process ends: partial outputs were removed")),
    }
}

/// A path in [`PARTIAL`] for as long as this lives.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    fn register(path: &Path, outputs: &mut Outputs) -> Self {
        outputs.partial.push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).partial.retain(|path| *path != self.0);
    }
}

/// A file that appears under its name when it is [persisted](Self::persist). Dropped before that, it is
/// removed.
#[derive(Debug)]
pub(crate) enum AtomicFile {
    Local(LocalFile),
    Remote(RemoteFile),
}

/// What is known of a file that was written to another store: what its manifest says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: u64,
    pub(crate) crc32c: u32,
    pub(crate) version: Option<Arc<str>>,
}

/// Where the last file that was written to another store is told of.
#[derive(Debug, Default)]
pub(crate) struct Witness(Mutex<Option<Stored>>);

impl Witness {
    fn tell(&self, stored: Stored) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stored);
    }

    /// What was told last.
    pub(crate) fn take(&self) -> Option<Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl AtomicFile {
    /// Creates an empty file that is to become `target`.
    ///
    /// # Errors
    /// The target exists and `overwrite` is not set, or nothing can be written there.
    pub(crate) fn create(target: &Place, overwrite: bool) -> Result<Self> {
        refuse_existing(target, overwrite)?;
        match target.local_path() {
            Some(path) => LocalFile::create(path, overwrite).map(AtomicFile::Local),
            None => RemoteFile::create(target, overwrite).map(AtomicFile::Remote),
        }
    }

    /// As [`create`](Self::create), for formats that go back in what they wrote: for another store it is
    /// written to a temporary file first.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn create_seekable(target: &Place, overwrite: bool) -> Result<Self> {
        refuse_existing(target, overwrite)?;
        match target.local_path() {
            Some(path) => LocalFile::create(path, overwrite).map(AtomicFile::Local),
            None => RemoteFile::spool(target, overwrite).map(AtomicFile::Remote),
        }
    }

    /// Tells `witness` of the file when it is whole, if it lies in another store.
    pub(crate) fn with_witness(mut self, witness: Option<Arc<Witness>>) -> Self {
        if let AtomicFile::Remote(file) = &mut self {
            file.witness = witness;
        }
        self
    }

    /// What it is to become.
    fn place(&self) -> Place {
        match self {
            AtomicFile::Local(file) => Place::local(file.target()),
            AtomicFile::Remote(file) => file.target.clone(),
        }
    }

    /// What the file will be called.
    #[cfg(feature = "parquet")]
    pub(crate) fn target(&self) -> Arc<str> {
        self.place().name()
    }

    /// As [`persist`](Self::persist), after the file has reached the disk.
    ///
    /// # Errors
    /// As there; or the file cannot be written.
    pub(crate) fn persist_synced(self) -> Result<u64> {
        if let AtomicFile::Local(file) = &self {
            file.sync()?;
        }
        self.persist()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Something else has taken the name meanwhile, or the store refuses.
    pub(crate) fn persist(self) -> Result<u64> {
        persist_all(vec![self], &[])
    }
}

/// Removes the files of `stale` and gives all of `files` their names, in order: a signal comes before
/// or after, as far as they lie on this machine. Returns the bytes written to them.
///
/// # Errors
/// Something else has taken a name meanwhile, or a store refuses.
pub(crate) fn persist_all(files: Vec<AtomicFile>, stale: &[Place]) -> Result<u64> {
    let mut bytes = 0;
    // These outlast the lock, which they need when they are dropped.
    let mut persisted: Vec<Partial> = Vec::with_capacity(files.len());
    let mut rest = files.into_iter();
    // What lies elsewhere may take its time to get its name; its store sees to signals.
    let is_local = |file: &AtomicFile| matches!(file, AtomicFile::Local(_));
    let lock = if rest.as_slice().iter().any(is_local) { Some(outputs()?) } else { None };
    for place in stale {
        place.remove("cannot remove a shard")?;
    }
    for file in rest.by_ref() {
        bytes += match file {
            AtomicFile::Local(file) => file.rename(&mut persisted)?,
            AtomicFile::Remote(file) => file.finish()?,
        };
    }
    drop(lock);
    Ok(bytes)
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            AtomicFile::Local(file) => file.write(buf),
            AtomicFile::Remote(file) => file.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            AtomicFile::Local(file) => file.flush(),
            AtomicFile::Remote(file) => file.flush(),
        }
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        match self {
            AtomicFile::Local(file) => file.seek(pos),
            AtomicFile::Remote(file) => file.seek(pos),
        }
    }
}

/// Refuses a target that exists, unless it may be replaced.
pub(crate) fn refuse_existing(target: &Place, overwrite: bool) -> Result<()> {
    if let Some(path) = target.local_path() {
        return local::refuse_existing(path, overwrite);
    }
    match target.stat_now()? {
        Some(stat) if stat.kind == FileKind::Folder => {
            Err(Error::config("output is a folder").in_source(target.name()))
        }
        Some(_) if !overwrite => Err(exists(&target.name())),
        _ => Ok(()),
    }
}

fn exists(target: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, "output exists already")
        .in_source(target)
        .with_hint(Phrase::new("pass {overwrite} to replace it"))
}

/// Removes every partial output of this process, and lets it make no more.
pub(crate) fn remove_all() {
    let mut outputs = PARTIAL.lock().unwrap_or_else(PoisonError::into_inner);
    outputs.ended = true;
    for path in outputs.partial.drain(..) {
        // It may be gone already; there is nobody left to tell.
        drop(if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) });
    }
    drop(outputs);
    #[cfg(feature = "cloud")]
    tfarrow_cloud::give_up_uploads();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(target: &Path, overwrite: bool) -> Result<AtomicFile> {
        AtomicFile::create(&Place::local(target), overwrite)
    }

    fn create_folder(target: &Path, overwrite: bool, is_ours: fn(&Place) -> bool) -> Result<AtomicFolder> {
        AtomicFolder::create(&Place::local(target), overwrite, is_ours)
    }

    fn put(folder: &mut AtomicFolder, name: &str, content: &[u8]) {
        let mut file = folder.create_file(Path::new(name), false).unwrap();
        file.write_all(content).unwrap();
        folder.keep(file);
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.bin");
        let mut file = create(&target, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut file = create(&target, false).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(file.persist().unwrap(), 5);
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(create(&target, false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        create(&target, true).unwrap().persist().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.npyd");
        let mut folder = create_folder(&target, false, |_| true).unwrap();
        put(&mut folder, "x", b"1");
        assert!(!target.exists());
        drop(folder);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        for content in [b"1", b"2"] {
            let mut folder = create_folder(&target, true, |_| true).unwrap();
            put(&mut folder, "x", content);
            folder.persist().unwrap();
            assert_eq!(std::fs::read(target.join("x")).unwrap(), content);
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        }
        assert_eq!(create_folder(&target, false, |_| true).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_folder_of_other_files_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("thesis.txt"), b"theirs").unwrap();
        let error = create_folder(place.path(), true, |_| false).unwrap_err();
        assert!(error.to_string().contains("would be lost"), "{error}");
        assert_eq!(std::fs::read(place.path().join("thesis.txt")).unwrap(), b"theirs");
        let empty = place.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        create_folder(&empty, true, |_| false).unwrap().persist().unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let error = create(&link, true).unwrap_err();
        assert!(error.to_string().contains("-o -"), "{error}");
        assert!(link.symlink_metadata().unwrap().is_symlink());
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.bin");
        let file = create(&target, false).unwrap();
        std::fs::write(&target, b"theirs").unwrap();
        assert_eq!(file.persist().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
    }
}
