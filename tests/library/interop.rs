//! Converted files as other people's programs see them: pyarrow, pandas, polars and DuckDB.

#![cfg(all(feature = "cli", feature = "parquet"))]
#![allow(clippy::unwrap_used)]

use std::ffi::OsString;

use crate::common::{DIGITS, Dir, golden, json_file, python, run_python, tfarrow};

const EXTENSIONS: [&str; 3] = ["parquet", "arrow", "arrows"];

#[test]
fn readers_see_the_golden_datasets() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    let mut args = Vec::new();
    for (name, dataset) in json_file("tests/golden/examples/expected.json").as_object().unwrap() {
        for extension in EXTENSIONS {
            let output = dir.arg(&format!("{name}.{extension}"));
            let input = golden(dataset["input"].as_str().unwrap());
            tfarrow(&["convert", &input, "-o", &output]).success();
            args.push(output);
        }
    }
    args.extend(["--expected".into(), golden("expected.json")]);
    run_python(python, "check_interop.py", &args);
}

#[test]
fn readers_see_compressed_files() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    let mut args = Vec::new();
    for (extension, codecs) in [
        ("arrow", ["none", "lz4", "zstd"].as_slice()),
        ("parquet", ["none", "lz4", "zstd:9", "snappy", "gzip"].as_slice()),
    ] {
        for codec in codecs {
            let output = dir.arg(&format!("{}.{extension}", codec.replace(':', "")));
            let lists = golden("lists.tfrecord");
            tfarrow(&["convert", &lists, "-o", &output, "--compression", codec]).success();
            args.push(output);
        }
    }
    args.extend(["--dataset".into(), "lists".into(), "--expected".into(), golden("expected.json")]);
    run_python(python, "check_interop.py", &args);
}

#[test]
fn readers_see_the_digits() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    let outputs = EXTENSIONS.map(|extension| dir.arg(&format!("digits.{extension}")));
    for output in &outputs {
        tfarrow(&["convert", DIGITS, "-o", output]).success();
    }
    run_python(python, "check_digits.py", &outputs);
}

/// Readers skip row groups by the bounds that are written.
#[test]
fn readers_find_what_lies_between_two_values() {
    let Some(python) = python() else { return };
    run_python(python, "check_bounds.py", &[env!("CARGO_BIN_EXE_tfarrow")]);
}

/// `TFARROW_TEST_READERS` names readers of tests/python/readers, which are installed where they are
/// not yet; `./test.sh` names the two that read least.
#[test]
fn readers_of_the_last_three_years_see_every_type() {
    let readers = std::env::var("TFARROW_TEST_READERS").unwrap_or_default();
    let (Some(python), false) = (python(), readers.is_empty()) else { return };
    let mut args: Vec<OsString> = readers.split_whitespace().map(OsString::from).collect();
    args.extend(["--program".into(), env!("CARGO_BIN_EXE_tfarrow").into()]);
    run_python(python, "check_readers.py", &args);
}
