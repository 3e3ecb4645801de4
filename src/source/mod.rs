//! Where elements come from: one small trait that every source implements.
//!
//! A source is read in two stages. [`Source::units`] reads bytes in order and cuts them into
//! [`Unit`]s of about one batch; [`Unit::decode`] turns a unit into batches, on any thread. What
//! is downstream works on units and partitions alone, so that one big file uses as many cores as
//! many small ones, and rows keep their order.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::input::Turns;
use crate::options::OnError;
use crate::tf::spec::ElementSpec;
pub use kinds::input_kinds;
pub use options::DEFAULT_MAX_RECORD_BYTES;
pub use partition::{InputFile, Partition, PartitionRange};
pub use report::{Failure, Report};

pub(crate) mod ahead;
#[cfg(feature = "array-record")]
pub(crate) mod array_record;
pub(crate) mod blocks;
mod cast;
pub(crate) mod count;
pub(crate) mod elements;
mod features;
mod foreign;
pub(crate) mod guard;
pub(crate) mod ipc_schema;
pub(crate) mod kinds;
pub(crate) mod live;
pub(crate) mod message;
pub(crate) mod open;
pub(crate) mod options;
#[cfg(feature = "parquet")]
mod parquet_file;
mod partition;
mod piece;
pub(crate) mod planned;
pub(crate) mod records;
pub(crate) mod report;
pub(crate) mod saved;
pub(crate) mod select;
mod snappy_reader;
pub(crate) mod table;
pub(crate) mod tfds;

/// How many elements a dataset has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cardinality {
    /// So many.
    Known(u64),
    /// Not known before everything is read.
    Unknown,
    /// Without end.
    Infinite,
}

impl fmt::Display for Cardinality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cardinality::Known(rows) => write!(f, "{rows}"),
            Cardinality::Unknown => f.write_str("unknown"),
            Cardinality::Infinite => f.write_str("infinite"),
        }
    }
}

/// Which elements to take, in the order skip, shard, take: `ds.skip(s).shard(n, i).take(t)`.
///
/// ```
/// use tfarrow::source::Selection;
///
/// let selection = Selection::default().with_skip(2).with_shard(0, 3).with_take(4);
/// assert_eq!(selection.count(12), 4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Selection {
    /// Elements to leave out at the beginning.
    pub skip: u64,
    /// `(index, count)`: of the rest, only elements whose number modulo `count` is `index`.
    pub shard: Option<(u64, u64)>,
    /// Elements to take at most.
    pub take: Option<u64>,
}

impl Selection {
    /// Without so many elements at the beginning.
    #[must_use]
    pub fn with_skip(self, elements: u64) -> Self {
        Self { skip: elements, ..self }
    }

    /// Of every `count` elements after those skipped, only the one numbered `index`, from 0.
    #[must_use]
    pub fn with_shard(self, index: u64, count: u64) -> Self {
        Self { shard: Some((index, count)), ..self }
    }

    /// So many elements at most.
    #[must_use]
    pub fn with_take(self, elements: u64) -> Self {
        Self { take: Some(elements), ..self }
    }

    /// How many of `elements` elements it takes.
    #[must_use]
    pub fn count(&self, elements: u64) -> u64 {
        let left = elements.saturating_sub(self.skip);
        let dealt = match self.shard {
            Some((index, count)) if count > 0 => left.saturating_sub(index).div_ceil(count),
            _ => left,
        };
        self.take.map_or(dealt, |take| dealt.min(take))
    }
}

/// Counters that another thread may watch while a source is read.
#[derive(Debug, Default)]
pub struct Progress {
    bytes: AtomicU64,
    rows: AtomicU64,
    /// [`UNKNOWN`] where it is not known.
    total_bytes: AtomicU64,
    stopped: AtomicBool,
}

/// No number of bytes.
const UNKNOWN: u64 = 0;

