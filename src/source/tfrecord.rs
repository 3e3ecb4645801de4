//! TFRecord files of `tf.train.Example` or `SequenceExample`, or of records kept as bytes.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::blocks::{BufferPool, Frame, FrameReader, FrameRun};
use super::features;
use super::input::Input;
use super::open::{InferRecords, OpenOptions, RecordKind};
use super::{Cardinality, Partition, ReadOptions, Source, Unit, Units};
use crate::column::record::RecordDecoder;
use crate::error::{Error, Result};
use crate::schema::FeaturePlan;
use crate::schema::infer::Inference;
use crate::tf::spec::ElementSpec;
use crate::wire::compress::Compression;
use crate::wire::tfrecord;

/// TFRecord files, one partition each.
#[derive(Debug)]
pub(crate) struct TfRecordSource {
    shared: Arc<Shared>,
    kind: String,
    inputs: Vec<Input>,
    partitions: Vec<Partition>,
    compressed: bool,
    /// Standard input can be read once: what inference read of it is kept here.
    replay: Mutex<Option<Replay>>,
}

/// What reading and decoding have in common.
#[derive(Debug)]
struct Shared {
    plan: Arc<FeaturePlan>,
    record: RecordKind,
    check_crc: bool,
    max_record_bytes: u64,
    pool: Arc<BufferPool>,
    decoders: Mutex<Vec<RecordDecoder>>,
}

/// A stream that inference began to read, and the frames that it read.
struct Replay {
    runs: Vec<FrameRun>,
    reader: FrameReader,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("runs", &self.runs.len()).finish_non_exhaustive()
    }
}

impl TfRecordSource {
    /// Opens the files and plans their columns, reading records for inference if the features are
    /// not given.
    ///
    /// # Errors
    /// A file cannot be opened, a record read for inference is damaged, or the options do not fit
    /// the features.
    pub(crate) fn open(inputs: Vec<Input>, options: &OpenOptions) -> Result<Self> {
        let pool: Arc<BufferPool> = Arc::default();
        let mut replay = None;
        let mut compressed = false;
        let plan = match options.record {
            RecordKind::Raw => FeaturePlan::raw("tfrecord")?,
            RecordKind::Auto | RecordKind::Example | RecordKind::Sequence => {
                let settled = |name: &str| features::is_settled(options, name);
                let mut inference = Inference::new(features::lists(options), &settled);
                if !options.features_complete || options.record != RecordKind::Example {
                    replay = infer(&inputs, options, &pool, &mut inference, &mut compressed)?;
                }
                features::plan(options, &inference, "tfrecord")?
            }
        };
        let partitions = inputs
            .iter()
            .map(|input| Partition { name: input.name(), bytes: input.bytes(), rows: None })
            .collect();
        let shared = Shared {
            plan: Arc::new(plan),
            record: options.record,
            check_crc: options.check_crc,
            max_record_bytes: options.max_record_bytes,
            pool,
            decoders: Mutex::default(),
        };
        let what = match options.record {
            RecordKind::Raw => "raw records",
            _ if shared.plan.sequence => "tf.train.SequenceExample",
            _ => "tf.train.Example",
        };
        Ok(Self {
            shared: Arc::new(shared),
            kind: format!("TFRecord files of {what}"),
            inputs,
            partitions,
            compressed,
            replay: Mutex::new(replay),
        })
    }
}

/// Observes the first records of `inputs`. Standard input cannot be read again, so its frames come
/// back for later.
fn infer(
    inputs: &[Input],
    options: &OpenOptions,
    pool: &Arc<BufferPool>,
    inference: &mut Inference<'_>,
    compressed: &mut bool,
) -> Result<Option<Replay>> {
    let mut replay = None;
    let enough = |inference: &Inference<'_>| match options.infer {
        _ if options.features_complete => inference.records() >= features::PROBE_RECORDS,
        InferRecords::First(limit) => inference.records() >= limit,
        InferRecords::All => false,
    };
    for input in inputs {
        if enough(inference) {
            break;
        }
        let mut reader = FrameReader::open(input, pool, options.max_record_bytes, &Arc::default())?;
        *compressed |= reader.compression() != Compression::None;
        let keep = *input == Input::Stdin;
        let mut runs: Vec<FrameRun> = Vec::new();
        while !enough(inference) {
            let Some(frame) = reader.next_frame()? else { break };
            let run = reader.begin_run(&frame);
            let record =
                tfrecord::record_of(run.bytes(), options.check_crc).map_err(|f| data_error(f, &run))?;
            inference.observe(record).map_err(|e| {
                e.at_offset(frame.offset).at_record(frame.record).in_source(run.source.clone())
            })?;
            if keep && !runs.last_mut().is_some_and(|last| reader.extend_run(last, &frame)) {
                runs.push(run);
            }
        }
        if keep {
            replay = Some(Replay { runs, reader });
        }
    }
    Ok(replay)
}

fn data_error(fault: tfrecord::FrameFault, run: &FrameRun) -> Error {
    Error::corrupt(fault.to_string())
        .at_offset(run.offset + fault.offset_in_frame())
        .at_record(run.first_record)
        .in_source(run.source.clone())
}

impl Source for TfRecordSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.shared.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.shared.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn reading_is_heavy(&self) -> bool {
        self.compressed
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        let end = partitions.end.min(self.inputs.len());
        let inputs: Vec<Input> = self.inputs.get(partitions.start.min(end)..end).unwrap_or_default().to_vec();
        let mut replay = None;
        if inputs.contains(&Input::Stdin) {
            replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(Box::new(TfRecordUnits {
            shared: self.shared.clone(),
            options: options.clone(),
            inputs: inputs.into_iter(),
            replay,
            reader: None,
            pending: Vec::new(),
            element: 0,
            taken: 0,
            done: false,
        }))
    }
}

