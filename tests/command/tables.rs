//! Arrow and Parquet files as input: what was converted can be converted on, to anything.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::sync::Arc;

use crate::common::{DIGITS, DIGITS_ROWS, Dir, Table, assert_names, python, repo, run_python, tfarrow};
use arrow::array::{AsArray, PrimitiveArray, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, TimestampMicrosecondType, TimestampNanosecondType};
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tfarrow::{ReaderBuilder, conformance};

/// The golden saves that can be read, and columns of every kind with them.
fn saved() -> Vec<String> {
    let lost = ["tensor_array", "nested_dataset_window_unreadable", "dtypes_float8_e5m2_savefails"];
    let entries = fs::read_dir(repo("tests/golden/saved")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !lost.contains(&name.as_str()));
    names.sort();
    names.into_iter().map(|name| format!("tests/golden/saved/{name}/data")).collect()
}

#[test]
fn tables_give_back_what_they_were_made_of() {
    let dir = Dir::new();
    let mut inputs = saved();
    inputs.push(DIGITS.to_owned());
    let mut failed = 0;
    for (i, input) in inputs.iter().enumerate() {
        let first = dir.arg(&format!("{i}.arrow"));
        tfarrow(&["convert", input, "-o", &first]).success();
        let expected = fs::read(&first).unwrap();
        for (name, extra) in [
            ("x.arrow", &["--batch-rows", "3"][..]),
            ("x.arrows", &["--compression", "lz4"]),
            ("x.parquet", &["--row-group-rows", "4"]),
            ("y.parquet", &["--parquet-encodings", "compact"]),
        ] {
            let (table, back) = (dir.arg(&format!("{i}{name}")), dir.arg(&format!("{i}{name}.back.arrow")));
            let run = tfarrow(&[&["convert", input, "-o", &table], extra].concat());
            if run.code != Some(0) {
                // Parquet has no structs without members, for one.
                failed += 1;
                continue;
            }
            tfarrow(&["convert", &table, "-o", &back]).success();
            assert!(fs::read(&back).unwrap() == expected, "{input} through {name}");
            let saved = dir.arg(&format!("{i}{name}.saved"));
            let run = tfarrow(&["convert", &table, "-o", &saved, "--format", "saved"]);
            if run.code == Some(0) {
                let back = dir.arg(&format!("{i}{name}.saved.arrow"));
                tfarrow(&["convert", &saved, "-o", &back]).success();
                let (mut rows, mut values) = (Vec::new(), Vec::new());
                for path in [&first, &back] {
                    let table = Table::open(path.as_ref());
                    rows.push(table.rows());
                    values.push(concat_batches(&table.schema, &table.batches).unwrap());
                }
                assert_eq!(rows[0], rows[1], "{input} through {name}");
                let (first, back) = (&values[0], &values[1]);
                assert_eq!(first.columns(), back.columns(), "{input} through {name}");
            } else {
                assert_names(&run.failure(), &["null where TensorFlow has no such thing"]);
            }
        }
    }
    assert!(failed < 5, "{failed}");
}

#[test]
fn tables_conform() {
    let dir = Dir::new();
    for (name, extra) in [
        ("a.arrow", &["--batch-rows", "7"][..]),
        ("b.arrows", &["--batch-rows", "7"]),
        ("c.parquet", &["--row-group-rows", "11"]),
    ] {
        let out = dir.arg(name);
        tfarrow(&[&["convert", DIGITS, "--take", "60", "-o", &out], extra].concat()).success();
        for inputs in [vec![out.clone()], vec![out.clone(), out.clone()]] {
            let builder = ReaderBuilder::new(inputs);
            conformance::check(&builder.build_source().unwrap()).unwrap();
            let some = builder.with_columns(["writer", "label"]);
            conformance::check(&some.build_source().unwrap()).unwrap();
        }
    }
}

