//! Damaged TFDS folders and ArrayRecord files: what is kept of them, and what is told about them.

#![cfg(feature = "array-record")]
#![cfg(feature = "cli")]
#![allow(clippy::cast_possible_truncation)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Dir, Run, Table, assert_names, repo, tfarrow};
use serde_json::Value;

fn convert(args: &[&str]) -> Run {
    tfarrow(&[&["convert"], args, &["-o", "-"]].concat())
}

fn values(args: &[&str], column: &str) -> Vec<Value> {
    Table::from_stream(convert(args).success().stdout).values(column)
}

/// Skips and nulls, with one thread and with two: only `lost` rows differ from `sound`.
#[track_caller]
fn check_policies(args: &[&str], column: &str, sound: &[Value], lost: &[usize], told: &[&str]) {
    let failed = tfarrow(&[&["convert"], args, &["--dry-run"]].concat()).failure();
    assert_names(&failed, &told[..1]);
    for threads in ["1", "2"] {
        for policy in ["skip", "null"] {
            let extra = ["--on-error", policy, "--threads", threads, "--batch-rows", "3"];
            let run = convert(&[args, &extra].concat());
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
            assert!(rows[..rows.len() - 1].iter().all(|rows| *rows == 3), "{rows:?}");
        }
    }
}

#[test]
fn records_of_a_damaged_chunk_are_passed_over() {
    let dir = Dir::new();
    for (name, lost) in [("simple_zstd_g4", 4), ("many_small", 1)] {
        let golden = repo("tests/golden/array_record").join(format!("{name}.array_record"));
        let args = ["--record", "raw"];
        let sound = values(&[&[golden.to_str().unwrap()], &args[..]].concat(), "record");
        let bytes = fs::read(golden).unwrap();
        let path = dir.path("x.array_record");
        // The first byte on from the beginning that damages a chunk other than the first.
        let damages = |at: &usize| {
            let mut bytes = bytes.clone();
            bytes[*at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let run = tfarrow(&[&["convert", path.to_str().unwrap(), "--dry-run"], &args[..]].concat());
            run.code == Some(2) && !run.stderr.contains("record 0,")
        };
        (100..bytes.len()).step_by(23).find(damages).unwrap();
        let input = path.to_str().unwrap();
        let run = convert(&[&[input], &args[..], &["--on-error", "null"]].concat());
        let nulled = Table::from_stream(run.stdout).values("record");
        let rows: Vec<usize> = (0..nulled.len()).filter(|row| nulled[*row].is_null()).collect();
        assert_eq!(rows.len(), lost, "{name}: {}", run.stderr);
        let first = format!("record {}", rows[0]);
        check_policies(&[&[input], &args[..]].concat(), "record", &sound, &rows, &["corrupt", &first]);
        let run = tfarrow(&["verify", input]);
        assert_eq!(run.code, Some(1));
        assert_names(run.text(), &[&first]);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() { copy(&from, &to) } else { assert!(fs::copy(&from, &to).is_ok()) }
    }
}

/// A copy of the dataset, and its shards of the split `train`.
fn dataset(dir: &Dir, name: &str, kind: &str) -> (String, Vec<PathBuf>) {
    copy(&repo(&format!("tests/golden/tfds/{kind}")), &dir.path(name));
    let mut shards = Vec::new();
    let mut folders = vec![dir.path(name)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            match path.is_dir() {
                true => folders.push(path),
                false if file.contains("-train.") => shards.push(path),
                false => {}
            }
        }
    }
    shards.sort();
    (dir.arg(name), shards)
}

fn frame(bytes: &[u8], number: usize) -> usize {
    (0..number).fold(0, |at, _| at + 16 + u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize)
}

#[test]
fn examples_that_are_damaged_are_passed_over() {
    let dir = Dir::new();
    let (sound, _) = dataset(&dir, "sound", "wide_tfrecord");
    let sound = values(&[&sound, "--split", "train"], "label");
    let (folder, shards) = dataset(&dir, "data", "wide_tfrecord");
    let args = [folder.as_str(), "--split", "train"];
    let mut bytes = fs::read(&shards[0]).unwrap();
    let at = frame(&bytes, 1);
    bytes[at + 30] ^= 1;
    fs::write(&shards[0], &bytes).unwrap();
    check_policies(&args, "label", &sound, &[1], &["record 1, byte"]);
    // The steps of an example are lost with it; the numbers of the others stay.
    let exploded = [&args[..], &["--explode", "ds"]].concat();
    let episodes = |args: &[&str]| {
        let run = convert(args);
        assert!(run.code < Some(2), "{}", run.stderr);
        Table::from_stream(run.stdout).values("episode_index")
    };
    let (whole, _) = dataset(&dir, "whole", "wide_tfrecord");
    let mut expected = episodes(&[&whole, "--split", "train", "--explode", "ds"]);
    expected.retain(|episode| *episode != 1);
    assert_eq!(episodes(&[&exploded[..], &["--on-error", "skip"]].concat()), expected);
    // A damaged length: the next record is searched for.
    let (folder, shards) = dataset(&dir, "length", "wide_tfrecord");
    let mut bytes = fs::read(&shards[0]).unwrap();
    bytes[4] ^= 1;
    fs::write(&shards[0], &bytes).unwrap();
    check_policies(&[&folder, "--split", "train"], "label", &sound, &[0], &["corrupt record length"]);
    // What is there of a shard that is cut short.
    let (folder, shards) = dataset(&dir, "short", "wide_tfrecord");
    let bytes = fs::read(&shards[0]).unwrap();
    fs::write(&shards[0], &bytes[..frame(&bytes, 1)]).unwrap();
    let run = convert(&[&folder, "--split", "train", "--on-error", "skip"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_names(&run.stderr, &["fewer records than its metadata says", "; 1 records skipped"]);
    assert_eq!(Table::from_stream(run.stdout).values("label")[0], sound[0]);
}

#[test]
fn images_that_do_not_decode_are_passed_over() {
    let dir = Dir::new();
    let (sound, _) = dataset(&dir, "sound", "wide_tfrecord");
    let decode = ["--split", "train", "--decode-images", "--columns", "img_png,label"];
    let sound = values(&[&[sound.as_str()], &decode[..]].concat(), "label");
    let (folder, shards) = dataset(&dir, "data", "wide_tfrecord");
    let bytes = fs::read(&shards[0]).unwrap();
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let next = at + frame(&bytes[at..], 1);
        records.push(bytes[at + 12..next - 4].to_vec());
        at = next;
    }
    // Every PNG of the first record loses its magic.
    let magic = b"\x89PNG";
    for at in 0..records[0].len() - 4 {
        if &records[0][at..at + 4] == magic {
            records[0][at + 1] = b'X';
        }
    }
    fs::write(&shards[0], crate::common::tfrecord(&records)).unwrap();
    let args = [&[folder.as_str()], &decode[..]].concat();
    check_policies(&args, "label", &sound, &[0], &["column `img_png`", "record 0"]);
    // The image alone can be null.
    let run = convert(&[&args[..], &["--on-error", "null-value"]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_names(&run.stderr, &["nulled: ", "column `img_png`", "record 0", "; 1 values nulled"]);
    let table = Table::from_stream(run.stdout);
    assert_eq!(table.values("label"), sound);
    let images = table.batches[0].column_by_name("img_png").unwrap();
    assert_eq!((0..images.len()).filter(|row| images.is_null(*row)).collect::<Vec<_>>(), [0]);
}
