//! NumPy files: their bytes, what is refused, and what `numpy.load` sees.
#![cfg(feature = "ndarray")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::common::{Dir, python, run_python};
use arrow::array::{
    Array, ArrayRef, BinaryArray, FixedSizeListArray, Int32Array, ListArray, RecordBatch, StringArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use half::{bf16, f16};
use ndarray::{Array as NdArray, array};
use num_complex::Complex;
use tfarrow::ErrorKind;
use tfarrow::array::BatchBuilder;
use tfarrow::options::BoolStorage;
use tfarrow::sink::{OutputCompression, SinkOptions, open_sink};

fn write(path: &Path, batches: &[RecordBatch], options: &SinkOptions) -> tfarrow::Result<u64> {
    let mut sink = open_sink(path, batches[0].schema_ref(), options)?;
    for batch in batches {
        sink.write(batch)?;
    }
    sink.finish()
}

/// Five rows of every dtype: value `i` of each column is `i`, or its bit 0.
fn everything() -> RecordBatch {
    let bits = NdArray::from_shape_fn((5, 3), |(i, j)| (3 * i + j) % 2 == 1);
    let text = StringArray::from_iter_values((0..5).map(|i| "x".repeat(i)));
    let pairs = FixedSizeListArray::new(
        Arc::new(Field::new("item", DataType::Binary, true)),
        2,
        Arc::new(BinaryArray::from_iter_values((0..10).map(|i| [b'a' + i]))),
        None,
    );
    let i = |i: usize, j: usize| 3 * i + j;
    BatchBuilder::new()
        .with_array("i1", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as i8))
        .with_array("i2", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as i16))
        .with_array("i4", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as i32))
        .with_array("i8", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as i64))
        .with_array("u1", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as u8))
        .with_array("u2", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as u16))
        .with_array("u4", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as u32))
        .with_array("u8", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as u64))
        .with_array("f2", NdArray::from_shape_fn((5, 3), |(a, b)| f16::from_f32(i(a, b) as f32)))
        .with_array("f4", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as f32))
        .with_array("f8", NdArray::from_shape_fn((5, 3), |(a, b)| i(a, b) as f64))
        .with_array("bf16", NdArray::from_shape_fn((5, 3), |(a, b)| bf16::from_f32(i(a, b) as f32)))
        .with_array("c8", NdArray::from_shape_fn((5, 3), |(a, b)| Complex::new(i(a, b) as f32, -1.)))
        .with_array("c16", NdArray::from_shape_fn((5, 3), |(a, b)| Complex::new(i(a, b) as f64, -1.)))
        .with_bools("bits", &bits.view())
        .with_bool(BoolStorage::UInt8)
        .with_bools("bytes", &bits.view())
        .with_array("scalar", NdArray::from_shape_fn(5, |i| i as i64))
        .with_array("complex/scalar", NdArray::from_shape_fn(5, |i| Complex::new(i as f32, 1.)))
        .with_array("deep", NdArray::from_shape_fn((5, 2, 1, 3), |(a, b, _, d)| (6 * a + 3 * b + d) as f32))
        .with_array("none", NdArray::<f32, _>::zeros((5, 0, 2)))
        .with_column(Field::new("text", DataType::Utf8, true), Arc::new(text))
        .with_column(Field::new("pairs", pairs.data_type().clone(), true), Arc::new(pairs))
        .build()
        .unwrap()
}

#[test]
fn numpy_loads_every_dtype() {
    let Some(python) = python() else { return };
    let dir = Dir::new();
    let all = everything();
    let options = SinkOptions::new().with_string_bytes(8);
    // The last batch is shorter, one is empty, and both are slices.
    let parts = [all.slice(0, 3), all.slice(3, 0), all.slice(3, 2)];
    for (index, name) in all.schema().fields().iter().map(|field| field.name()).enumerate() {
        let parts: Vec<_> = parts.iter().map(|part| part.project(&[index]).unwrap()).collect();
        let path = dir.path(&format!("{}.npy", name.replace('/', "-")));
        let bytes = write(&path, &parts, &options).unwrap();
        assert_eq!(bytes, fs::metadata(&path).unwrap().len(), "{name}");
    }
    let folder = write(&dir.path("all.npyd"), &parts, &options).unwrap();
    assert!(folder > 22 * 64);
    #[cfg(feature = "npz")]
    {
        let bytes = write(&dir.path("stored.npz"), &parts, &options).unwrap();
        assert!(bytes >= fs::metadata(dir.path("stored.npz")).unwrap().len());
        let deflated = options.with_compression(OutputCompression::Gzip(None));
        write(&dir.path("deflated.npz"), &parts, &deflated).unwrap();
    }
    run_python(python, "check_numpy.py", &[dir.path("")]);
}