#[test]
fn every_command_takes_them() {
    let dir = Dir::new();
    for name in ["x.arrow", "x.arrows", "x.parquet"] {
        let path = dir.arg(name);
        let groups = if name == "x.parquet" { &["--row-group-rows", "1000"][..] } else { &[] };
        tfarrow(&[&["convert", DIGITS, "-o", &path], groups].concat()).success();
        assert_eq!(tfarrow(&["count", &path]).success().text(), format!("{DIGITS_ROWS}\n"));
        assert_eq!(tfarrow(&["count", &path, "--check"]).success().text(), format!("{DIGITS_ROWS}\n"));
        let run = tfarrow(&["schema", &path, "--json"]).success();
        let schema: Value = serde_json::from_str(run.text()).unwrap();
        assert_eq!(schema["cardinality"], json!(DIGITS_ROWS));
        let pixels = &schema["element_spec"]["dict"]["pixels"];
        assert_eq!(pixels, &json!({"tensor": {"dtype": "float32", "shape": [64]}}));
        let partitions = schema["partitions"].as_array().unwrap();
        assert_eq!(partitions.len(), if name == "x.parquet" { 2 } else { 1 });
        let rows: u64 = partitions.iter().map(|p| p["rows"].as_u64().unwrap()).sum();
        assert_eq!(rows, DIGITS_ROWS as u64);
        let head = tfarrow(&["head", &path, "-n", "2", "--columns", "label,writer"]).success();
        assert_names(head.text(), &["label", "writer-01"]);
        assert_names(tfarrow(&["verify", &path]).success().text(), &["sound"]);
        let folder = dir.arg(&format!("{name}.d/"));
        let args = ["convert", &path, "-o", &folder, "--format", "parquet"];
        tfarrow(&args).success();
        let run = tfarrow(&[&args[..], &["--resume"]].concat()).success();
        assert_names(&run.stderr, &["of them kept"]);
        // The parts follow the input, and notice that it has changed.
        tfarrow(&["convert", DIGITS, "--take", "5", "-o", &path, "--overwrite"]).success();
        let message = tfarrow(&[&args[..], &["--resume"]].concat()).failure();
        assert_names(&message, &["cannot resume"]);
    }
}

