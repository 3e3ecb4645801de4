//! What is wrong with a record, and where in it.

use crate::column::values::ValueError;
use crate::error::Error;
use crate::options::Phrase;
use crate::wire::proto::{self, WireError};

/// A fault in a message; one word wide, because it is rare.
#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// The byte, within what was read.
    at: usize,
    what: What,
    /// The fields around it, the innermost first.
    path: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Wire(proto::Fault),
    /// The column is full.
    TooLong,
    /// A time that nanoseconds cannot count.
    OutOfRange {
        seconds: i64,
    },
}

impl Fault {
    #[cold]
    pub(super) fn new(at: usize, what: What) -> Self {
        Self(Box::new(Inner { at, what, path: Vec::new() }))
    }

    /// The same fault seen from a message in which this one's begins at `base`.
    #[cold]
    pub(super) fn rebase(mut self, base: usize) -> Self {
        self.0.at = self.0.at.saturating_add(base);
        self
    }

    /// Names the field that it is in, and which of its values.
    #[cold]
    pub(super) fn within(mut self, field: &str, index: Option<usize>) -> Self {
        self.0.path.push(match index {
            Some(index) => format!("{field}[{index}]"),
            None => field.to_owned(),
        });
        self
    }

    /// As everybody is told of it.
    #[cold]
    pub(super) fn into_error(self) -> Error {
        let Inner { at, what, path } = *self.0;
        let error = match what {
            What::Wire(proto::Fault::NotUtf8) => Error::mismatch("value is not UTF-8")
                .expected("text", "other bytes")
                .with_hint("declare the field as bytes to keep them"),
            What::Wire(fault) => Error::corrupt(format!("record is not the message: {fault}")),
            What::TooLong => return super::too_long(),
            What::OutOfRange { seconds } => Error::mismatch("time out of range")
                .expected("what nanoseconds count in 64 bits: the years 1677 to 2262", format!("{seconds} s"))
                .with_hint(Phrase::new("leave the column out with {exclude}")),
        };
        let error = error.at_offset(at as u64);
        if path.is_empty() {
            return error;
        }
        let path: Vec<&str> = path.iter().rev().map(String::as_str).collect();
        error.in_column(path.join("."))
    }
}

impl From<WireError> for Fault {
    #[cold]
    fn from(error: WireError) -> Self {
        Self::new(error.at, What::Wire(error.fault))
    }
}

impl From<ValueError> for Fault {
    #[cold]
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Wire(error) => error.into(),
            ValueError::NotUtf8 => Self::new(0, What::Wire(proto::Fault::NotUtf8)),
            ValueError::TooLong | ValueError::DoesNotFit(_) => Self::new(0, What::TooLong),
        }
    }
}
