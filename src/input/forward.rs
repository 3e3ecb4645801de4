//! Reading an open file forwards, with jumps.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use super::ReadAt;
use super::turns::Turn;

/// Bytes that are read and dropped rather than a stream begun anew behind them.
const SKIPPED_BYTES: u64 = 256 << 10;

/// The bytes of a file in a range, mostly from its beginning to its end.
pub(crate) struct Forward {
    file: Arc<dyn ReadAt>,
    /// Where the next byte is.
    at: u64,
    end: u64,
    /// A stream that stands at `at`.
    stream: Option<Box<dyn Read + Send>>,
    /// Whether there is none, as what is read between is elsewhere.
    in_pieces: bool,
    /// Where it is one of several that are read in turn.
    turn: Option<Turn>,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("file", &self.file).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Forward {
    /// The bytes in `range` of `file`. Nothing is read yet.
    pub(crate) fn new(file: Arc<dyn ReadAt>, range: Range<u64>) -> Self {
        Self { file, at: range.start, end: range.end, stream: None, in_pieces: false, turn: None }
    }

    /// The same, read piece by piece.
    #[cfg(feature = "parquet")]
    pub(super) fn in_pieces(self) -> Self {
        Self { in_pieces: true, ..self }
    }

    /// The same, as one of several that are read in turn.
    pub(super) fn in_turn(self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Goes to byte `offset` of the file, from where it reads on.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        if offset == self.at {
            return Ok(());
        }
        let near = offset.checked_sub(self.at).is_some_and(|gap| gap <= SKIPPED_BYTES);
        // What was begun stands at the beginning.
        if near && self.stream.is_none() && self.turn.is_some() {
            self.begin()?;
        }
        match &mut self.stream {
            Some(stream) if near => {
                io::copy(&mut stream.take(offset - self.at), &mut io::sink()).map_err(whole)?;
            }
            _ => self.stream = None,
        }
        self.at = offset;
        Ok(())
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.in_pieces {
            return Ok(());
        }
        self.stream = self.file.open_sequential(self.at..self.end).map_err(whole)?;
        Ok(())
    }

    /// Fills `buf` from byte `offset` of the file on.
    ///
    /// # Errors
    /// The file cannot be read, or ends before.
    pub(crate) fn read_exact_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.seek(offset)?;
        self.read_exact(buf)
    }
}

impl Read for Forward {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stream.is_none() {
            self.begin()?;
        }
        let n = match &mut self.stream {
            Some(stream) => stream.read(buf),
            None => {
                let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
                let most = buf.len().min(left);
                self.file.read_at(self.at, buf.get_mut(..most).unwrap_or_default())
            }
        };
        let n = n.map_err(whole)?;
        // A range that has no end known ends with the file.
        if n == 0 && !buf.is_empty() && self.at < self.end && self.end != u64::MAX {
            return Err(io::Error::other(super::changed(self.end, self.at)));
        }
        self.at += n as u64;
        if let Some(turn) = &mut self.turn {
            turn.passed(n as u64, self.end.saturating_sub(self.at));
        }
        Ok(n)
    }
}

/// A connection that ends early is no damage of the data that are read through it.
fn whole(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            io::Error::other(error)
        }
        _ => error,
    }
}
