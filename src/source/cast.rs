//! A source whose columns are cast.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use super::planned::Planned;
use super::report::Failure;
use super::{
    Cardinality, Decoded, InputFile, Partition, ReadOptions, Source, Unit, Units, UnitsAre, Verified,
};
use crate::error::Result;
use crate::options::OnError;
use crate::schema::cast::{Cast, CastPlan};
use crate::schema::mapping::MappingOptions;
use crate::tf::spec::ElementSpec;

/// Another source with some of its columns cast.
#[derive(Debug)]
pub(crate) struct CastSource {
    inner: Arc<dyn Source>,
    plan: Arc<CastPlan>,
    casts: Vec<Cast>,
    mapping: MappingOptions,
}

impl CastSource {
    /// Casts columns of `inner`.
    ///
    /// # Errors
    /// A cast names no column of it, or one without numbers.
    pub(crate) fn new(inner: Arc<dyn Source>, casts: &[Cast], options: &MappingOptions) -> Result<Self> {
        let plan = Arc::new(CastPlan::new(inner.schema().as_ref(), casts, options)?);
        Ok(Self { inner, plan, casts: casts.to_vec(), mapping: options.clone() })
    }
}

impl Source for CastSource {
    fn kind(&self) -> &str {
        self.inner.kind()
    }

    fn choice(&self) -> Option<&str> {
        self.inner.choice()
    }

    fn row_name(&self) -> &str {
        self.inner.row_name()
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

    fn units_are(&self) -> UnitsAre {
        self.inner.units_are()
    }

    fn notes(&self) -> &[String] {
        self.inner.notes()
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let inner = self.inner.project(columns)?;
        let plan = CastPlan::of_some(inner.schema().as_ref(), &self.casts, &self.mapping)?;
        let (casts, mapping) = (self.casts.clone(), self.mapping.clone());
        Ok(Arc::new(Self { inner, plan: Arc::new(plan), casts, mapping }))
    }

    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        self.inner.in_order(partition)
    }

    fn planned(&self, part_bytes: Option<u64>) -> Result<Option<Planned>> {
        self.inner.planned(part_bytes)
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(CastUnits {
            inner: self.inner.units(partitions, options)?,
            plan: self.plan.clone(),
            on_error: options.on_error,
        }))
    }

    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        // What does not fit a type is not damaged.
        self.inner.verify(partition, options, damage)
    }
}

struct CastUnits {
    inner: Box<dyn Units>,
    plan: Arc<CastPlan>,
    on_error: OnError,
}

impl Units for CastUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let unit = self.inner.next_unit()?;
        let (plan, on_error) = (&self.plan, self.on_error);
        Ok(unit.map(|inner| Box::new(CastUnit { inner, plan: plan.clone(), on_error }) as Box<dyn Unit>))
    }
}

struct CastUnit {
    inner: Box<dyn Unit>,
    plan: Arc<CastPlan>,
    on_error: OnError,
}

impl Unit for CastUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let (plan, on_error) = (&self.plan, self.on_error);
        let mut rows = 0;
        let rest = self.inner.decode(&mut |decoded| {
            let Decoded::Batch(batch) = decoded else { return emit(decoded) };
            let before = rows;
            rows += batch.num_rows() as u64;
            match plan.apply(&batch) {
                Ok(cast) => emit(cast.into()),
                Err(error) if on_error.tolerates(&error) => {
                    let mut fit = Vec::new();
                    what_fits(plan, on_error, &batch, 0, &mut fit, emit)?;
                    match fit.is_empty() {
                        true => Ok(()),
                        false => emit(concat_batches(&plan.schema, &fit)?.into()),
                    }
                }
                Err(error) => Err(error.after_rows(before)),
            }
        })?;
        let plan = self.plan.clone();
        Ok(rest.map(|inner| Box::new(CastUnit { inner, plan, on_error }) as Box<dyn Unit>))
    }
}

/// Casts the rows that can be cast, by halves, so that a few that cannot cost little; `first` is
/// the number of the first row.
fn what_fits(
    plan: &CastPlan,
    on_error: OnError,
    batch: &RecordBatch,
    first: usize,
    fit: &mut Vec<RecordBatch>,
    emit: &mut dyn FnMut(Decoded) -> Result<()>,
) -> Result<()> {
    match (plan.apply(batch), batch.num_rows()) {
        (Ok(cast), _) => fit.push(cast),
        (Err(error), 1) if on_error == OnError::NullValue && on_error.tolerates(&error) => {
            fit.push(plan.apply_or_null(batch, &mut |error| match on_error.tolerates(&error) {
                true => emit(Decoded::NulledValue(error.at_row(first as u64).into())),
                false => Err(error),
            })?);
        }
        (Err(error), 0 | 1) if on_error.tolerates(&error) => {
            if on_error.keeps_rows() {
                let fields = plan.schema.fields().iter();
                let nulls = fields.map(|field| new_null_array(field.data_type(), batch.num_rows()));
                fit.push(RecordBatch::try_new(plan.schema.clone(), nulls.collect())?);
            }
            emit(error.at_row(first as u64).into())?;
        }
        (Err(error), rows) => {
            if !on_error.tolerates(&error) {
                return Err(error);
            }
            let half = rows / 2;
            what_fits(plan, on_error, &batch.slice(0, half), first, fit, emit)?;
            what_fits(plan, on_error, &batch.slice(half, rows - half), first + half, fit, emit)?;
        }
    }
    Ok(())
}
