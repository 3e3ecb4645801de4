//! Feature specs, tensors and images hidden in bytes, SequenceExamples, and the options that shape
//! columns, from outside.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::fs;

use crate::common::{Dir, Table, assert_names, json_file, repo, tfarrow};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use serde_json::{Value, json};

fn features(name: &str) -> String {
    repo("tests/golden/features").join(name).to_str().unwrap().to_owned()
}

#[track_caller]
fn converted(args: &[&str]) -> Table {
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    tfarrow(&[&["convert", "-o", &output], args].concat()).success();
    Table::open(&dir.path("out.arrow"))
}

#[track_caller]
fn refused(args: &[&str]) -> String {
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    let message = tfarrow(&[&["convert", "-o", &output], args].concat()).failure();
    assert_eq!(dir.names(), [""; 0]);
    message
}

/// The rows of a column.
fn rows(table: &Table, name: &str) -> Vec<Value> {
    let arrays = table.batches.iter().map(|batch| batch.column_by_name(name).unwrap().clone());
    arrays.flat_map(|array| (0..array.len()).map(|row| json_of(&array, row)).collect::<Vec<_>>()).collect()
}

/// A value of any type; whole numbers are integers.
fn json_of(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |list: ArrayRef| (0..list.len()).map(|i| json_of(&list, i)).collect::<Value>();
    match array.data_type() {
        DataType::List(_) => items(array.as_list::<i32>().value(row)),
        DataType::FixedSizeList(..) => items(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let parts = fields.iter().zip(array.as_struct().columns());
            parts.map(|(field, part)| (field.name().clone(), json_of(part, row))).collect()
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary => json!(String::from_utf8_lossy(array.as_binary::<i32>().value(row))),
        DataType::Boolean => json!(i64::from(array.as_boolean().value(row))),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(row)),
        data_type if data_type.is_floating() => {
            let value = cast(&array.slice(row, 1), &DataType::Float64).unwrap();
            match value.as_primitive::<Float64Type>().value(0) {
                v if v.is_nan() => json!("NaN"),
                v if v.is_infinite() => json!(if v > 0.0 { "Infinity" } else { "-Infinity" }),
                v if v.fract() == 0.0 => json!(v as i64),
                v => json!(v),
            }
        }
        _ => {
            json!(cast(&array.slice(row, 1), &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0))
        }
    }
}

/// The values of a tensor one after the other, whatever lists they stand in.
fn flat(value: &Value, out: &mut Vec<Value>, depth: usize) {
    match value {
        Value::Array(items) if depth > 0 => items.iter().for_each(|item| flat(item, out, depth - 1)),
        other => out.push(other.clone()),
    }
}

// Tensors in bytes.

/// The dtype of a column of the golden file: `tensor_uint8` holds uint8.
fn dtype_of(column: &str) -> &str {
    match column.split_once('_').unwrap().1 {
        "fill" => "int32",
        dtype => dtype,
    }
}

fn encoded_specs(shape: &str) -> Vec<String> {
    let expected = json_file("tests/golden/features/expected.json");
    let columns = expected["encoded"].as_object().unwrap().keys();
    let specs = columns.map(|column| {
        let encoding = if column.starts_with("raw") { "raw" } else { "tensor" };
        format!("--feature={column}:{encoding}<{}>{shape}", dtype_of(column))
    });
    specs.collect()
}

