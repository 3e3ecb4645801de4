//! The records of one batch, on their way to being rows.

use std::sync::{Arc, PoisonError};

use super::runs::Run;
use super::{Of, RowDecoder, RunScratch, Shared};
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

impl RecordUnit {
    /// Decodes the unit, or under [`OnError::Fail`] as much of it as makes a batch that is large;
    /// returns how many records that was, at least.
    pub(super) fn decode_with(
        &self,
        decoder: &mut dyn RowDecoder,
        scratch: &mut RunScratch,
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<usize> {
        let policy = self.options.on_error;
        let mut rows = 0;
        let mut records = usize::MAX;
        if policy == OnError::Fail {
            let most_bytes = self.options.decoded_bytes();
            let mut appended = 0;
            let mut is_full = false;
            let mut passed = self.passed;
            for (run, first) in &self.runs {
                decoder.begin_run(&run.source());
                let mut element = *first;
                run.for_each(self.shared.check_crc, scratch, &mut |record| {
                    if passed > 0 || is_full {
                        passed = passed.saturating_sub(1);
                    } else {
                        decoder.append(record, element)?;
                        appended += 1;
                        is_full = appended >= self.most_rows || decoder.is_full(most_bytes);
                    }
                    element += 1;
                    Ok(())
                })?;
                if is_full {
                    break;
                }
            }
            let failed = &mut |row: usize, _: Of, error: Error| Err(self.place(self.passed + row, error));
            let given = decoder.finish(policy, failed, &mut |batch| {
                rows += batch.num_rows() as u64;
                emit(batch.into())
            })?;
            records = given.unwrap_or(appended);
        } else {
            let (kept, mut failures) = self.append_sound(decoder, scratch)?;
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
                failures.push((row, failure));
                Ok(())
            };
            decoder.finish(policy, failed, &mut |batch| {
                batches.push(batch);
                Ok(())
            })?;
            failures.sort_by_key(|(row, _)| *row);
            failures.into_iter().try_for_each(|(_, failure)| emit(failure))?;
            for batch in batches {
                rows += batch.num_rows() as u64;
                emit(batch.into())?;
            }
        }
        if self.shared.counts_rows {
            self.options.progress.add_rows(rows);
        }
        Ok(records)
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
        self.runs.drain(..whole);
        self.passed = done;
        self.most_rows = records.max(1);
        if self.runs.is_empty() { None } else { Some(self) }
    }

    /// Appends the records that can be read; returns where each of those that were appended is, and
    /// what is told of the others, with the number of those before it. Records of a damaged chunk
    /// are told of one by one.
    fn append_sound(
        &self,
        decoder: &mut dyn RowDecoder,
        scratch: &mut RunScratch,
    ) -> Result<(Vec<Place>, Lost)> {
        let policy = self.options.on_error;
        let (mut kept, mut failures, mut values): (Vec<Place>, Lost, Lost) = Default::default();
        let mut lose = |decoder: &mut dyn RowDecoder, kept: &mut Vec<Place>, place: Place, failure| {
            failures.push((kept.len(), Decoded::Failure(failure)));
            if policy.keeps_rows() {
                decoder.push_null()?;
                kept.push(place);
            }
            Ok::<_, Error>(())
        };
        let mut faults = self.faults.iter().peekable();
        for (index, (run, first)) in self.runs.iter().enumerate() {
            while let Some((_, failure)) = faults.next_if(|(before, _)| *before <= index) {
                lose(decoder, &mut kept, run.place(0), failure.clone())?;
            }
            decoder.begin_run(&run.source());
            let mut element = *first;
            for run in run.split() {
                let mut done = 0;
                let read = run.for_each(self.shared.check_crc, scratch, &mut |record| {
                    let place = run.place(done);
                    let result = decoder.append(record, element);
                    element += 1;
                    done += 1;
                    match result {
                        Ok(()) => {
                            for error in decoder.take_lost() {
                                let error = error.at_record(place.1).in_source(place.0.clone());
                                values.push((kept.len(), Decoded::NulledValue(error.into())));
                            }
                            kept.push(place);
                        }
                        Err(error) if policy.tolerates(&error) => {
                            decoder.rollback();
                            let error = run.place_byte(error).at_record(place.1).in_source(place.0.clone());
                            lose(decoder, &mut kept, place, error.into())?;
                        }
                        Err(error) => return Err(error),
                    }
                    Ok(())
                });
                let failure = match read {
                    Ok(()) => continue,
                    Err(error) if policy.tolerates(&error) => Failure::from(error),
                    Err(error) => return Err(error),
                };
                for lost in done..run.records() as u64 {
                    let place = run.place(lost);
                    let mut failure = failure.clone();
                    failure.location.record = Some(place.1);
                    lose(decoder, &mut kept, place, failure)?;
                    element += 1;
                }
            }
        }
        for (_, failure) in faults {
            lose(decoder, &mut kept, ("".into(), 0), failure.clone())?;
        }
        failures.append(&mut values);
        Ok((kept, failures))
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
