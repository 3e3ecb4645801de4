//! What reading costs, stage by stage, as throughput beside the limit: a plain copy of the same
//! bytes and their CRC.
//!
//! ```text
//! cargo bench --bench read
//! ```
//!
//! Figures are bytes of input a second, one thread, input in the page cache.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::hint::black_box;

use common::{BYTES, FLOAT, INT64, entry, file, floats, ints};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tfarrow::options::RecordKind;
use tfarrow::schema::FeatureSpec;
use tfarrow::sink::{Format, OutputCompression, SinkOptions, open_sink};
use tfarrow::{ReaderBuilder, convert};

fn read(input: &str, kind: RecordKind, features: &[&str]) -> u64 {
    let mut builder = ReaderBuilder::new([input]).with_record(kind);
    if !features.is_empty() {
        builder = builder.with_features(features.iter().map(|f| FeatureSpec::parse(f).unwrap()));
    }
    let source = builder.build_source().unwrap();
    convert(&source, None, builder.read_options(), 1).unwrap().rows
}

fn benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let scalars = file(path, "scalars", 20_000, common::scalars);
    let embedding = file(path, "embedding", 5_000, common::embedding);
    let tokens = file(path, "tokens", 20_000, common::tokens);
    let image =
        file(path, "image", 1_500, |row| vec![entry("image", BYTES, &vec![row.to_le_bytes()[0]; 12_288])]);

    for (name, (input, bytes), features) in [
        ("39 scalars", &scalars, &[][..]),
        ("1 of 39 scalars", &scalars, &["i05:int64"]),
        ("768 floats", &embedding, &["id:int64", "x:float32[768]"]),
        ("token lists", &tokens, &["tokens:int64[]"]),
        ("12 kB of bytes", &image, &["image:binary"]),
    ] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(*bytes)).sample_size(20);
        let data = std::fs::read(input).unwrap();
        group.bench_function("limit: copy", |b| b.iter(|| black_box(data.clone()).len()));
        group.bench_function("limit: CRC", |b| b.iter(|| crc32c::crc32c(black_box(&data))));
        group.bench_function("frames and CRC", |b| b.iter(|| read(input, RecordKind::Raw, &[])));
        group.bench_function("columns", |b| b.iter(|| read(input, RecordKind::Example, features)));
        group.finish();
    }
}

/// Folders of `Dataset.save`, beside the codec alone.
fn saved(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (input, _) = file(path, "records", 4_000, |row| {
        let pixels: Vec<u8> = (0..12_288u64).map(|i| (row + i / 64).to_le_bytes()[0]).collect();
        vec![
            entry("image", BYTES, &pixels),
            entry("x", FLOAT, &floats(row, 128)),
            entry("y", INT64, &ints(row, 1)),
        ]
    });
    let specs = ["image:raw<uint8>[64,64,3]", "x:float32[128]", "y:int64"];
    let builder =
        ReaderBuilder::new([&input]).with_features(specs.map(|spec| FeatureSpec::parse(spec).unwrap()));
    let source = builder.build_source().unwrap();
    let bytes = 4_000 * (12_288 + 512 + 8);

    let mut group = c.benchmark_group("saved dataset");
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    let plain = std::fs::read(&input).unwrap();
    let packed = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    group.bench_function("limit: copy", |b| b.iter(|| black_box(plain.clone()).len()));
    group.bench_function("limit: Snappy of the same values", |b| {
        b.iter(|| snap::raw::Decoder::new().decompress_vec(black_box(&packed)).unwrap().len());
    });
    for (name, compression) in [
        ("plain", OutputCompression::None),
        ("Snappy", OutputCompression::Snappy),
        ("GZIP", OutputCompression::Gzip(None)),
    ] {
        let output = path.join(name);
        let options = SinkOptions::new().with_format(Format::Saved).with_compression(compression);
        let sink = open_sink(&output, &source.schema(), &options).unwrap();
        convert(&source, Some(sink), builder.read_options(), 1).unwrap();
        let reader = ReaderBuilder::new([output.to_str().unwrap()]);
        group.bench_function(name, |b| {
            b.iter(|| convert(&reader.build_source().unwrap(), None, reader.read_options(), 1).unwrap().rows);
        });
    }
    group.finish();
}

criterion_group!(all, benches, saved);
criterion_main!(all);
