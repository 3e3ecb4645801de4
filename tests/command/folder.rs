//! Folders of part files: what is in them, and going on after an interruption at any moment.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{DIGITS, DIGITS_ROWS, Dir, Table, assert_names, command, repo, tfarrow};
use serde_json::Value;

const SHARD_0: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";
const SHARD_1: &str = "examples/data/digits/digits.tfrecord-00001-of-00002";

/// Every file of a folder, hidden ones too.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

#[track_caller]
fn assert_same(found: &Path, expected: &BTreeMap<String, Vec<u8>>) {
    let found = files(found);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} has other bytes");
    }
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("_manifest.json")).unwrap()).unwrap()
}

/// `count` shards of digits in `dir`, as a pattern.
fn shards(dir: &Dir, count: usize) -> String {
    for shard in 0..count {
        let from = if shard % 2 == 0 { SHARD_0 } else { SHARD_1 };
        fs::copy(repo(from), dir.path(&format!("digits-{shard:05}-of-{count:05}"))).unwrap();
    }
    dir.arg("digits-*-of-*")
}

#[test]
fn every_input_file_makes_a_part() {
    let dir = Dir::new();
    let run = tfarrow(&["convert", DIGITS, "-o", &dir.arg("out/"), "--format", "arrow"]).success();
    assert_names(&run.stderr, &["1797 rows", "2 parts"]);
    let folder = dir.path("out");
    let names: Vec<String> = files(&folder).into_keys().collect();
    assert_eq!(names, ["_manifest.json", "part-00000-of-00002.arrow", "part-00001-of-00002.arrow"]);
    let manifest = manifest(&folder);
    assert_eq!(manifest["rows"], DIGITS_ROWS);
    for (part, (input, rows)) in [(SHARD_0, 898), (SHARD_1, 899)].iter().enumerate() {
        let described = &manifest["parts"][part];
        let path = folder.join(described["name"].as_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        assert_eq!((&described["rows"], &described["bytes"]), (&(*rows).into(), &bytes.len().into()));
        assert_eq!(described["crc32c"], format!("{:08x}", crc32c::crc32c(&bytes)));
        assert!(manifest["inputs"][part]["name"].as_str().unwrap().ends_with(input));
        // A part is what converting its input alone gives.
        let alone = dir.arg("alone.arrow");
        tfarrow(&["convert", input, "-o", &alone, "--overwrite"]).success();
        assert!(fs::read(&alone).unwrap() == bytes, "part {part}");
    }
    assert_eq!(manifest["schema"]["fields"].as_array().unwrap().len(), 4);
}

#[test]
fn so_many_rows_make_a_part() {
    let dir = Dir::new();
    let whole = Table::from_stream(tfarrow(&["convert", DIGITS, "-o", "-"]).success().stdout);
    for threads in ["1", "2"] {
        let out = dir.arg(&format!("{threads}/"));
        let args = ["convert", DIGITS, "-o", &out, "--rows-per-file", "500", "--format", "arrow"];
        tfarrow(&[&args[..], &["--batch-rows", "64", "--threads", threads]].concat()).success();
    }
    assert_same(&dir.path("1"), &files(&dir.path("2")));
    let parts: Vec<Table> =
        (0..4).map(|part| Table::open(&dir.path(&format!("1/part-0000{part}.arrow")))).collect();
    assert_eq!(parts.iter().map(Table::rows).collect::<Vec<_>>(), [500, 500, 500, 297]);
    let labels: Vec<Value> = parts.iter().flat_map(|part| part.values("label")).collect();
    assert_eq!(labels, whole.values("label"));
    // Files that are compressed, and are read side by side otherwise.
    for (shard, path) in [SHARD_0, SHARD_1].iter().enumerate() {
        let file = fs::File::create(dir.path(&format!("d-0000{shard}-of-00002.gz"))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&fs::read(repo(path)).unwrap()).unwrap();
        gzip.finish().unwrap();
    }
    for threads in ["1", "2"] {
        let out = dir.arg(&format!("gzip{threads}/"));
        let args = ["convert", &dir.arg("d-*.gz"), "-o", &out, "--rows-per-file", "500", "--format", "arrow"];
        tfarrow(&[&args[..], &["--batch-rows", "64", "--threads", threads]].concat()).success();
        let parts =
            (0..4).map(|part| Table::open(&dir.path(&format!("gzip{threads}/part-0000{part}.arrow"))));
        let parts: Vec<Table> = parts.collect();
        assert_eq!(parts.iter().map(Table::rows).collect::<Vec<_>>(), [500, 500, 500, 297]);
        let labels: Vec<Value> = parts.iter().flat_map(|part| part.values("label")).collect();
        assert_eq!(labels, whole.values("label"));
    }
    // Rows are chosen before they are shared out.
    let args = ["convert", DIGITS, "-o", &dir.arg("some/"), "--rows-per-file", "400", "--format", "arrow"];
    tfarrow(&[&args[..], &["--skip", "5", "--shard", "1/2", "--take", "800"]].concat()).success();
    let parts = [0, 1].map(|part| Table::open(&dir.path(&format!("some/part-0000{part}.arrow"))));
    let labels: Vec<Value> = parts.iter().flat_map(|part| part.values("label")).collect();
    let expected = whole.values("label");
    assert_eq!(labels, expected[6..].iter().step_by(2).take(800).cloned().collect::<Vec<_>>());
}

#[test]
fn parquet_is_the_format_of_parts_unless_told_otherwise() {
    let dir = Dir::new();
    tfarrow(&["convert", SHARD_0, "-o", &dir.arg("out/")]).success();
    assert!(dir.path("out/part-00000-of-00001.parquet").exists());
    tfarrow(&["convert", SHARD_0, "-o", &dir.arg("named.arrows/")]).success();
    assert!(dir.path("named.arrows/part-00000-of-00001.arrows").exists());
    // An existing empty folder needs no slash.
    fs::create_dir(dir.path("there")).unwrap();
    tfarrow(&["convert", SHARD_0, "-o", &dir.arg("there")]).success();
    assert!(dir.path("there/_manifest.json").exists());
}

#[test]
fn a_folder_that_holds_something_is_refused() {
    let dir = Dir::new();
    let out = dir.arg("out/");
    let convert = |more: &[&str]| tfarrow(&[&["convert", DIGITS, "-o", &out], more].concat());
    fs::create_dir(dir.path("out")).unwrap();
    fs::write(dir.path("out/mine.txt"), "mine").unwrap();
    for more in [&[][..], &["--resume"]] {
        assert_names(&convert(more).failure(), &["not empty", "--overwrite"]);
    }
    convert(&["--overwrite"]).success();
    assert_names(&convert(&[]).failure(), &["holds a conversion already", "--overwrite"]);
    // What is overwritten leaves no part of another number behind.
    let args = ["convert", SHARD_0, "-o", &out, "--overwrite"];
    tfarrow(&args).success();
    let names: Vec<String> = files(&dir.path("out")).into_keys().collect();
    assert_eq!(names, ["_manifest.json", "mine.txt", "part-00000-of-00001.parquet"]);
    assert_names(&convert(&["--take", "5", "--overwrite"]).failure(), &["--rows-per-file"]);
    let file = dir.arg("out.parquet");
    let message = tfarrow(&["convert", DIGITS, "-o", &file, "--rows-per-file", "5"]).failure();
    assert_names(&message, &["--rows-per-file", "/"]);
}

#[test]
fn resuming_a_whole_folder_changes_nothing() {
    let dir = Dir::new();
    let args = ["convert", DIGITS, "-o", &dir.arg("out/")];
    tfarrow(&args).success();
    let before = files(&dir.path("out"));
    let modified = |name: &str| fs::metadata(dir.path("out").join(name)).unwrap().modified().unwrap();
    let part = modified("part-00000-of-00002.parquet");
    let run = tfarrow(&[&args[..], &["--resume"]].concat()).success();
    assert_names(&run.stderr, &["2 of them kept"]);
    assert_same(&dir.path("out"), &before);
    assert_eq!(modified("part-00000-of-00002.parquet"), part);
    // A part that is gone or damaged is made again, the other one is not.
    fs::remove_file(dir.path("out/part-00001-of-00002.parquet")).unwrap();
    let run = tfarrow(&[&args[..], &["--resume"]].concat()).success();
    assert_names(&run.stderr, &["1 of them kept"]);
    let mut damaged = before["part-00001-of-00002.parquet"].clone();
    damaged[100] ^= 1;
    fs::write(dir.path("out/part-00001-of-00002.parquet"), damaged).unwrap();
    tfarrow(&[&args[..], &["--resume"]].concat()).success();
    assert_same(&dir.path("out"), &before);
}

#[test]
fn resuming_refuses_what_has_changed_and_says_what() {
    let dir = Dir::new();
    let input = shards(&dir, 2);
    let out = dir.arg("out/");
    let convert = |more: &[&str]| tfarrow(&[&["convert", &input, "-o", &out], more].concat());
    convert(&[]).success();
    let before = files(&dir.path("out"));
    for (more, named) in [
        (&["--batch-rows", "100"][..], "batch_rows was 1024 and is 100"),
        (&["--compression", "none"], "compression was not set and is `none`"),
        (&["--columns", "label"], "columns was not set and is"),
        (&["--on-error", "skip"], "on_error was `fail` and is `skip`"),
        (&["--rows-per-file", "5"], "rows_per_file was not set and is 5"),
        (&["--tensor-layout", "flat"], "tensor_layout was `extension` and is `flat`"),
        (&["--format", "arrow"], "format was `parquet` and is `arrow`"),
    ] {
        let message = convert(&[more, &["--resume"]].concat()).failure();
        assert_names(&message, &["cannot resume", named, "--overwrite"]);
    }
    // Threads are no such option.
    convert(&["--resume", "--threads", "1"]).success();
    assert_same(&dir.path("out"), &before);
    fs::copy(repo(SHARD_0), dir.path("digits-00001-of-00002")).unwrap();
    let message = convert(&["--resume"]).failure();
    assert_names(&message, &["cannot resume", "digits-00001-of-00002", "bytes"]);
    fs::remove_file(dir.path("digits-00001-of-00002")).unwrap();
    assert_names(&convert(&["--resume"]).failure(), &["there were 2 inputs and are 1"]);
    assert_same(&dir.path("out"), &before);
}

/// Makes `file` one that was modified at another time.
fn touch(file: &Path) {
    let earlier = std::time::SystemTime::now() - Duration::from_secs(10);
    fs::File::options().write(true).open(file).unwrap().set_modified(earlier).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn resuming_refuses_inputs_that_changed_where_a_part_is_not_a_whole_file() {
    let dir = Dir::new();
    let tfds = dir.path("tfds");
    copy_folder(&repo("tests/golden/tfds/wide_tfrecord"), &tfds);
    let saved = dir.path("saved");
    copy_folder(&repo("tests/golden/saved/shards3"), &saved);
    // Row groups of one file.
    let table = dir.path("digits.parquet");
    let (name, rows) = (table.to_str().unwrap(), ["--row-group-rows", "500"]);
    tfarrow(&[&["convert", DIGITS, "-o", name], &rows[..]].concat()).success();
    let shard = |folder: &Path, part: &str| {
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_str().unwrap().contains(part) {
                    return path;
                }
            }
        }
        panic!("no file is named like {part}");
    };
    for (input, changed, options) in [
        (&tfds, shard(&tfds, "-train.tfrecord-00001"), &["--split", "train[1:4]", "--columns", "text"][..]),
        (&saved, shard(&saved, ".snapshot"), &[]),
        (&table, table.clone(), &[]),
    ] {
        let out = format!("{}.out/", input.display());
        let args = [&["convert", input.to_str().unwrap(), "-o", &out][..], options].concat();
        tfarrow(&args).success();
        for partition in manifest(Path::new(&out))["inputs"].as_array().unwrap() {
            for file in partition["files"].as_array().unwrap() {
                let bytes = fs::metadata(file["name"].as_str().unwrap()).unwrap().len();
                assert_eq!(file["bytes"], bytes, "{file}");
                assert!(file["version"].is_string(), "{file}");
            }
        }
        let again = [&args[..], &["--resume"]].concat();
        tfarrow(&again).success();
        touch(&changed);
        let changed = changed.to_str().unwrap();
        let message = tfarrow(&again).failure();
        assert_names(&message, &["cannot resume", changed, "modified at", "--overwrite"]);
    }
}

