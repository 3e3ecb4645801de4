//! Columns seen as arrays: every view that claims to be free is compared by pointer with the buffer
//! it borrows.
#![cfg(feature = "ndarray")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Int32Array,
    Int64Array, ListArray, RecordBatch, StringArray, StructArray, UInt8Array, UInt16Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema, UInt8Type};
use half::{bf16, f16};
use ndarray::{Array as NdArray, ArrayD, Axis, Ix1, Ix2, Ix4, IxDyn, array, s};
use num_complex::Complex;
use proptest::prelude::*;
use tfarrow::array::{
    BatchBuilder, FixedShapeTensor, Scalar, TensorColumn, VariableShapeTensor, from_array, from_view, tensor,
};
use tfarrow::options::{BoolStorage, TensorLayout};

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

fn tagged(field: Field, pairs: &[(&str, &str)]) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.extend(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    field.with_metadata(metadata)
}

fn one_column(field: Field, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

/// The address of the innermost values of a fixed-size list column.
fn leaf_address(array: &dyn Array) -> *const u8 {
    let mut data = array.to_data();
    while let [child] = data.child_data() {
        data = child.clone();
    }
    data.buffers()[0].as_ptr().wrapping_add(data.offset() * data.data_type().primitive_width().unwrap())
}

fn images() -> NdArray<u8, Ix4> {
    NdArray::from_shape_fn((5, 4, 3, 2), |(i, y, x, c)| u8::try_from(i * 24 + y * 6 + x * 2 + c).unwrap())
}

#[test]
fn a_view_borrows_the_columns_buffer() {
    let images = images();
    let batch = BatchBuilder::new().with_array("image", images.clone()).build().unwrap();
    let view = tensor(&batch, "image").unwrap().view::<u8>().unwrap();
    assert_eq!(view, images.view().into_dyn());
    assert_eq!(view.as_ptr(), leaf_address(batch.column(0)));
    let typed = tensor(&batch, "image").unwrap().view_as::<u8, Ix4>().unwrap();
    assert_eq!(typed.as_ptr(), view.as_ptr());
    assert_eq!(tensor(&batch, "image").unwrap().row_shape(), Some(&[4, 3, 2][..]));
}

#[test]
fn slices_of_batches_and_of_slices() {
    let images = images();
    let batch = BatchBuilder::new().with_array("image", images.clone()).build().unwrap();
    let base = leaf_address(batch.column(0));
    let slice = batch.slice(1, 4).slice(1, 2);
    let view = tensor(&slice, "image").unwrap().view::<u8>().unwrap();
    assert_eq!(view, images.slice(s![2..4, .., .., ..]).into_dyn());
    assert_eq!(view.as_ptr(), base.wrapping_add(2 * 24));
    let row = tensor(&slice, "image").unwrap().row::<u8>(1).unwrap();
    assert_eq!(row, images.index_axis(Axis(0), 3).into_dyn());
    assert_eq!(row.as_ptr(), base.wrapping_add(3 * 24));
    let empty = batch.slice(5, 0);
    assert_eq!(tensor(&empty, "image").unwrap().view::<u8>().unwrap().shape(), [0, 4, 3, 2]);
}

#[test]
fn every_layout_of_fixed_size_lists() {
    let images = images();
    for layout in [TensorLayout::Extension, TensorLayout::Nested, TensorLayout::Flat] {
        let batch = BatchBuilder::new()
            .with_tensor_layout(layout)
            .with_array("image", images.clone())
            .build()
            .unwrap();
        for batch in [batch.clone(), batch.slice(0, 5)] {
            let view = tensor(&batch, "image").unwrap().view_as::<u8, Ix4>().unwrap();
            assert_eq!(view, images, "{layout:?}");
            assert_eq!(view.as_ptr(), leaf_address(batch.column(0)));
        }
        let slice = batch.slice(3, 2);
        assert_eq!(
            tensor(&slice, "image").unwrap().view_as::<u8, Ix4>().unwrap(),
            images.slice(s![3.., .., .., ..])
        );
    }
    // Another writer's list without any metadata.
    let list = FixedSizeListArray::new(
        item(DataType::UInt8),
        24,
        Arc::new(UInt8Array::from_iter_values(images)),
        None,
    );
    let batch = one_column(Field::new("x", list.data_type().clone(), true), Arc::new(list));
    assert_eq!(tensor(&batch, "x").unwrap().view::<u8>().unwrap().shape(), [5, 24]);
}

#[test]
fn numbers_are_rank_one() {
    let batch = BatchBuilder::new().with_array("label", array![1i64, 2, 3]).build().unwrap();
    assert_eq!(batch.column(0).data_type(), &DataType::Int64);
    let view = tensor(&batch, "label").unwrap().view_as::<i64, Ix1>().unwrap();
    assert_eq!(view, array![1, 2, 3]);
    assert_eq!(view.as_ptr().cast(), batch.column(0).to_data().buffers()[0].as_ptr());
}

#[test]
fn half_precision() {
    let batch = BatchBuilder::new()
        .with_array("f16", array![[f16::ONE, f16::NEG_ONE]])
        .with_array("bf16", array![[bf16::ONE, bf16::PI]])
        .build()
        .unwrap();
    assert_eq!(tensor(&batch, "f16").unwrap().view::<f16>().unwrap()[[0, 1]], f16::NEG_ONE);
    let column = tensor(&batch, "bf16").unwrap();
    let view = column.view::<bf16>().unwrap();
    assert_eq!(view[[0, 1]], bf16::PI);
    assert_eq!(view.as_ptr().cast(), leaf_address(batch.column(1)));
    assert_eq!(column.view::<u16>().unwrap()[[0, 0]], bf16::ONE.to_bits());
    // UInt16 that does not say it holds bfloat16 is not taken for it.
    let plain = one_column(Field::new("x", DataType::UInt16, true), Arc::new(UInt16Array::from(vec![1])));
    let error = tensor(&plain, "x").unwrap().view::<bf16>().unwrap_err().to_string();
    assert!(error.contains("expected bf16, found UInt16") && error.contains("view it as u16"), "{error}");
}

#[test]
fn complex_numbers() {
    let scalars = array![Complex::new(1f32, 2.), Complex::new(3., 4.)];
    let tensors = NdArray::from_shape_fn((2, 3), |(i, j)| Complex::new(i as f64, j as f64));
    for layout in [TensorLayout::Extension, TensorLayout::Nested, TensorLayout::Flat] {
        let batch = BatchBuilder::new()
            .with_tensor_layout(layout)
            .with_array("scalar", scalars.clone())
            .with_array("tensor", tensors.clone())
            .build()
            .unwrap();
        let view = tensor(&batch, "scalar").unwrap().view_as::<Complex<f32>, Ix1>().unwrap();
        assert_eq!(view, scalars);
        assert_eq!(view.as_ptr().cast(), leaf_address(batch.column(0)));
        let slice = batch.slice(1, 1);
        let view = tensor(&slice, "tensor").unwrap().view_as::<Complex<f64>, Ix2>().unwrap();
        assert_eq!(view, tensors.slice(s![1.., ..]));
        assert_eq!(view.as_ptr().cast(), leaf_address(batch.column(1)).wrapping_add(48));
        assert_eq!(tensor(&batch, "tensor").unwrap().view::<f64>().unwrap().shape(), [2, 3, 2]);
    }
    let real = BatchBuilder::new().with_array("x", array![[1f32, 2.]]).build().unwrap();
    let error = tensor(&real, "x").unwrap().view::<Complex<f32>>().unwrap_err().to_string();
    assert!(error.contains("tf.dtype float32"), "{error}");
}

#[test]
fn bools_are_copied_from_bits_and_viewed_as_bytes() {
    let values = array![[true, false], [false, true]];
    let bits = BatchBuilder::new().with_bools("x", &values.view()).build().unwrap();
    let error = tensor(&bits, "x").unwrap().view::<u8>().unwrap_err().to_string();
    assert!(error.contains("to_bool_array()") && error.contains("set(\"bool\", \"uint8\")"), "{error}");
    assert_eq!(tensor(&bits, "x").unwrap().to_bool_array().unwrap(), values.clone().into_dyn());
    let slice = bits.slice(1, 1);
    assert_eq!(tensor(&slice, "x").unwrap().to_bool_array().unwrap(), array![[false, true]].into_dyn());

    let bytes =
        BatchBuilder::new().with_bool(BoolStorage::UInt8).with_bools("x", &values.view()).build().unwrap();
    let view = tensor(&bytes, "x").unwrap().view::<u8>().unwrap();
    assert_eq!(view, array![[1, 0], [0, 1]].into_dyn());
    assert_eq!(view.as_ptr(), leaf_address(bytes.column(0)));
    assert_eq!(tensor(&bytes, "x").unwrap().to_bool_array().unwrap(), values.into_dyn());

    let scalars =
        one_column(Field::new("x", DataType::Boolean, true), Arc::new(BooleanArray::from(vec![true, false])));
    assert_eq!(tensor(&scalars, "x").unwrap().to_bool_array().unwrap(), array![true, false].into_dyn());
}

#[test]
fn nulls_are_refused_unless_masked() {
    let values = Int32Array::from(vec![Some(1), None, Some(3)]);
    let batch = one_column(Field::new("x", DataType::Int32, true), Arc::new(values));
    let column = tensor(&batch, "x").unwrap();
    let error = column.view::<i32>().unwrap_err().to_string();
    assert_eq!(
        error,
        "null row in a tensor column (record 1, column `x`); view_masked() gives the values beside their validity"
    );
    let (view, mask) = column.view_masked::<i32>().unwrap();
    assert_eq!((view[[0]], view[[2]]), (1, 3));
    assert!(mask.unwrap().is_null(1));
    assert!(column.row::<i32>(1).is_err());
    assert_eq!(
        column.row::<i32>(2).unwrap().into_dimensionality::<ndarray::Ix0>().unwrap().into_scalar(),
        &3
    );
    let slice = batch.slice(2, 1);
    assert!(tensor(&slice, "x").unwrap().view::<i32>().is_ok());

    // A null row over null values, and a null value inside a row.
    let list = |values: Vec<Option<f32>>, rows: Vec<bool>| {
        let list = FixedSizeListArray::new(
            item(DataType::Float32),
            2,
            Arc::new(Float32Array::from(values)),
            Some(NullBuffer::from(rows)),
        );
        one_column(FixedShapeTensor::new(vec![2]).field("x", DataType::Float32).unwrap(), Arc::new(list))
    };
    let outer = list(vec![Some(1.), Some(2.), None, None], vec![true, false]);
    assert!(tensor(&outer, "x").unwrap().view::<f32>().is_err());
    assert!(tensor(&outer, "x").unwrap().view_masked::<f32>().is_ok());
    assert!(tensor(&outer, "x").unwrap().row::<f32>(0).is_ok());
    let inner = list(vec![Some(1.), None, None, None], vec![true, false]);
    let error = tensor(&inner, "x").unwrap().view_masked::<f32>().unwrap_err().to_string();
    assert_eq!(error, "null value inside a tensor (record 0, column `x`)");
}

#[test]
fn errors_say_what_is_there() {
    let batch = BatchBuilder::new()
        .with_array("x", images())
        .with_array("y", NdArray::<i64, _>::zeros(5))
        .build()
        .unwrap();
    let error = tensor(&batch, "z").unwrap_err().to_string();
    assert_eq!(error, "no such column: expected one of x, y, found `z`");
    let error = tensor(&batch, "x").unwrap().view::<f32>().unwrap_err().to_string();
    assert_eq!(
        error,
        "wrong type of values: expected f32, found UInt8 of shape [4, 3, 2] (tf.dtype uint8) (column `x`); \
         view it as u8"
    );
    let error = tensor(&batch, "x").unwrap().view_as::<u8, Ix2>().unwrap_err().to_string();
    assert_eq!(error, "wrong number of dimensions: expected 2, found 4 in [5, 4, 3, 2] (column `x`)");
    assert!(tensor(&batch, "x").unwrap().row::<u8>(5).is_err());
    let error = tensor(&batch, "x").unwrap().ragged().unwrap_err().to_string();
    assert!(error.ends_with("use view()"), "{error}");
}

fn variable() -> RecordBatch {
    let field = VariableShapeTensor::new(vec![None, Some(2)]).field("x", DataType::UInt8, 2).unwrap();
    let data = ListArray::new(
        item(DataType::UInt8),
        OffsetBuffer::from_lengths([2, 6, 0]),
        Arc::new(UInt8Array::from_iter_values(0..8)),
        None,
    );
    let shapes = FixedSizeListArray::new(
        item(DataType::Int32),
        2,
        Arc::new(Int32Array::from(vec![1, 2, 3, 2, 0, 2])),
        None,
    );
    let DataType::Struct(fields) = field.data_type().clone() else { unreachable!() };
    one_column(field, Arc::new(StructArray::new(fields, vec![Arc::new(data), Arc::new(shapes)], None)))
}

#[test]
fn rows_of_varying_shape() {
    let batch = variable();
    let column = tensor(&batch, "x").unwrap();
    assert_eq!(column.row::<u8>(0).unwrap(), array![[0, 1]].into_dyn());
    assert_eq!(column.row::<u8>(1).unwrap(), array![[2, 3], [4, 5], [6, 7]].into_dyn());
    assert_eq!(column.row::<u8>(2).unwrap().shape(), [0, 2]);
    let data = batch.column(0).as_struct().column(0).as_list::<i32>().values().as_primitive::<UInt8Type>();
    assert_eq!(column.row::<u8>(1).unwrap().as_ptr(), data.values().as_ptr().wrapping_add(2));
    let slice = batch.slice(1, 2);
    let row = tensor(&slice, "x").unwrap().row::<u8>(0).unwrap();
    assert_eq!(row.as_ptr(), data.values().as_ptr().wrapping_add(2));
    assert_eq!(row.shape(), [3, 2]);
    assert!(column.view::<u8>().unwrap_err().to_string().ends_with("use row(i)"));
    assert!(column.row::<f32>(0).is_err());
}

#[test]
fn a_shape_that_does_not_fit_is_refused() {
    let batch = variable();
    let parts = batch.column(0).as_struct();
    let shapes = FixedSizeListArray::new(
        item(DataType::Int32),
        2,
        Arc::new(Int32Array::from(vec![1, 1, -3, 2, i32::MAX, i32::MAX])),
        None,
    );
    let broken =
        StructArray::new(parts.fields().clone(), vec![parts.column(0).clone(), Arc::new(shapes)], None);
    let batch = one_column(batch.schema().field(0).clone(), Arc::new(broken));
    for row in 0..3 {
        assert!(tensor(&batch, "x").unwrap().row::<u8>(row).is_err(), "{row}");
    }
}

#[test]
fn unknown_rank() {
    let data = ListArray::new(
        item(DataType::Float32),
        OffsetBuffer::from_lengths([1, 4]),
        Arc::new(Float32Array::from(vec![0., 1., 2., 3., 4.])),
        None,
    );
    let shapes = ListArray::new(
        item(DataType::Int64),
        OffsetBuffer::from_lengths([0, 2]),
        Arc::new(Int64Array::from(vec![2, 2])),
        None,
    );
    let fields = Fields::from(vec![
        Field::new("data", data.data_type().clone(), true),
        Field::new("shape", shapes.data_type().clone(), true),
    ]);
    let array = StructArray::new(fields.clone(), vec![Arc::new(data), Arc::new(shapes)], None);
    let batch = one_column(Field::new("x", DataType::Struct(fields), true), Arc::new(array)).slice(1, 1);
    assert_eq!(tensor(&batch, "x").unwrap().row::<f32>(0).unwrap(), array![[1., 2.], [3., 4.]].into_dyn());
}

#[test]
fn ragged_columns() {
    // [[[1, 2], []], [[3]], []]
    let inner = ListArray::new(
        item(DataType::Int32),
        OffsetBuffer::from_lengths([2, 0, 1]),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        None,
    );
    let outer = ListArray::new(
        item(inner.data_type().clone()),
        OffsetBuffer::from_lengths([2, 1, 0]),
        Arc::new(inner),
        None,
    );
    let batch = one_column(Field::new("x", outer.data_type().clone(), true), Arc::new(outer));
    let ragged = tensor(&batch, "x").unwrap().ragged().unwrap();
    assert_eq!(ragged.ragged_rank(), 2);
    assert!(ragged.row::<i32>(0).unwrap_err().to_string().contains("several levels"));
    assert_eq!(ragged.row_splits(0).unwrap(), array![0, 2, 3, 3]);
    assert_eq!(ragged.row_splits(1).unwrap(), array![0, 2, 2, 3]);
    assert_eq!(ragged.values::<i32>().unwrap(), array![1, 2, 3].into_dyn());
    let outer = batch.column(0).as_list::<i32>();
    assert_eq!(ragged.row_splits(0).unwrap().as_ptr(), outer.offsets().as_ptr());
    let inner = outer.values().as_list::<i32>();
    assert_eq!(ragged.row_splits(1).unwrap().as_ptr(), inner.offsets().as_ptr());
    assert_eq!(
        ragged.values::<i32>().unwrap().as_ptr().cast(),
        inner.values().to_data().buffers()[0].as_ptr()
    );
    let slice = batch.slice(1, 2);
    assert_eq!(tensor(&slice, "x").unwrap().ragged().unwrap().row_splits(0).unwrap(), array![2, 3, 3]);
    assert!(tensor(&batch, "x").unwrap().row::<i32>(0).unwrap_err().to_string().ends_with("use ragged()"));
}

#[test]
fn lists_of_rows() {
    let pairs =
        FixedSizeListArray::new(item(DataType::Int32), 2, Arc::new(Int32Array::from_iter_values(0..8)), None);
    let lists = ListArray::new(
        item(pairs.data_type().clone()),
        OffsetBuffer::from_lengths([1, 3]),
        Arc::new(pairs),
        None,
    );
    let batch = one_column(Field::new("x", lists.data_type().clone(), true), Arc::new(lists)).slice(1, 1);
    let column = tensor(&batch, "x").unwrap();
    assert_eq!(column.row::<i32>(0).unwrap(), array![[2, 3], [4, 5], [6, 7]].into_dyn());
    let ragged = column.ragged().unwrap();
    assert_eq!(ragged.values::<i32>().unwrap().shape(), [4, 2]);
    assert_eq!(ragged.row::<i32>(0).unwrap(), column.row::<i32>(0).unwrap());
    assert!(ragged.row::<i32>(1).unwrap_err().to_string().contains("expected less than 1"));
}

#[test]
fn sparse_columns() {
    let coordinates = |values: Vec<i64>| {
        FixedSizeListArray::new(item(DataType::Int64), 2, Arc::new(Int64Array::from(values)), None)
    };
    let pairs = coordinates(vec![0, 0, 1, 2, 3, 3]);
    let indices = ListArray::new(
        item(pairs.data_type().clone()),
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(pairs),
        None,
    );
    let values = ListArray::new(
        item(DataType::Float32),
        OffsetBuffer::from_lengths([2, 1]),
        Arc::new(Float32Array::from(vec![1., 2., 3.])),
        None,
    );
    let shapes = coordinates(vec![2, 3, 4, 4]);
    let fields = Fields::from(vec![
        Field::new("indices", indices.data_type().clone(), true),
        Field::new("values", values.data_type().clone(), true),
        Field::new("dense_shape", shapes.data_type().clone(), true),
    ]);
    let values_address = values.values().to_data().buffers()[0].as_ptr();
    let array =
        StructArray::new(fields.clone(), vec![Arc::new(indices), Arc::new(values), Arc::new(shapes)], None);
    let batch = one_column(Field::new("x", DataType::Struct(fields), true), Arc::new(array));
    let sparse = tensor(&batch, "x").unwrap().sparse().unwrap();
    assert_eq!(sparse.indices().unwrap(), array![[0, 0], [1, 2], [3, 3]]);
    assert_eq!(sparse.dense_shapes().unwrap(), array![[2, 3], [4, 4]]);
    assert_eq!(sparse.values::<f32>().unwrap().as_ptr().cast(), values_address);
    assert_eq!(sparse.value_splits(), array![0, 2, 3]);
    assert_eq!(sparse.index_splits(), array![0, 2, 3]);
    let slice = batch.slice(1, 1);
    let row = tensor(&slice, "x").unwrap().sparse().unwrap().row::<f32>(0).unwrap();
    assert_eq!(row.indices, array![[3, 3]]);
    assert_eq!(row.values, array![3.]);
    assert_eq!(row.values.as_ptr().cast(), values_address.wrapping_add(8));
    assert_eq!(row.dense_shape, array![4, 4]);
    let dense = sparse.row::<f32>(0).unwrap().to_dense().unwrap();
    assert_eq!(dense, array![[1., 0., 0.], [0., 0., 2.]].into_dyn());
    // The second row's shape holds no index 3 in what the first one says.
    let mut narrow = row.clone();
    let shape = array![2i64, 3];
    narrow.dense_shape = shape.view();
    assert!(narrow.to_dense().unwrap_err().to_string().contains("outside of a sparse tensor"));
    // Nobody is killed for want of memory by a shape that somebody wrote.
    let shape = array![1i64 << 20, 1 << 20];
    narrow.dense_shape = shape.view();
    assert!(narrow.to_dense().unwrap_err().to_string().contains("dense tensor too large"));
    assert!(sparse.row::<f32>(2).is_err());
    assert!(tensor(&batch, "x").unwrap().view::<f32>().unwrap_err().to_string().ends_with("use sparse()"));
}

#[test]
fn strings() {
    let batch = RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from(vec![Some("a"), None, Some("cd")])) as ArrayRef),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![b"x", b"\xff", b""]))),
    ])
    .unwrap();
    let text = tensor(&batch, "text").unwrap().bytes().unwrap();
    assert_eq!((text.get(0), text.get(1), text.get_str(2)), (Some(&b"a"[..]), None, Some("cd")));
    assert_eq!(text.get(0).unwrap().as_ptr(), batch.column(0).to_data().buffers()[1].as_ptr());
    let bytes = tensor(&batch, "bytes").unwrap().bytes().unwrap();
    assert_eq!((bytes.get_str(0), bytes.get_str(1), bytes.get(3)), (Some("x"), None, None));
    assert!(tensor(&batch, "text").unwrap().view::<u8>().unwrap_err().to_string().ends_with("use bytes()"));

    let values = Arc::new(BinaryArray::from_vec(vec![b"a", b"b", b"c", b"d"]));
    let pairs = FixedSizeListArray::new(item(DataType::Binary), 2, values.clone(), None);
    let lists = ListArray::new(item(DataType::Binary), OffsetBuffer::from_lengths([1, 3]), values, None);
    let batch =
        RecordBatch::try_from_iter([("pairs", Arc::new(pairs) as ArrayRef), ("lists", Arc::new(lists))])
            .unwrap()
            .slice(1, 1);
    let rows: Vec<_> = tensor(&batch, "pairs").unwrap().bytes().unwrap().row(0).collect();
    assert_eq!(rows, [Some(&b"c"[..]), Some(b"d")]);
    let rows: Vec<_> = tensor(&batch, "lists").unwrap().bytes().unwrap().row(0).collect();
    assert_eq!(rows, [Some(&b"b"[..]), Some(b"c"), Some(b"d")]);
}

