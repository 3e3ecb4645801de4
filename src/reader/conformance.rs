//! What every [`Source`] promises, as checks that any source can be put through.
//!
//! The checks read the source several times, so that it should be small; standard input and other
//! inputs that can be read once cannot be checked.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::Batches;
use crate::error::{Error, ErrorKind, Result};
use crate::source::{Cardinality, Decoded, ReadOptions, Selection, Source, drain};

fn broken(rule: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, format!("source breaks a rule: {}", rule.into()))
}

fn ensure(holds: bool, rule: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(broken(rule())) }
}

/// Reads everything, checking each batch on the way.
fn read(source: &Arc<dyn Source>, options: &ReadOptions, threads: usize) -> Result<Vec<RecordBatch>> {
    let schema = source.schema();
    let mut batches = Vec::new();
    let mut short = false;
    for batch in Batches::new(source.clone(), options, threads)? {
        let batch = batch?;
        ensure(batch.schema() == schema, || "a batch has another schema than the source".to_owned())?;
        ensure(batch.num_rows() > 0, || "a batch is empty".to_owned())?;
        ensure(batch.num_rows() <= options.batch_rows, || "a batch has more rows than asked for".to_owned())?;
        ensure(!short, || "a batch that is not the last one is short".to_owned())?;
        short = batch.num_rows() < options.batch_rows;
        batches.push(batch);
    }
    Ok(batches)
}

fn table(source: &Arc<dyn Source>, batches: &[RecordBatch]) -> Result<RecordBatch> {
    Ok(concat_batches(&source.schema(), batches)?)
}

/// Puts `source` through every check.
///
/// | rule | |
/// | --- | --- |
/// | schema | every batch has the source's schema |
/// | batches | have the rows asked for, but for the last one; none is empty |
/// | order | is the same for any number of threads and any size of batch |
/// | partitions | read one after the other give the rows of the whole; beyond the end there is nothing |
/// | selection | skip, shard and take give the rows that slicing the whole gives |
/// | projection | gives the columns asked for, in that order, as they are in the whole; others are unknown |
/// | cardinality | is the number of rows, if known; a partition's rows too |
/// | progress | counts every row |
///
/// # Errors
/// The rule that is broken, or what reading failed with.
pub fn check(source: &Arc<dyn Source>) -> Result<()> {
    let options = |batch_rows: usize| ReadOptions { batch_rows, ..ReadOptions::default() };
    let whole = table(source, &read(source, &options(7), 1)?)?;
    let rows = whole.num_rows();

    for (batch_rows, threads) in [(1, 1), (3, 2), (7, 3), (rows.max(1), 2), (rows + 1, 1)] {
        let batches = read(source, &options(batch_rows), threads)?;
        ensure(table(source, &batches)? == whole, || {
            format!("rows differ with batches of {batch_rows} and {threads} threads")
        })?;
    }

    let mut parts = Vec::new();
    for (index, partition) in source.partitions().iter().enumerate() {
        let part = batches_of(source, index..index + 1)?;
        let part_rows: usize = part.iter().map(RecordBatch::num_rows).sum();
        if let Some(known) = partition.rows {
            ensure(known == part_rows as u64, || {
                format!("partition {} has {part_rows} rows and claims {known}", partition.name)
            })?;
        }
        parts.extend(part);
    }
    ensure(table(source, &parts)? == whole, || "partitions give other rows than the whole".to_owned())?;
    let end = source.partitions().len();
    ensure(batches_of(source, end..end + 1)?.is_empty(), || {
        "there are rows past the last partition".to_owned()
    })?;

    check_projection(source, &whole)?;

    if let Cardinality::Known(known) = source.cardinality() {
        ensure(known == rows as u64, || format!("cardinality is {rows} and claims to be {known}"))?;
    }

    for selection in selections(rows as u64) {
        let read_options = ReadOptions { selection, ..options(5) };
        let selected = table(source, &read(source, &read_options, 2)?)?;
        let expected = slice(&whole, &selection)?;
        ensure(selected == expected, || format!("{selection:?} gives other rows than slicing"))?;
        let counted = read_options.progress.rows();
        ensure(counted == expected.num_rows() as u64, || {
            format!("progress counts {counted} rows of {selection:?}")
        })?;
    }
    Ok(())
}

