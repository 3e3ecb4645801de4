//! An object that is read: from any place, and in order.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::client::HttpErrorKind;
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectMeta};
use tfarrow_store::{ReadAt, Stat};

use crate::announced::{self, Announced, Found};
use crate::bucket::Bucket;
use crate::failure::{Cause, Failure};
use crate::runtime;
use crate::service::pause;
use crate::window::{PART_BYTES, Window};

/// Bytes of the beginning of an object that are fetched when it is looked at.
pub(crate) const HEAD_BYTES: u64 = 64 << 10;
/// Bytes of the end that are fetched when something near it is read: a footer lies there.
const TAIL_BYTES: u64 = 256 << 10;
/// The fewest bytes that are fetched at a time.
const LEAST_BYTES: u64 = 64 << 10;
/// Pieces that were fetched and are kept, the latest ones.
const PIECES: usize = 4;
/// Bytes after which a connection that breaks is one that held.
const PROGRESS_BYTES: u64 = 256 << 10;
/// How long a body may pause.
const SILENCE: Duration = Duration::from_secs(30);

/// What an object is: where it lies, and in which version.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) key: Key,
    pub(crate) stat: Stat,
}

/// The ETag, or else the time of modification, as it stands in [`Stat::version`].
pub(crate) fn version_of(meta: &ObjectMeta) -> Option<String> {
    match &meta.e_tag {
        // Listings have it without the quotes that answers have it in.
        Some(tag) => Some(tag.trim_matches('"').to_owned()),
        None if meta.last_modified.timestamp() != 0 => {
            Some(format!("modified at {}", meta.last_modified.to_rfc3339()))
        }
        None => None,
    }
}

pub(crate) fn stat_of(meta: &ObjectMeta) -> Stat {
    let stat = Stat::file(meta.size);
    match version_of(meta) {
        Some(version) => stat.with_version(version),
        None => stat,
    }
}

impl Version {
    pub(crate) fn bytes(&self) -> u64 {
        self.stat.bytes.unwrap_or(0)
    }

    /// The header that lets a server answer for this version alone. A weak tag is never said to match.
    fn if_match(&self) -> Option<String> {
        let tag = self.stat.version.as_deref()?;
        let is_tag = !tag.starts_with("W/") && !tag.starts_with("modified at ");
        is_tag.then(|| format!("\"{tag}\""))
    }

    /// Refuses an answer that is of another version.
    fn check(&self, meta: &ObjectMeta) -> Result<(), Failure> {
        let changed =
            |expected: String, found: String| Err(Failure::once(Cause::Changed { expected, found }));
        if meta.size != self.bytes() {
            return changed(format!("{} bytes", self.bytes()), meta.size.to_string());
        }
        match (self.stat.version.as_deref(), version_of(meta)) {
            (Some(expected), Some(found)) if expected != found => {
                changed(format!("version {expected}"), found)
            }
            _ => Ok(()),
        }
    }

    /// Gives the bytes in `range` to `give` as they come, until it wants no more. Where a connection
    /// breaks it goes on at the next byte.
    ///
    /// # Errors
    /// They cannot be read, or the object is of another version.
    pub(crate) async fn stream(
        &self,
        range: Range<u64>,
        mut give: impl FnMut(Bytes) -> bool + Send,
    ) -> Result<(), Failure> {
        let client = self.bucket.client().map_err(|what| Failure::once(Cause::Answer(what)))?;
        let begun = Instant::now();
        let (mut at, mut breaks, mut broke_at) = (range.start, 0, range.start);
        while at < range.end {
            let options = GetOptions {
                range: Some(GetRange::Bounded(at..range.end)),
                if_match: self.if_match(),
                ..GetOptions::default()
            };
            let answer = match client.store.get_opts(&self.key, options).await {
                Ok(answer) => answer,
                Err(error) => return Err(self.refused(Failure::of(error))),
            };
            self.check(&answer.meta)?;
            let mut body = answer.into_stream();
            let cause = loop {
                match tokio::time::timeout(SILENCE, body.next()).await {
                    Err(_) => break Cause::Silence(SILENCE),
                    Ok(Some(Err(error))) => break Failure::of(error).cause,
                    Ok(None) if at >= range.end => return Ok(()),
                    Ok(None) => {
                        let what = format!("{} bytes are missing", range.end - at);
                        break Cause::Connection(HttpErrorKind::Interrupted, what);
                    }
                    Ok(Some(Ok(mut bytes))) => {
                        let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
                        bytes.truncate(left);
                        at += bytes.len() as u64;
                        // A connection that gives a few bytes and breaks is no better than none.
                        if at - broke_at >= PROGRESS_BYTES {
                            breaks = 0;
                        }
                        if !give(bytes) || at >= range.end {
                            return Ok(());
                        }
                    }
                }
            };
            breaks += 1;
            broke_at = at;
            if breaks >= client.tries {
                return Err(Failure { cause, tries: breaks, elapsed: begun.elapsed() });
            }
            tokio::time::sleep(pause(breaks)).await;
        }
        Ok(())
    }

