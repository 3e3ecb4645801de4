//! What TensorFlow wrote comes out as `tests/golden/examples/expected.json` says, column by column
//! and row by row.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::{Dir, Table, golden, json_file, tfarrow};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

#[test]
fn every_golden_dataset_has_the_expected_columns_and_rows() {
    for (name, dataset) in json_file("tests/golden/examples/expected.json").as_object().unwrap() {
        let dir = Dir::new();
        let input = golden(dataset["input"].as_str().unwrap());
        tfarrow(&["convert", &input, "-o", &dir.arg("out.arrow")]).success();
        let table = Table::open(&dir.path("out.arrow"));

        let columns = dataset["columns"].as_array().unwrap();
        let names: Vec<_> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
        assert_eq!(table.columns(), names, "{name}");
        for (index, column) in columns.iter().enumerate() {
            let field = table.schema.field(index);
            assert!(field.is_nullable(), "{name}: {field}");
            let extension = field.metadata().get("ARROW:extension:metadata").map(String::as_str);
            assert_eq!(described(field.data_type(), extension), column["type"], "{name}: {field}");

            let rows = dataset["rows"].as_array().unwrap();
            let expected: Vec<_> = rows.iter().map(|row| as_float32(&row[index])).collect();
            assert_eq!(table.values(field.name()), expected, "{name}: {}", field.name());
        }
    }
}

/// The same value with each fraction rounded to float32: serde_json may read the last digit of a
/// float64 wrong.
#[allow(clippy::cast_possible_truncation)]
fn as_float32(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(as_float32).collect(),
        Value::Number(number) if number.is_f64() => json!(f64::from(number.as_f64().unwrap() as f32)),
        other => other.clone(),
    }
}

/// A type as `expected.json` writes it. Items must be nullable and called `item`.
fn described(data_type: &DataType, extension: Option<&str>) -> Value {
    let scalar = |data_type: &DataType| match data_type {
        DataType::Int64 => "int64",
        DataType::Float32 => "float32",
        DataType::Utf8 => "utf8",
        DataType::Binary => "binary",
        other => panic!("{other} is not among the golden types"),
    };
    if let DataType::List(item) | DataType::FixedSizeList(item, _) = data_type {
        assert_eq!((item.name().as_str(), item.is_nullable()), ("item", true), "{data_type}");
    }
    match (data_type, extension) {
        (DataType::List(item), None) => json!(format!("list<{}>", scalar(item.data_type()))),
        (DataType::FixedSizeList(item, size), None) => {
            json!(format!("fixed_list<{}>[{size}]", scalar(item.data_type())))
        }
        (DataType::FixedSizeList(item, size), Some(metadata)) => {
            // No other member, and no null: pyarrow refuses the file.
            let metadata: Value = serde_json::from_str(metadata).unwrap();
            assert_eq!(metadata, json!({ "shape": [size] }));
            json!(format!("tensor<{}>[{size}]", scalar(item.data_type())))
        }
        (other, None) => json!(scalar(other)),
        (other, Some(metadata)) => panic!("{other} with extension metadata {metadata}"),
    }
}

#[test]
fn other_records_come_out_as_tensorflow_delivers_them() {
    let mut compared = 0;
    for (name, file) in json_file("tests/golden/tfrecord/expected.json").as_object().unwrap() {
        let is_sound = file["error"].is_null() && file["note"].as_str().is_none_or(is_harmless);
        // A file without records has nothing that a schema could be made of; see cli.rs.
        if !is_sound || file["n_records_before_error_or_end"] == 0 {
            continue;
        }
        let dir = Dir::new();
        let input = format!("tests/golden/tfrecord/{name}");
        tfarrow(&["convert", &input, "--record", "raw", "-o", &dir.arg("out.arrow")]).success();
        let table = Table::open(&dir.path("out.arrow"));
        assert_eq!(table.columns(), ["record"], "{name}");
        assert_eq!(Value::Array(table.values("record")), file["records"], "{name}");
        compared += 1;
    }
    assert!(compared >= 5, "only {compared} files");
}

/// Whether a file that TensorFlow reads without an error is sound in our eyes too.
fn is_harmless(note: &str) -> bool {
    note.contains("member") || note.contains("FNAME")
}
