//! Files of stores that answer slowly, read in turn: the next ones are begun while one is read.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kept::Spool;
use super::place::{Input, Opened};

/// Bytes that are fetched of files that are not read yet, at most. Whoever read less may want little:
/// then so many.
const AHEAD_BYTES: u64 = 48 << 20;
/// Files that are begun before they are read, at most.
const AHEAD_FILES: usize = 48;
/// After so many others, what was passed by is no longer waited for: others may be read at a time.
const PASSED_BY: usize = 16;
/// Bytes that are read before it is looked at again what can be begun.
const STEP_BYTES: u64 = 256 << 10;

/// A file, and which of its bytes are read in order.
pub(crate) type Stretch = (Input, Range<u64>);

/// About how many bytes are read of a file that begins so.
pub(crate) type Expect = Box<dyn FnOnce(&[u8]) -> u64 + Send>;

/// What will be read, in about this order, by one or by several who take turns. What they open of it
/// as [an input in turn](Input::in_turn) is begun before. Given up when it is dropped.
pub(crate) struct Turns {
    state: Mutex<State>,
    /// Where what is read is kept.
    spool: Option<Arc<Spool>>,
    /// Asked when the first file is opened.
    expect: Mutex<Option<Expect>>,
}

struct State {
    upcoming: Box<dyn Iterator<Item = Stretch> + Send>,
    /// What comes next, in order.
    next: VecDeque<Next>,
    /// Bytes of what is being read that are still to be read.
    left: u64,
    /// Bytes that were read, and those of them since it was last looked at what can be begun.
    read: u64,
    since: u64,
}

struct Next {
    input: Input,
    range: Range<u64>,
    begun: Begun,
    /// How often what comes behind it was opened before it.
    passed: usize,
}