#[test]
fn tensors_of_every_dtype_in_bytes() {
    let expected = json_file("tests/golden/features/expected.json");
    let input = features("encoded.tfrecord");
    for (shape, layout) in [
        ("[2,3]", "extension"),
        ("[2,3]", "nested"),
        ("[2,3]", "flat"),
        ("[?,3]", "extension"),
        ("[?,3]", "nested"),
    ] {
        let specs = encoded_specs(shape);
        let mut args: Vec<&str> = vec![&input, "--tensor-layout", layout];
        args.extend(specs.iter().map(String::as_str));
        let table = converted(&args);
        for (column, values) in expected["encoded"].as_object().unwrap() {
            let dtype = dtype_of(column);
            let complex = dtype.starts_with("complex");
            for (row, (found, expected)) in
                rows(&table, column).iter().zip(values.as_array().unwrap()).enumerate()
            {
                let found = match found {
                    Value::Object(parts) => {
                        let shape = if complex { json!([2, 3, 2]) } else { json!([2, 3]) };
                        assert_eq!(parts["shape"], shape, "{column}");
                        parts["data"].clone()
                    }
                    other => other.clone(),
                };
                let (mut all, mut wanted) = (Vec::new(), Vec::new());
                flat(&found, &mut all, 9);
                flat(expected, &mut wanted, 9);
                assert_eq!(all, wanted, "{column} {shape} {layout}, row {row}");
            }
        }
        let image = table.schema.field_with_name("raw_uint8").unwrap();
        let extension = image.metadata().get("ARROW:extension:name").map(String::as_str);
        let wanted = match (layout, shape) {
            ("extension", "[2,3]") => Some("arrow.fixed_shape_tensor"),
            ("extension", _) => Some("arrow.variable_shape_tensor"),
            _ => None,
        };
        assert_eq!(extension, wanted, "{shape} {layout}");
    }
}

#[test]
fn narrow_floats_and_bools_are_stored_as_asked() {
    let input = features("encoded.tfrecord");
    let specs = [
        "raw_bfloat16:raw<bfloat16>[2,3]",
        "raw_float8_e5m2:raw<float8_e5m2>[2,3]",
        "raw_bool:raw<bool>[2,3]",
    ];
    let columns = "raw_bfloat16,raw_float8_e5m2,raw_bool";
    let mut args = vec![input.as_str(), "--columns", columns, "--bfloat16", "raw", "--bool", "uint8"];
    specs.iter().for_each(|spec| args.extend(["--feature", spec]));
    let table = converted(&args);
    let types: Vec<String> = table.schema.fields().iter().map(|f| f.data_type().to_string()).collect();
    assert!(
        types[0].contains("UInt16") && types[1].contains("UInt8") && types[2].contains("UInt8"),
        "{types:?}"
    );
    assert_eq!(table.schema.field(0).metadata()["tf.dtype"], "bfloat16");
    // −∞ is ff80 as bfloat16 and fc as float8_e5m2.
    assert_eq!(rows(&table, "raw_bfloat16")[0][0], 0xff80);
    assert_eq!(rows(&table, "raw_float8_e5m2")[0][0], 0xfc);
}

#[test]
fn shapes_that_vary_and_missing_tensors() {
    let input = features("shapes.tfrecord");
    let table = converted(&[&input, "--feature", "t:tensor<int32>[?,3]", "--feature", "r:raw<int32>[?,3]"]);
    let expected = json!([
        {"data": [0, 1, 2, 3, 4, 5], "shape": [2, 3]},
        {"data": [], "shape": [0, 3]},
        null,
        {"data": [0, 1, 2], "shape": [1, 3]},
    ]);
    assert_eq!(json!(rows(&table, "t")), expected);
    assert_eq!(json!(rows(&table, "r")), expected);

    let any = converted(&[&input, "--columns", "t", "--feature", "t:tensor<int32>[...]"]);
    assert_eq!(json!(rows(&any, "t")), expected);
    assert!(!any.schema.field(0).metadata().contains_key("ARROW:extension:name"));

    let list = converted(&[&input, "--columns", "r", "--feature", "r:raw<int32>[]"]);
    assert_eq!(json!(rows(&list, "r")), json!([[0, 1, 2, 3, 4, 5], [], null, [0, 1, 2]]));

    let message = refused(&[&input, "--columns", "r", "--feature", "r:raw<int32>[2,3]"]);
    assert_names(
        &message,
        &["shapes.tfrecord, record 1", "column `r`", "expected 24 bytes, found 0 bytes", "r:binary"],
    );
    let message = refused(&[&input, "--columns", "t", "--feature", "t:tensor<int64>[?,3]"]);
    assert_names(&message, &["record 0", "column `t`", "int64", "int32"]);
}

