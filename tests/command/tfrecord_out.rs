//! TFRecord as output: what the program writes is what TensorFlow parses, and what it reads itself.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::common::{
    DIGITS, DIGITS_ROWS, Dir, Table, assert_names, json_file, python, repo, run_python, tfarrow,
};
use serde_json::Value;

#[test]
fn a_round_trip_keeps_rows_types_and_shapes() {
    let dir = Dir::new();
    for (out, extra) in [
        ("x.tfrecord", &[][..]),
        ("x.tfrecord.gz", &[]),
        ("z.tfrecords", &["--compression", "zlib:9"]),
        ("named", &["--format", "tfrecord"]),
    ] {
        let (path, features) = (dir.arg(out), dir.arg(&format!("{out}.features.json")));
        tfarrow(&[&["convert", DIGITS, "-o", &path], extra].concat()).success();
        let run = tfarrow(&["convert", &path, "--features", &features, "-o", &dir.arg("back.arrow")]);
        run.success();
        tfarrow(&["convert", DIGITS, "-o", &dir.arg("first.arrow")]).success();
        let (back, first) = (fs::read(dir.path("back.arrow")), fs::read(dir.path("first.arrow")));
        assert!(back.unwrap() == first.unwrap(), "{out}");
        assert_names(tfarrow(&["verify", &path]).success().text(), &["tf.train.Example: sound"]);
        ["back.arrow", "first.arrow"].iter().for_each(|name| fs::remove_file(dir.path(name)).unwrap());
    }
    // What there is, is not replaced unasked: neither records nor specs.
    fs::remove_file(dir.path("x.tfrecord")).unwrap();
    let message = tfarrow(&["convert", DIGITS, "-o", &dir.arg("x.tfrecord")]).failure();
    assert_names(&message, &["x.tfrecord.features.json", "--overwrite"]);
}

#[test]
fn encodings_are_chosen_by_column() {
    let dir = Dir::new();
    let out = dir.arg("x.tfrecord");
    let args = ["convert", DIGITS, "-o", &out, "--encoding", "pixels=raw,label=tensor"];
    tfarrow(&args).success();
    let specs = json_file(dir.path("x.tfrecord.features.json").to_str().unwrap());
    let expected =
        r#"{"image":"binary?","label":"tensor<int64>?","pixels":"raw<float32>[64]?","writer":"string?"}"#;
    assert_eq!(specs.to_string(), expected);
    for (args, parts) in [
        (&["--encoding", "pixels=png"][..], &["--encoding", "COLUMN=values"][..]),
        (&["--encoding", "pixel=raw"], &["pixel", "did you mean `pixels`?"]),
        (&["--encoding", "writer=raw"], &["writer", "raw bytes cannot hold string"]),
        (&["--compression", "zstd"], &["zstd", "gzip"]),
        (&["--cast", "float32:float64"], &["float64", "pixels", "--encoding 'pixels=raw'"]),
    ] {
        let message = tfarrow(&[&["convert", DIGITS, "-o", &dir.arg("y.tfrecord")], args].concat()).failure();
        assert_names(&message, parts);
    }
    let message = tfarrow(&["convert", DIGITS, "-o", &dir.arg("y.parquet"), "--shards", "2"]).failure();
    assert_names(&message, &["--shards is not for Parquet files; it is for TFRecord files"]);
    assert_eq!(dir.names(), ["x.tfrecord", "x.tfrecord.features.json"]);
}

#[test]
fn parts_of_a_folder_share_one_file_of_specs() {
    let dir = Dir::new();
    let out = dir.arg("parts/");
    let args = ["convert", DIGITS, "-o", &out, "--format", "tfrecord"];
    tfarrow(&args).success();
    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let parts = ["part-00000-of-00002.tfrecord", "part-00001-of-00002.tfrecord"];
    assert_eq!(names, [&["_features.json", "_manifest.json"][..], &parts].concat());
    let whole = fs::read(dir.path("parts").join(parts[1])).unwrap();
    fs::remove_file(dir.path("parts").join(parts[1])).unwrap();
    let run = tfarrow(&[&args[..], &["--resume"]].concat()).success();
    assert_names(&run.stderr, &["2 parts", "1 of them kept"]);
    assert!(fs::read(dir.path("parts").join(parts[1])).unwrap() == whole);
    let features = dir.arg("parts/_features.json");
    let all = dir.arg("parts/part-*");
    let run = tfarrow(&["convert", &all, "--features", &features, "-o", "-"]).success();
    assert_eq!(Table::from_stream(run.stdout).rows(), DIGITS_ROWS);
}

/// TensorFlow parses what we write with the spec that stands beside it.
#[test]
fn tensorflow_parses_what_we_write() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    let mut written = 0;
    for entry in fs::read_dir(repo("tests/golden/saved")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let input = folder.join("data");
        let input = input.to_str().unwrap();
        let run = tfarrow(&["schema", input, "--json"]);
        let Ok(schema) = serde_json::from_str::<Value>(run.text()) else { continue };
        // What values cannot hold is kept as bytes.
        let mut extra = Vec::new();
        for column in schema["columns"].as_array().unwrap() {
            let dtype = column["metadata"]["tf.dtype"].as_str().unwrap_or_default();
            if ["float64", "uint64"].contains(&dtype) {
                extra.push(format!("{}=tensor", column["name"].as_str().unwrap()));
            }
        }
        let extra = extra.join(",");
        let extra = if extra.is_empty() { vec![] } else { vec!["--encoding", &extra] };
        let out = dir.arg(&format!("{name}.tfrecord"));
        let run = tfarrow(&[&["convert", input, "-o", &out], &extra[..]].concat());
        if run.code == Some(0) {
            tfarrow(&["convert", input, "-o", &dir.arg(&format!("{name}.arrow"))]).success();
            written += 1;
        } else {
            let message = run.failure();
            let known = ["lists of lists", "sparse tensor", "structure", "nested dataset", "tensor of dtype"];
            assert!(known.iter().any(|word| message.contains(word)), "{name}: {message}");
        }
    }
    assert!(written > 30, "{written}");
    tfarrow(&["convert", DIGITS, "--take", "100", "-o", &dir.arg("digits.arrow")]).success();
    let args = ["convert", DIGITS, "--take", "100", "-o", &dir.arg("digits.tfrecord"), "--shards", "3"];
    tfarrow(&args).success();
    run_python(python, "check_tfrecord.py", &[dir.arg("")]);
}
