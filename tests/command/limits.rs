//! Limits of memory and of disks: batches are split in time, and what cannot be written leaves
//! nothing behind.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufReader, Write};
use std::process::{Command, Output, Stdio};

use crate::common::{DIGITS, Dir, assert_names, repo};
use arrow::array::{Array, AsArray};
use arrow::ipc::reader::StreamReader;

/// The program under a shell's limits.
fn limited(limits: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tfarrow")])
        .args(args)
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir(repo(""));
    command
}

fn frame(record: &[u8]) -> Vec<u8> {
    let masked =
        |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let length = (record.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), record, &masked(record)].concat()
}

#[test]
fn a_batch_of_more_than_two_gigabytes_is_split() {
    const RECORDS: usize = 640;
    const RECORD_BYTES: usize = 4 << 20;
    let args = ["convert", "-", "--record", "raw", "-o", "-", "--threads", "1", "--batch-rows", "1024"];
    // All 2.5 GiB are one batch by its number of rows, and far more than may be held.
    let mut child = limited("ulimit -v 1800000", &args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let frame = frame(&vec![7; RECORD_BYTES]);
        (0..RECORDS).for_each(|_| stdin.write_all(&frame).unwrap());
    });
    let reader = StreamReader::try_new(BufReader::new(child.stdout.take().unwrap()), None).unwrap();
    let mut rows = 0;
    for batch in reader {
        let batch = batch.unwrap();
        let records = batch.column(0).as_binary::<i32>();
        assert!((0..records.len()).all(|row| records.value(row).len() == RECORD_BYTES));
        assert!(records.value_data().len() < 1 << 30);
        rows += batch.num_rows();
    }
    assert_eq!(rows, RECORDS);
    writer.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_batch_that_defaults_make_large_is_split() {
    // 1,797 digits of next to nothing, each given 12 defaults of 100 kB: 2.2 GB in one batch.
    let columns: Vec<String> = (0..12).map(|n| format!("new{n}")).collect();
    let features: Vec<String> =
        columns.iter().map(|name| format!("{name}:binary={}", "x".repeat(100_000))).collect();
    let columns = columns.join(",");
    let mut args = vec!["convert", DIGITS, "-o", "-", "--columns", &columns, "--batch-rows", "4096"];
    args.extend(["--threads", "1"]);
    features.iter().for_each(|feature| args.extend(["--feature", feature]));
    let mut child = limited("ulimit -v 2500000", &args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let reader = StreamReader::try_new(BufReader::new(child.stdout.take().unwrap()), None).unwrap();
    let rows: Vec<usize> = reader.map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(rows.iter().sum::<usize>(), 1797);
    assert!(rows.len() > 3, "{rows:?}");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Asserts that it failed with one line, which names what could not be written.
#[track_caller]
fn failed(output: &Output, names: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    assert_names(&stderr, names);
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_behind() {
    // A limit on the size of files stands for a disk that is full.
    let full = "trap '' XFSZ; ulimit -f 40";
    for name in ["out.arrow", "out.arrows", "out.parquet", "out.npz"] {
        let dir = Dir::new();
        let args = ["convert", DIGITS, "-o", &dir.arg(name), "--columns", "pixels,label"];
        failed(&limited(full, &args).output().unwrap(), &[name, "os error"]);
        assert_eq!(dir.names(), [""; 0], "{name}");
    }
    let dir = Dir::new();
    let args = ["convert", DIGITS, "-o", &dir.arg("out/"), "--columns", "pixels,label", "--format", "arrow"];
    failed(&limited(full, &args).output().unwrap(), &["part-0000", "--resume"]);
    let left = std::fs::read_dir(dir.path("out")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["_progress.jsonl"]);
}

#[test]
fn standard_output_on_a_full_device_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = limited(":", &["convert", DIGITS, "-o", "-"]).stdout(full).output().unwrap();
    failed(&run, &["os error 28"]);
}

#[test]
fn a_longer_record_than_allowed_is_refused_or_stepped_over() {
    let dir = Dir::new();
    let file = [frame(b"short"), frame(&[1; 5000]), frame(b"end")].concat();
    std::fs::write(dir.path("in.tfrecord"), file).unwrap();
    let input = dir.arg("in.tfrecord");
    let args = ["convert", &input, "--record", "raw", "--max-record-bytes", "1000", "-o", "-"];
    let message = crate::common::tfarrow(&[&args[..], &["--dry-run"]].concat()).failure();
    assert_names(&message, &["record 1,", "5000 bytes", "at most 1000", "--max-record-bytes"]);
    let run = crate::common::tfarrow(&[&args[..], &["--on-error", "skip"]].concat());
    assert_eq!(run.code, Some(1));
    assert_eq!(crate::common::Table::from_stream(run.stdout).rows(), 2);
}
