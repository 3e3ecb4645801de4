//! Files that appear under their name only when they are whole.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::{Builder, NamedTempFile, TempDir};

use super::{describe, parent};
use crate::error::{Error, ErrorKind, Result};

/// The partial outputs of this process, for [`remove_all`].
static PARTIAL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file beside its target, under another name until [`persist`](AtomicFile::persist) renames it.
/// Dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
    written: u64,
    _partial: Partial,
}

/// A path in [`PARTIAL`] for as long as this lives.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    fn register(path: &Path) -> Self {
        PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_path_buf());
        Self(path.to_path_buf())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
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
        let file = builder
            .tempfile_in(parent(target))
            .map_err(|e| Error::io("cannot create output", e).in_source(describe(target)))?;
        let partial = Partial::register(file.path());
        Ok(Self { file, target: target.to_path_buf(), overwrite, written: 0, _partial: partial })
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
        let target = &self.target;
        let result =
            if self.overwrite { self.file.persist(target) } else { self.file.persist_noclobber(target) };
        match result {
            Ok(_) => Ok(self.written),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(target)),
            Err(error) => Err(Error::io("cannot rename output", error.error).in_source(describe(target))),
        }
    }
}

/// A folder beside its target, under another name until [`persist`](AtomicFolder::persist) renames
/// it. Dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct AtomicFolder {
    folder: TempDir,
    target: PathBuf,
    overwrite: bool,
    _partial: Partial,
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
        let folder = builder
            .tempdir_in(parent(target))
            .map_err(|e| Error::io("cannot create output", e).in_source(describe(target)))?;
        let partial = Partial::register(folder.path());
        Ok(Self { folder, target: target.to_path_buf(), overwrite, _partial: partial })
    }

    /// Where the folder is for now.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its name. A folder that it replaces is moved away first and then removed.
    ///
    /// # Errors
    /// Something else has taken the name meanwhile, or the file system refuses.
    pub(crate) fn persist(self) -> Result<()> {
        let cannot = |e| Error::io("cannot rename output", e).in_source(describe(&self.target));
        let old = self.folder.path().with_extension("old");
        let replaces = self.target.symlink_metadata().is_ok();
        if replaces && !self.overwrite {
            return Err(exists(&self.target));
        }
        if replaces {
            std::fs::rename(&self.target, &old).map_err(cannot)?;
        }
        if let Err(error) = std::fs::rename(self.folder.path(), &self.target) {
            if replaces {
                // What was there goes back to its place; the first error is the one to tell.
                drop(std::fs::rename(&old, &self.target));
            }
            return Err(cannot(error));
        }
        if replaces {
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
        .with_hint("pass --overwrite to replace it")
}

/// Removes every partial output of this process.
pub(crate) fn remove_all() {
    for path in PARTIAL.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
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
