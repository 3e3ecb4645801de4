//! Memory-mapped files: what points into the map, what had to be copied, what is refused.
#![cfg(all(feature = "mmap", feature = "ndarray"))]
#![allow(unsafe_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use ndarray::Array as NdArray;
use tfarrow::array::{BatchBuilder, IpcMap, tensor};
use tfarrow::sink::{SinkOptions, open_sink};

fn batch(k: usize, rows: usize) -> RecordBatch {
    let image =
        NdArray::from_shape_fn((rows, 8, 8), |(i, y, x)| u8::try_from((k + i + y + x) % 256).unwrap());
    let label = NdArray::from_shape_fn(rows, |i| i64::try_from(i + k).unwrap());
    let text = arrow::array::StringArray::from_iter_values((0..rows).map(|i| format!("row {i}")));
    let text_field = arrow::datatypes::Field::new("text", text.data_type().clone(), true);
    BatchBuilder::new()
        .with_array("image", image)
        .with_array("label", label)
        .with_column(text_field, std::sync::Arc::new(text))
        .build()
        .unwrap()
}

fn write(path: &Path, batches: &[RecordBatch], options: IpcWriteOptions) {
    let file = File::create(path).unwrap();
    let mut writer = FileWriter::try_new_with_options(file, batches[0].schema_ref(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

fn map(path: &Path) -> tfarrow::Result<IpcMap> {
    // SAFETY: the tests change no file that is mapped.
    unsafe { IpcMap::map(path) }
}

#[test]
fn batches_point_into_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let batches: Vec<RecordBatch> = (0..3).map(|k| batch(k, 5 + k)).collect();
    write(&path, &batches, IpcWriteOptions::default());
    let map = map(&path).unwrap();
    assert_eq!((map.num_batches(), map.schema()), (3, batches[0].schema()));
    let mut addresses = Vec::new();
    for k in [2, 0, 1, 2] {
        let read = map.batch(k).unwrap();
        assert_eq!(*read, batches[k]);
        assert!(read.is_zero_copy());
        let view = tensor(&read, "image").unwrap().view::<u8>().unwrap();
        assert_eq!(view.shape(), [5 + k, 8, 8]);
        addresses.push(view.as_ptr().addr());
    }
    // Taking a batch twice gives the same memory, and all of it lies within one file's length.
    assert_eq!(addresses[0], addresses[3]);
    let (min, max) = (addresses.iter().min().unwrap(), addresses.iter().max().unwrap());
    assert!(max - min < map.file_bytes());
    assert!(map.batch(3).unwrap_err().to_string().contains("expected less than 3, found 3"));
}

#[test]
fn rows_are_found_in_their_batches() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let sizes = [5, 0, 1, 7];
    let batches: Vec<RecordBatch> = sizes.iter().enumerate().map(|(k, rows)| batch(100 * k, *rows)).collect();
    write(&path, &batches, IpcWriteOptions::default());
    let map = map(&path).unwrap();
    assert_eq!(map.num_rows().unwrap(), 13);
    let whole = arrow::compute::concat_batches(&map.schema(), &batches).unwrap();
    for row in 0..13 {
        let (batch, at) = map.locate(row).unwrap();
        assert_eq!(map.batch(batch).unwrap().slice(at, 1).column(1), whole.slice(row, 1).column(1), "{row}");
    }
    assert!(map.locate(13).unwrap_err().to_string().contains("expected less than 13, found 13"));
}

#[test]
fn one_batch_is_one_array() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let batches: Vec<RecordBatch> = (0..3).map(|k| batch(k, 5 + k)).collect();
    let options = SinkOptions::new().with_one_batch(true);
    let mut sink = open_sink(&path, batches[0].schema_ref(), &options).unwrap();
    for batch in &batches {
        sink.write(batch).unwrap();
    }
    sink.finish().unwrap();
    let map = map(&path).unwrap();
    assert_eq!(map.num_batches(), 1);
    let all = map.batch(0).unwrap();
    assert_eq!(*all, arrow::compute::concat_batches(batches[0].schema_ref(), &batches).unwrap());
    assert_eq!(tensor(&all, "image").unwrap().view::<u8>().unwrap().shape(), [18, 8, 8]);
    assert!(all.is_zero_copy());

    let empty = dir.path().join("empty.arrow");
    open_sink(&empty, batches[0].schema_ref(), &options).unwrap().finish().unwrap();
    // SAFETY: nobody changes the file.
    assert_eq!(unsafe { IpcMap::map(&empty) }.unwrap().num_batches(), 0);

    let error = open_sink(&dir.path().join("x.npy"), batches[0].schema_ref(), &options).err().unwrap();
    assert!(error.to_string().contains("with_one_batch"), "{error}");
}

#[test]
fn a_batch_outlives_its_map_and_a_replaced_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    write(&path, &[batch(1, 4)], IpcWriteOptions::default());
    let read = map(&path).unwrap().batch(0).unwrap().into_batch();
    let other = dir.path().join("y.arrow");
    write(&other, &[batch(9, 4)], IpcWriteOptions::default());
    fs::rename(&other, &path).unwrap();
    assert_eq!(read, batch(1, 4));
}

