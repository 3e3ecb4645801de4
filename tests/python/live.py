"""Pipelines for tests/live.rs: exports them, and checks what tfarrow made of them.

    live.py make FOLDER     exports every pipeline to FOLDER/NAME, and saves it to FOLDER/NAME.saved
    live.py check FOLDER    compares FOLDER/NAME.arrow with what TensorFlow's own iterator gives
    live.py model FOLDER    saves a model, FOLDER/model, and what it gives, FOLDER/model.json
    live.py refuse          pipelines that cannot be exported are refused with the way out
"""

import collections
import json
import os
import sys
import tempfile
import unittest.mock

import numpy as np
import pyarrow as pa
import tensorflow as tf

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "source", "live"))
import tfarrow_export

Dataset = tf.data.Dataset
Point = collections.namedtuple("Point", ["y", "x"])
PLAIN = [
    tf.bool, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64, tf.half,
    tf.bfloat16, tf.float32, tf.float64, tf.complex64, tf.complex128,
]  # fmt: skip
QUANTIZED = {tf.qint8: tf.int8, tf.quint8: tf.uint8, tf.qint16: tf.int16, tf.quint16: tf.uint16, tf.qint32: tf.int32}
# TensorFlow itself cannot iterate over float8_e5m2.
FLOAT8 = [tf.dtypes.experimental.float8_e4m3fn]
NARROW = [tf.dtypes.experimental.int4, tf.dtypes.experimental.uint4]


def of_dtypes(i):
    n = tf.cast(i, tf.int32)
    out = {}
    for dtype in PLAIN + FLOAT8 + NARROW:
        # Not every dtype can be cast to directly.
        value = tf.cast(n % 2, tf.float32) if dtype in FLOAT8 else n % 2 if dtype == tf.bool else n
        out[dtype.name] = tf.cast(value, dtype)
        out[dtype.name + "_vector"] = tf.cast(tf.stack([value, value, value]), dtype)
        out[dtype.name + "_list"] = tf.cast(tf.fill([n % 3], value), dtype)
    for dtype, storage in QUANTIZED.items():
        out[dtype.name] = tf.bitcast(tf.cast(n, storage), dtype)
        out[dtype.name + "_vector"] = tf.bitcast(tf.cast(tf.stack([n, n]), storage), dtype)
    return out


def image(i):
    size = tf.cast(2 + i % 3, tf.int32)
    pixels = tf.cast(tf.reshape(tf.range(size * 4 * 3), [size, 4, 3]), tf.uint8)
    return {
        "png": tf.io.encode_png(pixels),
        "pixels": tf.io.decode_png(tf.io.encode_png(pixels), channels=3),
        "small": tf.cast(tf.image.resize(pixels, [2, 2]), tf.uint8),
    }


def optional(i):
    return tf.cond(
        i % 3 == 0,
        lambda: tf.experimental.Optional.empty(tf.TensorSpec([2], tf.int64)),
        lambda: tf.experimental.Optional.from_value(tf.stack([i, -i])),
    )


