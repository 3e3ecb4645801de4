//! Files of records of any format, read in runs that are decoded later.

use std::ops::Range;
use std::sync::Arc;

use super::Shared;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::options::Phrase;
use crate::source::ahead;
use crate::source::blocks::{FrameReader, FrameRun};
use crate::source::{InputFile, ReadOptions};
use crate::wire::tfrecord;

#[cfg(feature = "array-record")]
use crate::source::array_record::file::{ArrayRecordFile, ChunkRun, ChunkStream};
#[cfg(feature = "parquet")]
use crate::source::tfds::parquet::{ParquetShard, ValueRun, ValueStream};

/// A file of records.
#[derive(Debug, Clone)]
pub(crate) enum RecordFile {
    /// TFRecord.
    Frames(Input),
    /// The records of a plain TFRecord file that lie in these bytes, from the record of this number on.
    FramesAt(Input, Range<u64>, u64),
    /// ArrayRecord.
    #[cfg(feature = "array-record")]
    Chunks(Arc<ArrayRecordFile>),
    /// ArrayRecord whose index is read when it is opened.
    #[cfg(feature = "array-record")]
    ChunksAt(Input),
    /// Parquet with one binary column.
    #[cfg(feature = "parquet")]
    Values(Arc<ParquetShard>),
}

impl RecordFile {
    /// What to call it in messages.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            RecordFile::Frames(input) | RecordFile::FramesAt(input, ..) => input.name(),
            #[cfg(feature = "array-record")]
            RecordFile::Chunks(file) => file.name(),
            #[cfg(feature = "array-record")]
            RecordFile::ChunksAt(input) => input.name(),
            #[cfg(feature = "parquet")]
            RecordFile::Values(shard) => shard.name(),
        }
    }

    /// What it is read from, for a partition.
    pub(crate) fn inputs(&self) -> Vec<InputFile> {
        match self {
            RecordFile::Frames(input) | RecordFile::FramesAt(input, ..) => vec![InputFile::of(input)],
            #[cfg(feature = "array-record")]
            RecordFile::Chunks(file) => vec![file.input()],
            #[cfg(feature = "array-record")]
            RecordFile::ChunksAt(input) => vec![InputFile::of(input)],
            #[cfg(feature = "parquet")]
            RecordFile::Values(shard) => vec![InputFile::of(shard.input())],
        }
    }

    /// As [`open`](Self::open), but a stream that can be read once is read again afterwards.
    pub(super) fn open_to_sample(&self, shared: &Shared, options: &ReadOptions) -> Result<Stream> {
        match self {
            RecordFile::Frames(input) => {
                let input = input.in_turn(options.turns.as_ref());
                let reader = FrameReader::open_to_sample(&input, &shared.pool, shared.max_record_bytes)?;
                Ok(Stream::Frames(Box::new(reader)))
            }
            #[allow(unreachable_patterns)]
            other => other.open(shared, options, 0..u64::MAX),
        }
    }

    /// Opens it at its first record, to read `records` of it.
    fn open(&self, shared: &Shared, options: &ReadOptions, records: Range<u64>) -> Result<Stream> {
        let (pool, most) = (&shared.pool, shared.max_record_bytes);
        let (progress, turns) = (&options.progress, options.turns.as_ref());
        #[cfg(not(feature = "array-record"))]
        let _ = records;
        Ok(match self {
            RecordFile::Frames(input) => {
                let reader = FrameReader::open(&input.in_turn(turns), pool, most, progress)?;
                Stream::Frames(Box::new(reader))
            }
            RecordFile::FramesAt(input, bytes, first) => {
                let input = input.in_turn(turns);
                let reader = FrameReader::open_at(&input, bytes.clone(), *first, pool, most, progress)?;
                Stream::Frames(Box::new(reader))
            }
            #[cfg(feature = "array-record")]
            RecordFile::Chunks(file) => {
                Stream::Chunks(ChunkStream::open(file, records, pool, most, options)?)
            }
            #[cfg(feature = "array-record")]
            RecordFile::ChunksAt(input) => {
                let file = Arc::new(ArrayRecordFile::open(input)?);
                Stream::Chunks(ChunkStream::open(&file, records, pool, most, options)?)
            }
            #[cfg(feature = "parquet")]
            RecordFile::Values(shard) => Stream::Values(ValueStream::open(shard, progress)?),
        })
    }
}

