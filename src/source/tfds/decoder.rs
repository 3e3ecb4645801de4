//! Examples to columns: wire columns first, then what the plan makes of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::concat_batches;

use crate::column::nested::{self, RowError};
use crate::column::record::RecordDecoder;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OnError, Phrase};
use crate::schema::tfds::TfdsPlan;
use crate::source::records::{Emit, Failed, Of, RowDecoder};

/// Bytes of batches that are held at a time, at most, where rows are many times as large as what
/// they are decoded from. What they leave is decoded by one thread, so that few units should.
const GIVEN_BYTES: usize = 256 << 20;

/// Builds batches of a dataset's examples.
pub(super) struct TfdsDecoder {
    plan: Arc<TfdsPlan>,
    wire: RecordDecoder,
    /// The numbers of the records, where the rows need them.
    elements: Vec<u64>,
    /// Rows of the wire columns that stand for records that could not be read.
    nulls: Vec<usize>,
    /// How many rows were put together at a time without growing too large.
    part_rows: usize,
}

impl TfdsDecoder {
    /// A decoder with room for `rows` examples.
    pub(super) fn new(plan: &Arc<TfdsPlan>, rows: usize) -> Result<Self> {
        Ok(Self {
            plan: plan.clone(),
            wire: RecordDecoder::new(&plan.wire, false, rows)?,
            elements: Vec::new(),
            nulls: Vec::new(),
            part_rows: usize::MAX,
        })
    }

    /// Puts the columns of the rows from `from` on together, up to `to` at most, and says where it
    /// ended: decoded images, say, may be many times as large as what they are decoded from.
    fn part(&mut self, wire: &RecordBatch, from: usize, to: usize) -> Result<(RecordBatch, usize), RowError> {
        let most = to.saturating_sub(from);
        loop {
            let rows = self.part_rows.min(most);
            let slice = wire.slice(from, rows);
            let elements = self.elements.get(from..).unwrap_or_default();
            match nested::assemble(&self.plan, slice.columns(), rows, elements) {
                Ok((columns, rows_out)) => return Ok((self.batch(columns, rows_out)?, from + rows)),
                Err(failed) if rows > 1 && failed.error.kind() == ErrorKind::Limit => {
                    self.part_rows = rows / 2;
                }
                Err(failed) => {
                    return Err(RowError { row: failed.row.map(|row| from + row), error: failed.error });
                }
            }
        }
    }

    /// The row `row` of the wire columns, with null in the columns that cannot be put together.
    fn row_with_nulls(&self, wire: &RecordBatch, row: usize, failed: Failed<'_>) -> Result<RecordBatch> {
        let one = wire.slice(row, 1);
        let fields = self.plan.schema.fields().iter();
        let mut columns = Vec::with_capacity(fields.len());
        for (column, field) in nested::each_column(&self.plan, one.columns(), 1).zip(fields) {
            columns.push(match column {
                Ok(column) => column,
                Err(RowError { error, .. }) => {
                    failed(row, Of::Value, error)?;
                    new_null_array(field.data_type(), 1)
                }
            });
        }
        self.batch(columns, 1)
    }

    /// A row whose columns are all null.
    fn null_row(&self) -> Result<RecordBatch> {
        let fields = self.plan.schema.fields().iter();
        self.picked_batch(fields.map(|field| new_null_array(field.data_type(), 1)).collect(), 1)
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let columns = match &self.plan.picked {
            Some(picked) => picked.iter().filter_map(|at| columns.get(*at).cloned()).collect(),
            None => columns,
        };
        self.picked_batch(columns, rows)
    }

    fn picked_batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)?)
    }
}

/// A record that contradicts `features.json` is not mended by saying what a feature holds.
fn not_as_described(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Mismatch | ErrorKind::MissingFeature => error.with_hint(Phrase::new(
            "the record is not what features.json says; leave the feature out with {exclude}, pass \
             {on_error=null-value} for null in its place, or read the files themselves to infer their columns",
        )),
        _ => error,
    }
}

impl RowDecoder for TfdsDecoder {
    fn append(&mut self, record: &[u8], element: u64) -> Result<()> {
        if self.plan.explode.is_some() {
            self.elements.push(element);
        }
        self.wire.append(record).map_err(not_as_described)
    }

    fn rollback(&mut self) {
        self.wire.rollback();
        self.elements.truncate(self.wire.rows());
    }

    fn take_lost(&mut self) -> Vec<Error> {
        self.wire.take_lost().into_iter().map(not_as_described).collect()
    }

    fn push_null(&mut self) -> Result<()> {
        self.nulls.push(self.wire.rows());
        if self.plan.explode.is_some() {
            self.elements.push(0);
        }
        self.wire.push_null()
    }

    fn finish(&mut self, policy: OnError, failed: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>> {
        let wire = self.wire.finish()?;
        let nulls = std::mem::take(&mut self.nulls);
        let mut nulls = nulls.into_iter().peekable();
        let (mut from, mut to) = (0, wire.num_rows());
        // Batches are cut where they would be too large, and nowhere else.
        let mut held: Vec<RecordBatch> = Vec::new();
        let mut given_bytes = 0usize;
        while from < wire.num_rows() {
            if nulls.next_if_eq(&from).is_some() {
                held.push(self.null_row()?);
                from += 1;
                continue;
            }
            let end = to.min(nulls.peek().copied().unwrap_or(usize::MAX));
            match self.part(&wire, from, end) {
                Ok((batch, next)) => {
                    from = next;
                    given_bytes = given_bytes.saturating_add(batch.get_array_memory_size());
                    held.push(batch);
                    if next < end {
                        give(&mut held, emit)?;
                        if policy == OnError::Fail && given_bytes >= GIVEN_BYTES {
                            self.elements.clear();
                            return Ok(Some(next));
                        }
                    }
                }
                Err(RowError { row: Some(row), error }) if row > from && policy != OnError::Fail => {
                    // What comes before it, first.
                    to = row;
                    drop(error);
                    continue;
                }
                Err(RowError { row: Some(row), error })
                    if policy == OnError::NullValue
                        && self.plan.explode.is_none()
                        && policy.tolerates(&error) =>
                {
                    held.push(self.row_with_nulls(&wire, row, failed)?);
                    from = row + 1;
                }
                Err(RowError { row: Some(row), error }) => {
                    failed(row, Of::Record, error)?;
                    if policy.keeps_rows() {
                        held.push(self.null_row()?);
                    }
                    from = row + 1;
                }
                Err(RowError { row: None, error }) => return Err(error),
            }
            to = wire.num_rows();
        }
        give(&mut held, emit)?;
        self.elements.clear();
        Ok(None)
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        self.wire.is_full(bytes)
    }
}

/// Gives what is held as one batch; nothing is held then.
fn give(held: &mut Vec<RecordBatch>, emit: Emit<'_>) -> Result<()> {
    held.retain(|batch| batch.num_rows() > 0);
    match held.as_slice() {
        [] => Ok(()),
        [_] => held.drain(..).try_for_each(emit),
        [first, ..] => {
            let whole = concat_batches(&first.schema(), held.iter())?;
            held.clear();
            emit(whole)
        }
    }
}
