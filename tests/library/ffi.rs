//! The Arrow C stream interface, taken by pyarrow in another language's process.
#![cfg(all(feature = "ffi", feature = "cli"))]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

use crate::common::{DIGITS, python, run_python};
use arrow::array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ffi_stream::ArrowArrayStreamReader;
use tfarrow::{Error, ErrorKind, ReaderBuilder, export_stream};

#[test]
fn schema_and_batches_arrive_as_they_are() {
    let builder = ReaderBuilder::new([DIGITS]).with_batch_rows(500);
    let expected: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let reader =
        ArrowArrayStreamReader::try_new(export_stream(builder.build().unwrap().into_arrow())).unwrap();
    assert_eq!(reader.schema(), expected[0].schema());
    assert_eq!(reader.map(Result::unwrap).collect::<Vec<_>>(), expected);
}

#[test]
fn errors_arrive_as_messages() {
    let error = Error::new(ErrorKind::Corrupt, "wrong checksum").in_source("a.tfrecord").at_record(7);
    let reader = RecordBatchIterator::new([Err(ArrowError::from(error))], Schema::empty().into());
    let mut reader = ArrowArrayStreamReader::try_new(export_stream(reader)).unwrap();
    let message = reader.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("wrong checksum (a.tfrecord, record 7)"), "{message}");
}

#[test]
fn pyarrow_takes_the_stream() {
    let Some(python) = python() else { return };
    let build = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--example", "c_stream", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let messages = String::from_utf8(build.stdout).unwrap();
    assert!(build.status.success(), "{messages}{}", String::from_utf8_lossy(&build.stderr));
    let library = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|message| message["target"]["name"] == "c_stream" && message["filenames"].is_array())
        .unwrap()["filenames"][0]
        .as_str()
        .unwrap()
        .to_owned();
    run_python(python, "check_c_stream.py", &[library.as_str(), DIGITS]);
}
