//! What writing costs, beside writing the same bytes with nothing around them.
//!
//! ```text
//! TMPDIR=/dev/shm cargo bench --bench write
//! ```
//!
//! Figures are bytes of Arrow arrays a second, one thread.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod common;

use std::path::Path;

use arrow::array::RecordBatch;
use common::{BYTES, entry, file};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tfarrow::ReaderBuilder;
use tfarrow::schema::FeatureSpec;
use tfarrow::sink::{Format, OutputCompression, SinkOptions, open_sink};

fn batches(input: &str, features: &[&str]) -> Vec<RecordBatch> {
    let mut builder = ReaderBuilder::new([input]);
    if !features.is_empty() {
        builder = builder.with_features(features.iter().map(|f| FeatureSpec::parse(f).unwrap()));
    }
    builder.build().unwrap().map(Result::unwrap).collect()
}

fn write(path: &Path, batches: &[RecordBatch], options: &SinkOptions) -> u64 {
    let mut sink = open_sink(path, batches[0].schema_ref(), options).unwrap();
    batches.iter().for_each(|batch| sink.write(batch).unwrap());
    sink.finish().unwrap()
}

/// Every buffer of every column, as it is.
fn raw(path: &Path, batches: &[RecordBatch]) -> u64 {
    use std::io::Write;
    fn all(out: &mut std::fs::File, data: &arrow::array::ArrayData) -> u64 {
        let own: u64 = data
            .buffers()
            .iter()
            .map(|buffer| {
                out.write_all(buffer).unwrap();
                buffer.len() as u64
            })
            .sum();
        own + data.child_data().iter().map(|child| all(out, child)).sum::<u64>()
    }
    let mut out = std::fs::File::create(path).unwrap();
    batches.iter().flat_map(RecordBatch::columns).map(|column| all(&mut out, &column.to_data())).sum()
}

fn benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let scalars = file(path, "scalars", 50_000, common::scalars);
    let embedding = file(path, "embedding", 10_000, common::embedding);
    let tokens = file(path, "tokens", 40_000, common::tokens);
    let image = file(path, "image", 3_000, |row| {
        let pixels: Vec<u8> = (0..12_288u64).map(|i| (row * 31 + i * i).to_le_bytes()[0]).collect();
        vec![entry("image", BYTES, &pixels)]
    });

    for (name, input, features, array) in [
        ("39 scalars", &scalars.0, &[][..], false),
        ("768 floats", &embedding.0, &["id:int64", "x:float32[768]"], true),
        ("token lists", &tokens.0, &["tokens:int64[]"], false),
        ("uint8 images", &image.0, &["image:raw<uint8>[64,64,3]"], true),
    ] {
        let batches = batches(input, features);
        let out = path.join("out");
        let bytes = raw(&out, &batches);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes)).sample_size(10);
        group.bench_function("limit: plain write", |b| b.iter(|| raw(&out, &batches)));
        let mut measure = |label: &str, format, compression| {
            let mut options = SinkOptions::new().with_format(format).with_overwrite(true);
            if let Some(compression) = compression {
                options = options.with_compression(compression);
            }
            std::fs::remove_file(&out).or_else(|_| std::fs::remove_dir_all(&out)).unwrap();
            group.bench_function(label, |b| b.iter(|| write(&out, &batches, &options)));
        };
        measure("IPC", Format::IpcFile, None);
        measure("Parquet, zstd", Format::Parquet, None);
        measure("Parquet, snappy", Format::Parquet, Some(OutputCompression::Snappy));
        measure("Parquet, plain", Format::Parquet, Some(OutputCompression::None));
        measure("TFRecord", Format::TfRecord, None);
        if array {
            measure("npyd", Format::Npyd, None);
            measure("saved", Format::Saved, None);
        }
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