impl Progress {
    /// Bytes of input read so far, as they lie on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows given out so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of input that there are to read, where that is known and something is.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        Some(self.total_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// Ends what is read with these counters: the next batch is an error of the kind
    /// [`Interrupted`](crate::ErrorKind::Interrupted), and an output that was begun does not appear.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to [stop](Self::stop).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// All of `source` is to be read.
    pub(crate) fn set_total_bytes(&self, source: &dyn Source) {
        let bytes: Option<u64> = source.partitions().iter().map(|partition| partition.bytes).sum();
        self.total_bytes.store(bytes.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn add_rows(&self, n: u64) {
        self.rows.fetch_add(n, Ordering::Relaxed);
    }
}

/// How a source is to be read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Rows in a batch; the last one may have fewer, and so has a batch that would grow past
    /// [`batch_bytes`](Self::batch_bytes).
    pub batch_rows: usize,
    /// Bytes of input after which a batch is ended early, so that memory stays bounded whatever
    /// the rows' width. A batch that takes twice as much once it is decoded is ended too. Of files of
    /// records, 16 MiB are a batch at most, so that several threads decode a file of more.
    pub batch_bytes: usize,
    /// Which elements to take.
    pub selection: Selection,
    /// Counters to keep up to date.
    pub progress: Arc<Progress>,
    /// What to do with records that cannot be read. The selection counts them as elements.
    pub on_error: OnError,
    /// Where records that cannot be read are counted and told of.
    pub report: Arc<Report>,
    /// Of the elements taken, so many make a part: no unit has elements of two, and what a source
    /// whose units are [cut by parts](UnitsAre::cut_by_parts) gives of each ends with [`Decoded::EndOfPart`].
    pub part_rows: Option<u64>,
    /// What is told of what is read, so that what comes next is begun.
    pub(crate) turns: Option<Arc<Turns>>,
}

/// Batches never grow past this, whatever is asked for: readers refuse 64-bit offsets.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// Bytes of records that are decoded at a time, at most: fewer than a large file has, so that
/// several threads decode it, and few enough that the C library keeps the columns' memory for the
/// next batch, which halves the time.
const UNIT_BYTES: usize = 16 << 20;

impl ReadOptions {
    /// With so many rows in a batch; 0 means 1.
    #[must_use]
    pub fn with_batch_rows(self, rows: usize) -> Self {
        Self { batch_rows: rows.max(1), ..self }
    }

    /// Of these elements.
    #[must_use]
    pub fn with_selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// With these counters kept up to date.
    #[must_use]
    pub fn with_progress(self, progress: Arc<Progress>) -> Self {
        Self { progress, ..self }
    }

    /// With what cannot be read told of here.
    #[must_use]
    pub fn with_report(self, report: Arc<Report>) -> Self {
        Self { report, ..self }
    }

    /// Bytes of input after which a batch of records is ended.
    pub(crate) fn record_bytes(&self) -> usize {
        self.batch_bytes.min(UNIT_BYTES)
    }

    /// Bytes of columns after which a batch is ended.
    pub(crate) fn decoded_bytes(&self) -> usize {
        self.batch_bytes.saturating_mul(2).min(MAX_BATCH_BYTES)
    }
}

impl Default for ReadOptions {
    /// 1,024 rows or 256 MiB of input a batch, every element; the first record that cannot be read
    /// ends it.
    fn default() -> Self {
        Self {
            batch_rows: 1024,
            batch_bytes: 256 << 20,
            selection: Selection::default(),
            progress: Arc::default(),
            on_error: OnError::default(),
            report: Arc::default(),
            part_rows: None,
            turns: None,
        }
    }
}

/// What verifying a partition found, apart from its damage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Sound records or elements.
    pub records: u64,
    /// What they are, in the plural, and so how far they were looked into.
    pub what: String,
    /// Whether they were looked into. Of records of a kind that is not known only the checksums were
    /// checked.
    pub looked_into: bool,
}

/// What is out of the ordinary with the units of a [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UnitsAre {
    /// Cutting them (decompression, say) takes so long that several partitions should be read at a time,
    /// where there are several.
    pub heavy: bool,
    /// Cut where a part ends: they heed [`part_rows`](ReadOptions::part_rows).
    pub cut_by_parts: bool,
    /// Of another number of rows than they were cut for, so that batches are put together anew from what
    /// they give, and rows are selected and counted then.
    pub varying: bool,
}

/// A dataset that can be read as record batches.
pub trait Source: fmt::Debug + Send + Sync {
    /// What kind of input it is, in a few words.
    fn kind(&self) -> &str;

    /// What was chosen where the input left a choice, such as a dataset's newest version, in a few
    /// words for whoever named the input.
    fn choice(&self) -> Option<&str> {
        None
    }

    /// What is worth knowing of its columns beyond their types, in words.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// What its rows are called, in the plural.
    fn row_name(&self) -> &str {
        "rows"
    }

    /// The structure of its elements.
    fn element_spec(&self) -> &ElementSpec;

    /// The schema of its batches.
    fn schema(&self) -> SchemaRef;

    /// How many elements it has.
    fn cardinality(&self) -> Cardinality;

    /// Its parts, in the order of their rows.
    fn partitions(&self) -> &[Partition];

    /// What a reader should know of its units. Default: nothing that is out of the ordinary.
    fn units_are(&self) -> UnitsAre {
        UnitsAre::default()
    }

    /// The same with these columns only, in this order, by the names they have in the schema or, as
    /// [`ReaderBuilder::with_columns`](crate::ReaderBuilder::with_columns) takes them, by path. Nothing is
    /// opened or inferred again, and what is left out is not decoded. The columns that
    /// [exploding](crate::ReaderBuilder::with_explode) adds stay.
    ///
    /// # Errors
    /// There is no such column.
    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>>;

