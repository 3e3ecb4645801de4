//! Inputs as the `parquet` crate reads them.

use std::io::BufReader;
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
    type T = BufReader<Forward>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(self.file.forward(start..self.file.bytes())))
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
                self.failure.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                Err(shown)
            }
        }
    }
}
