//! What records become: the columns, and how to decode them.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::RowDecoder;
use crate::column::record::RecordDecoder;
use crate::error::Result;
use crate::schema::{FeaturePlan, RAW_PATHS};
use crate::source::options::OpenOptions;
use crate::tf::spec::ElementSpec;

/// What records of one kind become.
pub(crate) trait RowPlan: fmt::Debug + Send + Sync {
    /// The schema of the columns.
    fn schema(&self) -> &SchemaRef;

    /// The structure of the elements.
    fn element_spec(&self) -> &ElementSpec;

    /// A decoder with room for `rows` records.
    ///
    /// # Errors
    /// A column cannot be built.
    fn decoder(&self, rows: usize) -> Result<Box<dyn RowDecoder>>;

    /// The plan of fewer columns: those that `options` ask for, which are like those that this one
    /// was made with but for that.
    ///
    /// # Errors
    /// There is no such column.
    fn project(&self, options: &OpenOptions) -> Result<Arc<dyn RowPlan>>;
}

/// Records that are `tf.train.Example` or `SequenceExample`, or are kept as they are.
#[derive(Debug, Clone)]
pub(crate) struct ExamplePlan {
    pub(crate) features: Arc<FeaturePlan>,
    /// Whether they are kept.
    pub(crate) raw: bool,
}

impl RowPlan for ExamplePlan {
    fn schema(&self) -> &SchemaRef {
        &self.features.schema
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.features.element_spec
    }

    fn decoder(&self, rows: usize) -> Result<Box<dyn RowDecoder>> {
        Ok(Box::new(RecordDecoder::new(&self.features, self.raw, rows)?))
    }

    fn project(&self, options: &OpenOptions) -> Result<Arc<dyn RowPlan>> {
        if self.raw {
            options.projection.without_excluded().apply(RAW_PATHS)?;
            return Ok(Arc::new(self.clone()));
        }
        Ok(Arc::new(Self { features: Arc::new(self.features.project(&options.projection)?), raw: false }))
    }
}