fn check_projection(source: &Arc<dyn Source>, whole: &RecordBatch) -> Result<()> {
    let schema = source.schema();
    let names: Vec<&str> = schema.fields().iter().rev().map(|field| field.name().as_str()).collect();
    let single: Vec<Vec<&str>> = names.iter().map(|name| vec![*name]).collect();
    let half = names.iter().step_by(2).copied().collect();
    for columns in single.into_iter().chain([names.clone(), half]) {
        let projected = source.project(&columns)?;
        let places = columns.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let expected = whole.project(&places)?;
        ensure(projected.schema().fields() == expected.schema().fields(), || {
            format!("{columns:?} are other columns once they are projected")
        })?;
        ensure(projected.partitions() == source.partitions(), || {
            format!("other partitions with {columns:?} alone")
        })?;
        let options = ReadOptions { batch_rows: 7, ..ReadOptions::default() };
        let found = table(&projected, &read(&projected, &options, 2)?)?;
        ensure(found.columns() == expected.columns(), || format!("other values with {columns:?} alone"))?;
        if let Some(other) = names.iter().find(|name| !columns.contains(name)) {
            ensure(projected.project(&[other]).is_err(), || {
                format!("`{other}` comes back, of which only {columns:?} were left")
            })?;
        }
    }
    ensure(source.project(&["no column of this name"]).is_err(), || {
        "there is a column that does not exist".to_owned()
    })
}

fn batches_of(source: &Arc<dyn Source>, partitions: std::ops::Range<usize>) -> Result<Vec<RecordBatch>> {
    let mut units = source.units(partitions, &ReadOptions::default())?;
    let mut batches = Vec::new();
    drain(units.as_mut(), &mut |decoded| {
        if let Decoded::Batch(batch) = decoded {
            batches.push(batch);
        }
        Ok(())
    })?;
    Ok(batches)
}

fn selections(rows: u64) -> Vec<Selection> {
    let all = Selection::default();
    vec![
        all,
        Selection { take: Some(0), ..all },
        Selection { take: Some(rows / 2), ..all },
        Selection { take: Some(rows + 5), ..all },
        Selection { skip: rows / 3, ..all },
        Selection { skip: rows + 5, ..all },
        Selection { shard: Some((1, 3)), ..all },
        Selection { skip: 2, shard: Some((0, 2)), take: Some(rows / 4) },
    ]
}

/// The rows of `whole` that `selection` selects.
fn slice(whole: &RecordBatch, selection: &Selection) -> Result<RecordBatch> {
    let (index, count) = selection.shard.unwrap_or((0, 1));
    let take = selection.take.and_then(|t| usize::try_from(t).ok()).unwrap_or(usize::MAX);
    let skip = usize::try_from(selection.skip).unwrap_or(usize::MAX);
    let rows = (skip.min(whole.num_rows())..whole.num_rows())
        .enumerate()
        .filter(|(after_skip, _)| *after_skip as u64 % count == index)
        .map(|(_, row)| whole.slice(row, 1))
        .take(take);
    Ok(concat_batches(&whole.schema(), &rows.collect::<Vec<_>>())?)
}

// Many of the files they read are compressed.
#[cfg(feature = "gzip")]
#[cfg(test)]
mod tests {
    use crate::options::{RecordKind, Structure};
    use crate::reader::ReaderBuilder;
    use crate::schema::cast::Cast;
    use crate::wire::tfrecord::put_frame;

    #[test]
    fn tfrecord_files_conform() {
        for inputs in [
            &["examples/data/digits/digits.tfrecord-*-of-*"][..],
            &["tests/golden/examples/sharded.tfrecord-*-of-*"],
            &["tests/golden/examples/gzip_members.tfrecord", "tests/golden/examples/gzip_members.tfrecord"],
        ] {
            let builder = ReaderBuilder::new(inputs);
            super::check(&builder.build_source().unwrap()).unwrap();
            let raw = builder.with_record(RecordKind::Raw);
            super::check(&raw.build_source().unwrap()).unwrap();
        }
    }

