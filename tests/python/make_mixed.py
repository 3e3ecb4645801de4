"""Writes tests/golden/mixed: features that differ from record to record, or are stored in odd ways.

    python tests/python/make_mixed.py

Needs TensorFlow and TensorFlow Metadata. Every value in expected.json is what TensorFlow reads back.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow_metadata.proto.v0 import schema_pb2  # noqa: E402

HERE = os.path.join(os.path.dirname(__file__), "..", "golden", "mixed")


def feature(value):
    if value is None:
        return tf.train.Feature()
    if isinstance(value[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
    if isinstance(value[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def example(features):
    features = {name: feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def write(name, records):
    with tf.io.TFRecordWriter(os.path.join(HERE, name)) as writer:
        for record in records:
            writer.write(record)
    return records


def kinds():
    """As tensorflow/datasets#4736: a feature of floats, and of one empty string where it is unknown."""
    rows = []
    for n in range(20):
        similarity = [b""] if n % 5 == 1 else [n / 4]
        rows.append(example({"title": [f"title {n}".encode()], "year": [2000 + n], "similarity": similarity}))
    write("kinds.tfrecord", rows)
    spec = {"similarity": tf.io.FixedLenFeature([], tf.float32, float("nan"))}
    values = []
    for record in rows:
        try:
            values.append(float(tf.io.parse_single_example(record, spec)["similarity"]))
        except tf.errors.InvalidArgumentError:
            values.append(None)
    return values


def bytes_one_by_one():
    """Pixels as one string each, and rows as one string each."""
    pixels = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    rows = [
        example({"pixels": [bytes([value]) for value in image.ravel()], "rows": [row.tobytes() for row in image]})
        for image in pixels
    ]
    write("bytes_one_by_one.tfrecord", rows)
    spec = {"pixels": tf.io.FixedLenFeature([45], tf.string), "rows": tf.io.FixedLenFeature([3], tf.string)}
    found = {"pixels": [], "rows": []}
    for record in rows:
        for name, strings in tf.io.parse_single_example(record, spec).items():
            decoded = tf.reshape(tf.io.decode_raw(strings, tf.uint8), [3, 5, 3])
            found[name].append(decoded.numpy().tolist())
    assert found["pixels"] == found["rows"] == pixels.tolist()
    return found["pixels"]


def csv():
    """What TFX's CsvExampleGen and SchemaGen make of a CSV file with empty cells: every key, not every value."""
    table = [("a", 1, 1.5), ("b", None, 2.5), (None, 3, None)]
    rows = [
        example(
            {
                "name": None if name is None else [name.encode()],
                "count": None if count is None else [count],
                "price": None if price is None else [price],
            }
        )
        for name, count, price in table
    ]
    write("csv.tfrecord", rows)
    schema = schema_pb2.Schema()
    for name, kind in [("name", schema_pb2.BYTES), ("count", schema_pb2.INT), ("price", schema_pb2.FLOAT)]:
        column = schema.feature.add(name=name, type=kind)
        column.value_count.min = column.value_count.max = 1
        column.presence.min_fraction, column.presence.min_count = 1.0, 1
    schema.feature[0].domain = "name"
    schema.string_domain.add(name="name", value=["a", "b"])
    with open(os.path.join(HERE, "csv.pbtxt"), "w") as file:
        file.write(text_format.MessageToString(schema))
    spec = {
        "name": tf.io.VarLenFeature(tf.string),
        "count": tf.io.VarLenFeature(tf.int64),
        "price": tf.io.VarLenFeature(tf.float32),
    }
    found = {name: [] for name in spec}
    for record in rows:
        for name, values in tf.io.parse_single_example(record, spec).items():
            values = values.values.numpy().tolist()
            value = values[0] if values else None
            found[name].append(value.decode() if isinstance(value, bytes) else value)
    return found


def nul():
    """Bytes that happen to be UTF-8, but hold NUL, beside text."""
    values = [np.array([n, 65], np.int32).tobytes() for n in range(3)]
    rows = [example({"raw": [value], "text": [f"é{n}".encode()]}) for n, value in enumerate(values)]
    write("nul.tfrecord", rows)
    return [np.frombuffer(value, np.int32).tolist() for value in values]


def main():
    os.makedirs(HERE, exist_ok=True)
    expected = {"kinds": kinds(), "bytes_one_by_one": bytes_one_by_one(), "csv": csv(), "nul": nul()}
    with open(os.path.join(HERE, "expected.json"), "w") as file:
        json.dump(expected, file)
        file.write("\n")


main()
