//! The program from outside: what it writes, what it says, how it ends.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{
    DIGITS, DIGITS_ROWS, Dir, Table, assert_names, command, golden, json_file, repo, tfarrow, tfarrow_fed,
};
use serde_json::{Value, json};
use tfarrow::options::{OPTIONS, OutputKind, Topic};

const SHARD_0: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";
const SHARD_1: &str = "examples/data/digits/digits.tfrecord-00001-of-00002";

/// Converts to an IPC file with these arguments and opens it.
#[track_caller]
fn converted(args: &[&str]) -> Table {
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    tfarrow(&[&["convert", "-o", &output], args].concat()).success();
    Table::open(&dir.path("out.arrow"))
}

/// Converts with these arguments, which must fail and leave nothing behind; returns the message.
#[track_caller]
fn refused(args: &[&str]) -> String {
    let mut message = None;
    for output in ["out.arrow", "out.arrows", "out.parquet"] {
        let dir = Dir::new();
        let path = dir.arg(output);
        let this = tfarrow(&[&["convert", "-o", &path], args].concat()).failure();
        assert_eq!(dir.names(), [""; 0], "left behind after: {this}");
        let previous = message.get_or_insert_with(|| this.clone());
        assert_eq!(previous, &this, "the message depends on the output");
    }
    message.unwrap()
}

// What comes out.

#[test]
fn converts_the_digits_to_every_format() {
    let dir = Dir::new();
    for name in ["digits.arrow", "digits.feather", "digits.ipc", "digits.arrows", "digits.parquet"] {
        let run = tfarrow(&["convert", DIGITS, "-o", &dir.arg(name)]).success();
        assert!(run.stdout.is_empty(), "{name}: something on stdout");
        let summary = run.stderr.replace(',', "");
        assert_eq!(summary.trim_end().lines().count(), 1, "{name}: {summary}");
        assert_names(&summary, &["1797", name]);
        assert!(!summary.contains('\r'), "{name}: a progress bar without a terminal: {summary}");
        if !name.ends_with(".parquet") {
            let table = Table::open(&dir.path(name));
            assert_eq!(table.rows(), DIGITS_ROWS, "{name}");
            assert_eq!(table.columns(), ["image", "label", "pixels", "writer"], "{name}");
        }
    }
    assert_eq!(dir.names().len(), 5, "{:?}", dir.names());
}

#[test]
fn digits_come_in_the_order_of_the_shards() {
    let table = converted(&[DIGITS]);
    let writers = table.values("writer");
    for (row, writer) in writers.iter().enumerate() {
        let expected = if row % 7 == 3 { Value::Null } else { json!(format!("writer-{:02}", row % 13)) };
        assert_eq!(*writer, expected, "row {row}");
    }
    assert_eq!(table.values("label")[..10], (0..10).map(|digit| json!(digit)).collect::<Vec<_>>());
}

#[test]
fn a_glob_and_the_list_of_its_files_are_the_same() {
    let by_glob = converted(&[DIGITS]);
    let by_list = converted(&[SHARD_0, SHARD_1]);
    assert_eq!(by_glob.values("pixels"), by_list.values("pixels"));
    assert_eq!(converted(&[SHARD_1]).rows(), 899);
}

#[test]
fn empty_shards_are_nothing_special() {
    let ids = converted(&[&golden("sharded.tfrecord-*-of-*")]).values("id");
    assert_eq!(ids, [0, 1, 2, 3, 20, 21, 22].map(|id| json!(id)));
}

#[test]
fn standard_output_gets_an_ipc_stream() {
    let run = tfarrow(&["convert", DIGITS, "-o", "-"]).success();
    let table = Table::from_stream(run.stdout);
    assert_eq!(table.rows(), DIGITS_ROWS);
    assert_eq!(table.values("pixels"), converted(&[DIGITS]).values("pixels"));
}

#[test]
fn standard_input_is_read_whatever_its_compression() {
    for (file, dataset) in
        [("lists.tfrecord", "lists"), ("gzip.tfrecord.gz", "gzip"), ("zlib.tfrecord", "zlib")]
    {
        let input = fs::read(golden(file)).unwrap();
        let table = Table::from_stream(tfarrow_fed(&["convert", "-", "-o", "-"], input).success().stdout);
        let rows =
            json_file("tests/golden/examples/expected.json")[dataset]["rows"].as_array().unwrap().len();
        assert_eq!(table.rows(), rows, "{file}");
    }
}