#[test]
fn permutations_of_other_writers_are_followed() {
    let mut tensor_type = FixedShapeTensor::new(vec![2, 3]);
    tensor_type.permutation = Some(vec![1, 0]);
    let list = FixedSizeListArray::new(
        item(DataType::Int32),
        6,
        Arc::new(Int32Array::from_iter_values(0..12)),
        None,
    );
    let batch = one_column(tensor_type.field("x", DataType::Int32).unwrap(), Arc::new(list));
    let view = tensor(&batch, "x").unwrap().view::<i32>().unwrap();
    assert_eq!(view.shape(), [2, 3, 2]);
    assert_eq!(view[[0, 2, 1]], 5);
}

#[test]
fn columns_of_structs() {
    let (field, array) = from_array("x", array![[1f32, 2.]]).unwrap();
    let parts = StructArray::new(vec![field].into(), vec![array], None);
    let column = TensorColumn::try_new(&parts.fields()[0], parts.column(0)).unwrap();
    assert_eq!(column.view::<f32>().unwrap(), array![[1., 2.]].into_dyn());
}

#[test]
fn sizes_of_zero_are_lists() {
    let (field, column) = from_array("x", NdArray::<f32, _>::zeros((3, 0, 2))).unwrap();
    assert_eq!(field.data_type(), &DataType::List(item(DataType::Float32)));
    let batch = one_column(field, column);
    assert_eq!(tensor(&batch, "x").unwrap().view::<f32>().unwrap().shape(), [3, 0, 2]);
    assert_eq!(tensor(&batch.slice(1, 1), "x").unwrap().view::<f32>().unwrap().shape(), [1, 0, 2]);
}

