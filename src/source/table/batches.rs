//! Record batches that a caller delivers, once.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;

use super::columns::TablePlan;
use crate::error::{Error, Result};
use crate::source::options::OpenOptions;
use crate::source::{Cardinality, Decoded, Partition, ReadOptions, Source, Unit, Units, UnitsAre};
use crate::tf::spec::ElementSpec;

type BoxedReader = Box<dyn RecordBatchReader + Send>;

/// A reader of record batches that is taken when reading begins.
#[derive(Clone)]
pub(crate) struct ArrowData {
    schema: SchemaRef,
    reader: Arc<Mutex<Option<BoxedReader>>>,
}

impl ArrowData {
    pub(crate) fn new(reader: BoxedReader) -> Self {
        Self { schema: reader.schema(), reader: Arc::new(Mutex::new(Some(reader))) }
    }
}

impl fmt::Debug for ArrowData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowData").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// [`ArrowData`] as a table.
#[derive(Debug)]
pub(crate) struct ArrowSource {
    data: ArrowData,
    options: OpenOptions,
    plan: Arc<TablePlan>,
    partitions: [Partition; 1],
}

impl ArrowSource {
    /// # Errors
    /// An option names a column that does not exist, or a column cannot be stored.
    pub(crate) fn new(data: ArrowData, options: &OpenOptions) -> Result<Self> {
        let plan = Arc::new(TablePlan::new(&data.schema, options, "arrow")?);
        let partitions = [Partition::new("batches", Vec::new())];
        Ok(Self { data, options: options.clone(), plan, partitions })
    }
}

impl Source for ArrowSource {
    fn kind(&self) -> &str {
        "Arrow data"
    }

    fn element_spec(&self) -> &ElementSpec {
        self.plan.element_spec()
    }

    fn schema(&self) -> SchemaRef {
        self.plan.schema().clone()
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn units_are(&self) -> UnitsAre {
        UnitsAre { varying: true, ..UnitsAre::default() }
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self::new(self.data.clone(), &self.options.projected(columns)?)?))
    }

    fn units(&self, partitions: Range<usize>, _: &ReadOptions) -> Result<Box<dyn Units>> {
        let reader = if partitions.contains(&0) {
            let mut reader = self.data.reader.lock().unwrap_or_else(PoisonError::into_inner);
            let again =
                || Error::config("Arrow data that was read already").with_hint("deliver it once more");
            Some(reader.take().ok_or_else(again)?)
        } else {
            None
        };
        Ok(Box::new(BatchUnits { reader, plan: self.plan.clone() }))
    }
}

struct BatchUnits {
    reader: Option<BoxedReader>,
    plan: Arc<TablePlan>,
}

impl Units for BatchUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let next = self.reader.as_mut().and_then(Iterator::next).transpose();
        if !matches!(next, Ok(Some(_))) {
            self.reader = None;
        }
        let unit = |batch| Box::new(BatchUnit { batch, plan: self.plan.clone() }) as Box<dyn Unit>;
        Ok(next?.map(unit))
    }
}

struct BatchUnit {
    batch: RecordBatch,
    plan: Arc<TablePlan>,
}

impl Unit for BatchUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let read = self.batch.project(self.plan.read())?;
        self.plan.apply(&read)?.into_iter().try_for_each(|batch| emit(batch.into()))?;
        Ok(None)
    }
}
