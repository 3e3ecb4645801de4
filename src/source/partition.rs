//! What a part of a source is: data that can be compared, kept and sent elsewhere.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::input::Input;

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
    /// The records of a TFRecord file that lie in these bytes.
    Frames {
        /// The number of the first one in the file.
        first: u64,
        /// How many there are, where that is known.
        records: Option<u64>,
        /// Where they lie.
        bytes: Range<u64>,
    },
    /// These record batches of an Arrow file or stream, by their number.
    Batches(Range<u64>),
    /// These row groups of a Parquet file, by their number.
    RowGroups(Range<u64>),
}

/// A file that a partition is read from, and the state that it was in when the source was opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InputFile {
    /// Its path or URL, or what else it was named by.
    pub name: Arc<str>,
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// What changes whenever its content does, where known: of a local file, the time at which it
    /// was modified.
    pub version: Option<Arc<str>>,
    /// Where to look for what it is now.
    input: Option<Input>,
}

impl PartialEq for InputFile {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.bytes, &self.version) == (&other.name, other.bytes, &other.version)
    }
}

impl Eq for InputFile {}

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
            PartitionRange::Frames { first, records: Some(records), .. } => {
                write!(f, "[{first}:{}]", first.saturating_add(*records))
            }
            PartitionRange::Frames { first, records: None, .. } => write!(f, "[{first}:]"),
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
        Self { name: name.into(), bytes: None, version: None, input: None }
    }

    /// What `input` is, as far as that is known; it is asked for if nobody did before.
    pub(crate) fn of(input: &Input) -> Self {
        let stat = input.stat();
        Self { name: input.name(), bytes: stat.bytes, version: stat.version, input: Some(input.clone()) }
    }

    /// The file that `input` is, in the state that it was in once.
    pub(crate) fn in_state(input: &Input, bytes: Option<u64>, version: Option<Arc<str>>) -> Self {
        Self { name: input.name(), bytes, version, input: Some(input.clone()) }
    }

    /// Whether its name finds it, wherever it is looked for.
    pub(crate) fn has_name(&self) -> bool {
        let place = self.input.as_ref().and_then(Input::place);
        place.is_some_and(|place| place.path().to_str().is_some())
    }

    /// Where it is read from, if that is known.
    pub(crate) fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// The same file as it is now.
    pub(crate) fn now(&self) -> Self {
        let Some(input) = &self.input else { return self.clone() };
        let stat = input.stat_now();
        Self { bytes: stat.bytes, version: stat.version, ..self.clone() }
    }
}
