//! What a part of a source is: data that can be compared, kept and sent elsewhere.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// A part of a source that can be read on its own: a file, a shard, a range of chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// What to call it in front of people. Nothing can be learnt from it.
    pub name: Arc<str>,
    /// The files that it is read from, in order: mostly one; none where it is made as it is read.
    pub inputs: Vec<InputFile>,
    /// Which part of them it is.
    pub range: PartitionRange,
    /// Its size in bytes of input, where known.
    pub bytes: Option<u64>,
    /// Its number of rows, where known without reading it.
    pub rows: Option<u64>,
}

/// Which part of its inputs a [`Partition`] is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PartitionRange {
    /// All of them.
    #[default]
    All,
    /// These records, by their number in the file.
    Records(Range<u64>),
    /// These record batches of an Arrow file or stream, by their number.
    Batches(Range<u64>),
    /// These row groups of a Parquet file, by their number.
    RowGroups(Range<u64>),
}

/// A file that a partition is read from, and the state that it was in when the source was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InputFile {
    /// Its path, or what else it was named by.
    pub name: Arc<str>,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// What changes whenever its content does, where known: of a local file, the time at which it
    /// was modified.
    pub version: Option<Arc<str>>,
}

impl Partition {
    /// A partition that is called `name` and reads all of `inputs`. Its bytes are theirs, where the
    /// bytes of all are known.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, inputs: Vec<InputFile>) -> Self {
        let bytes = inputs.iter().try_fold(0u64, |sum, input| sum.checked_add(input.bytes?));
        let bytes = bytes.filter(|_| !inputs.is_empty());
        Self { name: name.into(), inputs, range: PartitionRange::All, bytes, rows: None }
    }

    /// The same, with the number of its rows.
    #[must_use]
    pub fn with_rows(self, rows: Option<u64>) -> Self {
        Self { rows, ..self }
    }

    /// The part `range` of the same inputs, which takes `bytes`.
    #[must_use]
    pub fn with_range(self, range: PartitionRange, bytes: Option<u64>) -> Self {
        Self { range, bytes, ..self }
    }
}

impl fmt::Display for PartitionRange {
    /// As it stands behind a file's name: `[2:5]`, `#3`; nothing for all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionRange::All => Ok(()),
            PartitionRange::Records(range) => write!(f, "[{}:{}]", range.start, range.end),
            PartitionRange::Batches(range) | PartitionRange::RowGroups(range) => {
                match range.end.checked_sub(1) {
                    Some(last) if last > range.start => write!(f, "#{}-{last}", range.start),
                    _ => write!(f, "#{}", range.start),
                }
            }
        }
    }
}

impl InputFile {
    /// What is called `name`, of which nothing else is known.
    #[must_use]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), bytes: None, version: None }
    }

    /// The local file `path` as it is now.
    pub(crate) fn local(path: &Path) -> Self {
        let name: Arc<str> = path.to_string_lossy().into();
        let Ok(metadata) = std::fs::metadata(path) else { return Self::named(name) };
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            name,
            bytes: metadata.is_file().then_some(metadata.len()),
            version: modified.map(|since| format!("modified at {} ns", since.as_nanos()).into()),
        }
    }

    /// The same file as it is now.
    pub(crate) fn now(&self) -> Self {
        match (self.bytes, &self.version) {
            // What has no state to compare is no file.
            (None, None) => self.clone(),
            _ => Self::local(Path::new(&*self.name)),
        }
    }
}
