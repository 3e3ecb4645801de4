"""Makes datasets with a column of every type that tfarrow writes, and what readers must see of them.

    make_every_type.py FOLDER

TensorFlow writes the inputs, and `expected.json` holds its values in the form of read_parquet.py:
{dataset: {"input": FILE, "columns": {name: [value, …]}}}. Values are numerous and distinct enough for
every encoding that tfarrow chooses, and every list has an empty one among it.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from read_parquet import plain

ROWS = 1500
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn"]  # TensorFlow cannot save float8_e5m2
NUMBERS = INTEGERS + FLOATS + ["bool", "complex64", "complex128"]


def numbers(rng, dtype, shape, few=False):
    """Numbers of all sizes; `few` of them, many times each."""
    kind = tf.as_dtype(dtype).as_numpy_dtype
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(kind)
        bits = rng.integers(1, info.bits + 1, shape)
        values = rng.integers(info.min, info.max, shape, kind, endpoint=True) >> (info.bits - bits).astype(kind)
    elif dtype.startswith("complex"):
        values = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(kind)
    else:
        values = (rng.standard_normal(shape) * 2.0 ** rng.integers(-8, 8, shape)).astype(kind)
    return rng.choice(values.reshape(-1)[:9], shape).astype(kind) if few else values


def strings(rng, shape, few=False):
    values = [rng.bytes(rng.integers(0, 40)) for _ in range(int(np.prod(shape)))]
    if few:
        values = [values[i] for i in rng.integers(0, 9, len(values))]
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def values(rng, dtype, shape, few=False):
    return strings(rng, shape, few) if dtype == "string" else numbers(rng, dtype, shape, few)


def flat(array):
    """Values as columns hold them: complex numbers as pairs, narrow floats as float32."""
    array = np.asarray(array)
    if np.issubdtype(array.dtype, np.complexfloating):
        array = np.stack([array.real, array.imag], -1)
    elif array.dtype not in (np.float16, np.float32, np.float64) and array.dtype.kind in "fV":
        array = array.astype(np.float32)
    return array


def items(array):
    """A list of the values of an array, in one dimension."""
    return flat(array).reshape(-1).tolist()


def tensors(rng):
    """A save with tensors of every dtype: {name: what from_tensor_slices takes}, {name: values}."""
    data, expected = {}, {}
    for dtype in [*NUMBERS, "string"]:
        for name, shape, few in [
            (dtype, (), False),
            (f"{dtype}/few", (), True),
            (f"{dtype}/tensor", (2, 3), False),
        ]:
            array = values(rng, dtype, (ROWS, *shape), few)
            data[name] = tf.constant(array)
            expected[name] = array.tolist() if dtype == "string" else flat(array).tolist()
    return tf.data.Dataset.from_tensor_slices(data), expected


def lists(rng):
    """A save without tensors of known shape: lists, ragged and sparse ones, shapes that vary."""
    data, expected = {}, {}
    lengths = rng.integers(0, 6, ROWS)
    cut = lambda array: np.split(array, np.cumsum(lengths)[:-1])
    for dtype in [*NUMBERS, "string"]:
        if dtype.startswith("float8"):
            continue  # TensorFlow cannot slice ragged tensors of these
        ragged = lambda array: tf.RaggedTensor.from_row_lengths(tf.constant(array), lengths)
        array = values(rng, dtype, (lengths.sum(),), few=dtype in ("int16", "float64"))
        data[f"{dtype}/list"] = ragged(array)
        expected[f"{dtype}/list"] = [flat(row).tolist() for row in cut(array)]
        array = values(rng, dtype, (lengths.sum(), 2))
        data[f"{dtype}/varying"] = ragged(array)
        expected[f"{dtype}/varying"] = [{"data": items(row), "shape": [*flat(row).shape]} for row in cut(array)]
        pairs = array.reshape(-1, 2)
        inner = rng.integers(0, 4, lengths.sum())
        array = values(rng, dtype, (inner.sum(),))
        data[f"{dtype}/ragged"] = ragged_twice(array, inner, lengths)
        nested = np.split(flat(array), np.cumsum(inner)[:-1])
        ends = np.cumsum(lengths)
        expected[f"{dtype}/ragged"] = [
            [nested[i].tolist() for i in range(end - length, end)] for end, length in zip(ends, lengths)
        ]
        present = rng.integers(0, 2, (ROWS, 3)).astype(bool)
        array = values(rng, dtype, (ROWS, 3))
        where = np.argwhere(present)
        data[f"{dtype}/sparse"] = tf.SparseTensor(where, array[present], (ROWS, 3))
        expected[f"{dtype}/sparse"] = [
            {"indices": np.argwhere(p).tolist(), "values": flat(row[p]).tolist(), "dense_shape": [3]}
            for p, row in zip(present, array)
        ]
    dataset = tf.data.Dataset.from_tensor_slices(data)
    return dataset, expected


def ragged_twice(array, inner, outer):
    return tf.RaggedTensor.from_nested_row_lengths(tf.constant(array), [outer, inner])


def records(rng, path):
    """A TFRecord file with features that are missing; returns {name: values}."""
    text = [f"é {n}" for n in rng.integers(0, 10**6, ROWS)]
    word = [["a", "bb", "", "ccc"][n] for n in rng.integers(0, 4, ROWS)]
    columns = {
        "bytes": strings(rng, ROWS).tolist(),
        "float": numbers(rng, "float32", ROWS).tolist(),
        "int": numbers(rng, "int64", ROWS).tolist(),
        "label": numbers(rng, "int64", ROWS, few=True).tolist(),
        "text": text,
        "word": word,
        "floats": [numbers(rng, "float32", n).tolist() for n in rng.integers(0, 5, ROWS)],
        "ints": [numbers(rng, "int64", n).tolist() for n in rng.integers(0, 5, ROWS)],
        "words": [[word[i] for i in rng.integers(0, ROWS, n)] for n in rng.integers(0, 5, ROWS)],
    }
    for name, column in columns.items():
        for row in np.flatnonzero(rng.integers(0, 5, ROWS) == 0):
            column[row] = None
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in range(ROWS):
            example = tf.train.Example()
            for name, column in columns.items():
                value = column[row]
                if value is None:
                    continue
                many = value if isinstance(value, list) else [value]
                feature = example.features.feature[name]
                if name.startswith("float"):
                    feature.float_list.value.extend(many)
                elif name.startswith(("int", "label")):
                    feature.int64_list.value.extend(many)
                else:
                    feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in many)
            writer.write(example.SerializeToString())
    return columns


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    expected = {}
    for name, make in [("tensors", tensors), ("lists", lists)]:
        dataset, columns = make(rng)
        dataset.save(str(folder / name))
        expected[name] = {"input": name, "columns": columns}
    columns = records(rng, folder / "records.tfrecord")
    expected["records"] = {"input": "records.tfrecord", "columns": columns}
    for dataset in expected.values():
        dataset["columns"] = {name: [plain(v) for v in column] for name, column in dataset["columns"].items()}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
