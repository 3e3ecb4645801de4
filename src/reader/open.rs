//! What a builder builds.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::rebatch::Rebatch;
use super::{Batches, ReaderBuilder};
#[cfg(feature = "ndarray")]
use crate::array::collect::{ArrayCollector, Arrays};
use crate::error::Result;
use crate::input::IntoInputs;
use crate::source::Source;

/// Reads these inputs: short for [`ReaderBuilder::new`].
///
/// ```
/// let reader = tfarrow::read("examples/data/digits/digits.tfrecord-*").with_columns(["label"]).build()?;
/// let rows: usize = reader.map(|batch| Ok(batch?.num_rows())).sum::<tfarrow::Result<_>>()?;
/// assert_eq!(rows, 1797);
/// # Ok::<(), tfarrow::Error>(())
/// ```
#[must_use]
pub fn read(inputs: impl IntoInputs) -> ReaderBuilder {
    ReaderBuilder::new(inputs)
}

#[cfg(feature = "ndarray")]
impl ReaderBuilder {
    /// Reads everything, every column as one array: [`Reader::to_arrays`].
    ///
    /// ```
    /// let digits = tfarrow::read("examples/data/digits/digits.tfrecord-*");
    /// let mut arrays = digits.with_columns(["pixels"]).to_arrays()?;
    /// assert_eq!(arrays.take::<f32>("pixels")?.shape(), [1797, 64]);
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, or as [`build`](Self::build).
    pub fn to_arrays(&self) -> Result<Arrays> {
        self.build()?.to_arrays()
    }
}

/// Record batches of a dataset, in order.
///
/// [`into_arrow`](Self::into_arrow) makes it a [`RecordBatchReader`], for whatever takes one.
#[derive(Debug)]
pub struct Reader {
    source: Arc<dyn Source>,
    schema: SchemaRef,
    batches: Batches,
    /// What makes batches of one size only.
    whole: Option<Rebatch>,
}

impl Reader {
    pub(super) fn new(source: Arc<dyn Source>, batches: Batches) -> Self {
        Self { schema: source.schema(), source, batches, whole: None }
    }

    /// What is read.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The schema of its batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The rows in batches of exactly `batch_rows` rows, without those left over at the end: `tf.data`'s
    /// `batch(n, drop_remainder=True)`. 0 means 1.
    ///
    /// Batches that have that number of rows already, as all have but the last where
    /// [`with_batch_rows`](ReaderBuilder::with_batch_rows) says so, pass through without a copy.
    ///
    /// ```
    /// let reader = tfarrow::read("examples/data/digits/digits.tfrecord-*").with_batch_rows(100).build()?;
    /// let mut batches = 0;
    /// for batch in reader.drop_remainder(100) {
    ///     assert_eq!(batch?.num_rows(), 100);
    ///     batches += 1;
    /// }
    /// assert_eq!(batches, 17);
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    #[must_use]
    pub fn drop_remainder(self, batch_rows: usize) -> Self {
        Self { whole: Some(Rebatch::exact(self.schema.clone(), batch_rows)), ..self }
    }

    /// The same for Arrow's consumers, whose errors are [`ArrowError`]s: `tfarrow::Error::from` brings an
    /// error back as it was.
    #[must_use]
    pub fn into_arrow(self) -> ArrowReader {
        ArrowReader(self)
    }

    /// Every column as one array: see [`ArrayCollector`](crate::array::ArrayCollector) for choices.
    ///
    /// # Errors
    /// The input cannot be read, or as for [`ArrayCollector::collect`](crate::array::ArrayCollector::collect).
    #[cfg(feature = "ndarray")]
    pub fn to_arrays(self) -> Result<Arrays> {
        ArrayCollector::new().collect(self.into_arrow())
    }

    fn pull(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(whole) = &mut self.whole else { return self.batches.next().transpose() };
            if let Some(batch) = whole.pop(false)? {
                return Ok(Some(batch));
            }
            match self.batches.next().transpose()? {
                Some(batch) => whole.push(batch),
                None => return Ok(None),
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().transpose()
    }
}

/// A [`Reader`] as Arrow's consumers take it.
#[derive(Debug)]
pub struct ArrowReader(Reader);

impl Iterator for ArrowReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|batch| batch.map_err(ArrowError::from))
    }
}

impl RecordBatchReader for ArrowReader {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }
}
