//! Whole datasets as owned arrays: their values, and the memory it takes.
#![cfg(feature = "ndarray")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, RecordBatchIterator, RecordBatchReader, StringArray};
use half::bf16;
use ndarray::{Array as NdArray, array};
use num_complex::Complex;
use tfarrow::array::{ArrayCollector, BatchBuilder, to_arrays};
use tfarrow::options::BoolStorage;
use tfarrow::{DType, ErrorKind};

fn reader(batches: Vec<RecordBatch>) -> impl RecordBatchReader {
    let schema = batches[0].schema();
    RecordBatchIterator::new(batches.into_iter().map(Ok), schema)
}

#[test]
fn every_dtype_in_batches_of_different_length() {
    let batch = BatchBuilder::new()
        .with_array("u8", array![[1u8, 2], [3, 4], [5, 6]])
        .with_array("i64", array![1i64, 2, 3])
        .with_array("bf16", array![bf16::ONE, bf16::ZERO, bf16::PI])
        .with_array("c64", array![[Complex::new(1f32, 2.)], [Complex::new(3., 4.)], [Complex::new(5., 6.)]])
        .with_array("none", NdArray::<f32, _>::zeros((3, 0, 2)))
        .with_bools("bits", &array![[true, false], [false, false], [true, true]].view())
        .with_bool(BoolStorage::UInt8)
        .with_bools("bytes", &array![[true], [false], [true]].view())
        .build()
        .unwrap();
    let mut arrays = to_arrays(reader(vec![batch.clone(), batch.slice(1, 2), batch.slice(0, 0)])).unwrap();
    assert_eq!(arrays.rows(), 5);
    assert_eq!(arrays.names().collect::<Vec<_>>(), ["u8", "i64", "bf16", "c64", "none", "bits", "bytes"]);
    assert_eq!(arrays.view::<u8>("u8").unwrap(), array![[1, 2], [3, 4], [5, 6], [3, 4], [5, 6]].into_dyn());
    assert_eq!(arrays.take::<i64>("i64").unwrap(), array![1, 2, 3, 2, 3].into_dyn());
    assert_eq!(arrays.take::<bf16>("bf16").unwrap()[[4]], bf16::PI);
    assert_eq!(arrays.take::<Complex<f32>>("c64").unwrap()[[3, 0]], Complex::new(3., 4.));
    assert_eq!(arrays.shape("none"), Some(&[5, 0, 2][..]));
    assert!(arrays.take::<bool>("bits").unwrap()[[4, 1]]);
    assert_eq!(arrays.dtype("bytes"), Some(DType::Bool));
    assert!(!arrays.take::<bool>("bytes").unwrap()[[3, 0]]);
    let error = arrays.take::<f32>("u8").unwrap_err().to_string();
    assert_eq!(error, "wrong type of values: expected f32, found uint8 (column `u8`)");
    assert!(arrays.view::<i64>("i64").unwrap_err().to_string().contains("found `i64`"));
}

