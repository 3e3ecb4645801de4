//! What was read of files of stores that answer slowly to find out what they hold: kept until they are read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::local::read_at;
use super::{Forward, Stat};

/// Bytes that are kept in memory; more go to a temporary file.
const MEMORY_BYTES: usize = 4 << 20;
/// Bytes that are kept of all files that are looked at together. What is behind them is fetched twice.
const MOST_BYTES: u64 = 256 << 20;

/// Bytes of several files, one behind the other. They are read from any place, also by a child of the
/// process that wrote them.
pub(crate) struct Spool(Mutex<Bytes>);

struct Bytes {
    at: Where,
    len: u64,
    /// Whether no more are kept.
    is_full: bool,
}

enum Where {
    Memory(Vec<u8>),
    Disk(File),
}

impl Spool {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Bytes { at: Where::Memory(Vec::new()), len: 0, is_full: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> u64 {
        self.lock().len
    }

    /// Adds `bytes`, if they are to stand at `at` and there is room for them; says whether it did.
    fn append(&self, at: u64, bytes: &[u8]) -> bool {
        let mut spool = self.lock();
        if spool.is_full || spool.len != at {
            return false;
        }
        let len = spool.len.saturating_add(bytes.len() as u64);
        // Where there is no room for a temporary file they are fetched again.
        let is_kept = len <= MOST_BYTES && spool.at.append(bytes).is_ok();
        match is_kept {
            true => spool.len = len,
            false => spool.is_full = true,
        }
        is_kept
    }

    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        match &self.lock().at {
            Where::Memory(bytes) => {
                let rest = usize::try_from(at).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
                let n = rest.len().min(buf.len());
                buf.get_mut(..n).unwrap_or_default().copy_from_slice(rest.get(..n).unwrap_or_default());
                Ok(n)
            }
            Where::Disk(file) => read_at(file, at, buf),
        }
    }
}

impl Where {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Where::Memory(memory) = self {
            if memory.len() + bytes.len() <= MEMORY_BYTES {
                memory.extend_from_slice(bytes);
                return Ok(());
            }
            let mut file = tempfile::tempfile()?;
            file.write_all(memory)?;
            *self = Where::Disk(file);
        }
        match self {
            Where::Disk(file) => file.write_all(bytes),
            Where::Memory(_) => Ok(()),
        }
    }
}

/// The beginning of a file, if it is kept; every clone of an input has the same. It is given away when the
/// file is read.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Beginning>>);

/// The first bytes of a file, and of which version of it they are.
#[derive(Clone)]
pub(super) struct Beginning {
    spool: Arc<Spool>,
    at: u64,
    bytes: u64,
    of: Stat,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("bytes", &self.bytes()).finish()
    }
}

impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginning").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Option<Beginning>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().as_ref().map_or(0, |beginning| beginning.bytes)
    }

    /// What is kept of the file in the version `of`.
    pub(super) fn take(&self, of: &Stat) -> Option<Beginning> {
        self.lock().take().filter(|beginning| beginning.of == *of)
    }

    /// `forward`, a file of which nothing was read yet, in the version `of`, that keeps in `spool` what is read. Where
    /// nothing tells versions apart nothing is kept: another may be there when it is read.
    pub(super) fn keeping(
        self: &Arc<Self>,
        forward: Forward,
        of: &Stat,
        spool: &Arc<Spool>,
    ) -> Box<dyn Read + Send> {
        if of.version.is_none() {
            return Box::new(forward);
        }
        let mut kept = self.lock();
        let forward = match &*kept {
            // It is looked at again.
            Some(beginning) if beginning.of == *of => forward.behind(beginning.clone()),
            _ => {
                let spool = spool.clone();
                *kept = Some(Beginning { at: spool.len(), spool, bytes: 0, of: of.clone() });
                forward
            }
        };
        Box::new(Keeping { forward, at: 0, to: Some(self.clone()) })
    }

    /// Adds what was read from byte `at` on; says whether all of it is kept.
    fn append(&self, at: u64, bytes: &[u8]) -> bool {
        let mut kept = self.lock();
        let Some(beginning) = &mut *kept else { return false };
        let known = usize::try_from(beginning.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let Some(bytes) = bytes.get(known..).filter(|bytes| !bytes.is_empty()) else { return true };
        let is_kept = beginning.spool.append(beginning.at + beginning.bytes, bytes);
        if is_kept {
            beginning.bytes += bytes.len() as u64;
        }
        is_kept
    }
}

