//! Parts of files of records: as large as they are wanted, as data, and read again as such.

use super::{Piece, RecordFile};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::source::count::{Cuts, cuts};
use crate::source::planned::{PlannedPart, Reading};
use crate::source::{Partition, PartitionRange};
use crate::wire::tfrecord;

#[cfg(feature = "array-record")]
use crate::source::array_record::file::ArrayRecordFile;

/// Records that lie together in a file.
struct Stretch {
    /// The number of the first one in the file.
    first: u64,
    records: Option<u64>,
    /// Where they lie, where that is needed to find them.
    bytes: Option<std::ops::Range<u64>>,
    /// How many bytes that are.
    size: u64,
}

/// `pieces`, which are `partitions`, as data; of files that can be cut, those with more than `part_bytes`
/// in several parts. The rows of an element are its own where `rows_vary`.
///
/// # Errors
/// A file cannot be read, or its index is damaged.
pub(crate) fn planned(
    pieces: &[Piece],
    partitions: &[Partition],
    part_bytes: Option<u64>,
    max_record_bytes: u64,
    rows_vary: bool,
) -> Result<Vec<PlannedPart>> {
    let mut parts = Vec::with_capacity(pieces.len());
    for (piece, partition) in pieces.iter().zip(partitions) {
        let whole = || PlannedPart {
            partition: partition.clone(),
            elements: piece.records,
            first_element: piece.first_element,
            to_end: piece.to_end,
        };
        let size = partition.bytes.or_else(|| partition.inputs.iter().map(|input| input.bytes).sum());
        let stretches = match part_bytes {
            Some(most) if size.is_some_and(|size| size > most) => stretches(piece, most, max_record_bytes)?,
            _ => Vec::new(),
        };
        if stretches.len() < 2 {
            parts.push(whole());
            continue;
        }
        let last = stretches.len() - 1;
        let begin = piece.skip;
        for (at, stretch) in stretches.into_iter().enumerate() {
            let Stretch { first, records, bytes, size } = stretch;
            let range = match (bytes, records) {
                (Some(bytes), _) => PartitionRange::Frames { first, records, bytes },
                (None, records) => PartitionRange::Records(first..first + records.unwrap_or(0)),
            };
            let part = Partition::new(format!("{}{range}", piece.file.name()), partition.inputs.clone())
                .with_rows(records.filter(|_| !rows_vary))
                .with_range(range, Some(size));
            parts.push(PlannedPart {
                partition: part,
                elements: records,
                first_element: piece.first_element + (first - begin),
                to_end: piece.to_end && at == last,
            });
        }
    }
    Ok(parts)
}

/// Parts of `piece` of about `most` bytes; fewer than two where it is not cut.
fn stretches(piece: &Piece, most: u64, max_record_bytes: u64) -> Result<Vec<Stretch>> {
    match &piece.file {
        RecordFile::Frames(input) if !input.is_once() && is_plain(input)? => {
            let begin = piece.skip;
            let end = piece.records.map(|records| begin.saturating_add(records));
            let asked: Vec<u64> = std::iter::once(begin).chain(end).collect();
            Ok(of_frames(&cuts(input, most, &asked, max_record_bytes)?, begin, end))
        }
        #[cfg(feature = "array-record")]
        RecordFile::Chunks(file) => Ok(of_chunks(file, piece, most)),
        #[cfg(feature = "array-record")]
        RecordFile::ChunksAt(input) => Ok(of_chunks(&ArrayRecordFile::open(input)?, piece, most)),
        #[allow(unreachable_patterns)]
        _ => Ok(Vec::new()),
    }
}

/// Whether a file is one of frames that are not compressed as a whole.
fn is_plain(input: &Input) -> Result<bool> {
    Ok(tfrecord::is_header(&input.first_bytes(tfrecord::HEADER_BYTES)?))
}

