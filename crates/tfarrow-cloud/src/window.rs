//! Reading in order through a window of requests that are under way.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};

use bytes::{Buf, Bytes};
use tokio::task::JoinHandle;

use crate::failure::{Cause, Failure};
use crate::in_flight::InFlight;
use crate::object::Version;
use crate::runtime;

/// Bytes of a request, but for the first ones.
pub(crate) const PART_BYTES: u64 = 4 << 20;
/// Bytes of the first requests: what is looked at only begins to be read.
const FIRST_BYTES: u64 = 1 << 20;
/// Requests of one window that are under way: as few at first, so many at last.
const FEWEST: usize = 2;
const MOST: usize = 16;
/// Bytes that are under way at a time, beyond one request of each window; more where whoever reads
/// them waits for them, so that they are read as soon as they are there.
const IN_FLIGHT_BYTES: u64 = 28 << 20;
const AWAITED_BYTES: u64 = 48 << 20;

/// Whether the last request that was read to its end was waited for.
static IS_AWAITED: AtomicBool = AtomicBool::new(false);

/// A request that is under way.
pub(crate) struct Part {
    pub(crate) range: Range<u64>,
    chunks: Receiver<Result<Bytes, Failure>>,
    task: JoinHandle<()>,
    /// Whether somebody waited for its bytes.
    is_awaited: bool,
    /// Who began it: a child of that process gets no answer.
    process: u32,
    _in_flight: InFlight,
}

impl Part {
    /// Begins to fetch `range`; unless `always`, none is begun when too much is under way.
    ///
    /// # Errors
    /// There is no thread to do it.
    pub(crate) fn begin(version: &Arc<Version>, range: Range<u64>, always: bool) -> io::Result<Option<Self>> {
        let bytes = range.end - range.start;
        let most = if IS_AWAITED.load(Ordering::Relaxed) { AWAITED_BYTES } else { IN_FLIGHT_BYTES };
        let in_flight = if always { Some(InFlight::always(bytes)) } else { InFlight::up_to(most, bytes) };
        let Some(in_flight) = in_flight else { return Ok(None) };
        let (give, chunks) = mpsc::channel();
        let (version, wanted) = (version.clone(), range.clone());
        let task = runtime::spawn(async move {
            let fetched = version.stream(wanted, |bytes| give.send(Ok(bytes)).is_ok()).await;
            if let Err(failure) = fetched {
                // Whoever gave it up needs no answer.
                drop(give.send(Err(failure)));
            }
        })?;
        let process = std::process::id();
        Ok(Some(Self { range, chunks, task, is_awaited: false, process, _in_flight: in_flight }))
    }

    /// Whether this process began it.
    pub(crate) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// The next bytes; none at the end.
    fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = match self.chunks.try_recv() {
            Err(TryRecvError::Empty) => {
                self.is_awaited = true;
                self.chunks.recv().ok()
            }
            chunk => chunk.ok(),
        };
        chunk.transpose()
    }

    /// All bytes.
    ///
    /// # Errors
    /// They cannot be fetched.
    pub(crate) fn all(&mut self) -> Result<Bytes, Failure> {
        let wanted = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let mut all = Vec::with_capacity(wanted);
        while let Some(bytes) = self.next()? {
            all.extend_from_slice(&bytes);
        }
        match all.len() == wanted {
            true => Ok(all.into()),
            false => Err(ended()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_ours() {
            self.task.abort();
        }
    }
}

fn ended() -> Failure {
    Failure::once(Cause::Answer("the connection's thread ended".to_owned()))
}

/// Bytes of an object in order, fetched before they are read.
pub(crate) struct Window {
    version: Arc<Version>,
    /// The byte that is read next, and the first that is not read.
    at: u64,
    end: u64,
    /// The first byte that is not asked for.
    asked: u64,
    chunk: Bytes,
    parts: VecDeque<Part>,
    /// How many requests may be under way.
    wanted: usize,
    /// How many have ended.
    done: usize,
}

impl Window {
    pub(crate) fn new(version: Arc<Version>, range: Range<u64>) -> Self {
        Self::after(version, range, Bytes::new())
    }

    /// The bytes in `range`, of which the first ones are known.
    pub(crate) fn after(version: Arc<Version>, range: Range<u64>, mut first: Bytes) -> Self {
        let most = range.end.saturating_sub(range.start);
        first.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        let asked = range.start + first.len() as u64;
        Self {
            version,
            at: range.start,
            end: range.end,
            asked,
            chunk: first,
            parts: VecDeque::new(),
            wanted: FEWEST,
            done: 0,
        }
    }

    /// Begins as many requests as may be under way.
    fn ask(&mut self) -> io::Result<()> {
        while self.parts.len() < self.wanted && self.asked < self.end {
            let bytes = if self.done + self.parts.len() < FEWEST { FIRST_BYTES } else { PART_BYTES };
            if !self.ask_for(bytes, self.parts.is_empty())? {
                break;
            }
        }
        Ok(())
    }

    /// Begins a request for the next `bytes`, if it may; says whether it did.
    fn ask_for(&mut self, bytes: u64, always: bool) -> io::Result<bool> {
        let next = self.end.min(self.asked.saturating_add(bytes));
        let part = Part::begin(&self.version, self.asked..next, always)?;
        let begun = part.is_some();
        if begun {
            self.parts.extend(part);
            self.asked = next;
        }
        Ok(begun)
    }

    /// Begins to fetch the first `bytes` of what nobody reads yet, or a few more, where other windows
    /// leave room for it. Who reads it then reads on.
    ///
    /// # Errors
    /// There is no thread to do it.
    pub(crate) fn begin(&mut self, bytes: u64) -> io::Result<()> {
        self.wanted = MOST;
        let enough = self.at.saturating_add(bytes).min(self.end);
        while self.parts.len() < MOST && self.asked < enough && self.ask_for(PART_BYTES, false)? {}
        Ok(())
    }

    /// The same, to be read up to `end`, if it stands at `start`.
    pub(crate) fn up_to(self, start: u64, end: u64) -> Option<Self> {
        (self.at == start).then_some(Self { end, ..self })
    }

    /// What was begun in another process is begun anew.
    fn restart(&mut self) {
        self.parts.clear();
        self.asked = self.at + self.chunk.len() as u64;
    }
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.at >= self.end {
            return Ok(0);
        }
        if self.parts.front().is_some_and(|part| !part.is_ours()) {
            self.restart();
        }
        while self.chunk.is_empty() {
            self.ask()?;
            let Some(part) = self.parts.front_mut() else { return Err(io::Error::other("nothing is read")) };
            let range = part.range.clone();
            match part.next() {
                Ok(Some(bytes)) => self.chunk = bytes,
                Ok(None) if self.at >= range.end => {
                    IS_AWAITED.store(part.is_awaited, Ordering::Relaxed);
                    self.parts.pop_front();
                    self.done += 1;
                    self.wanted = (self.wanted * 2).min(MOST);
                }
                Ok(None) => return Err(self.version.error(&range, ended())),
                Err(failure) => return Err(self.version.error(&range, failure)),
            }
        }
        let n = self.chunk.len().min(buf.len());
        self.chunk.copy_to_slice(buf.get_mut(..n).unwrap_or_default());
        self.at += n as u64;
        Ok(n)
    }
}
