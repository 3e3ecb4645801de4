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
use tfarrow::{FeatureSpec, ReaderBuilder, RecordKind, convert};

fn read(input: &str, kind: RecordKind, features: &[&str]) -> u64 {
    let mut builder = ReaderBuilder::new([input]).with_record_kind(kind);
    if !features.is_empty() {
        builder = builder.with_features(features.iter().map(|f| FeatureSpec::parse(f).unwrap()));
    }
    let source = builder.build_source().unwrap();
    convert(&source, None, builder.read_options(), 1).unwrap().rows
}

fn benches(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let scalars = file(path, "scalars", 20_000, |row| {
        let mut out = Vec::new();
        for column in 0..13u64 {
            out.push(entry(&format!("f{column:02}"), FLOAT, &floats(row + column, 1)));
            out.push(entry(&format!("i{column:02}"), INT64, &ints(row + column, 1)));
            out.push(entry(&format!("b{column:02}"), BYTES, format!("{row:08x}").as_bytes()));
        }
        out
    });
    let embedding = file(path, "embedding", 5_000, |row| {
        vec![entry("id", INT64, &ints(row, 1)), entry("x", FLOAT, &floats(row, 768))]
    });
    let tokens = file(path, "tokens", 20_000, |row| vec![entry("tokens", INT64, &ints(row, row % 512))]);
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

criterion_group!(all, benches);
criterion_main!(all);
