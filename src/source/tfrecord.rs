//! TFRecord files of `tf.train.Example` or `SequenceExample`, or of records kept as bytes.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;

use super::blocks::{BufferPool, Frame, FrameReader};
use super::features;
use super::options::OpenOptions;
use super::records::{self, RecordFile};
use super::report::Failure;
use super::tfrecord_unit::{Piece, Shared, TfRecordUnit, data_error, extend};
use super::{Cardinality, InputFile, Partition, ReadOptions, Source, Unit, Units, Verified};
use crate::error::Result;
use crate::input::Input;
use crate::options::{InferRecords, RecordKind};
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
        let mut compressed = false;
        let record = if options.to_verify { RecordKind::Raw } else { options.record };
        let plan = match record {
            RecordKind::Raw => features::raw_plan(options, "tfrecord")?,
            _ => {
                let settled = |name: &str| features::is_settled(options, name);
                let mut inference = features::inference(options, &settled);
                if !options.features_complete || options.record != RecordKind::Example {
                    infer(&inputs, options, &pool, &mut inference, &mut compressed)?;
                }
                features::plan(options, &inference, "tfrecord")?
            }
        };
        let partitions =
            inputs.iter().map(|input| Partition::new(input.name(), vec![InputFile::of(input)])).collect();
        let shared = Shared {
            plan: Arc::new(plan),
            record,
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
        })
    }
}

/// Observes the first records of `inputs`, which are read again later.
fn infer(
    inputs: &[Input],
    options: &OpenOptions,
    pool: &Arc<BufferPool>,
    inference: &mut Inference<'_>,
    compressed: &mut bool,
) -> Result<()> {
    let mut first_fault = None;
    let enough = |inference: &Inference<'_>| match options.infer {
        _ if options.features_complete => inference.records() >= features::PROBE_RECORDS,
        InferRecords::First(limit) => inference.records() >= limit,
        InferRecords::All => false,
    };
    for input in inputs {
        if enough(inference) {
            break;
        }
        let mut reader = FrameReader::open_to_sample(input, pool, options.max_record_bytes)?;
        *compressed |= reader.compression() != Compression::None;
        let mut more = true;
        while more && !enough(inference) {
            let frame = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) if options.on_error.tolerates(&error) => {
                    more = reader.resync()?;
                    first_fault.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let run = reader.begin_run(&frame);
            let observed = tfrecord::record_of(run.bytes(), options.check_crc)
                .map_err(|fault| data_error(fault, &run))
                .and_then(|record| {
                    inference.observe(record).map_err(|e| {
                        e.at_offset(frame.offset).at_record(frame.record).in_source(run.source.clone())
                    })
                });
            match observed {
                // It is told of when it is read again.
                Err(error) if options.on_error.tolerates(&error) => {
                    first_fault.get_or_insert(error);
                }
                other => other?,
            }
        }
    }
    // Nothing is known of what the columns should be: the first fault says why.
    match first_fault.filter(|_| !inference.has_names() && options.features.is_empty()) {
        Some(fault) => Err(fault),
        None => Ok(()),
    }
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

    fn cuts_parts(&self) -> bool {
        true
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(self.read(partitions, options)))
    }

    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        let inputs = self.inputs.get(partition..=partition).unwrap_or_default().iter();
        let whole = |input: &Input| records::Piece::whole(RecordFile::Frames(input.clone()));
        let pieces: Vec<_> = inputs.map(whole).collect();
        records::verify(&pieces, self.shared.max_record_bytes, &options.progress, damage)
    }
}

impl TfRecordSource {
    fn read(&self, partitions: Range<usize>, options: &ReadOptions) -> TfRecordUnits {
        let end = partitions.end.min(self.inputs.len());
        let inputs: Vec<Input> = self.inputs.get(partitions.start.min(end)..end).unwrap_or_default().to_vec();
        TfRecordUnits {
            shared: self.shared.clone(),
            options: options.clone(),
            inputs: inputs.into_iter(),
            reader: None,
            element: 0,
            taken: 0,
            done: false,
        }
    }
}

/// Cuts the files' frames into units of a batch each.
struct TfRecordUnits {
    shared: Arc<Shared>,
    options: ReadOptions,
    inputs: std::vec::IntoIter<Input>,
    reader: Option<FrameReader>,
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
        let shared = &self.shared;
        let reader =
            FrameReader::open(&input, &shared.pool, shared.max_record_bytes, &self.options.progress)?;
        self.reader = Some(reader);
        Ok(true)
    }

    fn cut(&mut self) -> Result<Option<TfRecordUnit>> {
        let mut unit = TfRecordUnit {
            shared: self.shared.clone(),
            pieces: Vec::new(),
            rows: 0,
            ends_part: false,
            options: self.options.clone(),
        };
        let (mut bytes, most_bytes) = (0, self.options.record_bytes());
        while unit.rows < self.options.batch_rows && bytes < most_bytes && !self.finished() {
            if unit.rows > 0
                && self.options.part_rows.is_some_and(|rows| self.taken.is_multiple_of(rows.max(1)))
            {
                break;
            }
            let Some(reader) = &mut self.reader else {
                if !self.open_next()? {
                    self.done = true;
                }
                continue;
            };
            let frame = match reader.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.reader = None;
                    continue;
                }
                Err(error) if self.options.on_error.tolerates(&error) => {
                    if !reader.resync()? {
                        self.reader = None;
                    }
                    if self.select() {
                        self.taken += 1;
                        unit.rows += 1;
                        unit.pieces.push(Piece::Fault(error));
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.select() {
                self.taken += 1;
                unit.rows += 1;
                bytes += frame.bytes;
                self.add(&mut unit, &frame);
            }
        }
        unit.ends_part = self.options.part_rows.is_some_and(|rows| self.taken.is_multiple_of(rows.max(1)));
        Ok((unit.rows > 0).then_some(unit))
    }

    #[inline]
    fn add(&self, unit: &mut TfRecordUnit, frame: &Frame) {
        let Some(reader) = &self.reader else { return };
        if !extend(unit.pieces.last_mut(), reader, frame) {
            unit.pieces.push(Piece::Run(reader.begin_run(frame)));
        }
    }

    /// As [`cut`](Self::cut); there is nothing after an error.
    fn next(&mut self) -> Result<Option<TfRecordUnit>> {
        let result = self.cut();
        if !matches!(result, Ok(Some(_))) {
            self.done = true;
        }
        result
    }
}

impl Units for TfRecordUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        Ok(self.next()?.map(|unit| Box::new(unit) as Box<dyn Unit>))
    }
}
