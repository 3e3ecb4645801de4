//! Features that differ from record to record, or are stored in odd ways, against what TensorFlow reads
//! of them (`tests/golden/mixed`).

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

use std::fs;

use crate::common::{Dir, Run, Table, assert_names, golden, int_example, json_file, repo, tfarrow, tfrecord};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int8Type, Int32Type, UInt8Type, UInt64Type};
use serde_json::{Value, json};

const KINDS: &str = "tests/golden/mixed/kinds.tfrecord";

fn expected(name: &str) -> Value {
    json_file("tests/golden/mixed/expected.json")[name].clone()
}

fn convert(args: &[&str]) -> Run {
    tfarrow(&[&["convert", "-o", "-"], args].concat())
}

/// What is said where a conversion fails.
#[track_caller]
fn refused(args: &[&str]) -> String {
    tfarrow(&[&["convert", "--dry-run"], args].concat()).failure()
}

/// Converts with losses, of which standard error tells.
#[track_caller]
fn lossy(args: &[&str], told: &[&str]) -> Table {
    let run = convert(args);
    assert_eq!(run.code, Some(1), "{args:?}: {}", run.stderr);
    assert_names(&run.stderr, told);
    Table::from_stream(run.stdout)
}

/// The records of a file, one file's bytes each.
fn frames(file: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(repo(file)).unwrap();
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        frames.push(bytes[at..at + 16 + length].to_vec());
        at += 16 + length;
    }
    frames
}

#[test]
fn a_value_of_another_kind_is_null_and_the_rest_of_its_row_stays() {
    let similarity = expected("kinds");
    let rows = similarity.as_array().unwrap().len();
    let titles: Vec<Value> = (0..rows).map(|n| json!(format!("title {n}"))).collect();
    let years: Vec<Value> = (0..rows).map(|n| json!(2000 + n)).collect();
    for extra in [&[][..], &["--threads", "2", "--batch-rows", "3"], &["--infer-records", "1"]] {
        let told = ["nulled: feature of the wrong kind: expected float, found bytes", "; 4 values nulled"];
        let table = lossy(&[&[KINDS, "--on-error", "null-value"], extra].concat(), &told);
        assert_eq!(Value::Array(table.values("similarity")), similarity);
        assert_eq!(table.values("title"), titles);
        assert_eq!(table.values("year"), years);
    }
    // The kind of most records counts, not that of the first one.
    let dir = Dir::new();
    let mut frames = frames(KINDS);
    frames.swap(0, 1);
    fs::write(dir.path("swapped.tfrecord"), frames.concat()).unwrap();
    let table = lossy(&[&dir.arg("swapped.tfrecord"), "--on-error", "null-value"], &["; 4 values nulled"]);
    let mut swapped = similarity.as_array().unwrap().clone();
    swapped.swap(0, 1);
    assert_eq!(table.values("similarity"), swapped);
    let table =
        lossy(&[KINDS, "--on-error", "null-value", "--feature", "similarity:string?"], &["16 values"]);
    assert_eq!(table.values("similarity")[..2], [Value::Null, json!("")]);
}

#[test]
fn lost_values_are_told_of_wherever_losses_are() {
    let dir = Dir::new();
    let lost: Vec<usize> = (0..20).filter(|n| n % 5 == 1).collect();
    let report = dir.arg("lost.jsonl");
    lossy(&[KINDS, "--on-error", "null-value", "--report", &report], &["similarity"]);
    let lines = fs::read_to_string(&report).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|l| l["record"].as_u64().unwrap() as usize).collect::<Vec<_>>(), lost);
    assert!(lines.iter().all(|line| line["column"] == "similarity" && line["kind"] == "mismatch"));
    let folder = dir.arg("parts/");
    for resume in [&["--overwrite"][..], &["--resume"]] {
        let run = tfarrow(&[&["convert", KINDS, "-o", &folder, "--on-error", "null-value"], resume].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_names(&run.stderr, &["; 4 values nulled"]);
    }
    let manifest: Value =
        serde_json::from_slice(&fs::read(dir.path("parts/_manifest.json")).unwrap()).unwrap();
    assert_eq!((&manifest["nulled_values"], &manifest["nulled"]), (&json!(4), &json!(0)));
    let run = tfarrow(&["head", KINDS, "--on-error", "null-value"]);
    assert_eq!(run.code, Some(1));
}

/// Whatever an error advises is followed, until there is no error: it may not lead back.
#[test]
fn hints_do_not_lead_in_a_circle() {
    for start in [&[][..], &["--infer-records", "1"], &["--feature", "similarity:float32"]] {
        let message = refused(&[&[KINDS], start].concat());
        assert_names(&message, &["--on-error null-value", "--exclude similarity", "column `similarity`"]);
        assert!(!message.contains("--feature"), "{message}");
    }
    // Where the type is just wrong, the hint is the right type.
    let message = refused(&[KINDS, "--feature", "year:float32", "--exclude", "similarity"]);
    assert_names(&message, &["--feature 'year:int64'"]);
    convert(&[KINDS, "--feature", "year:int64", "--exclude", "similarity"]).success();
}

