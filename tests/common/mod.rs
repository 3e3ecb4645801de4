//! A small kit for tests of the program: a folder to work in, a run of `tfarrow` and what came out
//! of it, the Arrow files it wrote, and Python where a test needs it.

#![allow(dead_code)] // every test crate uses its own part
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::cast_possible_truncation
)]

mod hints;

use std::ffi::OsStr;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileReader, StreamReader};
use serde_json::{Value, json};

/// The two shards of the digits, in `examples/data/digits`.
pub(crate) const DIGITS: &str = "examples/data/digits/digits.tfrecord-*-of-*";
/// How many digits there are.
pub(crate) const DIGITS_ROWS: usize = 1797;

/// A path within the repository.
pub(crate) fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path within the golden `tf.Example` files, as an argument.
pub(crate) fn golden(name: &str) -> String {
    repo("tests/golden/examples").join(name).to_str().unwrap().to_owned()
}

/// A JSON document of the repository.
pub(crate) fn json_file(path: &str) -> Value {
    serde_json::from_slice(&fs::read(repo(path)).unwrap()).unwrap()
}

/// A folder that is removed when the test ends.
pub(crate) struct Dir(tempfile::TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path within the folder, as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The names of everything in the folder, hidden files too, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The program, to be run in the root of the repository.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tfarrow"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

/// Runs the program with these arguments.
pub(crate) fn tfarrow<S: AsRef<OsStr>>(args: &[S]) -> Run {
    let mut command = command(args);
    let output = command.output().unwrap();
    Run { hinted: true, ..Run::new(&command, output) }
}

/// Runs the program with these arguments and this standard input.
pub(crate) fn tfarrow_fed<S: AsRef<OsStr>>(args: &[S], input: Vec<u8>) -> Run {
    let mut command = command(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        // The program may stop reading early; what it says about that is what the test looks at.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Run::new(&command, output)
}

/// What one run of the program left behind.
#[derive(Debug)]
pub(crate) struct Run {
    command: String,
    args: Vec<String>,
    /// Whether the hints of its error can be tried.
    hinted: bool,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    fn new(command: &Command, output: Output) -> Self {
        Self {
            command: format!("{command:?}"),
            args: command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            hinted: false,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Asserts that everything went well.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.command, self.stderr);
        self
    }

    /// Asserts that the command failed and said why in one line, and that what it says is of help is
    /// taken; returns that line.
    #[track_caller]
    pub(crate) fn failure(self) -> String {
        assert_eq!(self.code, Some(2), "{}\n{}", self.command, self.stderr);
        assert!(self.stderr.starts_with("tfarrow: error: "), "{}\n{}", self.command, self.stderr);
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{}\n{}", self.command, self.stderr);
        assert!(self.stdout.is_empty(), "{}: something on stdout", self.command);
        let message = self.stderr.trim_end();
        if self.hinted {
            hints::try_hints(&self.args, message);
        }
        message.to_owned()
    }
}

/// Asserts that `text` holds each of `parts`.
#[track_caller]
pub(crate) fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// What an Arrow IPC file or stream holds.
pub(crate) struct Table {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Table {
    pub(crate) fn open(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        if path.extension().is_some_and(|extension| extension == "arrows") {
            return Self::from_stream(bytes);
        }
        let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        Self { schema: reader.schema(), batches: reader.map(Result::unwrap).collect() }
    }

    pub(crate) fn from_stream(bytes: Vec<u8>) -> Self {
        let reader = StreamReader::try_new(Cursor::new(bytes), None).unwrap();
        Self { schema: reader.schema(), batches: reader.map(Result::unwrap).collect() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    pub(crate) fn columns(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// The values of one column, written as `tests/golden/examples/expected.json` writes them.
    pub(crate) fn values(&self, column: &str) -> Vec<Value> {
        let columns = self.batches.iter().map(|batch| batch.column_by_name(column).unwrap());
        columns.flat_map(|array| (0..array.len()).map(|row| value(array, row))).collect()
    }
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |list: ArrayRef| (0..list.len()).map(|i| value(&list, i)).collect();
    if let Some(array) = array.as_any().downcast_ref::<Int64Array>() {
        json!(array.value(row))
    } else if let Some(array) = array.as_any().downcast_ref::<Float32Array>() {
        float(array.value(row))
    } else if let Some(array) = array.as_any().downcast_ref::<Float64Array>() {
        match array.value(row) {
            value if value.is_finite() => json!(value),
            value => json!(value.to_string()),
        }
    } else if let Some(array) = array.as_any().downcast_ref::<Int32Array>() {
        json!(array.value(row))
    } else if let Some(array) = array.as_any().downcast_ref::<StringArray>() {
        json!(array.value(row))
    } else if let Some(array) = array.as_struct_opt() {
        let parts = array.fields().iter().zip(array.columns());
        Value::Object(parts.map(|(field, column)| (field.name().clone(), value(column, row))).collect())
    } else if let Some(array) = array.as_any().downcast_ref::<BinaryArray>() {
        json!(array.value(row).iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    } else if let Some(array) = array.as_list_opt::<i32>() {
        Value::Array(items(array.value(row)))
    } else if let Some(array) = array.as_fixed_size_list_opt() {
        Value::Array(items(array.value(row)))
    } else {
        panic!("{} is not among the golden types", array.data_type())
    }
}

fn float(value: f32) -> Value {
    match value {
        _ if value.is_nan() => json!("NaN"),
        f32::INFINITY => json!("Infinity"),
        f32::NEG_INFINITY => json!("-Infinity"),
        _ => json!(f64::from(value)),
    }
}

/// The Python of `TFARROW_TEST_PYTHON`, as a command to which arguments can be added.
///
/// Without it the test is skipped with a word of why; where `CI` or `TFARROW_REQUIRE_PYTHON` is
/// set, that is a failure.
pub(crate) fn python() -> Option<Command> {
    if let Some(python) = std::env::var_os("TFARROW_TEST_PYTHON").filter(|path| !path.is_empty()) {
        let mut command = Command::new(python);
        command.env("TF_CPP_MIN_LOG_LEVEL", "3").current_dir(env!("CARGO_MANIFEST_DIR"));
        return Some(command);
    }
    let required = ["CI", "TFARROW_REQUIRE_PYTHON"].iter().any(|name| std::env::var_os(name).is_some());
    assert!(!required, "TFARROW_TEST_PYTHON is not set; run ./test.sh");
    eprintln!("skipped: TFARROW_TEST_PYTHON is not set (./test.sh sets it)");
    None
}

/// Runs a script of `tests/python` and asserts that it is content.
#[track_caller]
pub(crate) fn run_python<S: AsRef<OsStr>>(mut python: Command, script: &str, args: &[S]) {
    let output = python.arg(repo("tests/python").join(script)).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{script}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

// Records made by hand.

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A protobuf field of bytes.
pub(crate) fn field(number: u8, body: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], &varint(body.len() as u64)[..], body].concat()
}

/// A `Feature` of one bytes value.
pub(crate) fn bytes_feature(value: &[u8]) -> Vec<u8> {
    field(1, &field(1, value))
}

fn features(features: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = features
        .iter()
        .map(|(name, feature)| field(1, &[field(1, name.as_bytes()), field(2, feature)].concat()));
    field(1, &entries.collect::<Vec<_>>().concat())
}

/// A `tf.train.Example` whose features are one bytes value each.
pub(crate) fn example(values: &[(&str, &[u8])]) -> Vec<u8> {
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, bytes_feature(value))).collect();
    features(&values)
}

/// A `tf.train.Example` of one int64 feature.
pub(crate) fn int_example(name: &str, value: u64) -> Vec<u8> {
    features(&[(name, field(3, &field(1, &varint(value))))])
}

/// A TFRecord file of these records.
pub(crate) fn tfrecord(records: &[Vec<u8>]) -> Vec<u8> {
    let crc = |data: &[u8]| crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    let mut out = Vec::new();
    for record in records {
        let length = (record.len() as u64).to_le_bytes();
        for part in [&length[..], &crc(&length), record, &crc(record)] {
            out.extend_from_slice(part);
        }
    }
    out
}