#[test]
fn a_parquet_column_that_is_not_asked_for_is_not_read() {
    let dir = Dir::new();
    let path = dir.arg("x.parquet");
    tfarrow(&["convert", DIGITS, "-o", &path, "--compression", "none"]).success();
    let read = |args: &[&str]| {
        let run = tfarrow(&[&["convert", &path, "--dry-run"], args].concat()).success();
        let text = run.stderr;
        let at = text.find(" MB read").unwrap();
        text[..at].rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(read(&["--columns", "label"]) * 3.0 < read(&[]));
}

#[test]
fn what_does_not_decode_is_passed_over_when_told_to() {
    let dir = Dir::new();
    for (name, extra, record) in [
        ("x.arrow", &["--batch-rows", "100", "--compression", "zstd"][..], "record 4"),
        ("x.parquet", &["--row-group-rows", "100"], "record 4"),
    ] {
        let path = dir.arg(name);
        let args = ["convert", DIGITS, "--columns", "pixels", "-o", &path];
        tfarrow(&[&args[..], extra].concat()).success();
        // Somewhere in the middle of the fifth of eighteen parts.
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() / 18 * 9 / 2;
        bytes[at..at + 64].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        assert_names(&tfarrow(&["convert", &path, "--dry-run"]).failure(), &[name, record]);
        for (policy, rows) in [("skip", 1697), ("null", 1698)] {
            let run = tfarrow(&["convert", &path, "-o", "-", "--on-error", policy]);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert_eq!(Table::from_stream(run.stdout).rows(), rows, "{name}");
        }
        let run = tfarrow(&["verify", &path]);
        assert_eq!(run.code, Some(1));
        assert_names(run.text(), &[record]);
    }
}

/// What went through a Parquet file, an Arrow file or a stream is loaded by TensorFlow as what it was
/// saved as: structure, dtypes and values.
#[test]
fn tensorflow_loads_what_went_through_tables() {
    let Some(mut python) = python() else { return };
    let dir = Dir::new();
    let script = repo("tests/python/make_saved.py");
    let made =
        python.arg(script).args([dir.arg(""), "--count=12".into(), "--seed=7".into()]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for name in dir.names() {
        let data = dir.arg(&format!("{name}/data"));
        for (extension, compression) in [("parquet", "none"), ("arrow", "gzip"), ("arrows", "snappy")] {
            let table = dir.arg(&format!("{name}/x.{extension}"));
            tfarrow(&["convert", &data, "-o", &table]).success();
            let back = dir.arg(&format!("{name}/back_{compression}"));
            let args = ["--format", "saved", "--compression", compression];
            tfarrow(&[&["convert", &table, "-o", &back], &args[..]].concat()).success();
        }
    }
    run_python(crate::common::python().unwrap(), "check_saved.py", &[dir.arg("")]);
}

/// Files of pandas and pyarrow, which know nothing of TensorFlow.
#[test]
fn files_of_pandas_and_pyarrow_are_read() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "make_tables.py", &[dir.arg("")]);
    for name in ["pandas.parquet", "pandas.feather", "pyarrow.parquet", "pyarrow.arrow", "pyarrow.arrows"] {
        let path = dir.arg(name);
        let table = Table::from_stream(tfarrow(&["convert", &path, "-o", "-"]).success().stdout);
        assert_eq!(table.values("n"), [json!(1), json!(2), json!(3)], "{name}");
        assert_eq!(table.values("text"), [json!("a"), Value::Null, json!("é")], "{name}");
        if name.starts_with("pyarrow") {
            assert_eq!(table.values("tensor")[2], json!([8.0, 9.0, 10.0, 11.0]), "{name}");
            let field = table.schema.field_with_name("tensor").unwrap();
            assert_eq!(field.metadata()["ARROW:extension:metadata"], r#"{"shape":[2,2]}"#, "{name}");
            assert_eq!(table.values("list"), [json!([1, 2]), json!([]), Value::Null], "{name}");
        }
        let out = dir.arg(&format!("{name}.tfrecord"));
        if name.starts_with("pandas") {
            let message = tfarrow(&["convert", &path, "-o", &out]).failure();
            assert_names(&message, &["Timestamp", "column `when`", "--exclude"]);
        }
        let exclude = if name.starts_with("pandas") { "when" } else { "list" };
        tfarrow(&["convert", &path, "--exclude", exclude, "-o", &out]).success();
    }
}

/// Every type that pyarrow, pandas and polars write, through tfarrow: what pyarrow then reads is
/// what it read before, extension types, indices and all.
#[test]
fn columns_of_every_type_pass_through() {
    let Some(python) = python() else { return };
    let (inputs, outputs) = (Dir::new(), Dir::new());
    run_python(python, "make_types.py", &[inputs.arg("")]);
    // What pyarrow cannot write to Parquet either.
    let no_parquet = ["dense_union", "sparse_union", "month_day_nano", "empty_struct"];
    for name in inputs.names() {
        let (stem, from) = name.rsplit_once('.').unwrap();
        for to in if from == "arrows" { &["arrows"][..] } else { &["arrow", "parquet"] } {
            let out = outputs.arg(&format!("{name}.to.{to}"));
            let run = tfarrow(&["convert", &inputs.arg(&name), "-o", &out]);
            if *to == "parquet" && no_parquet.contains(&stem) {
                assert_names(&run.failure(), &["Parquet has no place", "column `c`", "--exclude"]);
            } else {
                run.success();
            }
        }
    }
    run_python(crate::common::python().unwrap(), "check_types.py", &[inputs.arg(""), outputs.arg("")]);
}

/// The same without Python: columns that hold no tensors are what arrow-rs reads.
#[test]
fn columns_of_others_are_what_arrow_reads() {
    let mut kept = 0;
    for name in fs::read_dir(repo("tests/golden/tables")).unwrap() {
        let path = name.unwrap().path();
        let file = || fs::File::open(&path).unwrap();
        let expected: Vec<RecordBatch> = match path.extension().unwrap().to_str().unwrap() {
            "arrow" => FileReader::try_new(file(), None).unwrap().map(Result::unwrap).collect(),
            "arrows" => StreamReader::try_new(file(), None).unwrap().map(Result::unwrap).collect(),
            _ => ParquetRecordBatchReaderBuilder::try_new(file())
                .unwrap()
                .build()
                .unwrap()
                .map(Result::unwrap)
                .collect(),
        };
        let expected = concat_batches(&expected[0].schema(), &expected).unwrap();
        let out =
            Table::from_stream(tfarrow(&["convert", path.to_str().unwrap(), "-o", "-"]).success().stdout);
        let found = concat_batches(&out.schema, &out.batches).unwrap();
        assert_eq!(found.num_rows(), expected.num_rows(), "{path:?}");
        for ((field, before), after) in
            expected.schema().fields().iter().zip(expected.columns()).zip(found.columns())
        {
            let own = out.schema.field_with_name(field.name()).unwrap();
            if own.data_type() == field.data_type() {
                kept += 1;
                assert_eq!(before, after, "{path:?}: {}", field.name());
            } else {
                // As tfarrow stores tensors: nothing of others' extension types is left then.
                let extension = own.metadata().get("ARROW:extension:name").map(String::as_str);
                assert!(matches!(extension, None | Some("arrow.fixed_shape_tensor")), "{path:?}: {own:?}");
                assert_eq!(&arrow::compute::cast(before, own.data_type()).unwrap(), after, "{path:?}");
            }
        }
    }
    assert!(kept > 80, "{kept}");
}

/// Times of Spark have microseconds and any year; of others, which count nanoseconds, no other year is made
/// of one that these cannot hold.
#[test]
fn times_of_96_bits_are_right_or_refused() {
    let int96 = |name: &str| format!("tests/golden/int96/{name}.parquet");
    let table = |name: &str| {
        Table::from_stream(tfarrow(&["convert", &int96(name), "-o", "-"]).success().stdout).batches[0]
            .column_by_name("t")
            .unwrap()
            .clone()
    };
    // As pyspark 3.5 wrote them: 9999-12-31T01:02:03.456789, 2020, null, 1600-05-06.
    let expected =
        vec![Some(253_402_218_123_456_789), Some(1_577_836_800_000_000), None, Some(-11_665_209_600_000_000)];
    assert_eq!(*table("spark").as_primitive::<TimestampMicrosecondType>(), PrimitiveArray::from(expected));
    let expected = vec![Some(1_577_836_800_000_000_000), None];
    assert_eq!(*table("near").as_primitive::<TimestampNanosecondType>(), PrimitiveArray::from(expected));
    let message = tfarrow(&["convert", &int96("far"), "--dry-run"]).failure();
    assert_names(&message, &["INT96 of a time before 1678 or after 2261", "column `t`", "--exclude t"]);
    let run = tfarrow(&["verify", &int96("far")]);
    assert!(!run.text().contains("damaged"), "{}", run.text());
}

/// A table may have rows and no columns; outputs that count by their columns refuse it.
#[test]
fn rows_without_columns_are_counted() {
    let dir = Dir::new();
    let (path, empty) = (dir.arg("none.arrow"), dir.arg("empty.tfrecord"));
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    let mut writer = FileWriter::try_new(fs::File::create(&path).unwrap(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    assert_eq!(tfarrow(&["count", &path]).success().text(), "3\n");
    assert_eq!(Table::from_stream(tfarrow(&["convert", &path, "-o", "-"]).success().stdout).rows(), 3);
    for name in ["x.parquet", "x.npz", "x.npyd"] {
        let message = tfarrow(&["convert", &path, "-o", &dir.arg(name)]).failure();
        assert_names(&message, &["rows without columns", name, "write Arrow"]);
    }
    // What becomes of an empty file is read again.
    fs::write(&empty, b"").unwrap();
    for name in ["y.parquet", "y.arrow"] {
        tfarrow(&["convert", &empty, "-o", &dir.arg(name)]).success();
        assert_eq!(tfarrow(&["count", &dir.arg(name)]).success().text(), "0\n");
    }
}

/// What has no place for a type says which column it is, and of which type.
#[test]
fn outputs_without_a_place_for_a_type_refuse_it() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "make_types.py", &[dir.arg("")]);
    for (name, data_type) in [
        ("null", "Null"),
        ("decimal128", "Decimal128(38, 2)"),
        ("date32", "Date32"),
        ("time64_us", "Time64(µs)"),
        ("timestamp_us_zone", "Timestamp(µs, \"Europe/Berlin\")"),
        ("duration_s", "Duration(s)"),
        ("month_day_nano", "Interval(MonthDayNano)"),
        ("list_view", "ListView("),
        ("list_of_timestamp", "Timestamp(µs)"),
        ("list_of_struct", "Struct("),
        ("map", "Map("),
        ("run_end_encoded", "RunEndEncoded("),
        ("dense_union", "Union(Dense"),
        ("empty_struct", "Struct()"),
        ("tensor_permuted", "permuted"),
        ("foreign_timestamp_s_", "Timestamp(s)"),
    ] {
        let input = dir.arg(&format!("{name}.arrow"));
        for (output, extra) in [
            ("x.tfrecord", &[][..]),
            ("x.saved", &["--format", "saved"]),
            ("x.npy", &[]),
            ("x.npz", &[]),
            ("x.npyd", &[]),
        ] {
            let output_path = dir.arg(output);
            let args = [&["convert", &input, "-o", &output_path], extra].concat();
            let message = tfarrow(&args).failure();
            assert_names(&message, &["column `c`", "--exclude"]);
            if !(output.starts_with("x.np") && data_type == "permuted") {
                assert_names(&message, &[data_type]);
            }
        }
    }
}

/// `--cast` takes every number of others' tables, wherever it stands; the values are NumPy's.
#[test]
fn numbers_of_others_are_cast_wherever_they_stand() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "casts.py", &["make".into(), dir.arg("")]);
    let cast = |cast: &str, output: &str| {
        let (input, output) = (dir.arg("in.arrow"), dir.arg(output));
        tfarrow(&["convert", &input, "-o", &output, "--cast", cast]).success();
    };
    cast("float64:float32", "all.arrow");
    cast("struct/a=float32", "member.arrow");
    let schema = Table::open(dir.arg("in.arrow").as_ref()).schema;
    for field in schema.fields().iter().filter(|field| !["int", "text"].contains(&field.name().as_str())) {
        cast(&format!("{}=float32", field.name()), &format!("{}.arrow", field.name()));
    }
    run_python(crate::common::python().unwrap(), "casts.py", &["check".into(), dir.arg("")]);
    // Parquet that pyarrow wrote, and what cannot be cast.
    let parquet = dir.arg("in.parquet");
    let args =
        ["convert", &parquet, "-o", "-", "--columns", "scalar,list,fixed", "--cast", "float64:float32"];
    let table = Table::from_stream(tfarrow(&args).success().stdout);
    assert_eq!(table.values("list")[0], json!([0.1_f32, -0.666_666_7_f32]));
    for (cast, parts) in [
        ("text=int32", &["cannot be cast", "column `text`"][..]),
        ("struct/c=int32", &["no column `struct/c`"]),
        ("struct/b=int32", &["cannot be cast", "column `struct/b`"]),
        ("scalar=int8", &[]),
    ] {
        let run = tfarrow(&["convert", &parquet, "-o", "-", "--cast", cast]);
        assert_eq!(run.code == Some(0), parts.is_empty(), "{cast}: {}", run.stderr);
        assert_names(&run.stderr, parts);
    }
}

