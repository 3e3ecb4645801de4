//! Bytes in memory.

use std::io;

use arrow::buffer::Buffer;

use super::{ReadAt, Stat};

/// A whole file in a buffer.
#[derive(Debug)]
pub(crate) struct Memory(pub(crate) Buffer);

impl ReadAt for Memory {
    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::file(self.0.len() as u64))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
}