#[test]
fn missing_encoded_features_are_null_an_error_or_a_default() {
    let dir = Dir::new();
    let input = features("shapes.tfrecord");
    let spec = dir.arg("features.json");
    fs::write(
        &spec,
        r#"{"id": "int64", "r": "raw<int32>[?,3]", "z": "raw<float32>[2]=1.5", "n": "tensor<bool>[2]?"}"#,
    )
    .unwrap();
    let table = converted(&[&input, "--features", &spec]);
    assert_eq!(table.columns(), ["id", "n", "r", "z"]);
    assert_eq!(json!(rows(&table, "z")), json!([[1.5, 1.5], [1.5, 1.5], [1.5, 1.5], [1.5, 1.5]]));
    assert_eq!(json!(rows(&table, "n")), json!([null, null, null, null]));
    fs::write(&spec, r#"{"r": {"type": "raw<int32>[?,3]", "nullable": false}}"#).unwrap();
    let message = refused(&[&input, "--features", &spec]);
    assert_names(&message, &["record 2", "feature is missing", "column `r`"]);
}

#[test]
fn hostile_tensors_are_refused_without_the_memory_they_ask_for() {
    let dir = Dir::new();
    for (name, value, spec) in [
        // A scalar's worth of bytes with a shape of 2⁴⁰ values, in the content and as a repeated value.
        ("content", [&SHAPE_OF_A_TERA[..], &[0x22, 4, 0, 0, 0, 0]].concat(), "tensor<int32>[...]"),
        ("fill", [&SHAPE_OF_A_TERA[..], &[0x3a, 1, 7]].concat(), "tensor<int32>[...]"),
        ("cut", vec![0x08, 0x03, 0x12, 0x40, 0x12], "tensor<int32>[...]"),
        ("no dtype", vec![0x22, 1, 0], "tensor<int32>[...]"),
        (
            "negative",
            vec![0x08, 3, 0x12, 13, 0x12, 11, 0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            "tensor<int32>[...]",
        ),
        ("bool", vec![2, 0], "raw<bool>[2]"),
    ] {
        let path = dir.path("one.tfrecord");
        fs::write(&path, crate::common::tfrecord(&[crate::common::example(&[("x", &value)])])).unwrap();
        let message = refused(&[path.to_str().unwrap(), "--feature", &format!("x:{spec}")]);
        assert_names(&message, &["record 0", "column `x`", "--feature 'x:binary", "to keep the bytes"]);
        assert!(!message.contains("panicked"), "{name}: {message}");
    }
}

/// `dtype: DT_INT32 tensor_shape { dim { size: 1099511627776 } }`
const SHAPE_OF_A_TERA: [u8; 13] = [0x08, 3, 0x12, 9, 0x12, 7, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];

// Images.

#[cfg(feature = "image")]
#[test]
fn images_are_decoded_as_tensorflow_decodes_them() {
    let expected = json_file("tests/golden/features/expected.json");
    for (name, image) in expected["images"].as_object().unwrap() {
        let input = features(&format!("{name}.tfrecord"));
        let shape: Vec<u64> = serde_json::from_value(image["shape"].clone()).unwrap();
        let [height, width, channels] = shape[..] else { panic!() };
        let wrapper = if name == "png_16" { "image<uint16>" } else { "image" };
        let fixed = format!("image:{wrapper}[{height},{width},{channels}]");
        let wanted: Vec<i64> = serde_json::from_value(image["values"].clone()).unwrap();
        for spec in [fixed, format!("image:{wrapper}"), format!("image:{wrapper}[?,?,{channels}]")] {
            let table = converted(&[&input, "--feature", &spec]);
            let row = rows(&table, "image").remove(0);
            let values = match &row {
                Value::Object(parts) => {
                    assert_eq!(parts["shape"], image["shape"], "{spec}");
                    parts["data"].clone()
                }
                _ => row,
            };
            let found: Vec<i64> = serde_json::from_value(values).unwrap();
            assert_eq!(found, wanted, "{name} {spec}");
        }
    }
}

#[cfg(feature = "image")]
#[test]
fn images_that_are_not_what_the_spec_says_are_refused() {
    for (file, spec, parts) in [
        ("png_gray", "image[?,?,3]", &["[?, ?, 3]", "[8, 6, 1]"][..]),
        ("png_colour", "image[64,64,3]", &["[64, 64, 3]", "[8, 6, 3]"]),
        ("png_16", "image", &["expected 8 bits a channel, found 16", "image<uint16>[?,?,?]"]),
        ("png_colour", "image<uint16>", &["expected 16 bits a channel, found 8"]),
    ] {
        let message =
            refused(&[&features(&format!("{file}.tfrecord")), "--feature", &format!("image:{spec}")]);
        assert_names(&message, &["record 0", "column `image`"]);
        assert_names(&message, parts);
    }
}

#[cfg(feature = "image")]
#[test]
fn hostile_images_are_refused_without_the_memory_they_ask_for() {
    let png = image_of("png_colour");
    let bmp = image_of("bmp");
    let mut huge = png.clone();
    // 2³⁰ by 2³⁰ pixels, with a header whose CRC is right.
    huge[16..24].copy_from_slice(&[0x40, 0, 0, 0, 0x40, 0, 0, 0]);
    let crc = flate2_crc(&huge[12..29]).to_be_bytes();
    huge[29..33].copy_from_slice(&crc);
    let mut wide = bmp.clone();
    wide[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
    // 11,000 by 11,000 pixels, which are not too many for a larger file.
    let mut wide_gif = image_of("gif");
    wide_gif[6..10].copy_from_slice(&[0xf8, 0x2a, 0xf8, 0x2a]);
    let dir = Dir::new();
    let path = dir.path("one.tfrecord");
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    for (name, bytes) in [
        ("huge", huge),
        ("wide", wide),
        ("cut", cut(&png)),
        ("cut jpeg", cut(&image_of("jpeg_colour"))),
        ("cut gif", cut(&image_of("gif"))),
        ("cut bmp", cut(&bmp)),
        ("wide gif", wide_gif),
        ("text", b"not an image".to_vec()),
        ("nothing", Vec::new()),
    ] {
        fs::write(&path, crate::common::tfrecord(&[crate::common::example(&[("image", &bytes)])])).unwrap();
        let message = refused(&[path.to_str().unwrap(), "--feature", "image:image"]);
        assert_names(
            &message,
            &["record 0", "column `image`", "--feature 'image:binary?' to keep the bytes"],
        );
        assert!(!message.contains("panicked"), "{name}: {message}");
    }
}

/// The CRC of PNG chunks.
#[cfg(feature = "image")]
fn flate2_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (0xedb8_8320 * (crc & 1)))
    })
}

