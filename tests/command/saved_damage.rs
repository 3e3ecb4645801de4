//! Damaged `Dataset.save` folders: what is kept of them, and what is told about them.

#![cfg(feature = "cli")]
#![allow(clippy::cast_possible_truncation)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;

use crate::common::{DIGITS, Dir, Run, Table, assert_names, tfarrow};
use serde_json::{Value, json};

const ROWS: usize = 200;

/// The digits as a save of these columns, and where its one shard is.
fn save(dir: &Dir, name: &str, columns: &str, extra: &[&str]) -> (String, PathBuf) {
    let folder = dir.arg(name);
    let args = ["convert", DIGITS, "--take", "200", "--columns", columns, "-o", &folder, "--format", "saved"];
    tfarrow(&[&args[..], extra].concat()).success();
    (folder, dir.path(name).join("1/00000000.shard/00000000.snapshot"))
}

/// Where the frames begin, and where the last one ends.
fn borders(file: &[u8]) -> Vec<usize> {
    let mut borders = vec![0];
    while *borders.last().unwrap() < file.len() {
        let at = *borders.last().unwrap();
        borders.push(at + 16 + u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize);
    }
    borders
}

fn change(path: &PathBuf, change: impl FnOnce(&mut Vec<u8>, &[usize])) {
    let mut bytes = fs::read(path).unwrap();
    let borders = borders(&bytes);
    change(&mut bytes, &borders);
    fs::write(path, bytes).unwrap();
}

fn convert(input: &str, extra: &[&str]) -> Run {
    tfarrow(&[&["convert", input, "-o", "-"], extra].concat())
}

/// The values of `columns` after skipping, and with nulls; each for one thread and for two.
#[track_caller]
fn check_policies(input: &str, column: &str, sound: &[Value], lost: &[usize], told: &[&str]) {
    for threads in ["1", "2"] {
        for policy in ["skip", "null"] {
            let args = ["--on-error", policy, "--threads", threads, "--batch-rows", "33"];
            let run = convert(input, &args);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert_names(&run.stderr, told);
            assert_names(&run.stderr, &[&format!("; {} records", lost.len())]);
            let mut expected = sound.to_vec();
            for row in lost.iter().rev() {
                match policy {
                    "null" => expected[*row] = Value::Null,
                    _ => drop(expected.remove(*row)),
                }
            }
            let table = Table::from_stream(run.stdout);
            assert_eq!(table.values(column), expected, "{policy}, {threads}");
            let rows: Vec<_> = table.batches.iter().map(|batch| batch.num_rows()).collect();
            assert!(rows[..rows.len() - 1].iter().all(|rows| *rows == 33), "{rows:?}");
        }
    }
}

fn sound(column: &str) -> Vec<Value> {
    let args = ["--take", "200", "--columns", column];
    Table::from_stream(convert(DIGITS, &args).success().stdout).values(column)
}

#[test]
fn damaged_elements_are_passed_over() {
    let dir = Dir::new();
    let (folder, shard) = save(&dir, "s", "label,pixels", &[]);
    // Two components an element.
    change(&shard, |bytes, at| {
        bytes[at[2 * 10] + 14] ^= 1;
        bytes[at[2 * 40 + 1] + 20] ^= 1;
        bytes[at[2 * 41 + 1] + 20] ^= 1;
        bytes[at[2 * 199] + 13] ^= 1;
    });
    let message = convert(&folder, &["--batch-rows", "8"]);
    assert_eq!(message.code, Some(2));
    assert_names(&message.stderr, &["record 10, byte"]);
    let lost = [10, 40, 41, 199];
    for column in ["label", "pixels"] {
        check_policies(&folder, column, &sound(column), &lost, &["record 10, byte", "record 199, byte"]);
    }
    let run = tfarrow(&["verify", &folder, "--json"]);
    assert_eq!(run.code, Some(1));
    let all: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&all["records"], &all["damaged"]), (&json!(196), &json!(4)));
    // The selection counts them.
    let rows = |args: &[&str]| {
        let run = convert(&folder, &[&["--on-error", "skip"], args].concat());
        Table::from_stream(run.stdout).rows()
    };
    assert_eq!((rows(&["--take", "20"]), rows(&["--skip", "11"])), (19, ROWS - 11 - 3));
    assert_eq!(rows(&["--shard", "0/2"]) + rows(&["--shard", "1/2"]), ROWS - 4);
}

#[test]
fn a_damaged_length_is_passed_over_where_the_next_element_can_be_found() {
    let dir = Dir::new();
    let (folder, shard) = save(&dir, "one", "label", &[]);
    change(&shard, |bytes, at| bytes[at[70] + 3] ^= 4);
    check_policies(&folder, "label", &sound("label"), &[70], &["corrupt record length", "byte"]);
    let (folder, shard) = save(&dir, "two", "label,pixels", &[]);
    change(&shard, |bytes, at| bytes[at[2 * 70] + 3] ^= 4);
    let run = convert(&folder, &["--on-error", "skip"]);
    assert_eq!(run.code, Some(2));
    assert_names(&run.stderr, &["corrupt record length", "several components"]);
}

