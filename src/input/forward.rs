//! Reading an open file forwards, with jumps.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;

use super::ReadAt;
use super::kept::Beginning;
use super::turns::Turn;

/// Bytes that are read and dropped rather than a stream begun anew behind them.
const SKIPPED_BYTES: u64 = 256 << 10;
/// Bytes behind a beginning that is kept that are fetched while that is read.
const AHEAD_BYTES: u64 = 16 << 20;

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
    /// The file's first bytes, where they are kept.
    beginning: Option<Beginning>,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward").field("file", &self.file).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Forward {
    /// The bytes in `range` of `file`. Nothing is read yet.
    pub(crate) fn new(file: Arc<dyn ReadAt>, range: Range<u64>) -> Self {
        Self {
            file,
            at: range.start,
            end: range.end,
            stream: None,
            in_pieces: false,
            turn: None,
            beginning: None,
        }
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

    /// The same, of whose file the first bytes are kept.
    pub(super) fn behind(self, beginning: Beginning) -> Self {
        Self { beginning: Some(beginning), ..self }
    }

    /// As [`behind`](Self::behind); what is not kept is begun.
    pub(super) fn behind_all_of(self, beginning: Beginning) -> Self {
        let end = beginning.bytes();
        if self.at >= end {
            return self;
        }
        if end < self.end {
            self.file.read_ahead(end..self.end, AHEAD_BYTES);
        }
        self.behind(beginning)
    }

    /// Reads what is kept; `None` where nothing is, or it cannot be read.
    pub(super) fn read_kept(&mut self, buf: &mut [u8]) -> Option<usize> {
        let kept = self.beginning.as_ref()?;
        if self.at < kept.bytes().min(self.end) && !buf.is_empty() {
            let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
            let read = kept.read_at(self.at, buf.get_mut(..most).unwrap_or_default());
            if let Some(n) = read.ok().filter(|n| *n > 0) {
                return Some(n);
            }
        }
        if !buf.is_empty() {
            self.beginning = None;
        }
        None
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
        if near && self.stream.is_none() && self.turn.is_some() && self.beginning.is_none() {
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

    /// Reads from the file itself.
    fn fetch(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stream.is_none() {
            self.begin()?;
        }
        match &mut self.stream {
            Some(stream) => stream.read(buf),
            None => {
                let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
                let most = buf.len().min(left);
                self.file.read_at(self.at, buf.get_mut(..most).unwrap_or_default())
            }
        }
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
        let n = match self.read_kept(buf) {
            Some(n) => n,
            None => self.fetch(buf).map_err(whole)?,
        };
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