#[cfg(feature = "image")]
fn image_of(name: &str) -> Vec<u8> {
    let table = converted(&[&features(&format!("{name}.tfrecord")), "--feature", "image:binary"]);
    table.batches[0].column(0).as_binary::<i32>().value(0).to_vec()
}

// SequenceExample.

#[test]
fn sequence_examples_become_context_columns_and_lists() {
    let expected = json_file("tests/golden/features/expected.json");
    let input = features("sequence.tfrecord");
    for record in ["auto", "sequence"] {
        let table = converted(&[&input, "--record", record]);
        assert_eq!(table.columns(), ["frame", "id", "maybe", "pair", "title", "token", "words"]);
        for column in table.columns() {
            assert_eq!(json!(rows(&table, column)), expected["sequence"][column], "{column}");
        }
        let types: Vec<_> = table.schema.fields().iter().map(|f| f.data_type().to_string()).collect();
        assert!(types[3].starts_with("List(FixedSizeList(2 x Float32"), "{types:?}");
        assert!(types[5].starts_with("List(Int64"), "{types:?}");
        assert!(types[6].starts_with("List(List(Utf8"), "{types:?}");
    }
}

#[test]
fn steps_can_be_given_a_type() {
    let input = features("sequence.tfrecord");
    let table = converted(&[
        &input,
        "--columns=token,frame,pair,maybe",
        "--feature=token:int8",
        "--feature=frame:raw<uint8>[2]",
        "--feature=pair:float32[]",
        "--feature=maybe:int64=7",
    ]);
    assert!(table.schema.field(0).data_type().to_string().starts_with("List(Int8"));
    assert_eq!(json!(rows(&table, "frame")), json!([[[1, 2], [3, 4]], null, null]));
    assert_eq!(json!(rows(&table, "pair")), json!([[[0.5, 1.5], [2.5, 3.5]], null, [[4.5, 5.5]]]));
    assert!(table.schema.field(2).data_type().to_string().starts_with("List(List(Float32"));
    assert_eq!(json!(rows(&table, "maybe")), json!([[1, 7, 2], null, [7]]));
    let shapes = converted(&[&input, "--columns=frame", "--feature=frame:raw<uint8>[]"]);
    assert_eq!(json!(rows(&shapes, "frame")), json!([[[1, 2], [3, 4]], null, null]));

    let message = refused(&[&input, "--columns=words", "--feature=words:string"]);
    assert_names(&message, &["record 0", "column `words`", "exactly 1", "words:string[]"]);
    let message = refused(&[&input, "--columns=maybe", "--feature=maybe:int64"]);
    assert_names(&message, &["record 0", "step", "maybe:int64?"]);
}