#[test]
fn compressed_buffers_are_copied_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let path = dir.path().join("x.arrow");
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        write(&path, &[batch(0, 100)], options);
        let read = map(&path).unwrap().batch(0).unwrap();
        assert!(!read.is_zero_copy());
        assert_eq!(read.copied_columns().next(), Some("image"));
        assert_eq!(*read, batch(0, 100));
    }
}

#[test]
fn misaligned_buffers_are_copied_and_said_to_be() {
    // A file whose messages begin one byte later than they should: offsets of blocks are patched by
    // writing the whole file behind one more byte of padding.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let labels = BatchBuilder::new()
        .with_array("label", NdArray::from_shape_fn(64, |i| i64::try_from(i).unwrap()))
        .with_array("byte", NdArray::from_shape_fn(64, |i| u8::try_from(i).unwrap()))
        .build()
        .unwrap();
    write(&path, std::slice::from_ref(&labels), IpcWriteOptions::default());
    let bytes = fs::read(&path).unwrap();
    let footer_len =
        usize::try_from(i32::from_le_bytes(*bytes[..bytes.len() - 6].last_chunk().unwrap())).unwrap();
    let footer_start = bytes.len() - 10 - footer_len;
    let footer = arrow::ipc::root_as_footer(&bytes[footer_start..bytes.len() - 10]).unwrap();
    let offset = footer.recordBatches().unwrap().get(0).offset().to_le_bytes();
    let mut moved = bytes[..8].to_vec();
    moved.push(0);
    moved.extend_from_slice(&bytes[8..]);
    let start = footer_start + 1;
    let at = start + moved[start..].windows(8).position(|window| window == offset).unwrap();
    let new = i64::from_le_bytes(offset) + 1;
    moved[at..at + 8].copy_from_slice(&new.to_le_bytes());
    let path = dir.path().join("moved.arrow");
    fs::write(&path, moved).unwrap();

    let read = map(&path).unwrap().batch(0).unwrap();
    assert_eq!(*read, labels);
    assert_eq!(read.copied_columns().collect::<Vec<_>>(), ["label"]);
    assert!(!read.is_zero_copy());
}

#[test]
fn what_is_no_ipc_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    assert_eq!(map(&path).unwrap_err().kind(), tfarrow::ErrorKind::NotFound);
    write(&path, &[batch(0, 10)], IpcWriteOptions::default());
    let whole = fs::read(&path).unwrap();
    // Every truncation of the file, and the file with each byte of its footer damaged.
    for len in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..len]).unwrap();
        let opened = map(&path);
        assert!(opened.is_err(), "{len} of {}", whole.len());
    }
    for at in whole.len() - 900..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        File::create(&path).unwrap().write_all(&damaged).unwrap();
        // An error or not, but no panic and nothing outside of the file.
        if let Ok(map) = map(&path) {
            let _ = map.batches().map(|batch| batch.map(|batch| batch.num_rows())).collect::<Vec<_>>();
        }
    }
}

const SCAN: &str = "TFARROW_TEST_SCAN";

/// A file of 256 MiB is scanned in a process that may have 96 MiB of memory of its own; reading it
/// into memory fails there. (`ulimit -d` is the limit on private memory; `ulimit -v` would count
/// the map, which costs addresses and no memory.)
#[test]
#[cfg(target_os = "linux")]
fn a_file_larger_than_the_memory_limit_is_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.arrow");
    let rows = 1 << 20;
    let batches: Vec<RecordBatch> = (0..4)
        .map(|k| {
            BatchBuilder::new().with_array("x", NdArray::from_elem((rows, 16), k as f32)).build().unwrap()
        })
        .collect();
    write(&path, &batches, IpcWriteOptions::default());
    drop(batches);
    let output = Command::new("sh")
        .args(["-c", "ulimit -d 98304; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ipc_map::scan_in_a_small_process",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(SCAN, &path)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("scanned 4 batches, sum 100663296; reading it all: out of memory"), "{stdout}");
}

#[test]
#[ignore = "run by a_file_larger_than_the_memory_limit_is_scanned"]
#[allow(clippy::print_stdout)]
fn scan_in_a_small_process() {
    let Some(path) = std::env::var_os(SCAN) else { return };
    let map = map(Path::new(&path)).unwrap();
    let mut sum = 0f64;
    for batch in map.batches() {
        let batch = batch.unwrap();
        assert!(batch.is_zero_copy());
        let view = tensor(&batch, "x").unwrap().view::<f32>().unwrap();
        sum += view.as_slice().unwrap().iter().map(|v| f64::from(*v)).sum::<f64>();
    }
    let mut all: Vec<u8> = Vec::new();
    let read = match all.try_reserve_exact(map.file_bytes()) {
        Ok(()) => "it fits",
        Err(_) => "out of memory",
    };
    println!("scanned {} batches, sum {sum}; reading it all: {read}", map.num_batches());
}

#[test]
fn dictionaries_are_mapped_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.arrow");
    let names: arrow::array::DictionaryArray<arrow::datatypes::Int32Type> =
        ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("name", std::sync::Arc::new(names) as _)]).unwrap();
    write(&path, std::slice::from_ref(&batch), IpcWriteOptions::default());
    let read = map(&path).unwrap().batch(0).unwrap();
    assert_eq!(*read, batch);
    assert!(read.is_zero_copy());
    assert_eq!(read.column(0).as_any_dictionary().values().len(), 2);
}
