//! The odd things that real TFRecord files hold, each with the values that must come out or the
//! place that must be named.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::{Run, Table, assert_names, repo, tfarrow};
use arrow::array::AsArray;
use arrow::datatypes::UInt8Type;
use serde_json::{Value, json};

fn convert(name: &str, args: &[&str]) -> Run {
    let file = repo("tests/golden/quirks").join(name);
    tfarrow(&[&["convert", file.to_str().unwrap(), "-o", "-"], args].concat())
}

#[track_caller]
fn table(name: &str, args: &[&str]) -> Table {
    Table::from_stream(convert(name, args).success().stdout)
}

fn column(rows: std::ops::Range<i64>, value: impl Fn(i64) -> Value) -> Vec<Value> {
    rows.map(value).collect()
}

#[allow(clippy::cast_precision_loss)] // small numbers
fn halves(row: i64) -> Value {
    json!([row as f64 / 2.0, row as f64 / 4.0])
}

/// The rows of the plain file but for `lost`.
#[track_caller]
fn assert_plain(table: &Table, lost: &[i64]) {
    let kept = |value: fn(i64) -> Value| -> Vec<Value> {
        (0..100).filter(|row| !lost.contains(row)).map(value).collect()
    };
    assert_eq!(table.values("id"), kept(|row| json!(row)));
    assert_eq!(table.values("x"), kept(halves));
    assert_eq!(table.values("s"), kept(|row| json!(format!("r{row}"))));
}

#[test]
fn gzip_and_zlib_need_not_be_told() {
    for name in ["plain.tfrecord", "gzip.tfrecord.gz", "zlib.tfrecord.zlib"] {
        assert_plain(&table(name, &[]), &[]);
    }
}

#[test]
fn a_flipped_bit_in_a_record_is_found() {
    let message = convert("badcrc.tfrecord", &[]).failure();
    assert_names(&message, &["badcrc.tfrecord", "record 50,", "CRC"]);
    let run = convert("badcrc.tfrecord", &["--on-error", "skip"]);
    assert_eq!(run.code, Some(1));
    assert_plain(&Table::from_stream(run.stdout), &[50]);
}

#[test]
fn a_flipped_bit_in_a_length_is_found_and_got_over() {
    let message = convert("badlength.tfrecord", &[]).failure();
    assert_names(&message, &["badlength.tfrecord", "record 1,", "length"]);
    let run = convert("badlength.tfrecord", &["--on-error", "skip"]);
    assert_eq!(run.code, Some(1));
    assert_plain(&Table::from_stream(run.stdout), &[1]);
}

#[test]
fn a_truncated_file_is_found() {
    let message = convert("truncated.tfrecord", &[]).failure();
    assert_names(&message, &["truncated.tfrecord", "record 99,", "truncated record"]);
    let run = convert("truncated.tfrecord", &["--on-error", "skip"]);
    assert_plain(&Table::from_stream(run.stdout), &[99]);
}

#[test]
fn records_that_are_no_examples_are_named() {
    let message = convert("garbage.tfrecord", &[]).failure();
    assert_names(&message, &["garbage.tfrecord", "record 0,", "not a tf.train.Example", "--record raw"]);
    assert_eq!(table("garbage.tfrecord", &["--record", "raw"]).rows(), 3);
}

#[test]
fn an_empty_file_has_no_rows() {
    assert_eq!(table("empty_file.tfrecord", &[]).rows(), 0);
    let given = table("empty_file.tfrecord", &["--feature", "id:int64"]);
    assert_eq!((given.rows(), given.columns()), (0, vec!["id"]));
}

#[test]
fn an_absent_feature_is_null() {
    let expected = column(0..90, |row| if row % 3 == 0 { Value::Null } else { json!(row * 10) });
    assert_eq!(table("missing.tfrecord", &[]).values("a"), expected);
}

#[test]
fn an_absent_list_and_an_empty_one_stay_apart() {
    let expected = column(0..90, |row| match row % 5 {
        0 => Value::Null,
        _ => json!((0..row % 4).collect::<Vec<_>>()),
    });
    assert_eq!(table("emptylist.tfrecord", &[]).values("v"), expected);
}

#[test]
fn a_feature_without_a_kind_is_null() {
    let expected = column(0..50, |row| if row % 2 == 1 { Value::Null } else { json!(row) });
    assert_eq!(table("nokind.tfrecord", &[]).values("a"), expected);
}

#[test]
fn a_feature_that_changes_its_kind_is_named() {
    let message = convert("mixedkind.tfrecord", &[]).failure();
    assert_names(&message, &["record 25,", "column `a`", "expected int64, found float"]);
    let run = convert("mixedkind.tfrecord", &["--on-error", "skip"]);
    assert_eq!(run.code, Some(1));
    assert_eq!(Table::from_stream(run.stdout).values("a"), column(0..25, |row| json!(row)));
}

