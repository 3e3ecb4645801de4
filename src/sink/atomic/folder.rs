//! A folder that appears when all in it is whole.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

use super::{AtomicFile, Partial, exists, outputs};
use crate::error::{Error, Result};
use crate::input::{FileKind, Place};
use crate::sink::{describe, parent};

/// How deep folders of outputs are.
const MAX_DEPTH: usize = 32;

/// A folder that appears under its name when it is [persisted](Self::persist). Dropped before that, it
/// is removed.
///
/// On this machine it lies beside its target until then. Elsewhere its files are sent as they are
/// written and get their names then, one after the other in the order in which they were
/// [kept](Self::keep): the last one should be what makes a folder one of its kind.
#[derive(Debug)]
pub(crate) enum AtomicFolder {
    Local(LocalFolder),
    Remote(RemoteFolder),
}

#[derive(Debug)]
pub(crate) struct LocalFolder {
    folder: TempDir,
    target: PathBuf,
    overwrite: bool,
    partial: Partial,
}

#[derive(Debug)]
pub(crate) struct RemoteFolder {
    target: Place,
    /// What lay there before.
    old: Vec<Place>,
    files: Vec<AtomicFile>,
}

/// A file in such a folder.
#[derive(Debug)]
pub(crate) struct FolderFile {
    to: To,
    written: u64,
}

#[derive(Debug)]
enum To {
    Local(File),
    Remote(AtomicFile),
}

impl AtomicFolder {
    /// Creates an empty folder that is to become `target`. What is there may be replaced if `overwrite`
    /// is set and `is_ours` says of the folder that it holds such an output, or if it is empty.
    ///
    /// # Errors
    /// The target exists and is not to be replaced, or is no folder, or the folder cannot be created.
    pub(crate) fn create(target: &Place, overwrite: bool, is_ours: fn(&Place) -> bool) -> Result<Self> {
        match target.local_path() {
            Some(path) => LocalFolder::create(target, path, overwrite, is_ours).map(AtomicFolder::Local),
            None => RemoteFolder::create(target, overwrite, is_ours).map(AtomicFolder::Remote),
        }
    }

    /// Creates a folder in it, and those around that.
    ///
    /// # Errors
    /// The file system refuses.
    pub(crate) fn create_folder(&self, name: &Path) -> Result<()> {
        let AtomicFolder::Local(folder) = self else { return Ok(()) };
        let _outputs = outputs()?;
        std::fs::create_dir_all(folder.folder.path().join(name)).map_err(|e| folder.cannot_create(name, e))
    }

    /// Creates a file in it that is not there yet, and the folders around that. It is to be
    /// [kept](Self::keep) when it is written; `seeks` says whether it is gone back in.
    ///
    /// # Errors
    /// The file is there, or nothing can be written.
    pub(crate) fn create_file(&self, name: &Path, seeks: bool) -> Result<FolderFile> {
        match self {
            AtomicFolder::Local(folder) => {
                let path = folder.folder.path().join(name);
                let _outputs = outputs()?;
                let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
                let file = made.and_then(|()| File::create_new(&path));
                let file = file.map_err(|e| folder.cannot_create(name, e))?;
                Ok(FolderFile { to: To::Local(file), written: 0 })
            }
            AtomicFolder::Remote(folder) => {
                let place = folder.target.join(name);
                let file = match seeks {
                    true => AtomicFile::create_seekable(&place, true)?,
                    false => AtomicFile::create(&place, true)?,
                };
                Ok(FolderFile { to: To::Remote(file), written: 0 })
            }
        }
    }

    /// Takes a file that is whole.
    pub(crate) fn keep(&mut self, file: FolderFile) {
        if let (AtomicFolder::Remote(folder), To::Remote(file)) = (self, file.to) {
            folder.files.push(file);
        }
    }

