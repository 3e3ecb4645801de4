//! Folders that TFDS prepared come out as TFDS itself reads them.

#![cfg(all(feature = "cli", feature = "array-record"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::path::Path;

use crate::common::{Dir, Table, assert_names, json_file, repo, tfarrow};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Field, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use serde_json::{Map, Value, json};

const WIDE: [&str; 3] = ["wide_tfrecord", "wide_array_record", "wide_parquet"];

fn folder(name: &str) -> String {
    repo("tests/golden/tfds").join(name).to_str().unwrap().to_owned()
}

fn expected() -> Value {
    json_file("tests/golden/tfds/expected.json")
}

fn convert(name: &str, args: &[&str]) -> Table {
    let dir = Dir::new();
    let (folder, out) = (folder(name), dir.arg("out.arrow"));
    tfarrow(&[&["convert", &folder, "-o", &out], args].concat()).success();
    Table::open(&dir.path("out.arrow"))
}

/// The values of a column as JSON: tensors as lists of lists, bytes and text as hex.
fn rows(table: &Table, column: &str) -> Vec<Value> {
    let (index, field) = table.schema.column_with_name(column).unwrap();
    let arrays = table.batches.iter().map(|batch| batch.column(index));
    arrays.flat_map(|array| (0..array.len()).map(|row| value(field, array, row))).collect()
}

