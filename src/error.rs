//! The one error type: what failed, where, and what would help.

use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use tfarrow_store::{Hint, StoreError};

use crate::options::{self, Dialect, InvalidValue, OptionInfo, Phrase};
use crate::text::Printable;

/// A [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it was, sorted by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input's bytes are damaged or are not what they claim to be.
    Corrupt,
    /// The input is sound, but does not fit the schema or the given options.
    Mismatch,
    /// A feature that must be there is missing.
    MissingFeature,
    /// The input is sound, but of a kind this crate cannot read.
    Unsupported,
    /// The options contradict each other or the input; nothing was read.
    Config,
    /// A limit on lengths, sizes or depth was reached.
    Limit,
    /// The input does not exist.
    NotFound,
    /// The output exists already.
    AlreadyExists,
    /// The operating system reported an error.
    Io,
    /// The work was stopped from outside.
    Interrupted,
}

impl ErrorKind {
    const NAMES: [(ErrorKind, &'static str); 10] = [
        (ErrorKind::Corrupt, "corrupt"),
        (ErrorKind::Mismatch, "mismatch"),
        (ErrorKind::MissingFeature, "missing_feature"),
        (ErrorKind::Unsupported, "unsupported"),
        (ErrorKind::Config, "config"),
        (ErrorKind::Limit, "limit"),
        (ErrorKind::NotFound, "not_found"),
        (ErrorKind::AlreadyExists, "already_exists"),
        (ErrorKind::Io, "io"),
        (ErrorKind::Interrupted, "interrupted"),
    ];

    /// The kind in one word, as machine-readable reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }

    /// The kind that [`name`](Self::name) calls so.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }
}

/// Where something happened; every part that is known is filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// The file, folder or stream.
    pub source: Option<Arc<str>>,
    /// The record or element, counted from 0 within `source`.
    pub record: Option<u64>,
    /// The byte within `source`, after decompression if it is compressed.
    pub offset: Option<u64>,
    /// The column, component or feature.
    pub column: Option<Arc<str>>,
    /// The row of what is read, counted from 0: where its record is no longer known.
    pub row: Option<u64>,
}

impl Location {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sep = "";
        if let Some(source) = &self.source {
            write!(f, "{}", Printable(source))?;
            sep = ", ";
        }
        if let Some(record) = self.record {
            write!(f, "{sep}record {record}")?;
            sep = ", ";
        }
        if let Some(offset) = self.offset {
            write!(f, "{sep}byte {offset}")?;
            sep = ", ";
        }
        if let Some(row) = self.row {
            write!(f, "{sep}row {row}")?;
            sep = ", ";
        }
        if let Some(column) = &self.column {
            write!(f, "{sep}column `{}`", Printable(column))?;
        }
        Ok(())
    }
}

/// An error of this crate: its [kind](Error::kind), its [location](Error::location) and a message
/// that says what was expected, what was found, and what would help.
///
/// One word wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: Phrase,
    mismatch: Option<(String, String)>,
    location: Location,
    hint: Option<Phrase>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());