/// Records of one file that are to be read, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) file: RecordFile,
    /// Records to leave out at the beginning of the file.
    pub(crate) skip: u64,
    /// How many records to read; all to the end if it is not known how many there are.
    pub(crate) records: Option<u64>,
    /// Whether the file must end after them.
    pub(crate) to_end: bool,
    /// The number of the first record among the source's elements.
    pub(crate) first_element: u64,
}

impl Piece {
    /// All records of `file`.
    pub(crate) fn whole(file: RecordFile) -> Self {
        Self { file, skip: 0, records: None, to_end: false, first_element: 0 }
    }

    /// The numbers of its records in the file.
    fn numbers(&self) -> Range<u64> {
        self.skip..self.records.map_or(u64::MAX, |records| self.skip.saturating_add(records))
    }

    /// Opens its file, at the first record there.
    pub(super) fn open(&self, shared: &Shared, options: &ReadOptions) -> Result<Stream> {
        self.file.open(shared, options, self.numbers())
    }

    /// What is read of its file from the first byte to the last, where that is known.
    pub(crate) fn in_order(&self) -> Vec<(InputFile, Range<u64>)> {
        match &self.file {
            RecordFile::Frames(input) => ahead::whole(std::iter::once(input)),
            RecordFile::FramesAt(input, bytes, _) => vec![(InputFile::of(input), bytes.clone())],
            #[cfg(feature = "array-record")]
            RecordFile::Chunks(file) => vec![(file.input(), file.read_for(self.numbers()))],
            #[cfg(feature = "array-record")]
            RecordFile::ChunksAt(input) if self.skip == 0 => ahead::whole(std::iter::once(input)),
            #[cfg(any(feature = "array-record", feature = "parquet"))]
            _ => Vec::new(),
        }
    }

    /// The error of a file that ends after `found` records.
    #[cold]
    pub(super) fn short(&self, found: u64) -> Error {
        Error::mismatch("file with fewer records than its metadata says")
            .expected(self.records.unwrap_or(0).to_string(), found.to_string())
            .in_source(self.file.name())
            .with_hint(Phrase::new("pass {lenient=true} to read what is there"))
    }
}

/// An open file.
pub(super) enum Stream {
    Frames(Box<FrameReader>),
    #[cfg(feature = "array-record")]
    Chunks(ChunkStream),
    #[cfg(feature = "parquet")]
    Values(ValueStream),
}

impl Stream {
    /// Steps over up to `records` records, without reading them where the format allows it;
    /// returns how many there were.
    pub(super) fn skip(&mut self, records: u64) -> Result<u64> {
        match self {
            Stream::Frames(reader) => {
                let mut skipped = 0;
                while skipped < records && reader.next_frame()?.is_some() {
                    skipped += 1;
                }
                Ok(skipped)
            }
            #[cfg(feature = "array-record")]
            Stream::Chunks(stream) => Ok(stream.skip(records)),
            #[cfg(feature = "parquet")]
            Stream::Values(stream) => stream.skip(records),
        }
    }

    /// Goes on after an error of [`next_run`](Self::next_run) or [`skip`](Self::skip), past one
    /// record; `false` where what is left of the file is lost.
    pub(super) fn pass_over(&mut self) -> Result<bool> {
        match self {
            Stream::Frames(reader) => reader.resync(),
            #[cfg(feature = "array-record")]
            Stream::Chunks(_) => Ok(false),
            #[cfg(feature = "parquet")]
            Stream::Values(_) => Ok(false),
        }
    }

    /// The next records: at least one, at most `records`, of about `bytes` bytes; `None` at the
    /// end of the file.
    pub(super) fn next_run(&mut self, records: usize, bytes: usize) -> Result<Option<Run>> {
        match self {
            Stream::Frames(reader) => Ok(reader.next_run(records, bytes)?.map(Run::Frames)),
            #[cfg(feature = "array-record")]
            Stream::Chunks(stream) => Ok(stream.next_run(records, bytes)?.map(Run::Chunks)),
            #[cfg(feature = "parquet")]
            Stream::Values(stream) => Ok(stream.next_run(records)?.map(Run::Values)),
        }
    }
}

/// Records that were read, but not decoded.
#[derive(Debug)]
pub(crate) enum Run {
    Frames(FrameRun),
    #[cfg(feature = "array-record")]
    Chunks(ChunkRun),
    #[cfg(feature = "parquet")]
    Values(ValueRun),
}