#[test]
fn owned_arrays_are_not_copied() {
    let array = NdArray::<u8, _>::zeros((4, 8));
    let address = array.as_ptr();
    let (_, column) = from_array("x", array).unwrap();
    assert_eq!(leaf_address(&column), address);
    // A part of an owned array that is still contiguous keeps its offset.
    let array = NdArray::from_shape_fn((4, 2), |(i, j)| Complex::new(i as f32, j as f32));
    let array = array.slice_move(s![1.., ..]);
    let address = array.as_ptr();
    let (field, column) = from_array("x", array.clone()).unwrap();
    let batch = one_column(field, column);
    assert_eq!(tensor(&batch, "x").unwrap().view::<Complex<f32>>().unwrap(), array.view().into_dyn());
    let (_, column) = from_array("x", array).unwrap();
    assert_eq!(leaf_address(&column), address.cast());
}

#[test]
fn arrays_that_make_no_column() {
    assert!(from_array("x", ndarray::arr0(1f32)).is_err());
    let error =
        BatchBuilder::new().with_array("a", array![1, 2]).with_array("b", array![1]).build().unwrap_err();
    assert_eq!(error.to_string(), "columns differ in length: expected 2 rows, found 1 (column `b`)");
    assert!(BatchBuilder::new().with_array("a", array![1]).with_array("a", array![1]).build().is_err());
    assert_eq!(BatchBuilder::new().build().unwrap().num_rows(), 0);
}