/// Floats of pandas go into TFRecord files with the cast that the error names, as it stands.
#[test]
fn the_hint_for_floats_of_pandas_works_as_it_stands() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "casts.py", &["make".into(), dir.arg("")]);
    for name in ["frame.parquet", "frame.arrow"] {
        let (input, output) = (dir.arg(name), dir.arg(&format!("{name}.tfrecord")));
        let message = tfarrow(&["convert", &input, "-o", &output]).failure();
        let hint = "--cast float64:float32";
        assert_names(&message, &["float64", hint]);
        let args: Vec<&str> = hint.split(' ').collect();
        tfarrow(&[&["convert", &input, "-o", &output], &args[..]].concat()).success();
        let read = ["convert", &output, "-o", "-"];
        let table = Table::from_stream(tfarrow(&read).success().stdout);
        assert_eq!(table.values("x"), [json!(0.1_f32), json!(-0.666_666_7_f32)]);
        assert_eq!(table.values("y"), [json!(1.5_f32), json!(2.5_f32)]);
        assert_eq!(table.values("l"), [json!([0.1_f32]), json!([-0.666_666_7_f32, 10.0_f32])]);
    }
}

#[test]
fn parquet_of_every_compression_is_read_and_what_is_encrypted_is_said_to_be() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "make_parquet.py", &[dir.arg("")]);
    for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"] {
        let path = dir.arg(&format!("{codec}.parquet"));
        let table = Table::from_stream(tfarrow(&["convert", &path, "-o", "-"]).success().stdout);
        assert_eq!((table.rows(), &table.values("word")[999]), (1000, &json!("word 5")), "{codec}");
    }
    for (name, what) in [("encrypted", "encrypted"), ("encrypted_columns", "encrypted columns")] {
        let path = dir.arg(&format!("{name}.parquet"));
        for args in
            [&["convert", &path, "--dry-run", "--on-error", "skip"][..], &["verify", &path], &["head", &path]]
        {
            let message = tfarrow(args).failure();
            assert_names(&message, &[what, name, "without encryption"]);
            assert!(!message.contains("damage") && !message.contains("corrupt"), "{message}");
        }
    }
}

