//! Damaged input: what is kept of it, what is told about it, and how the program ends.

#![cfg(feature = "cli")]
#![allow(clippy::cast_possible_truncation)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::common::{
    DIGITS, DIGITS_ROWS, Dir, Run, Table, assert_names, golden, json_file, repo, tfarrow, tfarrow_fed,
};
use serde_json::{Value, json};

const SHARD_0: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";
const SHARD_1: &str = "examples/data/digits/digits.tfrecord-00001-of-00002";

/// Asserts that the program finished, but not without losses.
#[track_caller]
fn lossy(run: Run) -> Run {
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    run
}

/// Where the frames of a TFRecord file begin, and where it ends.
fn borders(file: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut borders = vec![0];
    while at < file.len() {
        at += 16 + u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        borders.push(at);
    }
    borders
}

/// A file of digits with damage of every kind: its bytes, and the rows that are lost.
fn damaged_digits() -> (Vec<u8>, Vec<usize>) {
    let mut file = fs::read(repo(SHARD_0)).unwrap();
    let borders = borders(&file);
    file[borders[10] + 40] ^= 1; // a record
    file[borders[300] + 2] ^= 4; // a length
    file[borders[301] - 2] ^= 4; // the same record's own CRC
    file[borders[600] + 9] ^= 4; // a length's CRC
    file.truncate(borders[898] - 3); // the last record
    (file, vec![10, 300, 600, 897])
}

#[test]
fn skip_leaves_out_exactly_what_is_damaged() {
    let dir = Dir::new();
    let (bytes, lost) = damaged_digits();
    fs::write(dir.path("digits.tfrecord"), bytes).unwrap();
    let input = dir.arg("digits.tfrecord");
    tfarrow(&["convert", SHARD_0, "-o", &dir.arg("sound.arrow")]).success();
    let sound = Table::open(&dir.path("sound.arrow"));
    let mut first = None;
    for threads in ["1", "2"] {
        let output = dir.arg(&format!("{threads}.arrow"));
        let args = ["convert", &input, "-o", &output, "--on-error", "skip", "--threads", threads];
        let run = lossy(tfarrow(&[&args[..], &["--batch-rows", "100"]].concat()));
        assert_names(&run.stderr, &["record 10, byte", "record 300, byte", "; 4 records skipped"]);
        let table = Table::open(&dir.path(&format!("{threads}.arrow")));
        for column in ["label", "pixels", "writer"] {
            let mut expected = sound.values(column);
            lost.iter().rev().for_each(|row| drop(expected.remove(*row)));
            assert_eq!(table.values(column), expected, "{column}");
        }
        // Rows are lost, but no batch is short but the last.
        let rows: Vec<usize> = table.batches.iter().map(|batch| batch.num_rows()).collect();
        assert_eq!(rows, [&[100; 8][..], &[94]].concat());
        let bytes = fs::read(&output).unwrap();
        assert!(*first.get_or_insert_with(|| bytes.clone()) == bytes, "threads change the output");
    }
}

#[test]
fn null_keeps_a_row_for_each_failure() {
    let dir = Dir::new();
    let (bytes, lost) = damaged_digits();
    fs::write(dir.path("digits.tfrecord"), bytes).unwrap();
    let output = dir.arg("out.arrow");
    let run = lossy(tfarrow(&["convert", &dir.arg("digits.tfrecord"), "-o", &output, "--on-error", "null"]));
    assert_names(&run.stderr, &["898 rows", "; 4 records nulled"]);
    tfarrow(&["convert", SHARD_0, "-o", &dir.arg("sound.arrow")]).success();
    let (sound, table) = (Table::open(&dir.path("sound.arrow")), Table::open(&dir.path("out.arrow")));
    for column in ["image", "label", "pixels", "writer"] {
        let mut expected = sound.values(column);
        lost.iter().for_each(|row| expected[*row] = Value::Null);
        assert_eq!(table.values(column), expected, "{column}");
    }
    // So do records that are kept as bytes.
    let args = ["convert", &dir.arg("digits.tfrecord"), "--record", "raw", "--on-error", "null", "-o", "-"];
    let table = Table::from_stream(lossy(tfarrow(&args)).stdout);
    let nulls: Vec<usize> =
        table.values("record").iter().enumerate().filter(|(_, v)| v.is_null()).map(|(row, _)| row).collect();
    assert_eq!(nulls, lost);
}

