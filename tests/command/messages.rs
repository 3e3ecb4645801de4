//! Records of protobuf messages: through every kind of file, with every option, and what is refused.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::fs;

use crate::common::{Dir, Table, assert_names, field, json_file, repo, tfarrow, tfarrow_fed, tfrecord};
use serde_json::{Value, json};

const PROTO: &str = "tests/golden/messages/three.proto";
const MESSAGE: &str = "golden.three.Record";

/// A file of the golden records, and the same as standard input.
fn golden(dir: &Dir) -> (String, Vec<u8>, Vec<Value>) {
    let cases = fs::read_to_string(repo("tests/golden/messages/cases.jsonl")).unwrap();
    let mut cases = cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let case = cases.find(|case| case["message"] == MESSAGE && case["options"] == json!({})).unwrap();
    let (records, rows) = (case["records"].as_array().unwrap(), case["rows"].as_array().unwrap());
    let sound = records.iter().zip(rows).filter(|(_, row)| row.get("error").is_none());
    let (records, rows): (Vec<_>, Vec<_>) = sound
        .map(|(record, row)| {
            let text = record.as_str().unwrap();
            let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            ((0..text.len()).step_by(2).map(byte).collect::<Vec<u8>>(), row.clone())
        })
        .unzip();
    let bytes = tfrecord(&records);
    fs::write(dir.path("records"), &bytes).unwrap();
    (dir.arg("records"), bytes, rows)
}

/// The golden values of column `column`.
fn values(rows: &[Value], column: usize) -> Vec<Value> {
    rows.iter().map(|row| row[column].clone()).collect()
}