#[test]
fn a_shard_that_ends_too_soon_loses_its_end() {
    let dir = Dir::new();
    let (folder, shard) = save(&dir, "within", "label,pixels", &[]);
    // In the second component of the element 150.
    change(&shard, |bytes, at| bytes.truncate(at[2 * 150 + 1] + 30));
    let run = convert(&folder, &["--on-error", "skip"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_names(&run.stderr, &["truncated record", "; 1 records skipped"]);
    assert_eq!(Table::from_stream(run.stdout).values("label"), sound("label")[..150]);
    // Between two components, and between two elements, which only the metadata tells.
    for (name, cut, told) in
        [("component", 2 * 150 + 1, "ends inside an element"), ("element", 2 * 150, "elements are missing")]
    {
        let (folder, shard) = save(&dir, name, "label,pixels", &[]);
        change(&shard, |bytes, at| bytes.truncate(at[cut]));
        let run = convert(&folder, &[]);
        assert_eq!(run.code, Some(2));
        assert_names(&run.stderr, &[told]);
        for (policy, rows) in [("skip", 150), ("null", 151)] {
            let run = convert(&folder, &["--on-error", policy]);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert_names(&run.stderr, &[told]);
            let table = Table::from_stream(run.stdout);
            assert_eq!(table.values("label")[..150], sound("label")[..150], "{name}");
            assert_eq!(table.rows(), rows, "{name}");
        }
    }
    // Compressed: what was decompressed before the damage.
    for compression in ["gzip", "snappy"] {
        let (folder, shard) = save(&dir, compression, "label,pixels", &["--compression", compression]);
        let bytes = fs::read(&shard).unwrap();
        fs::write(&shard, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(convert(&folder, &[]).code, Some(2));
        let run = convert(&folder, &["--on-error", "skip"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let labels = Table::from_stream(run.stdout);
        let labels = if labels.rows() == 0 { Vec::new() } else { labels.values("label") };
        assert!(labels.len() < ROWS);
        assert_eq!(labels, sound("label")[..labels.len()], "{compression}");
    }
}

#[test]
fn damage_in_batches_loses_the_batch() {
    let dir = Dir::new();
    let golden = "tests/golden/saved/batched_partial_last/data";
    let whole = convert(golden, &["--unbatch"]).success();
    let whole = Table::from_stream(whole.stdout);
    let column = whole.columns()[0].to_owned();
    // Saved again: one shard, whose second element is damaged.
    let folder = dir.arg("s");
    tfarrow(&["convert", golden, "-o", &folder, "--format", "saved"]).success();
    let shard = dir.path("s/1/00000000.shard/00000000.snapshot");
    let batches = Table::from_stream(convert(golden, &[]).success().stdout).rows();
    let mut first = 0;
    change(&shard, |bytes, at| {
        let components = (at.len() - 1) / batches;
        bytes[at[components] + 13] ^= 1;
        first = components;
    });
    assert!(first > 0);
    let run = convert(&folder, &["--unbatch", "--on-error", "skip"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_names(&run.stderr, &["record 1, byte", "; 1 records skipped"]);
    let kept = Table::from_stream(run.stdout).rows();
    let run = convert(&folder, &["--unbatch", "--on-error", "null"]);
    let nulled = Table::from_stream(run.stdout);
    assert!(kept < whole.rows());
    assert_eq!(nulled.rows(), kept + 1);
    assert_eq!(nulled.values(&column).iter().filter(|value| value.is_null()).count(), 1);
}

#[test]
fn parts_of_so_many_elements_are_gone_on_with() {
    let dir = Dir::new();
    let (folder, shard) = save(&dir, "s", "label,pixels", &[]);
    change(&shard, |bytes, at| bytes[at[2 * 65] + 14] ^= 1);
    let read = |out: &str| {
        let mut parts: Vec<_> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
        parts.retain(|path| path.extension().unwrap() == "arrow");
        parts.sort();
        parts.into_iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let mut first = None;
    for threads in ["1", "2"] {
        let out = dir.arg(&format!("parts{threads}/"));
        let args = ["convert", &folder, "-o", &out, "--format", "arrow", "--rows-per-file", "60"];
        let args = [&args[..], &["--on-error", "skip", "--batch-rows", "7", "--threads", threads]].concat();
        assert_eq!(tfarrow(&args).code, Some(1));
        let parts = read(&out);
        assert_eq!(parts.len(), 4);
        let rows: Vec<_> = (0..4)
            .map(|i| Table::open(&dir.path(&format!("parts{threads}/part-{i:05}.arrow"))).rows())
            .collect();
        assert_eq!(rows, [60, 59, 60, 20]);
        fs::remove_file(dir.path(&format!("parts{threads}/part-00002.arrow"))).unwrap();
        let run = tfarrow(&[&args[..], &["--resume"]].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_names(&run.stderr, &["of them kept", "1 records skipped"]);
        assert!(read(&out) == parts && *first.get_or_insert_with(|| parts.clone()) == parts);
    }
    // Batches that were saved are cut where a part ends.
    let out = dir.arg("unbatched/");
    let golden = "tests/golden/saved/batched_partial_last/data";
    let all = Table::from_stream(convert(golden, &["--unbatch"]).success().stdout).rows();
    let args = ["convert", golden, "--unbatch", "-o", &out, "--format", "arrow", "--rows-per-file", "3"];
    tfarrow(&args).success();
    let rows: Vec<usize> = (0..all.div_ceil(3))
        .map(|i| Table::open(&dir.path(&format!("unbatched/part-{i:05}.arrow"))).rows())
        .collect();
    assert!(rows[..rows.len() - 1].iter().all(|rows| *rows == 3), "{rows:?}");
    assert_eq!(rows.iter().sum::<usize>(), all);
}
