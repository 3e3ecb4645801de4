//! Records of any format and of any kind as a source.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::{RecordFiles, RecordUnits, RowDecoder, Shared, clip, verify};
use crate::column::record::RecordDecoder;
use crate::error::Result;
use crate::options::RecordKind;
use crate::source::options::OpenOptions;
use crate::source::report::Failure;
use crate::source::{
    Cardinality, Partition, ReadOptions, Source, Units, Verified, features, verify_by_reading,
};
use crate::tf::spec::ElementSpec;

/// Files of records, and what a record becomes.
#[derive(Debug)]
pub(crate) struct RecordSource {
    files: RecordFiles,
    kind: String,
    shared: Arc<Shared>,
    schema: SchemaRef,
    element_spec: ElementSpec,
    notes: Vec<String>,
    /// Whether a record makes any number of rows.
    rows_vary: bool,
    /// Whether only decoding tells if a record is sound: what it should hold is known.
    is_known: bool,
}

impl RecordSource {
    /// `files`, whose records `what` names and the decoders that `make` makes turn into rows of `schema`.
    pub(crate) fn new(
        files: RecordFiles,
        what: &str,
        (schema, element_spec): (SchemaRef, ElementSpec),
        options: &OpenOptions,
        make: impl Fn(usize) -> Result<Box<dyn RowDecoder>> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared::new(options.check_crc, options.max_record_bytes, make);
        Self {
            kind: format!("{} of {what}", files.kind),
            files,
            shared: Arc::new(shared),
            schema,
            element_spec,
            notes: Vec::new(),
            rows_vary: false,
            is_known: true,
        }
    }

    /// With what is to be said of it.
    pub(crate) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// With records that make any number of rows each.
    pub(crate) fn with_rows_that_vary(mut self) -> Self {
        self.rows_vary = true;
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.counts_rows = false;
        }
        self
    }

    /// Records that are `tf.train.Example` or `SequenceExample`, or are kept as they are. Some are read for
    /// inference if the features are not given.
    ///
    /// # Errors
    /// A record read for inference is damaged, or the options do not fit the features.
    pub(crate) fn examples(files: RecordFiles, options: &OpenOptions) -> Result<Self> {
        // Checking records needs no columns.
        let raw = options.to_verify || options.record == RecordKind::Raw;
        let plan = Arc::new(match raw {
            true => features::raw_plan(options, files.source)?,
            false => features::learn(&files.pieces, options, files.source)?,
        });
        let what = match options.record {
            RecordKind::Raw => "raw records",
            _ if plan.sequence => "tf.train.SequenceExample",
            _ => "tf.train.Example",
        };
        let columns = (plan.schema.clone(), plan.element_spec.clone());
        let source = Self::new(files, what, columns, options, move |rows| {
            RecordDecoder::new(&plan, raw, rows).map(|decoder| Box::new(decoder) as Box<dyn RowDecoder>)
        });
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
        &self.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
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

    fn reading_is_heavy(&self) -> bool {
        self.files.compressed
    }

    fn rows_vary(&self) -> bool {
        self.rows_vary
    }

    fn cuts_parts(&self) -> bool {
        !self.rows_vary
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
        verify(&pieces, self.shared.max_record_bytes, &options.progress, damage)
    }
}
