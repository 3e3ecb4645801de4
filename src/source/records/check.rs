//! Records read for nothing but to see whether they are sound.

use super::runs::{Piece, Run, RunScratch};
use super::{Shared, clamp};
use crate::error::{Error, Result};
use crate::source::report::Failure;
use crate::source::{ReadOptions, Verified};
use crate::tf::example::{self, Checked};

/// How many records may come before the first Example: with more, a file is of another kind.
const MAX_HELD: usize = 10_000;

type Damage<'a> = &'a mut dyn FnMut(Failure) -> Result<()>;

/// Reads all records of `pieces`, checks every checksum and looks into every record, and gives what is
/// damaged to `damage`, in order.
///
/// Records that are no Examples are damage where others of the same pieces are. Where none is, they
/// are of another kind, and nothing is known of what they hold.
///
/// # Errors
/// A file cannot be read, for a reason other than damage, or `damage` fails.
pub(crate) fn verify(
    pieces: &[Piece],
    max_record_bytes: u64,
    options: &ReadOptions,
    damage: Damage<'_>,
) -> Result<Verified> {
    let shared = Shared::new(true, max_record_bytes, |_| Err(Error::config("nothing to decode")));
    let mut check = Check::default();
    for piece in pieces {
        match verify_piece(piece, &shared, options, &mut check, damage) {
            Err(error) if error.is_data() => check.damaged(error.into(), damage)?,
            other => other?,
        }
    }
    check.finish(damage)
}

/// As [`verify`], of one piece.
///
/// # Errors
/// As [`verify`], or what is left of the piece is lost to damage.
fn verify_piece(
    piece: &Piece,
    shared: &Shared,
    options: &ReadOptions,
    check: &mut Check,
    damage: Damage<'_>,
) -> Result<()> {
    const RUN_RECORDS: usize = 64;
    const RUN_BYTES: usize = 1 << 20;
    let mut scratch = RunScratch::default();
    let mut stream = piece.open(shared, options)?;
    stream.skip(piece.skip)?;
    let mut left = piece.records.unwrap_or(u64::MAX);
    while left > 0 {
        let run = match stream.next_run(clamp(left).min(RUN_RECORDS), RUN_BYTES) {
            Ok(Some(run)) => run,
            Ok(None) => return piece.records.map_or(Ok(()), |records| Err(piece.short(records - left))),
            Err(error) if error.is_data() => {
                check.damaged(error.into(), damage)?;
                if !stream.pass_over()? {
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        left = left.saturating_sub(run.records() as u64);
        for run in run.split() {
            check.run(&run, &mut scratch, damage)?;
        }
    }
    Ok(())
}

/// Looks into records without knowing what they should hold.
#[derive(Debug, Default)]
struct Check {
    kind: Kind,
    /// Sound records.
    records: u64,
    /// What came before the first Example, from the first record on that is none.
    held: Vec<Held>,
}

/// What records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// Nothing says so yet.
    #[default]
    Unknown,
    Known(Checked),
    /// No Examples.
    Other,
}

#[derive(Debug)]
struct Held {
    failure: Failure,
    /// Whether it is damage whatever the records are.
    damaged: bool,
}

impl Check {
    /// Looks into the records of `run`, in which all are damaged together.
    fn run(&mut self, run: &Run, scratch: &mut RunScratch, damage: Damage<'_>) -> Result<()> {
        let mut done = 0;
        let read = run.for_each(true, scratch, |record| {
            let place = |error| run.locate(done, error);
            self.record(record, place, damage)?;
            done += 1;
            Ok(())
        });
        match read {
            Err(error) if error.is_data() => {
                let failure = Failure::from(error);
                (done..run.records() as u64).try_for_each(|lost| {
                    let mut failure = failure.clone();
                    failure.location.record = Some(run.place(lost).1);
                    self.damaged(failure, damage)
                })
            }
            other => other,
        }
    }

    fn record(
        &mut self,
        record: &[u8],
        place: impl FnOnce(Error) -> Error,
        damage: Damage<'_>,
    ) -> Result<()> {
        match (self.kind, example::check(record)) {
            (Kind::Unknown, Ok(kind)) if kind != Checked::Empty => {
                self.kind = Kind::Known(kind);
                self.records += 1;
                self.held.drain(..).try_for_each(|held| damage(held.failure))
            }
            (Kind::Known(_), Err(error)) => damage(place(error).into()),
            (Kind::Unknown, Err(error)) => {
                self.held.push(Held { failure: place(error).into(), damaged: false });
                if self.held.len() < MAX_HELD { Ok(()) } else { self.give_up(damage) }
            }
            (Kind::Other, _) | (_, Ok(_)) => {
                self.records += 1;
                Ok(())
            }
        }
    }

    /// Takes damage of any kind of records, in its order.
    fn damaged(&mut self, failure: Failure, damage: Damage<'_>) -> Result<()> {
        if self.held.is_empty() {
            return damage(failure);
        }
        self.held.push(Held { failure, damaged: true });
        Ok(())
    }

    /// No record was an Example: those that are held are sound, of another kind.
    fn give_up(&mut self, damage: Damage<'_>) -> Result<()> {
        self.kind = Kind::Other;
        for held in std::mem::take(&mut self.held) {
            match held.damaged {
                true => damage(held.failure)?,
                false => self.records += 1,
            }
        }
        Ok(())
    }

    fn finish(mut self, damage: Damage<'_>) -> Result<Verified> {
        if !self.held.is_empty() {
            self.give_up(damage)?;
        }
        let what = match self.kind {
            Kind::Known(Checked::SequenceExample) => "records of tf.train.SequenceExample",
            Kind::Known(_) => "records of tf.train.Example",
            Kind::Other => "records of another kind",
            Kind::Unknown => "records",
        };
        Ok(Verified { records: self.records, what: what.to_owned(), looked_into: self.kind != Kind::Other })
    }
}