#[test]
fn every_value_that_does_not_fit_is_null_on_its_own() {
    let dir = Dir::new();
    for file in ["kind_changes", "count_changes", "text_changes", "length_changes"] {
        let file = golden(&format!("{file}.tfrecord"));
        let sound =
            Table::from_stream(convert(&[&file, "--take", "2", "--infer-records", "2"]).success().stdout);
        let args = ["--infer-records", "2", "--on-error", "null-value"];
        let table = lossy(&[&[file.as_str()], &args[..]].concat(), &["record 2", "; 1 values nulled"]);
        assert_eq!(table.columns(), sound.columns(), "{file}");
        let mut nulls = 0;
        for name in sound.columns() {
            let values = table.values(name);
            assert_eq!(values[..2], sound.values(name)[..], "{file}: {name}");
            nulls += usize::from(values[2].is_null());
        }
        assert!(nulls >= 1, "{file}");
    }
    // A required feature that is missing, one that no column is for, and what is no Example at all.
    let records = [int_example("a", 1), int_example("b", 2), vec![0x38, 1], int_example("a", 300)];
    fs::write(dir.path("x.tfrecord"), tfrecord(&records)).unwrap();
    let args = ["--infer-records", "1", "--on-error", "null-value", "--feature", "a:int8"];
    let told = [
        "feature that was in no record read for the schema",
        "feature is missing",
        "record is not a tf.train.Example",
        "value out of range: expected int8, found 300",
        "; 1 records nulled; 3 values nulled",
    ];
    let table = lossy(&[&[dir.arg("x.tfrecord").as_str()], &args[..]].concat(), &told);
    let column = table.batches[0].column_by_name("a").unwrap();
    let values: Vec<_> = column.as_primitive::<Int8Type>().iter().collect();
    assert_eq!(values, [Some(1), None, None, None]);
}

#[test]
fn raw_bytes_may_stand_in_several_values() {
    let expected = expected("bytes_one_by_one");
    let file = "tests/golden/mixed/bytes_one_by_one.tfrecord";
    let check = |types: [&str; 2]| {
        let args: Vec<String> =
            ["pixels", "rows"].iter().zip(types).map(|(name, ty)| format!("{name}:{ty}")).collect();
        let run = convert(&[file, "--feature", &args[0], "--feature", &args[1]]).success();
        let table = Table::from_stream(run.stdout);
        let flat: Vec<Value> = flatten(&expected);
        for name in ["pixels", "rows"] {
            let column = table.batches[0].column_by_name(name).unwrap();
            let values = match column.data_type() {
                DataType::FixedSizeList(..) => column.as_fixed_size_list().values().clone(),
                _ => column.as_struct().column(0).as_list::<i32>().values().clone(),
            };
            let values: Vec<Value> =
                values.as_primitive::<UInt8Type>().values().iter().map(|v| json!(v)).collect();
            assert_eq!(values, flat, "{name}");
        }
    };
    check(["raw<uint8>[3,5,3]", "raw<uint8>[3,5,3]"]);
    check(["raw<uint8>[?,5,3]", "raw<uint8>[3,?,3]"]);
    let message = refused(&[file, "--feature", "pixels:raw<uint8>[3,5,4]"]);
    assert_names(&message, &["expected 60 bytes, found 45 bytes"]);
    let message = refused(&[file, "--feature", "pixels:tensor<uint8>[3,5,3]"]);
    assert_names(&message, &["expected exactly 1", "found 45"]);
}

fn flatten(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(flatten).collect(),
        other => vec![other.clone()],
    }
}

#[test]
fn what_tfx_writes_of_a_csv_file_fits_the_schema_that_tfx_makes_of_it() {
    let dir = Dir::new();
    let (file, schema) = ("tests/golden/mixed/csv.tfrecord", "tests/golden/mixed/csv.pbtxt");
    let table = Table::from_stream(convert(&[file, "--features", schema]).success().stdout);
    for (name, values) in expected("csv").as_object().unwrap() {
        assert_eq!(&Value::Array(table.values(name)), values, "{name}");
    }
    // A record that has not even the key is another matter, unless nothing need be there.
    let records = [frames(file).concat(), tfrecord(&[int_example("count", 4)])].concat();
    fs::write(dir.path("x.tfrecord"), records).unwrap();
    let input = dir.arg("x.tfrecord");
    let message = refused(&[&input, "--features", schema]);
    assert_names(&message, &["record 3", "feature is missing", "--feature '*?'"]);
    let args = [&input, "--features", schema, "--feature", "*?"];
    let table = Table::from_stream(convert(&args).success().stdout);
    assert_eq!(table.values("count"), [json!(1), Value::Null, json!(3), json!(4)]);
    assert_eq!(table.values("price")[3], Value::Null);
    // The short form, and for lists.
    let run = convert(&[file, "--feature", "count:int64?key", "--feature", "price:float32[]?key"]).success();
    let table = Table::from_stream(run.stdout);
    assert_eq!(table.values("count"), [json!(1), Value::Null, json!(3)]);
    assert_eq!(table.values("price"), [json!([1.5]), json!([2.5]), Value::Null]);
    let message = refused(&[&input, "--feature", "price:float32[]?key"]);
    assert_names(&message, &["record 3", "column `price`"]);
}

