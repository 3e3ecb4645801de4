//! Conversions that are interrupted, and inputs that change under them: an error or nothing, and
//! never a file that is not whole.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Dir, assert_names, command, repo, tfarrow};

const SHARD: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";

/// A file of `times` shards of digits; 400 kB each.
fn large(path: &Path, times: usize) {
    let shard = fs::read(repo(SHARD)).unwrap();
    fs::write(path, shard.repeat(times)).unwrap();
}

fn signal(child: &Child, signal: &str) {
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Waits until `condition` holds; the child must still run then.
#[track_caller]
fn wait_until(child: &mut Child, what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {what}");
        assert!(Instant::now() < give_up, "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Parts that are not whole have hidden names.
fn is_partial(name: &str) -> bool {
    name.starts_with('.')
}

#[test]
fn ctrl_c_and_sigterm_leave_whole_parts_only() {
    let dir = Dir::new();
    for shard in 0..4 {
        large(&dir.path(&format!("in-{shard}")), 12);
    }
    let input = dir.arg("in-*");
    for (name, kind) in [("int", "-INT"), ("term", "-TERM")] {
        let out = dir.path(name);
        let to = dir.arg(&format!("{name}/"));
        let args = ["convert", &input, "-o", &to, "--resume"];
        let mut child = command(&args).stderr(Stdio::null()).spawn().unwrap();
        wait_until(&mut child, "a part that is begun", || names(&out).iter().any(|name| is_partial(name)));
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{kind}");
        let left = names(&out);
        assert!(!left.iter().any(|name| is_partial(name) || name == "_manifest.json"), "{left:?}");
        // Every part that is there is read as a whole.
        let run = tfarrow(&args).success();
        assert!(run.stderr.contains("4 parts"), "{}", run.stderr);
        assert_eq!(names(&out).len(), 5);
    }
}

#[test]
fn sigterm_leaves_nothing_of_a_file() {
    let dir = Dir::new();
    large(&dir.path("input"), 60);
    let out = dir.path("out.parquet");
    fs::create_dir(dir.path("to")).unwrap();
    let to = dir.arg("to/out.parquet");
    let mut child =
        command(&["convert", &dir.arg("input"), "-o", &to]).stderr(Stdio::null()).spawn().unwrap();
    wait_until(&mut child, "an output that is begun", || !names(&dir.path("to")).is_empty());
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(names(&dir.path("to")), [""; 0]);
    assert!(!out.exists());
}

/// Converts a file to a pipe, changes the file's length when reading has begun, and gives what was
/// said of that.
fn with_length(on_error: &str, bytes: impl FnOnce(u64) -> u64) -> String {
    let dir = Dir::new();
    let path = dir.path("input.tfrecord");
    large(&path, 60);
    let mut args =
        vec!["convert", path.to_str().unwrap(), "-o", "-", "--threads", "2", "--infer-records", "10"];
    args.extend(["--on-error", on_error]);
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // The pipe holds less than the first batch: it goes on only when more is taken.
    stdout.read_exact(&mut [0; 1000]).unwrap();
    let length = path.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes(length)).unwrap();
    std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    stderr
}

#[test]
fn an_input_that_grows_while_it_is_read_is_an_error() {
    for on_error in ["fail", "skip", "null"] {
        let message = with_length(on_error, |length| length + 1_000_000);
        assert_names(&message, &["input.tfrecord", "changed while it was read"]);
    }
}

#[test]
fn an_input_that_shrinks_while_it_is_read_is_an_error() {
    for on_error in ["fail", "skip", "null"] {
        let message = with_length(on_error, |length| length / 2);
        assert_names(&message, &["input.tfrecord", "changed while it was read"]);
    }
}

#[test]
fn an_input_that_is_removed_before_its_turn_is_an_error() {
    let dir = Dir::new();
    let second = dir.path("second.tfrecord");
    large(&second, 1);
    fs::create_dir(dir.path("to")).unwrap();
    let to = dir.arg("to/out.arrow");
    let args = ["convert", "-", second.to_str().unwrap(), "-o", &to, "--infer-records", "1"];
    let mut child = command(&args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let shard = fs::read(repo(SHARD)).unwrap();
    for _ in 0..12 {
        stdin.write_all(&shard).unwrap();
    }
    wait_until(&mut child, "an output that is begun", || !names(&dir.path("to")).is_empty());
    fs::remove_file(&second).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_names(&stderr, &["second.tfrecord", "cannot open input"]);
    assert_eq!(names(&dir.path("to")), [""; 0]);
}
