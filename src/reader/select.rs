//! Selecting rows of batches, for sources whose units do not know how many rows they make.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;

use crate::error::{Error, Result};
use crate::source::Selection;
use crate::source::select::Selector;

/// Keeps the rows that a selection names, of batches in order.
#[derive(Debug)]
pub(crate) struct RowSelection(Selector);

impl RowSelection {
    pub(crate) fn new(selection: Selection) -> Self {
        Self(Selector::new(selection))
    }

    /// Whether no row that comes can be kept.
    pub(crate) fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// The rows of the next batch that are kept.
    ///
    /// # Errors
    /// The rows cannot be put together.
    pub(crate) fn apply(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let ranges = self.0.ranges(batch.num_rows());
        match ranges.as_slice() {
            [] => Ok(batch.slice(0, 0)),
            [rows] => Ok(batch.slice(rows.start, rows.len())),
            _ => {
                let rows = ranges.into_iter().flatten().filter_map(|row| u32::try_from(row).ok());
                take_record_batch(batch, &UInt32Array::from_iter_values(rows)).map_err(Error::from)
            }
        }
    }
}
