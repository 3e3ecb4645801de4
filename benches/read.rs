//! What reading costs, stage by stage, as throughput beside the limit: a plain copy of the same
//! bytes and their CRC.
//!
//! ```text
//! cargo bench --bench read
//! ```
//!
//! Figures are bytes of input a second, one thread, input in the page cache.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tfarrow::{FeatureSpec, ReaderBuilder, RecordKind, convert};

const MASK_DELTA: u32 = 0xa282_ead8;

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

fn frame(out: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(record);
    out.extend(masked_crc(record).to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    varint(&mut out, body.len() as u64);
    out.extend(body);
    out
}

/// One entry of `Features`: `tag` says which list, `values` is its packed body.
fn entry(name: &str, tag: u8, values: &[u8]) -> Vec<u8> {
    let list = message(tag, &message(0x0a, values));
    message(0x0a, &[message(0x0a, name.as_bytes()), message(0x12, &list)].concat())
}

const BYTES: u8 = 0x0a;
const FLOAT: u8 = 0x12;
const INT64: u8 = 0x1a;

/// A file of `rows` Examples, each made by `features`.
fn file(folder: &Path, name: &str, rows: u64, features: impl Fn(u64) -> Vec<Vec<u8>>) -> (String, u64) {
    let mut out = Vec::new();
    for row in 0..rows {
        frame(&mut out, &message(0x0a, &features(row).concat()));
    }
    let path = folder.join(name);
    std::fs::write(&path, &out).unwrap();
    (path.to_str().unwrap().to_owned(), out.len() as u64)
}

fn ints(row: u64, n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    (0..n).for_each(|i| varint(&mut out, (row * 7919 + i * i * 31) % 50_000));
    out
}

fn floats(row: u64, n: u64) -> Vec<u8> {
    (0..n).flat_map(|i| ((row * 31 + i) as f32).to_le_bytes()).collect()
}

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