#[test]
fn a_field_says_what_tensorflow_would() {
    let (field, _) = from_array("x", array![[bf16::ONE]]).unwrap();
    assert_eq!(field.metadata()["tf.dtype"], "bfloat16");
    assert_eq!(field.metadata()["tf.shape"], "[1]");
    assert!(field.is_nullable());
    let field = tagged(field, &[("tf.dtype", "uint16")]);
    assert_eq!(field.metadata()["tf.dtype"], "uint16");
}

/// How an array of the right values lies in memory.
#[derive(Debug, Clone, Copy)]
enum Memory {
    Standard,
    Fortran,
    Reversed,
    Stepped,
    Transposed,
}

fn laid_out<T: Scalar>(values: &ArrayD<T>, memory: Memory) -> ArrayD<T> {
    let shape = values.shape().to_vec();
    let mut out = match memory {
        Memory::Standard => return values.clone(),
        Memory::Fortran => {
            use ndarray::ShapeBuilder;
            ArrayD::default(IxDyn(&shape).f())
        }
        Memory::Reversed => {
            let mut array = ArrayD::default(IxDyn(&shape));
            array.invert_axis(Axis(0));
            array
        }
        Memory::Stepped => {
            let wide: Vec<usize> = shape.iter().map(|dim| dim * 2).collect();
            ArrayD::default(IxDyn(&wide)).slice_each_axis_move(2)
        }
        Memory::Transposed => {
            let reversed: Vec<usize> = shape.iter().rev().copied().collect();
            ArrayD::default(IxDyn(&reversed)).reversed_axes()
        }
    };
    out.assign(values);
    out
}

