//! `ExampleListWithContext` on its way to columns: the context's features, and a list of structs of the
//! examples'.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, NullBufferBuilder, RecordBatch, RecordBatchOptions, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;

use super::record::ExampleDecoder;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::elwc::{ElwcColumn, ElwcPlan};
use crate::tf::elwc::{self, Part};
use crate::tf::example::unsound_example;
use crate::wire::proto::WireError;

/// Builds batches from records of `tensorflow.serving.ExampleListWithContext`.
#[derive(Debug)]
pub(crate) struct ElwcDecoder {
    plan: Arc<ElwcPlan>,
    context: ExampleDecoder,
    examples: ExampleDecoder,
    /// Where the examples of each row end.
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// What went wrong with a part of a record, or between them.
struct Fault(Error);

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Fault(unsound_example(error))
    }
}

impl ElwcDecoder {
    /// A decoder with room for `capacity` rows.
    ///
    /// # Errors
    /// A feature of the plan cannot be built.
    pub(crate) fn new(plan: Arc<ElwcPlan>, capacity: usize) -> Result<Self> {
        Ok(Self {
            context: ExampleDecoder::new(plan.context.clone(), capacity)?,
            examples: ExampleDecoder::new(plan.examples.clone(), capacity)?,
            ends: Vec::with_capacity(capacity),
            nulls: NullBufferBuilder::new(capacity),
            plan,
        })
    }

    /// Appends one record as a row.
    ///
    /// # Errors
    /// The record, or one of its examples, contradicts the plan; [`rollback`](Self::rollback) then
    /// undoes what of it was appended.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        let (examples, wanted) = (&mut self.examples, self.plan.wants_examples);
        let mut number = 0;
        let mut context: &[u8] = &[];
        let mut merged: Vec<u8> = Vec::new();
        let visited = elwc::visit(record, |part, _| {
            match part {
                Part::Example(example) => {
                    if wanted {
                        examples.append(example).map_err(|error| Fault(in_example(error, number)))?;
                    }
                    number += 1;
                }
                // More of the context is merged with what came before, as bytes are.
                Part::Context(more) if context.is_empty() => context = more,
                Part::Context(more) => {
                    if merged.is_empty() {
                        merged.extend_from_slice(context);
                    }
                    merged.extend_from_slice(more);
                }
            }
            Ok(())
        });
        visited.map_err(|Fault(error)| error)?;
        let end = i32::try_from(self.examples.rows()).map_err(|_| {
            Error::limit("column outgrows 32-bit offsets")
                .with_hint(Phrase::new("pass a smaller {batch_rows}"))
        })?;
        self.context.append(if merged.is_empty() { context } else { &merged })?;
        self.ends.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    /// Undoes an [`append`](Self::append) that failed.
    pub(crate) fn rollback(&mut self) {
        self.context.rollback();
        let examples = self.ends.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
        self.examples.truncate(examples);
    }

    /// Appends a row that is null in every column.
    ///
    /// # Errors
    /// A column would outgrow 32-bit offsets.
    pub(crate) fn push_null(&mut self) -> Result<()> {
        self.context.push_null()?;
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.nulls.append_null();
        Ok(())
    }

    /// Whether the rows take at least `limit` bytes.
    pub(crate) fn is_full(&mut self, limit: usize) -> bool {
        self.context.is_full(limit / 2) || self.examples.is_full(limit / 2)
    }

    /// The rows as a batch; the decoder is then empty.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = self.ends.len();
        let context = self.context.finish()?;
        let examples = self.examples.finish()?;
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends.drain(..)).collect();
        let nulls = self.nulls.finish();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.columns.len());
        for (column, field) in self.plan.columns.iter().zip(self.plan.schema.fields()) {
            match column {
                ElwcColumn::Context(at) => columns.extend(context.columns().get(*at).cloned()),
                ElwcColumn::Examples => {
                    let DataType::List(item) = field.data_type() else { continue };
                    let structs = StructArray::try_new_with_length(
                        examples.schema().fields().clone(),
                        examples.columns().to_vec(),
                        None,
                        examples.num_rows(),
                    )?;
                    let offsets = OffsetBuffer::new(offsets.clone().into());
                    let list = ListArray::try_new(item.clone(), offsets, Arc::new(structs), nulls.clone())?;
                    columns.push(Arc::new(list));
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)?)
    }
}

/// Names the example that an error is in: its column is a part of the list's.
#[cold]
fn in_example(error: Error, number: usize) -> Error {
    let column = error.location().column.clone();
    error.column(match column {
        Some(column) => format!("examples[{number}].{column}"),
        None => format!("examples[{number}]"),
    })
}
