//! The records of TFRecord streams, after they were cut into batches: decoding and checking.

use std::sync::{Arc, Mutex, PoisonError};

use super::blocks::{BufferPool, Frame, FrameReader, FrameRun};
use super::{Decoded, ReadOptions, Unit};
use crate::column::record::RecordDecoder;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{OnError, RecordKind};
use crate::schema::FeaturePlan;
use crate::wire::tfrecord;

/// What reading and decoding have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Arc<FeaturePlan>,
    pub(super) record: RecordKind,
    pub(super) check_crc: bool,
    pub(super) max_record_bytes: u64,
    pub(super) pool: Arc<BufferPool>,
    pub(super) decoders: Mutex<Vec<RecordDecoder>>,
}

/// What stands in a stream: frames, or what could not be read as one.
#[derive(Debug)]
pub(super) enum Piece {
    Run(FrameRun),
    Fault(Error),
}

/// Adds `frame`, the one that `reader` read last, to `piece` if it follows on it.
#[inline]
pub(super) fn extend(piece: Option<&mut Piece>, reader: &FrameReader, frame: &Frame) -> bool {
    match piece {
        Some(Piece::Run(run)) => reader.extend_run(run, frame),
        _ => false,
    }
}

pub(super) fn data_error(fault: tfrecord::FrameFault, run: &FrameRun) -> Error {
    Error::corrupt(fault.to_string())
        .at_offset(run.offset + fault.offset_in_frame())
        .at_record(run.first_record)
        .in_source(run.source.clone())
}

/// The frames of one batch.
pub(super) struct TfRecordUnit {
    pub(super) shared: Arc<Shared>,
    pub(super) pieces: Vec<Piece>,
    pub(super) rows: usize,
    /// Whether it ends with the last element of a part.
    pub(super) ends_part: bool,
    pub(super) options: ReadOptions,
}

impl TfRecordUnit {
    /// Decodes up to the first batch that grows large; returns whether something is left.
    fn decode_with(
        &mut self,
        decoder: &mut RecordDecoder,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<bool> {
        let decoded_bytes = self.options.decoded_bytes();
        let mut pieces = std::mem::take(&mut self.pieces).into_iter();
        while let Some(piece) = pieces.next() {
            let run = match piece {
                Piece::Run(run) => run,
                Piece::Fault(error) => {
                    stand_in(error, self.options.on_error, decoder, emit)?;
                    continue;
                }
            };
            let mut frames = tfrecord::Frames::new(run.bytes(), u64::MAX);
            let (mut records, mut bytes) = (0, 0);
            // The frames were measured when they were read.
            while let Ok(Some(frame)) = frames.next_frame() {
                if let Some(error) = append(frame, self.shared.check_crc, decoder, emit)? {
                    let error = error
                        .rebase(run.offset + bytes as u64)
                        .at_record(run.first_record + records as u64)
                        .in_source(run.source.clone());
                    stand_in(error, self.options.on_error, decoder, emit)?;
                } else if decoder.has_lost() {
                    for error in decoder.take_lost() {
                        let error = error
                            .rebase(run.offset + bytes as u64)
                            .at_record(run.first_record + records as u64)
                            .in_source(run.source.clone());
                        emit(Decoded::NulledValue(error.into()))?;
                    }
                }
                records += 1;
                bytes += frame.len();
                if decoder.is_full(decoded_bytes) {
                    self.pieces.extend(run.after(records, bytes).map(Piece::Run));
                    self.pieces.extend(pieces);
                    return self.end(decoder, emit);
                }
            }
        }
        self.end(decoder, emit)
    }

    fn end(&self, decoder: &mut RecordDecoder, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<bool> {
        if decoder.rows() > 0 {
            emit(decoder.finish()?.into())?;
        }
        if !self.pieces.is_empty() {
            return Ok(true);
        }
        if self.ends_part {
            emit(Decoded::EndOfPart)?;
        }
        self.options.progress.add_rows(self.rows as u64);
        Ok(false)
    }
}

/// Appends the record of `frame` as a row; returns what is wrong with it, if something is, with
/// the byte within the frame. No row is appended then.
#[inline]
fn append(
    frame: &[u8],
    check_crc: bool,
    decoder: &mut RecordDecoder,
    emit: &mut dyn FnMut(Decoded) -> Result<()>,
) -> Result<Option<Error>> {
    let record = match tfrecord::record_of(frame, check_crc) {
        Ok(record) => record,
        Err(fault) => {
            return Ok(Some(Error::corrupt(fault.to_string()).at_offset(fault.offset_in_frame())));
        }
    };
    match decoder.append(record) {
        Ok(()) => Ok(None),
        Err(error) => append_again(record, error, decoder, emit),
    }
}

/// After a failed append: where a column of several rows is full, the row may begin the next batch.
#[cold]
fn append_again(
    record: &[u8],
    error: Error,
    decoder: &mut RecordDecoder,
    emit: &mut dyn FnMut(Decoded) -> Result<()>,
) -> Result<Option<Error>> {
    decoder.rollback();
    if error.kind() != ErrorKind::Limit || decoder.rows() == 0 {
        return Ok(Some(error));
    }
    emit(decoder.finish()?.into())?;
    let again = decoder.append(record).err();
    if again.is_some() {
        decoder.rollback();
    }
    Ok(again)
}

/// Deals with a record that cannot be read.
///
/// # Errors
/// The policy is to fail, or the error is not one of the record's data.
fn stand_in(
    error: Error,
    policy: OnError,
    decoder: &mut RecordDecoder,
    emit: &mut dyn FnMut(Decoded) -> Result<()>,
) -> Result<()> {
    if !policy.tolerates(&error) {
        return Err(error);
    }
    if policy.keeps_rows() {
        decoder.push_null()?;
    }
    emit(error.into())
}

impl Unit for TfRecordUnit {
    fn decode(
        mut self: Box<Self>,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<Option<Box<dyn Unit>>> {
        let shared = self.shared.clone();
        let decoders = &shared.decoders;
        let pooled = decoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = match pooled {
            Some(decoder) => decoder,
            None => {
                RecordDecoder::new(&shared.plan, shared.record == RecordKind::Raw, self.options.batch_rows)?
            }
        };
        let more = self.decode_with(&mut decoder, emit)?;
        // A decoder that failed is in the middle of a batch and is not used again.
        decoders.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
        Ok(more.then_some(self as Box<dyn Unit>))
    }
}