trait SliceEach<T> {
    fn slice_each_axis_move(self, step: isize) -> ArrayD<T>;
}

impl<T: Scalar> SliceEach<T> for ArrayD<T> {
    fn slice_each_axis_move(mut self, step: isize) -> ArrayD<T> {
        for axis in 0..self.ndim() {
            self.slice_axis_inplace(Axis(axis), ndarray::Slice::new(0, None, step));
        }
        self
    }
}

fn round_trip<T: Scalar>(shape: &[usize], memory: Memory, layout: TensorLayout, make: impl Fn(usize) -> T) {
    let len = shape.iter().product();
    let values = ArrayD::from_shape_vec(IxDyn(shape), (0..len).map(make).collect()).unwrap();
    let array = laid_out(&values, memory);
    let batch = BatchBuilder::new()
        .with_tensor_layout(layout)
        .with_array("owned", array.clone())
        .with_view("copied", &array.view())
        .build()
        .unwrap();
    for name in ["owned", "copied"] {
        let view = tensor(&batch, name).unwrap().view::<T>().unwrap();
        assert_eq!(view, values, "{name}");
        if shape[0] > 1 {
            let slice = batch.slice(1, shape[0] - 1);
            let view = tensor(&slice, name).unwrap().view::<T>().unwrap();
            assert_eq!(view, values.slice_axis(Axis(0), ndarray::Slice::from(1..)));
        }
    }
    let (field, _) = from_view("owned", &array.view()).unwrap();
    if layout == TensorLayout::Extension {
        assert_eq!(&field, batch.schema().field(0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 256 }))]
    #[test]
    fn arrays_survive_the_round_trip(
        shape in prop::collection::vec(0usize..4, 1..5),
        memory in prop_oneof![
            Just(Memory::Standard), Just(Memory::Fortran), Just(Memory::Reversed),
            Just(Memory::Stepped), Just(Memory::Transposed)
        ],
        layout in prop_oneof![
            Just(TensorLayout::Extension), Just(TensorLayout::Nested), Just(TensorLayout::Flat)
        ],
        dtype in 0..14,
    ) {
        match dtype {
            0 => round_trip(&shape, memory, layout, |i| i as u8),
            1 => round_trip(&shape, memory, layout, |i| i as u16),
            2 => round_trip(&shape, memory, layout, |i| i as u32),
            3 => round_trip(&shape, memory, layout, |i| i as u64),
            4 => round_trip(&shape, memory, layout, |i| i as i8),
            5 => round_trip(&shape, memory, layout, |i| i as i16),
            6 => round_trip(&shape, memory, layout, |i| i as i32),
            7 => round_trip(&shape, memory, layout, |i| i as i64),
            8 => round_trip(&shape, memory, layout, |i| f16::from_f32(i as f32)),
            9 => round_trip(&shape, memory, layout, |i| bf16::from_f32(i as f32)),
            10 => round_trip(&shape, memory, layout, |i| i as f32),
            11 => round_trip(&shape, memory, layout, |i| i as f64),
            12 => round_trip(&shape, memory, layout, |i| Complex::new(i as f32, -(i as f32))),
            _ => round_trip(&shape, memory, layout, |i| Complex::new(i as f64, -(i as f64))),
        }
    }
}

