"""Columns as arrays: their values, their memory, how long it lives."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pyarrow as pa
import pytest
import tfarrow


def address(array):
    return array.__array_interface__["data"][0]


def buffer_of(column):
    while isinstance(column, (pa.FixedSizeListArray, pa.ExtensionArray)):
        column = column.storage if isinstance(column, pa.ExtensionArray) else column.values
    return column.buffers()[1].address


def test_numbers_and_tensors_are_views(digits):
    batch = next(iter(tfarrow.open(digits)))
    arrow = batch.to_pyarrow()
    for name, shape in [("label", (1024,)), ("pixels", (1024, 64))]:
        view = batch[name]
        assert view.shape == shape
        assert address(view) == buffer_of(arrow[name])
        assert address(view) == address(batch[name])
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 0
    np.testing.assert_array_equal(batch["label"], arrow["label"].to_numpy())
    np.testing.assert_array_equal(batch["pixels"], arrow["pixels"].to_numpy_ndarray())


def test_slices_are_views_too(digits):
    batch = next(iter(tfarrow.open(digits)))
    part = batch.slice(100, 7)
    assert part.num_rows == 7
    assert address(part["pixels"]) == address(batch["pixels"]) + 100 * 64 * 4
    np.testing.assert_array_equal(part["label"], batch["label"][100:107])
    assert part["writer"].to_pylist() == batch["writer"].to_pylist()[100:107]


def test_memory_lives_as_long_as_any_view(digits):
    ds = tfarrow.open(digits)
    reader = iter(ds)
    batch = next(reader)
    expected = batch["pixels"].copy()
    view = batch["pixels"][3:5]
    text = batch["writer"]
    gone = weakref.ref(reader)
    del batch, reader, ds
    gc.collect()
    assert gone() is None
    # What would be reused if it were free.
    junk = [np.full_like(expected, 7) for _ in range(10)]
    np.testing.assert_array_equal(view, expected[3:5])
    assert text[0] == "writer-00"
    del junk


def save(tf, tmp_path, structure):
    path = str(tmp_path / "saved")
    tf.data.Dataset.from_tensor_slices(structure).save(path)
    return tfarrow.open(path)


def test_every_dtype(tf, tmp_path):
    numbers = np.arange(6).reshape(3, 2)
    names = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
    arrays = {name: numbers.astype(name) for name in names.split()}
    arrays["bool"] = numbers > 2
    batch = next(iter(save(tf, tmp_path, arrays)))
    for name, array in arrays.items():
        assert batch[name].dtype == array.dtype, name
        np.testing.assert_array_equal(batch[name], array)


def test_bfloat16(tf, tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = tf.cast([[1.5, -2.0], [0.25, 3.0]], tf.bfloat16)
    ds = save(tf, tmp_path, {"x": values})
    assert next(iter(ds))["x"].dtype == np.float32
    raw = next(iter(ds.with_options(bfloat16="raw")))["x"]
    assert raw.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(raw.astype(np.float32), [[1.5, -2.0], [0.25, 3.0]])


def test_ragged(tf, tmp_path):
    rows = [[[1, 2], []], [], [[3]], [[4, 5, 6], [7]]]
    ds = save(tf, tmp_path, {"r": tf.ragged.constant(rows)})
    column = next(iter(ds))["r"]
    assert isinstance(column, tfarrow.Ragged) and isinstance(column.values, tfarrow.Ragged)
    expected = tf.ragged.constant(rows)
    np.testing.assert_array_equal(column.row_splits, expected.row_splits)
    np.testing.assert_array_equal(column.values.row_splits, expected.values.row_splits)
    np.testing.assert_array_equal(column.values.values, expected.flat_values)
    assert column.to_pylist() == rows
    assert [len(row) for row in column] == [2, 0, 1, 2]
    assert column[3].to_pylist() == [[4, 5, 6], [7]]
    assert column[1:3].to_pylist() == rows[1:3]


def test_sparse(tf, tmp_path):
    dense = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 3]], dtype=np.float32)
    ds = save(tf, tmp_path, {"s": tf.sparse.from_dense(dense)})
    column = next(iter(ds))["s"]
    assert isinstance(column, tfarrow.Sparse)
    np.testing.assert_array_equal(np.stack([column.to_dense(row) for row in range(3)]), dense)
    np.testing.assert_array_equal(column.dense_shape, [[3], [3], [3]])


def test_tensors_whose_shape_varies(tf, tmp_path):
    shapes = [(2, 3), (0, 5), (1, 1)]
    tensors = [np.arange(np.prod(shape), dtype=np.int32).reshape(shape) for shape in shapes]
    ds = tf.data.Dataset.from_generator(
        lambda: ({"v": tensor} for tensor in tensors), output_signature={"v": tf.TensorSpec([None, None], tf.int32)}
    )
    path = str(tmp_path / "saved")
    ds.save(path)
    column = next(iter(tfarrow.open(path)))["v"]
    assert len(column) == 3
    for found, tensor in zip(column, tensors, strict=True):
        np.testing.assert_array_equal(found, tensor)
        assert found.shape == tensor.shape


def test_strings(tf, tmp_path):
    values = [[b"a", b"\xff\x00"], [b"", "é".encode()]]
    batch = next(iter(save(tf, tmp_path, {"t": tf.constant(values), "x": [b"one", b"two"]})))
    assert batch["t"].to_pylist() == values
    assert batch["t"].shape == (2, 2)
    assert batch["t"][1][1] == "é".encode()
    assert list(batch["x"]) == [b"one", b"two"] and batch["x"] == [b"one", b"two"]
    assert np.asarray(batch["t"]).tolist() == values


def test_nulls_are_masked(tmp_path):
    import pyarrow.parquet as pq

    path = str(tmp_path / "t.parquet")
    tensor = pa.FixedShapeTensorArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2], None, [5, 6]], pa.list_(pa.int32(), 2))
    )
    table = pa.table({"n": [1, None, 3], "s": ["a", None, "c"], "l": [[1], None, []], "t": tensor})
    pq.write_table(table, path)
    batch = next(iter(tfarrow.open(path)))
    assert isinstance(batch["n"], np.ma.MaskedArray)
    assert batch["n"].tolist() == [1, None, 3]
    assert batch["s"].to_pylist() == ["a", None, "c"]
    assert batch["l"].to_pylist() == [[1], None, []]
    assert batch["t"].tolist() == [[1, 2], [None, None], [5, 6]]
    assert batch["t"].mask.shape == (3, 2)


def test_structs_are_reached_by_path(tf, tmp_path):
    ds = tf.data.Dataset.range(4).map(
        lambda i: {"steps": tf.data.Dataset.range(i).map(lambda s: {"action": tf.fill([2], s), "text": tf.strings.as_string(s)})}
    )
    batch = next(iter(tfarrow.from_dataset(ds)))
    steps = batch["steps"]
    actions = batch["steps/action"]
    np.testing.assert_array_equal(actions.row_splits, [0, 0, 1, 3, 6])
    np.testing.assert_array_equal(actions[3], [[0, 0], [1, 1], [2, 2]])
    np.testing.assert_array_equal(actions.values, steps.values["action"])
    assert steps[2].to_pylist() == [{"action": [0, 0], "text": b"0"}, {"action": [1, 1], "text": b"1"}]
    assert batch["steps/text"].to_pylist() == [[], [b"0"], [b"0", b"1"], [b"0", b"1", b"2"]]


def test_a_missing_column_is_a_key_error(digits):
    batch = next(iter(tfarrow.open(digits)))
    with pytest.raises(KeyError, match="there are image, label"):
        batch["nosuch"]