    #[test]
    fn stored_datasets_conform() {
        for input in [
            "saved/shards3/data",
            "saved/shards_uneven/data",
            "saved/checkpointed/data",
            "saved/ragged_r1_batched/data",
            "saved/sparse_batched/data",
            "saved/snappy_multi_block/data",
            "saved/batched_partial_last/data",
            "saved_tf212/shards3_gzip/data",
            "distributed/auto",
            "snapshot/snapshot_AUTO",
            "snapshot/snapshot_shard_func",
            "snapshot/legacy_v1_SNAPPY",
            "cache/dict",
        ] {
            let builder = ReaderBuilder::new([format!("tests/golden/{input}")]);
            super::check(&builder.build_source().unwrap()).unwrap_or_else(|e| panic!("{input}: {e}"));
        }
        for input in ["ragged_r1_batched", "ragged_r2_batched", "sparse_batched", "batched_partial_last"] {
            let builder = ReaderBuilder::new([format!("tests/golden/saved/{input}/data")]).with_unbatch(true);
            super::check(&builder.build_source().unwrap()).unwrap_or_else(|e| panic!("{input}: {e}"));
        }
    }

    #[test]
    #[cfg(feature = "array-record")]
    fn array_record_files_conform() {
        let golden = |name: &str| format!("tests/golden/array_record/{name}.array_record");
        for inputs in [
            vec![golden("transpose_zstd_g4"), golden("many_small")],
            vec![golden("empty"), golden("simple_brotli_g4"), golden("big_records_zstd_g3")],
        ] {
            let raw = ReaderBuilder::new(inputs).with_record(RecordKind::Raw);
            super::check(&raw.build_source().unwrap()).unwrap();
        }
    }

    #[test]
    #[cfg(feature = "array-record")]
    fn tfds_folders_conform() {
        for name in ["wide_tfrecord", "wide_array_record", "wide_parquet"] {
            let folder = format!("tests/golden/tfds/{name}");
            for split in ["train", "train[1:4]+test", "train[:0]"] {
                let builder = ReaderBuilder::new([folder.as_str()]).with_split(split);
                super::check(&builder.build_source().unwrap()).unwrap();
                let builder = builder.with_decode_images(true).with_class_names(true);
                super::check(&builder.build_source().unwrap()).unwrap();
                let builder = builder.with_explode("ds");
                super::check(&builder.build_source().unwrap()).unwrap();
                let builder = builder.with_cast(Cast::parse("ds/r=float32").unwrap());
                super::check(&builder.build_source().unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn records_of_other_messages_conform() {
        for name in ["elwc", "elwc_of_context", "events"] {
            let builder = ReaderBuilder::new([format!("tests/golden/other/{name}.tfrecord")]);
            super::check(&builder.build_source().unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
            let builder = builder.with_structure(Structure::Nested);
            if name == "events" {
                super::check(&builder.build_source().unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let (proto, path) = (folder.path().join("m.proto"), folder.path().join("m.tfrecord"));
        let declared = "syntax = 'proto3'; message In { string x = 1; double y = 2; } \
            message M { int64 a = 1; In in = 2; repeated In all = 3; oneof one { bool p = 4; bytes q = 5; } }";
        std::fs::write(&proto, declared).unwrap();
        let mut file = Vec::new();
        for record in [&b"\x08\x05\x12\x03\x0a\x01k"[..], b"", b"\x1a\x02\x0a\x00\x1a\x00\x20\x01\x2a\x01z"] {
            put_frame(&mut file, record);
        }
        std::fs::write(&path, file).unwrap();
        let builder = ReaderBuilder::new(&path).with_proto(proto).with_message("M");
        super::check(&builder.build_source().unwrap()).unwrap();
        super::check(&builder.with_structure(Structure::Nested).build_source().unwrap()).unwrap();
    }
}