    /// What is meant where a version was asked for that is no more.
    fn refused(&self, failure: Failure) -> Failure {
        match failure.status() {
            Some(412) => Failure::once(Cause::Changed {
                expected: format!("version {}", self.stat.version.as_deref().unwrap_or_default()),
                found: "another".to_owned(),
            }),
            // It became shorter.
            Some(416) => Failure::once(Cause::Changed {
                expected: format!("{} bytes", self.bytes()),
                found: "fewer".to_owned(),
            }),
            _ => failure,
        }
    }

    pub(crate) fn error(&self, range: &Range<u64>, failure: Failure) -> io::Error {
        self.bucket.error(&format!("bytes {} to {}", range.start, range.end), failure)
    }

    /// All bytes in `range`.
    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        let mut all = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        self.stream(range, |bytes| {
            all.extend_from_slice(&bytes);
            true
        })
        .await?;
        Ok(all.into())
    }
}

/// An open object.
pub(crate) struct Object {
    version: Arc<Version>,
    pieces: Mutex<Pieces>,
    /// Keeps how it begins, for when it is opened again.
    keep_head: KeepHead,
}

/// What is given the beginning of an object.
pub(crate) type KeepHead = Box<dyn Fn(Bytes) + Send + Sync>;

/// What was fetched, and what is on its way.
#[derive(Default)]
struct Pieces {
    kept: VecDeque<(u64, Bytes)>,
    announced: Announced,
    /// What is read in order later, and was begun.
    begun: Option<Window>,
    /// Where the last piece ended, and how many bytes it had.
    last: (u64, u64),
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("key", &self.version.key.as_ref()).finish_non_exhaustive()
    }
}

impl Pieces {
    /// Copies what there is from `offset` on.
    fn copy(&self, offset: u64, buf: &mut [u8]) -> Option<usize> {
        self.kept.iter().find_map(|(start, bytes)| announced::copy(*start, bytes, offset, buf))
    }

    /// The bytes of `range` in order, of which the first ones may be there.
    fn window(&self, version: &Arc<Version>, range: Range<u64>) -> Window {
        let first = self
            .kept
            .iter()
            .find(|(start, bytes)| *start <= range.start && range.start - start < bytes.len() as u64);
        match first {
            Some((start, bytes)) => {
                let skipped = usize::try_from(range.start - start).unwrap_or(usize::MAX);
                Window::after(version.clone(), range, bytes.slice(skipped.min(bytes.len())..))
            }
            None => Window::new(version.clone(), range),
        }
    }

    fn keep(&mut self, start: u64, bytes: Bytes) {
        self.last = (start + bytes.len() as u64, bytes.len() as u64);
        self.kept.push_back((start, bytes));
        if self.kept.len() > PIECES {
            self.kept.pop_front();
        }
    }
}