impl Beginning {
    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads from byte `offset` of the file on, which is one of these.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let most = buf.len().min(left);
        self.spool.read_at(self.at + offset, buf.get_mut(..most).unwrap_or_default())
    }
}

/// Reads a file from its beginning.
struct Keeping {
    forward: Forward,
    at: u64,
    /// Where what is read is kept, as long as there is room.
    to: Option<Arc<Kept>>,
}

impl Read for Keeping {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.forward.read(buf)?;
        if let Some(kept) = &self.to
            && !kept.append(self.at, buf.get(..n).unwrap_or_default())
        {
            self.to = None;
        }
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::path::Path;

    use super::*;
    use crate::input::{Entry, Input, Place, ReadAt, Store, Turns};

    /// A file of a store that answers slowly, and what was read of it or begun.
    #[derive(Debug, Clone)]
    struct Slow {
        bytes: Arc<Vec<u8>>,
        version: Option<&'static str>,
        read: Arc<Mutex<Vec<Range<u64>>>>,
        begun: Arc<Mutex<Vec<Range<u64>>>>,
    }

    impl Slow {
        fn new(bytes: usize) -> Self {
            let bytes: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
            let (read, begun) = Default::default();
            Self { bytes: Arc::new(bytes), version: Some("1"), read, begun }
        }

        fn input(&self) -> Input {
            Place::new(Arc::new(self.clone()), "file".into(), "slow://").input(None)
        }

        fn fetched(&self) -> u64 {
            self.read.lock().unwrap().drain(..).map(|range| range.end - range.start).sum()
        }
    }

    impl Store for Slow {
        fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
            Ok(Vec::new())
        }

        fn stat(&self, _: &Path) -> io::Result<Stat> {
            let stat = Stat::file(self.bytes.len() as u64);
            Ok(self.version.map_or(stat.clone(), |version| stat.with_version(version)))
        }

        fn open(&self, _: &Path, _: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
            Ok(Arc::new(self.clone()))
        }

