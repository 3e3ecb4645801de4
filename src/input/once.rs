//! Streams that can be read once: standard input, pipes, any `Read`.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::{SpooledData, SpooledTempFile};

use super::local::LocalFile;
use super::{Forward, ReadAt};

/// Bytes that are kept in memory; more go to a temporary file.
const MEMORY_BYTES: usize = 16 << 20;

/// A stream. What is read of it to find out what it is, or what its columns are, is kept, so that
/// it is read again when the stream is read.
pub(crate) struct Once(Mutex<State>);

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

struct State {
    kept: SpooledTempFile,
    kept_bytes: u64,
    rest: Rest,
}

/// What is behind the bytes that are kept.
enum Rest {
    /// A pipe, to be opened when it is first read: opening may wait for whoever writes to it.
    Unopened(PathBuf),
    Open(Box<dyn Read + Send>),
    Ended,
    /// Nobody knows any more: the stream was read.
    Taken,
    /// All of it is kept, to be read from any place.
    Whole(Arc<dyn ReadAt>),
}

impl Once {
    /// A stream that is open.
    pub(crate) fn new(stream: Box<dyn Read + Send>) -> Self {
        Self::of(Rest::Open(stream))
    }

    /// The pipe or device `path`.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self::of(Rest::Unopened(path))
    }

    fn of(rest: Rest) -> Self {
        Self(Mutex::new(State { kept: SpooledTempFile::new(MEMORY_BYTES), kept_bytes: 0, rest }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the stream from its beginning, and keeps what is read, so that it can be read again.
    pub(crate) fn sample(self: &Arc<Self>) -> Box<dyn Read + Send> {
        match &self.lock().rest {
            Rest::Whole(file) => Box::new(Forward::new(file.clone(), 0..u64::MAX)),
            _ => Box::new(Sample { of: self.clone(), at: 0 }),
        }
    }

    /// The stream from its beginning, which can then not be read again.
    ///
    /// # Errors
    /// It was read already, or cannot be opened.
    pub(crate) fn take(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut state = self.lock();
        if let Rest::Whole(file) = &state.rest {
            return Ok(Box::new(Forward::new(file.clone(), 0..u64::MAX)));
        }
        state.open()?;
        let rest = std::mem::replace(&mut state.rest, Rest::Taken);
        let kept_bytes = std::mem::take(&mut state.kept_bytes);
        let mut kept = std::mem::replace(&mut state.kept, SpooledTempFile::new(MEMORY_BYTES));
        kept.seek(SeekFrom::Start(0))?;
        let rest: Box<dyn Read + Send> = match rest {
            Rest::Open(stream) => stream,
            _ => Box::new(io::empty()),
        };
        Ok(if kept_bytes == 0 { rest } else { Box::new(kept.take(kept_bytes).chain(rest)) })
    }

    /// Reads all of the stream, into a temporary file if it is large, to be read from any place.
    ///
    /// # Errors
    /// It was read already, cannot be read, or cannot be kept.
    pub(crate) fn whole(&self) -> io::Result<Arc<dyn ReadAt>> {
        let mut state = self.lock();
        if let Rest::Whole(file) = &state.rest {
            return Ok(file.clone());
        }
        let mut buffer = vec![0; 256 << 10];
        while state.read_more(&mut buffer)? > 0 {}
        let kept = std::mem::replace(&mut state.kept, SpooledTempFile::new(MEMORY_BYTES));
        let file: Arc<dyn ReadAt> = match kept.into_inner() {
            SpooledData::InMemory(bytes) => Arc::new(bytes.into_inner()),
            SpooledData::OnDisk(file) => Arc::new(LocalFile::new(file)?),
        };
        state.rest = Rest::Whole(file.clone());
        Ok(file)
    }
}

impl State {
    fn open(&mut self) -> io::Result<()> {
        match &self.rest {
            Rest::Unopened(path) => {
                self.rest = Rest::Open(Box::new(super::open_local(path)?));
                Ok(())
            }
            Rest::Taken => Err(io::Error::other("it was read already, and can be read once")),
            Rest::Open(_) | Rest::Ended | Rest::Whole(_) => Ok(()),
        }
    }

    /// Reads bytes that are not kept yet, and keeps them.
    fn read_more(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.open()?;
        let Rest::Open(stream) = &mut self.rest else { return Ok(0) };
        let n = match stream.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return self.read_more(buf),
            other => other?,
        };
        if n == 0 && !buf.is_empty() {
            self.rest = Rest::Ended;
        }
        let kept = self.kept.seek(SeekFrom::Start(self.kept_bytes));
        let kept = kept.and_then(|_| self.kept.write_all(buf.get(..n).unwrap_or_default()));
        kept.map_err(|error| {
            let what = format!("{error}; it is kept in {} to be read again", std::env::temp_dir().display());
            io::Error::new(error.kind(), what)
        })?;
        self.kept_bytes += n as u64;
        Ok(n)
    }
}

/// A stream that is read to be read again.
struct Sample {
    of: Arc<Once>,
    at: u64,
}

impl Read for Sample {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.of.lock();
        if let Rest::Whole(file) = &state.rest {
            let n = file.read_at(self.at, buf)?;
            self.at += n as u64;
            return Ok(n);
        }
        let n = match state.kept_bytes.checked_sub(self.at).filter(|left| *left > 0) {
            Some(left) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                state.kept.seek(SeekFrom::Start(self.at))?;
                state.kept.read(buf.get_mut(..most).unwrap_or_default())?
            }
            None => state.read_more(buf)?,
        };
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mut reader: impl Read) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    fn once() -> Arc<Once> {
        Arc::new(Once::new(Box::new(io::Cursor::new(b"abcdefgh".to_vec()))))
    }

    #[test]
    fn what_is_sampled_is_read_again() {
        let once = once();
        let mut first = [0; 3];
        once.sample().read_exact(&mut first).unwrap();
        assert_eq!(&first, b"abc");
        let mut other = once.sample();
        let mut more = [0; 5];
        other.read_exact(&mut more).unwrap();
        assert_eq!(&more, b"abcde");
        assert_eq!(text(once.take().unwrap()), "abcdefgh");
        let error = once.take().err().unwrap().to_string();
        assert!(error.contains("can be read once"), "{error}");
        assert!(once.whole().is_err());
        assert!(once.sample().read(&mut more).is_err());
    }

    #[test]
    fn the_whole_is_read_from_any_place_and_as_often_as_one_likes() {
        let once = once();
        once.sample().read_exact(&mut [0; 3]).unwrap();
        let file = once.whole().unwrap();
        let mut bytes = [0; 3];
        assert_eq!(file.read_at(6, &mut bytes).unwrap(), 2);
        assert_eq!(&bytes[..2], b"gh");
        assert_eq!(file.stat().unwrap().bytes, Some(8));
        for _ in 0..2 {
            assert_eq!(text(once.sample()), "abcdefgh");
            assert_eq!(text(once.take().unwrap()), "abcdefgh");
        }
    }

    #[test]
    fn a_large_stream_does_not_stay_in_memory() {
        let bytes: Vec<u8> = (0..MEMORY_BYTES + 5).map(|i| (i % 251) as u8).collect();
        let once = Arc::new(Once::new(Box::new(io::Cursor::new(bytes.clone()))));
        let file = once.whole().unwrap();
        assert!(format!("{file:?}").contains("LocalFile"));
        let mut last = [0; 4];
        assert_eq!(file.read_at(MEMORY_BYTES as u64, &mut last).unwrap(), 4);
        assert_eq!(last, bytes[MEMORY_BYTES..MEMORY_BYTES + 4]);
        let mut all = Vec::new();
        once.take().unwrap().read_to_end(&mut all).unwrap();
        assert!(all == bytes);
    }
}
