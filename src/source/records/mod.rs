//! Records of files in order, cut into units of a batch each, whatever the files' format.

mod check;
mod files;
mod plan;
mod runs;
mod source;
mod split;
mod unit;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;

pub(crate) use self::check::verify;
pub(crate) use self::files::RecordFiles;
pub(crate) use self::plan::{ExamplePlan, RowPlan};
use self::runs::Stream;
pub(crate) use self::runs::{Piece, RecordFile, Run, RunScratch};
pub(crate) use self::source::RecordSource;
pub(crate) use self::split::planned;
use self::unit::RecordUnit;
use super::blocks::BufferPool;
use super::options::OpenOptions;
use super::report::Failure;
use super::select::Selector;
use super::{ReadOptions, Selection, Unit, Units};
use crate::column::record::RecordDecoder;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Expect;
use crate::options::{OnError, Phrase};
use crate::wire::tfrecord;

/// Takes batches as they are made.
pub(crate) type Emit<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<()>;

/// Turns records into batches.
pub(crate) trait RowDecoder: Send {
    /// The records that follow are of the file `source`.
    fn begin_run(&mut self, source: &Arc<str>) {
        let _ = source;
    }

    /// Appends a record, the source's element number `element`.
    ///
    /// # Errors
    /// The record contradicts the plan.
    fn append(&mut self, record: &[u8], element: u64) -> Result<()>;

    /// Undoes an [`append`](Self::append) that failed.
    fn rollback(&mut self);