#[test]
fn a_features_file_finds_out_what_is_a_feature_list() {
    let dir = Dir::new();
    let spec = dir.arg("features.json");
    fs::write(
        &spec,
        r#"{"id": "int64?", "token": "int32", "pair": {"type": "float32[2]", "feature_list": true}}"#,
    )
    .unwrap();
    let table = converted(&[&features("sequence.tfrecord"), "--features", &spec]);
    assert_eq!(table.columns(), ["id", "pair", "token"]);
    assert_eq!(json!(rows(&table, "token")), json!([[3, 1, 4], [], [9]]));
    assert_eq!(json!(rows(&table, "id")), json!([1, 2, null]));
}

#[test]
fn an_example_never_loses_its_feature_lists() {
    let input = features("sequence.tfrecord");
    let message = refused(&[&input, "--record", "example"]);
    assert_names(&message, &["record 0", "feature lists", "--record sequence"]);
    // Nor where the first record does not show that there are any.
    let dir = Dir::new();
    let path = dir.arg("late.tfrecord");
    let plain = crate::common::example(&[("x", b"context")]);
    fs::write(&path, crate::common::tfrecord(&[plain.clone(), [plain, steps("x")].concat()])).unwrap();
    let message = refused(&[&path, "--infer-records", "1"]);
    assert_names(&message, &["late.tfrecord", "feature lists", "--record sequence"]);
}

/// The `feature_lists` of a SequenceExample: one list of one step.
fn steps(name: &str) -> Vec<u8> {
    let list = crate::common::field(1, &crate::common::bytes_feature(b"step"));
    let entry = [crate::common::field(1, name.as_bytes()), crate::common::field(2, &list)].concat();
    crate::common::field(2, &crate::common::field(1, &entry))
}

#[test]
fn a_feature_and_a_list_of_one_name_are_two_columns() {
    let dir = Dir::new();
    let path = dir.arg("same.tfrecord");
    let record = [crate::common::example(&[("x", b"context")]), steps("x")].concat();
    fs::write(&path, crate::common::tfrecord(&[record])).unwrap();
    let table = converted(&[&path]);
    assert_eq!(table.columns(), ["context/x", "feature_lists/x"]);
    assert_eq!(json!(rows(&table, "context/x")), json!(["context"]));
    assert_eq!(json!(rows(&table, "feature_lists/x")), json!([["step"]]));
    assert_eq!(converted(&[&path, "--columns", "feature_lists"]).columns(), ["feature_lists/x"]);
}

