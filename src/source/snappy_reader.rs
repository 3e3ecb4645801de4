//! Reads what a stream of Snappy blocks holds.

use std::io::{Error, ErrorKind, Read, Result};

use crate::wire::snappy;

/// What a block may hold beside one record: the writer's buffer, and the frame around the record.
const SLACK: u64 = 1 << 20;

/// A reader of the bytes that the blocks of another reader decode to.
pub(crate) struct SnappyReader<R> {
    inner: R,
    /// The largest block to accept, decoded.
    cap: u64,
    encoded: Vec<u8>,
    decoded: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    /// Reads blocks of records of at most `max_record_bytes`.
    pub(crate) fn new(inner: R, max_record_bytes: u64) -> Self {
        let cap = max_record_bytes.saturating_add(SLACK);
        Self { inner, cap, encoded: Vec::new(), decoded: Vec::new(), at: 0 }
    }

    /// Decodes the next block; `false` at the end of the stream.
    fn next_block(&mut self) -> Result<bool> {
        let bad = |what: String| Error::new(ErrorKind::InvalidData, what);
        let mut header = [0; 4];
        let mut filled = 0;
        while let Some(rest) = header.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(bad("the stream ends inside a block's length".to_owned())),
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = u64::from(snappy::block_bytes(header));
        // A block that Snappy could not shrink is a little larger than what it holds.
        if bytes > self.cap.saturating_add(self.cap / 6).saturating_add(32) {
            return Err(bad(format!("a block of {bytes} bytes: expected at most {}", self.cap)));
        }
        self.encoded.clear();
        // Grows as bytes arrive, whatever the length says.
        let read = (&mut self.inner).take(bytes).read_to_end(&mut self.encoded)?;
        if read as u64 != bytes {
            return Err(bad(format!("the stream ends inside a block: expected {bytes} bytes, found {read}")));
        }
        snappy::decode(&self.encoded, self.cap, &mut self.decoded).map_err(bad)?;
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        while self.at == self.decoded.len() {
            if buf.is_empty() || !self.next_block()? {
                return Ok(0);
            }
        }
        let rest = self.decoded.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}
