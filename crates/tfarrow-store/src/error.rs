//! An error that says what would help.

use std::fmt;
use std::io;

/// What a store says of a failure, to be put into an [`io::Error`], whose kind then says what kind of
/// failure it is. tfarrow gives it on as it is, with its hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    what: String,
    hint: Option<Hint>,
}

/// What would help.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// A text.
    Text(String),
    /// To set the option `store`, which is spelled as who reads it spells options.
    Option {
        /// What stands before the option.
        before: String,
        /// The key to set.
        key: String,
        /// The value to set it to.
        value: String,
        /// What stands behind it.
        after: String,
    },
}

impl StoreError {
    /// An error that says `what` failed: lower case, no full stop, no secret.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// The same with what would help.
    #[must_use]
    pub fn with_hint(self, hint: Hint) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// What would help, if anything is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&Hint> {
        self.hint.as_ref()
    }

    /// The error as one of the system's, of `kind`.
    #[must_use]
    pub fn of_kind(self, kind: io::ErrorKind) -> io::Error {
        io::Error::new(kind, self)
    }
}

impl Hint {
    /// To set `key` to `value`, with a text before and one behind.
    #[must_use]
    pub fn option(
        before: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<String>,
        after: impl Into<String>,
    ) -> Self {
        Hint::Option { before: before.into(), key: key.into(), value: value.into(), after: after.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StoreError {}
