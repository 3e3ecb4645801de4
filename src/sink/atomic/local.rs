//! A file beside its target, under another name until it is renamed.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::{Partial, exists, outputs};
use crate::error::{Error, Result};
use crate::sink::{describe, parent};

#[derive(Debug)]
pub(crate) struct LocalFile {
    file: NamedTempFile,
    target: PathBuf,
    overwrite: bool,
    written: u64,
    partial: Partial,
}

impl LocalFile {
    /// Creates an empty file beside `target`.
    pub(super) fn create(target: &Path, overwrite: bool) -> Result<Self> {
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

    /// What the file is to become.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Waits until the file has reached the disk.
    pub(super) fn sync(&self) -> Result<()> {
        let synced = self.file.as_file().sync_all();
        synced.map_err(|e| Error::io("cannot write output", e).in_source(describe(&self.target)))
    }

    /// Gives the file its name; `persisted` takes what must outlast the lock that is held.
    pub(super) fn rename(self, persisted: &mut Vec<Partial>) -> Result<u64> {
        let Self { file, target, overwrite, written, partial } = self;
        persisted.push(partial);
        let result = if overwrite { file.persist(&target) } else { file.persist_noclobber(&target) };
        match result {
            Ok(_) => Ok(written),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(exists(&describe(&target)))
            }
            Err(error) => Err(Error::io("cannot rename output", error.error).in_source(describe(&target))),
        }
    }
}

impl Write for LocalFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.as_file_mut().write(buf)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Seek for LocalFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        self.file.as_file_mut().seek(pos)
    }
}

/// Refuses a target that exists, unless it may be replaced.
pub(super) fn refuse_existing(target: &Path, overwrite: bool) -> Result<()> {
    if target.is_dir() {
        return Err(Error::config("output is a folder").in_source(describe(target)));
    }
    if !overwrite && target.symlink_metadata().is_ok() {
        return Err(exists(&describe(target)));
    }
    // A file that takes the name of a device or a pipe would end it.
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::config("output is a device or a pipe, which is no place for a file")
            .in_source(describe(target))
            .with_hint("pass -o - for a stream to standard output"));
    }
    Ok(())
}