#[test]
fn threads_change_nothing() {
    let dir = Dir::new();
    for extension in ["arrow", "arrows", "parquet"] {
        let outputs = ["1", "2"].map(|threads| {
            let name = format!("{threads}.{extension}");
            tfarrow(&["convert", DIGITS, "-o", &dir.arg(&name), "--threads", threads]).success();
            fs::read(dir.path(&name)).unwrap()
        });
        assert!(outputs[0] == outputs[1], "{extension}: two threads write other bytes than one");
    }
}

// Options.

#[test]
fn batches_have_at_most_the_rows_asked_for() {
    let rows = |args: &[&str]| -> Vec<usize> {
        converted(&[&[DIGITS], args].concat()).batches.iter().map(|batch| batch.num_rows()).collect()
    };
    for (args, limit) in [(&["--batch-rows", "100"][..], 100), (&["--batch-rows", "1"], 1), (&[], 1024)] {
        let rows = rows(args);
        assert_eq!(rows.iter().sum::<usize>(), DIGITS_ROWS);
        assert!(rows.iter().all(|rows| (1..=limit).contains(rows)), "{rows:?}");
        assert!(rows.len() <= DIGITS_ROWS.div_ceil(limit) + 1, "too many small batches: {rows:?}");
    }
}

#[test]
fn columns_are_chosen_by_name() {
    assert_eq!(converted(&[DIGITS, "--columns", "label,writer"]).columns(), ["label", "writer"]);
    assert_eq!(converted(&[DIGITS, "--exclude", "image,pixels"]).columns(), ["label", "writer"]);
    let table = converted(&[DIGITS, "--columns", "pixels"]);
    assert_eq!(table.values("pixels"), converted(&[DIGITS]).values("pixels"));
    assert_names(&refused(&[DIGITS, "--columns", "label,wirter"]), &["wirter", "writer"]);
    assert_names(&refused(&[DIGITS, "--exclude", "wirter"]), &["wirter"]);
}

#[test]
fn columns_are_renamed() {
    let table = converted(&[DIGITS, "--columns", "label", "--rename", "label=digit"]);
    assert_eq!(table.columns(), ["digit"]);
}

#[test]
fn rows_are_taken_and_skipped_across_shards() {
    let all = converted(&[DIGITS, "--columns", "label"]).values("label");
    let part = converted(&[DIGITS, "--columns", "label", "--skip", "890", "--take", "20"]).values("label");
    assert_eq!(part, all[890..910]);
    assert_eq!(converted(&[DIGITS, "--take", "5000"]).rows(), DIGITS_ROWS);
    assert_eq!(converted(&[DIGITS, "--skip", "5000"]).rows(), 0);
}

#[test]
fn compression_changes_the_size_and_not_the_values() {
    let dir = Dir::new();
    let size = |name: &str, codec: &str| {
        tfarrow(&["convert", DIGITS, "-o", &dir.arg(name), "--compression", codec]).success();
        fs::metadata(dir.path(name)).unwrap().len()
    };
    let plain = size("none.arrow", "none");
    let expected = Table::open(&dir.path("none.arrow")).values("pixels");
    for (name, codec) in [("lz4.arrow", "lz4"), ("zstd.arrow", "zstd"), ("zstd.arrows", "zstd:3")] {
        assert!(size(name, codec) < plain, "{name} is not smaller");
        assert_eq!(Table::open(&dir.path(name)).values("pixels"), expected, "{name}");
    }
    let plain = size("none.parquet", "none");
    for codec in ["snappy", "gzip", "lz4", "zstd", "zstd:19"] {
        assert!(size(&format!("{}.parquet", codec.replace(':', "")), codec) < plain, "{codec}");
    }
}