#[test]
fn losses_are_counted_in_every_part_and_again_when_resumed() {
    let dir = Dir::new();
    let input = shards(&dir, 3);
    let damaged = dir.path("digits-00001-of-00003");
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let out = dir.arg("out/");
    let args = ["convert", &input, "-o", &out, "--on-error", "skip"];
    let run = tfarrow(&args);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_names(&run.stderr, &["digits-00001-of-00003, record ", "; 1 records skipped"]);
    assert_eq!(manifest(&dir.path("out"))["parts"][1]["skipped"], 1);
    let run = tfarrow(&[&args[..], &["--resume"]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    // One part stops at the damage; those that are whole stay for another try.
    let out = dir.arg("fail/");
    let args = ["convert", &input, "-o", &out, "--threads", "1", "--infer-records", "10"];
    let message = tfarrow(&args).failure();
    assert_names(&message, &["digits-00001-of-00003", "--resume"]);
    let names: Vec<String> = files(&dir.path("fail")).into_keys().collect();
    assert_eq!(names, ["_progress.jsonl", "part-00000-of-00003.parquet"]);
    assert_names(&tfarrow(&args).failure(), &["interrupted", "--resume"]);
}

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Kills conversions at random moments, so many times; each is then gone on with until it is whole.
fn kill_and_resume(kills: usize, args: &[&str], code: i32, seed: u64) {
    let dir = Dir::new();
    let begin = Instant::now();
    let run = tfarrow(&[args, &["-o", &dir.arg("undisturbed/")]].concat());
    assert_eq!(run.code, Some(code), "{}", run.stderr);
    let took = u64::try_from(begin.elapsed().as_micros()).unwrap();
    let expected = files(&dir.path("undisturbed"));
    let mut random = Random(seed);
    let (mut killed, mut round, mut kept) = (0, 0, 0);
    // However quick the machine is, a part is kept of some run.
    while killed < kills || kept == 0 {
        round += 1;
        assert!(round < 200 + 40 * kills, "{killed} killed in {round} rounds, parts kept of {kept}");
        let out = dir.arg(&format!("{round}/"));
        let args = [args, &["-o", &out, "--resume"]].concat();
        for _ in 0..=random.below(3) {
            let mut child = command(&args).stderr(Stdio::null()).spawn().unwrap();
            if killed < kills {
                std::thread::sleep(Duration::from_micros(random.below(took)));
            } else {
                wait_for_a_part(&mut child, Path::new(&out));
            }
            child.kill().unwrap();
            killed += usize::from(child.wait().unwrap().code().is_none());
        }
        let run = tfarrow(&args);
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        kept += usize::from(run.stderr.contains("of them kept"));
        assert_same(&dir.path(&round.to_string()), &expected);
        fs::remove_dir_all(dir.path(&round.to_string())).unwrap();
    }
}

/// Waits until a part in `folder` is known to be whole, or the conversion is over.
fn wait_for_a_part(child: &mut std::process::Child, folder: &Path) {
    let is_kept = || fs::read_to_string(folder.join("_progress.jsonl")).is_ok_and(|t| t.contains("part-"));
    while child.try_wait().unwrap().is_none() && !is_kept() {}
}

/// `TFARROW_TEST_KILLS` asks for more kills.
fn kills() -> usize {
    std::env::var("TFARROW_TEST_KILLS").map_or(26, |kills| kills.parse().unwrap())
}

#[test]
fn a_conversion_killed_at_any_moment_is_resumed_to_the_same_bytes() {
    let dir = Dir::new();
    let input = shards(&dir, 8);
    kill_and_resume(kills() / 2, &["convert", &input, "--columns", "label,writer"], 0, 1);
}

#[test]
fn parts_of_so_many_rows_are_resumed_to_the_same_bytes() {
    let dir = Dir::new();
    let input = shards(&dir, 6);
    let mut bytes = fs::read(dir.path("digits-00003-of-00006")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(dir.path("digits-00003-of-00006"), bytes).unwrap();
    let args = ["convert", &input, "--rows-per-file", "500", "--batch-rows", "128", "--format", "arrow"];
    kill_and_resume(kills() / 2, &[&args[..], &["--on-error", "skip"]].concat(), 1, 2);
}

#[test]
#[cfg(feature = "array-record")]
fn parts_of_tfds_folders_and_array_records_are_resumed_to_the_same_bytes() {
    let records = repo("tests/golden/array_record/many_small.array_record");
    let args = ["convert", records.to_str().unwrap(), "--record", "raw", "--rows-per-file", "100"];
    kill_and_resume(kills() / 4, &args, 0, 3);
    for name in ["wide_tfrecord", "wide_array_record"] {
        let folder = repo("tests/golden/tfds").join(name);
        let args = ["convert", folder.to_str().unwrap(), "--split", "train", "--columns", "text,ds"];
        kill_and_resume(kills() / 4, &[&args[..], &["--rows-per-file", "1"]].concat(), 0, 4);
    }
}
