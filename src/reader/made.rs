//! Inputs that have no name: pipelines built in Rust, and what the caller delivers.

use std::sync::Arc;

use arrow::array::RecordBatchReader;

use super::ReaderBuilder;
use crate::error::Result;
use crate::options::InputKind;
use crate::source::Source;
use crate::source::elements::{Elements, ElementsSource};
use crate::source::live::Dataset;
use crate::source::options::OpenOptions;
use crate::source::table::{ArrowData, ArrowSource};
use crate::tf::spec::ElementSpec;

/// An input without a name.
#[derive(Debug, Clone)]
pub(super) enum Made {
    #[cfg_attr(not(feature = "tensorflow"), allow(dead_code))]
    Dataset(Dataset),
    Elements(ElementSpec, Arc<dyn Elements>),
    Arrow(ArrowData),
}

impl Made {
    /// Its source.
    ///
    /// # Errors
    /// An option does not fit it.
    fn source(&self, options: &OpenOptions) -> Result<Arc<dyn Source>> {
        options.check(match self {
            Made::Dataset(_) => InputKind::Pipeline,
            Made::Elements(..) => InputKind::Elements,
            Made::Arrow(_) => InputKind::ArrowTable,
        })?;
        match self {
            Made::Dataset(dataset) => dataset.source(options),
            Made::Elements(spec, elements) => {
                Ok(Arc::new(ElementsSource::new(spec, elements.clone(), options)?))
            }
            Made::Arrow(data) => Ok(Arc::new(ArrowSource::new(data.clone(), options)?)),
        }
    }
}

impl ReaderBuilder {
    /// Reads a pipeline built in Rust.
    #[cfg(feature = "tensorflow")]
    #[must_use]
    pub fn from_dataset(dataset: Dataset) -> Self {
        Self::made(Made::Dataset(dataset))
    }

    /// Reads elements that the caller delivers: see [`elements`](crate::elements).
    #[must_use]
    pub fn from_elements(spec: ElementSpec, elements: Arc<dyn Elements>) -> Self {
        Self::made(Made::Elements(spec, elements))
    }

    /// Reads Arrow data, as a table of others is read: columns can be selected, renamed and cast. It can be
    /// read once.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use arrow::array::{Float64Array, RecordBatch, RecordBatchIterator};
    /// use arrow::datatypes::DataType;
    /// use tfarrow::ReaderBuilder;
    ///
    /// let column = Arc::new(Float64Array::from(vec![0.5, 1.5]));
    /// let batch = RecordBatch::try_from_iter([("x", column as _)])?;
    /// let data = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
    /// let mut reader = ReaderBuilder::from_arrow(data).set("cast", "float64:float32")?.build()?;
    /// let batch = reader.next().expect("a batch")?;
    /// assert_eq!(batch.column(0).data_type(), &DataType::Float32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_arrow(data: impl RecordBatchReader + Send + 'static) -> Self {
        Self::made(Made::Arrow(ArrowData::new(Box::new(data))))
    }

    fn made(made: Made) -> Self {
        let mut builder = Self::new([""; 0]);
        builder.made = Some(made);
        builder
    }

    /// The source of an input that has no name.
    ///
    /// # Errors
    /// An option does not fit it.
    pub(super) fn made_source(&self) -> Result<Option<Arc<dyn Source>>> {
        self.made.as_ref().map(|made| made.source(&self.open)).transpose()
    }
}