        fn openings(&self) -> usize {
            2
        }
    }

    impl ReadAt for Slow {
        fn stat(&self) -> io::Result<Stat> {
            Store::stat(self, Path::new("file"))
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            let n = (&self.bytes[offset as usize..]).read(buf)?;
            self.read.lock().unwrap().push(offset..offset + n as u64);
            Ok(n)
        }

        fn read_ahead(&self, range: Range<u64>, _: u64) {
            self.begun.lock().unwrap().push(range);
        }
    }

    /// Looks at the first `bytes` of `input`.
    fn sample(input: &Input, turns: &Arc<Turns>, bytes: u64) {
        let (stream, _) = input.in_turn(Some(turns)).open_to_sample().unwrap();
        assert_eq!(io::copy(&mut stream.take(bytes), &mut io::sink()).unwrap(), bytes);
    }

    fn turns() -> Arc<Turns> {
        Arc::new(Turns::new(std::iter::empty()).keeping(None))
    }

    fn all(input: &Input) -> Vec<u8> {
        let mut all = Vec::new();
        input.open().unwrap().0.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn what_was_looked_at_is_fetched_once_and_what_is_behind_it_is_begun() {
        for (bytes, sampled) in [(1000, 300), (1000, 1000), (3 * MEMORY_BYTES, 2 * MEMORY_BYTES as u64 + 7)] {
            let slow = Slow::new(bytes);
            let input = slow.input();
            sample(&input, &turns(), sampled);
            assert_eq!(slow.fetched(), sampled);
            assert!(all(&input.clone()) == *slow.bytes);
            assert_eq!(slow.fetched(), bytes as u64 - sampled);
            let begun = std::mem::take(&mut *slow.begun.lock().unwrap());
            let behind = sampled..bytes as u64;
            assert_eq!(begun, Vec::from_iter((!behind.is_empty()).then_some(behind)));
            // It is given away when it is read.
            assert!(all(&input) == *slow.bytes);
            assert_eq!(slow.fetched(), bytes as u64);
        }
    }

    #[test]
    fn several_files_are_kept() {
        let (turns, files) = (turns(), [1000, 2000].map(Slow::new));
        let inputs = files.each_ref().map(Slow::input);
        for _ in 0..2 {
            sample(&inputs[0], &turns, 1000);
            sample(&inputs[1], &turns, 500);
        }
        assert_eq!(files.each_ref().map(Slow::fetched), [1000, 500]);
        assert!(all(&inputs[0]) == *files[0].bytes && all(&inputs[1]) == *files[1].bytes);
        assert_eq!(files.each_ref().map(Slow::fetched), [0, 1500]);
    }

    #[test]
    fn more_is_kept_where_it_is_looked_at_again() {
        let slow = Slow::new(1000);
        let input = slow.input();
        for sampled in [100, 50, 600] {
            sample(&input, &turns(), sampled);
        }
        assert_eq!(slow.fetched(), 600);
        assert!(all(&input) == *slow.bytes);
        assert_eq!(slow.fetched(), 400);
    }

    #[test]
    fn what_is_expected_to_be_read_is_begun_at_once() {
        let slow = Slow::new(1000);
        let input = slow.input();
        let expecting =
            |bytes| Arc::new(Turns::new(std::iter::empty()).keeping(Some(Box::new(move |_| bytes))));
        sample(&input, &expecting(2000), 10);
        assert!(slow.begun.lock().unwrap().is_empty(), "the first bytes are all of it");
        let slow = Slow::new(100_000);
        let input = slow.input();
        let twice = expecting(50_000);
        sample(&input, &twice, 20_000);
        sample(&input, &twice, 20_000);
        sample(&input, &expecting(60_000), 20_000);
        assert_eq!(*slow.begun.lock().unwrap(), [0..100_000, 20_000..100_000]);
    }

    #[test]
    fn from_within_and_over_the_end_of_what_is_kept() {
        let slow = Slow::new(1000);
        let mut buffer = vec![0; 400];
        for (offset, fetched) in [(100, 200), (299, 399), (300, 400), (600, 400)] {
            let input = slow.input();
            sample(&input, &turns(), 300);
            slow.fetched();
            let mut forward = input.opened(None).unwrap().forward(0..1000);
            forward.read_exact_at(offset, &mut buffer).unwrap();
            assert_eq!(buffer, &slow.bytes[offset as usize..offset as usize + 400]);
            assert_eq!(slow.fetched(), fetched, "from {offset}");
        }
    }

    #[test]
    fn another_version_is_not_what_was_looked_at() {
        let slow = Slow::new(1000);
        let input = slow.input();
        sample(&input, &turns(), 300);
        let mut kept = input.opened(None).unwrap();
        kept.stat = kept.stat.with_version("2");
        assert!(kept.forward(0..1000).read_kept(&mut [0; 8]).is_none());
        let slow = Slow { version: None, ..Slow::new(1000) };
        let input = slow.input();
        sample(&input, &turns(), 300);
        assert!(all(&input) == *slow.bytes);
        assert_eq!(slow.fetched(), 1300);
    }

    #[test]
    fn what_there_is_no_room_for_is_fetched_again() {
        let spool = Spool::new();
        assert!(spool.append(0, &[1, 2]) && !spool.append(3, &[9]) && spool.append(2, &[3]));
        spool.lock().len = MOST_BYTES - 1;
        assert!(!spool.append(MOST_BYTES - 1, &[1, 2]));
        assert!(!spool.append(MOST_BYTES - 1, &[1]), "it is full");
        let mut bytes = [0; 8];
        assert_eq!(spool.read_at(0, &mut bytes).unwrap(), 3);
        assert_eq!(bytes[..3], [1, 2, 3]);
    }
}
