//! Hostile files: every command ends over each of them, in bounded memory.

#![cfg(all(feature = "cli", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::process::Command;

use crate::common::repo;

/// Address space that a command may take, in KiB. The files are smaller than 100 KB.
const LIMIT_KIB: u64 = 768 << 10;

/// Runs the program in bounded memory; it must end by itself, and not in a panic.
#[track_caller]
fn ends(args: &[&str]) -> i32 {
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {LIMIT_KIB}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_tfarrow")])
        .args(args)
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir(repo(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().unwrap_or_else(|| panic!("{args:?} was killed: {stderr}"));
    assert!((0..=2).contains(&code), "{args:?}: {code}: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    code
}

fn files() -> Vec<String> {
    let names = fs::read_dir(repo("tests/hostile")).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<String> = names.map(|n| n.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".tfrecord"));
    names.sort();
    names
}

#[test]
fn every_command_ends_over_every_hostile_file() {
    let names = files();
    assert!(names.len() > 20);
    for name in names {
        let file = format!("tests/hostile/{name}");
        for command in ["verify", "count", "schema", "head"] {
            ends(&[command, &file]);
        }
        for policy in ["fail", "skip", "null"] {
            ends(&["convert", &file, "--dry-run", "--on-error", policy]);
            ends(&["convert", &file, "--dry-run", "--on-error", policy, "--record", "raw"]);
            // What belongs to one abuse alone would cost time with the others.
            let few = name.starts_with(['t', 'i', 's', 'l']);
            for feature in ["t:tensor<float32>[?]?", "i:image?", "x:float32[100,100]?"].iter().filter(|_| few)
            {
                ends(&["convert", &file, "--dry-run", "--on-error", policy, "--feature", feature]);
            }
        }
    }
}

#[test]
fn sound_records_around_the_abuse_are_kept() {
    let count = |name: &str| {
        let file = format!("tests/hostile/{name}");
        let run = crate::common::tfarrow(&["verify", &file, "--json"]);
        let found: serde_json::Value = serde_json::from_str(run.text()).unwrap();
        (found["records"].as_u64().unwrap(), found["damaged"].as_u64().unwrap())
    };
    assert_eq!(count("length_of_4_exabytes.tfrecord"), (1, 1));
    assert_eq!(count("lengths_that_lie.tfrecord"), (2, 1));
    assert_eq!(count("records_of_nothing.tfrecord"), (5000, 0));
    assert_eq!(count("frames_in_a_record.tfrecord"), (2, 2));
}

#[test]
fn every_hostile_file_is_described() {
    let readme = fs::read_to_string(repo("tests/hostile/README.md")).unwrap();
    for name in files() {
        assert!(readme.contains(&format!("| `{name}` |")), "{name} is not in the README");
    }
}