#[test]
fn columns_in_structs_and_in_lists_of_structs_are_found_by_path() {
    let read = |builder: tfarrow::ReaderBuilder| {
        let batches: Vec<RecordBatch> = builder.build().unwrap().collect::<tfarrow::Result<_>>().unwrap();
        arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
    };
    let wide = tfarrow::read("tests/golden/tfds/wide_tfrecord").with_split("train");
    let (whole, exploded) = (read(wide.clone()), read(wide.clone().with_explode("ds")));
    // The steps of all episodes, as exploding gives them.
    let steps = tensor(&exploded, "ds/obs").unwrap().view::<f32>().unwrap();
    let column = tensor(&whole, "ds/obs").unwrap();
    let mut at = 0;
    for episode in 0..whole.num_rows() {
        let rows = column.row::<f32>(episode).unwrap();
        assert_eq!(rows, steps.slice(s![at..at + rows.len() / 2, ..]).into_dyn(), "{episode}");
        at += rows.shape()[0];
    }
    assert_eq!((at, column.len()), (exploded.num_rows(), whole.num_rows()));
    assert_eq!(tensor(&whole, "ds/r").unwrap().row::<i64>(0).unwrap().ndim(), 1);
    let nested = read(wide.with_structure(tfarrow::options::Structure::Nested));
    let flat = tensor(&whole, "nested/x/y").unwrap().view::<i64>().unwrap();
    assert_eq!(tensor(&nested, "nested/x/y").unwrap().view::<i64>().unwrap(), flat);
    assert!(tensor(&nested, "nested/x/no").unwrap_err().to_string().contains("no such column"));
    assert!(tensor(&nested, "nested/x/y").unwrap().class_names().is_none());
    let names = tensor(&whole, "label").unwrap().class_names().unwrap();
    assert_eq!(names.len(), 3, "{names:?}");
    let parts = Fields::from(vec![Field::new("x", DataType::Int32, true)]);
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let nulls = Some(NullBuffer::from(vec![true, false]));
    let array = StructArray::new(parts.clone(), vec![values], nulls);
    let batch = one_column(Field::new("s", DataType::Struct(parts), true), Arc::new(array));
    assert!(tensor(&batch, "s/x").unwrap_err().to_string().contains("null struct"));
}