/// A Parquet file of two columns, changed where its footer says how the column `b` is stored: behind
/// the column's path stand the codec and the number of values.
fn changed_parquet(dir: &Dir, name: &str, change: impl FnOnce(&mut [u8])) -> String {
    let path = dir.arg(name);
    let input = dir.arg("in.arrow");
    if !std::path::Path::new(&input).exists() {
        tfarrow(&["convert", DIGITS, "--take", "60", "--columns", "label,writer", "-o", &input]).success();
    }
    tfarrow(&["convert", &input, "-o", &path, "--compression", "snappy"]).success();
    let mut bytes = fs::read(&path).unwrap();
    // A list of one string, then a field of 32 bits: SNAPPY.
    let path_and_codec = b"\x19\x18\x06writer\x15\x02";
    let found: Vec<usize> = (0..bytes.len() - path_and_codec.len())
        .filter(|at| bytes[*at..].starts_with(path_and_codec))
        .map(|at| at + path_and_codec.len() - 1)
        .collect();
    let [codec] = found[..] else { panic!("{found:?}") };
    change(&mut bytes[codec..]);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn compressions_that_are_not_read_are_no_damage() {
    let dir = Dir::new();
    const LZO: u8 = 3 << 1;
    let path = changed_parquet(&dir, "lzo.parquet", |footer| footer[0] = LZO);
    for args in [&["convert", &path, "--dry-run", "--on-error", "skip"][..], &["verify", &path]] {
        let run = tfarrow(args);
        let message = run.failure();
        assert_names(&message, &["LZO", "column `writer`", "--exclude"]);
        assert!(!message.contains("damage"), "{message}");
    }
    let args = ["convert", &path, "-o", "-", "--exclude", "writer"];
    assert_eq!(Table::from_stream(tfarrow(&args).success().stdout).rows(), 60);
}

#[test]
fn columns_of_different_lengths_are_damage() {
    let dir = Dir::new();
    // A field of 64 bits: 60 values.
    let path = changed_parquet(&dir, "short.parquet", |footer| {
        assert_eq!(footer[1..3], [0x16, 60 << 1]);
        footer[2] = 50 << 1;
    });
    let message = tfarrow(&["convert", &path, "--dry-run"]).failure();
    assert_names(&message, &["another length", "expected 60 values, found 50", "column `writer`"]);
    let run = tfarrow(&["verify", &path]);
    assert_eq!(run.code, Some(1), "{}", run.text());
    let args = ["convert", &path, "-o", "-", "--exclude", "writer"];
    assert_eq!(Table::from_stream(tfarrow(&args).success().stdout).rows(), 60);
}

/// Whatever is done to a table, standard error has one line of an error, and no panic of a library.
#[test]
fn damage_is_said_in_one_line() {
    let dir = Dir::new();
    for extension in ["arrow", "arrows", "parquet"] {
        let path = dir.arg(&format!("x.{extension}"));
        tfarrow(&["convert", DIGITS, "--take", "20", "-o", &path, "--compression", "zstd"]).success();
        let whole = fs::read(&path).unwrap();
        for i in 0..60 {
            let mut bytes = whole.clone();
            let at = if i % 2 == 0 { i * whole.len() / 60 } else { whole.len() - 12 - i * 7 };
            bytes[at] ^= 0x41;
            fs::write(&path, &bytes).unwrap();
            let run = tfarrow(&["convert", &path, "--dry-run"]);
            assert!(run.stderr.lines().count() == 1, "byte {at}: {}", run.stderr);
            assert!(!run.stderr.contains("panicked"), "byte {at}: {}", run.stderr);
        }
    }
}

/// The index that pandas keeps beside a table is there after a conversion, with fewer columns too.
#[test]
fn pandas_finds_its_index_again() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "pandas_index.py", &["make".into(), dir.arg("")]);
    for (name, extra) in [
        ("all", &[][..]),
        ("some", &["--exclude", "x"]),
        ("renamed", &["--rename", "x=z"]),
        ("cast", &["--cast", "float64:float32"]),
        ("without", &["--columns", "x"]),
    ] {
        for extension in ["parquet", "arrow"] {
            let output = dir.arg(&format!("{name}.{extension}"));
            let args = ["convert", &dir.arg("in.parquet"), "-o", &output];
            tfarrow(&[&args[..], extra].concat()).success();
        }
    }
    run_python(crate::common::python().unwrap(), "pandas_index.py", &["check".into(), dir.arg("")]);
}

