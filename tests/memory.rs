//! Memory is bounded by the batch, not by the input: a large input converts in an address space
//! that is a fraction of its size.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::process::Command;

use common::{DIGITS, Dir, repo};

/// Runs the program on `copies` times the digits with at most `limit_mib` MiB of address space.
fn run_limited(limit_mib: usize, copies: usize, output: &[&str]) -> std::process::Output {
    let script = format!("ulimit -v {}; exec \"$@\"", limit_mib * 1024);
    Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_tfarrow"), "convert", "--threads", "2"])
        .args(std::iter::repeat_n(DIGITS, copies))
        .args(output)
        // Arenas are address space that is reserved, not memory that is used.
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir(repo(""))
        .output()
        .unwrap()
}

#[test]
fn a_large_input_needs_no_more_memory_than_a_small_one() {
    let dir = Dir::new();
    // 0.85 MB a copy: 4 MB and 340 MB of input, through the same 160 MiB.
    for copies in [5, 400] {
        let target = dir.arg(&format!("{copies}.arrow"));
        let run = run_limited(160, copies, &["-o", &target]);
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{copies}: {stderr}");
        assert!(stderr.contains(&format!("{} rows", copies * 1797)), "{stderr}");
    }
    assert!(std::fs::metadata(dir.path("400.arrow")).unwrap().len() > 160 << 20);
}

#[test]
fn the_limit_is_one() {
    // Were the limit not in force, the test above would prove nothing.
    let run = run_limited(160, 400, &["--batch-rows", "1000000", "--dry-run"]);
    assert!(!run.status.success());
}