#[test]
fn a_codec_that_the_format_lacks_is_refused() {
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    let message = tfarrow(&["convert", DIGITS, "-o", &output, "--compression", "snappy"]).failure();
    assert_names(&message, &["snappy"]);
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn a_dry_run_reads_everything_and_writes_nothing() {
    let dir = Dir::new();
    let run = tfarrow(&["convert", DIGITS, "-o", &dir.arg("out.parquet"), "--dry-run"]).success();
    assert_names(&run.stderr.replace(',', ""), &["1797"]);
    let damaged = golden("damaged/last_data_bit.tfrecord");
    tfarrow(&["convert", &damaged, "-o", &dir.arg("out.parquet"), "--dry-run"]).failure();
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn an_existing_output_stays_unless_told_otherwise() {
    let dir = Dir::new();
    for name in ["out.arrow", "out.arrows", "out.parquet"] {
        fs::write(dir.path(name), "mine").unwrap();
        let output = dir.arg(name);
        let message = tfarrow(&["convert", DIGITS, "-o", &output]).failure();
        assert_names(&message, &[name, "--overwrite"]);
        assert_eq!(fs::read(dir.path(name)).unwrap(), b"mine");

        // A conversion that fails does not cost the old file either.
        let damaged = golden("damaged/last_data_bit.tfrecord");
        tfarrow(&["convert", &damaged, "-o", &output, "--overwrite"]).failure();
        assert_eq!(fs::read(dir.path(name)).unwrap(), b"mine");

        tfarrow(&["convert", DIGITS, "-o", &output, "--overwrite"]).success();
        assert!(fs::metadata(dir.path(name)).unwrap().len() > 100_000);
    }
    assert_eq!(dir.names(), ["out.arrow", "out.arrows", "out.parquet"]);
}

#[test]
fn overwriting_spares_what_is_no_such_output() {
    for format in ["npyd", "saved"] {
        let dir = Dir::new();
        let output = dir.arg("out");
        let convert = || {
            tfarrow(&[
                "convert",
                DIGITS,
                "--columns",
                "pixels",
                "-o",
                &output,
                "--format",
                format,
                "--overwrite",
            ])
        };
        convert().success();
        convert().success();
        fs::write(dir.path("out").join("thesis.txt"), "mine").unwrap();
        assert_names(&convert().failure(), &["out", "would be lost"]);
        assert_eq!(fs::read(dir.path("out").join("thesis.txt")).unwrap(), b"mine");
    }
    #[cfg(unix)]
    {
        let dir = Dir::new();
        std::os::unix::fs::symlink("/dev/null", dir.path("null")).unwrap();
        let args = ["convert", DIGITS, "-o", &dir.arg("null"), "--format", "parquet", "--overwrite"];
        assert_names(&tfarrow(&args).failure(), &["null", "-o -"]);
        assert!(fs::symlink_metadata(dir.path("null")).unwrap().is_symlink());
    }
}

// Looking without converting.

#[test]
fn schema_tells_what_the_columns_will_be() {
    let run = tfarrow(&["schema", DIGITS]).success();
    assert_names(run.text(), &["image", "label", "pixels", "writer", "64", "Int64", "Utf8", "Binary"]);
    let run = tfarrow(&["schema", DIGITS, "--json"]).success();
    let schema: Value = serde_json::from_str(run.text()).unwrap();
    assert!(schema.is_object());
    assert_names(run.text(), &["\"pixels\"", "\"writer\""]);
}

#[test]
fn head_shows_the_first_rows() {
    let run = tfarrow(&["head", DIGITS, "--columns", "label,writer", "-n", "2"]).success();
    assert_names(run.text(), &["label", "writer", "writer-00", "writer-01"]);
    assert!(!run.text().contains("writer-02"), "{}", run.text());
    let run = tfarrow(&["head", DIGITS]).success();
    assert_names(run.text(), &["image", "label", "pixels", "writer"]);
}

#[test]
fn count_counts_records() {
    assert_eq!(tfarrow(&["count", DIGITS]).success().text().trim(), "1797");
    assert_eq!(tfarrow(&["count", &golden("sharded.tfrecord-*-of-*")]).success().text().trim(), "7");
    assert_eq!(tfarrow(&["count", &golden("gzip_members.tfrecord")]).success().text().trim(), "60");
    for empty in ["empty.tfrecord", "empty_gzip.tfrecord", "empty_zlib.tfrecord"] {
        let run = tfarrow(&["count", &format!("tests/golden/tfrecord/{empty}")]).success();
        assert_eq!(run.text().trim(), "0", "{empty}");
    }
    let input = fs::read(repo(SHARD_0)).unwrap();
    assert_eq!(tfarrow_fed(&["count", "-"], input).success().text().trim(), "898");
    let message = tfarrow(&["count", &golden("damaged/length_bit.tfrecord")]).failure();
    assert_names(&message, &["length_bit.tfrecord", "record 1", "byte 53"]);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = tfarrow(&["--help"]).success();
    assert_names(help.text(), &["convert", "schema", "head", "count", "TFRecord", "Parquet"]);
    let help = tfarrow(&["convert", "--help"]).success();
    assert_names(help.text(), &["--columns", "--batch-rows", "--compression", "--overwrite", "--threads"]);
    let version = tfarrow(&["--version"]).success();
    assert_eq!(version.text().trim(), concat!("tfarrow ", env!("CARGO_PKG_VERSION")));
}

// What goes wrong.

#[test]
fn damage_is_named_by_file_record_and_byte() {
    for (name, place) in json_file("tests/golden/examples/damaged.json").as_object().unwrap() {
        let file = format!("{name}.tfrecord");
        let message = refused(&[&golden(&format!("damaged/{file}"))]);
        assert_names(&message, &[&file]);
        let (Some(record), Some(byte)) = (place["record"].as_u64(), place["byte"].as_u64()) else { continue };
        assert_names(&message, &[&format!("record {record},"), &format!("byte {byte})")]);
        // Also when the damage comes after what the schema was made of.
        if record > 0 {
            let message = refused(&[&golden(&format!("damaged/{file}")), "--infer-records", "1"]);
            assert_names(&message, &[&file, &format!("record {record},"), &format!("byte {byte})")]);
        }
    }
}

#[test]
fn damage_in_a_later_shard_is_found_there() {
    let dir = Dir::new();
    let mut shard = fs::read(repo(SHARD_1)).unwrap();
    *shard.last_mut().unwrap() ^= 1;
    fs::copy(repo(SHARD_0), dir.path("digits-00000-of-00002")).unwrap();
    fs::write(dir.path("digits-00001-of-00002"), shard).unwrap();
    for threads in ["1", "2"] {
        let message = refused(&[&dir.arg("digits-*-of-*"), "--threads", threads]);
        assert_names(&message, &["digits-00001-of-00002", "record 898,"]);
    }
}

#[test]
fn a_record_that_is_no_example_is_named() {
    let message = refused(&[&golden("not_example.tfrecord")]);
    assert_names(&message, &["not_example.tfrecord", "record 1,", "byte "]);
}

#[test]
fn records_that_contradict_the_schema_are_named() {
    for file in ["kind_changes", "count_changes", "length_changes", "text_changes"] {
        let message = refused(&[&golden(&format!("{file}.tfrecord")), "--infer-records", "2"]);
        assert_names(
            &message,
            &[file, "record 2,", "byte ", "column `x`", "expected ", "found ", "; pass --"],
        );
    }
    // Seen in time, only the change of kind has no type that holds both.
    assert_names(&refused(&[&golden("kind_changes.tfrecord")]), &["record 2", "column `x`"]);
    let values = |file: &str| converted(&[&golden(file), "--infer-records", "all"]).values("x");
    assert_eq!(values("count_changes.tfrecord"), [json!([1]), json!([2]), json!([3, 4])]);
    assert_eq!(values("length_changes.tfrecord")[2], json!([5.0, 6.0, 7.0]));
    assert_eq!(values("text_changes.tfrecord"), ["61", "62", "ff"]);
}

#[test]
fn records_are_not_examples_by_accident() {
    // Framed and sound, but not Examples: the first record says so.
    let message = refused(&["tests/golden/tfrecord/small.tfrecord"]);
    assert_names(&message, &["small.tfrecord", "record 0,"]);
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let dir = Dir::new();
    assert_names(&refused(&[&dir.arg("nothing.tfrecord")]), &["nothing.tfrecord"]);
    assert_names(&refused(&[&dir.arg("nothing-*")]), &["nothing-*"]);
    for verb in ["schema", "head", "count"] {
        assert_names(&tfarrow(&[verb, &dir.arg("nothing.tfrecord")]).failure(), &["nothing.tfrecord"]);
    }
}

#[test]
fn outputs_that_cannot_be_are_named() {
    let dir = Dir::new();
    let message = tfarrow(&["convert", DIGITS, "-o", &dir.arg("digits.csv")]).failure();
    assert_names(&message, &["digits.csv", ".parquet", ".arrow"]);
    let message = tfarrow(&["convert", DIGITS, "-o", &dir.arg("no/such/folder/digits.arrow")]).failure();
    assert_names(&message, &["no/such/folder"]);
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn misuse_ends_with_2_and_a_word() {
    for args in [
        &["convert", DIGITS][..],
        &["convert", "-o", "x.arrow"],
        &["convert", DIGITS, "-o", "x.arrow", "--no-such-option"],
        &["convert", DIGITS, "-o", "x.arrow", "--batch-rows", "0"],
        &["convert", DIGITS, "-o", "x.arrow", "--compression", "rar"],
        &["no-such-command"],
    ] {
        let run = tfarrow(args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}");
    }
    assert!(!repo("x.arrow").exists());
}

#[test]
fn a_closed_pipe_is_no_error() {
    for args in [&["convert", DIGITS, "-o", "-"][..], &["head", DIGITS, "-n", "1797"]] {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 16]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("error"), "{args:?}: {stderr}");
    }
}

/// Ctrl-C in the middle: the program is fed enough to be writing, then interrupted.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    let mut child = command(&["convert", "-", "-o", &output, "--infer-records", "1"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let shard = fs::read(repo(SHARD_0)).unwrap();
    for _ in 0..12 {
        stdin.write_all(&shard).unwrap();
    }
    let give_up = Instant::now() + Duration::from_secs(120);
    while dir.names().is_empty() {
        assert!(Instant::now() < give_up, "nothing was begun");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_ne!(dir.names(), ["out.arrow"], "the output appeared before it was whole");
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    drop(stdin);
    assert!(!status.success());
    assert_eq!(dir.names(), [""; 0]);
}

#[test]
fn what_goes_to_standard_output_replaces_nothing() {
    for args in [&["convert", DIGITS, "-o", "-"][..], &["report", DIGITS, "--json"]] {
        let message = tfarrow(&[args, &["--overwrite"]].concat()).failure();
        assert_names(&message, &["--overwrite is for files and folders", "leave --overwrite out"]);
    }
}

#[test]
fn shells_and_man_pages_are_told_of_every_option() {
    let page = tfarrow(&["man", "convert"]).success();
    let completions = tfarrow(&["completions", "bash"]).success();
    let heeded = |option: &&tfarrow::options::OptionInfo| {
        option.topic != Topic::Library && option.outputs.contains(&OutputKind::Parquet)
    };
    for option in OPTIONS.iter().filter(heeded) {
        let flag = format!("--{}", option.key.replace('_', "-"));
        assert!(page.text().contains(&flag.replace('-', "\\-")), "{flag}");
        assert!(completions.text().contains(&flag), "{flag}");
    }
    assert_names(tfarrow(&["man"]).success().text(), &["tfarrow\\-convert(1)", "Exit status"]);
    assert_names(&tfarrow(&["man", "convrt"]).failure(), &["no command `convrt`", "convert, schema"]);
}

/// What bash itself offers, where it can be run.
#[cfg(unix)]
#[test]
fn bash_completes_options_and_their_values() {
    let dir = Dir::new();
    fs::write(dir.path("tfarrow.bash"), tfarrow(&["completions", "bash"]).success().stdout).unwrap();
    let offered = |words: &str, current: usize| {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={current}; _tfarrow tfarrow \"${{COMP_WORDS[$COMP_CWORD]}}\" \
             \"${{COMP_WORDS[$((COMP_CWORD-1))]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            dir.arg("tfarrow.bash")
        );
        let run = std::process::Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("tfarrow con", 1), ["convert"]);
    assert_eq!(offered("tfarrow convert --row-g", 2), ["--row-group-rows"]);
    assert_eq!(offered("tfarrow convert --on-error ''", 3), ["fail", "skip", "null", "null-value"]);
}

#[test]
fn a_dry_run_takes_the_options_of_its_output_and_a_report_beside_a_stream_is_replaced() {
    let dir = Dir::new();
    let (output, report) = (dir.arg("out.parquet"), dir.arg("report.jsonl"));
    tfarrow(&["convert", DIGITS, "-o", &output, "--compression", "zstd", "--dry-run"]).success();
    assert_names(
        &tfarrow(&["convert", DIGITS, "-o", &output, "--shards", "2", "--dry-run"]).failure(),
        &["--shards"],
    );
    let stream = ["convert", DIGITS, "-o", "-", "--report", &report];
    tfarrow(&stream).success();
    assert_names(&tfarrow(&stream).failure(), &["report exists already"]);
    tfarrow(&[&stream[..], &["--overwrite"]].concat()).success();
    assert_eq!(dir.names(), ["report.jsonl"]);
}