/// An Arrow file has one dictionary a column, and Parquet and streams may have one a row group or
/// batch: they become one.
#[test]
fn dictionaries_that_change_become_one() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    run_python(python, "dictionaries.py", &["make".into(), dir.arg("")]);
    for input in ["x.arrows", "x.parquet", "delta.arrow", "delta.arrows"] {
        for (output, extra) in [
            ("a.arrow", &["--batch-rows", "3"][..]),
            ("b.arrow", &["--batch-rows", "3", "--compression", "zstd", "--threads", "3"]),
            ("c.arrow", &["--one-batch"]),
            ("d.arrows", &["--batch-rows", "3"]),
            ("e.parquet", &["--row-group-rows", "3"]),
        ] {
            let (input, output) = (dir.arg(input), dir.arg(&format!("{input}.to.{output}")));
            tfarrow(&[&["convert", &input, "-o", &output], extra].concat()).success();
            assert_names(tfarrow(&["verify", &output]).success().text(), &["sound"]);
        }
    }
    run_python(crate::common::python().unwrap(), "dictionaries.py", &["check".into(), dir.arg("")]);
    let (many, out) = (dir.arg("many.arrows"), dir.arg("many.arrow"));
    let args = ["convert", &many, "--batch-rows", "1", "-o", &out];
    let message = tfarrow(&args).failure();
    assert_names(&message, &["more values than its keys can count", "Int8", "column `c`", "--exclude"]);
    assert!(!std::path::Path::new(&out).exists());
    tfarrow(&["convert", &many, "-o", &dir.arg("many.parquet")]).success();
}
