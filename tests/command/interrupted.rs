//! Conversions that are interrupted, and inputs that change under them: an error or nothing, and
//! never a file that is not whole.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
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
    let give_up = Instant::now() + Duration::from_secs(120);
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

/// `shards` inputs in `dir`, of which each takes a while, as an argument.
fn many(dir: &Dir, shards: usize) -> String {
    large(&dir.path("in-0"), 12);
    for shard in 1..shards {
        fs::hard_link(dir.path("in-0"), dir.path(&format!("in-{shard}"))).unwrap();
    }
    dir.arg("in-*")
}

/// Asserts that an interrupted conversion left whole parts in `out`, and nothing else.
#[track_caller]
fn assert_whole_parts(out: &Path) {
    for name in names(out) {
        assert!(!is_partial(&name) && name != "_manifest.json", "{name}");
        let part = out.join(&name);
        if name.starts_with('_') {
            continue; // what --resume goes by
        }
        tfarrow(&["convert", part.to_str().unwrap(), "--dry-run"]).success();
    }
}

#[test]
fn ctrl_c_and_sigterm_leave_whole_parts_only() {
    let dir = Dir::new();
    // So many that they are not done before the signal comes, however busy the machine is.
    let input = many(&dir, 500);
    for (name, kind) in [("int", "-INT"), ("term", "-TERM")] {
        let (out, to) = (dir.path(name), dir.arg(&format!("{name}/")));
        let mut child = command(&["convert", &input, "-o", &to]).stderr(Stdio::null()).spawn().unwrap();
        wait_until(&mut child, "a part that is begun", || names(&out).iter().any(|name| is_partial(name)));
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{kind}");
        assert_whole_parts(&out);
    }
}

/// A file that is begun when the clean-up has begun must not stay: that takes many tries, on a machine
/// that has other things to do.
///
/// ```text
/// cargo test --test command -- --ignored two_hundred_signals
/// ```
#[test]
#[ignore = "minutes of a busy machine"]
fn two_hundred_signals_on_a_busy_machine_leave_nothing_that_is_not_whole() {
    let dir = Dir::new();
    let input = many(&dir, 500);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            });
        }
        let _stop = Stop(&done);
        let outputs =
            [("/", &[][..]), ("/", &["--rows-per-file", "100"]), (".npyd", &["--columns", "label"])];
        for run in 0..200_u64 {
            let (suffix, extra) = outputs[(run % 3) as usize];
            let place = dir.path(&format!("{run}"));
            fs::create_dir(&place).unwrap();
            let to = dir.arg(&format!("{run}/out{suffix}"));
            let args = [&["convert", &input, "-o", &to], extra].concat();
            let mut child = command(&args).stderr(Stdio::null()).spawn().unwrap();
            let out = place.join("out");
            wait_until(&mut child, "a part that is begun", || {
                names(if suffix == "/" { &out } else { &place }).iter().any(|name| is_partial(name))
            });
            std::thread::sleep(Duration::from_millis(run * 7 % 50));
            signal(&child, if run % 2 == 0 { "-INT" } else { "-TERM" });
            assert_eq!(child.wait().unwrap().code(), Some(130), "{args:?}");
            assert!(!names(&place).iter().chain(&names(&out)).any(|name| is_partial(name)), "run {run}");
            if run % 20 == 0 {
                assert_whole_parts(&out);
            }
            fs::remove_dir_all(place).unwrap();
        }
    });
}

/// Ends the busy loops, whether the test passes or not.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn sigterm_leaves_nothing_of_a_file() {
    let dir = Dir::new();
    let input = many(&dir, 500);
    fs::create_dir(dir.path("to")).unwrap();
    let to = dir.arg("to/out.parquet");
    let mut child = command(&["convert", &input, "-o", &to]).stderr(Stdio::null()).spawn().unwrap();
    wait_until(&mut child, "an output that is begun", || !names(&dir.path("to")).is_empty());
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(names(&dir.path("to")), [""; 0]);
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
