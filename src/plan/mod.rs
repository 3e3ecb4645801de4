//! Datasets for several machines: a plan is made once and says what each task reads; tasks are done
//! anywhere, in any order and as often as one likes; what they wrote is committed when all are done.
//!
//! Planning opens the input once and learns its columns. A task opens nothing but its own files, learns
//! nothing, and refuses files that are not what they were. Rows, their order and the files that are
//! written are those of one machine.

mod commit;
mod folder;
mod json;
mod share;
mod task;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde_json::Value;

pub use self::commit::{Committed, commit};
pub use self::task::{Task, TaskPart};
use crate::convert::manifest;
use crate::error::{Error, Result};
use crate::input::Store;
use crate::options::{Dialect, OutputKind};
use crate::reader::{ReaderBuilder, not_planned};
use crate::sink::SinkOptions;
use crate::source::planned::{Learnt, Planned, PlannedPart};
use crate::source::{Cardinality, Selection};
use crate::wire::sha256;

/// Bytes of input in a task, about, unless it is told otherwise: 256 MiB.
pub const DEFAULT_TASK_BYTES: u64 = 256 << 20;

/// The most tasks that a plan has.
const MAX_TASKS: u64 = 100_000_000;

/// A dataset in tasks, each of which is read, or converted to a part file, on its own.
///
/// ```
/// use tfarrow::sink::SinkOptions;
/// use tfarrow::{Plan, ReaderBuilder, commit};
///
/// let out = tempfile::tempdir()?;
/// let plan = Plan::new(&ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]))?;
/// // On any machine, once it has the text of its task:
/// let mut parts = Vec::new();
/// for task in plan.tasks() {
///     let task = tfarrow::Task::from_json(&task.to_json())?;
///     parts.push(task.write(out.path(), &SinkOptions::new())?);
/// }
/// assert_eq!(commit(out.path(), &plan, Some(&parts))?.rows, 1797);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    head: Arc<Head>,
    tasks: Vec<Task>,
    /// Every part of the input, where tasks are not these in their order.
    inputs: Option<Vec<PlannedPart>>,
    /// How the stores are reached that parts are committed to.
    store: SinkOptions,
}

/// What all tasks have in common.
#[derive(Debug, Clone)]
struct Head {
    /// What tells this plan from others.
    id: String,
    /// What kind of input it is, for people.
    kind: String,
    /// The folder that relative names are relative to.
    folder: PathBuf,
    /// The options, and the stores.
    builder: ReaderBuilder,
    learnt: Learnt,
    schema: SchemaRef,
    /// How many tasks there are.
    tasks: usize,
    /// A digest of what a manifest says of the inputs.
    inputs: String,
    /// How many rows the input says it has.
    rows: Option<u64>,
}

impl Plan {
    /// Plans what `builder` reads, in tasks of about [`task_bytes`](ReaderBuilder::with_task_bytes): a
    /// partition each, or a part of one where its file is larger and can be cut; or in tasks of
    /// [`part_rows`](ReaderBuilder::with_part_rows) rows, if these are given.
    ///
    /// TFRecord files are cut where their frames begin, which is found by hopping over them, or read from
    /// an index `NAME.idx` beside them (lines of offset and size); ArrayRecord, Arrow and Parquet files
    /// by their own indexes. Where rows are selected, as many partitions are counted as that takes.
    ///
    /// # Errors
    /// The input cannot be opened or can be read in this process only, or an option does not fit it.
    pub fn new(builder: &ReaderBuilder) -> Result<Self> {
        builder.check_sizes()?;
        let source = builder.clone().for_output(OutputKind::Plan).build_source()?;
        let part_rows = builder.read_options().part_rows;
        let task_bytes = builder.task_bytes().unwrap_or(DEFAULT_TASK_BYTES);
        let planned = source.planned(Some(task_bytes).filter(|_| part_rows.is_none()))?;
        let Planned { learnt, parts } = planned.ok_or_else(|| not_planned(&*source))?;
        if part_rows.is_some() && !source.units_are().cut_by_parts {
            crate::convert::folder::check_parts(&*source, builder.read_options(), &Default::default())?;
        }
        if let Some(input) =
            parts.iter().flat_map(|part| &part.partition.inputs).find(|input| !input.has_name())
        {
            return Err(Error::unsupported("a plan of what has no name, or none that is text")
                .with_hint("read it in this process, or store it first")
                .in_source(input.name.clone()));
        }
        let folder = std::env::current_dir().map_err(|e| Error::io("cannot tell the current folder", e))?;
        let own = builder.without_inputs();
        let known = match source.cardinality() {
            Cardinality::Known(rows) if builder.read_options().selection == Selection::default() => {
                Some(rows)
            }
            _ => None,
        };
        let count = share::Count {
            builder: &own,
            learnt: &learnt,
            folder: &folder,
            varies: source.units_are().varying,
        };
        let shares = share::shares(&parts, builder.read_options(), &count)?;
        // As the list in a manifest reads, piece by piece: there may be a hundred thousand.
        let mut described = "[".to_owned();
        for (at, part) in parts.iter().enumerate() {
            described.push_str(if at > 0 { "," } else { "" });
            described.push_str(&manifest::describe(&part.partition).to_string());
        }
        described.push(']');
        let mut head = Head {
            id: String::new(),
            kind: source.kind().to_owned(),
            folder,
            builder: own,
            learnt,
            schema: source.schema(),
            tasks: shares.len(),
            inputs: sha256::digest(described.as_bytes()),
            rows: known,
        };
        head.id = head.digest(&shares);
        let head = Arc::new(head);
        let in_order = shares.len() == parts.len()
            && shares
                .iter()
                .zip(&parts)
                .all(|(share, part)| share.parts.as_slice() == std::slice::from_ref(part));
        let task = |(index, share)| Task { head: head.clone(), index, share };
        Ok(Self {
            tasks: shares.into_iter().enumerate().map(task).collect(),
            inputs: (!in_order).then_some(parts),
            store: SinkOptions::new(),
            head,
        })
    }

