//! Files that appear under their name only when they are whole.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{describe, parent};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;

/// The partial outputs of this process. Whoever makes one or gives it its name holds the lock, so that
/// [`remove_all`] comes before or after, and never in between.
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

/// A file beside its target, under another name until [`persist`](AtomicFile::persist) renames it.
/// Dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
    written: u64,
    partial: Partial,
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

impl AtomicFile {
    /// Creates an empty file beside `target`.
    ///
    /// # Errors
    /// The target exists and `overwrite` is not set, or the folder cannot be written to.
    pub(crate) fn create(target: &Path, overwrite: bool) -> Result<Self> {
        refuse_existing(target, overwrite)?;
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut builder = Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        {
            // As any other new file, subject to the umask.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut outputs = outputs()?;
        let file = builder
            .tempfile_in(parent(target))
            .map_err(|e| Error::io("cannot create output", e).in_source(describe(target)))?;
        let partial = Partial::register(file.path(), &mut outputs);
        Ok(Self { file, target: target.to_path_buf(), overwrite, written: 0, partial })
    }

    /// What the file will be called.
    #[cfg(feature = "parquet")]
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// As [`persist`](Self::persist), after the file has reached the disk.
    ///
    /// # Errors
    /// As there; or the file cannot be written.
    pub(crate) fn persist_synced(self) -> Result<u64> {
        let synced = self.file.as_file().sync_all();
        synced.map_err(|e| Error::io("cannot write output", e).in_source(describe(&self.target)))?;
        self.persist()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Something else has taken the name meanwhile, or the file system refuses.
    pub(crate) fn persist(self) -> Result<u64> {
        persist_all(vec![self], &[])
    }
}

/// Removes the files of `stale` and gives all of `files` their names, in order: a signal comes before
/// or after. Returns the bytes written to them.
///
/// # Errors
/// Something else has taken a name meanwhile, or the file system refuses.
pub(crate) fn persist_all(files: Vec<AtomicFile>, stale: &[PathBuf]) -> Result<u64> {
    let mut bytes = 0;
    // These outlast the lock, which they need when they are dropped.
    let mut persisted: Vec<Partial> = Vec::with_capacity(files.len());
    let mut rest = files.into_iter();
    let lock = outputs()?;
    for path in stale {
        std::fs::remove_file(path)
            .map_err(|e| Error::io("cannot remove a shard", e).in_source(describe(path)))?;
    }
    for AtomicFile { file, target, overwrite, written, partial } in rest.by_ref() {
        persisted.push(partial);
        let result = if overwrite { file.persist(&target) } else { file.persist_noclobber(&target) };
        match result {
            Ok(_) => bytes += written,
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(exists(&target));
            }
            Err(error) => {
                return Err(Error::io("cannot rename output", error.error).in_source(describe(&target)));
            }
        }
    }
    drop(lock);
    Ok(bytes)
}

/// A folder beside its target, under another name until [`persist`](AtomicFolder::persist) renames
/// it. Dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct AtomicFolder {
    folder: TempDir,
    target: PathBuf,
    overwrite: bool,
    partial: Partial,
}

impl AtomicFolder {
    /// Creates an empty folder beside `target`. What is there may be replaced if `overwrite` is set
    /// and `is_ours` says of the folder that it holds such an output, or if it is empty.
    ///
    /// # Errors
    /// The target exists and is not to be replaced, or is no folder, or the folder cannot be created.
    pub(crate) fn create(target: &Path, overwrite: bool, is_ours: fn(&Path) -> bool) -> Result<Self> {
        if target.symlink_metadata().is_ok() {
            if !target.is_dir() {
                return Err(Error::config("output is a file").in_source(describe(target)));
            }
            if !overwrite {
                return Err(exists(target));
            }
            let empty = target.read_dir().is_ok_and(|mut entries| entries.next().is_none());
            if !empty && !is_ours(target) {
                return Err(Error::config("output is a folder with other files, which would be lost")
                    .in_source(describe(target))
                    .with_hint("name another, or empty this one"));
            }
        }
        let name = target.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let prefix = format!(".{name}.");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        {
            // As any other new folder, subject to the umask.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o777));
        }
        let mut outputs = outputs()?;
        let folder = builder
            .tempdir_in(parent(target))
            .map_err(|e| Error::io("cannot create output", e).in_source(describe(target)))?;
        let partial = Partial::register(folder.path(), &mut outputs);
        Ok(Self { folder, target: target.to_path_buf(), overwrite, partial })
    }