#[test]
fn fail_is_the_default_and_leaves_nothing_behind() {
    let dir = Dir::new();
    let inputs = Dir::new();
    fs::write(inputs.path("digits.tfrecord"), damaged_digits().0).unwrap();
    let args = ["convert", &inputs.arg("digits.tfrecord"), "-o", &dir.arg("out.parquet")];
    let message = tfarrow(&args).failure();
    assert_names(&message, &["record 10, byte"]);
    assert_eq!(tfarrow(&[&args[..], &["--on-error", "fail"]].concat()).failure(), message);
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn a_report_lists_every_failure_as_json_lines() {
    let dir = Dir::new();
    let (bytes, lost) = damaged_digits();
    let borders = borders(&fs::read(repo(SHARD_0)).unwrap());
    fs::write(dir.path("digits.tfrecord"), bytes).unwrap();
    let input = dir.arg("digits.tfrecord");
    for threads in ["1", "2"] {
        let report = dir.arg(&format!("{threads}.jsonl"));
        let args = ["convert", &input, "--dry-run", "--on-error", "skip", "--batch-rows", "7"];
        lossy(tfarrow(&[&args[..], &["--threads", threads, "--report", &report]].concat()));
        let text = fs::read_to_string(&report).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let places: Vec<_> =
            lines.iter().map(|line| (line["record"].clone(), line["byte"].clone())).collect();
        let offsets = [borders[10] + 12, borders[300], borders[600], borders[897]];
        let expected: Vec<_> =
            lost.iter().zip(offsets).map(|(row, byte)| (json!(row), json!(byte))).collect();
        assert_eq!(places, expected);
        for line in &lines {
            assert_eq!((&line["source"], &line["kind"]), (&json!(input), &json!("corrupt")), "{line}");
            assert!(line["message"].as_str().unwrap().contains("record"), "{line}");
        }
    }
    // It is made when nothing is wrong, too, and does not replace a file unasked.
    let report = dir.arg("none.jsonl");
    tfarrow(&["convert", SHARD_1, "--dry-run", "--report", &report]).success();
    assert_eq!(fs::read_to_string(&report).unwrap(), "");
    let message = tfarrow(&["convert", SHARD_1, "--dry-run", "--report", &report]).failure();
    assert_names(&message, &["none.jsonl", "--overwrite"]);
}

#[test]
fn records_that_do_not_fit_are_skipped_and_nulled_too() {
    for (file, kept) in [
        ("kind_changes", json!([1, 2])),
        ("count_changes", json!([1, 2])),
        ("length_changes", json!([[1.0, 2.0], [3.0, 4.0]])),
        ("text_changes", json!(["a", "b"])),
        ("not_example", Value::Null),
    ] {
        for policy in ["skip", "null"] {
            let input = golden(&format!("{file}.tfrecord"));
            let args = ["convert", &input, "-o", "-", "--infer-records", "2", "--on-error", policy];
            let run = lossy(tfarrow(&args));
            let table = Table::from_stream(run.stdout);
            if let Some(kept) = kept.as_array() {
                let mut expected = kept.clone();
                if policy == "null" {
                    expected.push(Value::Null);
                }
                assert_eq!(table.values("x"), expected, "{file}, {policy}");
            }
            assert_names(&run.stderr, &[file, "record "]);
        }
    }
}

#[test]
fn damage_is_passed_over_for_inference() {
    // The first record is damaged: columns come from the others.
    let first = golden("damaged/first_data_bit.tfrecord");
    let sound = golden("sound.tfrecord");
    let all = Table::from_stream(tfarrow(&["convert", &sound, "-o", "-"]).success().stdout);
    let run = lossy(tfarrow(&["convert", &first, "-o", "-", "--on-error", "skip"]));
    let table = Table::from_stream(run.stdout);
    assert_eq!(table.columns(), all.columns());
    for column in all.columns() {
        assert_eq!(table.values(column), all.values(column)[1..], "{column}");
    }
    // Without a single sound record there is nothing to make columns of.
    let message =
        tfarrow(&["convert", &golden("damaged/not_tfrecord.tfrecord"), "-o", "-", "--on-error", "skip"]);
    assert_names(&message.failure(), &["not_tfrecord.tfrecord", "input is text of separated values (CSV)"]);
}

#[test]
fn standard_input_is_passed_over_damage_as_files_are() {
    let dir = Dir::new();
    let (bytes, _) = damaged_digits();
    fs::write(dir.path("digits.tfrecord"), &bytes).unwrap();
    for policy in ["skip", "null"] {
        for sample in ["3", "20", "500", "all"] {
            let args = ["-o", "-", "--on-error", policy, "--infer-records", sample];
            let piped = lossy(tfarrow_fed(&[&["convert", "-"], &args[..]].concat(), bytes.clone()));
            let read = lossy(tfarrow(&[&["convert", &dir.arg("digits.tfrecord")], &args[..]].concat()));
            assert!(piped.stdout == read.stdout, "{policy}, {sample}");
            assert_eq!(piped.stderr.matches("tfarrow: ").count(), 4, "{}", piped.stderr);
        }
    }
}

#[test]
fn the_records_before_a_broken_gzip_stream_are_kept() {
    // In the first, only the stream's own checksum is wrong, at its very end.
    for (name, kept) in [("gzip_bit", 3), ("gzip_cut", 1), ("gzip_data_bit", 2)] {
        let input = golden(&format!("damaged/{name}.tfrecord"));
        let run = lossy(tfarrow(&["convert", &input, "-o", "-", "--on-error", "skip"]));
        assert_eq!(Table::from_stream(run.stdout).rows(), kept, "{name}");
        assert_names(&run.stderr, &[name, "record "]);
    }
}

#[test]
fn the_selection_counts_damaged_records() {
    let dir = Dir::new();
    let (bytes, _) = damaged_digits();
    fs::write(dir.path("digits.tfrecord"), bytes).unwrap();
    let input = dir.arg("digits.tfrecord");
    let rows = |args: &[&str]| {
        let run = tfarrow(&[&["convert", &input, "-o", "-", "--on-error", "skip"], args].concat());
        Table::from_stream(run.stdout).rows()
    };
    assert_eq!(rows(&["--take", "20"]), 19);
    assert_eq!(rows(&["--take", "10"]), 10);
    assert_eq!(rows(&["--skip", "11"]), 898 - 11 - 3);
    assert_eq!(rows(&["--shard", "0/2"]) + rows(&["--shard", "1/2"]), 894);
}

// Looking for damage.

#[test]
fn verify_finds_nothing_wrong_with_sound_files() {
    let run = tfarrow(&["verify", DIGITS]).success();
    assert_eq!(run.text().lines().count(), 3);
    assert_names(run.text(), &["1797 records of tf.train.Example of 2 TFRecord files: sound"]);
    assert_names(run.text(), &["00000-of-00002: 898 records of tf.train.Example: sound"]);
    let run = tfarrow(&["verify", DIGITS, "--json"]).success();
    let all: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&all["records"], &all["damaged"]), (&json!(DIGITS_ROWS), &json!(0)));
    // Records of another kind are framed as soundly.
    let run = tfarrow(&["verify", "tests/golden/tfrecord/small.tfrecord"]).success();
    assert_names(run.text(), &[" records of another kind: checksums hold, contents unknown"]);
    for file in ["gzip.tfrecord.gz", "zlib.tfrecord", "gzip_members.tfrecord", "wire.tfrecord"] {
        assert_names(tfarrow(&["verify", &golden(file)]).success().text(), &["sound"]);
    }
}

