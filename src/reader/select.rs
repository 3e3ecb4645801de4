//! Selecting rows of batches, for sources whose units do not know how many rows they make.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use crate::error::{Error, Result};
use crate::source::Selection;

/// Keeps the rows that a selection names, of batches in order.
#[derive(Debug)]
pub(crate) struct RowSelection {
    selection: Selection,
    /// Rows passed so far.
    passed: u64,
    /// Rows kept so far.
    kept: u64,
}

impl RowSelection {
    pub(crate) fn new(selection: Selection) -> Self {
        Self { selection, passed: 0, kept: 0 }
    }

    /// Whether no row that comes can be kept.
    pub(crate) fn is_done(&self) -> bool {
        self.selection.take.is_some_and(|take| self.kept >= take)
    }

    /// The rows of the next batch that are kept.
    ///
    /// # Errors
    /// The rows cannot be put together.
    pub(crate) fn apply(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows() as u64;
        let start = self.selection.skip.saturating_sub(self.passed).min(rows);
        let first = self.passed + start;
        self.passed += rows;
        let left = self.selection.take.map_or(u64::MAX, |take| take.saturating_sub(self.kept));
        let out = match self.selection.shard {
            Some((index, count)) if count > 1 => {
                let after_skip = first.saturating_sub(self.selection.skip);
                let gap = (index + count - after_skip % count) % count;
                let step = usize::try_from(count).unwrap_or(usize::MAX);
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                let picks = (start.saturating_add(gap)..rows).step_by(step).take(left);
                let picks: Vec<u32> = picks.filter_map(|row| u32::try_from(row).ok()).collect();
                take_record_batch(batch, &UInt32Array::from(picks)).map_err(Error::from)?
            }
            _ => {
                let bounds = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                batch.slice(bounds(start), bounds((rows - start).min(left)))
            }
        };
        self.kept += out.num_rows() as u64;
        Ok(out)
    }
}
