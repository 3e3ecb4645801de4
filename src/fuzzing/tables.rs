//! Tables of others.

use std::path::Path;

use arrow::array::RecordBatch;

use super::Input;
use super::files::{folder, read, read_in_batches, write};
use crate::options::OnError;
use crate::reader::ReaderBuilder;
use crate::schema::cast::Cast;
use crate::sink::{SinkOptions, open_sink};

/// Rows that are worth the time: nulls and structs without members take no bytes.
const MAX_ROWS: u64 = 2_000;

/// Arrow IPC files.
pub fn arrow_file(data: &[u8]) {
    check(data, "t.arrow");
}

/// Arrow IPC streams.
pub fn arrow_stream(data: &[u8]) {
    check(data, "t.arrows");
}

/// Parquet files.
#[cfg(feature = "parquet")]
pub fn parquet(data: &[u8]) {
    check(data, "t.parquet");
}

/// What the ways of reading a table say agrees, and what comes out can be written and read again.
fn check(data: &[u8], name: &str) {
    let mut input = Input(data);
    let flags = input.byte();
    let path = folder().join(name);
    write(&path, input.rest());
    let mut table = builder(&path);
    if table.count().is_ok_and(|rows| rows > MAX_ROWS) {
        return;
    }
    if flags & 1 != 0 {
        for cast in ["float64:float32", "int64:int32"] {
            table = table.with_cast(Cast::parse(cast).unwrap());
        }
    }
    // Whether Parquet's damage is seen depends on how many rows are asked for at a time.
    let read_in_batches = if name.ends_with(".parquet") { read } else { read_in_batches };
    let all = read_in_batches(&table);
    let skipped = read(&table.clone().with_on_error(OnError::Skip));
    let nulls = read_in_batches(&table.clone().with_on_error(OnError::Null));
    let Some(all) = all else { return };
    assert_eq!(Some(&all), skipped.as_ref());
    assert_eq!(Some(&all), nulls.as_ref());
    if let Ok(rows) = table.count() {
        assert_eq!(all.num_rows() as u64, rows);
    }
    let back = |name: &str| {
        let path = folder().join(name);
        written(&all, &path).then(|| read(&builder(&path)).expect("what was written"))
    };
    if let Some(back) = back("back.arrow") {
        assert_eq!(all.columns(), back.columns());
    }
    if flags & 2 != 0 {
        if let Some(back) = back("back.arrows") {
            assert_eq!(all.columns(), back.columns());
        }
        // Parquet does not have every type.
        #[cfg(feature = "parquet")]
        if let Some(back) = back("back.parquet") {
            assert_eq!(all.num_rows(), back.num_rows());
        }
        for name in ["back.tfrecord", "back.npz"] {
            written(&all, &folder().join(name));
        }
    }
}

/// Of tables, no size of a record can be given.
fn builder(path: &Path) -> ReaderBuilder {
    ReaderBuilder::new([path.to_str().expect("a path")])
}

/// Whether `batch` can be written to `path`.
fn written(batch: &RecordBatch, path: &Path) -> bool {
    let write = || {
        let mut sink = open_sink(path, &batch.schema(), &SinkOptions::default())?;
        sink.write(batch)?;
        sink.finish()
    };
    write().is_ok()
}
