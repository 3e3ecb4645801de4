//! Records of any message, from the wire straight into columns.
//!
//! A plan becomes a tree of columns: a message has a column for each of its fields, a repeated message
//! one for each field of all its items together. Values are appended where they stand in the record;
//! what a record does not have is filled when a later row has it, or at the end of the batch. No
//! message is ever put together.

mod fault;
mod layout;
mod leaf;
mod lists;
mod node;
mod presence;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};

use self::fault::Fault;
use self::node::Node;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::message::MessagePlan;
use crate::wire::proto::Cursor;

/// Bytes that the columns of a batch may take; readers refuse offsets of 64 bits.
const MAX_BYTES: usize = 1 << 30;

/// Builds batches from records of one message.
#[derive(Debug)]
pub(crate) struct MessageDecoder {
    plan: Arc<MessagePlan>,
    root: Node,
    rows: usize,
    /// No more than what the rows take.
    at_most: usize,
    /// How many bytes of columns a byte of a record may become.
    growth: usize,
    /// Bytes of columns that a row takes of which the record holds nothing.
    row_bytes: usize,
}

impl MessageDecoder {
    /// An empty decoder of records as `plan` says.
    pub(crate) fn new(plan: Arc<MessagePlan>) -> Self {
        let root = Node::new(&plan.root, true);
        let row_bytes = root.byte_len(1);
        Self { rows: 0, at_most: 0, growth: root.growth(), root, row_bytes, plan }
    }

    /// Rows appended since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one record as a row.
    ///
    /// # Errors
    /// The record is not the message, or a column would grow too large;
    /// [`rollback`](Self::rollback) then undoes what of it was appended.
    #[inline]
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        self.root.mark(self.rows);
        self.root.read(&mut Cursor::new(record), 0, self.rows).map_err(Fault::into_error)?;
        self.rows += 1;
        let grown = record.len().saturating_mul(self.growth).saturating_add(self.row_bytes);
        self.at_most = self.at_most.saturating_add(grown);
        if self.is_full(MAX_BYTES) {
            self.rows -= 1;
            return Err(too_long());
        }
        Ok(())
    }

    /// Undoes an [`append`](Self::append) that failed.
    pub(crate) fn rollback(&mut self) {
        self.root.truncate(self.rows);
    }

    /// Appends a row whose columns are all null.
    pub(crate) fn push_null(&mut self) {
        self.rows += 1;
        self.at_most = self.at_most.saturating_add(self.row_bytes);
    }

    /// Whether the rows take at least `limit` bytes. The columns are asked only when they might.
    #[inline]
    pub(crate) fn is_full(&mut self, limit: usize) -> bool {
        if self.at_most < limit {
            return false;
        }
        self.at_most = self.root.byte_len(self.rows);
        self.at_most >= limit
    }

    /// The rows as a batch; the decoder is then empty.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.at_most = 0;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.order.len());
        self.root.finish(rows, None, &mut columns)?;
        let ordered = self.plan.order.iter().filter_map(|at| columns.get(*at).cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), ordered, &options)?)
    }
}

fn too_long() -> Error {
    Error::limit("column outgrows 32-bit offsets, or a batch 1 GiB")
        .with_hint(Phrase::new("pass a smaller {batch_rows}"))
}

#[cfg(test)]
mod tests;
