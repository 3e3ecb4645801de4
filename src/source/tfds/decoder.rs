//! Examples to columns: wire columns first, then what the plan makes of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};

use crate::column::nested::{self, RowError};
use crate::column::record::RecordDecoder;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::tfds::TfdsPlan;
use crate::source::records::{Emit, RowDecoder};

/// Builds batches of a dataset's examples.
pub(super) struct TfdsDecoder {
    plan: Arc<TfdsPlan>,
    wire: RecordDecoder,
    /// The numbers of the records, where the rows need them.
    elements: Vec<u64>,
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
            part_rows: usize::MAX,
        })
    }

    fn number(&mut self, element: u64) {
        if self.plan.explode.is_some() {
            self.elements.push(element);
        }
    }

    /// Puts the columns of the rows from `from` on together, `to` at most, and says where it ended:
    /// decoded images, say, may be many times as large as what they are decoded from.
    fn part(&mut self, wire: &RecordBatch, from: usize) -> Result<(RecordBatch, usize), RowError> {
        let most = wire.num_rows() - from;
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

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)?)
    }
}

/// A record that contradicts `features.json` is not mended by saying what a feature holds.
fn not_as_described(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Mismatch | ErrorKind::MissingFeature => error.with_hint(
            "the record is not what features.json says; leave the feature out with --exclude, or read the \
             files themselves to infer their columns",
        ),
        _ => error,
    }
}

impl RowDecoder for TfdsDecoder {
    fn append(&mut self, record: &[u8], element: u64) -> Result<()> {
        self.wire.append(record).map_err(not_as_described)?;
        self.number(element);
        Ok(())
    }

    fn rollback(&mut self) {
        self.wire.rollback();
    }

    fn append_null(&mut self, element: u64) -> Result<()> {
        self.wire.push_null()?;
        self.number(element);
        Ok(())
    }

    fn finish(&mut self, emit: Emit<'_>) -> Result<(), RowError> {
        let wire = self.wire.finish()?;
        let mut from = 0;
        while from < wire.num_rows() {
            let (batch, next) = self.part(&wire, from)?;
            from = next;
            if batch.num_rows() > 0 {
                emit(batch)?;
            }
        }
        self.elements.clear();
        Ok(())
    }
}
