//! Standard input and pipes named by path: every kind of input is read from them as from a file.

#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Dir, Run, assert_names, golden, repo, tfarrow, tfarrow_fed};

const SHARD: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";

/// A file of every kind that is read, with the options that reading it needs.
fn files(dir: &Dir) -> Vec<(PathBuf, Vec<&'static str>)> {
    let mut files = Vec::new();
    for name in ["d.arrow", "d.arrows", "d.parquet", "d.tfrecord.gz"] {
        tfarrow(&["convert", SHARD, "-o", &dir.arg(name)]).success();
        files.push((dir.path(name), Vec::new()));
    }
    files.push((repo(SHARD), Vec::new()));
    for name in ["zlib.tfrecord", "gzip_members.tfrecord"] {
        files.push((golden(name).into(), Vec::new()));
    }
    if cfg!(feature = "array-record") {
        files.push((repo("tests/golden/array_record/many_small.array_record"), vec!["--record", "raw"]));
    }
    files
}

/// Runs `command` on a pipe that `file` is written to: a FIFO by its name.
fn from_fifo(dir: &Dir, file: &Path, command: &[&str]) -> Run {
    let fifo = dir.path("fifo");
    drop(fs::remove_file(&fifo));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let bytes = fs::read(file).unwrap();
    let to = fifo.clone();
    let feeder = std::thread::spawn(move || drop(fs::write(to, bytes)));
    let run = tfarrow(&with_input(command, fifo.to_str().unwrap()));
    // Whoever did not open it leaves its writer waiting.
    drop(fs::File::options().read(true).write(true).open(&fifo));
    feeder.join().unwrap();
    run
}

fn with_input<'a>(command: &[&'a str], input: &'a str) -> Vec<&'a str> {
    let (name, options) = command.split_first().unwrap();
    [&[*name, input][..], options].concat()
}

#[test]
fn every_kind_of_input_is_read_from_pipes_as_from_a_file() {
    let dir = Dir::new();
    for (file, options) in files(&dir) {
        let path = file.to_str().unwrap();
        for command in [
            &["count"][..],
            &["count", "--check"],
            &["verify"],
            &["schema"],
            &["head", "-n", "3"],
            &["convert", "-o", "-"],
            &["convert", "-o", "-", "--on-error", "skip", "--take", "5"],
        ] {
            // What records are is nothing that counting asks for.
            let options = if matches!(command[0], "count" | "verify") { &[][..] } else { &options };
            let command = [command, options].concat();
            let expected = tfarrow(&with_input(&command, path)).success();
            let bytes = || fs::read(&file).unwrap();
            let named = |input: &str| {
                // Outputs name their input.
                String::from_utf8_lossy(&expected.stdout).replace(path, input).into_bytes()
            };
            for (name, run) in [
                ("standard input", tfarrow_fed(&with_input(&command, "-"), bytes())),
                ("/dev/stdin", tfarrow_fed(&with_input(&command, "/dev/stdin"), bytes())),
                (dir.arg("fifo").as_str(), from_fifo(&dir, &file, &command)),
            ] {
                let run = run.success();
                let same = if command[0] == "convert" {
                    run.stdout == expected.stdout
                } else if command[0] == "schema" {
                    // A pipe has no size.
                    run.text().lines().next() == expected.text().lines().next()
                        && run.text().lines().last() == expected.text().lines().last()
                } else {
                    String::from_utf8_lossy(&run.stdout).as_bytes() == named(name)
                };
                assert!(same, "{path}, {command:?}, {name}: {}", String::from_utf8_lossy(&run.stdout));
            }
        }
    }
}

#[test]
fn several_pipes_are_read_one_after_the_other() {
    let dir = Dir::new();
    let other = "examples/data/digits/digits.tfrecord-00001-of-00002";
    let script = format!("exec \"$0\" count <(cat {SHARD}) <(cat {other})");
    let run = |script: &str| {
        let program = env!("CARGO_BIN_EXE_tfarrow");
        Command::new("bash").args(["-c", script, program]).current_dir(repo("")).output().unwrap()
    };
    assert_eq!(run(&script).stdout, b"1797\n");
    let columns = dir.arg("both.arrow");
    let script = format!("exec \"$0\" convert <(cat {SHARD}) <(cat {other}) -o {columns}");
    assert!(run(&script).status.success());
    let whole = dir.arg("whole.arrow");
    tfarrow(&["convert", SHARD, other, "-o", &whole]).success();
    assert!(fs::read(columns).unwrap() == fs::read(whole).unwrap());
    let twice = tfarrow_fed(&["count", "-", "-"], Vec::new()).failure();
    assert_names(&twice, &["standard input is named twice"]);
    let twice = tfarrow_fed(&["count", "/dev/stdin", "/dev/stdin"], Vec::new()).failure();
    assert_names(&twice, &["/dev/stdin is named twice"]);
}

#[test]
fn damage_in_a_pipe_is_found_where_it_is() {
    let dir = Dir::new();
    let mut bytes = fs::read(repo(SHARD)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(dir.path("damaged"), &bytes).unwrap();
    let file = tfarrow(&["verify", &dir.arg("damaged")]);
    let pipe = from_fifo(&dir, &dir.path("damaged"), &["verify"]);
    assert_eq!((file.code, pipe.code), (Some(1), Some(1)));
    assert_eq!(file.text().replace("damaged: ", ": "), pipe.text().replace("fifo: ", ": "));
    let skipped = ["convert", "-o", "-", "--on-error", "skip"];
    let pipe = from_fifo(&dir, &dir.path("damaged"), &skipped);
    assert_names(&pipe.stderr, &["897 rows", "1 records skipped"]);
    // A file that is cut short is no shorter table.
    tfarrow(&["convert", SHARD, "-o", &dir.arg("d.parquet")]).success();
    let whole = fs::read(dir.path("d.parquet")).unwrap();
    let message = tfarrow_fed(&["count", "-"], whole[..whole.len() - 1].to_vec()).failure();
    assert_names(&message, &["standard input", "Parquet"]);
}
