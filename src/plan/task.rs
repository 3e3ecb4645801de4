//! One task: read anywhere, or written to its part file.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};

use super::Head;
use super::folder::{Begun, Output, TaskFolder};
use super::share::Share;
use crate::convert::folder::end_part;
use crate::convert::manifest::{KEPT_FAILURES, Part};
use crate::error::{Error, Result};
use crate::options::{Dialect, OnError};
use crate::reader::Batches;
use crate::sink::atomic::Witness;
use crate::sink::{SinkOptions, open_part};
use crate::source::planned::{Object, PlannedPart, changed, invalid};
use crate::source::report::Report;
use crate::source::{ReadOptions, Selection, Source};

/// A part of a [`Plan`](super::Plan): it names its inputs, and reads the same rows on any machine.
#[derive(Debug, Clone)]
pub struct Task {
    pub(super) head: Arc<Head>,
    pub(super) index: usize,
    pub(super) share: Share,
}

/// A part file that a task has written, whole.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskPart {
    /// The plan that it is of.
    pub plan: String,
    /// What tells how it was written from other ways.
    pub output: String,
    pub(super) part: Part,
    dialect: Dialect,
}

impl Task {
    /// Its number in the plan, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What tells its plan from others.
    #[must_use]
    pub fn plan_id(&self) -> &str {
        &self.head.id
    }

    /// What it reads, for people: files, with the range of each that it reads.
    pub fn inputs(&self) -> impl Iterator<Item = String> + '_ {
        self.share.parts.iter().map(PlannedPart::to_string)
    }

    /// How many rows it has, where that is known without reading.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.share.rows
    }

    /// How many bytes of input it reads, about, where that is known.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.share.parts.iter().map(|part| part.partition.bytes).sum()
    }

    /// The schema of its batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.head.schema.clone()
    }

    /// As [`Plan::with_store_option`](super::Plan::with_store_option), for this task alone.
    ///
    /// # Errors
    /// As there.
    pub fn with_store_option(self, key: &str, value: &str) -> Result<Self> {
        Ok(Self { head: Arc::new(self.head.with_store_option(key, value)?), ..self })
    }

    /// Begins to read it, with `threads` threads.
    ///
    /// # Errors
    /// An input is gone, is not what it was when it was planned, or is damaged.
    pub fn batches(&self, threads: usize) -> Result<Batches> {
        self.batches_with(self.head.builder.read_options(), threads)
    }

    /// As [`batches`](Self::batches), with counters and a report of the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn batches_with(&self, options: &ReadOptions, threads: usize) -> Result<Batches> {
        let source = self.open()?;
        let before = self.share.rows_before.unwrap_or(0);
        Ok(Batches::new(source, &self.read_options(options), threads)?.after_rows(before))
    }

    /// As [`batches`](Self::batches), with these columns only, in this order. What is left out is not
    /// decoded.
    ///
    /// # Errors
    /// As there, or there is no such column.
    pub fn batches_of(&self, columns: &[&str], threads: usize) -> Result<Batches> {
        let source = self.open()?.project(columns)?;
        let options = self.read_options(self.head.builder.read_options());
        Ok(Batches::new(source, &options, threads)?.after_rows(self.share.rows_before.unwrap_or(0)))
    }

    /// What it reads, open.
    fn open(&self) -> Result<Arc<dyn Source>> {
        let Head { builder, learnt, schema, .. } = &*self.head;
        let source = builder.open_parts(learnt, &self.share.parts, self.head.folder())?;
        if source.schema() != *schema {
            return Err(Error::mismatch("input with other columns than were planned")
                .expected(names(schema), names(&source.schema()))
                .with_hint("plan anew"));
        }
        Ok(source)
    }

    fn read_options(&self, options: &ReadOptions) -> ReadOptions {
        let planned = self.head.builder.read_options();
        ReadOptions {
            selection: self.share.selection,
            part_rows: None,
            progress: options.progress.clone(),
            report: options.report.clone(),
            ..planned.clone()
        }
    }

    /// Reads the task and writes its part file into `folder`, whole or not at all: the same file, however
    /// often and wherever that is done. What is there of it already is kept.
    ///
    /// The part becomes one of a dataset when it is [committed](super::commit). The options are those of
    /// any output; with `overwrite`, what another plan left in the folder is replaced. Their
    /// [threads](SinkOptions::with_threads) read and decode, too.
    ///
    /// # Errors
    /// An input is not what it was when it was planned or is damaged, the folder holds something else, or
    /// the part cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>, options: &SinkOptions) -> Result<TaskPart> {
        self.write_with(folder.as_ref(), options, self.head.builder.read_options())
    }

    /// As [`write`](Self::write), with counters and a report of the caller's.
    ///
    /// # Errors
    /// As there.
    pub fn write_with(&self, folder: &Path, options: &SinkOptions, read: &ReadOptions) -> Result<TaskPart> {
        let planned = self.head.builder.read_options();
        let output = Output::new(&self.head, folder, options)?;
        let dialect = read.report.dialect();
        let name = output.part_name(self.index, &self.head);
        let folder = TaskFolder::begin(&options.place(folder)?, &self.head, &output, options)?;
        let whole = match folder {
            Begun::Tasks(ref folder) => folder.done(self.index, &name),
            // What was committed is whole.
            Begun::Committed(ref parts) => parts.iter().find(|part| part.index == self.index).cloned(),
        };
        let tell = |part: &Part| read.report.add_part(part.rows, part.lost, &part.failures);
        let (folder, part) = match (folder, whole) {
            (_, Some(part)) => {
                tell(&part)?;
                return Ok(self.part(&output, part, dialect));
            }
            (Begun::Tasks(folder), None) => (folder, Arc::new(Report::new(KEPT_FAILURES))),
            (Begun::Committed(_), None) => {
                return Err(
                    Error::config("output folder holds a conversion without this part").in_source(name)
                );
            }
        };
        let report = part;
        let source = self.open()?;
        let own = ReadOptions { report: report.clone(), progress: read.progress.clone(), ..planned.clone() };
        own.progress.set_total_bytes(source.as_ref());
        let mut sink_options = options.clone().with_overwrite(true);
        let witness: Arc<Witness> = Arc::default();
        sink_options.witness = Some(witness.clone());
        let mut sink = open_part(&folder.place().join(&name), &self.head.schema, &sink_options)?;
        let mut rows = 0;
        let batches = Batches::new(source.clone(), &self.read_options(&own), options.threads)?;
        for batch in batches {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            sink.write(&batch)?;
        }
        check_unchanged(source.as_ref())?;
        sink.finish()?;
        let part = end_part(folder.place(), name, (self.index, rows), &report, &witness)?;
        let part = self.part(&output, part, dialect);
        folder.put_done(&part)?;
        tell(&part.part)?;
        Ok(part)
    }

    fn part(&self, output: &Output, part: Part, dialect: Dialect) -> TaskPart {
        TaskPart { plan: self.head.id.clone(), output: output.digest.clone(), part, dialect }
    }

    /// What is done with records that cannot be read.
    #[must_use]
    pub fn on_error(&self) -> OnError {
        self.head.builder.read_options().on_error
    }

    /// Whether parts can be written of the plan's tasks: not where rows are selected and it is not said of
    /// how many each part is.
    pub(super) fn is_selected(&self) -> bool {
        self.share.selection != Selection::default()
    }
}