impl Object {
    pub(crate) fn new(version: Version, head: Option<Bytes>, keep_head: KeepHead) -> Self {
        // Nothing was read that could be read on from.
        let mut pieces = Pieces { last: (u64::MAX, 0), ..Pieces::default() };
        if let Some(head) = head {
            pieces.kept.push_back((0, head));
        }
        Self { version: Arc::new(version), pieces: Mutex::new(pieces), keep_head }
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to fetch where `wanted` bytes from `offset` on are.
    fn range_for(&self, offset: u64, wanted: u64) -> Range<u64> {
        let end = self.version.bytes();
        let tail = end.saturating_sub(TAIL_BYTES);
        if offset >= tail {
            return tail..end;
        }
        let (last_end, last_bytes) = self.lock().last;
        // Whoever reads on reads more.
        let least =
            if last_end == offset { last_bytes.saturating_mul(2).min(PART_BYTES) } else { LEAST_BYTES };
        offset..end.min(offset.saturating_add(wanted.max(least)))
    }
}

impl ReadAt for Object {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.version.stat.clone())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let end = self.version.bytes();
        if offset >= end || buf.is_empty() {
            return Ok(0);
        }
        let wanted = (buf.len() as u64).min(end - offset);
        let found = {
            let mut pieces = self.lock();
            if let Some(n) = pieces.copy(offset, buf) {
                return Ok(n);
            }
            pieces.announced.find(&self.version, offset, buf)?
        };
        match found {
            Found::Nowhere => {}
            Found::Copied(n) => return Ok(n),
            Found::Coming(at, mut part) => {
                let range = part.range.clone();
                let bytes = part.all().map_err(|failure| self.version.error(&range, failure))?;
                drop(part);
                let n = announced::copy(range.start, &bytes, offset, buf).unwrap_or(0);
                self.lock().announced.keep(&self.version, at, range.start, bytes);
                return Ok(n);
            }
        }
        if wanted > PART_BYTES {
            let mut window = Window::new(self.version.clone(), offset..offset + wanted);
            let free = buf.get_mut(..usize::try_from(wanted).unwrap_or(usize::MAX)).unwrap_or_default();
            window.read_exact(free)?;
            return Ok(free.len());
        }
        let range = self.range_for(offset, wanted);
        let (version, fetched) = (self.version.clone(), range.clone());
        let bytes = runtime::run(async move { version.fetch(fetched).await })?;
        let bytes = bytes.map_err(|failure| self.version.error(&range, failure))?;
        if range.start == 0 && range.end <= TAIL_BYTES {
            (self.keep_head)(bytes.clone());
        }
        let mut pieces = self.lock();
        pieces.keep(range.start, bytes);
        Ok(pieces.copy(offset, buf).unwrap_or(0))
    }

    fn open_sequential(&self, range: Range<u64>) -> io::Result<Option<Box<dyn Read + Send>>> {
        let range = range.start..range.end.min(self.version.bytes());
        let mut pieces = self.lock();
        let begun = pieces.begun.take().and_then(|window| window.up_to(range.start, range.end));
        Ok(Some(Box::new(begun.unwrap_or_else(|| pieces.window(&self.version, range)))))
    }

    fn read_ahead(&self, range: Range<u64>, bytes: u64) {
        let range = range.start..range.end.min(self.version.bytes());
        let mut pieces = self.lock();
        let begun = pieces.begun.take().and_then(|window| window.up_to(range.start, range.end));
        let mut window = begun.unwrap_or_else(|| pieces.window(&self.version, range));
        // What cannot be begun now is when it is read, which says why.
        pieces.begun = window.begin(bytes).is_ok().then_some(window);
    }

    fn will_read(&self, ranges: &[Range<u64>]) {
        let end = self.version.bytes();
        let ranges: Vec<_> = ranges.iter().map(|range| range.start..range.end.min(end)).collect();
        let mut pieces = self.lock();
        // What is there need not be fetched.
        let is_kept = |range: &Range<u64>| {
            pieces
                .kept
                .iter()
                .any(|(start, bytes)| *start <= range.start && range.end <= start + bytes.len() as u64)
        };
        let missing: Vec<_> = ranges.into_iter().filter(|range| !is_kept(range)).collect();
        pieces.announced = Announced::new(&missing);
        pieces.announced.ask(&self.version);
    }
}
