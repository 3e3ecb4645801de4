//! Files of records of one kind, and how they are read.

use std::sync::Arc;

use super::{Piece, RecordFile};
use crate::error::Result;
use crate::input::{Input, Place};
use crate::source::blocks::BufferPool;
use crate::source::options::OpenOptions;
use crate::source::planned::RecordsIn;
use crate::source::{InputFile, Partition, tfds};

#[cfg(feature = "array-record")]
use crate::source::array_record;

/// Files of records, and how they are read.
#[derive(Debug, Clone)]
pub(crate) struct RecordFiles {
    /// What they are.
    pub(crate) form: RecordsIn,
    /// The same in a few words.
    pub(crate) kind: &'static str,
    /// What their kind is called in metadata.
    pub(crate) source: &'static str,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) partitions: Vec<Partition>,
    /// How many records there are, if an index says so.
    pub(crate) records: Option<u64>,
    /// Whether they are compressed as a whole.
    pub(crate) compressed: bool,
    /// What they are read into.
    pub(crate) pool: Arc<BufferPool>,
}

impl RecordFiles {
    /// TFRecord files, which may be compressed as a whole.
    pub(crate) fn frames(inputs: &[Input], compressed: bool) -> Self {
        let partition = |input: &Input| Partition::new(input.name(), vec![InputFile::of(input)]);
        let form = RecordsIn::TfRecord { compressed };
        let (kind, source) = form.names();
        Self {
            form,
            kind,
            source,
            pieces: inputs.iter().cloned().map(RecordFile::Frames).map(Piece::whole).collect(),
            partitions: inputs.iter().map(partition).collect(),
            records: None,
            compressed,
            pool: Arc::default(),
        }
    }

    /// ArrayRecord files.
    ///
    /// # Errors
    /// One cannot be opened.
    #[cfg(feature = "array-record")]
    pub(crate) fn array_records(inputs: &[Input]) -> Result<Self> {
        let (pieces, partitions, records) = array_record::split_files(inputs)?;
        let form = RecordsIn::ArrayRecord;
        let (kind, source) = form.names();
        let (records, pool) = (Some(records), Arc::default());
        Ok(Self { form, kind, source, pieces, partitions, records, compressed: false, pool })
    }

    /// The shards of a TFDS dataset, whose records are not what TFDS would have them be.
    ///
    /// # Errors
    /// The metadata is invalid, or the split does not exist.
    pub(crate) fn of_tfds(folder: &Place, options: &OpenOptions) -> Result<Self> {
        let (pieces, format) = tfds::pieces(folder, options)?;
        let form = RecordsIn::Tfds(format);
        let (kind, source) = form.names();
        let partition =
            |piece: &Piece| Partition::new(piece.file.name(), piece.file.inputs()).with_rows(piece.records);
        let records =
            pieces.iter().map(|piece| piece.records).try_fold(0u64, |sum, rows| sum.checked_add(rows?));
        Ok(Self {
            form,
            kind,
            source,
            partitions: pieces.iter().map(partition).collect(),
            pieces,
            records,
            compressed: false,
            pool: Arc::default(),
        })
    }
}
