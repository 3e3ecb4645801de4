//! Inputs as the `parquet` crate reads them.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, ErrorKind, Result};
use crate::input::{Forward, Input, Opened, Stat};
use crate::options::Phrase;

/// An open Parquet file.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    file: Opened,
    failure: ReadFailure,
}

/// Why a file could not be read: what comes through the `parquet` crate says no more whether the
/// file is damaged or its disk, or connection, is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadFailure(Arc<Mutex<Option<Error>>>);

impl ReadFailure {
    /// Keeps a failure to read, if it is the first.
    fn keep(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The failure to read, if that is what `error` comes from.
    pub(crate) fn or(&self, error: Error) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(error)
    }
}

/// What the Parquet crate says: what it does not know is not damaged, nor what cannot be read now.
pub(crate) fn fault(what: &str, error: impl std::error::Error) -> Error {
    let text = error.to_string();
    let unsupported = ["NYI: ", "Disabled feature at compile time: "];
    if let Some((_, said)) = unsupported.iter().find_map(|mark| text.split_once(mark)) {
        return Error::unsupported(format!("Parquet file of a kind that is not read: {said}"))
            .with_hint(Phrase::new("leave the column out with {exclude}, or write the file in another way"));
    }
    let kind = if text.contains("(os error ") { ErrorKind::Io } else { ErrorKind::Corrupt };
    Error::new(kind, what).with_cause(text)
}

impl ParquetFile {
    /// Opens `input`, which must be what `same` says.
    ///
    /// # Errors
    /// It cannot be opened, or is not what it was.
    pub(crate) fn open(input: &Input, same: Option<&Stat>) -> Result<Self> {
        Ok(Self { file: input.opened(same)?, failure: ReadFailure::default() })
    }

    /// What the file is.
    pub(crate) fn stat(&self) -> &Stat {
        &self.file.stat
    }

    /// Where a failure to read is kept.
    pub(crate) fn failure(&self) -> ReadFailure {
        self.failure.clone()
    }

    /// Says that column chunks at `(start, bytes)` will be read soon.
    pub(crate) fn will_read(&self, chunks: impl Iterator<Item = (u64, u64)>) {
        let ranges: Vec<_> = chunks.map(|(start, bytes)| start..start.saturating_add(bytes)).collect();
        self.file.file.will_read(&ranges);
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.file.bytes()
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<Pages>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let bytes = self.file.in_pieces(start..self.file.bytes());
        let (name, failure) = (self.file.name.clone(), self.failure());
        Ok(BufReader::new(Pages { bytes, name, failure }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.file.bytes()) {
            let total = self.file.bytes();
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of a file of {total}")));
        }
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(start, &mut bytes) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => {
                let shown = ParquetError::General(error.to_string());
                self.failure.keep(error);
                Err(shown)
            }
        }
    }
}

/// The bytes of a file from one of them on: of a page, behind which one of another column is read.
pub(crate) struct Pages {
    bytes: Forward,
    name: Arc<str>,
    failure: ReadFailure,
}

impl Read for Pages {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buf).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let shown = io::Error::new(error.kind(), error.to_string());
            self.failure.keep(Error::io("cannot read input", error).in_source(self.name.clone()));
            shown
        })
    }
}
