"""`from_dataset`: pipelines of this process, against the same data through `Dataset.save`."""

from __future__ import annotations

import numpy as np
import pytest
import tfarrow


def same_as_saved(tf, dataset, tmp_path, **options):
    path = str(tmp_path / "saved")
    dataset.save(path)
    saved = tfarrow.open(path, **options).to_pyarrow()
    live = tfarrow.from_dataset(dataset, **options).to_pyarrow()
    assert live.schema.equals(saved.schema, check_metadata=True)
    assert live.combine_chunks() == saved.combine_chunks()
    return live


def test_dense_numbers_are_tensorflows_own_memory(tf):
    data = np.arange(12, dtype=np.float32).reshape(4, 3)
    batched = tf.data.Dataset.from_tensor_slices({"x": data})
    seen = []

    class Watched:
        pass

    from tfarrow import _live

    taken = _live._taken

    def noted(left, dtype):
        seen.append(np.frombuffer(memoryview(left[0]), dtype=np.float32).__array_interface__["data"][0])
        return taken(left, dtype)

    _live._taken = noted
    try:
        batch = next(iter(tfarrow.from_dataset(batched)))
    finally:
        _live._taken = taken
    assert batch["x"].__array_interface__["data"][0] == seen[0]
    np.testing.assert_array_equal(batch["x"], data)


def test_memory_of_tensors_lives_as_long_as_a_view(tf):
    import gc

    view = next(iter(tfarrow.from_dataset(tf.data.Dataset.range(1000))))["value"]
    gc.collect()
    junk = [np.full(1000, 7, np.int64) for _ in range(50)]
    np.testing.assert_array_equal(view, np.arange(1000))
    del junk


def test_every_dtype(tf, tmp_path):
    numbers = np.arange(6).reshape(3, 2)
    names = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
    parts = {name: tf.constant(numbers.astype(name)) for name in names.split()}
    parts["bool"] = tf.constant(numbers > 2)
    parts["bfloat16"] = tf.cast(numbers, tf.bfloat16)
    parts["string"] = tf.constant([[b"a", b"\xff\x00"], [b"", b"bb"], [b"c", b"d"]])
    parts["scalar"] = tf.constant([b"x", b"", b"zz"])
    same_as_saved(tf, tf.data.Dataset.from_tensor_slices(parts), tmp_path)


@pytest.mark.parametrize("batch_rows", [1, 3, 1024])
def test_every_kind_of_component(tf, tmp_path, batch_rows):
    def element(i):
        i32 = tf.cast(i, tf.int32)
        return {
            "vector": tf.range(i32 % 4),
            "matrix": tf.zeros([i32 % 3, 2 + i32 % 2]),
            "empty": tf.zeros([0, i32], tf.uint8),
            "strings": tf.strings.as_string(tf.range(i32 % 3)),
            "ragged": tf.RaggedTensor.from_row_lengths(tf.range(i32 + 2), [i32, 2]),
            "deep": tf.RaggedTensor.from_nested_row_splits(tf.range(i32), [[0, 1, 2], [0, i32, i32]]),
            "pairs": tf.RaggedTensor.from_row_lengths(tf.ones([i32, 2]), [i32]),
            "sparse": tf.SparseTensor(tf.zeros([i % 2, 2], tf.int64), tf.ones([i % 2]), [3, 4]),
            "scalar": i,
        }

    ds = tf.data.Dataset.range(20).map(element)
    same_as_saved(tf, ds, tmp_path, batch_rows=batch_rows)


def test_structures(tf, tmp_path):
    ds = tf.data.Dataset.from_tensor_slices((({"b": [1, 2], "a": [[1.0], [2.0]]}, [3, 4]), ["x", "y"]))
    live = same_as_saved(tf, ds, tmp_path)
    assert live.column_names == ["0/0/a", "0/0/b", "0/1", "1"]
    same_as_saved(tf, ds, tmp_path / "n", structure="nested")
    assert tfarrow.from_dataset(ds, names=["x", "y"]).column_names == ["x/0/a", "x/0/b", "x/1", "y"]