/// Cuts the files' frames into units of a batch each.
struct TfRecordUnits {
    shared: Arc<Shared>,
    options: ReadOptions,
    inputs: std::vec::IntoIter<Input>,
    replay: Option<Replay>,
    reader: Option<FrameReader>,
    /// Runs that inference read, the next one last.
    pending: Vec<FrameRun>,
    /// Elements seen so far.
    element: u64,
    /// Elements selected so far.
    taken: u64,
    done: bool,
}

impl TfRecordUnits {
    /// Whether the next element is selected; counts it.
    #[inline]
    fn select(&mut self) -> bool {
        let selection = &self.options.selection;
        let element = self.element;
        self.element += 1;
        let Some(after_skip) = element.checked_sub(selection.skip) else { return false };
        selection.shard.is_none_or(|(index, count)| after_skip % count.max(1) == index)
    }

    fn finished(&self) -> bool {
        self.done || self.options.selection.take.is_some_and(|take| self.taken >= take)
    }

    /// The reader of the next file; `false` if there is none.
    fn open_next(&mut self) -> Result<bool> {
        let Some(input) = self.inputs.next() else { return Ok(false) };
        if input == Input::Stdin
            && let Some(replay) = self.replay.take()
        {
            self.pending = replay.runs;
            self.pending.reverse();
            self.reader = Some(replay.reader);
            return Ok(true);
        }
        let shared = &self.shared;
        let reader =
            FrameReader::open(&input, &shared.pool, shared.max_record_bytes, &self.options.progress)?;
        self.reader = Some(reader);
        Ok(true)
    }

    fn cut(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let mut unit = TfRecordUnit {
            shared: self.shared.clone(),
            runs: Vec::new(),
            rows: 0,
            options: self.options.clone(),
        };
        let mut bytes = 0;
        while unit.rows < self.options.batch_rows && bytes < self.options.batch_bytes && !self.finished() {
            if let Some(run) = self.pending.pop() {
                // Frames of standard input that inference read: one run a frame, so that each can
                // be selected.
                for frame in run.split() {
                    if self.select() && !self.finished() {
                        bytes += frame.bytes().len();
                        self.taken += 1;
                        unit.rows += 1;
                        unit.runs.push(frame);
                    }
                }
                continue;
            }
            let Some(reader) = &mut self.reader else {
                if !self.open_next()? {
                    self.done = true;
                }
                continue;
            };
            let Some(frame) = reader.next_frame()? else {
                self.reader = None;
                continue;
            };
            if self.select() {
                self.taken += 1;
                unit.rows += 1;
                bytes += frame.bytes;
                self.add(&mut unit, &frame);
            }
        }
        Ok((unit.rows > 0).then(|| Box::new(unit) as Box<dyn Unit>))
    }

    #[inline]
    fn add(&self, unit: &mut TfRecordUnit, frame: &Frame) {
        let Some(reader) = &self.reader else { return };
        if !unit.runs.last_mut().is_some_and(|run| reader.extend_run(run, frame)) {
            unit.runs.push(reader.begin_run(frame));
        }
    }
}

impl Units for TfRecordUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let result = self.cut();
        if !matches!(result, Ok(Some(_))) {
            self.done = true;
        }
        result
    }
}

/// The frames of one batch.
struct TfRecordUnit {
    shared: Arc<Shared>,
    runs: Vec<FrameRun>,
    rows: usize,
    options: ReadOptions,
}

impl TfRecordUnit {
    fn decode_with(
        &self,
        decoder: &mut RecordDecoder,
        emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        for run in &self.runs {
            let mut frames = tfrecord::Frames::new(run.bytes(), u64::MAX);
            let mut record_number = run.first_record;
            let mut offset = run.offset;
            let place = |e: Error, offset, record| {
                e.at_offset(offset).at_record(record).in_source(run.source.clone())
            };
            // The frames were measured when they were read.
            while let Ok(Some(frame)) = frames.next_frame() {
                match tfrecord::record_of(frame, self.shared.check_crc) {
                    Ok(record) => decoder.append(record).map_err(|e| place(e, offset, record_number))?,
                    Err(fault) => {
                        let at = offset + fault.offset_in_frame();
                        return Err(place(Error::corrupt(fault.to_string()), at, record_number));
                    }
                }
                record_number += 1;
                offset += frame.len() as u64;
            }
        }
        let rows = decoder.rows() as u64;
        emit(decoder.finish()?)?;
        self.options.progress.add_rows(rows);
        Ok(())
    }
}

impl Unit for TfRecordUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let decoders = &self.shared.decoders;
        let pooled = decoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = match pooled {
            Some(decoder) => decoder,
            None => RecordDecoder::new(
                &self.shared.plan,
                self.shared.record == RecordKind::Raw,
                self.options.batch_rows,
            )?,
        };
        self.decode_with(&mut decoder, emit)?;
        // A decoder that failed is in the middle of a batch and is not used again.
        decoders.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
        Ok(())
    }
}

/// The number of records in `input`: its frames are hopped over; lengths are checked, data is not.
///
/// # Errors
/// The stream is damaged or cannot be read.
pub(crate) fn count_records(
    input: &Input,
    max_record_bytes: u64,
    progress: &Arc<super::Progress>,
) -> Result<u64> {
    let pool: Arc<BufferPool> = Arc::default();
    let mut reader = FrameReader::open(input, &pool, max_record_bytes, progress)?;
    let mut records = 0;
    while reader.next_frame()?.is_some() {
        records += 1;
    }
    Ok(records)
}
