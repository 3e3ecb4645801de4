//! Records of any format and of any kind as a source.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::{ExamplePlan, Piece, RecordFiles, RecordUnits, RowPlan, Shared, clip, planned, verify};
use crate::error::Result;
use crate::options::RecordKind;
use crate::source::options::OpenOptions;
use crate::source::planned::{Features, Learnt, Planned, RecordsOf};
use crate::source::report::Failure;
use crate::source::{
    Cardinality, InputFile, Partition, ReadOptions, Source, Units, UnitsAre, Verified, features,
    verify_by_reading,
};
use crate::tf::spec::ElementSpec;

/// Files of records, and what a record becomes.
#[derive(Debug, Clone)]
pub(crate) struct RecordSource {
    files: RecordFiles,
    kind: String,
    plan: Arc<dyn RowPlan>,
    options: Arc<OpenOptions>,
    shared: Arc<Shared>,
    notes: Vec<String>,
    /// What the records are.
    records: Arc<RecordsOf>,
    /// Whether a record makes any number of rows.
    rows_vary: bool,
    /// Whether only decoding tells if a record is sound: what it should hold is known.
    is_known: bool,
}

impl RecordSource {
    /// `files`, whose records `what` names and become what `plan` says, which was made with `options`.
    pub(crate) fn new(
        files: RecordFiles,
        what: &str,
        plan: impl RowPlan + 'static,
        records: RecordsOf,
        options: &OpenOptions,
    ) -> Self {
        let kind = format!("{} of {what}", files.kind);
        let (plan, options): (Arc<dyn RowPlan>, _) = (Arc::new(plan), Arc::new(options.clone()));
        let shared = Shared::of_plan(&plan, &files.pool, &options, true);
        let (notes, records) = (Vec::new(), Arc::new(records));
        Self { files, kind, plan, options, shared, notes, records, rows_vary: false, is_known: true }
    }

    /// With what is to be said of it.
    pub(crate) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// With records that make any number of rows each.
    pub(crate) fn with_rows_that_vary(self) -> Self {
        let shared = Shared::of_plan(&self.plan, &self.files.pool, &self.options, false);
        Self { rows_vary: true, shared, ..self }
    }

    /// Records that are `tf.train.Example` or `SequenceExample`, or are kept as they are. Some are read for
    /// inference if the features are not given.
    ///
    /// # Errors
    /// A record read for inference is damaged, or the options do not fit the features.
    pub(crate) fn examples(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        // Checking records needs no columns.
        if options.to_verify || options.record == RecordKind::Raw {
            return Self::raw(files, options);
        }
        let features = features::learn(&files, options)?;
        Self::of_features(files, features, options)
    }

    /// Records that are kept as they are.
    ///
    /// # Errors
    /// The options do not fit.
    pub(crate) fn raw(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        let features = Arc::new(features::raw_plan(options, files.source)?);
        let what = if options.record == RecordKind::Raw { "raw records" } else { "tf.train.Example" };
        let source = Self::new(files, what, ExamplePlan { features, raw: true }, RecordsOf::Raw, options);
        Ok(Self { is_known: false, ..source })
    }

    /// Examples whose features hold what is known of them.
    ///
    /// # Errors
    /// The options do not fit the features.
    pub(crate) fn of_features(files: RecordFiles, known: Features, options: &OpenOptions) -> Result<Self> {
        let features = Arc::new(features::plan_of(&known, options, files.source)?);
        let what = if features.sequence { "tf.train.SequenceExample" } else { "tf.train.Example" };
        let plan = ExamplePlan { features, raw: false };
        let source = Self::new(files, what, plan, RecordsOf::Examples(known), options);
        Ok(Self { is_known: false, ..source })
    }
}

impl Source for RecordSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn row_name(&self) -> &str {
        if self.rows_vary { "values" } else { "records" }
    }

    fn element_spec(&self) -> &ElementSpec {
        self.plan.element_spec()
    }

    fn schema(&self) -> SchemaRef {
        self.plan.schema().clone()
    }

    fn cardinality(&self) -> Cardinality {
        match self.files.records {
            Some(records) if !self.rows_vary => Cardinality::Known(records),
            _ => Cardinality::Unknown,
        }
    }

    fn partitions(&self) -> &[Partition] {
        &self.files.partitions
    }

    fn units_are(&self) -> UnitsAre {
        UnitsAre { heavy: self.files.compressed, cut_by_parts: !self.rows_vary, varying: self.rows_vary }
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let options = self.options.projected(columns)?;
        let plan = self.plan.project(&options)?;
        let shared = Shared::of_plan(&plan, &self.files.pool, &options, !self.rows_vary);
        Ok(Arc::new(Self { plan, options: Arc::new(options), shared, ..self.clone() }))
    }

    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        self.files.pieces.get(partition).map(Piece::in_order).unwrap_or_default()
    }

    fn planned(&self, part_bytes: Option<u64>) -> Result<Option<Planned>> {
        let RecordFiles { pieces, partitions, form, .. } = &self.files;
        let parts = planned(pieces, partitions, part_bytes, self.shared.max_record_bytes, self.rows_vary)?;
        Ok(Some(Planned {
            learnt: Learnt::Records { files: *form, records: RecordsOf::clone(&self.records) },
            parts,
        }))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(RecordUnits::new(&self.shared, clip(&self.files.pieces, partitions), options)))
    }

    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        let pieces = clip(&self.files.pieces, partition..partition + 1);
        if self.is_known {
            let units = |options: &ReadOptions| {
                Ok(Box::new(RecordUnits::new(&self.shared, pieces, options)) as Box<dyn Units>)
            };
            return verify_by_reading(self.row_name(), units, options, damage);
        }
        verify(&pieces, self.shared.max_record_bytes, options, damage)
    }
}