def records(folder):
    path = os.path.join(folder, "records.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for i in range(10):
            features = {"n": tf.train.Feature(int64_list=tf.train.Int64List(value=[i]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    features = {"n": tf.io.FixedLenFeature([], tf.int64)}
    return Dataset.list_files(path, shuffle=False).interleave(tf.data.TFRecordDataset).map(
        lambda record: tf.io.parse_single_example(record, features)
    )


def pipelines(folder):
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant([b"zero", b"one"])), b"?"
    )
    variable = tf.Variable(5, dtype=tf.int64)
    rows = np.arange(300_000, dtype=np.float32).reshape(-1, 100)
    return {
        "map": Dataset.range(100).map(lambda i: {"x": tf.stack([i, i * i]), "y": i % 7}),
        "shuffle": Dataset.range(500).shuffle(100, seed=3, reshuffle_each_iteration=False),
        "filter": Dataset.range(3000).filter(lambda i: i % 3 == 0),
        "interleave": Dataset.range(5).interleave(lambda i: Dataset.range(i), cycle_length=2, block_length=2),
        "padded": Dataset.range(1, 10).map(lambda i: tf.fill([i], i)).padded_batch(4),
        "ragged_batch": Dataset.range(1, 10).map(lambda i: tf.fill([i], i)).ragged_batch(4),
        "ragged": Dataset.from_tensor_slices(tf.ragged.constant([[[1, 2], []], [], [[3]]] * 70, dtype=tf.int32)),
        "ragged_inner": Dataset.from_tensor_slices(
            tf.ragged.constant([[[1, 2], [3, 4]], [], [[5, 6]]], inner_shape=(2,), dtype=tf.int64)
        ),
        "sparse": Dataset.from_tensor_slices(tf.sparse.from_dense([[0, 1, 0], [2, 0, 3]])).repeat(80),
        "strings": Dataset.from_tensor_slices({"s": [b"a", b"\xff\xfe", b"", b"x" * 100], "t": [[b"1", b"22"]] * 4}),
        "text": Dataset.from_tensor_slices([b"one two", b"", b"three  four five"]).map(
            lambda line: {"words": tf.strings.split(line), "upper": tf.strings.upper(line), "n": tf.strings.length(line)}
        ),
        "characters": Dataset.from_tensor_slices([b"ab cd", b"e"]).batch(2).map(
            lambda lines: tf.strings.bytes_split(tf.strings.split(lines))
        ),
        "shuffled_batches": Dataset.range(100).shuffle(30, seed=7, reshuffle_each_iteration=False).repeat(2).batch(8),
        "images": Dataset.range(9).map(image),
        "nested": Dataset.range(5).map(
            lambda i: ({"b": i, "a": (i, tf.strings.as_string(i))}, Point(tf.cast(i, tf.float32), i > 2))
        ),
        "dtypes": Dataset.range(5).map(of_dtypes),
        "unknown_rank": Dataset.range(6).map(
            unknown_rank
        ),
        "two_unknown": Dataset.range(6).map(lambda i: {"f": tf.ones([i, 2, i]), "s": tf.fill([i, 2], "v")}),
        "no_values": Dataset.range(3).map(lambda i: tf.zeros([0, 3])),
        "optional": Dataset.range(7).map(optional),
        "windows": Dataset.range(10).map(lambda i: {"i": i, "l": tf.range(i)}).window(4),
        "windows_of_windows": Dataset.range(12).window(2).window(3),
        "empty": Dataset.range(0),
        "one": Dataset.from_tensors({"x": tf.constant([[1.5, 2.5]])}),
        "table": Dataset.range(3).map(lambda i: table.lookup(i)),
        "variable": Dataset.range(3).map(lambda i: i + variable),
        "stateful_function": Dataset.range(3).map(lambda i: add_to(variable, i)),
        "records": records(folder),
        "large": Dataset.from_tensor_slices({"x": rows, "i": np.arange(len(rows))}),
        "cached": Dataset.range(20).cache().prefetch(2).map(lambda i: i + 1, num_parallel_calls=tf.data.AUTOTUNE),
    }


class Model(tf.Module):
    """A model with a variable, a lookup table in a file, and a constant that its function captures."""

    def __init__(self, names):
        self.weights = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        self.offset = tf.constant(np.arange(2, dtype=np.float32))
        self.names = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                names, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            ),
            -1,
        )

    @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None], tf.string, name="name")])
    def predict(self, x, name):
        return {"y": x @ self.weights + self.offset, "id": self.names.lookup(name)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="n")])
    def square(self, n):
        return {"square": n * n, "text": tf.strings.as_string(n)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64, name="n")])
    def fails(self, n):
        with tf.control_dependencies([tf.debugging.assert_less(n, tf.constant(5, tf.int64), "too large")]):
            return {"n": tf.identity(n)}


