//! The records of one batch, on their way to being rows.

use std::sync::{Arc, PoisonError};

use super::runs::Run;
use super::{Appending, Of, RowDecoder, RunScratch, Shared, is_limit};
use crate::error::{Error, Result};
use crate::options::OnError;
use crate::source::report::Failure;
use crate::source::{Decoded, ReadOptions, Unit};

/// A file, and the number of a record in it.
type Place = (Arc<str>, u64);

/// What is told of records and values that were lost, with the number of records before that were
/// not.
type Lost = Vec<(usize, Decoded)>;

/// The records of one batch.
pub(super) struct RecordUnit {
    pub(super) shared: Arc<Shared>,
    /// Runs and the element number of each one's first record.
    pub(super) runs: Vec<(Run, u64)>,
    /// How many records of the first run were given out already.
    pub(super) passed: usize,
    /// How many records are decoded at a time, at most, since more grew too large.
    pub(super) most_rows: usize,
    /// What could not be read, with the number of runs before it.
    pub(super) faults: Vec<(usize, Failure)>,
    /// Whether it ends with the last element of a part.
    pub(super) ends_part: bool,
    pub(super) options: ReadOptions,
}

/// What came of records some of which could not be read.
#[derive(Default)]
struct Sound {
    /// Records that are done with.
    done: usize,
    /// Where each of those is that became a row, or for which a row of nulls stands.
    kept: Vec<Place>,
    lost: Lost,
}

impl Sound {
    /// Tells of the values of the record at `place`, just appended, that could not be read.
    fn tell_values(&mut self, decoder: &mut dyn RowDecoder, run: &Run, place: &Place) {
        for error in decoder.take_lost() {
            let error = run.place_byte(error).at_record(place.1).in_source(place.0.clone());
            self.lost.push((self.kept.len(), Decoded::NulledValue(error.into())));
        }
    }

    /// Deals with a record that cannot be read.
    fn lose(
        &mut self,
        decoder: &mut dyn RowDecoder,
        policy: OnError,
        place: Place,
        failure: Failure,
    ) -> Result<()> {
        self.lost.push((self.kept.len(), Decoded::Failure(failure)));
        if policy.keeps_rows() {
            decoder.push_null()?;
            self.kept.push(place);
        }
        Ok(())
    }
}

