//! How time and memory grow with the work: rows, columns, width of a row, files, threads.
//!
//! ```text
//! cargo bench --bench scaling            # all curves
//! cargo bench --bench scaling -- files   # those whose name contains `files`
//! ```
//!
//! Every line is the whole program in a process of its own, the median of five runs, input in the
//! page cache. The inputs are made in the folder for temporary files (2 GB) and removed.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{BYTES, FLOAT, INT64, entry, file, floats, ints};

const RUNS: usize = 5;

/// One way to convert something.
struct Point<'a> {
    label: String,
    input: &'a str,
    /// Bytes and rows of the input.
    bytes: u64,
    rows: u64,
    args: &'a [&'a str],
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| name.contains(only.as_str()));
    for (name, curve) in [
        ("rows", rows as fn(&Path)),
        ("columns", columns),
        ("one column of many", one_column),
        ("row width", widths),
        ("files", files),
        ("threads", threads),
        ("batch rows", batch_rows),
        ("start", start),
    ] {
        if wanted(name) {
            let folder = tempfile::tempdir().unwrap();
            println!("\n{name}\n");
            println!("| | MB | s | MB/s | rows/s | peak MB |\n| --- | --- | --- | --- | --- | --- |");
            curve(folder.path());
        }
    }
}

/// A record like those of many tables: an id, a text, four numbers.
fn table(row: u64) -> Vec<Vec<u8>> {
    let text = format!("row number {row} of a table");
    let mut features = vec![entry("id", INT64, &ints(row, 1)), entry("text", BYTES, text.as_bytes())];
    features.extend((0..4).map(|column| entry(&format!("x{column}"), FLOAT, &floats(row + column, 1))));
    features
}

fn wide(columns: u64) -> impl Fn(u64) -> Vec<Vec<u8>> {
    move |row| {
        (0..columns)
            .map(|column| match column % 3 {
                0 => entry(&format!("f{column:04}"), FLOAT, &floats(row + column, 1)),
                1 => entry(&format!("i{column:04}"), INT64, &ints(row + column, 1)),
                _ => entry(&format!("b{column:04}"), BYTES, format!("{row:08x}").as_bytes()),
            })
            .collect()
    }
}

fn rows(folder: &Path) {
    for rows in [1_000, 10_000, 100_000, 1_000_000] {
        let (input, bytes) = file(folder, &format!("{rows}"), rows, table);
        measure(&Point { label: format!("{rows} rows"), input: &input, bytes, rows, args: &[] });
    }
}

fn columns(folder: &Path) {
    for columns in [1, 10, 40, 200, 1000] {
        let rows = 8_000_000 / columns / 10;
        let (input, bytes) = file(folder, &format!("{columns}"), rows, wide(columns));
        measure(&Point { label: format!("{columns} columns"), input: &input, bytes, rows, args: &[] });
    }
}

fn one_column(folder: &Path) {
    let rows = 400_000;
    let (input, bytes) = file(folder, "wide", rows, wide(40));
    for (label, args) in [
        ("all 40", &["--threads", "1"][..]),
        ("1 of 40", &["--threads", "1", "--columns", "i0019"]),
        (
            "10 of 40",
            &["--threads", "1", "--columns", "i0001,f0003,b0005,i0010,f0012,b0014,i0019,f0021,b0023,i0028"],
        ),
    ] {
        measure(&Point { label: label.to_owned(), input: &input, bytes, rows, args });
    }
}

fn widths(folder: &Path) {
    for width in [8u64, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
        let rows = (300_000_000 / (width + 40)).min(1_000_000);
        let value = vec![7; usize::try_from(width).unwrap()];
        let (input, bytes) = file(folder, "width", rows, |_| vec![entry("x", BYTES, &value)]);
        measure(&Point { label: format!("{width} bytes a row"), input: &input, bytes, rows, args: &[] });
    }
}

fn files(folder: &Path) {
    for files in [1u64, 100, 20_000] {
        let (mut bytes, rows) = (0, 1_000_000 / files);
        let one = folder.join(format!("{files}"));
        std::fs::create_dir(&one).unwrap();
        for k in 0..files {
            bytes += file(&one, &format!("x-{k:05}-of-{files:05}"), rows, |row| table(row + k * rows)).1;
        }
        let input = format!("{}/x-*", one.display());
        measure(&Point {
            label: format!("{files} files"),
            input: &input,
            bytes,
            rows: rows * files,
            args: &[],
        });
    }
}

fn threads(folder: &Path) {
    let rows = 1_000_000;
    let (input, bytes) = file(folder, "one", rows, wide(20));
    for threads in ["1", "2", "4"] {
        let args = ["--threads", threads];
        measure(&Point {
            label: format!("{threads} threads, one file"),
            input: &input,
            bytes,
            rows,
            args: &args,
        });
    }
}

fn batch_rows(folder: &Path) {
    let rows = 300_000;
    let (input, bytes) = file(folder, "one", rows, table);
    for batch_rows in ["1", "16", "1024", "65536"] {
        let args = ["--batch-rows", batch_rows];
        measure(&Point {
            label: format!("batches of {batch_rows}"),
            input: &input,
            bytes,
            rows,
            args: &args,
        });
    }
}

fn start(folder: &Path) {
    let (input, bytes) = file(folder, "tiny", 10, table);
    measure(&Point { label: "10 rows".to_owned(), input: &input, bytes, rows: 10, args: &[] });
}

/// Runs the program and prints a line of the table.
fn measure(point: &Point<'_>) {
    let mut runs: Vec<(f64, u64)> = (0..RUNS).map(|_| run(point)).collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (seconds, _) = runs[RUNS / 2];
    let peak = runs.iter().map(|run| run.1).max().unwrap();
    println!(
        "| {} | {:.1} | {seconds:.4} | {:.0} | {:.0} | {:.0} |",
        point.label,
        point.bytes as f64 / 1e6,
        point.bytes as f64 / 1e6 / seconds,
        point.rows as f64 / seconds,
        peak as f64 / 1e6,
    );
}

/// Seconds and peak bytes of one process.
fn run(point: &Point<'_>) -> (f64, u64) {
    let start = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_tfarrow"))
        .args(["convert", point.input, "--dry-run", "--progress", "never"])
        .args(point.args)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peak = wait(child);
    (start.elapsed().as_secs_f64(), peak)
}

/// Waits for the process to end; the peak of its resident memory, in bytes.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn wait(child: std::process::Child) -> u64 {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    let pid = i32::try_from(child.id()).unwrap();
    // SAFETY: both places are there to be written to, and a zeroed `rusage` is one.
    let usage = unsafe {
        assert_eq!(libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()), pid);
        usage.assume_init()
    };
    assert_eq!(status, 0, "the program failed");
    u64::try_from(usage.ru_maxrss).unwrap() * 1024
}

#[cfg(not(target_os = "linux"))]
fn wait(mut child: std::process::Child) -> u64 {
    assert!(child.wait().unwrap().success(), "the program failed");
    0
}
