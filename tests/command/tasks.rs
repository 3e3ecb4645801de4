//! `plan`, `task` and `commit`: what batch systems and shell scripts call.

use std::fs;

use crate::common::{DIGITS, Dir, assert_names, golden, tfarrow};

#[test]
fn tasks_make_what_convert_makes() {
    let dir = Dir::new();
    let (plan, out, expected) = (dir.arg("plan.json"), dir.arg("out"), dir.arg("expected/"));
    let cut = ["--task-bytes", "100000"];
    let options = ["--columns", "label,pixels", "--cast", "label=int8"];
    let writing = ["--compression", "zstd:1"];
    let planned = tfarrow(&[&["plan", DIGITS, "-o", &plan][..], &cut, &options].concat()).success();
    assert_names(&planned.stderr, &["tasks of TFRecord files of tf.train.Example", "plan.json"]);
    let tasks = serde_json::from_slice::<serde_json::Value>(&fs::read(&plan).unwrap()).unwrap();
    let tasks = tasks["tasks"].as_array().unwrap().len();
    assert!(tasks > 2, "{tasks}");
    // In any order, and some of them twice.
    for n in (0..tasks).rev().chain([1]) {
        let number = n.to_string();
        let done = tfarrow(&[&["task", &plan, &number, "-o", &out][..], &writing].concat()).success();
        assert_names(&done.stderr, &["rows to", "part-000"]);
    }
    let committed = tfarrow(&["commit", &plan, &out]).success();
    assert_names(&committed.stderr, &["1797 rows", &format!("{tasks} parts")]);
    tfarrow(&[&["convert", DIGITS, "-o", &expected][..], &cut, &options, &writing].concat()).success();
    let files = |folder: &str| {
        let mut files: Vec<_> = fs::read_dir(dir.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let (found, expected) = (files("out"), files("expected"));
    assert_eq!(
        found.iter().map(|f| &f.0).collect::<Vec<_>>(),
        expected.iter().map(|f| &f.0).collect::<Vec<_>>()
    );
    assert!(found == expected);
    tfarrow(&["commit", &plan, &out]).success();
}

#[test]
fn what_cannot_be_is_refused() {
    let dir = Dir::new();
    let (plan, out) = (dir.arg("plan.json"), dir.arg("out"));
    tfarrow(&["plan", DIGITS, "-o", &plan]).success();
    for (arguments, said) in [
        (vec!["plan", DIGITS, "-o", &plan], &["exists already", "--overwrite"][..]),
        (vec!["plan", "/nowhere/at-all", "-o", "x.json"], &["/nowhere/at-all"]),
        (vec!["plan", "-", "-o", "x.json"], &["standard input"]),
        (vec!["plan", DIGITS, "-o", "x.json", "--format", "arrow"], &["--format is not for `plan`"]),
        (vec!["plan", DIGITS, "-o", "x.json", "--resume"], &["--resume is not for `plan`"]),
        (vec!["plan", DIGITS, "-o", "x.json", "--threads", "2"], &["--threads is not for `plan`"]),
        (vec!["task", &plan, "2", "-o", &out], &["no task 2 in a plan of 2"]),
        (
            vec!["task", &plan, "0", "-o", &out, "--columns", "label"],
            &["--columns is not for `task`", "plan"],
        ),
        (vec!["task", &plan, "0", "-o", &out, "--format", "npyd"], &["a part file cannot be a folder"]),
        (vec!["task", "/nowhere/plan", "0", "-o", &out], &["cannot read plan"]),
        (vec!["commit", &plan, &out], &["no task of the plan has written"]),
        (vec!["convert", DIGITS, "-o", "x.parquet", "--task-bytes", "3"], &["for an output folder"]),
        (vec!["head", DIGITS, "--task-bytes", "3"], &["--task-bytes is not for"]),
    ] {
        assert_names(&tfarrow(&arguments).failure(), said);
    }
    tfarrow(&["task", &plan, "0", "-o", &out]).success();
    assert_names(&tfarrow(&["commit", &plan, &out]).failure(), &["parts are missing", "1 of 2 tasks, 1"]);
    let other = dir.arg("other.json");
    tfarrow(&["plan", DIGITS, "-o", &other, "--columns", "label"]).success();
    assert_names(&tfarrow(&["commit", &other, &out]).failure(), &["another plan"]);
    assert_names(&tfarrow(&["task", &other, "0", "-o", &out]).failure(), &["another plan", "--overwrite"]);
    assert!(!dir.path("out").join("_manifest.json").exists());
}

#[test]
fn records_that_are_lost_are_told_of() {
    let dir = Dir::new();
    let (plan, out) = (dir.arg("plan.json"), dir.arg("out"));
    let input = golden("length_changes.tfrecord");
    let options = ["--on-error", "skip", "--infer-records", "1"];
    let converted = tfarrow(&[&["convert", &input, "-o", &dir.arg("x.parquet")][..], &options].concat());
    assert_eq!(converted.code, Some(1));
    tfarrow(&[&["plan", &input, "-o", &plan][..], &options].concat()).success();
    let log = dir.arg("log.jsonl");
    // What is done already is told of again.
    for report in [&["--report", &log][..], &[]] {
        let done = tfarrow(&[&["task", &plan, "0", "-o", &out][..], report].concat());
        assert_eq!(done.code, Some(1), "{}", done.stderr);
        assert_names(&done.stderr, &["tfarrow: skipped: ", "records skipped"]);
    }
    assert!(!fs::read_to_string(&log).unwrap().is_empty());
    let committed = tfarrow(&["commit", &plan, &out]);
    assert_eq!(committed.code, Some(1));
    assert_names(&committed.stderr, &["records skipped"]);
}