fn hex(bytes: &[u8]) -> Value {
    json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn float(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}

fn value(field: &Field, array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |item: &Field, list: ArrayRef| -> Vec<Value> {
        (0..list.len()).map(|i| value(item, &list, i)).collect()
    };
    macro_rules! int {
        ($ty:ty) => {
            json!(array.as_primitive::<$ty>().value(row))
        };
    }
    let extension = field.metadata().get("ARROW:extension:metadata").map(String::as_str);
    match field.data_type() {
        DataType::Int8 => int!(Int8Type),
        DataType::Int16 => int!(Int16Type),
        DataType::Int32 => int!(Int32Type),
        DataType::Int64 => int!(Int64Type),
        DataType::UInt8 => int!(UInt8Type),
        DataType::UInt16 => int!(UInt16Type),
        DataType::UInt32 => int!(UInt32Type),
        DataType::UInt64 => int!(UInt64Type),
        DataType::Float16 => float(array.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Utf8 => hex(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::List(item) => json!(items(item, array.as_list::<i32>().value(row))),
        DataType::FixedSizeList(item, _) => {
            let items = items(item, array.as_fixed_size_list().value(row));
            match extension {
                None => json!(items),
                Some(parameters) => {
                    let parameters: Value = serde_json::from_str(parameters).unwrap();
                    nest(items, &sizes(&parameters["shape"]))
                }
            }
        }
        DataType::Struct(fields) if extension.is_some() => {
            let parts = array.as_struct();
            let data = value(&fields[0], parts.column(0), row);
            let shape = value(&fields[1], parts.column(1), row);
            nest(data.as_array().unwrap().clone(), &sizes(&shape))
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct();
            let parts = fields.iter().zip(parts.columns());
            json!(parts.map(|(f, part)| (f.name().clone(), value(f, part, row))).collect::<Map<_, _>>())
        }
        DataType::Dictionary(_, _) => {
            let array = array.as_dictionary::<Int32Type>();
            let key = array.keys().value(row) as usize;
            json!(array.values().as_string::<i32>().value(key))
        }
        other => panic!("{other}"),
    }
}

fn sizes(shape: &Value) -> Vec<usize> {
    shape.as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

/// Flat values as lists of lists of the sizes `shape`.
fn nest(items: Vec<Value>, shape: &[usize]) -> Value {
    match shape {
        [] => items.into_iter().next().unwrap(),
        [_] => json!(items),
        [outer, inner @ ..] => {
            let each = items.len().checked_div(*outer).unwrap_or(0);
            let part = |i: usize| nest(items[i * each..(i + 1) * each].to_vec(), inner);
            json!((0..*outer).map(part).collect::<Vec<_>>())
        }
    }
}

/// What `expected.json` says, in the same form.
fn plain(expected: &Value) -> Value {
    match expected["kind"].as_str() {
        Some("tensor") => {
            let shape = sizes(&expected["shape"]);
            let flat = flat(expected);
            if shape.contains(&0) && shape.len() > 1 {
                return nest(flat, &shape[..=shape.iter().position(|n| *n == 0).unwrap()]);
            }
            nest(flat, &shape)
        }
        Some("ragged") => {
            let mut items = match plain(&expected["flat_values"]) {
                Value::Array(items) => items,
                other => panic!("{other}"),
            };
            for splits in expected["nested_row_splits"].as_array().unwrap().iter().rev() {
                let splits = sizes(splits);
                items = splits.windows(2).map(|pair| json!(items[pair[0]..pair[1]])).collect();
            }
            json!(items)
        }
        Some("dataset") => expected["elements"].as_array().unwrap().iter().map(plain).collect(),
        _ => {
            let parts = expected.as_object().unwrap().iter();
            json!(parts.map(|(name, part)| (name.clone(), plain(part))).collect::<Map<_, _>>())
        }
    }
}

fn flat(tensor: &Value) -> Vec<Value> {
    if let Some(values) = tensor["values_hex"].as_array() {
        return values.clone();
    }
    let text = tensor["hex"].as_str().unwrap();
    let bytes: Vec<u8> =
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect();
    macro_rules! numbers {
        ($ty:ty) => {
            bytes
                .chunks(size_of::<$ty>())
                .map(|b| json!(<$ty>::from_le_bytes(b.try_into().unwrap())))
                .collect()
        };
    }
    match tensor["dtype"].as_str().unwrap() {
        "bool" => bytes.iter().map(|b| json!(*b == 1)).collect(),
        "int8" => numbers!(i8),
        "int16" => numbers!(i16),
        "int32" => numbers!(i32),
        "int64" => numbers!(i64),
        "uint8" => numbers!(u8),
        "uint16" => numbers!(u16),
        "uint32" => numbers!(u32),
        "uint64" => numbers!(u64),
        "float16" => {
            bytes.chunks(2).map(|b| float(half::f16::from_le_bytes([b[0], b[1]]).to_f64())).collect()
        }
        "float32" => {
            let float32 = |b: &[u8]| float(f32::from_le_bytes(b.try_into().unwrap()).into());
            bytes.chunks(4).map(float32).collect()
        }
        "float64" => bytes.chunks(8).map(|b| float(f64::from_le_bytes(b.try_into().unwrap()))).collect(),
        other => panic!("{other}"),
    }
}

/// The feature at `path` of an element that TFDS gave.
fn feature(element: &Value, path: &str) -> Value {
    if let Some(found) = element.get(path) {
        return plain(found);
    }
    for (at, _) in path.match_indices('/') {
        if let Some(inner) = element.get(&path[..at]) {
            return feature(inner, &path[at + 1..]);
        }
    }
    panic!("no `{path}`")
}

/// TFDS gives a sequence of dicts as a dict of sequences, and the elements of a dataset of
/// scalars as they are.
fn like(found: &Value, expected: Value) -> Value {
    match (found.as_array(), expected) {
        (Some(_), Value::Object(parts)) => {
            let len = parts.values().next().unwrap().as_array().unwrap().len();
            let item =
                |i: usize| parts.iter().map(|(name, items)| (name.clone(), items[i].clone())).collect();
            (0..len).map(|i| Value::Object(item(i))).collect()
        }
        (Some(items), Value::Array(expected)) if items.iter().any(|item| item.get("value").is_some()) => {
            expected.into_iter().map(|item| json!({"value": item})).collect()
        }
        (_, expected) => expected,
    }
}

/// Compares every column with what TFDS decoded.
fn compare(table: &Table, elements: &[Value], name: &str) {
    assert_eq!(table.rows(), elements.len(), "{name}");
    for column in table.columns() {
        let found = rows(table, column);
        for (row, (found, element)) in found.iter().zip(elements).enumerate() {
            let expected = feature(element, column);
            if column.starts_with("opt_") && row % 2 == 1 {
                assert_eq!(found, &Value::Null, "{name} {column} {row}: TFDS gives {expected}");
                continue;
            }
            let expected = like(found, expected);
            assert_eq!(found, &expected, "{name} {column} {row}");
        }
    }
}

#[test]
fn every_feature_is_what_tfds_decodes() {
    let expected = expected();
    for name in WIDE {
        for split in ["train", "test"] {
            // TFDS has no tf.data reader for ArrayRecord; the examples are the same.
            let elements = expected["wide_tfrecord"]["splits"][split]["decoded"].as_array().unwrap();
            let table = convert(name, &["--split", split, "--decode-images"]);
            assert!(table.columns().len() > 60);
            compare(&table, elements, &format!("{name} {split}"));
        }
    }
}

#[test]
fn configs_older_spellings_and_other_splits() {
    let expected = expected();
    for (name, split) in [("mini_one", "train"), ("mini_one", "validation"), ("mini_two", "train")] {
        let elements = expected[name]["splits"][split]["decoded"].as_array().unwrap();
        compare(&convert(name, &["--split", split]), elements, name);
    }
    let elements = expected["legacy_json"]["decoded_train"].as_array().unwrap();
    compare(&convert("legacy_json", &["--split", "train"]), elements, "legacy_json");
}

/// Copies a folder with everything in it.
fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if from.is_dir() { copy_all(&from, &to) } else { assert!(std::fs::copy(&from, &to).is_ok()) }
    }
}

#[test]
fn a_folder_of_versions_is_read_at_the_newest_which_is_told() {
    let dir = Dir::new();
    let golden = repo("tests/golden/tfds");
    // Of the older version nothing but the description is there.
    for version in ["0.9.2", "0.10.1"] {
        copy_all(&golden.join("mini_one/mini/one/0.0.1"), &dir.path(&format!("mini/one/{version}")));
    }
    for shard in ["mini-train.tfrecord-00000-of-00001", "mini-validation.tfrecord-00000-of-00001"] {
        std::fs::remove_file(dir.path(&format!("mini/one/0.9.2/{shard}"))).unwrap();
    }
    let newest =
        json_file("tests/golden/tfds/expected.json")["mini_one"]["splits"]["train"]["decoded"].clone();
    for (named, chosen) in [("mini/one", "read 0.10.1 of"), ("mini", "read one/0.10.1 of")] {
        for output in ["out.arrow", "parts.arrow/"] {
            let (input, output) = (dir.arg(named), dir.arg(output));
            let args = ["convert", &input, "-o", &output, "--split", "train", "--overwrite"];
            let told = tfarrow(&args).success().stderr;
            assert_names(&told, &[&format!("{chosen} {input}"), "7 rows"]);
        }
        let table = Table::open(&dir.path("out.arrow"));
        compare(&table, newest.as_array().unwrap(), named);
    }
    // Nothing is told where nothing was to be chosen.
    let run = tfarrow(&["convert", &dir.arg("mini/one/0.10.1"), "--split", "train", "--dry-run"]).success();
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    // Two configs, and then one of them the default.
    copy_all(&golden.join("mini_two/mini/two"), &dir.path("mini/two"));
    let schema = || tfarrow(&["schema", &dir.arg("mini")]);
    assert_names(&schema().failure(), &["several configs", "one of them: one, two"]);
    std::fs::create_dir(dir.path("mini/.config")).unwrap();
    let default = r#"{"default_config_name": "two"}"#;
    std::fs::write(dir.path("mini/.config/metadata.json"), default).unwrap();
    assert_names(schema().success().text(), &["TFDS dataset mini/two/"]);
}

#[test]
fn what_tfds_cannot_read_back_is_read() {
    let expected = expected();
    let written = &expected["quirk"]["written_values"];
    let table = convert("quirk", &[]);
    for column in ["in2", "out2", "both2"] {
        assert_eq!(rows(&table, column), [written[column].clone()], "{column}");
    }
    let steps = &rows(&table, "ds")[0];
    let steps: Vec<_> = steps.as_array().unwrap().iter().map(|step| step["a"].clone()).collect();
    assert_eq!(json!(steps), written["ds_a"]);
    assert_eq!(rows(&table, "c64"), [json!([[1.0, 2.0], [3.0, 0.0]])]);
}

#[test]
fn encoded_images_are_kept_unless_asked_for() {
    let table = convert("wide_tfrecord", &["--split", "test"]);
    for (column, magic) in [("img_png", "89504e47"), ("img_jpeg", "ffd8"), ("limg", "89504e47")] {
        let rows = rows(&table, column);
        assert!(rows.iter().all(|row| row.as_str().unwrap().starts_with(magic)), "{column}");
    }
}

#[test]
fn labels_have_names() {
    let table = convert("wide_tfrecord", &["--split", "train"]);
    let field = table.schema.field_with_name("label").unwrap();
    assert_eq!(field.metadata()["tfds.class_names"], r#"["cat","dog","b c"]"#);
    assert_eq!(rows(&table, "label"), [0, 1, 2, 0, 1].map(|n| json!(n)));

    let table = convert("wide_tfrecord", &["--split", "train", "--class-names"]);
    assert_eq!(rows(&table, "label"), ["cat", "dog", "b c", "cat", "dog"].map(|n| json!(n)));
    assert_eq!(rows(&table, "seq_label")[0], json!(["x", "y"]));
    assert_eq!(table.schema.field_with_name("label_n").unwrap().data_type(), &DataType::Int64);
}

#[test]
fn splits_and_slices() {
    let ids = |name: &str, args: &[&str]| rows(&convert(name, args), "s_uint64").len();
    for (split, count) in
        [("train[:2]", 2), ("train[40%:]", 3), ("train+test", 7), ("all", 7), ("train[1shard]", 3)]
    {
        for name in WIDE {
            assert_eq!(ids(name, &["--split", split]), count, "{name} {split}");
            let run = tfarrow(&["count", &folder(name), "--split", split, "--check"]).success();
            assert_eq!(run.text(), format!("{count}\n"), "{name} {split}");
        }
    }
    let whole = rows(&convert("wide_tfrecord", &["--split", "train"]), "text");
    for name in WIDE {
        let part = rows(&convert(name, &["--split", "train[1:4]", "--skip", "1"]), "text");
        assert_eq!(part, whole[2..4], "{name}");
    }
    let error = tfarrow(&["convert", &folder("wide_tfrecord"), "--dry-run", "--split", "trian"]).failure();
    assert_names(&error, &["no split `trian`", "train (5 examples), test (2 examples)"]);
    let error = tfarrow(&["head", &folder("wide_tfrecord")]).failure();
    assert_names(&error, &["several splits", "--split", "train (5 examples)"]);
    tfarrow(&["schema", &folder("wide_tfrecord")]).success();
}

#[test]
fn steps_become_rows() {
    let episodes = convert("wide_tfrecord", &["--split", "train", "--columns", "s_uint64,ds"]);
    let args = ["--split", "train", "--columns", "s_uint64,ds", "--explode", "ds"];
    let table = convert("wide_tfrecord", &args);
    assert_eq!(table.columns(), ["s_uint64", "ds/obs", "ds/r", "episode_index", "step_index"]);
    let mut expected = Vec::new();
    for (episode, steps) in rows(&episodes, "ds").iter().enumerate() {
        for (index, step) in steps.as_array().unwrap().iter().enumerate() {
            expected.push(json!([u64::MAX - episode as u64, step["obs"], step["r"], episode, index]));
        }
    }
    let columns: Vec<_> = table.columns().iter().map(|column| rows(&table, column)).collect();
    let found: Vec<Value> =
        (0..table.rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    assert_eq!(found, expected);
    let obs = table.schema.field_with_name("ds/obs").unwrap();
    assert_eq!(obs.metadata()["ARROW:extension:name"], "arrow.fixed_shape_tensor");

    for (name, args) in [
        ("wide_array_record", &["--skip", "3", "--take", "4", "--batch-rows", "2", "--threads", "2"][..]),
        ("wide_parquet", &["--skip", "3", "--take", "4", "--threads", "1"]),
    ] {
        let table = convert(name, &[args, &["--split", "train", "--explode", "ds"]].concat());
        let steps: Vec<_> =
            rows(&table, "step_index").into_iter().zip(rows(&table, "episode_index")).collect();
        let wanted = expected[3..7].iter().map(|row| (row[4].clone(), row[3].clone()));
        assert_eq!(steps, wanted.collect::<Vec<_>>(), "{name}");
    }
    let error = tfarrow(&["head", &folder("quirk"), "--explode", "steps"]).failure();
    assert_names(&error, &["no sequence `steps`", "ds"]);
}

#[test]
fn steps_are_selected_after_they_were_cast() {
    let args = ["--split", "train", "--explode", "ds", "--skip", "3", "--take", "4", "--columns", "ds/r"];
    let table = convert("wide_tfrecord", &[&args[..], &["--cast", "ds/r=int32"]].concat());
    assert_eq!(table.schema.field_with_name("ds/r").unwrap().data_type(), &DataType::Int32);
    for column in ["episode_index", "step_index"] {
        assert_eq!(rows(&table, column), rows(&convert("wide_tfrecord", &args), column), "{column}");
    }
}

#[test]
fn parts_of_steps_can_be_left_out() {
    let table = convert("wide_tfrecord", &["--split", "train", "--columns", "ds/r,seq_dict/b"]);
    assert_eq!(table.columns(), ["ds", "seq_dict"]);
    assert_eq!(rows(&table, "ds")[2], json!([{"r": 0}, {"r": 1}]));
    let error = tfarrow(&["head", &folder("quirk"), "--columns", "ds/b"]).failure();
    assert_names(&error, &["no column `ds/b`", "did you mean `ds/a`?"]);
}

#[test]
fn a_folder_that_does_not_hold_what_it_says_is_an_error() {
    let dir = Dir::new();
    let source = repo("tests/golden/tfds/mini_one/mini/one/0.0.1");
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path(entry.file_name().to_str().unwrap())).unwrap();
    }
    let folder = dir.arg("");
    let change = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(dir.path(file)).unwrap();
        assert!(text.contains(from), "{file}");
        std::fs::write(dir.path(file), text.replace(from, to)).unwrap();
    };
    let run =
        |args: &[&str]| tfarrow(&[&["convert", &folder, "--split", "train", "--dry-run"], args].concat());
    run(&[]).success();
    for (claimed, what) in [("\"8\"", "fewer records"), ("\"6\"", "more records")] {
        change("dataset_info.json", "\"7\"", claimed);
        assert_names(&run(&[]).failure(), &[what, "mini-train.tfrecord-00000-of-00001", "--lenient"]);
        assert_names(&run(&["--lenient"]).success().stderr, &["7 rows"]);
        change("dataset_info.json", claimed, "\"7\"");
    }
    change("features.json", "text_feature.Text", "my.lab.Words");
    assert_names(&run(&[]).failure(), &["unknown class", "my.lab.Words", "cfg", "--lenient"]);
    // It is what it was encoded as, and its values are.
    let lenient = ["convert", &folder, "--split", "train", "--lenient", "--columns", "cfg", "-o", "-"];
    let table = Table::from_stream(tfarrow(&lenient).success().stdout);
    assert_eq!(table.schema.field_with_name("cfg").unwrap().data_type(), &DataType::Utf8);
    assert_eq!(rows(&table, "cfg"), vec![hex(b"one"); 7]);
    change("features.json", "my.lab.Words", "text_feature.Text");
    change("features.json", "\"int32\"", "\"string\"");
    assert_names(&run(&[]).failure(), &["wrong kind", "bounded", "record 0", "features.json"]);
    std::fs::remove_file(dir.path("features.json")).unwrap();
    assert_names(&run(&[]).failure(), &["without features.json"]);
}

/// A copy of a golden folder.
fn copied(dir: &Dir, name: &str) -> String {
    for entry in std::fs::read_dir(Path::new(&folder(name)).join(format!("{}/1.2.3", &name[..4]))).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path(entry.file_name().to_str().unwrap())).unwrap();
    }
    dir.arg("")
}

