//! Records that are no Examples: every command says so, and none makes a table without columns of them.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::common::{Dir, Table, assert_names, field, json_file, repo, tfarrow, tfrecord};
use serde_json::{Value, json};

/// A file of `tests/golden/other`.
fn other(name: &str) -> String {
    format!("tests/golden/other/{name}.tfrecord")
}

/// What `tf.train.Example` finds in the feature `id` of the file's records.
fn expected(name: &str) -> Vec<Value> {
    json_file("tests/golden/other/expected.json")[name].as_array().unwrap().clone()
}

/// Files without a single Example.
const OTHER: [&str; 10] = [
    "tensors",
    "scalars",
    "scenarios",
    "frames",
    "variants",
    "predictions",
    "statistics",
    "lists",
    "text",
    "images",
];

#[test]
fn files_of_other_records_are_told_from_examples_by_every_command() {
    let dir = Dir::new();
    for name in OTHER {
        let (file, records) = (other(name), expected(name).len().to_string());
        let commands: [&[&str]; 7] = [
            &["schema"],
            &["head"],
            &["convert", "--dry-run"],
            &["convert", "-o", &dir.arg("out.parquet")],
            &["convert", "--dry-run", "--on-error", "skip"],
            &["convert", "--dry-run", "--on-error", "null"],
            &["convert", "--dry-run", "--record", "example"],
        ];
        for command in commands {
            let message = tfarrow(&[command, &[&file]].concat()).failure();
            assert_names(
                &message,
                &["not a tf.train.Example: ", &file, "record 0, byte ", "--record raw", "--record message"],
            );
            assert!(message.len() < 350, "{message}");
        }
        let message = tfarrow(&["convert", "--dry-run", "--record", "sequence", &file]).failure();
        assert_names(&message, &["not a tf.train.Example: ", "--record raw"]);
        assert_eq!(dir.names(), [""; 0], "{name}");

        assert_eq!(tfarrow(&["count", &file]).success().text().trim(), records, "{name}");
        let verified = tfarrow(&["verify", &file]).success();
        let what = if records == "1" { "1 record of another kind" } else { "records of another kind" };
        assert_names(verified.text(), &[what, "checksums hold, contents unknown"]);
        assert!(!verified.text().contains("sound"), "{name}");
        let found: Value =
            serde_json::from_str(tfarrow(&["verify", "--json", &file]).success().text()).unwrap();
        assert_eq!(found["files"][0]["looked_into"], json!(false), "{name}");

        // What the error names works.
        let raw = tfarrow(&["convert", &file, "--record", "raw", "-o", "-"]).success().stdout;
        assert_eq!(Table::from_stream(raw).rows().to_string(), records, "{name}");
    }
}

#[test]
fn a_record_of_another_kind_is_found_wherever_it_stands() {
    for (name, lost) in [("in_the_middle", &[2, 4][..]), ("at_the_beginning", &[0, 1])] {
        let (file, expected) = (other(name), expected(name));
        let first = format!("record {}, byte ", lost[0]);
        for extra in [&[][..], &["--columns", "id"], &["--feature", "id:int64?"], &["--infer-records", "2"]] {
            let message = tfarrow(&[&["convert", &file, "--dry-run"], extra].concat()).failure();
            assert_names(&message, &["not a tf.train.Example", &first, "--record raw"]);
        }
        for threads in ["1", "2"] {
            let policy = |policy| {
                let args = ["convert", &file, "-o", "-", "--threads", threads, "--on-error", policy];
                let run = tfarrow(&args);
                assert_eq!(run.code, Some(1), "{}", run.stderr);
                assert_names(&run.stderr, &[&first, &format!("{} records", lost.len())]);
                Table::from_stream(run.stdout).values("id")
            };
            assert_eq!(policy("null"), expected, "{name}");
            let kept = (0..expected.len()).filter(|row| !lost.contains(row));
            assert_eq!(policy("skip"), kept.map(|row| expected[row].clone()).collect::<Vec<_>>(), "{name}");
        }
        let run = tfarrow(&["verify", "--json", &file]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let found: Value = serde_json::from_str(run.text()).unwrap();
        let found = &found["files"][0];
        let damage: Vec<_> =
            found["damage"].as_array().unwrap().iter().map(|d| d["record"].clone()).collect();
        assert_eq!(Value::Array(damage), json!(lost), "{name}");
        assert_eq!(found["records"], json!(expected.len() - lost.len()), "{name}");
        assert_eq!(found["what"], "records of tf.train.Example", "{name}");
    }
}

#[test]
fn among_sequence_examples_too() {
    let dir = Dir::new();
    let frames = |path: &str| fs::read(repo(path)).unwrap();
    let sequences = frames("tests/golden/features/sequence.tfrecord");
    let mixed = [sequences.clone(), frames(&other("tensors")), sequences].concat();
    fs::write(dir.path("mixed.tfrecord"), mixed).unwrap();
    let file = dir.arg("mixed.tfrecord");
    let rows: usize =
        tfarrow(&["count", "tests/golden/features/sequence.tfrecord"]).text().trim().parse().unwrap();
    let message = tfarrow(&["convert", &file, "--dry-run"]).failure();
    assert_names(&message, &["not a tf.train.Example", &format!("record {rows}, byte "), "--record raw"]);
    let run = tfarrow(&["verify", &file]);
    assert_eq!(run.code, Some(1));
    assert_names(run.text(), &["records of tf.train.SequenceExample: 3 damaged"]);
}

#[test]
fn examples_of_a_later_version_and_of_nothing_are_examples() {
    let convert = |name: &str| {
        let run = tfarrow(&["convert", &other(name), "-o", "-"]).success();
        tfarrow(&["verify", &other(name)]).success();
        Table::from_stream(run.stdout)
    };
    let table = convert("later_fields");
    assert_eq!(table.columns(), ["id", "text"]);
    assert_eq!(table.values("id"), expected("later_fields"));
    let table = convert("of_nothing");
    assert_eq!((table.columns().len(), table.rows()), (0, 3));
    assert_names(tfarrow(&["verify", &other("of_nothing")]).text(), &["3 records: sound"]);
}

#[test]
fn features_without_any_value_are_not_a_table_without_columns() {
    let dir = Dir::new();
    // Features { feature { key: "a" value { } } }
    let entry = [field(1, b"a"), field(2, b"")].concat();
    let record = field(1, &field(1, &entry));
    fs::write(dir.path("x.tfrecord"), tfrecord(&[record.clone(), record])).unwrap();
    let file = dir.arg("x.tfrecord");
    let message = tfarrow(&["convert", &file, "-o", "-"]).failure();
    assert_names(&message, &["no feature holds a value in 2 records", "--feature 'a:int64?'"]);
    let run = tfarrow(&["convert", &file, "--feature", "a:int64?", "-o", "-"]).success();
    assert_eq!(Table::from_stream(run.stdout).values("a"), [Value::Null, Value::Null]);
}