    /// What tells this plan from others: equal input, options and tasks give an equal text.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.head.id
    }

    /// What kind of input it is, in a few words.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.head.kind
    }

    /// The schema of the batches of every task.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.head.schema.clone()
    }

    /// The tasks, in the order of their rows.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Reads names that begin with `scheme://` from `store`, in every task.
    #[must_use]
    pub fn with_store(mut self, scheme: impl Into<String>, store: Arc<dyn Store>) -> Self {
        let mut head = Head::clone(&self.head);
        head.builder = head.builder.with_store(scheme, store);
        self.head = Arc::new(head);
        self.tasks.iter_mut().for_each(|task| task.head = self.head.clone());
        self
    }

    /// Sets `key` to `value` for the stores that tasks read from, as
    /// [`ReaderBuilder::with_store_option`] does: no plan's text says it, as it may be a secret.
    ///
    /// # Errors
    /// No store has such a key, or this build reaches none (feature `cloud`).
    pub fn with_store_option(mut self, key: &str, value: &str) -> Result<Self> {
        self.head = Arc::new(self.head.with_store_option(key, value)?);
        self.tasks.iter_mut().for_each(|task| task.head = self.head.clone());
        self.store = self.store.with_store_option(key, value)?;
        Ok(self)
    }

    /// Every part of the input, in order.
    fn inputs(&self) -> Box<dyn Iterator<Item = &PlannedPart> + '_> {
        match &self.inputs {
            Some(parts) => Box::new(parts.iter()),
            None => Box::new(self.tasks.iter().flat_map(|task| &task.share.parts)),
        }
    }
}

impl Head {
    /// What the parts depend on that are written with `output`, but for the inputs.
    fn described(&self, output: &folder::Output, inputs: Vec<Value>, dialect: Dialect) -> manifest::Plan {
        let mut settings = self.builder.settings();
        settings.extend(output.settings.clone());
        let options = manifest::options(self.builder.read_options(), &settings);
        manifest::Plan::of(inputs, options, &self.schema, dialect)
    }

    /// The same, with another setting of its stores.
    fn with_store_option(&self, key: &str, value: &str) -> Result<Self> {
        let builder = self.builder.clone().with_store_option(key, value)?;
        Ok(Self { builder, ..self.clone() })
    }

    /// A digest of all that says what the tasks read.
    fn digest(&self, shares: &[share::Share]) -> String {
        let mut text = String::new();
        for part in [
            env!("CARGO_PKG_VERSION"),
            &self.inputs,
            &Value::Object(self.builder.stored_changes()).to_string(),
            &crate::source::planned::schema_to_text(&self.schema),
        ] {
            text.push_str(part);
            text.push('\n');
        }
        for share in shares {
            text.push_str(&share.to_json().to_string());
        }
        sha256::digest(text.as_bytes())
    }

    /// Where relative names of this plan are.
    fn folder(&self) -> &Path {
        &self.folder
    }
}
