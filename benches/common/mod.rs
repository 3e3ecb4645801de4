//! Files of records to measure with, made without TensorFlow.

#![allow(dead_code)] // each bench uses some of it

use std::io::Write;
use std::path::Path;

const MASK_DELTA: u32 = 0xa282_ead8;

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(MASK_DELTA)
}

pub(crate) fn frame(out: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(record);
    out.extend(masked_crc(record).to_le_bytes());
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    varint(&mut out, body.len() as u64);
    out.extend(body);
    out
}

/// One entry of `Features`: `tag` says which list, `values` is its packed body.
pub(crate) fn entry(name: &str, tag: u8, values: &[u8]) -> Vec<u8> {
    let list = message(tag, &message(0x0a, values));
    message(0x0a, &[message(0x0a, name.as_bytes()), message(0x12, &list)].concat())
}

pub(crate) const BYTES: u8 = 0x0a;
pub(crate) const FLOAT: u8 = 0x12;
pub(crate) const INT64: u8 = 0x1a;

/// A file of `rows` Examples, each made by `features`.
pub(crate) fn file(
    folder: &Path,
    name: &str,
    rows: u64,
    features: impl Fn(u64) -> Vec<Vec<u8>>,
) -> (String, u64) {
    // Written as it grows: a process that this one starts seems to need what this one needed.
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    let (mut out, mut bytes) = (Vec::new(), 0);
    for row in 0..rows {
        frame(&mut out, &message(0x0a, &features(row).concat()));
        if out.len() > 1 << 20 || row + 1 == rows {
            file.write_all(&out).unwrap();
            bytes += out.len() as u64;
            out.clear();
        }
    }
    (path.to_str().unwrap().to_owned(), bytes)
}

pub(crate) fn ints(row: u64, n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    (0..n).for_each(|i| varint(&mut out, (row * 7919 + i * i * 31) % 50_000));
    out
}

pub(crate) fn floats(row: u64, n: u64) -> Vec<u8> {
    (0..n).flat_map(|i| ((row * 31 + i) as f32).to_le_bytes()).collect()
}

/// Records of 39 scalars: 13 floats, 13 integers, 13 texts.
pub(crate) fn scalars(row: u64) -> Vec<Vec<u8>> {
    (0..13)
        .flat_map(|column| {
            [
                entry(&format!("f{column:02}"), FLOAT, &floats(row + column, 1)),
                entry(&format!("i{column:02}"), INT64, &ints(row + column, 1)),
                entry(&format!("b{column:02}"), BYTES, format!("{row:08x}").as_bytes()),
            ]
        })
        .collect()
}

/// Records of an id and 768 floats.
pub(crate) fn embedding(row: u64) -> Vec<Vec<u8>> {
    vec![entry("id", INT64, &ints(row, 1)), entry("x", FLOAT, &floats(row, 768))]
}

/// Records of a list of up to 511 integers.
pub(crate) fn tokens(row: u64) -> Vec<Vec<u8>> {
    vec![entry("tokens", INT64, &ints(row, row % 512))]
}