/// The columns of a schema, in a few words.
fn names(schema: &SchemaRef) -> String {
    let field = |field: &arrow::datatypes::FieldRef| format!("{}: {}", field.name(), field.data_type());
    let names: Vec<String> = schema.fields().iter().map(field).collect();
    let text: String = names.join(", ").chars().take(200).collect();
    text
}

/// Refuses to go on if a file of `source` is not what it was.
fn check_unchanged(source: &dyn Source) -> Result<()> {
    for input in source.partitions().iter().flat_map(|partition| &partition.inputs) {
        let now = input.now();
        if now != *input {
            return Err(changed(input, &now));
        }
    }
    Ok(())
}

impl TaskPart {
    /// The number of the task in its plan, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.part.index
    }

    /// The name of the file in its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.part.name
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.part.rows
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.part.bytes
    }

    /// The part as JSON: `plan`, `output`, `part`, `name`, `rows`, `bytes`, `crc32c`, and how many records
    /// were `skipped` or `nulled`, with the first `failures`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = json!({"plan": self.plan, "output": self.output});
        if let (Some(value), Value::Object(part)) =
            (value.as_object_mut(), self.part.to_full_json(self.dialect))
        {
            value.extend(part);
        }
        value
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "a part")?;
        Ok(Self {
            plan: object.needed_text("plan")?.to_owned(),
            output: object.needed_text("output")?.to_owned(),
            part: Part::from_json(value).ok_or_else(|| invalid("a part", value))?,
            dialect: Dialect::default(),
        })
    }
}
