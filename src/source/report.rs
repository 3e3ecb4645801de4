//! What happens to records that cannot be read, and what is told about them.

use std::fmt;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Location, Result};
use crate::options::{Dialect, OnError, Phrase};
use crate::text::Printable;

impl OnError {
    /// Whether reading goes on after `error`: after what is wrong with a record's bytes or values,
    /// unless told to stop; never after an error of the operating system or of an option.
    pub(crate) fn tolerates(self, error: &Error) -> bool {
        self != OnError::Fail && error.is_data()
    }

    /// Whether a row of nulls stands for a record that cannot be read.
    pub(crate) fn keeps_rows(self) -> bool {
        matches!(self, OnError::Null | OnError::NullValue)
    }
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The kind of failure.
    pub kind: ErrorKind,
    /// What failed: expected, found.
    pub message: String,
    /// Where.
    pub location: Location,
    /// What would help, if anything is known to.
    pub hint: Option<Phrase>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.message_with_cause(Dialect::Rust),
            location: error.location().clone(),
            hint: error.hint().cloned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", Printable(&self.message), self.location)
    }
}

impl Failure {
    /// The failure as a JSON object with the members `source`, `record`, `row`, `byte`, `column`,
    /// `kind`, `message` and `hint`; what is not known is null. The hint spells options as `dialect` does.
    #[must_use]
    pub fn to_json(&self, dialect: Dialect) -> Value {
        let Location { source, record, row, offset, column } = &self.location;
        json!({
            "source": source.as_deref(),
            "record": record,
            "row": row,
            "byte": offset,
            "column": column.as_deref(),
            "kind": self.kind.name(),
            "message": self.message,
            "hint": self.hint.as_ref().map(|hint| hint.say(dialect)),
        })
    }

    /// Reads what [`to_json`](Self::to_json) gives; what is missing or of another type is left out.
    pub(crate) fn from_json(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        Self {
            kind: text("kind").and_then(ErrorKind::from_name).unwrap_or(ErrorKind::Corrupt),
            message: text("message").unwrap_or_default().to_owned(),
            location: Location {
                source: text("source").map(Into::into),
                record: number("record"),
                row: number("row"),
                offset: number("byte"),
                column: text("column").map(Into::into),
            },
            hint: text("hint").map(Into::into),
        }
    }
}

/// How many failures a [`Report`] holds unless told otherwise.
const FAILURES: usize = 10;

/// Counts the records of a run and holds the first failures.
///
/// Failures come in the order of their records, whatever the number of threads. What was read ahead
/// and never given out is not counted.
pub struct Report {
    limit: usize,
    dialect: Dialect,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Rows given out, those of nulls included.
    rows: u64,
    skipped: u64,
    nulled: u64,
    nulled_values: u64,
    failures: Vec<Failure>,
    log: Option<Box<dyn Write + Send>>,
}

impl Default for Report {
    /// A report that holds the first ten failures.
    fn default() -> Self {
        Self::new(FAILURES)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Report")
            .field("rows", &state.rows)
            .field("skipped", &state.skipped)
            .field("nulled", &state.nulled)
            .field("nulled_values", &state.nulled_values)
            .field("failures", &state.failures)
            .finish_non_exhaustive()
    }
}

impl Report {
    /// A report that holds the first `limit` failures.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, dialect: Dialect::default(), state: Mutex::default() }
    }

    /// Has options spelled as `dialect` does, in the log and in manifests. Default: as Rust does.
    #[must_use]
    pub fn in_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Writes every failure to `log`, as one [JSON object](Failure::to_json) a line.
    #[must_use]
    pub fn with_log(self, log: impl Write + Send + 'static) -> Self {
        self.lock().log = Some(Box::new(log));
        self
    }

    /// Rows that were read as they are.
    #[must_use]
    pub fn read(&self) -> u64 {
        let state = self.lock();
        state.rows.saturating_sub(state.nulled)
    }

    /// Failures whose rows were left out.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// Failures in whose place stands a row of nulls.
    #[must_use]
    pub fn nulled(&self) -> u64 {
        self.lock().nulled
    }

    /// Failures in whose place stands a null, in a row that was read otherwise; and values that no
    /// column has a place for.
    #[must_use]
    pub fn nulled_values(&self) -> u64 {
        self.lock().nulled_values
    }

    /// Whether there was no failure.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let state = self.lock();
        state.skipped == 0 && state.nulled == 0 && state.nulled_values == 0
    }

    /// The first failures.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.lock().failures.clone()
    }

    /// Writes out what the log holds back.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn flush(&self) -> Result<()> {
        match &mut self.lock().log {
            Some(log) => log.flush().map_err(cannot_log),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.lock().rows += rows;
    }

    /// Adds what was counted of a part of the whole.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn add_part(&self, rows: u64, lost: Lost, failures: &[Failure]) -> Result<()> {
        let mut state = self.lock();
        state.rows += rows;
        state.skipped += lost.skipped;
        state.nulled += lost.nulled;
        state.nulled_values += lost.nulled_values;
        for failure in failures {
            state.tell(failure.clone(), self)?;
        }
        Ok(())
    }

    /// Counts a failure that was dealt with as `policy` says.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn add(&self, failure: Failure, policy: OnError) -> Result<()> {
        let mut state = self.lock();
        match policy {
            OnError::Null | OnError::NullValue => state.nulled += 1,
            OnError::Fail | OnError::Skip => state.skipped += 1,
        }
        state.tell(failure, self)
    }

    /// Counts a value in whose place stands a null.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) fn add_value(&self, failure: Failure) -> Result<()> {
        let mut state = self.lock();
        state.nulled_values += 1;
        state.tell(failure, self)
    }

    /// What was counted of failures.
    pub(crate) fn lost(&self) -> Lost {
        let State { skipped, nulled, nulled_values, .. } = *self.lock();
        Lost { skipped, nulled, nulled_values }
    }
}

/// How many failures there were, by what was done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Lost {
    pub(crate) skipped: u64,
    pub(crate) nulled: u64,
    pub(crate) nulled_values: u64,
}

impl State {
    fn tell(&mut self, failure: Failure, report: &Report) -> Result<()> {
        if let Some(log) = &mut self.log {
            writeln!(log, "{}", failure.to_json(report.dialect)).map_err(cannot_log)?;
        }
        if self.failures.len() < report.limit {
            self.failures.push(failure);
        }
        Ok(())
    }
}

fn cannot_log(error: std::io::Error) -> Error {
    Error::io("cannot write report", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_the_first_are_kept() {
        let report = Report::new(1);
        report.add_rows(3);
        for record in [4, 9] {
            let error = Error::corrupt("corrupt record").at_record(record).in_source("a");
            report.add(error.into(), OnError::Skip).unwrap();
        }
        assert_eq!((report.read(), report.skipped(), report.nulled()), (3, 2, 0));
        assert_eq!(report.failures().len(), 1);
        let failure = report.failures().remove(0);
        assert_eq!(failure.to_string(), "corrupt record (a, record 4)");
        assert_eq!(Failure::from_json(&failure.to_json(Dialect::Command)), failure);
    }

    #[test]
    fn only_data_is_tolerated() {
        assert!(OnError::Skip.tolerates(&Error::corrupt("x")));
        assert!(!OnError::Fail.tolerates(&Error::corrupt("x")));
        assert!(!OnError::Null.tolerates(&Error::config("x")));
    }
}