#[test]
fn bytes_that_hold_nul_are_no_text() {
    let file = "tests/golden/mixed/nul.tfrecord";
    let table = Table::from_stream(convert(&[file]).success().stdout);
    let field = |table: &Table, name: &str| table.schema.field_with_name(name).unwrap().data_type().clone();
    assert_eq!((field(&table, "raw"), field(&table, "text")), (DataType::Binary, DataType::Utf8));
    // Whoever says that they are text has them as text.
    for utf8 in ["raw", "all"] {
        let table = Table::from_stream(convert(&[file, "--utf8", utf8]).success().stdout);
        assert_eq!((field(&table, "raw"), field(&table, "text")), (DataType::Utf8, DataType::Utf8));
    }
    let run = convert(&[file, "--feature", "raw:raw<int32>[2]"]).success();
    let table = Table::from_stream(run.stdout);
    let raw = table.batches[0].column_by_name("raw").unwrap();
    let values = raw.as_fixed_size_list().values().as_primitive::<Int32Type>().values().to_vec();
    assert_eq!(json!(values), Value::Array(flatten(&expected("nul"))));
    // Of a save, where strings are bytes unless something else is said; numbers are no text.
    let save = "tests/golden/saved/optional_some/data";
    let types = |args: &[&str]| {
        let table = Table::from_stream(convert(&[&[save], args].concat()).success().stdout);
        table.schema.fields().iter().map(|f| f.data_type().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(types(&["--utf8", "all"]), types(&[]).replace("Binary", "Utf8"));
}

#[test]
fn a_negative_int64_is_no_uint64_by_feature_or_by_cast() {
    let dir = Dir::new();
    let records = [int_example("h", 7), int_example("h", (-7i64).cast_unsigned())];
    fs::write(dir.path("x.tfrecord"), tfrecord(&records)).unwrap();
    let input = dir.arg("x.tfrecord");
    for args in [["--feature", "h:uint64"], ["--cast", "h=uint64"]] {
        let message = refused(&[&[input.as_str()], &args[..]].concat());
        assert_names(&message.to_lowercase(), &["expected uint64, found -7", "column `h`"]);
    }
    for option in [["--feature", "h:uint64"], ["--cast", "h=uint64"]] {
        let args = [&[input.as_str()], &option[..], &["--on-error", "null-value"]].concat();
        let table = lossy(&args, &["column `h`", "; 1 values nulled"]);
        let column = table.batches[0].column_by_name("h").unwrap();
        assert_eq!(column.as_primitive::<UInt64Type>().iter().collect::<Vec<_>>(), [Some(7), None]);
    }
}

#[test]
fn a_save_without_its_spec_is_read_by_its_tensors() {
    let dir = Dir::new();
    for name in
        ["tuple1", "strings_vec", "dtypes_2x4", "sparse_unbatched", "ragged_r1_unbatched", "shards3_gzip"]
    {
        let from = repo(&format!("tests/golden/saved/{name}/data"));
        let to = dir.path(name);
        copy(&from, &to);
        fs::remove_file(to.join("dataset_spec.pb")).unwrap();
        let whole = Table::from_stream(convert(&[from.to_str().unwrap()]).success().stdout);
        let path = dir.arg(name);
        let run = convert(&[&path]).success();
        assert_names(&run.stderr, &["`dataset_spec.pb` is missing"]);
        let table = Table::from_stream(run.stdout);
        assert_eq!(table.columns().len(), whole.columns().len(), "{name}");
        for (index, column) in whole.columns().iter().enumerate() {
            let learnt = table.columns()[index].to_owned();
            for (learnt, whole) in
                table.batches.iter().zip(&whole.batches).map(|(a, b)| (a.column(index), b.column(index)))
            {
                assert_eq!(learnt.len(), whole.len(), "{name}: {column}");
                assert!(values_of(learnt) == values_of(whole), "{name}: {column} as {learnt:?}");
            }
            assert!(learnt == "value" || learnt.parse::<usize>() == Ok(index), "{learnt}");
        }
        for command in ["schema", "head"] {
            assert_names(&tfarrow(&[command, &path]).success().stderr, &["`dataset_spec.pb` is missing"]);
        }
        tfarrow(&["verify", &path]).success();
    }
}

/// The values at the bottom of a column, whatever stands around them.
fn values_of(array: &dyn Array) -> arrow::array::ArrayData {
    match array.data_type() {
        DataType::List(_) => values_of(array.as_list::<i32>().values()),
        DataType::FixedSizeList(..) => values_of(array.as_fixed_size_list().values()),
        DataType::Struct(_) => values_of(array.as_struct().columns().last().unwrap()),
        _ => array.to_data(),
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => assert!(fs::copy(entry.path(), &to).is_ok()),
        }
    }
}