    /// The bytes that reading the partition of this number reads in order, each range from its first to its
    /// last: what lies in a store is fetched while the partition before is read. Default: none.
    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        let _ = partition;
        Vec::new()
    }

    /// Itself as data, from which parts of it can be opened elsewhere; files that can be cut are in
    /// parts of about `part_bytes`, if that is given. `None` where it cannot be opened elsewhere.
    ///
    /// # Errors
    /// A file cannot be read where it is to be cut.
    #[doc(hidden)]
    fn planned(&self, part_bytes: Option<u64>) -> Result<Option<planned::Planned>> {
        let _ = part_bytes;
        Ok(None)
    }

    /// Reads some of its partitions, one after the other.
    ///
    /// Batches do not end where a partition ends: only the last one is short.
    ///
    /// # Errors
    /// A partition cannot be opened. `partitions` past the end are no error and give no rows.
    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>>;

    /// Reads all of one partition, checks every checksum and decodes every record, and gives what
    /// is damaged to `damage`, in order.
    ///
    /// # Errors
    /// The partition cannot be read, for a reason other than damage, or `damage` fails.
    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        verify_by_reading(
            self.row_name(),
            |options| self.units(partition..partition + 1, options),
            options,
            damage,
        )
    }
}

/// Checks what `units` opens by decoding all of it into rows that are called `what`, and gives what is
/// damaged to `damage`.
///
/// # Errors
/// As [`Source::verify`].
pub(crate) fn verify_by_reading(
    what: &str,
    units: impl FnOnce(&ReadOptions) -> Result<Box<dyn Units>>,
    options: &ReadOptions,
    damage: &mut dyn FnMut(Failure) -> Result<()>,
) -> Result<Verified> {
    let options = ReadOptions { on_error: OnError::Skip, ..options.clone() };
    let mut records = 0;
    let read = || -> Result<()> {
        let mut units = units(&options)?;
        drain(units.as_mut(), &mut |decoded| match decoded {
            Decoded::Batch(batch) => {
                records += batch.num_rows() as u64;
                Ok(())
            }
            Decoded::Failure(failure) | Decoded::NulledValue(failure) => damage(failure),
            Decoded::EndOfPart => Ok(()),
        })
    };
    // A source may know no way to go on after some kind of damage.
    let stopped = match read() {
        Err(error) if OnError::Skip.tolerates(&error) => Some(error),
        other => other.map(|()| None)?,
    };
    if let Some(error) = stopped {
        damage(error.into())?;
    }
    Ok(Verified { records, what: what.to_owned(), looked_into: true })
}

/// The first stage of reading: an iterator of [`Unit`]s, in the order of their rows.
pub trait Units: Send {
    /// The next unit; `Ok(None)` at the end. After an error there is no more.
    ///
    /// # Errors
    /// The input cannot be read, or is damaged where units are cut.
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>>;
}

/// Decodes all units, one after the other, and gives what they hold to `take`.
///
/// # Errors
/// The input is damaged or contradicts the schema, or `take` fails.
pub(crate) fn drain(units: &mut dyn Units, take: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<()> {
    while let Some(unit) = units.next_unit()? {
        let mut rest = Some(unit);
        while let Some(unit) = rest {
            rest = unit.decode(take)?;
        }
    }
    Ok(())
}

/// What a unit holds, in the order of its records.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decoded {
    /// Rows.
    Batch(RecordBatch),
    /// A record that could not be read, where reading goes on. Under [`OnError::Null`] and
    /// [`OnError::NullValue`] a row of nulls stands for it in a batch; under [`OnError::Skip`] nothing
    /// does.
    Failure(Failure),
    /// A value that could not be read, for which a null stands in a row of a batch. Only under
    /// [`OnError::NullValue`].
    NulledValue(Failure),
    /// The last element of a part was given: see [`part_rows`](ReadOptions::part_rows).
    EndOfPart,
}

impl From<RecordBatch> for Decoded {
    fn from(batch: RecordBatch) -> Self {
        Decoded::Batch(batch)
    }
}

impl From<Error> for Decoded {
    fn from(error: Error) -> Self {
        Decoded::Failure(error.into())
    }
}

/// The second stage of reading: input enough for about one batch.
pub trait Unit: Send {
    /// Decodes the unit and gives what it holds to `emit`: mostly one batch; more where columns
    /// would grow too large; and the records that could not be read, unless
    /// [`OnError::Fail`] makes them errors.
    ///
    /// A unit that decodes to far more than it is may stop after a batch and return what is left of
    /// it, to be decoded when that batch is out of the way.
    ///
    /// # Errors
    /// The input is damaged or contradicts the schema, or `emit` fails.
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>>;
}