#[test]
fn verify_lists_damage_by_record_and_byte() {
    for (name, place) in json_file("tests/golden/examples/damaged.json").as_object().unwrap() {
        let run = lossy(tfarrow(&["verify", &golden(&format!("damaged/{name}.tfrecord"))]));
        if let (Some(record), Some(byte)) = (place["record"].as_u64(), place["byte"].as_u64()) {
            assert_names(run.text(), &[&format!("record {record}, byte {byte}: ")]);
        }
    }
    let dir = Dir::new();
    let (bytes, lost) = damaged_digits();
    fs::write(dir.path("digits.tfrecord"), bytes).unwrap();
    let run = lossy(tfarrow(&["verify", &dir.arg("digits.tfrecord"), SHARD_1, "--json"]));
    let all: Value = serde_json::from_str(run.text()).unwrap();
    let damage = all["files"][0]["damage"].as_array().unwrap();
    assert_eq!(damage.iter().map(|d| d["record"].as_u64().unwrap() as usize).collect::<Vec<_>>(), lost);
    assert_eq!(all["files"][0]["records"], json!(894));
    assert_eq!((&all["files"][1]["records"], &all["files"][1]["damaged"]), (&json!(899), &json!(0)));
    assert_eq!(all["damaged"], json!(4));
}

#[test]
fn verify_looks_into_examples() {
    let run = lossy(tfarrow(&["verify", &golden("not_example.tfrecord")]));
    assert_names(run.text(), &["record 1, byte", "is not a tf.train.Example"]);
}

#[test]
fn verify_fails_where_there_is_nothing_to_read() {
    let dir = Dir::new();
    assert_names(&tfarrow(&["verify", &dir.arg("nothing")]).failure(), &["nothing"]);
}

#[test]
fn count_says_what_it_did_not_check() {
    let dir = Dir::new();
    let mut file = fs::read(repo(SHARD_0)).unwrap();
    let at = borders(&file)[10] + 40;
    file[at] ^= 1;
    fs::write(dir.path("digits.tfrecord"), file).unwrap();
    let run = tfarrow(&["count", &dir.arg("digits.tfrecord")]).success();
    assert_eq!(run.text(), "898\n");
    assert_names(&run.stderr, &["data was not", "tfarrow verify"]);
}