// Options.

#[test]
fn a_spec_with_a_typo_is_answered_by_what_was_meant() {
    let input = crate::common::DIGITS;
    for spec in ["lable:int64", "lable:int64[]"] {
        let message = refused(&[input, "--feature", spec]);
        assert_names(&message, &["no feature `lable`", "did you mean `label`?"]);
    }
    // Lists and images are null where they are missing; a name that is nowhere is a mistake all the same.
    for spec in ["weight:float32", "weight:float32[]", "weight:image", "weight:tensor<int8>[?,3]"] {
        let message = refused(&[input, "--feature", spec]);
        assert_names(&message, &["no feature `weight` in 1797 records", &format!("'{spec}?'")]);
        // There is nothing more to look at.
        assert!(!message.contains("--infer-records"), "{message}");
        let message = refused(&[input, "--feature", spec, "--infer-records", "5"]);
        assert_names(&message, &["no feature `weight` in 5 records", "--infer-records all"]);
    }
    // A name that is near another one is a mistake even where a feature may be missing.
    for spec in ["lable:int64?", "lable:int64=3", "lable:raw<uint8>[2]?"] {
        let message = refused(&[input, "--feature", spec]);
        assert_names(&message, &["no feature `lable` in 1797 records", "`label`", "--features file"]);
        // The others are named as well, so that only the name can tell.
        let message = refused(&[input, "--feature", spec, "--columns", "lable,index"]);
        assert_names(&message, &["no feature `lable`", "`label`"]);
    }
    // What may be missing may be missing everywhere.
    for spec in ["weight:float32?", "weight:float32=3", "weight:float32[]?", "label2:int64?"] {
        let table = converted(&[input, "--feature", spec]);
        assert_eq!(table.columns().len(), 5, "{spec}");
    }
    // A file of specs is taken at its word.
    let dir = crate::common::Dir::new();
    std::fs::write(dir.path("f.json"), r#"{"label": "int64", "lable": "int64?"}"#).unwrap();
    let table = converted(&[input, "--features", &dir.arg("f.json")]);
    assert_eq!(table.columns(), ["label", "lable"]);
}

#[test]
fn missing_features_of_every_dtype_take_their_default() {
    let specs = [
        ("a:float32=3", json!(3)),
        ("b:float32[2]=-0.5", json!([-0.5, -0.5])),
        ("c:float64=2.5", json!(2.5)),
        ("d:float16=1.5", json!(1.5)),
        ("e:int64=-7", json!(-7)),
        ("f:uint8=200", json!(200)),
        ("g:bool=true", json!(1)),
        ("h:string=none", json!("none")),
    ];
    let features: Vec<&str> = specs.iter().flat_map(|(spec, _)| ["--feature", spec]).collect();
    let table = converted(&[&[crate::common::DIGITS], &features[..]].concat());
    for (spec, value) in specs {
        let name = spec.split(':').next().unwrap();
        let rows = rows(&table, name);
        assert_eq!(rows.len(), crate::common::DIGITS_ROWS);
        assert!(rows.iter().all(|row| *row == value), "{spec}: {}", rows[0]);
    }
}

#[test]
fn a_column_with_a_typo_is_answered_by_what_was_meant() {
    let input = crate::common::DIGITS;
    for (option, value) in
        [("--columns", "lable"), ("--exclude", "lable"), ("--utf8", "lable"), ("--rename", "lable=y")]
    {
        let message = refused(&[input, option, value]);
        assert_names(&message, &["no column `lable`", "did you mean `label`?"]);
    }
    let message = refused(&[input, "--columns", "weight"]);
    assert_names(&message, &["no column `weight`", "there are: ", "label", "pixels"]);
}

#[test]
fn what_is_not_read_need_not_be_inferred() {
    let dir = Dir::new();
    let path = dir.arg("changes.tfrecord");
    let first = [crate::common::example(&[("x", b"text")]), crate::common::int_example("y", 1)].concat();
    let second = [crate::common::int_example("x", 2), crate::common::int_example("y", 2)].concat();
    fs::write(&path, crate::common::tfrecord(&[first, second])).unwrap();
    assert_names(&refused(&[&path]), &["record 1", "changes its kind", "column `x`", "--exclude x"]);
    for args in [["--exclude", "x"], ["--columns", "y"]] {
        assert_eq!(json!(rows(&converted(&[&[path.as_str()], &args[..]].concat()), "y")), json!([1, 2]));
    }
    assert_names(&refused(&[&path, "--feature", "x:int64"]), &["record 0", "expected int64, found bytes"]);
}

#[test]
fn narrowed_values_that_do_not_fit_are_named_with_their_place() {
    let dir = Dir::new();
    let path = dir.arg("numbers.tfrecord");
    let records: Vec<_> = [1, 127, 128].map(|value| crate::common::int_example("x", value)).into();
    fs::write(&path, crate::common::tfrecord(&records)).unwrap();
    let table = converted(&[&path, "--feature", "x:uint8"]);
    assert_eq!(table.schema.field(0).data_type(), &DataType::UInt8);
    assert_eq!(json!(rows(&table, "x")), json!([1, 127, 128]));
    let message = refused(&[&path, "--feature", "x:int8"]);
    assert_names(&message, &["value out of range", "int8", "128", "record 2", "column `x`"]);
}

#[test]
fn structures_become_structs_on_request() {
    let input = repo("tests/golden/saved/nested/data");
    let input = input.to_str().unwrap();
    let flat = converted(&[input]);
    let nested = converted(&[input, "--structure", "nested"]);
    assert_eq!(flat.columns(), ["x/a/0", "x/a/1", "x/b", "y/0", "y/1/A", "y/1/z", "y/1/é"]);
    assert_eq!(nested.columns(), ["x", "y"]);
    for (struct_row, (a, b)) in
        rows(&nested, "x").iter().zip(rows(&flat, "x/a/0").into_iter().zip(rows(&flat, "x/b")))
    {
        assert_eq!((&struct_row["a"]["0"], &struct_row["b"]), (&a, &b));
    }
    let z: Vec<_> = rows(&nested, "y").iter().map(|row| row["1"]["z"].clone()).collect();
    assert_eq!(z, rows(&flat, "y/1/z"));
}

#[test]
fn casts_and_where_they_fail() {
    let table = converted(&[crate::common::DIGITS, "--cast", "label=float32", "--cast", "float32:float64"]);
    let of = |name: &str| table.schema.field_with_name(name).unwrap().data_type().to_string();
    assert_eq!(of("label"), "Float32");
    let wide = converted(&[crate::common::DIGITS, "--columns=label", "--cast=int64:int8,label=int16"]);
    assert_eq!(wide.schema.field(0).data_type(), &DataType::Int16);

    let dir = Dir::new();
    let path = dir.arg("numbers.tfrecord");
    let records: Vec<_> =
        (0..3000u32).map(|i| crate::common::int_example("x", if i == 2500 { 300 } else { 1 })).collect();
    fs::write(&path, crate::common::tfrecord(&records)).unwrap();
    for threads in ["1", "2"] {
        let message = refused(&[&path, "--cast", "x=int8", "--threads", threads]);
        assert_names(&message, &["expected Int8, found 300", "row 2500", "column `x`"]);
    }
    for (cast, part) in [("x=string", "string"), ("y=int8", "no column `y`"), ("x", "FROM:TO")] {
        assert_names(&refused(&[&path, "--cast", cast]), &[part]);
    }
}

#[test]
fn utf8_is_for_bytes() {
    let message = refused(&[crate::common::DIGITS, "--utf8", "label"]);
    assert_names(&message, &["only bytes", "column `label`"]);
}

#[test]
fn names_are_for_what_has_none() {
    let message = refused(&[crate::common::DIGITS, "--names", "x,y"]);
    assert_names(&message, &["--names is not for files of tf.train.Example", "Dataset.save folders"]);
}

#[test]
fn a_prefix_names_everything_under_it() {
    let dir = Dir::new();
    let path = dir.arg("paths.tfrecord");
    let record = crate::common::example(&[("outer/a", b"1"), ("outer/b", b"2"), ("outside", b"3")]);
    fs::write(&path, crate::common::tfrecord(&[record])).unwrap();
    assert_eq!(converted(&[&path, "--columns", "outer"]).columns(), ["outer/a", "outer/b"]);
    assert_eq!(converted(&[&path, "--exclude", "outer"]).columns(), ["outside"]);
    assert_eq!(converted(&[&path, "--columns", "outer", "--exclude", "outer/a"]).columns(), ["outer/b"]);
    assert_names(&refused(&[&path, "--columns", "out"]), &["no column `out`"]);
}

#[test]
fn features_from_a_schema_pbtxt() {
    let dir = Dir::new();
    let schema = dir.arg("schema.pbtxt");
    fs::write(
        &schema,
        r#"
        feature { name: "label" type: INT value_count { min: 1 max: 1 } presence { min_fraction: 1 } }
        feature { name: "writer" type: BYTES value_count { min: 1 max: 1 } string_domain {} }
        feature { name: "pixels" type: INT shape { dim { size: 8 } dim { size: 8 } } lifecycle_stage: DEPRECATED }
        "#,
    )
    .unwrap();
    let table = converted(&[crate::common::DIGITS, "--features", &schema]);
    assert_eq!(table.columns(), ["label", "writer"]);
    assert_eq!(table.schema.field(1).data_type(), &DataType::Utf8);
    fs::write(&schema, "feature {\n  name: label\n}").unwrap();
    assert_names(
        &refused(&[crate::common::DIGITS, "--features", &schema]),
        &["schema.pbtxt", "line 2", "a quoted string"],
    );
    assert_names(
        &refused(&[crate::common::DIGITS, "--features", &dir.arg("none")]),
        &["cannot read features"],
    );
}

/// Names that hold what separates names stand in quotes, in every option that takes names.
#[test]
fn names_with_commas_and_signs_are_quoted() {
    let dir = Dir::new();
    let path = dir.arg("x.tfrecord");
    let features = [("a,b", &b"1"[..]), ("c=d", b"2"), ("e:f", b"3"), ("g\"h", b"4"), ("i", b"5")];
    std::fs::write(&path, crate::common::tfrecord(&[crate::common::example(&features)])).unwrap();
    let columns = |args: &[&str]| -> Vec<String> {
        let table = Table::from_stream(
            crate::common::tfarrow(&[&["convert", &path, "-o", "-"], args].concat()).success().stdout,
        );
        table.columns().iter().map(ToString::to_string).collect()
    };
    assert_eq!(columns(&[]), ["a,b", "c=d", "e:f", "g\"h", "i"]);
    assert_eq!(columns(&["--columns", r#""a,b",i,"g""h""#]), ["a,b", "i", "g\"h"]);
    assert_eq!(columns(&["--columns", "i", "--columns", r#""a,b""#]), ["i", "a,b"]);
    assert_eq!(columns(&["--exclude", r#""a,b",c=d"#]), ["e:f", "g\"h", "i"]);
    assert_eq!(columns(&["--columns", r#""a,b""#, "--rename", r#""a,b"="x=y""#]), ["x=y"]);
    assert_eq!(columns(&["--columns", "c=d,i", "--rename", r#""c=d"=c"#]), ["c", "i"]);
    assert_eq!(columns(&["--columns", "e:f", "--feature", "e:f:binary"]), ["e:f"]);
    // What is wrong is answered with what can be pasted.
    let message = refused(&[&path, "--columns", "zzzzzz"]);
    assert_names(&message, &["no column `zzzzzz`", r#"there are: "a,b", c=d"#]);
    let message = refused(&[&path, "--columns", r#""a,c""#]);
    assert_names(&message, &["no column `a,c`", "did you mean `a,b`?"]);
}