    /// Where the folder is for now. What is made in it is made by [`create_file`](Self::create_file).
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Creates a folder in it, and those around that.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn create_folder(&self, name: &Path) -> Result<()> {
        let _outputs = outputs()?;
        std::fs::create_dir_all(self.path().join(name)).map_err(|e| self.cannot_create(name, e))
    }

    /// Creates a file in it that is not there yet, and the folders around that.
    ///
    /// # Errors
    /// The file is there, or the file system refuses.
    pub(crate) fn create_file(&self, name: &Path) -> Result<File> {
        let path = self.path().join(name);
        let _outputs = outputs()?;
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| File::create_new(&path)).map_err(|e| self.cannot_create(name, e))
    }

    fn cannot_create(&self, name: &Path, error: std::io::Error) -> Error {
        Error::io("cannot create output", error).in_source(describe(&self.target.join(name)))
    }

    /// Gives the folder its name. A folder that it replaces is moved away first and then removed.
    ///
    /// # Errors
    /// Something else has taken the name meanwhile, or the file system refuses.
    pub(crate) fn persist(self) -> Result<()> {
        let Self { folder, target, overwrite, partial } = self;
        let cannot = |e| Error::io("cannot rename output", e).in_source(describe(&target));
        let old = folder.path().with_extension("old");
        let mut outputs = outputs()?;
        let replaces = target.symlink_metadata().is_ok();
        if replaces && !overwrite {
            return Err(exists(&target));
        }
        if replaces {
            std::fs::rename(&target, &old).map_err(cannot)?;
        }
        if let Err(error) = std::fs::rename(folder.path(), &target) {
            if replaces {
                // What was there goes back to its place; the first error is the one to tell.
                drop(std::fs::rename(&old, &target));
            }
            return Err(cannot(error));
        }
        let replaced = replaces.then(|| Partial::register(&old, &mut outputs));
        drop(outputs);
        drop(partial);
        if replaced.is_some() {
            std::fs::remove_dir_all(&old).map_err(cannot)?;
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let n = self.file.as_file_mut().write(buf)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, pos: SeekFrom) -> std::io::Result<u64> {
        self.file.as_file_mut().seek(pos)
    }
}

/// Refuses a target that exists, unless it may be replaced.
pub(crate) fn refuse_existing(target: &Path, overwrite: bool) -> Result<()> {
    if target.is_dir() {
        return Err(Error::config("output is a folder").in_source(describe(target)));
    }
    if !overwrite && target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    // A file that takes the name of a device or a pipe would end it.
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::config("output is a device or a pipe, which is no place for a file")
            .in_source(describe(target))
            .with_hint("pass -o - for a stream to standard output"));
    }
    Ok(())
}

fn exists(target: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, "output exists already")
        .in_source(describe(target))
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.bin");
        let mut file = AtomicFile::create(&target, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut file = AtomicFile::create(&target, false).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(file.persist().unwrap(), 5);
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(AtomicFile::create(&target, false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        AtomicFile::create(&target, true).unwrap().persist().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"");
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out.npyd");
        let folder = AtomicFolder::create(&target, false, |_| true).unwrap();
        std::fs::write(folder.path().join("x"), b"1").unwrap();
        assert!(!target.exists());
        drop(folder);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        for content in [b"1", b"2"] {
            let folder = AtomicFolder::create(&target, true, |_| true).unwrap();
            std::fs::write(folder.path().join("x"), content).unwrap();
            folder.persist().unwrap();
            assert_eq!(std::fs::read(target.join("x")).unwrap(), content);
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        }
        assert_eq!(
            AtomicFolder::create(&target, false, |_| true).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn a_folder_of_other_files_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("thesis.txt"), b"theirs").unwrap();
        let error = AtomicFolder::create(place.path(), true, |_| false).unwrap_err();
        assert!(error.to_string().contains("would be lost"), "{error}");
        assert_eq!(std::fs::read(place.path().join("thesis.txt")).unwrap(), b"theirs");
        let empty = place.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        AtomicFolder::create(&empty, true, |_| false).unwrap().persist().unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_device_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        let error = AtomicFile::create(&link, true).unwrap_err();
        assert!(error.to_string().contains("-o -"), "{error}");
        assert!(link.symlink_metadata().unwrap().is_symlink());
    }

    #[test]
    fn a_name_taken_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.bin");
        let file = AtomicFile::create(&target, false).unwrap();
        std::fs::write(&target, b"theirs").unwrap();
        assert_eq!(file.persist().unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
    }
}