def model(folder):
    names = os.path.join(folder, "names.txt")
    with open(names, "w") as file:
        file.write("a\nb\n")
    model = Model(names)
    functions = {"serving_default": model.predict, "square": model.square, "fails": model.fails}
    tf.saved_model.save(model, os.path.join(folder, "model"), signatures=functions)
    # The saved model must bring it along.
    os.remove(names)
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    out = model.predict(tf.constant(x), tf.constant([b"b", b"a", b"?", b"b", b"a"]))
    with open(os.path.join(folder, "model.json"), "w") as file:
        json.dump({"y": out["y"].numpy().tolist(), "id": out["id"].numpy().tolist()}, file)


@tf.function
def add_to(variable, i):
    return inner_add(variable, i) + 1


@tf.function(autograph=False)
def inner_add(variable, i):
    with tf.control_dependencies([tf.debugging.assert_non_negative(i)]):
        return variable.read_value() + i


def unknown_rank(i):
    value = tf.cond(i % 2 == 0, lambda: tf.fill([1, 2], i), lambda: tf.fill([], i))
    return tf.ensure_shape(value, None)


def make(folder):
    import tensorflow

    with open(os.path.join(folder, "libtensorflow"), "w") as file:
        file.write(os.path.dirname(tensorflow.__file__))
    for name, dataset in pipelines(folder).items():
        tfarrow_export.export(dataset, os.path.join(folder, name))
        holds_dataset = name.startswith("windows")
        # TensorFlow itself cannot save datasets in datasets.
        if not holds_dataset:
            dataset.save(os.path.join(folder, name + ".saved"))
    tfarrow_export.export(Dataset.range(3).repeat(), os.path.join(folder, "endless"))
    failing = Dataset.range(2000).map(lambda i: tf.debugging.check_numerics(1.0 / tf.cast(1500 - i, tf.float32), "bang"))
    tfarrow_export.export(failing, os.path.join(folder, "failing"))
    tfarrow_export.export(Dataset.range(1000).batch(64), os.path.join(folder, "batched"))


def scalar(value):
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value


def widened(array):
    """NumPy's own types for those that it does not have."""
    if array.dtype.name.startswith(("bfloat16", "float8")):
        return array.astype(np.float32)
    if array.dtype.name in ("int4", "uint4"):
        return array.astype(np.int8)
    return array


def flat(array):
    """The values of an array as Arrow gives them, complex numbers as pairs."""
    array = widened(array)
    return [scalar(value) for value in array.reshape(-1).tolist()]


def nested(array):
    array = widened(array)
    walk = lambda value: [walk(item) for item in value] if isinstance(value, list) else scalar(value)
    return walk(array.tolist())


def numpy_of(value):
    if value.dtype in QUANTIZED:
        value = tf.bitcast(value, QUANTIZED[value.dtype])
    value = value.numpy()
    # A byte string, or an array of them, stays what it is: NumPy would cut zeros off its end.
    return np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)


def expected(spec, value):
    """What the column of a component holds."""
    if isinstance(spec, tf.RaggedTensorSpec):
        if spec.ragged_rank == 0:
            return expected(tf.TensorSpec(spec.shape, spec.dtype), value)
        return value.to_list()
    if isinstance(spec, tf.SparseTensorSpec):
        value = tf.compat.v1.SparseTensorValue(*(np.asarray(part) for part in (value.indices, value.values, value.dense_shape)))
        return {
            "indices": value.indices.tolist(),
            "values": nested(value.values),
            "dense_shape": value.dense_shape.tolist(),
        }
    if isinstance(spec, tf.OptionalSpec):
        return expected(spec._element_spec, value.get_value()) if value.has_value() else None
    if isinstance(spec, tf.data.DatasetSpec):
        return [named(spec.element_spec, element) for element in value]
    array = numpy_of(value)
    dims = spec.shape.rank
    complex_part = [2] if spec.dtype.is_complex else []
    unwrap = lambda values: [item for pair in values for item in pair] if complex_part else values
    if dims is None:
        return {"data": flat(array), "shape": list(array.shape)}
    if dims == 0:
        return scalar(widened(array).item())
    if dims == 1 and spec.shape.as_list() == [None]:
        return flat(array)
    if spec.shape.is_fully_defined():
        if 0 in spec.shape.as_list():
            return []
        return nested(array) if spec.dtype == tf.string else unwrap(flat(array))
    return {"data": unwrap(flat(array)), "shape": list(array.shape) + complex_part}


