//! Bytes of an object that were announced to be read soon, in any order, as column chunks are.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::object::Version;
use crate::window::{PART_BYTES, Part};

/// Bytes of what was announced that are held, fetched or on their way.
const HELD_BYTES: u64 = 32 << 20;
/// The fewest bytes of a request for what is more than that, unless less is wanted.
const LEAST_BYTES: u64 = 64 << 10;
/// What lies so near together is fetched at once.
const GAP_BYTES: u64 = 64 << 10;
/// Requests that are under way.
const MOST: usize = 48;
/// Requests that what was announced is fetched by when it is too much to be held: one is read, one was
/// before, as whoever reads goes back a little, and one is on its way.
const TURNS: u64 = 3;

/// What was announced, in the order of its bytes.
#[derive(Default)]
pub(crate) struct Announced {
    stretches: Vec<Stretch>,
    /// The first of them of which nothing, or not all that may be, was asked for yet.
    next: usize,
    /// Requests that are under way.
    coming: usize,
    /// Whether all of it is held. Otherwise what was read is given up.
    holds_all: bool,
}

/// Bytes that follow one another.
struct Stretch {
    range: Range<u64>,
    /// The first byte that is not asked for.
    asked: u64,
    /// Bytes of a request.
    piece: u64,
    kept: VecDeque<(u64, Bytes)>,
    coming: VecDeque<Part>,
}

/// Where a byte of what was announced is.
pub(crate) enum Found {
    /// Nobody announced it.
    Nowhere,
    /// So many bytes were copied.
    Copied(usize),
    /// It is on its way, in this stretch.
    Coming(usize, Part),
}

impl Stretch {
    fn new(range: Range<u64>, piece: u64) -> Self {
        Self { asked: range.start, range, piece, kept: VecDeque::new(), coming: VecDeque::new() }
    }

    fn copy(&self, offset: u64, buf: &mut [u8]) -> Option<usize> {
        self.kept.iter().find_map(|(start, bytes)| copy(*start, bytes, offset, buf))
    }
}

/// Copies from `offset` on what there is of `bytes`, which begin at `start`.
pub(crate) fn copy(start: u64, bytes: &Bytes, offset: u64, buf: &mut [u8]) -> Option<usize> {
    let at = usize::try_from(offset.checked_sub(start)?).ok()?;
    let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
    let n = rest.len().min(buf.len());
    buf.get_mut(..n)?.copy_from_slice(rest.get(..n)?);
    Some(n)
}

impl Announced {
    /// What lies in `ranges`, each of which is read from its beginning to its end.
    pub(crate) fn new(ranges: &[Range<u64>]) -> Self {
        let mut sorted: Vec<_> = ranges.iter().filter(|range| range.start < range.end).cloned().collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let total: u64 = sorted.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
        let holds_all = total <= HELD_BYTES;
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in sorted {
            match merged.last_mut() {
                // What overlaps would be fetched twice.
                Some(last) if range.start < last.end || holds_all && range.start - last.end <= GAP_BYTES => {
                    last.end = last.end.max(range.end);
                }
                _ => merged.push(range),
            }
        }
        let piece = match holds_all {
            true => PART_BYTES,
            false => (HELD_BYTES / TURNS / merged.len().max(1) as u64).clamp(LEAST_BYTES, PART_BYTES),
        };
        let stretches = merged.into_iter().map(|range| Stretch::new(range, piece)).collect();
        Self { stretches, next: 0, coming: 0, holds_all }
    }

    /// Looks for the byte at `offset`; what is not on its way is asked for.
    ///
    /// # Errors
    /// There is no thread to do it.
    pub(crate) fn find(&mut self, version: &Arc<Version>, offset: u64, buf: &mut [u8]) -> io::Result<Found> {
        let at = self.stretches.partition_point(|stretch| stretch.range.end <= offset);
        let Some(stretch) = self.stretches.get_mut(at).filter(|stretch| stretch.range.contains(&offset))
        else {
            return Ok(Found::Nowhere);
        };
        if let Some(n) = stretch.copy(offset, buf) {
            return Ok(Found::Copied(n));
        }
        let coming = stretch.coming.iter().position(|part| part.range.contains(&offset));
        if let Some(part) = coming.and_then(|coming| stretch.coming.remove(coming)) {
            self.coming = self.coming.saturating_sub(1);
            if part.is_ours() {
                return Ok(Found::Coming(at, part));
            }
        }
        let end = stretch.range.end.min(offset.saturating_add(stretch.piece));
        let part = Part::begin(version, offset..end, true)?;
        stretch.asked = stretch.asked.max(end);
        Ok(part.map_or(Found::Nowhere, |part| Found::Coming(at, part)))
    }

    /// Keeps what came of the stretch `at`, and asks for more.
    pub(crate) fn keep(&mut self, version: &Arc<Version>, at: usize, start: u64, bytes: Bytes) {
        if let Some(stretch) = self.stretches.get_mut(at) {
            stretch.kept.push_back((start, bytes));
            while !self.holds_all && stretch.kept.len() as u64 >= TURNS {
                stretch.kept.pop_front();
            }
            if !self.holds_all {
                self.ask_for(version, at, false);
            }
        }
        self.ask(version);
    }

    /// Asks for what may be asked for, other objects leaving room for it.
    pub(crate) fn ask(&mut self, version: &Arc<Version>) {
        while self.coming < MOST && self.next < self.stretches.len() {
            if !self.ask_for(version, self.next, self.coming == 0) {
                break;
            }
            let all = self.stretches.get(self.next).is_none_or(|stretch| stretch.asked >= stretch.range.end);
            if all || !self.holds_all {
                self.next += 1;
            }
        }
    }

    /// Begins the next request for the stretch `at`, if it may, and there is one; says whether more may be
    /// begun.
    fn ask_for(&mut self, version: &Arc<Version>, at: usize, always: bool) -> bool {
        let Some(stretch) = self.stretches.get_mut(at) else { return false };
        let next = stretch.range.end.min(stretch.asked.saturating_add(stretch.piece));
        if next <= stretch.asked {
            return true;
        }
        // What cannot be begun now is read when it is needed, which says why.
        let Ok(Some(part)) = Part::begin(version, stretch.asked..next, always) else { return false };
        stretch.asked = next;
        stretch.coming.push_back(part);
        self.coming += 1;
        true
    }
}
