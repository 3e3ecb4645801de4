"""Reads the TFRecord files of a folder with TensorFlow, and compares them with Arrow files of the same rows.

    check_tfrecord.py FOLDER

For every NAME.tfrecord there (or its shards, or NAME.tfrecord.gz) stands NAME.tfrecord.features.json beside
it, which says what to parse, and NAME.arrow, which says what must come out.
"""

import json
import pathlib
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import tensorflow as tf

TYPE = re.compile(r"(?:(raw|tensor)<(\w+)>|(\w+))(\[.*\])?(\?)?$")
BYTES = ("string", "binary")
FLOATS = ("float16", "bfloat16", "float32")


def flat(value, out):
    if isinstance(value, (list, tuple)):
        for item in value:
            flat(item, out)
    elif isinstance(value, dict):
        flat(value["data"], out)
    else:
        out.append(value)
    return out


def plain(column):
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    return column


def expected(column):
    """A list of flat values a row, or None; with the shape where it varies."""
    column = plain(column)
    rows = []
    for value in column.to_pylist():
        shape = value["shape"] if isinstance(value, dict) else None
        rows.append(None if value is None else (flat(value, []), shape))
    return rows


def parser(text):
    encoding, inner, outer, dims, _ = TYPE.match(text).groups()
    name = inner or outer
    dims = [] if dims is None else [d for d in dims[1:-1].split(",")]
    shape = None if dims == ["..."] else [None if d in ("?", "") else int(d) for d in dims]
    dtype = tf.string if name in BYTES else tf.as_dtype(name)
    if encoding:
        return encoding, dtype, shape, tf.string
    return "values", dtype, shape, tf.string if name in BYTES else tf.float32 if name in FLOATS else tf.int64


def numbers(values, dtype, pairs):
    if dtype == tf.string:
        return [v.encode() if isinstance(v, str) else v for v in values]
    if pairs:
        part = np.float32 if dtype == tf.complex64 else np.float64
        return np.array(values, part).view(dtype.as_numpy_dtype)
    return np.array(values, dtype.as_numpy_dtype)


def same(found, values):
    found = np.asarray(found)
    if found.dtype == object:
        return found.ravel().tolist() == list(values)
    return found.size == len(values) and found.ravel().tobytes() == np.asarray(values, found.dtype).tobytes()


def check(arrow):
    name = arrow.stem
    specs = json.loads((arrow.parent / f"{name}.tfrecord.features.json").read_text())
    files = sorted(arrow.parent.glob(f"{name}-*-of-*.tfrecord")) or [arrow.parent / f"{name}.tfrecord"]
    datasets = [tf.data.TFRecordDataset(str(file)) for file in files]
    records = list(tf.data.Dataset.choose_from_datasets(
        datasets, tf.data.Dataset.range(10**9).map(lambda i: i % len(files)), stop_on_empty_dataset=True))
    with pa.memory_map(str(arrow)) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table.num_rows == len(records), f"{name}: {len(records)} records, {table.num_rows} rows"
    assert sorted(specs) == sorted(table.column_names), f"{name}: {list(specs)}"
    for column, text in specs.items():
        encoding, dtype, shape, stored = parser(text)
        rows = expected(table[column])
        single = encoding != "values"
        whole = shape is not None and None not in shape
        for i, (record, row) in enumerate(zip(records, rows)):
            place = f"{name}, row {i}, {column}: {text}"
            if row is None:
                assert column not in tf.train.Example.FromString(record.numpy()).features.feature, place
                continue
            values, row_shape = row
            if single or whole:
                feature = tf.io.FixedLenFeature([] if single else shape, stored)
            else:
                feature = tf.io.FixedLenSequenceFeature(shape[1:], stored, allow_missing=True)
            parsed = tf.io.parse_example(record[None], {column: feature})[column][0]
            if encoding == "raw":
                parsed = tf.io.decode_raw(parsed, dtype)
            elif encoding == "tensor":
                parsed = tf.io.parse_tensor(parsed, dtype)
                if row_shape is not None:
                    wanted = row_shape[:-1] if dtype in (tf.complex64, tf.complex128) and shape is not None else row_shape
                    assert list(parsed.shape) == list(wanted), f"{place}: {parsed.shape}, {row_shape}"
            else:
                # Narrower values are what they are in the column, once they are cast.
                dtype = stored
            parsed = parsed.numpy()
            pairs = dtype in (tf.complex64, tf.complex128)
            assert same(parsed, numbers(values, dtype, pairs)), f"{place}: {parsed}, expected {values}"
    return len(records) * len(specs)


def main():
    arrows = sorted(pathlib.Path(sys.argv[1]).glob("*.arrow"))
    values = sum(check(arrow) for arrow in arrows)
    assert values > 0
    print(f"{len(arrows)} files, {values} features are the same")


main()
