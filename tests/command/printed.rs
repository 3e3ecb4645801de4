//! What is printed for people: it commands no terminal, stands in columns, counts what it names.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::common::{Dir, assert_names, example, golden, int_example, repo, tfarrow, tfrecord};
use serde_json::Value;

/// Text that acts on a terminal: a title, colours by C0 and by C1, another direction, lines.
const HOSTILE: &str =
    "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}txt\u{2066}\u{200f}a\u{2028}b\u{85}c\u{7f}\r\nd\te\u{feff}";

/// Asserts that nothing in `text` acts on a terminal, but for the line breaks of its lines.
#[track_caller]
fn assert_harmless(text: &str) {
    let acts = |c: char| {
        c != '\n'
            && (c.is_control()
                || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
    };
    assert!(!text.chars().any(acts), "{}", text.escape_debug());
}

#[test]
fn values_and_names_command_no_terminal() {
    let dir = Dir::new();
    let name = format!("{HOSTILE}.tfrecord").replace('/', "");
    let record = |value: &str| example(&[(HOSTILE, value.as_bytes()), ("plain", b"x")]);
    fs::write(dir.path(&name), tfrecord(&[record(HOSTILE), record("東京")])).unwrap();
    let path = dir.arg(&name);
    for args in
        [&["head"][..], &["schema"], &["schema", "--json"], &["verify"], &["verify", "--json"], &["count"]]
    {
        let run = tfarrow(&[args, &[&path]].concat()).success();
        assert_harmless(run.text());
        assert_harmless(&run.stderr);
    }
    let run = tfarrow(&["head", &path]).success();
    assert_names(run.text(), &["\\u{1b}]0;owned\\u{7}", "東京"]);
    let run = tfarrow(&["schema", &path, "--json"]).success();
    let schema: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!(schema["columns"][0]["name"], HOSTILE);

    // Damage and errors name the file and the feature.
    let mut bytes = tfrecord(&[record("a"), record("b")]);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(dir.path(&name), &bytes).unwrap();
    for args in [&["verify"][..], &["verify", "--json"]] {
        let run = tfarrow(&[args, &[&path]].concat());
        assert_eq!(run.code, Some(1));
        assert_harmless(run.text());
    }
    assert_harmless(&tfarrow(&["head", &path]).failure());
    let run = tfarrow(&["convert", &path, "--dry-run", "--on-error", "skip"]);
    assert_eq!(run.code, Some(1));
    assert_harmless(&run.stderr);
    fs::write(dir.path(&name), tfrecord(&[record("a"), int_example(HOSTILE, 1)])).unwrap();
    assert_harmless(&tfarrow(&["convert", &path, "--dry-run"]).failure());
    assert_harmless(&tfarrow(&["convert", &path, "--dry-run", "--columns", "plane"]).failure());
}

#[test]
fn cells_stand_under_their_header() {
    let dir = Dir::new();
    let values = ["東京都", "cafe\u{301}", "👩\u{200d}🚀", "plain"];
    let records: Vec<_> = values.iter().map(|v| example(&[("a", v.as_bytes()), ("z", b"|")])).collect();
    fs::write(dir.path("t.tfrecord"), tfrecord(&records)).unwrap();
    let run = tfarrow(&["head", &dir.arg("t.tfrecord")]).success();
    // The width that wcwidth gives them: 6, 4, 2 and 5; the column is as wide as its widest.
    let lines: Vec<&str> = run.text().lines().collect();
    let expected = ["東京都  |", "cafe\u{301}    |", "👩\u{200d}🚀      |", "plain   |"];
    assert_eq!(lines[2..], expected, "{}", run.text());
}

#[test]
fn nested_types_are_a_tree() {
    let folder = repo("tests/golden/tfds/wide_tfrecord/wide/1.2.3");
    let run = tfarrow(&["schema", folder.to_str().unwrap()]).success();
    for line in run.text().lines() {
        assert!(line.chars().count() <= 160, "{} characters: {line}", line.chars().count());
        // A tensor is one thing, however it is stored.
        let tensor = line.contains("arrow.variable_shape_tensor");
        assert!((tensor || !line.contains("Struct<")) && !line.contains("{\"dataset\""), "{line}");
    }
    assert!(run.text().lines().any(|line| line.starts_with("  ")), "{}", run.text());
}

#[test]
fn verify_counts_what_it_names() {
    let dir = Dir::new();
    let path = dir.arg("x.parquet");
    tfarrow(&["convert", &golden("sound.tfrecord"), "-o", &path, "--row-group-rows", "2"]).success();
    let rows = tfarrow(&["count", &path]).success().text().trim().to_owned();
    let run = tfarrow(&["verify", &path]).success();
    let last = run.text().lines().last().unwrap();
    assert_eq!(last, format!("{rows} rows of 1 Parquet file: sound"));
    let run = tfarrow(&["verify", "tests/golden/tfds/mini_one/mini/one/0.0.1"]).success();
    assert_names(run.text(), &["00000-of-00001: 7 examples: sound", "00000-of-00001: 1 example: sound"]);
    assert_names(run.text().lines().last().unwrap(), &["8 examples of 1 TFDS dataset mini/one/0.0.1"]);
}

#[test]
fn verify_goes_on_after_a_shard_that_is_not_there() {
    let dir = Dir::new();
    let from = repo("tests/golden/tfds/wide_tfrecord/wide/1.2.3");
    fs::create_dir(dir.path("wide")).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path("wide").join(entry.file_name())).unwrap();
    }
    fs::remove_file(dir.path("wide/wide-train.tfrecord-00000-of-00002")).unwrap();
    let run = tfarrow(&["verify", &dir.arg("wide")]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let text = run.text();
    assert_names(
        text,
        &[
            "train.tfrecord-00000-of-00002: 0 examples: 1 damaged",
            "No such file",
            "00001-of-00002: 3 examples: sound",
        ],
    );
    assert_names(text.lines().last().unwrap(), &["5 examples of", "1 damaged"]);
    let run = tfarrow(&["verify", &dir.arg("wide"), "--json"]);
    let all: Value = serde_json::from_str(run.text()).unwrap();
    let damage = all["files"].as_array().unwrap().iter().flat_map(|f| f["damage"].as_array().unwrap());
    assert_eq!(damage.map(|d| d["kind"].clone()).collect::<Vec<_>>(), ["not_found"]);
}