impl Error {
    /// An error of `kind` that says `what` failed (lower case, no full stop).
    #[must_use]
    pub fn new(kind: ErrorKind, what: impl Into<Phrase>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            mismatch: None,
            location: Location::default(),
            hint: None,
            cause: None,
        }))
    }

    pub(crate) fn corrupt(what: impl Into<Phrase>) -> Self {
        Self::new(ErrorKind::Corrupt, what)
    }

    pub(crate) fn config(what: impl Into<Phrase>) -> Self {
        Self::new(ErrorKind::Config, what)
    }

    pub(crate) fn unsupported(what: impl Into<Phrase>) -> Self {
        Self::new(ErrorKind::Unsupported, what)
    }

    pub(crate) fn mismatch(what: impl Into<Phrase>) -> Self {
        Self::new(ErrorKind::Mismatch, what)
    }

    pub(crate) fn limit(what: impl Into<Phrase>) -> Self {
        Self::new(ErrorKind::Limit, what)
    }

    /// The error of a key that no option of `what` has.
    pub(crate) fn unknown_option(key: &str, what: &str) -> Self {
        let error = Self::config(format!("no option `{key}` of {what}"));
        match options::nearest_key(key).filter(|near| *near != key) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// The error of an option that `this` does not heed, but `others` do.
    pub(crate) fn not_heeded(option: &OptionInfo, this: impl fmt::Display, others: &str) -> Self {
        Self::config(Phrase::new("").option(option.key).text(format!(" is not for {this}")))
            .with_hint(format!("it is for {others}"))
    }

    pub(crate) fn io(what: impl Into<Phrase>, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            _ => ErrorKind::Io,
        };
        let hint = store_hint(&error);
        let error = Self::new(kind, what).with_cause(error);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Says what was expected and what was found.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.0.mismatch = Some((expected.into(), found.into()));
        self
    }

    /// Adds what would help: an option, another command.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Phrase>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a hint, unless a lower layer had a better one.
    #[must_use]
    pub(crate) fn or_hint(mut self, hint: impl FnOnce() -> Phrase) -> Self {
        self.0.hint.get_or_insert_with(hint);
        self
    }

    /// Forgets the byte, which says nothing to those who do not see the slice that it is in.
    #[must_use]
    pub(crate) fn without_offset(mut self) -> Self {
        self.0.location.offset = None;
        self
    }

    /// Adds the lower error that led to this one.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Names the file or stream, unless a lower layer did already.
    #[must_use]
    pub fn in_source(mut self, source: impl Into<Arc<str>>) -> Self {
        self.0.location.source.get_or_insert_with(|| source.into());
        self
    }

    /// Names the record, unless a lower layer did already.
    #[must_use]
    pub fn at_record(mut self, record: u64) -> Self {
        self.0.location.record.get_or_insert(record);
        self
    }

    /// Names the byte, unless a lower layer did already.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.0.location.offset.get_or_insert(offset);
        self
    }

    /// Adds `base` to an offset that a lower layer gave within its slice; sets it to `base` if
    /// there was none.
    #[must_use]
    pub(crate) fn rebase(mut self, base: u64) -> Self {
        let offset = self.0.location.offset.unwrap_or(0);
        self.0.location.offset = Some(base.saturating_add(offset));
        self
    }

    /// Names the row.
    #[must_use]
    pub(crate) fn at_row(mut self, row: u64) -> Self {
        self.0.location.row = Some(row);
        self
    }

    /// Counts its row, if it names one, from the beginning of `rows` rows before.
    #[must_use]
    pub(crate) fn after_rows(mut self, rows: u64) -> Self {
        self.0.location.row = self.0.location.row.map(|row| row.saturating_add(rows));
        self
    }

    /// Names the column, unless a lower layer did already.
    #[must_use]
    pub fn in_column(mut self, column: impl Into<Arc<str>>) -> Self {
        self.0.location.column.get_or_insert_with(|| column.into());
        self
    }

    /// Names another column than a lower layer did: what that knows is a part of this one.
    #[must_use]
    pub(crate) fn column(mut self, column: impl Into<Arc<str>>) -> Self {
        self.0.location.column = Some(column.into());
        self
    }

    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.0.location
    }

    /// What would help, if anything is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&Phrase> {
        self.0.hint.as_ref()
    }

    /// The message without location and hint.
    #[must_use]
    pub fn message(&self) -> String {
        self.message_in(Dialect::Rust)
    }

    /// The message without location and hint, with options as `dialect` spells them.
    #[must_use]
    pub fn message_in(&self, dialect: Dialect) -> String {
        let what = self.0.what.say(dialect);
        match &self.0.mismatch {
            Some((expected, found)) => format!("{what}: expected {expected}, found {found}"),
            None => what,
        }
    }

    /// The message and the lower error that led to it, without location and hint.
    pub(crate) fn message_with_cause(&self, dialect: Dialect) -> String {
        match &self.0.cause {
            // Messages of lower layers may hold line breaks; ours are one line.
            Some(cause) => format!("{}: {}", self.message_in(dialect), one_line(&cause.to_string())),
            None => self.message_in(dialect),
        }
    }

    /// The whole error in one line, with options as `dialect` spells them. Display speaks Rust.
    #[must_use]
    pub fn say(&self, dialect: Dialect) -> String {
        let mut line = Printable(&self.message_with_cause(dialect)).to_string();
        if !self.0.location.is_empty() {
            line.push_str(&format!(" ({})", self.0.location));
        }
        if let Some(hint) = &self.0.hint {
            line.push_str(&format!("; {}", Printable(&hint.say(dialect))));
        }
        line
    }

    /// Whether one record's bytes or values are at fault, so that a reader may go on with the
    /// next record.
    #[must_use]
    pub fn is_data(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Corrupt | ErrorKind::Mismatch | ErrorKind::MissingFeature | ErrorKind::Limit
        )
    }

    /// Whether the reader of our output went away (a closed pipe).
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> =
            self.0.cause.as_deref().map(|e| e as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && io.kind() == std::io::ErrorKind::BrokenPipe
            {
                return true;
            }
            if let Some(ArrowError::IoError(_, io)) = error.downcast_ref::<ArrowError>()
                && io.kind() == std::io::ErrorKind::BrokenPipe
            {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// What a store says would help.
fn store_hint(error: &std::io::Error) -> Option<Phrase> {
    let inner = error.get_ref()?;
    if let Some(wrapped) = inner.downcast_ref::<std::io::Error>() {
        return store_hint(wrapped);
    }
    match inner.downcast_ref::<StoreError>()?.hint()? {
        Hint::Text(text) => Some(Phrase::from(text.as_str())),
        Hint::Option { before, key, value, after } => {
            let phrase = Phrase::from(before.as_str()).then("{store=_}").pair(key, value);
            Some(phrase.text(after.as_str()))
        }
        _ => None,
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Dialect::Rust))
    }
}