#[test]
fn a_header_has_room_for_any_number_of_rows() {
    let dir = Dir::new();
    let batch = BatchBuilder::new().with_array("x", array![[1f32, 2.], [3., 4.]]).build().unwrap();
    let path = dir.path("x.npy");
    write(&path, &[batch.clone(), batch], &SinkOptions::default()).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 128 + 4 * 2 * 4);
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    let header = std::str::from_utf8(&bytes[10..128]).unwrap();
    assert_eq!(header.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2,), }");
    assert!(header.ends_with(" \n"));
    let values: Vec<f32> =
        bytes[128..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(values, [1., 2., 3., 4., 1., 2., 3., 4.]);
}

#[test]
fn what_numpy_cannot_hold_is_refused_with_a_way_out() {
    let dir = Dir::new();
    let lists = ListArray::new(
        Arc::new(Field::new("item", DataType::Int32, true)),
        OffsetBuffer::from_lengths([1, 0]),
        Arc::new(Int32Array::from(vec![1])),
        None,
    );
    let batch = |name: &str, array: ArrayRef| RecordBatch::try_from_iter([(name, array)]).unwrap();
    let refused = |path: &str, batch: &RecordBatch, options: &SinkOptions| {
        let error = write(&dir.path(path), std::slice::from_ref(batch), options).unwrap_err();
        assert_eq!(dir.names(), Vec::<String>::new(), "{error}");
        error
    };
    let options = SinkOptions::default();
    let strings = SinkOptions::new().with_string_bytes(2);
    let error = refused("x.npyd", &batch("x", Arc::new(lists)), &options).to_string();
    assert!(error.contains("column `x`") && error.contains("with_exclude"), "{error}");
    let text = batch("x", Arc::new(StringArray::from(vec!["a", "abc"])));
    let error = refused("x.npy", &text, &options).to_string();
    assert!(error.contains("with_string_bytes"), "{error}");
    let error = refused("x.npy", &text, &strings).to_string();
    assert!(error.contains("expected at most 2 bytes, found 3"), "{error}");
    let zero = batch("x", Arc::new(BinaryArray::from_vec(vec![b"a\0"])));
    assert!(refused("x.npy", &zero, &strings).to_string().contains("zero byte"));
    let nulls = batch("x", Arc::new(Int32Array::from(vec![Some(1), None])));
    assert!(refused("x.npyd", &nulls, &options).to_string().contains("with_feature"));
    let two = BatchBuilder::new().with_array("a", array![1]).with_array("b", array![1]).build().unwrap();
    assert!(refused("x.npy", &two, &options).to_string().contains("with_columns"));
    let level = SinkOptions::new().with_compression(OutputCompression::Zstd(None));
    for path in ["x.npyd", "x.npz"] {
        assert_eq!(refused(path, &two, &level).kind(), ErrorKind::Config);
        for name in ["../x", "/x", "a//b", "a/../b", ".", "a\\b", ""] {
            let batch = BatchBuilder::new().with_array(name, array![1]).build().unwrap();
            assert!(refused(path, &batch, &options).to_string().contains("with_rename"), "{name}");
        }
    }
}

#[test]
fn outputs_are_replaced_only_when_asked_for() {
    let dir = Dir::new();
    let batch = |value| BatchBuilder::new().with_array("a/b", array![value]).build().unwrap();
    for path in ["x.npyd", "x.npz", "x.npy"] {
        let path = dir.path(path);
        write(&path, &[batch(1i32)], &SinkOptions::default()).unwrap();
        let error = write(&path, &[batch(2)], &SinkOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        write(&path, &[batch(2)], &SinkOptions::new().with_overwrite(true)).unwrap();
    }
    assert_eq!(dir.names(), ["x.npy", "x.npyd", "x.npz"]);
    let bytes = fs::read(dir.path("x.npyd").join("a/b.npy")).unwrap();
    assert_eq!(bytes, fs::read(dir.path("x.npy")).unwrap());
    assert_eq!(bytes.last_chunk(), Some(&2i32.to_le_bytes()));
}

#[test]
fn no_rows_at_all() {
    let dir = Dir::new();
    let none = everything().slice(0, 0);
    let options = SinkOptions::new().with_string_bytes(4);
    write(&dir.path("x.npyd"), &[none], &options).unwrap();
    let header = fs::read(dir.path("x.npyd").join("deep.npy")).unwrap();
    assert!(String::from_utf8_lossy(&header).contains("(0, 2, 1, 3,)"));
    assert_eq!(header.len(), 128);
}
