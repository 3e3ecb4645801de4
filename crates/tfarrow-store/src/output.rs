//! Files that are being written.

use std::io::{self, Write};
use std::sync::Arc;

/// A file that is being written, and that appears under its name whole or not at all. Dropped before
/// it is [finished](Self::finish), it is given up, and nothing of it stays.
pub trait Upload: Write + Send {
    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// It cannot be written, or something else has taken the name meanwhile.
    fn finish(self: Box<Self>) -> io::Result<Written>;
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// What [`Stat::version`](crate::Stat::version) says of it, where that is known.
    pub version: Option<Arc<str>>,
}

impl Written {
    /// A file of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64, version: Option<Arc<str>>) -> Self {
        Self { bytes, version }
    }
}
