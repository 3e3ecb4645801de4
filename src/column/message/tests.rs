//! Records of golden and random messages, against what Python's protobuf runtime says of them.

use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::*;
use serde_json::{Value, json};

use super::*;
use crate::options::Structure;
use crate::schema::Projection;
use crate::schema::mapping::MappingOptions;
use crate::schema::message::MessageOptions;
use crate::tf::descriptor::Files;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The name of a type, as `tests/python/messages.py` writes it.
fn type_name(data_type: &DataType, proto_type: Option<&String>) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Float32 => "float32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Utf8 => "utf8".into(),
        // A message as it is.
        DataType::Binary
            if proto_type.is_some_and(|ty| !ty.ends_with("bytes") && !ty.ends_with("BytesValue")) =>
        {
            "opaque".into()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => "timestamp".into(),
        DataType::Duration(TimeUnit::Nanosecond) => "duration".into(),
        DataType::Dictionary(..) => "dictionary".into(),
        DataType::List(item) => {
            assert!(item.is_nullable() && item.name() == "item");
            format!("list<{}>", type_name(item.data_type(), proto_type))
        }
        DataType::Map(entries, false) => match entries.data_type() {
            DataType::Struct(parts) => {
                assert_eq!((parts[0].name().as_str(), parts[1].name().as_str()), ("key", "value"));
                let value = type_name(parts[1].data_type(), parts[1].metadata().get("proto.type"));
                format!("map<{}, {value}>", type_name(parts[0].data_type(), None))
            }
            other => panic!("{other}"),
        },
        DataType::Struct(parts) => {
            let parts = parts.iter().map(|part| {
                assert!(part.is_nullable());
                format!("{}: {}", part.name(), type_name(part.data_type(), part.metadata().get("proto.type")))
            });
            format!("struct<{}>", parts.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

/// Row `row` of `array`, as `tests/python/messages.py` writes it. `name` is its type.
fn value(array: &dyn Array, row: usize, name: &str) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt32 => json!(array.as_primitive::<UInt32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => json!(hex(&array.as_primitive::<Float32Type>().value(row).to_be_bytes())),
        DataType::Float64 => json!(hex(&array.as_primitive::<Float64Type>().value(row).to_be_bytes())),
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary if name.contains("opaque") => json!("opaque"),
        DataType::Binary => json!(hex(array.as_binary::<i32>().value(row))),
        DataType::Timestamp(..) | DataType::Duration(_) => {
            let numbers = cast(&array.slice(row, 1), &DataType::Int64).unwrap();
            json!(numbers.as_primitive::<Int64Type>().value(0))
        }
        DataType::Dictionary(..) => {
            let names = cast(&array.slice(row, 1), &DataType::Utf8).unwrap();
            value(&names, 0, "")
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|at| value(&items, at, name)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut pairs: Vec<Value> = (0..entries.len())
                .map(|at| json!([value(entries.column(0), at, ""), value(entries.column(1), at, name)]))
                .collect();
            pairs.sort_by_key(|pair| key_text(&pair[0]));
            pairs.into()
        }
        DataType::Struct(parts) => {
            let columns = array.as_struct().columns();
            let parts = parts.iter().zip(columns).map(|(part, column)| {
                let name = type_name(part.data_type(), part.metadata().get("proto.type"));
                (part.name().clone(), value(column, row, &name))
            });
            Value::Object(parts.collect())
        }
        other => panic!("{other}"),
    }
}

/// What Python sorts keys by: their JSON, with other letters than ASCII escaped.
fn key_text(key: &Value) -> String {
    let text = key.to_string();
    let escape = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    text.chars().map(escape).collect()
}

fn options_of(options: &Value) -> (MappingOptions, Projection, bool, bool) {
    let mut mapping = MappingOptions::default();
    if options["structure"] == "nested" {
        mapping.structure = Structure::Nested;
    }
    let names = |key: &str| -> Option<Vec<String>> {
        let names = options[key].as_array()?;
        Some(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
    };
    let projection = Projection { columns: names("columns"), exclude: names("exclude").unwrap_or_default() };
    let is = |key: &str| options[key] == true;
    (mapping, projection, is("class_names"), is("proto_defaults"))
}

/// A decoder of the records of `case`.
fn decoder(case: &Value) -> MessageDecoder {
    let set = match case["set"].as_str().unwrap().strip_suffix(".pb") {
        Some(name) => std::fs::read(Path::new(GOLDEN).join(name).with_extension("pb")).unwrap(),
        None => unhex(&case["set"]),
    };
    let files = Files::from_set(&set).unwrap();
    let (mapping, projection, class_names, defaults) = options_of(&case["options"]);
    let options = MessageOptions { mapping: &mapping, projection: &projection, class_names, defaults };
    let root = files.root(case["message"].as_str()).unwrap();
    MessageDecoder::new(Arc::new(MessagePlan::new(&files, root, options, "test").unwrap()))
}

/// Checks a case, every record so many `times`, in batches of `batch_rows` rows.
fn check(case: &Value, batch_rows: usize, times: usize) {
    let about = format!("{} {}", case["seed"], case["message"]);
    let mut decoder = decoder(case);
    let schema = decoder.plan.schema.clone();
    let names: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| type_name(field.data_type(), field.metadata().get("proto.type")))
        .collect();
    let columns: Vec<Value> =
        schema.fields().iter().zip(&names).map(|(field, ty)| json!([field.name(), ty])).collect();
    assert_eq!(json!(columns), case["schema"], "{about}");
    let mut rows: Vec<Value> = Vec::new();
    let take = |decoder: &mut MessageDecoder, rows: &mut Vec<Value>| {
        let batch = decoder.finish().unwrap();
        for row in 0..batch.num_rows() {
            let row = batch.columns().iter().zip(&names).map(|(column, name)| value(column, row, name));
            rows.push(row.collect());
        }
    };
    fn each(of: &Value, times: usize) -> impl Iterator<Item = &Value> {
        of.as_array().unwrap().iter().flat_map(move |one| std::iter::repeat_n(one, times))
    }
    let expected = || each(&case["rows"], times);
    for (number, (record, expected)) in each(&case["records"], times).zip(expected()).enumerate() {
        match (decoder.append(&unhex(record)), expected.get("error")) {
            (Ok(()), None) => {}
            (Err(error), Some(_)) => {
                decoder.rollback();
                drop(error);
                decoder.push_null();
            }
            (found, expected) => panic!("{about}, record {number}: {found:?}, expected {expected:?}"),
        }
        if decoder.rows() >= batch_rows {
            take(&mut decoder, &mut rows);
        }
    }
    take(&mut decoder, &mut rows);
    for (number, (row, expected)) in rows.iter().zip(expected()).enumerate() {
        if expected.get("error").is_some() {
            assert!(row.as_array().unwrap().iter().all(Value::is_null), "{about}, record {number}");
            continue;
        }
        for (column, (found, expected)) in
            row.as_array().unwrap().iter().zip(expected.as_array().unwrap()).enumerate()
        {
            assert_eq!(found, expected, "{about}, record {number}, column {}", columns[column]);
        }
    }
    assert_eq!(rows.len(), expected().count());
}

fn check_all(cases: &str) {
    for line in cases.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        check(&case, 1024, 1);
        check(&case, 2, 1);
        // Those after the first are laid out as it was.
        check(&case, 1024, 3);
    }
}

#[test]
fn golden_messages_hold_what_python_says() {
    check_all(&std::fs::read_to_string(Path::new(GOLDEN).join("cases.jsonl")).unwrap());
}

/// Random messages of random descriptors. `TFARROW_TEST_MESSAGES` says how many, beginning with which
/// seed: `100000:500`.
#[test]
fn random_messages_hold_what_python_says() {
    let Ok(python) = std::env::var("TFARROW_TEST_PYTHON") else {
        eprintln!("skipped: TFARROW_TEST_PYTHON is not set");
        return;
    };
    let range = std::env::var("TFARROW_TEST_MESSAGES").unwrap_or_else(|_| "0:60".to_owned());
    let (first, count) = range.split_once(':').unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/messages.py");
    let made = Command::new(python).arg(script).args([first, count]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    check_all(std::str::from_utf8(&made.stdout).unwrap());
}

/// What came before a record changes nothing of it, however much alike they are.
#[test]
fn records_like_the_one_before_are_what_they_are_alone() {
    let cases = std::fs::read_to_string(Path::new(GOLDEN).join("cases.jsonl")).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % limit.max(1)
    };
    // Fields of numbers alone are what layouts are for.
    let numbers = |below: &mut dyn FnMut(usize) -> usize| {
        let mut record = Vec::new();
        for number in [1u8, 2, 3, 4, 5, 6, 13] {
            if below(5) == 0 {
                continue;
            }
            let wide: Vec<u8> = (0..8).map(|_| u8::try_from(below(256)).unwrap()).collect();
            match number {
                1 => record.extend([&[0x09][..], &wide].concat()),
                2 => record.extend([&[0x15][..], &wide[..4]].concat()),
                _ => record.extend([number << 3, wide[0] | 0x80, wide[1] & 0x7f]),
            }
        }
        record
    };
    let mut alike = 0;
    for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let mut records: Vec<Vec<u8>> = case["records"].as_array().unwrap().iter().map(unhex).collect();
        if case["message"] == "golden.three.Record" {
            records.extend((0..40).map(|_| numbers(&mut below)));
        }
        let mut used = decoder(&case);
        for record in &records {
            for _ in 0..4 {
                let mut like = record.clone();
                let changes = below(3);
                for _ in 0..changes {
                    let at = below(like.len());
                    if let Some(byte) = like.get_mut(at) {
                        *byte ^= 1 << below(8);
                    }
                }
                let mut fresh = decoder(&case);
                let (alone, after) = (fresh.append(&like), used.append(&like));
                assert_eq!(alone.is_ok(), after.is_ok(), "{} {alone:?} {after:?}", hex(&like));
                if alone.is_err() {
                    used.rollback();
                    continue;
                }
                alike += 1;
                assert_eq!(fresh.finish().unwrap(), used.finish().unwrap(), "{}", hex(&like));
            }
        }
    }
    assert!(alike > 500, "{alike}");
}
