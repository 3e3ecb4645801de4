//! ArrayRecord files of `tf.train.Example`, or of records kept as bytes.

pub(crate) mod file;

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use self::file::ArrayRecordFile;
use super::features;
use super::options::OpenOptions;
use super::records::{self, Piece, RecordFile, RecordUnits, RowDecoder, Shared, clip, sample};
use super::report::Failure;
use super::{Cardinality, Partition, PartitionRange, ReadOptions, Source, Units, Verified};
use crate::column::record::RecordDecoder;
use crate::error::Result;
use crate::input::{Input, side_by_side};
use crate::options::{InferRecords, RecordKind};
use crate::schema::FeaturePlan;
use crate::tf::spec::ElementSpec;

/// Bytes of a file that make a partition of their own.
const PARTITION_BYTES: u64 = 64 << 20;

/// ArrayRecord files, a partition for every 64 MB or so of chunks.
#[derive(Debug)]
pub(crate) struct ArrayRecordSource {
    shared: Arc<Shared>,
    plan: Arc<FeaturePlan>,
    kind: String,
    pieces: Vec<Piece>,
    partitions: Vec<Partition>,
    records: u64,
}

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

impl ArrayRecordSource {
    /// Opens the files and plans their columns, reading records for inference if the features are
    /// not given.
    ///
    /// # Errors
    /// A file cannot be opened, its index or a record read for inference is damaged, or the
    /// options do not fit the features.
    pub(crate) fn open(inputs: &[Input], options: &OpenOptions) -> Result<Self> {
        let (pieces, partitions, records) = split_files(inputs)?;
        // Checking the chunks needs no columns.
        let record = if options.to_verify { RecordKind::Raw } else { options.record };
        let (plan, what) = match record {
            RecordKind::Raw => (features::raw_plan(options, "array_record")?, "raw records"),
            _ => {
                let plan = infer(&pieces, options)?;
                let what = if plan.sequence { "tf.train.SequenceExample" } else { "tf.train.Example" };
                (plan, what)
            }
        };
        let plan = Arc::new(plan);
        let raw = record == RecordKind::Raw;
        let decoder_plan = plan.clone();
        let shared = Shared::new(options.check_crc, options.max_record_bytes, move |rows| {
            RecordDecoder::new(&decoder_plan, raw, rows).map(|d| Box::new(d) as Box<dyn RowDecoder>)
        });
        Ok(Self {
            shared: Arc::new(shared),
            plan,
            kind: format!("ArrayRecord files of {what}"),
            pieces,
            partitions,
            records,
        })
    }
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

fn infer(pieces: &[Piece], options: &OpenOptions) -> Result<FeaturePlan> {
    let settled = |name: &str| features::is_settled(options, name);
    let mut inference = features::inference(options, &settled);
    let limit = match options.infer {
        _ if options.features_complete => features::PROBE_RECORDS,
        InferRecords::First(limit) => limit,
        InferRecords::All => u64::MAX,
    };
    if limit > 0 && (!options.features_complete || options.record != RecordKind::Example) {
        let fault =
            sample(pieces, options.check_crc, options.max_record_bytes, options.on_error, |record| {
                inference.observe(record)?;
                Ok(inference.records() < limit)
            })?;
        // Nothing is known of what the columns should be: the first fault says why.
        match fault {
            Some(fault) if !inference.has_names() && options.features.is_empty() => return Err(fault),
            _ => {}
        }
    }
    features::plan(options, &inference, "array_record")
}

impl Source for ArrayRecordSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn row_name(&self) -> &str {
        "records"
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Known(self.records)
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn cuts_parts(&self) -> bool {
        true
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        Ok(Box::new(RecordUnits::new(&self.shared, clip(&self.pieces, partitions), options)))
    }

    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        let pieces = clip(&self.pieces, partition..partition + 1);
        records::verify(&pieces, self.shared.max_record_bytes, &options.progress, damage)
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