impl RecordUnit {
    /// Decodes the unit, or as much of it as makes a batch that is large; returns how many of its records
    /// are done with.
    pub(super) fn decode_with(
        &self,
        decoder: &mut dyn RowDecoder,
        scratch: &mut RunScratch,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<usize> {
        let policy = self.options.on_error;
        let mut rows = 0;
        let done = if policy == OnError::Fail {
            let appended = self.append_all(decoder, scratch)?;
            let failed = &mut |row: usize, _: Of, error: Error| Err(self.place(self.passed + row, error));
            let given = decoder.finish(policy, failed, &mut |batch| {
                rows += batch.num_rows() as u64;
                emit(batch.into())
            })?;
            given.unwrap_or(appended)
        } else {
            let Sound { done, kept, mut lost } = self.append_sound(decoder, scratch)?;
            let mut batches = Vec::new();
            let failed = &mut |row: usize, of: Of, error: Error| {
                let error = match kept.get(row) {
                    Some((source, record)) => error.at_record(*record).in_source(source.clone()),
                    None => error,
                };
                if !policy.tolerates(&error) {
                    return Err(error);
                }
                let failure = match of {
                    Of::Record => Decoded::Failure(error.into()),
                    Of::Value => Decoded::NulledValue(error.into()),
                };
                lost.push((row, failure));
                Ok(())
            };
            decoder.finish(policy, failed, &mut |batch| {
                batches.push(batch);
                Ok(())
            })?;
            lost.sort_by_key(|(row, _)| *row);
            lost.into_iter().try_for_each(|(_, failure)| emit(failure))?;
            for batch in batches {
                rows += batch.num_rows() as u64;
                emit(batch.into())?;
            }
            done
        };
        if self.shared.counts_rows {
            self.options.progress.add_rows(rows);
        }
        Ok(done)
    }

    /// What is left after the next `records`; `None` if nothing is.
    fn after(mut self: Box<Self>, records: usize) -> Option<Box<Self>> {
        let mut done = self.passed.saturating_add(records);
        let mut whole = 0;
        while let Some((run, _)) = self.runs.get(whole)
            && run.records() <= done
        {
            done -= run.records();
            whole += 1;
        }
        // Faults before a run are told of when it is begun, those after the last one at the end.
        let is_left = |before: usize| if done > 0 { before > whole } else { before >= whole };
        self.faults.retain(|(before, _)| whole < self.runs.len() && is_left(*before));
        self.faults.iter_mut().for_each(|(before, _)| *before -= whole);
        self.runs.drain(..whole);
        self.passed = done;
        self.most_rows = records.max(1);
        if self.runs.is_empty() { None } else { Some(self) }
    }

    /// Appends the records, any of which that cannot be read is an error; returns how many.
    fn append_all(&self, decoder: &mut dyn RowDecoder, scratch: &mut RunScratch) -> Result<usize> {
        let (passed, most_records) = (self.passed, self.most_rows);
        let most_bytes = self.options.decoded_bytes();
        let mut to = Appending { passed, records: 0, most_records, most_bytes, is_full: false };
        for (run, first) in self.runs.iter() {
            decoder.begin_run(&run.source());
            decoder.append_run(run, *first, self.shared.check_crc, scratch, &mut to)?;
            if to.is_full {
                break;
            }
        }
        Ok(to.records)
    }

    /// Appends the records that can be read. Records of a damaged chunk are told of one by one.
    fn append_sound(&self, decoder: &mut dyn RowDecoder, scratch: &mut RunScratch) -> Result<Sound> {
        let policy = self.options.on_error;
        let most_bytes = self.options.decoded_bytes();
        let mut sound = Sound::default();
        let (mut passed, mut is_full) = (self.passed, false);
        let mut faults = self.faults.iter().peekable();
        'unit: for (index, (run, first)) in self.runs.iter().enumerate() {
            while let Some((_, failure)) = faults.next_if(|(before, _)| *before <= index) {
                sound.lose(decoder, policy, run.place(0), failure.clone())?;
            }
            decoder.begin_run(&run.source());
            let mut element = *first;
            for run in run.split() {
                let mut at = 0;
                let read = run.for_each(self.shared.check_crc, scratch, |record| {
                    let (place, this) = (run.place(at), element);
                    at += 1;
                    element += 1;
                    if passed > 0 || is_full {
                        passed = passed.saturating_sub(1);
                        return Ok(());
                    }
                    match decoder.append(record, this) {
                        Ok(()) => {
                            sound.tell_values(decoder, &run, &place);
                            sound.kept.push(place);
                            sound.done += 1;
                            is_full = sound.kept.len() >= self.most_rows || decoder.is_full(most_bytes);
                            Ok(())
                        }
                        Err(error) if is_limit(&error, sound.kept.len()) => {
                            decoder.rollback();
                            is_full = true;
                            Ok(())
                        }
                        Err(error) if policy.tolerates(&error) => {
                            decoder.rollback();
                            let error = run.place_byte(error).at_record(place.1).in_source(place.0.clone());
                            sound.done += 1;
                            sound.lose(decoder, policy, place, error.into())
                        }
                        Err(error) => Err(error),
                    }
                });
                match read {
                    Ok(()) => {}
                    Err(error) if policy.tolerates(&error) => {
                        let failure = Failure::from(error);
                        for index in at..run.records() as u64 {
                            element += 1;
                            if passed > 0 || is_full {
                                passed = passed.saturating_sub(1);
                                continue;
                            }
                            let place = run.place(index);
                            let mut failure = failure.clone();
                            failure.location.record = Some(place.1);
                            sound.done += 1;
                            sound.lose(decoder, policy, place, failure)?;
                        }
                    }
                    Err(error) => return Err(error),
                }
                if is_full {
                    break 'unit;
                }
            }
        }
        let is_whole = sound.done + self.passed >= self.runs.iter().map(|(run, _)| run.records()).sum();
        for (_, failure) in faults.filter(|_| is_whole) {
            sound.lose(decoder, policy, ("".into(), 0), failure.clone())?;
        }
        Ok(sound)
    }

    /// Says where the record of row `row` is.
    #[cold]
    fn place(&self, row: usize, error: Error) -> Error {
        let mut before = 0;
        for (run, _) in &self.runs {
            if row < before + run.records() {
                let (source, record) = run.place((row - before) as u64);
                return error.at_record(record).in_source(source);
            }
            before += run.records();
        }
        error
    }
}

impl Unit for RecordUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let decoders = &self.shared.decoders;
        let pooled = decoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut decoder, mut scratch) = match pooled {
            Some(pooled) => pooled,
            None => ((self.shared.make)(self.options.batch_rows)?, RunScratch::default()),
        };
        let records = self.decode_with(decoder.as_mut(), &mut scratch, emit)?;
        // A decoder that failed is in the middle of a batch and is not used again.
        decoders.lock().unwrap_or_else(PoisonError::into_inner).push((decoder, scratch));
        let ends_part = self.ends_part;
        let rest = self.after(records);
        if ends_part && rest.is_none() {
            emit(Decoded::EndOfPart)?;
        }
        Ok(rest.map(|rest| rest as Box<dyn Unit>))
    }
}
