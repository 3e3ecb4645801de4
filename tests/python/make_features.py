"""Writes tests/golden/features: tensors and images hidden in bytes, and SequenceExamples.

    python tests/python/make_features.py

Needs TensorFlow. Every value in expected.json is what TensorFlow itself reads back.
"""

import json
import math
import os
import struct
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

HERE = os.path.join(os.path.dirname(__file__), "..", "golden", "features")

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "int4", "uint4"]
FLOATS = ["float16", "bfloat16", "float32", "float64", "float8_e5m2", "float8_e4m3fn"]


def feature(value):
    if value is None:
        return tf.train.Feature()
    if isinstance(value, bytes):
        value = [value]
    if all(isinstance(v, bytes) for v in value) and value:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=value))
    if all(isinstance(v, float) for v in value) and value:
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=value))


def example(features):
    features = {name: feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def write(name, records):
    with tf.io.TFRecordWriter(os.path.join(HERE, name)) as writer:
        for record in records:
            writer.write(record)


def plain(value):
    """A value as JSON holds it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (complex, np.complexfloating)):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(value) if value == int(value) else value


def sample(dtype, start):
    """A [2, 3] tensor of `dtype`."""
    if dtype == "bool":
        values = [[True, False, start % 2 == 0], [False, True, True]]
        return tf.constant(values)
    if dtype == "string":
        return tf.constant([[f"v{start}", "", "é"], ["a", "b", "c" * start]])
    if dtype.startswith("complex"):
        values = np.arange(6).reshape(2, 3) + start - 1.5j
        return tf.constant(values.astype(dtype))
    values = np.arange(6).reshape(2, 3) + start
    if dtype in FLOATS:
        values = values.astype("float32") / 2 - 1
        if dtype != "float8_e4m3fn":
            values[0, 0] = -np.inf
    elif not dtype.startswith("u"):
        values[1, 2] = -8 if dtype == "int4" else -(start + 1)
    elif dtype == "uint64":
        return tf.constant(values.astype("uint64") + np.uint64(2**60))
    return tf.cast(tf.constant(values), dtype)


def serialize(tensor, dtype):
    """As tf.io.serialize_tensor; for dtypes that it does not take, what Tensor.AsProtoTensorContent gives."""
    try:
        data = tf.io.serialize_tensor(tensor).numpy()
        parsed = tf.io.parse_tensor(data, tf.as_dtype(dtype)).numpy()
        assert np.array_equal(parsed, tensor.numpy(), equal_nan=dtype in FLOATS), dtype
        return data
    except (tf.errors.NotFoundError, tf.errors.InvalidArgumentError):
        proto = tf.compat.v1.make_tensor_proto(0, dtype=tf.int8, shape=tensor.shape)
        proto.ClearField("int_val")
        proto.dtype = tf.as_dtype(dtype).as_datatype_enum
        proto.tensor_content = tensor.numpy().tobytes()
        print("no serialize_tensor for", dtype)
        return proto.SerializeToString()


def encoded():
    """Every dtype as raw bytes, as serialize_tensor writes it, and in the typed fields."""
    expected = {}
    rows = []
    for start in range(2):
        row = {}
        for dtype in INTS + FLOATS + ["bool", "complex64", "complex128", "string"]:
            tensor = sample(dtype, start)
            array = tensor.numpy()
            values = [plain(v) for v in array.ravel()]
            if dtype == "uint64":
                values = [int(v) for v in array.ravel()]
            if dtype != "string":
                row[f"raw_{dtype}"] = array.tobytes()
                expected.setdefault(f"raw_{dtype}", []).append(values)
            row[f"tensor_{dtype}"] = serialize(tensor, dtype)
            expected.setdefault(f"tensor_{dtype}", []).append(values)
            if dtype not in ("int4", "uint4", "float8_e5m2", "float8_e4m3fn"):
                row[f"fields_{dtype}"] = tf.make_tensor_proto(tensor).SerializeToString()
                expected.setdefault(f"fields_{dtype}", []).append(values)
        fill = tf.compat.v1.make_tensor_proto(7, dtype=tf.int32, shape=[2, 3])
        assert len(fill.int_val) == 1
        row["fields_fill"] = fill.SerializeToString()
        expected.setdefault("fields_fill", []).append([7] * 6)
        rows.append(example(row))
    write("encoded.tfrecord", rows)
    return expected


def shapes():
    """Tensors whose shape differs from record to record, and records without them."""
    rows = []
    for shape in ([2, 3], [0, 3], None, [1, 3]):
        if shape is None:
            rows.append(example({"id": [3]}))
            continue
        tensor = tf.reshape(tf.range(np.prod(shape), dtype=tf.int32), shape)
        rows.append(
            example({"id": [1], "t": tf.io.serialize_tensor(tensor).numpy(), "r": tensor.numpy().tobytes()})
        )
    write("shapes.tfrecord", rows)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def indexed_png():
    """A PNG with a palette, which TensorFlow reads and does not write."""
    header = struct.pack(">IIBBBBB", 3, 1, 8, 3, 0, 0, 0)
    palette = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])
    chunks = [chunk(b"IHDR", header), chunk(b"PLTE", palette), chunk(b"IDAT", zlib.compress(b"\0\0\1\2"))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def bmp(array):
    height, width, _ = array.shape
    rows = [bytes(row[:, ::-1].ravel()) for row in array[::-1]]
    data = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    return struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 2835, 2835, 0, 0
    ) + data


def gif():
    """A GIF of 2 by 2 pixels in four colours."""
    colours = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7])
    # LZW of the indices 0 1 2 3 with 2-bit codes: clear, 0, 1, 2, 3, end.
    bits, size, at, code = 0, 3, 0, 6
    for index, value in enumerate([4, 0, 1, 2, 3, 5]):
        bits |= value << at
        at += size
        if index >= 1:
            code += 1
            if code > 8 and size == 3:
                size = 4
    data = bits.to_bytes((at + 7) // 8, "little")
    return (
        b"GIF89a" + struct.pack("<HHBBB", 2, 2, 0x81, 0, 0) + colours
        + b"," + struct.pack("<HHHHB", 0, 0, 2, 2, 0) + bytes([2, len(data)]) + data + b"\0;"
    )


def images():
    smooth = np.add.outer(np.arange(8) * 9, np.arange(6) * 12)
    colour = np.stack([smooth, smooth[::-1], 255 - smooth], axis=-1).astype("uint8")
    deep = (np.arange(12).reshape(2, 6, 1) * 5000).astype("uint16")
    cases = {
        "png_gray": tf.io.encode_png(colour[..., :1]).numpy(),
        "png_gray_alpha": tf.io.encode_png(colour[..., :2]).numpy(),
        "png_colour": tf.io.encode_png(colour).numpy(),
        "png_alpha": tf.io.encode_png(np.concatenate([colour, colour[..., :1]], axis=-1)).numpy(),
        "png_indexed": indexed_png(),
        "png_16": tf.io.encode_png(deep).numpy(),
        "jpeg_gray": tf.io.encode_jpeg(colour[..., :1]).numpy(),
        "jpeg_colour": tf.io.encode_jpeg(colour, chroma_downsampling=False).numpy(),
        "bmp": bmp(colour),
        "gif": gif(),
    }
    expected = {}
    for name, data in cases.items():
        dtype = tf.uint16 if name == "png_16" else tf.uint8
        decoded = tf.io.decode_image(data, dtype=dtype, expand_animations=False).numpy()
        expected[name] = {"shape": list(decoded.shape), "values": decoded.ravel().tolist()}
        write(f"{name}.tfrecord", [example({"image": data})])
    return expected


def sequences():
    """SequenceExamples, and what becomes of them."""
    rows = [
        {
            "context": {"id": [1], "title": b"one"},
            "lists": {
                "token": [[3], [1], [4]],
                "pair": [[0.5, 1.5], [2.5, 3.5]],
                "words": [[b"a", b"b"], [], [b"c"]],
                "maybe": [[1], None, [2]],
                "frame": [bytes([1, 2]), bytes([3, 4])],
            },
        },
        {"context": {"id": [2]}, "lists": {"token": [], "words": [[b"d"]]}},
        {"context": {}, "lists": {"token": [[9]], "pair": [[4.5, 5.5]], "words": [[]], "maybe": [None]}},
    ]
    records = []
    for row in rows:
        lists = {
            name: tf.train.FeatureList(feature=[feature(step) for step in steps])
            for name, steps in row["lists"].items()
        }
        # An empty step has the kind of the others.
        for name, steps in row["lists"].items():
            for at, step in enumerate(steps):
                if step == [] and name == "words":
                    lists[name].feature[at].CopyFrom(
                        tf.train.Feature(bytes_list=tf.train.BytesList(value=[]))
                    )
        context = {name: feature(value) for name, value in row["context"].items()}
        records.append(
            tf.train.SequenceExample(
                context=tf.train.Features(feature=context),
                feature_lists=tf.train.FeatureLists(feature_list=lists),
            ).SerializeToString(deterministic=True)
        )
    write("sequence.tfrecord", records)
    return {
        "id": [1, 2, None],
        "title": ["one", None, None],
        "token": [[3, 1, 4], [], [9]],
        "pair": [[[0.5, 1.5], [2.5, 3.5]], None, [[4.5, 5.5]]],
        "words": [[["a", "b"], [], ["c"]], [["d"]], [[]]],
        "maybe": [[1, None, 2], None, [None]],
        "frame": [["\x01\x02", "\x03\x04"], None, None],
    }


def main():
    os.makedirs(HERE, exist_ok=True)
    expected = {"encoded": encoded(), "images": images(), "sequence": sequences()}
    shapes()
    with open(os.path.join(HERE, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, ensure_ascii=True, indent=None, separators=(",", ":"))
        file.write("\n")


main()
