//! ArrayRecord files of every kind come out as they were written.

#![cfg(all(feature = "cli", feature = "array-record"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::{Dir, Table, assert_names, json_file, repo, tfarrow};
use serde_json::{Value, json};

fn file(name: &str) -> String {
    repo("tests/golden/array_record").join(name).to_str().unwrap().to_owned()
}

fn sound() -> Vec<(String, Value)> {
    let expected = json_file("tests/golden/array_record/expected.json");
    let files = expected.as_object().unwrap().iter();
    files
        .filter(|(name, what)| what["records"].is_array() && !name.starts_with("truncated"))
        .map(|(name, what)| (name.clone(), what["records"].clone()))
        .collect()
}

#[test]
fn raw_records_are_those_that_were_written() {
    let files = sound();
    assert!(files.len() > 10);
    for (name, records) in files {
        let dir = Dir::new();
        tfarrow(&["convert", &file(&name), "--record", "raw", "-o", &dir.arg("out.arrow")]).success();
        let table = Table::open(&dir.path("out.arrow"));
        assert_eq!(table.columns(), ["record"]);
        let found = table.values("record");
        let expected = records.as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            match expected["len"].as_u64() {
                Some(len) => assert_eq!(found.as_str().unwrap().len() as u64, 2 * len, "{name}"),
                None => assert_eq!(found, expected, "{name}"),
            }
        }
        assert_eq!(tfarrow(&["count", &file(&name)]).success().text(), format!("{}\n", expected.len()));
    }
}

#[test]
fn examples_are_inferred_from_every_kind_of_chunk() {
    for name in ["simple_zstd_g1", "simple_brotli_g4", "transpose_zstd_g4", "transpose_uncompressed_g4"] {
        let dir = Dir::new();
        // Some of the files go on with records that are no Examples.
        let (input, out) = (file(&format!("{name}.array_record")), dir.arg("out.arrow"));
        tfarrow(&["convert", &input, "-o", &out, "--take", "10", "--infer-records", "10"]).success();
        let table = Table::open(&dir.path("out.arrow"));
        assert_eq!(table.columns(), ["a", "f", "s"], "{name}");
        let written = sound().iter().find(|(file, _)| file.starts_with(name)).unwrap().1.clone();
        let rows = u32::try_from(written.as_array().unwrap().len()).unwrap().min(10);
        assert!(rows >= 4);
        let a: Vec<Value> = (0..rows).map(|i| json!([i, i * i])).collect();
        assert_eq!(table.values("a"), a, "{name}");
        let f: Vec<Value> = (0..rows).map(|i| json!(f64::from(i) * 0.5)).collect();
        assert_eq!(table.values("f"), f, "{name}");
    }
}

#[test]
fn damage_is_named_with_its_place() {
    for (name, parts) in [
        ("bad_data_bit", &["corrupt chunk", "bad_data_bit.array_record", "record 0", "byte 64"][..]),
        ("bad_postscript", &["corrupt chunk", "byte 65536"]),
        ("truncated_64k", &["no ArrayRecord index", "is the file whole"]),
        ("truncated_mid", &["no ArrayRecord index"]),
    ] {
        let error = tfarrow(&["head", &file(&format!("{name}.array_record")), "--record", "raw"]).failure();
        assert_names(&error, parts);
    }
    let whole = std::fs::read(file("simple_zstd_g4.array_record")).unwrap();
    let dir = Dir::new();
    std::fs::write(dir.path("cut.array_record"), &whole[..whole.len() - 65536]).unwrap();
    let error = tfarrow(&["count", &dir.arg("cut.array_record")]).failure();
    assert_names(&error, &["no ArrayRecord index", "cut.array_record"]);
}

#[test]
fn a_selection_reads_only_the_chunks_that_it_needs() {
    let table = |args: &[&str]| {
        let dir = Dir::new();
        let out = dir.arg("out.arrow");
        let many = file("many_small.array_record");
        let args = [&["convert", &many, "--record", "raw", "-o", &out], args].concat();
        let run = tfarrow(&args).success();
        (Table::open(&dir.path("out.arrow")).values("record"), run.stderr)
    };
    let hex = |i: u32| json!(i.to_string().bytes().map(|b| format!("{b:02x}")).collect::<String>());
    let (rows, note) = table(&["--skip", "1500", "--take", "3"]);
    assert_eq!(rows, [hex(1500), hex(1501), hex(1502)]);
    assert_names(&note, &["0.0 MB read"]);
    let (rows, _) = table(&["--shard", "7/500"]);
    assert_eq!(rows, [hex(7), hex(507), hex(1007), hex(1507)]);
}

#[test]
fn damaged_chunks_are_passed_over_and_listed() {
    let whole = sound().into_iter().find(|(name, _)| name == "simple_zstd_g4.array_record");
    let (name, _) = whole.unwrap();
    let sound = file(&name);
    let dir = Dir::new();
    let (input, out) = (dir.arg("bad.array_record"), dir.arg("out.arrow"));
    let read = |input: &str, options: &[&str]| {
        let args = ["convert", input, "--record", "raw", "-o", &out, "--overwrite"];
        let run = tfarrow(&[&args[..], options].concat());
        (run.code, Table::open(&dir.path("out.arrow")).values("record"), run.stderr)
    };
    let (_, all, _) = read(&sound, &[]);
    let mut bytes = std::fs::read(&sound).unwrap();
    // In the data of the first chunk, which holds four records.
    bytes[64 + 50] ^= 1;
    std::fs::write(&input, bytes).unwrap();
    let (code, left, said) = read(&input, &["--on-error", "skip", "--threads", "2"]);
    assert_eq!((code, left.as_slice()), (Some(1), &all[4..]));
    assert_names(&said, &["bad.array_record, record 0, byte 64", "4 records skipped"]);
    let (code, nulled, _) = read(&input, &["--on-error", "null", "--batch-rows", "3"]);
    assert_eq!((code, nulled.len()), (Some(1), all.len()));
    assert!(nulled[..4].iter().all(serde_json::Value::is_null) && nulled[4..] == all[4..]);
    let verified = tfarrow(&["verify", &input]);
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    assert_names(verified.text(), &["record 0, byte 64", "record 3, byte 64"]);
    // Five of its records are none, whatever the rest are.
    let verified = tfarrow(&["verify", &sound]);
    assert_names(
        verified.text(),
        &["11 records of tf.train.Example: 5 damaged", "record 11: ", "record 15: "],
    );
    // Of Examples, too: damage does not stand in the way of inference.
    let run = tfarrow(&["convert", &input, "--on-error", "skip", "--dry-run"]);
    assert!(run.code == Some(1) || run.stderr.contains("not"), "{}", run.stderr);
}
