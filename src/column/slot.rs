//! The column of a feature or feature list, whatever its encoding.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;

use super::encoded::EncodedColumn;
use super::feature::FeatureColumn;
use super::steps::StepsColumn;
use crate::error::Result;
use crate::schema::feature::{Encoding, FeatureSpec};
use crate::tf::example::Kind;

/// Builds the column of one feature or feature list.
#[derive(Debug)]
pub(super) enum Slot {
    Values(Box<FeatureColumn>),
    Encoded(Box<EncodedColumn>),
    Steps(Box<StepsColumn>),
}

macro_rules! each {
    ($slot:expr, $column:ident => $body:expr) => {
        match $slot {
            Slot::Values($column) => $body,
            Slot::Encoded($column) => $body,
            Slot::Steps($column) => $body,
        }
    };
}

impl Slot {
    /// An empty builder for `spec` as the column `field`, with room for `capacity` rows.
    ///
    /// # Errors
    /// The spec cannot be stored as the field says.
    pub(super) fn new(spec: &FeatureSpec, field: &Field, capacity: usize) -> Result<Self> {
        if spec.feature_list {
            return Ok(Slot::Steps(Box::new(StepsColumn::new(spec, field)?)));
        }
        Self::of_feature(spec, field, capacity)
    }

    /// As [`new`](Self::new), for one feature, or for the steps of a feature list.
    pub(super) fn of_feature(spec: &FeatureSpec, field: &Field, capacity: usize) -> Result<Self> {
        Ok(match spec.encoding {
            Encoding::Values => Slot::Values(Box::new(FeatureColumn::new(spec, field, capacity)?)),
            _ => Slot::Encoded(Box::new(EncodedColumn::new(spec, field)?)),
        })
    }

    pub(super) fn name(&self) -> &str {
        each!(self, column => column.name())
    }

    /// Whether the column is of a feature list.
    pub(super) fn is_feature_list(&self) -> bool {
        matches!(self, Slot::Steps(_))
    }

    #[inline]
    pub(super) fn rows(&self) -> usize {
        each!(self, column => column.rows())
    }

    pub(super) fn is_required(&self) -> bool {
        each!(self, column => column.is_required())
    }

    /// Bytes that `rows` rows take, of which those that are not set yet are missing.
    pub(super) fn byte_len(&self, rows: usize) -> usize {
        each!(self, column => column.byte_len(rows))
    }

    /// Makes row `rows - 1` null, whatever a missing feature gives otherwise.
    pub(super) fn push_null(&mut self, rows: usize) -> Result<()> {
        each!(self, column => column.push_null(rows))
    }

    /// Sets row `row` from one feature.
    #[inline]
    pub(super) fn set(&mut self, row: usize, kind: Kind, list: &[u8]) -> Result<()> {
        match self {
            Slot::Values(column) => column.set(row, kind, list),
            Slot::Encoded(column) => column.set(row, kind, list),
            // Features and feature lists are looked up apart from one another.
            Slot::Steps(_) => Ok(()),
        }
    }

    /// Sets row `row` from a serialized `FeatureList`.
    pub(super) fn set_steps(&mut self, row: usize, list: &[u8]) -> Result<()> {
        match self {
            Slot::Steps(column) => column.set(row, list),
            Slot::Values(_) | Slot::Encoded(_) => Ok(()),
        }
    }

    pub(super) fn fill(&mut self, rows: usize) -> Result<()> {
        each!(self, column => column.fill(rows))
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        each!(self, column => column.truncate(rows))
    }

    /// Takes the room that the next rows are expected to need: not before there are any, as who waits for them
    /// needs none.
    pub(super) fn make_room(&mut self) {
        if let Slot::Values(column) = self {
            column.make_room();
        }
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        each!(self, column => column.finish())
    }
}
