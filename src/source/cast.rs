//! A source whose columns are cast.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::{Cardinality, Partition, ReadOptions, Source, Unit, Units};
use crate::error::Result;
use crate::schema::cast::{Cast, CastPlan};
use crate::schema::mapping::MappingOptions;
use crate::tf::spec::ElementSpec;

/// Another source with some of its columns cast.
#[derive(Debug)]
pub(crate) struct CastSource {
    inner: Arc<dyn Source>,
    plan: Arc<CastPlan>,
}

impl CastSource {
    /// Casts columns of `inner`.
    ///
    /// # Errors
    /// A cast names no column of it, or one without numbers.
    pub(crate) fn new(inner: Arc<dyn Source>, casts: &[Cast], options: &MappingOptions) -> Result<Self> {
        let plan = CastPlan::new(inner.schema().as_ref(), casts, options)?;
        Ok(Self { inner, plan: Arc::new(plan) })
    }
}

impl Source for CastSource {
    fn kind(&self) -> &str {
        self.inner.kind()
    }

    fn element_spec(&self) -> &ElementSpec {
        self.inner.element_spec()
    }

    fn schema(&self) -> SchemaRef {
        self.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }

    fn partitions(&self) -> &[Partition] {
        self.inner.partitions()
    }

    fn reading_is_heavy(&self) -> bool {
        self.inner.reading_is_heavy()
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(CastUnits { inner: self.inner.units(partitions, options)?, plan: self.plan.clone() }))
    }
}

struct CastUnits {
    inner: Box<dyn Units>,
    plan: Arc<CastPlan>,
}

impl Units for CastUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let unit = self.inner.next_unit()?;
        Ok(unit.map(|inner| Box::new(CastUnit { inner, plan: self.plan.clone() }) as Box<dyn Unit>))
    }
}

struct CastUnit {
    inner: Box<dyn Unit>,
    plan: Arc<CastPlan>,
}

impl Unit for CastUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut rows = 0;
        self.inner.decode(&mut |batch| {
            let cast = self.plan.apply(&batch).map_err(|e| e.after_rows(rows))?;
            rows += batch.num_rows() as u64;
            emit(cast)
        })
    }
}