def components(spec, value, path=""):
    """The components with their paths, in TensorFlow's order."""
    if isinstance(spec, dict):
        items = [(key, spec[key], value[key]) for key in sorted(spec)]
    elif hasattr(spec, "_fields"):
        items = [(name, getattr(spec, name), getattr(value, name)) for name in spec._fields]
    elif isinstance(spec, (tuple, list)):
        items = [(str(i), *pair) for i, pair in enumerate(zip(spec, value))]
    else:
        yield path or "value", spec, value
        return
    for key, spec, value in items:
        yield from components(spec, value, f"{path}/{key}" if path else key)


def named(spec, element):
    """The struct of an element of a nested dataset."""
    if isinstance(spec, dict):
        return {key: named_part(spec[key], element[key]) for key in sorted(spec)}
    return {"value": expected(spec, element)}


def named_part(spec, value):
    return named(spec, value) if isinstance(spec, dict) else expected(spec, value)


def plain(array):
    """A column without its extension types."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    return array.to_pylist()


def same(left, right):
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return left == right or (left != left and right != right)


def check(folder):
    for name, dataset in pipelines(folder).items():
        with pa.ipc.open_file(os.path.join(folder, name + ".arrow")) as file:
            batches = [file.get_batch(i) for i in range(file.num_record_batches)]
            names = file.schema.names
        rows = sum(batch.num_rows for batch in batches)
        columns = {key: [v for batch in batches for v in plain(batch.column(i))] for i, key in enumerate(names)}
        count = 0
        for count, element in enumerate(dataset, 1):
            assert count <= rows, f"{name}: only {rows} rows"
            found = list(components(dataset.element_spec, element))
            assert [path for path, _, _ in found] == names, (name, names)
            for path, spec, value in found:
                want, got = expected(spec, value), columns[path][count - 1]
                assert same(want, got), f"{name}, row {count - 1}, {path}:\nexpected {want}\nfound    {got}"
        assert count == rows, f"{name}: {rows} rows, expected {count}"
        print(name, rows)


def refuse():
    generator = Dataset.from_generator(lambda: iter([1]), output_signature=tf.TensorSpec([], tf.int32))
    python = Dataset.range(2).map(lambda i: tf.numpy_function(lambda x: x, [i], tf.int64))
    arrays = Dataset.range(2).map(lambda i: tf.TensorArray(tf.int64, 1))
    with tempfile.TemporaryDirectory() as folder:
        for dataset, words in [(generator, "save("), (python, "numpy_function"), (arrays, "dataset.map")]:
            target = os.path.join(folder, "pipeline")
            try:
                tfarrow_export.export(dataset, target)
            except ValueError as error:
                assert words in str(error), error
            else:
                raise AssertionError("exported")
            assert not os.listdir(folder), os.listdir(folder)
        # As TensorFlow does with more than 2 GB of constants.
        with unittest.mock.patch.object(tf.raw_ops, "DatasetToGraphV2", lambda **_: tf.constant(b"")):
            try:
                tfarrow_export.export(Dataset.range(2), target)
            except ValueError as error:
                assert "2 GB" in str(error) and "save(" in str(error), error
            else:
                raise AssertionError("exported")
        assert not os.listdir(folder), os.listdir(folder)
        tfarrow_export.export(Dataset.range(2), target)
        try:
            tfarrow_export.export(Dataset.range(2), target)
        except FileExistsError as error:
            assert "overwrite" in str(error)
        else:
            raise AssertionError("overwritten")
        tfarrow_export.export(Dataset.range(3), target, overwrite=True)
        assert sorted(os.listdir(target)) == ["element_spec.json", "graph.pb"]
        assert json.load(open(os.path.join(target, "element_spec.json"))) == {"tensor": {"dtype": "int64", "shape": []}}


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    {"make": make, "check": check, "model": model, "refuse": refuse}[command](*rest)
