//! ArrayRecord files: what their index says, and where they are cut.

pub(crate) mod file;

use std::sync::Arc;

use self::file::ArrayRecordFile;
use super::records::{Piece, RecordFile};
use super::{Partition, PartitionRange};
use crate::error::Result;
use crate::input::{Input, side_by_side};

/// Bytes of a file that make a partition of their own.
const PARTITION_BYTES: u64 = 64 << 20;

/// The indexes of `inputs`, which must all be ArrayRecord files.
pub(crate) fn open_files(inputs: &[Input]) -> Result<Vec<Arc<ArrayRecordFile>>> {
    side_by_side(inputs, |input| ArrayRecordFile::open(input).map(Arc::new))
}

/// The pieces and partitions of `inputs`, which must all be ArrayRecord files, and the number of their
/// records.
///
/// # Errors
/// A file cannot be opened, or its index is damaged.
pub(crate) fn split_files(inputs: &[Input]) -> Result<(Vec<Piece>, Vec<Partition>, u64)> {
    let (mut pieces, mut partitions, mut records) = (Vec::new(), Vec::new(), 0);
    for file in open_files(inputs)? {
        records = split(&file, PARTITION_BYTES, records, &mut pieces, &mut partitions);
    }
    Ok((pieces, partitions, records))
}

/// Cuts a file whose first record is the element `first` into partitions of about
/// `partition_bytes`; returns the number of the element after its last.
fn split(
    file: &Arc<ArrayRecordFile>,
    partition_bytes: u64,
    first: u64,
    pieces: &mut Vec<Piece>,
    partitions: &mut Vec<Partition>,
) -> u64 {
    let index = &file.index;
    let mut chunk = 0;
    loop {
        let (begin, from) = (index.offset(chunk), index.first_record(chunk));
        while chunk < index.chunks() && index.offset(chunk).saturating_sub(begin) < partition_bytes {
            chunk += 1;
        }
        let to = index.first_record(chunk);
        let range = match from == 0 && to == index.records {
            true => PartitionRange::All,
            false => PartitionRange::Records(from..to),
        };
        let name = format!("{}{range}", file.name());
        let partition = Partition::new(name, vec![file.input()]).with_rows(Some(to - from));
        partitions.push(partition.with_range(range, Some(file.bytes_of(from, to))));
        pieces.push(Piece {
            file: RecordFile::Chunks(file.clone()),
            skip: from,
            records: Some(to - from),
            to_end: false,
            first_element: first + from,
        });
        if chunk >= index.chunks() {
            return first + index.records;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/array_record");

    #[test]
    fn partitions_cover_a_file_in_order() {
        let path = format!("{GOLDEN}/many_small.array_record");
        let file = Arc::new(ArrayRecordFile::open(&Input::local(path)).unwrap());
        let (mut pieces, mut partitions) = (Vec::new(), Vec::new());
        assert_eq!(split(&file, 10_000, 7, &mut pieces, &mut partitions), 2007);
        assert!(partitions.len() > 5, "{}", partitions.len());
        let mut next = 0;
        for (piece, partition) in pieces.iter().zip(&partitions) {
            assert_eq!((piece.skip, piece.first_element), (next, next + 7));
            assert_eq!(piece.records, partition.rows);
            next += piece.records.unwrap();
        }
        assert_eq!(next, 2000);
        let bytes: u64 = partitions.iter().map(|p| p.bytes.unwrap()).sum();
        assert_eq!(bytes, file.bytes_of(0, 2000));
    }

    #[test]
    fn records_are_found_by_number() {
        for (name, per_chunk) in [("simple_zstd_g4", 4), ("many_small", 1)] {
            let path = format!("{GOLDEN}/{name}.array_record");
            let index = ArrayRecordFile::open(&Input::local(path)).unwrap().index;
            for record in 0..index.records {
                let chunk = index.chunk_of(record);
                assert_eq!(chunk as u64, record / per_chunk);
                assert!((index.first_record(chunk)..index.first_record(chunk + 1)).contains(&record));
            }
            assert_eq!(index.chunk_of(index.records), index.chunks());
        }
    }
}
