//! Files as memory.
#![allow(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::error::{Error, Result};
use crate::input::open_local;

/// Maps the file at `path`; gives what `read` makes of its bytes and its name.
///
/// # Safety
/// The file must not be changed or truncated while the buffer exists.
///
/// # Errors
/// The file cannot be opened or mapped, or `read` fails.
pub(super) unsafe fn map<T>(path: &Path, read: impl FnOnce(Buffer, Arc<str>) -> Result<T>) -> Result<T> {
    let name: Arc<str> = path.display().to_string().into();
    let open = || {
        let file = open_local(path).map_err(|e| Error::io("cannot open", e))?;
        // SAFETY: that the file does not change is this function's own condition.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| Error::io("cannot map", e))?;
        read(Buffer::from(bytes::Bytes::from_owner(map)), name.clone())
    };
    open().map_err(|e| e.in_source(name.clone()))
}