#[test]
fn damaged_examples_are_passed_over_and_listed() {
    const SHARD: &str = "wide-train.tfrecord-00000-of-00002";
    let whole = rows(&convert("wide_tfrecord", &["--split", "train"]), "s_uint64");
    // A bit of the second record's data, then one of its length.
    for (in_frame, fault) in [(40, 12), (2, 0)] {
        let dir = Dir::new();
        let input = copied(&dir, "wide_tfrecord");
        let mut bytes = std::fs::read(dir.path(SHARD)).unwrap();
        let second = 16 + usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
        bytes[second + in_frame] ^= 1;
        std::fs::write(dir.path(SHARD), bytes).unwrap();
        let (byte, out) = (format!("byte {}", second + fault), dir.arg("out.arrow"));
        let place = [SHARD, "record 1", &byte];

        let args = ["convert", &input, "--split", "train", "-o", &out];
        assert_names(&tfarrow(&args).failure(), &place);
        let skipping = [&args[..], &["--on-error", "skip", "--threads", "2"]].concat();
        let run = tfarrow(&skipping);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert_names(&run.stderr, &[&place[..], &["4 rows", "1 records skipped"]].concat());
        let left = rows(&Table::open(&dir.path("out.arrow")), "s_uint64");
        assert_eq!(left, [&whole[..1], &whole[2..]].concat());
        let exploded = [&args[..], &["--on-error", "skip", "--overwrite", "--explode", "ds"]].concat();
        assert_eq!(tfarrow(&exploded).code, Some(1));
        // Episodes keep their numbers where it is known how many were lost.
        let episodes = rows(&Table::open(&dir.path("out.arrow")), "episode_index");
        assert!(!episodes.contains(&json!(1)), "{episodes:?}");

        let verified = tfarrow(&["verify", &input, "--json"]);
        assert_eq!(verified.code, Some(1), "{}", verified.stderr);
        assert_names(verified.text(), &[SHARD, "\"record\": 1", &format!("\"byte\": {}", second + fault)]);
    }
    assert_eq!(tfarrow(&["verify", &folder("wide_tfrecord")]).code, Some(0));
}

#[test]
fn datasets_of_random_features_that_tfds_prepares() {
    let Some(python) = crate::common::python() else { return };
    let dir = Dir::new();
    crate::common::run_python(python, "tfds_random.py", &["prepare", &dir.arg("")]);
    let folders = dir.names().into_iter().filter(|name| !name.contains('.'));
    let folders: Vec<_> = folders.collect();
    assert!(folders.len() >= 12, "{folders:?}");
    for folder in folders {
        let (input, out) = (dir.arg(&folder), dir.arg(&format!("{folder}.arrow")));
        let args = ["convert", &input, "-o", &out, "--decode-images", "--tensor-layout", "nested"];
        tfarrow(&args).success();
    }
    let python = crate::common::python().unwrap();
    crate::common::run_python(python, "tfds_random.py", &["check", &dir.arg("")]);
}