/// The records from `begin` up to `end`, or all, between places where a file can be cut.
fn of_frames(cuts: &Cuts, begin: u64, end: Option<u64>) -> Vec<Stretch> {
    // A file that holds fewer records than it should is told of as a whole.
    if end.is_some_and(|end| cuts.records.is_some_and(|records| records < end)) {
        return Vec::new();
    }
    let begins: Vec<(u64, u64)> = cuts
        .begins
        .iter()
        .filter(|(record, _)| *record >= begin && end.is_none_or(|end| *record < end))
        .copied()
        .collect();
    let last_record = end.or(cuts.records);
    let follows = begins.iter().skip(1).map(|(record, offset)| (Some(*record), *offset));
    // The last part reaches to the end of the file, so that what is behind it is seen.
    let follows = follows.chain([(last_record, cuts.bytes)]);
    let stretch = |((first, from), (next, to)): (&(u64, u64), (Option<u64>, u64))| Stretch {
        first: *first,
        records: next.map(|next| next.saturating_sub(*first)),
        bytes: Some(*from..to),
        size: to.saturating_sub(*from),
    };
    begins.iter().zip(follows).map(stretch).collect()
}

/// The records of `piece` between chunks at which they can be cut.
#[cfg(feature = "array-record")]
fn of_chunks(file: &ArrayRecordFile, piece: &Piece, most: u64) -> Vec<Stretch> {
    let index = &file.index;
    let end = piece.records.map_or(index.records, |records| piece.skip.saturating_add(records));
    if end > index.records {
        return Vec::new();
    }
    let mut stretches = Vec::new();
    let mut first = piece.skip;
    while first < end {
        let begin = index.offset(index.chunk_of(first));
        let mut chunk = index.chunk_of(first) + 1;
        while index.first_record(chunk) < end
            && index.offset(chunk + 1).saturating_sub(begin) <= most
            && chunk < index.chunks()
        {
            chunk += 1;
        }
        let next = index.first_record(chunk).clamp(first + 1, end);
        let size = file.bytes_of(first, next);
        stretches.push(Stretch { first, records: Some(next - first), bytes: None, size });
        first = next;
    }
    stretches
}

impl Piece {
    /// What `part` is a part of, read from the file that `file` makes of its input.
    ///
    /// # Errors
    /// It is no part of a file of records, or its input is not what it was.
    pub(crate) fn of_part(
        part: &PlannedPart,
        reading: &Reading<'_>,
        file: impl FnOnce(Input) -> Result<RecordFile>,
    ) -> Result<Self> {
        let [input] = part.partition.inputs.as_slice() else {
            return Err(
                Error::corrupt("a part of records is of one file").in_source(part.partition.name.as_ref())
            );
        };
        let input = reading.input(input)?;
        let (file, skip, records) = match &part.partition.range {
            PartitionRange::All => (file(input)?, 0, part.elements),
            PartitionRange::Records(records) => {
                (file(input)?, records.start, Some(records.end.saturating_sub(records.start)))
            }
            PartitionRange::Frames { first, records, bytes } => {
                (RecordFile::FramesAt(input, bytes.clone(), *first), 0, *records)
            }
            _ => {
                return Err(Error::corrupt("a part of records is a range of them")
                    .in_source(part.partition.name.as_ref()));
            }
        };
        let (first_element, to_end) = (part.first_element, part.to_end);
        Ok(Self { file, skip, records, to_end, first_element })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_what_is_asked_for() {
        let cuts = Cuts { begins: vec![(0, 0), (3, 30), (5, 50), (8, 80)], records: Some(10), bytes: 100 };
        let found = |begin, end| -> Vec<(u64, Option<u64>, u64)> {
            of_frames(&cuts, begin, end).iter().map(|s| (s.first, s.records, s.size)).collect()
        };
        assert_eq!(found(0, None), [(0, Some(3), 30), (3, Some(2), 20), (5, Some(3), 30), (8, Some(2), 20)]);
        assert_eq!(found(3, Some(8)), [(3, Some(2), 20), (5, Some(3), 50)]);
        assert_eq!(found(0, Some(11)), []);
        let unknown = Cuts { records: None, ..cuts.clone() };
        assert_eq!(of_frames(&unknown, 0, None).last().map(|s| (s.first, s.records)), Some((8, None)));
    }
}
