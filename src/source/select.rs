//! Which elements are selected, as they come one after the other.

use std::ops::Range;

use super::{ReadOptions, Selection};

/// Goes through the elements of a source in order.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    selection: Selection,
    /// Elements passed so far.
    passed: u64,
    /// Those of them that were selected.
    taken: u64,
}

impl Selector {
    pub(crate) fn new(selection: Selection) -> Self {
        Self { selection, passed: 0, taken: 0 }
    }

    /// Elements selected so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether no element that comes is selected.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.selection.take.is_some_and(|take| self.taken >= take)
    }

    /// Elements that come before any that can be selected.
    pub(crate) fn to_skip(&self) -> u64 {
        self.selection.skip.saturating_sub(self.passed)
    }

    /// How many elements come before the next one that is selected.
    #[inline]
    pub(crate) fn gap(&self) -> u64 {
        let after_skip = self.passed.saturating_sub(self.selection.skip);
        let others = match self.selection.shard {
            Some((index, count)) if count > 1 => (index + count - after_skip % count) % count,
            _ => 0,
        };
        self.to_skip().saturating_add(others)
    }

    /// How many elements from the next selected one on are selected without a gap, at most.
    #[inline]
    pub(crate) fn stretch(&self) -> u64 {
        let left = self.selection.take.map_or(u64::MAX, |take| take.saturating_sub(self.taken));
        if self.selection.shard.is_some_and(|(_, count)| count > 1) { left.min(1) } else { left }
    }

    /// Passes elements that are not selected.
    #[inline]
    pub(crate) fn pass(&mut self, elements: u64) {
        self.passed += elements;
    }

    /// Passes elements that are selected.
    #[inline]
    pub(crate) fn take(&mut self, elements: u64) {
        self.passed += elements;
        self.taken += elements;
    }

    /// Passes the next element; returns whether it is selected.
    #[inline]
    pub(crate) fn is_next(&mut self) -> bool {
        let selected = !self.is_done() && self.gap() == 0;
        if selected {
            self.take(1)
        } else {
            self.pass(1)
        }
        selected
    }

    /// Passes the next `count` elements; returns those that are selected, counted from the first one.
    pub(crate) fn ranges(&mut self, count: usize) -> Vec<Range<usize>> {
        let clamp = |elements: u64| usize::try_from(elements).unwrap_or(usize::MAX);
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < count && !self.is_done() {
            let gap = clamp(self.gap()).min(count - at);
            self.pass(gap as u64);
            at += gap;
            let selected = clamp(self.stretch()).min(count - at);
            if selected > 0 {
                self.take(selected as u64);
                ranges.push(at..at + selected);
                at += selected;
            }
        }
        self.pass((count - at) as u64);
        ranges
    }
}

impl ReadOptions {
    /// How many elements are left of the part that is being made, where `given` were given.
    #[inline]
    pub(crate) fn left_of_part(&self, given: u64) -> u64 {
        self.part_rows.map_or(u64::MAX, |rows| rows.max(1) - given % rows.max(1))
    }

    /// Whether the last of `given` elements ends a part.
    #[inline]
    pub(crate) fn ends_part(&self, given: u64) -> bool {
        self.part_rows.is_some_and(|rows| given.is_multiple_of(rows.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ds.skip(s).shard(n, i).take(t)` gives of `count` elements.
    fn expected(selection: Selection, count: usize) -> Vec<usize> {
        let (index, of) = selection.shard.unwrap_or((0, 1));
        let rest = (0..count).skip(usize::try_from(selection.skip).unwrap());
        let shard = rest.enumerate().filter(|(at, _)| *at as u64 % of == index).map(|(_, element)| element);
        shard.take(selection.take.map_or(usize::MAX, |take| usize::try_from(take).unwrap())).collect()
    }

    #[test]
    fn elements_are_selected_as_by_tensorflow_one_by_one_and_in_ranges() {
        for skip in [0, 1, 7, 40] {
            for shard in [None, Some((0, 1)), Some((0, 3)), Some((2, 3))] {
                for take in [None, Some(0), Some(1), Some(5), Some(100)] {
                    let selection = Selection { skip, shard, take };
                    let mut one_by_one = Selector::new(selection);
                    let singles: Vec<usize> = (0..30).filter(|_| one_by_one.is_next()).collect();
                    assert_eq!(singles, expected(selection, 30), "{selection:?}");
                    for step in [1, 4, 30] {
                        let mut selector = Selector::new(selection);
                        let mut elements = Vec::new();
                        for start in (0..30).step_by(step) {
                            let ranges = selector.ranges(step.min(30 - start));
                            elements.extend(ranges.into_iter().flatten().map(|at| start + at));
                        }
                        assert_eq!(elements, singles, "{selection:?} in steps of {step}");
                        assert_eq!((selector.passed, selector.taken), (30, singles.len() as u64));
                    }
                }
            }
        }
    }
}