def test_unknown_rank(tf):
    ds = tf.data.Dataset.from_generator(
        lambda: iter([np.int32(5), np.arange(3, dtype=np.int32)]), output_signature=tf.TensorSpec(None, tf.int32)
    )
    rows = tfarrow.from_dataset(ds).to_pyarrow()["value"].to_pylist()
    assert rows == [{"data": [5], "shape": []}, {"data": [0, 1, 2], "shape": [3]}]


def test_optionals(tf):
    def element(i):
        spec = tf.TensorSpec([2], tf.float32)
        some = tf.cond(
            i % 2 == 0,
            lambda: tf.experimental.Optional.from_value(tf.fill([2], tf.cast(i, tf.float32))),
            lambda: tf.experimental.Optional.empty(spec),
        )
        return {"o": some, "i": i}

    rows = tfarrow.from_dataset(tf.data.Dataset.range(4).map(element)).to_pyarrow()
    assert rows["o"].to_pylist() == [[0.0, 0.0], None, [2.0, 2.0], None]
    assert rows["i"].to_pylist() == [0, 1, 2, 3]


def test_nested_datasets(tf):
    ds = tf.data.Dataset.range(3).map(
        lambda i: {"episode": i, "steps": tf.data.Dataset.range(i).map(lambda s: {"s": s, "v": tf.range(s)})}
    )
    rows = tfarrow.from_dataset(ds).to_pyarrow().to_pylist()
    assert rows == [
        {"episode": 0, "steps": []},
        {"episode": 1, "steps": [{"s": 0, "v": []}]},
        {"episode": 2, "steps": [{"s": 0, "v": []}, {"s": 1, "v": [0]}]},
    ]


def test_python_functions_and_generators(tf):
    ds = tf.data.Dataset.range(10).map(
        lambda i: tf.py_function(lambda x: x * 2, [i], tf.int64), num_parallel_calls=2
    )
    ds = ds.map(lambda x: tf.ensure_shape(x, []))
    assert tfarrow.from_dataset(ds).to_pyarrow()["value"].to_pylist() == list(range(0, 20, 2))


def test_batched_pipelines_are_rows_when_unbatched(tf, tmp_path):
    ds = tf.data.Dataset.from_tensor_slices({"x": np.arange(10), "y": np.ones((10, 2), np.float32)}).batch(4)
    same_as_saved(tf, ds, tmp_path, unbatch=True)
    assert tfarrow.from_dataset(ds, unbatch=True).count() == 10


def test_an_endless_dataset_needs_an_end(tf):
    endless = tfarrow.from_dataset(tf.data.Dataset.range(3).repeat())
    with pytest.raises(tfarrow.Error, match="no end"):
        next(iter(endless))
    assert endless.take(5).to_pyarrow()["value"].to_pylist() == [0, 1, 2, 0, 1]
    assert endless.take(5).count() == 5


def test_rows_are_selected_in_the_pipeline(tf):
    made = []

    def note(i):
        made.append(int(i))
        return i

    ds = tf.data.Dataset.range(100).map(lambda i: tf.ensure_shape(tf.py_function(note, [i], tf.int64), []))
    live = tfarrow.from_dataset(ds).skip(10).shard(1, 3).take(4)
    assert live.to_pyarrow()["value"].to_pylist() == [11, 14, 17, 20]
    assert max(made) < 40


def test_columns_that_are_not_read(tf):
    ds = tf.data.Dataset.from_tensor_slices({"a": [1, 2], "b": ["x", "y"]})
    assert tfarrow.from_dataset(ds).select(["b"]).to_pyarrow().to_pydict() == {"b": [b"x", b"y"]}


def test_errors_name_the_element(tf):
    bad = tf.data.Dataset.range(10).map(lambda i: tf.constant(7) // tf.cast(5 - i, tf.int32))
    with pytest.raises(tfarrow.Error) as caught:
        tfarrow.from_dataset(bad, batch_rows=2).to_numpy()
    assert caught.value.record == 4
    assert "zero" in str(caught.value)


def test_what_it_cannot_read_is_refused(tf):
    with pytest.raises(TypeError, match="tf.data.Dataset"):
        tfarrow.from_dataset([1, 2]).count()
    import pickle

    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(tfarrow.from_dataset(tf.data.Dataset.range(3)))
