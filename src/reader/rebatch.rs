//! Batches of a set number of rows, made from batches of any number.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use crate::error::Result;

/// Collects rows and gives them out `batch_rows` at a time. Rows that come in one batch and leave
/// in one are not copied.
#[derive(Debug)]
pub(crate) struct Rebatch {
    schema: SchemaRef,
    batch_rows: usize,
    held: Vec<RecordBatch>,
    held_rows: usize,
}

impl Rebatch {
    pub(crate) fn new(schema: SchemaRef, batch_rows: usize) -> Self {
        Self { schema, batch_rows: batch_rows.max(1), held: Vec::new(), held_rows: 0 }
    }

    /// Adds the rows of `batch`.
    pub(crate) fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.held_rows += batch.num_rows();
            self.held.push(batch);
        }
    }

    /// The next whole batch, or at the end (`last`) what is left.
    ///
    /// # Errors
    /// The rows cannot be put together.
    pub(crate) fn pop(&mut self, last: bool) -> Result<Option<RecordBatch>> {
        if self.held_rows == 0 || self.held_rows < self.batch_rows && !last {
            return Ok(None);
        }
        let mut wanted = self.batch_rows.min(self.held_rows);
        self.held_rows -= wanted;
        let mut parts = Vec::new();
        let mut rest = Vec::new();
        for batch in self.held.drain(..) {
            let take = wanted.min(batch.num_rows());
            if take > 0 {
                parts.push(if take == batch.num_rows() { batch.clone() } else { batch.slice(0, take) });
            }
            if take < batch.num_rows() {
                rest.push(batch.slice(take, batch.num_rows() - take));
            }
            wanted -= take;
        }
        self.held = rest;
        Ok(Some(match parts.len() {
            1 => parts.remove(0),
            _ => concat_batches(&self.schema, &parts)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    #[test]
    fn rows_keep_their_order_and_only_the_last_batch_is_short() {
        let batch = |range: std::ops::Range<i32>| {
            let column: ArrayRef = Arc::new(Int32Array::from_iter_values(range));
            RecordBatch::try_from_iter([("x", column)]).unwrap()
        };
        let mut rebatch = Rebatch::new(batch(0..1).schema(), 4);
        let mut out = Vec::new();
        for part in [batch(0..1), batch(1..1), batch(1..11), batch(11..14)] {
            rebatch.push(part);
            while let Some(whole) = rebatch.pop(false).unwrap() {
                out.push(whole);
            }
        }
        out.extend(rebatch.pop(true).unwrap());
        assert!(rebatch.pop(true).unwrap().is_none());
        assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 4, 4, 2]);
        let values: Vec<i32> =
            out.iter().flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
        assert_eq!(values, (0..14).collect::<Vec<_>>());
        assert_eq!(out[1].column(0).len(), 4);
    }
}