#[test]
fn records_become_the_columns_that_python_finds() {
    let dir = Dir::new();
    let (file, bytes, rows) = golden(&dir);
    let read = |run: Vec<u8>| {
        let table = Table::from_stream(run);
        assert_eq!(table.rows(), rows.len());
        assert_eq!(table.values("int32_value"), values(&rows, 2));
        assert_eq!(table.values("string_value"), values(&rows, 13));
        assert_eq!(table.values("maybe_int"), values(&rows, 16));
    };
    let described = ["--proto", PROTO, "--message", MESSAGE];
    let set = ["--proto", "tests/golden/messages/three.pb", "--message", MESSAGE, "--record", "message"];
    for options in [&described[..], &set] {
        read(tfarrow(&[&["convert", &file, "-o", "-"], options].concat()).success().stdout);
        read(tfarrow_fed(&[&["convert", "-", "-o", "-"], options].concat(), bytes.clone()).success().stdout);
    }
    // Through every output, and back.
    for name in ["out.parquet", "out.arrow"] {
        let out = dir.arg(name);
        tfarrow(&[&["convert", &file, "-o", &out], &described[..]].concat()).success();
        read(tfarrow(&["convert", &out, "-o", "-"]).success().stdout);
    }
    let gzip = dir.arg("records.tfrecord.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &bytes).unwrap();
    fs::write(&gzip, encoder.finish().unwrap()).unwrap();
    read(tfarrow(&[&["convert", &gzip, "-o", "-"], &described[..]].concat()).success().stdout);
}

#[test]
fn reports_call_enums_by_name() {
    let dir = Dir::new();
    let (file, _, _) = golden(&dir);
    let run = tfarrow(&["report", &file, "--json", "--proto", PROTO, "--message", MESSAGE]).success();
    let report: Value = serde_json::from_str(run.text()).unwrap();
    let columns = report["columns"].as_array().unwrap();
    let kind = columns.iter().find(|column| column["name"] == "kind").unwrap();
    assert_eq!(kind["class_names"], json!(["UNKNOWN", "CIRCLE"]));
    assert_eq!(kind["top"], json!([{"value": "UNKNOWN", "count": 8}, {"value": 77, "count": 1}]));
    // 77 is declared nowhere.
    let alerts = report["alerts"].as_array().unwrap();
    assert!(
        alerts.iter().any(|alert| alert["column"] == "kind" && alert["kind"] == "out_of_range"),
        "{alerts:?}"
    );
}

#[test]
#[cfg(feature = "array-record")]
fn array_records_and_tfds_folders_hold_messages_too() {
    let Some(python) = crate::common::python() else { return };
    let dir = Dir::new();
    let (_, _, rows) = golden(&dir);
    crate::common::run_python(python, "make_message_files.py", &[dir.arg("")]);
    for input in ["records.array_record", "tracks", "tracks/1.0.0"].map(|name| dir.arg(name)) {
        let run = |args: &[&str]| {
            tfarrow(&[args, &[&input, "--proto", PROTO, "--message", MESSAGE]].concat()).success()
        };
        let table = Table::from_stream(run(&["convert", "-o", "-"]).stdout);
        assert_eq!(table.rows(), rows.len());
        assert_eq!(table.values("int32_value"), values(&rows, 2));
        assert_eq!(table.values("string_value"), values(&rows, 13));
        let one = run(&["convert", "-o", "-", "--columns", "tracks/states/center_x", "--skip", "1"]);
        assert_eq!(Table::from_stream(one.stdout).rows(), rows.len() - 1);
        assert_eq!(run(&["count"]).text(), format!("{}\n", rows.len()));
        assert_names(run(&["verify"]).text(), &["sound"]);
    }
}

#[test]
fn columns_are_asked_for_by_path_in_any_depth() {
    let dir = Dir::new();
    let (file, _, rows) = golden(&dir);
    let convert = |columns: &str| {
        let args =
            ["convert", &file, "-o", "-", "--proto", PROTO, "--message", MESSAGE, "--columns", columns];
        tfarrow(&args)
    };
    let table = Table::from_stream(convert("tracks/states/center_x,int32_value,point").success().stdout);
    assert_eq!(table.columns(), ["tracks", "int32_value", "point/x", "point/y", "point/z"]);
    assert_eq!(table.values("int32_value"), values(&rows, 2));
    // Of a oneof, members that nobody asks for displace those that are asked for.
    let one_int = Table::from_stream(convert("one_int").success().stdout).values("one_int");
    let all = tfarrow(&["convert", &file, "-o", "-", "--proto", PROTO, "--message", MESSAGE]).success();
    assert_eq!(one_int, Table::from_stream(all.stdout).values("one_int"));
    let message = convert("tracks/stats").failure();
    assert_names(&message, &["no column `tracks/stats`", "did you mean `tracks/states`?"]);
}

#[test]
fn faults_name_record_byte_and_field() {
    let dir = Dir::new();
    // tracks { id: 1 } tracks { states { } states { center_x: cut } }
    let state = [field(2, b""), field(2, &[0x09, 0, 0])].concat();
    let tag = [0xfa, 0xff, 0xff, 0xff, 0x0f];
    let tracks = |body: &[u8]| [&tag[..], &[u8::try_from(body.len()).unwrap()], body].concat();
    let bad = [tracks(&[0x08, 1]), tracks(&state)].concat();
    let text = field(14, b"\xff");
    let time = [&[0x82, 0x02, 0x09, 0x08][..], &[0xff; 7], &[0x7f]].concat();
    let file = tfrecord(&[Vec::new(), bad, text, time, vec![0x18, 7]]);
    fs::write(dir.path("bad"), file).unwrap();
    let convert = |extra: &[&str]| {
        let args = ["convert", &dir.arg("bad"), "-o", "-", "--proto", PROTO, "--message", MESSAGE];
        tfarrow(&[&args[..], extra].concat())
    };
    // A stream has begun by then.
    let refused = |extra: &[&str]| {
        let run = convert(extra);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    let message = refused(&[]);
    assert_names(
        &message,
        &["the message ends inside a value", "record 1, byte 47", "`tracks[1].states[1].center_x`"],
    );
    let message = refused(&["--skip", "2"]);
    assert_names(&message, &["not UTF-8", "record 2, byte ", "`string_value`", "declare the field as bytes"]);
    let message = refused(&["--skip", "3"]);
    assert_names(&message, &["time out of range", "record 3, ", "`at`"]);
    let run = tfarrow(&["verify", &dir.arg("bad"), "--proto", PROTO, "--message", MESSAGE]);
    assert_eq!(run.code, Some(1));
    assert_names(
        run.text(),
        &[
            "2 records: 3 damaged",
            "record 1, byte 47, column `tracks[1].states[1].center_x`",
            "record 2, ",
            "record 3, ",
        ],
    );
    let run = convert(&["--on-error", "null"]);
    assert_eq!(run.code, Some(1));
    let table = Table::from_stream(run.stdout);
    let expected = [json!(0), Value::Null, Value::Null, Value::Null, json!(7)];
    assert_eq!(table.values("int32_value"), expected);
    let run = convert(&["--on-error", "skip"]);
    assert_eq!(Table::from_stream(run.stdout).values("int32_value"), [json!(0), json!(7)]);
}

#[test]
fn what_is_missing_is_named() {
    let dir = Dir::new();
    let (file, ..) = golden(&dir);
    let convert = |extra: &[&str]| tfarrow(&[&["convert", &file, "--dry-run"], extra].concat()).failure();
    assert_names(&convert(&["--record", "message"]), &["--proto"]);
    let message = convert(&["--proto", PROTO]);
    assert_names(
        &message,
        &["several messages", "golden.three.Record, golden.three.Node, golden.three.Track"],
    );
    assert_names(
        &convert(&["--proto", PROTO, "--message", "three.Record"]),
        &["did you mean `golden.three.Record`?"],
    );
    assert_names(&convert(&["--proto", "nowhere.proto"]), &["nowhere.proto"]);
    assert_names(&convert(&["--proto", &file]), &["a .proto file that is not text"]);
    fs::write(dir.path("a.proto"), "syntax = \"proto3\";\nimport \"b/c.proto\";\nmessage A { b.C c = 1; }")
        .unwrap();
    let a = dir.arg("a.proto");
    assert_names(
        &convert(&["--proto", &a]),
        &["type `b.C` is declared nowhere", "--proto-path", "b/c.proto"],
    );
    fs::create_dir_all(dir.path("far/b")).unwrap();
    fs::write(dir.path("far/b/c.proto"), "syntax = \"proto3\"; package b; message C { int32 x = 1; }")
        .unwrap();
    let run = tfarrow(&["schema", &file, "--proto", &a, "--proto-path", &dir.arg("far")]).success();
    assert_names(run.text(), &["TFRecord files of A", "c/x", "Int32", "int32"]);
    fs::write(dir.path("broken.proto"), "message A {\n  int32 x = ;\n}").unwrap();
    assert_names(&convert(&["--proto", &dir.arg("broken.proto")]), &["broken.proto:2:13"]);
}

#[test]
fn schema_shows_the_message_as_it_is_mapped() {
    let dir = Dir::new();
    let (file, ..) = golden(&dir);
    let run = tfarrow(&["schema", &file, "--proto", PROTO, "--message", MESSAGE, "--class-names"]).success();
    let text = run.text();
    assert_names(
        text,
        &[
            "protobuf type",
            "Dictionary(Int32, Utf8)",
            "tree/left/left is the message golden.three.Node as it is",
        ],
    );
    let run = tfarrow(&["schema", &file, "--proto", PROTO, "--message", MESSAGE, "--json"]).success();
    let found: Value = serde_json::from_str(run.text()).unwrap();
    let kind = found["columns"].as_array().unwrap().iter().find(|column| column["name"] == "kind").unwrap();
    assert_eq!(kind["metadata"]["proto.enum"], r#"{"UNKNOWN":0,"CIRCLE":1}"#);
}

#[test]
fn lists_of_examples_are_known_by_their_content() {
    let read = |name: &str, extra: &[&str]| {
        let file = format!("tests/golden/other/{name}.tfrecord");
        let run = tfarrow(&[&["convert", &file, "-o", "-"], extra].concat()).success();
        Table::from_stream(run.stdout)
    };
    let table = read("elwc", &[]);
    assert_eq!(table.columns(), ["id", "text", "examples"]);
    let whole = Table::from_stream(
        tfarrow_fed(
            &["convert", "-", "-o", "-"],
            fs::read(repo("tests/golden/other/elwc.tfrecord")).unwrap(),
        )
        .success()
        .stdout,
    );
    assert_eq!(whole.values("id"), table.values("id"));
    assert_eq!(read("elwc", &["--columns", "examples/id"]).columns(), ["examples"]);
    assert_eq!(read("elwc", &["--exclude", "examples,text"]).columns(), ["id"]);
    assert_eq!(read("elwc", &["--feature", "examples/id:int64[]"]).columns(), ["id", "text", "examples"]);
    assert_eq!(read("elwc_without_context", &[]).columns(), ["examples"]);
    assert_eq!(read("elwc_of_context", &[]).columns(), ["id", "text"]);
    let message =
        tfarrow(&["head", "tests/golden/other/elwc.tfrecord", "--columns", "examples/idd"]).failure();
    assert_names(&message, &["idd"]);
    let run = tfarrow(&["schema", "tests/golden/other/elwc.tfrecord"]).success();
    assert_names(run.text(), &["tensorflow.serving.ExampleListWithContext"]);
}

#[test]
fn event_files_hold_what_tensorboard_finds() {
    let expected = json_file("tests/golden/events/expected.json");
    for (name, expected) in expected.as_object().unwrap() {
        let file = format!("tests/golden/events/{name}");
        let bytes = fs::read(repo(&file)).unwrap();
        let table = Table::from_stream(tfarrow(&["convert", &file, "-o", "-"]).success().stdout);
        let fed = Table::from_stream(tfarrow_fed(&["convert", "-", "-o", "-"], bytes).success().stdout);
        let values = expected["values"].as_array().unwrap();
        assert_eq!((table.rows(), fed.rows()), (values.len(), values.len()), "{name}");
        assert_eq!(fed.values("value"), table.values("value"));
        assert!(table.values("file").iter().all(|found| *found == json!(file)));
        let column = |key: &str| values.iter().map(|value| value[key].clone()).collect::<Vec<_>>();
        for key in ["wall_time", "step", "tag", "plugin", "text"] {
            assert_eq!(table.values(key), column(key), "{name}: {key}");
        }
        // Python writes a number so that it is read as the same again.
        let number = |value: &Value| match value.as_str().map(|text| text.parse::<f64>().unwrap()) {
            Some(value) if value.is_nan() => json!("NaN"),
            // An integer that float64 does not hold stands with the tensor alone.
            Some(value) if value.abs() < 9_007_199_254_740_992.0 => json!(value),
            _ => Value::Null,
        };
        let numbers: Vec<_> = column("value").iter().map(number).collect();
        assert_eq!(table.values("value"), numbers, "{name}");
        let images =
            [table.values("image/width"), table.values("image/height"), table.values("image/encoded")];
        let sounds = table.values("audio/encoded");
        let (types, shapes) = (table.values("tensor/dtype"), table.values("tensor/shape"));
        let buckets = table.values("histogram/buckets");
        for (row, value) in values.iter().enumerate() {
            match value["image"].as_array() {
                Some(image) => assert!(image.iter().zip(&images).all(|(part, found)| *part == found[row])),
                None => assert!(images.iter().all(|found| found[row].is_null())),
            }
            assert_eq!(sounds[row], value["audio"], "{name}");
            let rounded = |edge: &Value| (edge.as_f64().unwrap() as f32).to_string();
            match value["buckets"].as_array() {
                Some(expected) => {
                    let found = buckets[row].as_array().unwrap();
                    assert_eq!(found.len(), expected.len(), "{name}, row {row}");
                    for (found, expected) in found.iter().zip(expected) {
                        let parts = ["left", "right", "count"].map(|part| rounded(&found[part]));
                        assert_eq!(
                            json!(parts),
                            expected.as_array().unwrap().iter().map(rounded).collect::<Value>()
                        );
                    }
                }
                None => assert!(buckets[row].is_null()),
            }
            if let Some(tensor) = value["tensor"].as_array() {
                assert_eq!(shapes[row], tensor[1], "{name}, row {row}");
                assert!(types[row] == tensor[0] || tensor[0] == "object" && types[row] == "string");
            }
        }
        let nested =
            tfarrow(&["convert", &file, "-o", "-", "--structure", "nested", "--columns", "tag,image"]);
        assert_eq!(Table::from_stream(nested.success().stdout).columns(), ["tag", "image"]);
        let run = tfarrow(&["schema", &file]).success();
        assert_names(run.text(), &["TFRecord files of tensorflow.Event (TensorBoard)", "a row is a value"]);
    }
}

#[test]
fn recipes_of_the_readme_work_as_they_stand() {
    let Some(python) = crate::common::python() else { return };
    let dir = Dir::new();
    let (scalars, lists) = (dir.arg("scalars.parquet"), dir.arg("lists.parquet"));
    tfarrow(&["convert", "tests/golden/events/events.out.tfevents.*", "-o", &scalars]).success();
    tfarrow(&["convert", "tests/golden/other/elwc.tfrecord", "-o", &lists]).success();
    crate::common::run_python(python, "check_recipes.py", &[dir.arg("")]);
}