/// As [`Display`](fmt::Display): what `main` prints of an error that it returns.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    /// The lower error. The message has its text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl From<InvalidValue> for Error {
    fn from(value: InvalidValue) -> Self {
        let InvalidValue { key, expected, found } = value;
        Self::config(Phrase::new("invalid ").option(key)).expected(expected, format!("`{found}`"))
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        match error {
            // Its text is that of the error it holds.
            ArrowError::IoError(_, io) => Self::io("Arrow input or output", io),
            ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
                Ok(error) => *error,
                Err(inner) => Self::new(ErrorKind::Io, "Arrow").with_cause(inner),
            },
            other => Self::new(ErrorKind::Unsupported, "Arrow").with_cause(other),
        }
    }
}

impl From<Error> for ArrowError {
    fn from(error: Error) -> Self {
        ArrowError::ExternalError(Box::new(error))
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => std::io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => std::io::ErrorKind::AlreadyExists,
            ErrorKind::Corrupt | ErrorKind::Mismatch | ErrorKind::MissingFeature => {
                std::io::ErrorKind::InvalidData
            }
            ErrorKind::Config => std::io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => std::io::ErrorKind::Unsupported,
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_the_place_and_the_way_out() {
        let error = Error::mismatch("wrong number of values")
            .expected("1", "3")
            .in_column("label")
            .at_offset(96)
            .at_record(4)
            .in_source("a.tfrecord")
            .with_hint(Phrase::new("pass {feature=_}").pair("label", "int64[]"));
        assert_eq!(
            error.to_string(),
            "wrong number of values: expected 1, found 3 (a.tfrecord, record 4, byte 96, column `label`); \
             pass .set(\"feature\", \"label:int64[]\")"
        );
    }

    #[test]
    fn nothing_in_a_message_acts_on_a_terminal() {
        let error = Error::mismatch("no feature `\u{1b}[2J`")
            .with_cause("two\nlines \u{9b}m")
            .in_source("a\n\u{202e}b")
            .with_hint("pass \u{7}");
        assert_eq!(
            error.to_string(),
            "no feature `\\u{1b}[2J`: two lines \\u{9b}m (a\\n\\u{202e}b); pass \\u{7}"
        );
    }

    #[test]
    fn the_innermost_location_wins_and_offsets_are_rebased() {
        let error = Error::corrupt("x").at_offset(3).rebase(100).at_offset(7);
        assert_eq!(error.location().offset, Some(103));
    }

    #[test]
    fn broken_pipe_is_seen_through_arrow() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = Error::from(ArrowError::IoError("write".into(), pipe));
        assert!(error.is_broken_pipe());
    }
}
