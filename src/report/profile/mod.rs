//! What is in a dataset: every column, seen once.

mod alerts;
mod classes;
mod column;
mod counter;
mod leaf;
pub(crate) mod media;
mod numbers;
mod random;
pub(crate) mod samples;
pub(crate) mod summary;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};

pub use alerts::Alert;
pub(crate) use alerts::share;
use column::{Column, Limits, columns_in};
pub use media::Media;
use samples::Sampler;
pub use samples::{ImageGrid, SampleImage, SampleRow};
pub use summary::{ColumnProfile, Distinct, Histogram, Lengths, Numbers, Scale, TopValue};

use super::description::Description;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Dialect;
use crate::reader::Batches;
use crate::source::report::{Failure, Report};
use crate::source::{Cardinality, ReadOptions, Source};

/// Failures that are listed; more are counted.
const LISTED: usize = 1000;
/// Batches that wait for a thread that looks at columns.
const WAITING: usize = 2;
/// Bytes of input in a batch: few enough that what was read is still in the processor's cache when it
/// is looked at.
const BATCH_BYTES: usize = 2 << 20;

/// What is in a dataset: its columns one by one, a choice of its rows and images, and what is wrong
/// with it. [`Page`](super::Page) makes an HTML page of it.
///
/// Everything is seen once, in bounded memory. Counts, missing values, zeros, extremes, means and
/// standard deviations are exact; where quantiles, histograms, frequent values and the number of
/// different values are not, the profile says so. Equal rows give equal profiles, on any machine and
/// with any number of threads.
///
/// ```
/// use tfarrow::ReaderBuilder;
/// use tfarrow::report::Profile;
///
/// let builder = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]);
/// let source = builder.build_source()?;
/// let profile = Profile::of(&source, builder.read_options(), 2)?;
/// assert_eq!((profile.rows, profile.columns.len()), (1797, 4));
/// let pixels = profile.columns[2].numbers.as_ref().expect("numbers");
/// assert_eq!(pixels.count, 1797 * 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Profile {
    /// What the dataset is, where a source was read.
    pub description: Option<Description>,
    /// Rows that were seen.
    pub rows: u64,
    /// Its columns, in order.
    pub columns: Vec<ColumnProfile>,
    /// Rows chosen by chance, in order.
    pub samples: Vec<SampleRow>,
    /// Images chosen by chance, of the columns that hold such.
    pub images: Vec<ImageGrid>,
    /// Of how many rows chosen by chance so many are equal to another one: `(equal, of)`.
    pub duplicates: (u64, u64),
    /// The first records that could not be read.
    pub damage: Vec<Failure>,
    /// How many records could not be read.
    pub damaged: u64,
    /// What to look at first.
    pub alerts: Vec<Alert>,
}

impl Profile {
    /// Reads `source` with `threads` threads. Records that cannot be read are dealt with as `options`
    /// say, and listed as damage.
    ///
    /// # Errors
    /// The source cannot be read, or is damaged and the options do not tolerate it.
    pub fn of(source: &Arc<dyn Source>, options: &ReadOptions, threads: usize) -> Result<Self> {
        let found = Arc::new(Report::new(LISTED));
        let batch_bytes = options.batch_bytes.min(BATCH_BYTES);
        let options = ReadOptions { report: found.clone(), batch_bytes, ..options.clone() };
        options.progress.set_total_bytes(source.as_ref());
        // Reading mostly takes longer than looking, and each thread more that a batch passes costs time, too.
        let lookers = (threads / 2).max(1);
        let batches = Batches::new(source.clone(), &options, threads)?.unit_by_unit();
        let mut profile = Self::of_batches(&source.schema(), batches, lookers)?;
        profile.description = Some(Description::of(source.as_ref()));
        profile.damaged = found.skipped() + found.nulled();
        profile.damage = found.failures();
        profile.alerts = alerts::of(&profile);
        Ok(profile)
    }

