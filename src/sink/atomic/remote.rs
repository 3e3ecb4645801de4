//! A file of another store, which gives it its name when it is whole.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use tfarrow_store::Upload;

use super::{Stored, Witness, exists};
use crate::error::{Error, Result};
use crate::input::Place;

/// Bytes that are read of a temporary file at a time.
const COPY_BYTES: usize = 1 << 20;

pub(crate) struct RemoteFile {
    pub(super) target: Place,
    overwrite: bool,
    to: To,
    pub(super) witness: Option<Arc<Witness>>,
}

/// Where bytes go.
enum To {
    /// To the store, with what they come to.
    Store { upload: Box<dyn Upload>, crc32c: u32 },
    /// To a file that has no name, and from there to the store when all are written.
    File(File),
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFile").field("target", &self.target).finish_non_exhaustive()
    }
}

impl RemoteFile {
    pub(super) fn create(target: &Place, overwrite: bool) -> Result<Self> {
        let to = To::Store { upload: target.create(overwrite)?, crc32c: 0 };
        Ok(Self { target: target.clone(), overwrite, to, witness: None })
    }

    /// A file that can be gone back in.
    pub(super) fn spool(target: &Place, overwrite: bool) -> Result<Self> {
        let cannot = |e| {
            let what = format!("cannot keep output in {} until it is whole", std::env::temp_dir().display());
            Error::io(what, e).in_source(target.name())
        };
        let to = To::File(tempfile::tempfile().map_err(cannot)?);
        Ok(Self { target: target.clone(), overwrite, to, witness: None })
    }

    /// Gives the file its name, and says how many bytes it has.
    pub(super) fn finish(self) -> Result<u64> {
        let Self { target, overwrite, to, witness } = self;
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists => exists(&target.name()),
            _ => Error::io("cannot write output", e).in_source(target.name()),
        };
        let (upload, crc32c) = match to {
            To::Store { upload, crc32c } => (upload, crc32c),
            To::File(mut file) => {
                let mut upload = target.create(overwrite)?;
                let crc32c = copy(&mut file, &mut upload).map_err(failed)?;
                (upload, crc32c)
            }
        };
        let written = upload.finish().map_err(failed)?;
        if let Some(witness) = witness {
            witness.tell(Stored { bytes: written.bytes, crc32c, version: written.version });
        }
        Ok(written.bytes)
    }
}

/// Copies all of `file`; returns its CRC-32C.
fn copy(file: &mut File, upload: &mut Box<dyn Upload>) -> io::Result<u32> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut crc32c = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(crc32c);
        }
        let bytes = buffer.get(..n).unwrap_or_default();
        crc32c = crc32c::crc32c_append(crc32c, bytes);
        upload.write_all(bytes)?;
    }
}

impl Write for RemoteFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Store { upload, crc32c } => {
                let n = upload.write(buf)?;
                *crc32c = crc32c::crc32c_append(*crc32c, buf.get(..n).unwrap_or_default());
                Ok(n)
            }
            To::File(file) => file.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Store { upload, .. } => upload.flush(),
            To::File(file) => file.flush(),
        }
    }
}

impl Seek for RemoteFile {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        match &mut self.to {
            To::File(file) => file.seek(pos),
            To::Store { .. } => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "what is sent stays as it is"))
            }
        }
    }
}
