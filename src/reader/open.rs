//! What a builder builds.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::Batches;
use crate::source::Source;

/// Record batches of a dataset, in order. An [`arrow::array::RecordBatchReader`].
#[derive(Debug)]
pub struct Reader {
    source: Arc<dyn Source>,
    schema: SchemaRef,
    batches: Batches,
}

impl Reader {
    pub(super) fn new(source: Arc<dyn Source>, batches: Batches) -> Self {
        Self { schema: source.schema(), source, batches }
    }

    /// What is read.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next().map(|batch| batch.map_err(ArrowError::from))
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