    /// Looks at batches of `schema`, with `threads` threads.
    ///
    /// # Errors
    /// A batch is an error, or a kernel of Arrow fails.
    pub fn of_batches(
        schema: &SchemaRef,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
        threads: usize,
    ) -> Result<Self> {
        let limits = Limits::of(schema.fields().iter().map(|field| columns_in(field)).sum());
        let fields = schema.fields().iter().enumerate();
        let all: Vec<(usize, Column)> =
            fields.map(|(index, field)| (index, Column::new(field, false, limits))).collect();
        let mut sampler = Sampler::new(schema);
        let mut rows = 0;
        let mut see = |batch: &RecordBatch| -> Result<()> {
            rows += batch.num_rows() as u64;
            sampler.add(batch)
        };
        let groups = threads.clamp(1, all.len().max(1));
        let mut columns = if groups == 1 {
            let mut columns = all;
            for batch in batches {
                let batch = batch?;
                see(&batch)?;
                add(&mut columns, &batch)?;
            }
            columns
        } else {
            shared_out(all, groups, batches, &mut see)?
        };
        columns.sort_by_key(|(index, _)| *index);
        let (samples, images, duplicates) = sampler.finish();
        let class_column = samples::class_column(schema).map(|class| class.column);
        let mut columns: Vec<ColumnProfile> =
            columns.into_iter().map(|(_, column)| column.finish()).collect();
        if let Some(column) = class_column.and_then(|column| columns.get_mut(column)) {
            column.is_class |= column.distinct.is_some_and(|d| d.exact && d.count <= summary::CLASSES);
        }
        let mut profile = Self {
            description: None,
            rows,
            columns,
            samples,
            images,
            duplicates,
            damage: Vec::new(),
            damaged: 0,
            alerts: Vec::new(),
        };
        profile.alerts = alerts::of(&profile);
        Ok(profile)
    }

    /// The profile as a JSON object with the members `rows`, `columns`, `alerts` and `damage`, of
    /// which docs/report.md explains every one. Hints spell options as `dialect` does.
    #[must_use]
    pub fn to_json(&self, dialect: Dialect) -> Value {
        let source = self.description.as_ref().map(|description| {
            let rows = match description.cardinality {
                Cardinality::Known(rows) => json!(rows),
                Cardinality::Infinite => json!("infinite"),
                Cardinality::Unknown => Value::Null,
            };
            let bytes: Option<u64> = description.partitions.iter().map(|p| p.bytes).sum();
            json!({
                "kind": description.kind,
                "partitions": description.partitions.len(),
                "bytes": bytes,
                "rows": rows,
            })
        });
        json!({
            "source": source,
            "rows": self.rows,
            "columns": self.columns.iter().map(ColumnProfile::to_json).collect::<Vec<_>>(),
            "duplicates": {"rows": self.duplicates.0, "of": self.duplicates.1},
            "alerts": self.alerts.iter().map(Alert::to_json).collect::<Vec<_>>(),
            "damage": self.damage.iter().map(|failure| failure.to_json(dialect)).collect::<Vec<_>>(),
            "damaged": self.damaged,
        })
    }
}

fn add(columns: &mut [(usize, Column)], batch: &RecordBatch) -> Result<()> {
    for (index, column) in columns {
        if let Some(array) = batch.columns().get(*index) {
            column.add(array)?;
        }
    }
    Ok(())
}

/// Looks at columns in `groups` threads: each sees every batch, in order, and some of the columns.
fn shared_out(
    all: Vec<(usize, Column)>,
    groups: usize,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
    see: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<Vec<(usize, Column)>> {
    let mut shares: Vec<Vec<(usize, Column)>> = std::iter::repeat_with(Vec::new).take(groups).collect();
    for (index, column) in all {
        if let Some(share) = shares.get_mut(index % groups) {
            share.push((index, column));
        }
    }
    std::thread::scope(|scope| {
        let mut senders: Vec<SyncSender<RecordBatch>> = Vec::new();
        let mut workers = Vec::new();
        for mut share in shares {
            let (sender, receiver): (_, Receiver<RecordBatch>) = sync_channel(WAITING);
            senders.push(sender);
            workers.push(scope.spawn(move || -> Result<Vec<(usize, Column)>> {
                for batch in receiver {
                    add(&mut share, &batch)?;
                }
                Ok(share)
            }));
        }
        let mut failed = None;
        'batches: for batch in batches {
            let batch = match batch.and_then(|batch| see(&batch).map(|()| batch)) {
                Ok(batch) => batch,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            for sender in &senders {
                // A thread that is gone says why when it is joined.
                if sender.send(batch.clone()).is_err() {
                    break 'batches;
                }
            }
        }
        drop(senders);
        let mut columns = Vec::new();
        for worker in workers {
            let gone = |_| Error::new(ErrorKind::Interrupted, "a thread ended unexpectedly");
            columns.extend(worker.join().map_err(gone)??);
        }
        failed.map_or(Ok(columns), Err)
    })
}
