//! Which rows there is something in.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::NullBuffer;

/// Rows that are null, as runs of them. Rows that are not cost nothing.
#[derive(Debug, Default)]
pub(super) struct Gaps(Vec<(usize, usize)>);

impl Gaps {
    /// The rows from `from` to before `to` are null; they come after all others.
    pub(super) fn add(&mut self, from: usize, to: usize) {
        match self.0.last_mut() {
            Some((_, end)) if *end == from => *end = to,
            _ => self.0.push((from, to)),
        }
    }

    /// Forgets the rows from `rows` on.
    pub(super) fn truncate(&mut self, rows: usize) {
        while let Some((from, to)) = self.0.last_mut() {
            if *to <= rows {
                return;
            }
            *to = rows;
            if *from >= rows {
                self.0.pop();
            }
        }
    }

    pub(super) fn byte_len(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    /// Which of `rows` rows are not null; none if all are not. Nothing is null then.
    pub(super) fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.0.is_empty() {
            return None;
        }
        let mut bits = BooleanBufferBuilder::new(rows);
        for (from, to) in self.0.drain(..) {
            bits.append_n(from - bits.len(), true);
            bits.append_n(to - from, false);
        }
        bits.append_n(rows - bits.len(), true);
        Some(NullBuffer::new(bits.finish()))
    }
}

/// Which rows a message is there in.
#[derive(Debug, Default)]
pub(super) struct Presence {
    rows: usize,
    gaps: Gaps,
}

impl Presence {
    /// The message is there in row `row`; in rows before it that were not marked it is not.
    #[inline]
    pub(super) fn mark(&mut self, row: usize) {
        if self.rows < row {
            self.gaps.add(self.rows, row);
        }
        self.rows = self.rows.max(row + 1);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.gaps.truncate(rows);
    }

    pub(super) fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.rows < rows {
            self.gaps.add(self.rows, rows);
        }
        self.rows = 0;
        self.gaps.finish(rows)
    }
}
