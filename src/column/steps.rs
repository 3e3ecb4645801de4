//! A feature list of a `SequenceExample` on its way to being a list column.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, NullBufferBuilder};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};

use super::lists::too_long;
use super::slot::Slot;
use crate::error::{Error, Result};
use crate::schema::feature::FeatureSpec;
use crate::tf::example::{self, Feature, VisitError, unsound_example};

/// What the steps of a batch may take in memory.
const MAX_BYTES: usize = 2 << 30;

/// Builds the column of one feature list: a list with an item a step.
#[derive(Debug)]
pub(crate) struct StepsColumn {
    name: String,
    item: FieldRef,
    /// The steps of all rows, one after the other.
    steps: Slot,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl StepsColumn {
    /// An empty builder for `spec`, which describes a step, as the column `field`.
    ///
    /// # Errors
    /// The field is no list, or its items cannot hold what the spec says.
    pub(crate) fn new(spec: &FeatureSpec, field: &Field) -> Result<Self> {
        let DataType::List(item) = field.data_type() else {
            return Err(Error::unsupported("column type of a feature list")
                .expected("List", field.data_type().to_string())
                .in_column(spec.name.as_str()));
        };
        Ok(Self {
            name: spec.name.clone(),
            item: item.clone(),
            steps: Slot::of_feature(spec, item, 0)?,
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        })
    }

    /// The list's key.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Rows appended so far.
    pub(crate) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether a record must have the list: never, it is then null.
    #[allow(clippy::unused_self)] // as the other columns have it
    pub(crate) fn is_required(&self) -> bool {
        false
    }

    /// Bytes that the rows take; one that is not set is null, and takes next to nothing.
    pub(crate) fn byte_len(&self, _rows: usize) -> usize {
        self.steps.byte_len(self.steps.rows()) + size_of_val(self.offsets.as_slice())
    }

    /// Makes row `rows - 1` null.
    ///
    /// # Errors
    /// None.
    pub(crate) fn push_null(&mut self, rows: usize) -> Result<()> {
        self.fill(rows)
    }

    /// Sets row `row` from a serialized `FeatureList`. Rows before it that were not set are null;
    /// if it was set already, this replaces it.
    pub(crate) fn set(&mut self, row: usize, list: &[u8]) -> Result<()> {
        if self.rows() < row {
            self.fill(row)?;
        } else if self.rows() > row {
            self.truncate(row);
        }
        let mut end = self.end();
        let steps = &mut self.steps;
        example::for_each_step(list, |feature: Feature<'_>| {
            let this = end;
            end += 1;
            // A step without a value is as a record without the feature.
            steps.set(this, feature.kind, feature.list)?;
            steps.fill(end)?;
            // A step of no bytes may make as many zeros as the shape says.
            if steps.byte_len(end) > MAX_BYTES { Err(too_long()) } else { Ok(()) }
        })
        .map_err(|e| match e {
            VisitError::Wire(e) => unsound_example(e).in_column(self.name.as_str()),
            VisitError::Visitor(e) => e.in_column(self.name.as_str()),
        })?;
        self.offsets.push(i32::try_from(end).map_err(|_| too_long().in_column(self.name.as_str()))?);
        self.nulls.append_non_null();
        Ok(())
    }

    /// The number of steps of all rows.
    fn end(&self) -> usize {
        self.offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    }

    /// Makes the rows from the last one set up to `rows` null.
    ///
    /// # Errors
    /// None.
    pub(crate) fn fill(&mut self, rows: usize) -> Result<()> {
        let end = self.offsets.last().copied().unwrap_or(0);
        while self.rows() < rows {
            self.offsets.push(end);
            self.nulls.append_null();
        }
        Ok(())
    }

    /// Drops all rows but the first `rows`, and what a failed [`set`](Self::set) left behind.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let rows = rows.min(self.rows());
        self.offsets.truncate(rows + 1);
        self.nulls.truncate(rows);
        self.steps.truncate(self.end());
    }

    /// The rows as an array; the builder is then empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let steps = self.steps.finish()?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(ListArray::try_new(self.item.clone(), offsets, steps, self.nulls.finish())?))
    }
}