    /// Gives the folder its name. A folder that it replaces is moved away first and then removed; in
    /// other stores its files are replaced, and those that have no place in the new one removed.
    ///
    /// # Errors
    /// Something else has taken the name meanwhile, or the store refuses.
    pub(crate) fn persist(self) -> Result<()> {
        match self {
            AtomicFolder::Local(folder) => folder.persist(),
            AtomicFolder::Remote(folder) => folder.persist(),
        }
    }
}

impl LocalFolder {
    fn create(place: &Place, target: &Path, overwrite: bool, is_ours: fn(&Place) -> bool) -> Result<Self> {
        if target.symlink_metadata().is_ok() {
            if !target.is_dir() {
                return Err(Error::config("output is a file").in_source(describe(target)));
            }
            if !overwrite {
                return Err(exists(&describe(target)));
            }
            let empty = target.read_dir().is_ok_and(|mut entries| entries.next().is_none());
            if !empty && !is_ours(place) {
                return Err(not_ours(&describe(target)));
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

    fn cannot_create(&self, name: &Path, error: io::Error) -> Error {
        Error::io("cannot create output", error).in_source(describe(&self.target.join(name)))
    }

    fn persist(self) -> Result<()> {
        let Self { folder, target, overwrite, partial } = self;
        let cannot = |e| Error::io("cannot rename output", e).in_source(describe(&target));
        let old = folder.path().with_extension("old");
        let mut outputs = outputs()?;
        let replaces = target.symlink_metadata().is_ok();
        if replaces && !overwrite {
            return Err(exists(&describe(&target)));
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

impl RemoteFolder {
    fn create(target: &Place, overwrite: bool, is_ours: fn(&Place) -> bool) -> Result<Self> {
        let mut old = Vec::new();
        match target.stat_now()? {
            None => {}
            Some(stat) if stat.kind != FileKind::Folder => {
                return Err(Error::config("output is a file").in_source(target.name()));
            }
            Some(_) if !overwrite => return Err(exists(&target.name())),
            Some(_) => {
                if !is_ours(target) {
                    return Err(not_ours(&target.name()));
                }
                files_below(target, MAX_DEPTH, &mut old)?;
            }
        }
        Ok(Self { target: target.clone(), old, files: Vec::new() })
    }

    fn persist(self) -> Result<()> {
        let Self { target: _, old, files } = self;
        let mut others = files;
        let last = others.pop();
        // What makes the folder one of its kind goes first and comes last, so that nobody takes some old
        // and some new files for one.
        let new: Vec<Place> = others.iter().chain(&last).map(AtomicFile::place).collect();
        if let Some(marker) = new.last().filter(|_| !old.is_empty()) {
            marker.remove("cannot remove what is replaced")?;
        }
        for file in others {
            file.persist()?;
        }
        for place in old.iter().filter(|place| !new.contains(place)) {
            place.remove("cannot remove what is replaced")?;
        }
        last.map_or(Ok(0), AtomicFile::persist)?;

        Ok(())
    }
}

/// All files in `folder` and below.
fn files_below(folder: &Place, depth: usize, found: &mut Vec<Place>) -> Result<()> {
    for (place, stat) in folder.list()? {
        match stat.kind {
            FileKind::Folder if depth > 0 => files_below(&place, depth - 1, found)?,
            _ => found.push(place),
        }
    }
    Ok(())
}

fn not_ours(target: &str) -> Error {
    Error::config("output is a folder with other files, which would be lost")
        .in_source(target)
        .with_hint("name another, or empty this one")
}

impl FolderFile {
    /// Bytes that were written to it.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }
}

impl Write for FolderFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = match &mut self.to {
            To::Local(file) => file.write(buf)?,
            To::Remote(file) => file.write(buf)?,
        };
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Local(file) => file.flush(),
            To::Remote(file) => file.flush(),
        }
    }
}

impl Seek for FolderFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        match &mut self.to {
            To::Local(file) => file.seek(pos),
            To::Remote(file) => file.seek(pos),
        }
    }
}
