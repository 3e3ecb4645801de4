//! Batches that all have the same number of rows.

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::rebatch::Rebatch;

/// The rows of `reader` in batches of exactly `batch_rows` rows, without those left over at the end:
/// `tf.data`'s `batch(n, drop_remainder=True)`.
///
/// Batches that have that number of rows already, as a [`Reader`](crate::Reader)'s have but for the
/// last, pass through without a copy. 0 means 1.
///
/// ```
/// use tfarrow::{ReaderBuilder, drop_remainder};
///
/// let reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).with_batch_rows(100).build()?;
/// let mut batches = 0;
/// for batch in drop_remainder(reader, 100) {
///     assert_eq!(batch?.num_rows(), 100);
///     batches += 1;
/// }
/// assert_eq!(batches, 17);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn drop_remainder<R: RecordBatchReader>(reader: R, batch_rows: usize) -> DropRemainder<R> {
    let rebatch = Rebatch::exact(reader.schema(), batch_rows);
    DropRemainder { reader, rebatch }
}

/// A reader whose batches all have the same number of rows: what [`drop_remainder`] gives.
#[derive(Debug)]
pub struct DropRemainder<R> {
    reader: R,
    rebatch: Rebatch,
}

impl<R: RecordBatchReader> DropRemainder<R> {
    fn pull(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            if let Some(batch) = self.rebatch.pop(false)? {
                return Ok(Some(batch));
            }
            match self.reader.next().transpose()? {
                Some(batch) => self.rebatch.push(batch),
                None => return Ok(None),
            }
        }
    }
}

impl<R: RecordBatchReader> Iterator for DropRemainder<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().transpose()
    }
}

impl<R: RecordBatchReader> RecordBatchReader for DropRemainder<R> {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, ArrayRef, Int32Array, RecordBatchIterator};
    use std::sync::Arc;

    #[test]
    fn whole_batches_pass_through_and_the_rest_is_dropped() {
        let batch = |len: i32| {
            let column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..len));
            RecordBatch::try_from_iter([("x", column)]).unwrap()
        };
        let address = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].as_ptr();
        let batches = [batch(4), batch(1), batch(2), batch(6)];
        let reader = RecordBatchIterator::new(batches.clone().map(Ok), batches[0].schema());
        let out: Vec<RecordBatch> = drop_remainder(reader, 4).map(Result::unwrap).collect();
        assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 4, 4]);
        assert_eq!(address(&out[0]), address(&batches[0]));
        let none = RecordBatchIterator::new([Ok(batch(3))], batch(1).schema());
        assert_eq!(drop_remainder(none, 4).count(), 0);
    }
}
