//! Runs the programs in `examples/` and looks at what they print.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

const DIGITS: &str = "examples/data/digits/digits.tfrecord-*-of-*";

/// Builds an example, if it is not built yet, and runs it.
fn example(name: &str, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", name, "--"])
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn convert_writes_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("digits.parquet");
    let printed = example("convert", &[DIGITS, target.to_str().unwrap()]);
    assert!(printed.starts_with("1797 rows"), "{printed}");
    let bytes = std::fs::read(target).unwrap();
    assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
}

#[test]
fn stream_batches_goes_through_all_rows() {
    let printed = example("stream_batches", &[DIGITS]);
    let rows: usize = printed
        .lines()
        .filter_map(|line| line.split_once(" rows, mean pixel"))
        .map(|(rows, _)| rows.parse::<usize>().unwrap())
        .sum();
    assert_eq!(rows, 1797, "{printed}");
    // scikit-learn's load_digits().data.mean() is 4.884.
    let first = printed.lines().find(|line| line.contains("mean pixel")).unwrap();
    let mean: f32 = first.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((4.5..5.3).contains(&mean), "{first}");
}

#[test]
fn own_store_is_read_like_any_other() {
    assert_eq!(example("own_store", &["examples/data/digits"]), "1797 rows\n");
}

#[test]
fn columns_counts_digits() {
    let printed = example("columns", &[DIGITS]);
    // The ten classes of load_digits have 178, 182, 177, 183, 181, 182, 181, 179, 174, 180 samples.
    for (digit, count) in [178, 182, 177, 183, 181, 182, 181, 179, 174, 180].iter().enumerate() {
        assert!(printed.contains(&format!("digit {digit}: {count}\n")), "{printed}");
    }
    assert!(printed.contains("without a writer: 257"), "{printed}");
}

#[test]
#[cfg(feature = "ndarray")]
fn the_classic_programs() {
    let printed = example("one_array", &[DIGITS]);
    assert!(printed.starts_with("pixels: [1797, 64], labels: [1797]\n"), "{printed}");
    let printed = example("chunk_by_chunk", &[DIGITS]);
    assert!(
        printed.starts_with("chunk of [500, 64]\n") && printed.contains("\nchunk of [297, 64]\n"),
        "{printed}"
    );
    assert!(printed.ends_with("mean of 1797 rows: 4.884\n"), "{printed}");
    let printed = example("dictionary", &[DIGITS]);
    assert_eq!(printed, "label: int64 [1797]\npixels: float32 [1797, 64]\n");
    let printed = example("first_batches", &[DIGITS]);
    assert_eq!(printed.lines().filter(|line| line.starts_with("32 labels, ")).count(), 3, "{printed}");
}

#[test]
#[cfg(all(feature = "mmap", feature = "ndarray"))]
fn map_file_views_the_last_batch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("digits.arrow");
    let file = file.to_str().unwrap();
    example("convert", &[DIGITS, file]);
    let printed = example("map_file", &[file, "pixels"]);
    assert!(
        printed.starts_with("2 batches; `pixels` of the last: 773 rows of shape [64], in the file itself\n"),
        "{printed}"
    );
}

#[test]
#[cfg(feature = "array-record")]
fn random_rows_reads_records_by_number() {
    let printed = example("random_rows", &["50", "tests/golden/array_record/many_small.array_record"]);
    let expected: usize =
        (0..50u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 2000).to_string().len()).sum();
    assert_eq!(printed, format!("50 of 2000 records, {expected} bytes\n"));
}
