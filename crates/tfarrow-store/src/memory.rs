//! Bytes in memory.

use std::io;

use super::{ReadAt, Stat};

impl ReadAt for Vec<u8> {
    fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::file(self.len() as u64))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
}