#[test]
fn a_late_column_is_kept_or_named() {
    #[allow(clippy::cast_precision_loss)]
    let expected = column(0..2100, |row| if row < 2000 { Value::Null } else { json!(row as f64) });
    assert_eq!(table("latecol.tfrecord", &[]).values("late"), expected);
    let message = convert("latecol.tfrecord", &["--infer-records", "1000", "--dry-run"]).failure();
    assert_names(&message, &["record 2000,", "column `late`", "--infer-records all"]);
}

#[test]
fn a_growing_list_is_read_or_named() {
    let expected = column(0..2000, |row| json!((0..if row < 1500 { 1 } else { 3 }).collect::<Vec<i64>>()));
    assert_eq!(table("growing.tfrecord", &[]).values("v"), expected);
    let message = convert("growing.tfrecord", &["--infer-records", "1000", "--dry-run"]).failure();
    assert_names(&message, &["record 1500,", "column `v`", "--feature 'v:int64[]'"]);
}

#[test]
fn unpacked_lists_are_read() {
    let table = table("unpacked.tfrecord", &[]);
    assert_eq!(table.values("id"), column(0..100, |row| json!(row & 127)));
    #[allow(clippy::cast_precision_loss)]
    let floats = column(0..100, |row| json!(row as f64));
    assert_eq!(table.values("x"), floats);
}

#[test]
fn sequence_examples_are_read_whole() {
    let table = table("sequence.tfrecord", &[]);
    assert_eq!(table.values("id"), column(0..50, |row| json!(row)));
    let words = column(0..50, |row| match row % 4 {
        0 => Value::Null,
        steps => json!((0..steps).map(|t| format!("w{t}")).collect::<Vec<_>>()),
    });
    assert_eq!(table.values("words"), words);
    #[allow(clippy::cast_precision_loss)]
    let frames = column(0..50, |row| match row % 4 {
        0 => Value::Null,
        steps => json!((0..steps).map(|t| vec![t as f64, t as f64 + 0.5]).collect::<Vec<_>>()),
    });
    assert_eq!(table.values("frames"), frames);
}

#[test]
fn tensors_in_bytes_are_decoded() {
    let specs = ["t:tensor<float32>[2,3]", "bf:tensor<bfloat16>[4]", "u8:tensor<uint8>[2,2]"];
    let args: Vec<&str> = specs.iter().flat_map(|spec| ["--feature", spec]).collect();
    let table = table("tensorproto.tfrecord", &args);
    let bytes: Vec<Vec<u8>> = table
        .batches
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name("u8").unwrap().as_fixed_size_list();
            let rows: Vec<_> = column.iter().map(Option::unwrap).collect();
            rows.into_iter().map(|row| row.as_primitive::<UInt8Type>().values().to_vec())
        })
        .collect();
    assert_eq!(bytes, (0..20).map(|row| vec![row; 4]).collect::<Vec<_>>());
    #[allow(clippy::cast_precision_loss)]
    for (name, values) in [("t", 6), ("bf", 4)] {
        assert_eq!(table.values(name), column(0..20, |row| json!(vec![row as f64; values])), "{name}");
    }
}

#[test]
fn extreme_values_come_out_as_they_are() {
    let table = table("extremes.tfrecord", &[]);
    assert_eq!(table.values("id"), [json!([i64::MIN, i64::MAX, -1])]);
    assert_eq!(table.values("s"), [json!(["ff00fe", ""])]);
    assert_eq!(table.values("naïve/é"), [json!(1)]);
    let floats = &table.values("x")[0];
    assert_eq!((&floats[0], &floats[1]), (&json!("NaN"), &json!("Infinity")));
    assert!(floats[2].as_f64().unwrap().is_sign_negative());
    assert_eq!(floats[3], json!(f64::from(f32::from_bits(1))));
}

/// As `bigvalue.tfrecord` of the peers' comparison: `id` 0 and `s` of 8 MiB.
#[test]
fn a_value_of_8_mib_is_read() {
    let big = vec![b'x'; 8 << 20];
    // Messages that follow one another are merged.
    let record = [crate::common::int_example("id", 0), crate::common::example(&[("s", &big)])].concat();
    let dir = crate::common::Dir::new();
    let file = dir.path("bigvalue.tfrecord");
    std::fs::write(&file, crate::common::tfrecord(&[record])).unwrap();
    let run = tfarrow(&["convert", file.to_str().unwrap(), "-o", "-"]).success();
    let table = Table::from_stream(run.stdout);
    assert_eq!((table.values("id"), table.rows()), (vec![json!(0)], 1));
    let values = table.batches[0].column_by_name("s").unwrap().as_string::<i32>();
    assert!(values.value(0).as_bytes() == big);
}