    /// Appends the records of `run`, any of which that cannot be read is an error. Every decoder has a
    /// loop of its own of this, in which its `append` is known.
    ///
    /// # Errors
    /// A record is damaged or contradicts the plan.
    fn append_run(
        &mut self,
        run: &Run,
        first_element: u64,
        check_crc: bool,
        scratch: &mut RunScratch,
        to: &mut Appending,
    ) -> Result<()> {
        let mut element = first_element;
        run.for_each(check_crc, scratch, |record| {
            if to.passed > 0 || to.is_full {
                to.passed = to.passed.saturating_sub(1);
            } else {
                match self.append(record, element) {
                    Ok(()) => {
                        to.records += 1;
                        to.is_full = to.records >= to.most_records || self.is_full(to.most_bytes);
                    }
                    // Where a column of several rows is full, the record begins the next batch.
                    Err(error) if is_limit(&error, to.records) => {
                        self.rollback();
                        to.is_full = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            element += 1;
            Ok(())
        })
    }

    /// What of the records appended could not be read as the values of their columns, and is null:
    /// only what was not taken before. Only under [`OnError::NullValue`].
    fn take_lost(&mut self) -> Vec<Error> {
        Vec::new()
    }

    /// Appends a record whose row is null in every column.
    ///
    /// # Errors
    /// A column would grow too large.
    fn push_null(&mut self) -> Result<()>;

    /// Gives what was appended as batches; the decoder is then empty. A record that turns out to be
    /// wrong now goes to `failed`, with its number among those appended; if that is content, the
    /// record is left out, or a row of nulls takes its place if the policy [keeps
    /// rows](OnError::keeps_rows).
    ///
    /// Under [`OnError::Fail`], records that grow too large for one batch may be given in part:
    /// then it returns how many of them were, and has forgotten the others.
    ///
    /// # Errors
    /// A column cannot be built, or `failed` or `emit` fails.
    fn finish(&mut self, policy: OnError, failed: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>>;

    /// Whether what was appended takes at least `bytes`.
    fn is_full(&mut self, bytes: usize) -> bool;
}

/// How far the records of a unit were appended.
#[derive(Debug)]
pub(crate) struct Appending {
    /// Records that are still to be passed over, as they were given out before.
    passed: usize,
    records: usize,
    most_records: usize,
    /// Bytes of columns at which a batch is full.
    most_bytes: usize,
    is_full: bool,
}

/// Whether `error` says that a column of `rows` rows is full.
fn is_limit(error: &Error, rows: usize) -> bool {
    error.kind() == ErrorKind::Limit && rows > 0
}

/// Takes records that cannot be made rows, and values that cannot be columns'.
pub(crate) type Failed<'a> = &'a mut dyn FnMut(usize, Of, Error) -> Result<()>;

/// What a null stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A record.
    Record,
    /// One value of a record.
    Value,
}

impl RowDecoder for RecordDecoder {
    fn append(&mut self, record: &[u8], _: u64) -> Result<()> {
        RecordDecoder::append(self, record)
    }

    fn rollback(&mut self) {
        RecordDecoder::rollback(self);
    }

    fn take_lost(&mut self) -> Vec<Error> {
        RecordDecoder::take_lost(self)
    }

    fn push_null(&mut self) -> Result<()> {
        RecordDecoder::push_null(self)
    }

    fn finish(&mut self, _: OnError, _: Failed<'_>, emit: Emit<'_>) -> Result<Option<usize>> {
        let batch = RecordDecoder::finish(self)?;
        if batch.num_rows() > 0 {
            emit(batch)?;
        }
        Ok(None)
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        RecordDecoder::is_full(self, bytes)
    }
}

type MakeDecoder = dyn Fn(usize) -> Result<Box<dyn RowDecoder>> + Send + Sync;

/// What reading and decoding have in common.
pub(crate) struct Shared {
    pub(crate) check_crc: bool,
    pub(crate) max_record_bytes: u64,
    pub(crate) pool: Arc<BufferPool>,
    /// Whether the rows are counted here; otherwise some of them are left out later.
    pub(crate) counts_rows: bool,
    /// Makes a decoder with room for so many rows.
    make: Box<MakeDecoder>,
    decoders: Mutex<Vec<(Box<dyn RowDecoder>, RunScratch)>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("max_record_bytes", &self.max_record_bytes).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        check_crc: bool,
        max_record_bytes: u64,
        make: impl Fn(usize) -> Result<Box<dyn RowDecoder>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            check_crc,
            max_record_bytes,
            pool: Arc::default(),
            counts_rows: true,
            make: Box::new(make),
            decoders: Mutex::default(),
        }
    }

    /// What records need that become what `plan` says; `counts_rows` unless some are left out later.
    pub(crate) fn of_plan(
        plan: &Arc<dyn RowPlan>,
        pool: &Arc<BufferPool>,
        options: &OpenOptions,
        counts_rows: bool,
    ) -> Arc<Self> {
        let (plan, pool) = (plan.clone(), pool.clone());
        let make = move |rows| plan.decoder(rows);
        Arc::new(Self { counts_rows, pool, ..Self::new(options.check_crc, options.max_record_bytes, make) })
    }
}

/// Gives the first records of `pieces` to `take`, until it returns `false`; `records` are known to be taken, if there
/// are as many, so that they are fetched at once from where that takes a while. What the options tolerate
/// is passed over, and is told of when it is read again; the first of it comes back.
///
/// # Errors
/// A file cannot be read or is damaged, or `take` fails.
pub(crate) fn sample(
    pieces: &[Piece],
    pool: &Arc<BufferPool>,
    options: &OpenOptions,
    records: u64,
    mut take: impl FnMut(&[u8]) -> Result<bool>,
) -> Result<Option<Error>> {
    const RUN_RECORDS: usize = 64;
    const RUN_BYTES: usize = 1 << 20;
    const SAMPLED_IN_TURN: usize = 4096;
    let OpenOptions { check_crc, max_record_bytes, on_error, .. } = *options;
    let nothing = |_| Err(Error::config("nothing to decode"));
    let shared = Shared { pool: pool.clone(), ..Shared::new(check_crc, max_record_bytes, nothing) };
    let mut scratch = RunScratch::default();
    // Mostly the first of many files are enough.
    let sampled = pieces.get(..pieces.len().min(SAMPLED_IN_TURN)).unwrap_or_default();
    let expect = move |head: &[u8]| bytes_of(head, records, max_record_bytes);
    let expect = (records > 1).then(|| Box::new(expect) as Expect);
    let read = ReadOptions::default().sampling(sampled, expect);
    let mut first_fault = None;
    for piece in pieces {
        let mut stream = piece.file.open_to_sample(&shared, &read)?;
        stream.skip(piece.skip)?;
        let mut left = piece.records.unwrap_or(u64::MAX);
        while left > 0 {
            let run = match stream.next_run(clamp(left).min(RUN_RECORDS), RUN_BYTES) {
                Ok(Some(run)) => run,
                Ok(None) => break,
                Err(error) if on_error.tolerates(&error) => {
                    first_fault.get_or_insert(error);
                    match stream.pass_over()? {
                        true => continue,
                        false => break,
                    }
                }
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(run.records() as u64);
            let mut more = true;
            // Damage in one record says nothing of another, where it is tolerated.
            let runs = if on_error == OnError::Fail { vec![run] } else { run.split() };
            for run in runs {
                let mut index = 0;
                let read = run.for_each(check_crc, &mut scratch, |record| {
                    let this = index;
                    index += 1;
                    if more {
                        match take(record) {
                            Err(error) if on_error.tolerates(&error) => {
                                let (source, number) = run.place(this);
                                let error = run.place_byte(error).at_record(number).in_source(source);
                                first_fault.get_or_insert(error);
                            }
                            other => more = other?,
                        }
                    }
                    Ok(())
                });
                match read {
                    Err(error) if on_error.tolerates(&error) => {
                        first_fault.get_or_insert(error);
                    }
                    other => other?,
                }
                if !more {
                    return Ok(first_fault);
                }
            }
        }
    }
    Ok(first_fault)
}

/// About how many bytes `records` records have in a plain file of frames that begins with `head`; none where
/// it is no such file.
fn bytes_of(head: &[u8], records: u64, max_record_bytes: u64) -> u64 {
    let (mut frames, mut bytes) = (0, 0u64);
    while let Ok(Some(frame)) = usize::try_from(bytes)
        .map(|at| head.get(at..).unwrap_or_default())
        .map_or(Ok(None), |rest| tfrecord::frame_bytes(rest, max_record_bytes))
    {
        frames += 1;
        bytes = bytes.saturating_add(frame);
    }
    bytes.checked_div(frames).unwrap_or(0).saturating_mul(records)
}

/// Counts records, which are read and checked.
struct Counter(u64);

impl RowDecoder for Counter {
    fn append(&mut self, _: &[u8], _: u64) -> Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn rollback(&mut self) {}

    fn push_null(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: OnError, _: Failed<'_>, _: Emit<'_>) -> Result<Option<usize>> {
        Ok(None)
    }

    fn is_full(&mut self, _: usize) -> bool {
        false
    }
}

/// The number of records of `pieces`, every one of which is read and checked.
///
/// # Errors
/// A file cannot be read or is damaged, or does not hold what it should.
pub(crate) fn count(pieces: Vec<Piece>, options: &OpenOptions, read: &ReadOptions) -> Result<u64> {
    let shared = Arc::new(Shared::new(true, options.max_record_bytes, |_| Ok(Box::new(Counter(0)))));
    let options = ReadOptions { selection: Selection::default(), ..read.clone() };
    let mut units = RecordUnits::new(&shared, pieces, &options);
    let mut records = 0;
    let (mut counter, mut scratch) = (Counter(0), RunScratch::default());
    while let Some(unit) = units.cut()? {
        unit.decode_with(&mut counter, &mut scratch, &mut |_| Ok(()))?;
        records = counter.0;
    }
    Ok(records)
}

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Cuts records into units of a batch each.
pub(crate) struct RecordUnits {
    shared: Arc<Shared>,
    options: ReadOptions,
    pieces: std::vec::IntoIter<Piece>,
    current: Option<Open>,
    /// Records in a unit.
    unit_rows: usize,
    selector: Selector,
    done: bool,
}

/// A piece that is being read.
struct Open {
    piece: Piece,
    stream: Stream,
    /// Records of the piece passed so far.
    passed: u64,
    /// Whether records were lost, nobody knows how many.
    lossy: bool,
}

impl Open {
    /// Records left, as far as is known.
    fn left(&self) -> u64 {
        self.piece.records.map_or(u64::MAX, |records| records.saturating_sub(self.passed))
    }
}

impl RecordUnits {
    pub(crate) fn new(shared: &Arc<Shared>, pieces: Vec<Piece>, options: &ReadOptions) -> Self {
        Self {
            shared: shared.clone(),
            options: options.clone(),
            pieces: pieces.into_iter(),
            current: None,
            unit_rows: options.batch_rows,
            selector: Selector::new(options.selection),
            done: false,
        }
    }

    /// With fewer records in a unit than rows in a batch: for records that make many rows each.
    pub(crate) fn with_unit_rows(mut self, rows: usize) -> Self {
        self.unit_rows = rows.min(self.unit_rows).max(1);
        self
    }

    /// Opens the next piece, but passes by those that are skipped as a whole.
    fn open_next(&mut self) -> Result<bool> {
        for piece in self.pieces.by_ref() {
            let to_skip = self.selector.to_skip();
            if let Some(records) = piece.records.filter(|records| *records <= to_skip) {
                self.selector.pass(records);
                continue;
            }
            let mut stream = piece.open(&self.shared, &self.options)?;
            let skipped = stream.skip(piece.skip)?;
            let open = Open { piece, stream, passed: 0, lossy: false };
            if skipped < open.piece.skip {
                return Err(open.piece.short(skipped));
            }
            self.current = Some(open);
            return Ok(true);
        }
        Ok(false)
    }

    /// Ends the current piece, which gave `passed` records.
    fn close(&mut self, at_end: bool) -> Result<()> {
        let Some(mut open) = self.current.take().filter(|open| !open.lossy) else { return Ok(()) };
        if at_end && open.piece.records.is_some() && open.left() > 0 {
            return Err(open.piece.short(open.passed));
        }
        if open.piece.to_end && !at_end && open.stream.skip(1)? > 0 {
            return Err(Error::mismatch("file with more records than its metadata says")
                .expected(open.piece.records.unwrap_or(0).to_string(), "more")
                .in_source(open.piece.file.name())
                .with_hint(Phrase::new("pass {lenient=true} to read what is there")));
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<Option<RecordUnit>> {
        let mut runs: Vec<(Run, u64)> = Vec::new();
        let mut faults: Vec<(usize, Failure)> = Vec::new();
        let on_error = self.options.on_error;
        let (mut rows, mut bytes) = (0usize, 0usize);
        let most_bytes = self.options.record_bytes();
        while rows < self.unit_rows && bytes < most_bytes && !self.done {
            let taken = self.selector.taken();
            if rows > 0 && self.options.ends_part(taken) {
                break;
            }
            let gap = self.selector.gap();
            let stretch = self.selector.stretch().min(self.options.left_of_part(taken));
            if stretch == 0 {
                self.done = true;
                break;
            }
            let Some(open) = &mut self.current else {
                let opened = self.open_next();
                self.done = matches!(opened, Ok(false));
                if let Some(failure) = tolerated(opened.map(|_| ()), on_error)? {
                    rows += 1;
                    faults.push((runs.len(), failure));
                }
                continue;
            };
            let left = open.left();
            if left == 0 {
                if let Some(failure) = tolerated(self.close(false), on_error)? {
                    rows += 1;
                    faults.push((runs.len(), failure));
                }
                continue;
            }
            if gap > 0 {
                // One by one where damage may stand between.
                let wanted = gap.min(if on_error == OnError::Fail { left } else { 1 });
                match open.stream.skip(wanted) {
                    Ok(skipped) => {
                        open.passed += skipped;
                        self.selector.pass(skipped);
                        if skipped < wanted {
                            let closed = self.close(true);
                            if let Some(failure) = tolerated(closed, on_error)? {
                                rows += 1;
                                faults.push((runs.len(), failure));
                            }
                        }
                    }
                    Err(error) if on_error.tolerates(&error) => {
                        self.selector.pass(1);
                        self.pass_over()?;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            }
            let most = clamp(stretch.min(left)).min(self.unit_rows - rows);
            let run = match open.stream.next_run(most, most_bytes - bytes) {
                Ok(Some(run)) => run,
                Ok(None) => {
                    if let Some(failure) = tolerated(self.close(true), on_error)? {
                        rows += 1;
                        faults.push((runs.len(), failure));
                    }
                    continue;
                }
                Err(error) if on_error.tolerates(&error) => {
                    self.selector.take(1);
                    self.pass_over()?;
                    rows += 1;
                    faults.push((runs.len(), error.into()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let records = run.records();
            let element = open.piece.first_element + open.passed;
            open.passed += records as u64;
            self.selector.take(records as u64);
            rows += records;
            bytes += run.bytes();
            append_run(&mut runs, run, element);
        }
        let ends_part = self.options.ends_part(self.selector.taken());
        let (shared, options) = (self.shared.clone(), self.options.clone());
        let (passed, most_rows) = (0, usize::MAX);
        let unit = RecordUnit { shared, runs, passed, most_rows, faults, ends_part, options };
        Ok((rows > 0).then_some(unit))
    }

    /// Goes on after damage, which counts as one record.
    fn pass_over(&mut self) -> Result<()> {
        if let Some(open) = &mut self.current {
            open.passed += 1;
            open.lossy = true;
            if !open.stream.pass_over()? {
                self.current = None;
            }
        }
        Ok(())
    }
}

/// What is told of a file that is not what it should be as a whole, which is no element of its own.
fn tolerated(result: Result<()>, on_error: OnError) -> Result<Option<Failure>> {
    match result {
        Err(error) if on_error.tolerates(&error) => Ok(Some(error.into())),
        other => other.map(|()| None),
    }
}

/// Adds `run`, to the last of `runs` if it follows on that.
fn append_run(runs: &mut Vec<(Run, u64)>, run: Run, element: u64) {
    if let (Run::Frames(run), Some((Run::Frames(last), first))) = (&run, runs.last_mut())
        && *first + last.records as u64 == element
        && last.append(run)
    {
        return;
    }
    runs.push((run, element));
}

impl Units for RecordUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let result = self.cut();
        if !matches!(result, Ok(Some(_))) {
            self.done = true;
        }
        Ok(result?.map(|unit| Box::new(unit) as Box<dyn Unit>))
    }
}

/// The pieces in `range`, clipped to those there are.
pub(crate) fn clip<T: Clone>(items: &[T], range: Range<usize>) -> Vec<T> {
    let end = range.end.min(items.len());
    items.get(range.start.min(end)..end).unwrap_or_default().to_vec()
}
