//! Builds batches of whole elements.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};

use super::component::ComponentBuilder;
use crate::error::{Error, Result};
use crate::schema::element::ElementPlan;
use crate::tf::spec::ElementSpec;
use crate::tf::variant::Value;

/// Gives the value of a component: by its number and spec.
pub(crate) type Decode<'d, 'a> = &'d mut dyn FnMut(usize, &ElementSpec) -> Result<Value<'a>>;

/// Builds the batches of an [`ElementPlan`].
#[derive(Debug)]
pub(crate) struct ElementBuilder {
    plan: Arc<ElementPlan>,
    columns: Vec<ComponentBuilder>,
    rows: usize,
}

impl ElementBuilder {
    /// An empty builder.
    ///
    /// # Errors
    /// A column of the plan cannot be built.
    pub(crate) fn new(plan: Arc<ElementPlan>) -> Result<Self> {
        let columns = plan
            .columns
            .iter()
            .map(|column| {
                ComponentBuilder::for_field(column.field.clone(), &column.path, &column.spec, &plan.options)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { plan, columns, rows: 0 })
    }

    /// Rows appended since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the rows take.
    pub(crate) fn byte_len(&self) -> usize {
        self.columns.iter().map(ComponentBuilder::byte_len).sum()
    }

    /// Makes room for as much as the last batch took, but no more than `most` bytes a column.
    pub(crate) fn reserve_as_before(&mut self, most: usize) {
        self.columns.iter_mut().for_each(|column| column.reserve_as_before(most));
    }

    /// Appends one element as a row. `decode` is asked for the components that the plan reads.
    ///
    /// # Errors
    /// A component cannot be decoded or does not fit; nothing of the element is kept then.
    pub(crate) fn append(&mut self, decode: Decode<'_, '_>) -> Result<()> {
        let result = self.try_append(decode);
        self.settle(result, 1)
    }

    /// Appends a row whose columns are all null.
    ///
    /// # Errors
    /// A column would grow too large.
    pub(crate) fn push_null(&mut self) -> Result<()> {
        let result = self.columns.iter_mut().try_for_each(ComponentBuilder::append_null);
        self.settle(result, 1)
    }

    fn try_append(&mut self, decode: Decode<'_, '_>) -> Result<()> {
        for (builder, column) in self.columns.iter_mut().zip(&self.plan.columns) {
            let mut one = |number, spec| decode(number, spec).map_err(|e| e.in_column(column.path.as_str()));
            match column.components.as_slice() {
                [(number, spec)] if column.spec.is_leaf() => builder.append(&one(*number, spec)?)?,
                components => {
                    let values = components.iter().map(|(number, spec)| one(*number, spec));
                    let values = values.collect::<Result<Vec<_>>>()?;
                    builder.append_flat(&mut values.iter())?;
                }
            }
        }
        Ok(())
    }

    /// Appends the slices `rows` of one batched element. `decode` gives components of the batched
    /// spec, which the plan's spec is a slice of, with their number.
    ///
    /// # Errors
    /// As [`append`](Self::append); or a component has fewer slices, or the plan has columns of
    /// structures.
    pub(crate) fn append_slices(&mut self, rows: Range<usize>, decode: Decode<'_, '_>) -> Result<()> {
        let count = rows.len();
        let result = self.try_append_slices(rows, decode);
        self.settle(result, count)
    }

    fn try_append_slices(&mut self, rows: Range<usize>, decode: Decode<'_, '_>) -> Result<()> {
        for (builder, column) in self.columns.iter_mut().zip(&self.plan.columns) {
            let mut values = Vec::with_capacity(column.components.len());
            for (number, spec) in &column.components {
                let mut value = decode(*number, spec).map_err(|e| e.in_column(column.path.as_str()))?;
                value.index();
                values.push(value);
            }
            builder.append_slices_flat(&mut values.iter(), rows.clone())?;
        }
        Ok(())
    }

    fn settle(&mut self, result: Result<()>, rows: usize) -> Result<()> {
        match result {
            Ok(()) => self.rows += rows,
            Err(_) => self.columns.iter_mut().for_each(|column| column.truncate(self.rows)),
        }
        result
    }

    /// The rows as a batch; the builder is then empty.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let arrays = self.columns.iter_mut().map(ComponentBuilder::finish).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.plan.schema.clone(), arrays, &options).map_err(Error::from)
    }
}