enum Begun {
    Not,
    File(Opened),
    /// What comes behind it is read already, or it cannot be opened: whoever reads it is told.
    Never,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl Turns {
    /// Those of `stretches`, which are asked for as they are needed.
    pub(crate) fn new(stretches: impl Iterator<Item = Stretch> + Send + 'static) -> Self {
        let upcoming = Box::new(stretches);
        let state = State { upcoming, next: VecDeque::new(), left: 0, read: 0, since: 0 };
        Self { state: Mutex::new(state), spool: None, expect: Mutex::default() }
    }

    /// The same, of files that are looked at and read later: what is read of them is kept for that.
    pub(crate) fn keeping(self, expect: Option<Expect>) -> Self {
        Self { spool: Some(Spool::new()), expect: Mutex::new(expect), ..self }
    }

    /// The file that is opened first is `file`, of which `kept` bytes are there: what is expected to be read of it
    /// is begun at once.
    pub(super) fn begin_first(&self, file: &Opened, kept: u64) {
        const HEAD_BYTES: usize = 16 << 10;
        let expect = self.expect.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(expect) = expect else { return };
        let mut head = vec![0; HEAD_BYTES];
        // Who recognised it had these bytes. Where they cannot be read, whoever reads them is told.
        let Ok(n) = file.file.read_at(0, &mut head) else { return };
        let bytes = expect(head.get(..n).unwrap_or_default()).min(file.bytes());
        if bytes > kept.max(n as u64) {
            file.file.read_ahead(kept..file.bytes(), (bytes - kept).min(AHEAD_BYTES));
        }
    }

    /// Where what is read is kept.
    pub(super) fn spool(&self) -> Option<&Arc<Spool>> {
        self.spool.as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever opened `file` reads it from `start` on: if it is one of these, what was begun of it, and
    /// a turn, which is told of what is read.
    pub(super) fn take(
        self: &Arc<Self>,
        file: &Opened,
        range: &Range<u64>,
    ) -> Option<(Option<Opened>, Turn)> {
        let mut state = self.lock();
        let taken = state.take(file, range.start)?;
        let begun = match taken.begun {
            Begun::File(begun) if begun.stat == file.stat => Some(begun),
            _ => None,
        };
        let left = range.end.saturating_sub(range.start);
        state.left = state.left.saturating_add(left);
        Some((begun, Turn { of: self.clone(), left }))
    }
}

impl State {
    /// Takes out what is read of `file` from `start` on, if it is near.
    fn take(&mut self, file: &Opened, start: u64) -> Option<Next> {
        let is_it = |next: &Next| next.range.start == start && next.input.name() == file.name;
        let mut at = self.next.iter().position(is_it);
        for _ in 0..AHEAD_FILES {
            if at.is_some() || !self.pull() {
                break;
            }
            at = self.next.back().is_some_and(is_it).then(|| self.next.len() - 1);
        }
        let taken = at.and_then(|at| self.next.remove(at));
        // What is passed by is left out, or opened soon.
        for next in self.next.iter_mut().take(at.unwrap_or(0)) {
            next.passed += 1;
            if matches!(next.begun, Begun::Not) || next.passed >= PASSED_BY {
                next.begun = Begun::Never;
            }
        }
        while self.next.len() > 2 * AHEAD_FILES {
            self.next.pop_front();
        }
        taken
    }

    /// Looks at what comes behind all that is known; `false` if nothing does.
    fn pull(&mut self) -> bool {
        let Some((input, range)) = self.upcoming.next() else { return false };
        self.next.push_back(Next { input, range, begun: Begun::Not, passed: 0 });
        true
    }

    /// Begins what is read soon: as many bytes as were read before, so that little is fetched for whoever
    /// reads little.
    fn begin(&mut self) {
        self.since = 0;
        let most = self.read.min(AHEAD_BYTES);
        let (mut ahead, mut files, mut at) = (self.left, 0, 0);
        while ahead < most && files < AHEAD_FILES && (at < self.next.len() || self.pull()) {
            let Some(next) = self.next.get_mut(at) else { break };
            at += 1;
            if matches!(next.begun, Begun::Not) {
                next.begun = next.input.opened_if_known().map_or(Begun::Never, Begun::File);
            }
            if let Begun::File(begun) = &next.begun {
                // What is kept is there already.
                let start = next.range.start.max(next.input.kept_bytes()).min(next.range.end);
                if start < next.range.end {
                    begun.file.read_ahead(start..next.range.end, most - ahead);
                }
                ahead = ahead.saturating_add(next.range.end.saturating_sub(start));
                files += 1;
            }
        }
    }
}

/// A turn at reading.
pub(super) struct Turn {
    of: Arc<Turns>,
    /// Bytes that are still to be read.
    left: u64,
}

impl Turn {
    /// So many bytes were read, and so many are left.
    pub(super) fn passed(&mut self, bytes: u64, left: u64) {
        let mut state = self.of.lock();
        state.left = state.left.saturating_sub(self.left).saturating_add(left);
        self.left = left;
        state.read = state.read.saturating_add(bytes);
        state.since = state.since.saturating_add(bytes);
        if state.since >= STEP_BYTES || left == 0 {
            state.begin();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.left = state.left.saturating_sub(self.left);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::path::Path;

    use super::*;
    use crate::input::{Entry, Place, ReadAt, Stat, Store};

    /// Files of zeros, all of the same size, and how many bytes of each were begun.
    #[derive(Debug, Clone, Default)]
    struct Zeros {
        bytes: u64,
        begun: Arc<Mutex<Vec<(String, u64)>>>,
    }

    #[derive(Debug)]
    struct Zero(String, Zeros);

    impl Store for Zeros {
        fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
            Ok(Vec::new())
        }

        fn stat(&self, _: &Path) -> io::Result<Stat> {
            panic!("it is known")
        }

        fn open(&self, path: &Path, _: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
            Ok(Arc::new(Zero(path.to_str().unwrap().to_owned(), self.clone())))
        }
    }

    impl ReadAt for Zero {
        fn stat(&self) -> io::Result<Stat> {
            Ok(Stat::file(self.1.bytes))
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
            let left = usize::try_from(self.1.bytes - offset).unwrap();
            Ok(buf.len().min(left))
        }

        fn read_ahead(&self, range: Range<u64>, bytes: u64) {
            let mut begun = self.1.begun.lock().unwrap();
            begun.retain(|(name, _)| *name != self.0);
            begun.push((self.0.clone(), bytes.min(range.end - range.start)));
        }
    }

    impl Drop for Zero {
        fn drop(&mut self) {
            self.1.begun.lock().unwrap().retain(|(name, _)| *name != self.0);
        }
    }

    impl Zeros {
        fn inputs(&self, files: usize) -> Vec<Input> {
            let place = |file| Place::new(Arc::new(self.clone()), format!("{file:05}").into(), "zeros://");
            (0..files).map(|file| place(file).input(Some(Stat::file(self.bytes)))).collect()
        }

        fn turns(&self, files: usize) -> Arc<Turns> {
            let bytes = self.bytes;
            Arc::new(Turns::new(self.inputs(files).into_iter().map(move |input| (input, 0..bytes))))
        }

        /// Reads so many bytes of a file.
        fn read(&self, input: &Input, turns: &Arc<Turns>, bytes: u64) -> Box<dyn Read + Send> {
            let (mut stream, _) = input.in_turn(Some(turns)).open().unwrap();
            let read = io::copy(&mut (&mut stream).take(bytes), &mut io::sink()).unwrap();
            assert_eq!(read, bytes);
            stream
        }

        fn begun(&self) -> Vec<(String, u64)> {
            self.begun.lock().unwrap().clone()
        }
    }

    #[test]
    fn as_much_is_begun_as_was_read_and_48_mib_at_most() {
        const MIB: u64 = 1 << 20;
        let zeros = Zeros { bytes: 12 * MIB, ..Zeros::default() };
        let (turns, inputs) = (zeros.turns(11), zeros.inputs(11));
        let sum = || zeros.begun().iter().map(|(_, bytes)| bytes).sum::<u64>();
        let first = zeros.read(&inputs[0], &turns, 5 * MIB);
        assert_eq!(sum(), 0, "less than half was read");
        drop(first);
        let second = zeros.read(&inputs[1], &turns, 8 * MIB);
        // 13 MiB were read, and 4 are left.
        assert_eq!(zeros.begun(), [("00002".to_owned(), 9 * MIB)]);
        drop(second);
        for input in &inputs[2..6] {
            zeros.read(input, &turns, 12 * MIB);
        }
        assert_eq!(sum(), 48 * MIB);
        drop(turns);
        assert_eq!(sum(), 0, "it is given up");
    }

    #[test]
    fn of_small_files_a_few_are_begun_and_those_passed_by_are_not() {
        let zeros = Zeros { bytes: 10, ..Zeros::default() };
        let (turns, inputs) = (zeros.turns(500), zeros.inputs(500));
        let mut most = 0;
        for input in &inputs[..100] {
            zeros.read(input, &turns, 10);
            most = most.max(zeros.begun().len());
        }
        assert_eq!(most, AHEAD_FILES);
        // Some that are left out, and more of them than are looked at.
        for from in [150, 450] {
            for input in &inputs[from..from + 20] {
                zeros.read(input, &turns, 10);
            }
            let begun = zeros.begun();
            let next = format!("{:05}", from + 20);
            assert!(begun.iter().any(|(name, _)| *name == next), "{next}: {begun:?}");
        }
    }
}