/// What decoding runs needs, kept from run to run.
#[derive(Debug, Default)]
pub(crate) struct RunScratch {
    #[cfg(feature = "array-record")]
    pub(crate) chunks: crate::wire::riegeli::ChunkDecoder,
}

impl Run {
    /// How many records there are.
    pub(super) fn records(&self) -> usize {
        match self {
            Run::Frames(run) => run.records,
            #[cfg(feature = "array-record")]
            Run::Chunks(run) => run.records,
            #[cfg(feature = "parquet")]
            Run::Values(run) => run.records(),
        }
    }

    /// The same records in runs so small that damage in one says nothing of another.
    pub(super) fn split(&self) -> Vec<Run> {
        match self {
            Run::Frames(run) => run.split().into_iter().map(Run::Frames).collect(),
            #[cfg(feature = "array-record")]
            Run::Chunks(run) => run.by_chunk().into_iter().map(Run::Chunks).collect(),
            #[cfg(feature = "parquet")]
            Run::Values(run) => run.split().into_iter().map(Run::Values).collect(),
        }
    }

    /// Bytes of input that stand behind it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Run::Frames(run) => run.bytes().len(),
            #[cfg(feature = "array-record")]
            Run::Chunks(run) => run.bytes(),
            #[cfg(feature = "parquet")]
            Run::Values(run) => run.bytes(),
        }
    }

    /// The source and the number in it of the record `index` of the run.
    pub(super) fn place(&self, index: u64) -> (Arc<str>, u64) {
        match self {
            Run::Frames(run) => (run.source.clone(), run.first_record + index),
            #[cfg(feature = "array-record")]
            Run::Chunks(run) => (run.source(), run.first_record() + index),
            #[cfg(feature = "parquet")]
            Run::Values(run) => (run.source(), run.first_record() + index),
        }
    }

    /// Says where the record `index` of the run is.
    #[cold]
    pub(super) fn locate(&self, index: u64, error: Error) -> Error {
        let error = match self {
            Run::Frames(run) if index == 0 => error.at_offset(run.offset),
            _ => error,
        };
        let (source, record) = self.place(index);
        error.at_record(record).in_source(source)
    }

    /// The file that it is of.
    pub(super) fn source(&self) -> Arc<str> {
        self.place(0).0
    }

    /// Where the byte of the run's only record that `error` names is in the file; forgotten where that
    /// is not known.
    #[cold]
    pub(super) fn place_byte(&self, error: Error) -> Error {
        match self {
            Run::Frames(run) => in_frame(error, run.offset),
            #[cfg(any(feature = "array-record", feature = "parquet"))]
            _ => error.without_offset(),
        }
    }

    /// Gives every record to `take`; errors name the place.
    #[inline]
    pub(super) fn for_each(
        &self,
        check_crc: bool,
        scratch: &mut RunScratch,
        #[allow(unused_mut)] mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        match self {
            Run::Frames(run) => {
                let _ = scratch;
                frames_for_each(run, check_crc, take)
            }
            #[cfg(feature = "array-record")]
            Run::Chunks(run) => run.for_each(&mut scratch.chunks, &mut take),
            #[cfg(feature = "parquet")]
            Run::Values(run) => run.for_each(&mut take),
        }
    }
}

/// Where the byte of a record that `error` names is in the file, in which the record's frame begins at
/// `offset`; where the frame begins if it names none.
#[cold]
fn in_frame(error: Error, offset: u64) -> Error {
    match error.location().offset {
        Some(_) => error.rebase(offset + tfrecord::HEADER_BYTES as u64),
        None => error.at_offset(offset),
    }
}

#[inline]
fn frames_for_each(run: &FrameRun, check_crc: bool, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let (mut offset, mut record_number) = (run.offset, run.first_record);
    for frame in run.frames() {
        let place = |e: Error| in_frame(e, offset).at_record(record_number).in_source(run.source.clone());
        let record = tfrecord::record_of(frame, check_crc).map_err(|fault| {
            Error::corrupt(fault.to_string())
                .at_offset(offset + fault.offset_in_frame())
                .at_record(record_number)
                .in_source(run.source.clone())
        })?;
        take(record).map_err(place)?;
        record_number += 1;
        offset += frame.len() as u64;
    }
    Ok(())
}