#[test]
fn casts() {
    let batch = BatchBuilder::new()
        .with_array("f64", array![[1.5f64, 1e300], [-2., 0.1]])
        .with_array("bf16", array![bf16::ONE, bf16::NEG_ONE])
        .with_array("c", array![Complex::new(1f64, 2.), Complex::new(3., 4.)])
        .with_array("i64", array![300i64, 1])
        .with_bools("b", &array![true, false].view())
        .build()
        .unwrap();
    let collector = ArrayCollector::new()
        .with_cast(DType::Float64, DType::Float32)
        .with_cast(DType::BFloat16, DType::Float32)
        .with_cast(DType::Complex128, DType::Complex64)
        .with_cast(DType::Int64, DType::UInt8)
        .with_column_cast("i64", DType::Int32)
        .with_column_cast("b", DType::Float32);
    let mut arrays = collector.collect(reader(vec![batch.clone(), batch.slice(1, 1)])).unwrap();
    assert_eq!(
        arrays.take::<f32>("f64").unwrap(),
        array![[1.5, f32::INFINITY], [-2., 0.1], [-2., 0.1]].into_dyn()
    );
    assert_eq!(arrays.take::<f32>("bf16").unwrap(), array![1., -1., -1.].into_dyn());
    assert_eq!(arrays.take::<Complex<f32>>("c").unwrap()[[2]], Complex::new(3., 4.));
    assert_eq!(arrays.take::<i32>("i64").unwrap(), array![300, 1, 1].into_dyn());
    assert_eq!(arrays.take::<f32>("b").unwrap(), array![1., 0., 0.].into_dyn());

    let narrow = ArrayCollector::new().with_columns(["i64"]).with_cast(DType::Int64, DType::UInt8);
    let error = narrow.collect(reader(vec![batch.clone()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.to_string().contains("300") && error.to_string().contains("column `i64`"), "{error}");
    let error =
        ArrayCollector::new().with_column_cast("c", DType::Float32).collect(reader(vec![batch])).unwrap_err();
    assert_eq!(error.to_string(), "no cast from complex128 to float32 (column `c`)");
}

#[test]
fn what_is_no_array_is_refused() {
    let batch = RecordBatch::try_from_iter([
        ("x", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
        ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
    ])
    .unwrap();
    let error = to_arrays(reader(vec![batch.clone()])).unwrap_err().to_string();
    assert!(error.contains("column `text`") && error.contains("with_columns()"), "{error}");
    let error = ArrayCollector::new().with_columns(["x"]).collect(reader(vec![batch.clone()])).unwrap_err();
    assert!(error.to_string().contains("null row"), "{error}");
    let error = ArrayCollector::new().with_columns(["y"]).collect(reader(vec![batch.clone()])).unwrap_err();
    assert_eq!(error.to_string(), "no such column: expected one of x, text, found `y`");
    let error = ArrayCollector::new()
        .with_columns(["x"])
        .with_rows(usize::MAX / 4)
        .collect(reader(vec![batch.slice(0, 1)]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
}

/// `TFARROW_TEST_PEAK=rows,cast`: what the other process is to do.
const PEAK: &str = "TFARROW_TEST_PEAK";
const BATCHES: usize = 64;
const BATCH_ROWS: usize = 1 << 13;
/// Bytes of one batch: 128 float64 a row.
const BATCH_BYTES: usize = BATCH_ROWS * 128 * 8;

/// Peak memory is the result and one batch (and 16 MiB for everything else: the allocator, and what
/// the kernel counts late), with and without a cast:
/// 64 batches of 8 MiB. Where the number of rows is unknown, what the array left behind when it
/// was small comes on top: another batch.
#[test]
#[cfg(target_os = "linux")]
fn peak_memory_is_the_result_and_one_batch() {
    for (mode, result, batches) in [
        ("known", BATCHES * BATCH_BYTES, 1),
        ("unknown", BATCHES * BATCH_BYTES, 2),
        ("known,cast", BATCHES * BATCH_BYTES / 2, 1),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "to_arrays::collect_and_measure",
                "--include-ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PEAK, mode)
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
        let grown = stdout.split("peak grew by ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let grown: usize = grown.parse().unwrap();
        assert!(
            grown < result + batches * BATCH_BYTES + (16 << 20),
            "{mode}: {grown} bytes for a result of {result}"
        );
    }
}

#[test]
#[ignore = "run by peak_memory_is_the_result_and_one_batch"]
#[allow(clippy::print_stdout)]
fn collect_and_measure() {
    let Some(mode) = std::env::var(PEAK).ok() else { return };
    let make = |k: usize| {
        BatchBuilder::new().with_array("x", NdArray::from_elem((BATCH_ROWS, 128), k as f64)).build().unwrap()
    };
    let schema = make(0).schema();
    let before = peak();
    let reader = RecordBatchIterator::new((0..BATCHES).map(|k| Ok(make(k))), schema);
    let mut collector = ArrayCollector::new();
    if mode.starts_with("known") {
        collector = collector.with_rows(BATCHES * BATCH_ROWS);
    }
    if mode.ends_with("cast") {
        collector = collector.with_cast(DType::Float64, DType::Float32);
    }
    let arrays = collector.collect(reader).unwrap();
    assert_eq!(arrays.shape("x"), Some(&[BATCHES * BATCH_ROWS, 128][..]));
    println!("peak grew by {} bytes", peak() - before);
}

/// The peak of this process's resident memory, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
