//! Memory is bounded by the batch, not by the input: a large input converts in an address space
//! that is a fraction of its size.
#![cfg(all(feature = "cli", feature = "gzip", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

use crate::common::{DIGITS, Dir, repo};

/// Converts `copies` times the digits with at most `limit_mib` MiB of address space.
fn run_limited(limit_mib: usize, copies: usize, output: &[&str]) -> std::process::Output {
    command_limited("convert", limit_mib, copies, output)
}

fn command_limited(command: &str, limit_mib: usize, copies: usize, output: &[&str]) -> std::process::Output {
    let script = format!("ulimit -v {}; exec \"$@\"", limit_mib * 1024);
    Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_tfarrow"), command, "--threads", "2"])
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
fn a_report_of_a_large_input_needs_no_more_memory_than_one_of_a_small_one() {
    let dir = Dir::new();
    // 4 MB and 170 MB.
    for copies in [5, 200] {
        let page = dir.arg(&format!("{copies}.html"));
        let run = command_limited("report", 160, copies, &["-o", &page]);
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{copies}: {stderr}");
        assert!(stderr.contains(&format!("{} rows", copies * 1797)), "{stderr}");
    }
}

/// Examples as what they are, too: messages with a map.
#[test]
fn large_files_of_messages_need_no_more_memory_than_small_ones() {
    let dir = Dir::new();
    let proto = r#"
        syntax = "proto3";
        message Example { Features features = 1; }
        message Features { map<string, Feature> feature = 1; }
        message Feature { oneof kind { BytesList bytes = 1; FloatList floats = 2; Int64List ints = 3; } }
        message BytesList { repeated bytes value = 1; }
        message FloatList { repeated float value = 1; }
        message Int64List { repeated int64 value = 1; }
    "#;
    std::fs::write(dir.path("example.proto"), proto).unwrap();
    let described = ["--proto", &dir.arg("example.proto"), "--message", "Example"];
    for copies in [5, 400] {
        let target = dir.arg(&format!("{copies}.arrow"));
        let run = run_limited(160, copies, &[&described[..], &["-o", &target]].concat());
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{copies}: {stderr}");
        assert!(stderr.contains(&format!("{} rows", copies * 1797)), "{stderr}");
    }
    assert!(std::fs::metadata(dir.path("400.arrow")).unwrap().len() > 160 << 20);
}

#[test]
fn the_limit_is_one() {
    // Were the limit not in force, the test above would prove nothing.
    let dir = Dir::new();
    let run = run_limited(160, 400, &["--one-batch", "-o", &dir.arg("out.arrow")]);
    assert!(!run.status.success());
}

/// A TFDS folder with `shards` shards, each one of the two of the digits.
fn tfds_folder(dir: &Dir, name: &str, shards: usize) -> String {
    let folder = dir.path(name);
    std::fs::create_dir(&folder).unwrap();
    for shard in 0..shards {
        let digits = format!("examples/data/digits/digits.tfrecord-0000{}-of-00002", shard % 2);
        let link = folder.join(format!("digits-train.tfrecord-{shard:05}-of-{shards:05}"));
        std::os::unix::fs::symlink(repo(&digits), link).unwrap();
    }
    let lengths: Vec<_> = (0..shards).map(|shard| format!("\"{}\"", 898 + shard % 2)).collect();
    let info = format!(
        r#"{{"name": "digits", "version": "1.0.0", "splits": [{{"name": "train", "shardLengths": [{}]}}]}}"#,
        lengths.join(", ")
    );
    std::fs::write(folder.join("dataset_info.json"), info).unwrap();
    // The pixels as a sequence of steps of eight.
    let features = r#"{"pythonClassName": "x.FeaturesDict", "featuresDict": {"features": {
        "label": {"pythonClassName": "x.ClassLabel", "classLabel": {"numClasses": "10"}},
        "pixels": {"pythonClassName": "x.Dataset", "sequence": {"length": "-1", "feature": {
            "pythonClassName": "x.Tensor", "tensor": {"shape": {"dimensions": ["8"]}, "dtype": "float32"}}}}
    }}}"#;
    std::fs::write(folder.join("features.json"), features).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_large_tfds_folder_needs_no_more_memory_than_a_small_one() {
    // Of its own: the program, as tests are built, is another 50 MiB.
    const LIMIT_MIB: u64 = 136;
    let dir = Dir::new();
    for shards in [4, 800] {
        let folder = tfds_folder(&dir, &shards.to_string(), shards);
        for (output, explode) in [("out.arrow", false), ("out.arrow", true), ("out.parquet", false)] {
            let script = format!("ulimit -d {}; exec \"$@\"", LIMIT_MIB * 1024);
            let mut command = Command::new("sh");
            command
                .args([
                    "-c",
                    &script,
                    "sh",
                    env!("CARGO_BIN_EXE_tfarrow"),
                    "convert",
                    "--threads",
                    "2",
                    &folder,
                ])
                .args(["-o", &dir.arg(output), "--overwrite"])
                .args(explode.then_some(["--explode", "pixels"]).into_iter().flatten())
                .env("MALLOC_ARENA_MAX", "1");
            let run = command.output().unwrap();
            let stderr = String::from_utf8_lossy(&run.stderr);
            assert!(run.status.success(), "{shards} {output} {explode}: {stderr}");
            let rows = shards / 2 * 1797 * if explode { 8 } else { 1 };
            assert!(stderr.contains(&format!("{rows} rows")), "{stderr}");
            if output == "out.arrow" && shards > 4 {
                // The rows alone, held all at once, would not fit.
                assert!(std::fs::metadata(dir.path(output)).unwrap().len() > LIMIT_MIB << 20);
            }
        }
    }
}

/// A TFDS folder with `rows` tensors of 8 MiB of zeros, which take 8 kB each.
fn folder_of_zeros(dir: &Dir, rows: usize) -> String {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut zlib, &vec![0; 8 << 20]).unwrap();
    let record = crate::common::example(&[("mask", &zlib.finish().unwrap())]);
    let folder = dir.path("zeros");
    std::fs::create_dir(&folder).unwrap();
    let shard = crate::common::tfrecord(&vec![record; rows]);
    std::fs::write(folder.join("zeros-train.tfrecord-00000-of-00001"), shard).unwrap();
    let info = format!(
        r#"{{"name": "zeros", "version": "1.0.0", "splits": [{{"name": "train", "shardLengths": ["{rows}"]}}]}}"#
    );
    std::fs::write(folder.join("dataset_info.json"), info).unwrap();
    let features = r#"{"pythonClassName": "x.FeaturesDict", "featuresDict": {"features": {
        "mask": {"pythonClassName": "x.Tensor", "tensor": {
            "shape": {"dimensions": ["2048", "4096"]}, "dtype": "uint8", "encoding": "zlib"}}
    }}}"#;
    std::fs::write(folder.join("features.json"), features).unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn tensors_that_take_far_more_than_their_bytes_are_decoded_few_at_a_time() {
    const ROWS: usize = 110;
    let dir = Dir::new();
    let folder = folder_of_zeros(&dir, ROWS);
    // All of them are one batch by their number, and 880 MiB.
    let script = format!("ulimit -v {}; exec \"$@\"", 768 << 10);
    let run = Command::new("sh")
        .args(["-c", &script, "sh", env!("CARGO_BIN_EXE_tfarrow"), "convert", &folder, "--dry-run"])
        .args(["--threads", "2"])
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{stderr}");
    assert!(stderr.contains(&format!("{ROWS} rows")), "{stderr}");
}
