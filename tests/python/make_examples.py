"""Writes the golden TFRecord files of tf.train.Example, and what they must become.

    python tests/python/make_examples.py tests/golden/examples

TensorFlow writes the files. Beside them goes expected.json: for each dataset the input files (a
glob), the Arrow columns in order, and the rows. A value of a `binary` column is written as hex, a
float that JSON does not have as "NaN", "Infinity" or "-Infinity". Before anything is kept,
TensorFlow reads every file back and must find the rows that expected.json states.

Columns are written like this:

    int64 float32 utf8 binary     one value a row, or null
    list<T>                       any number of values, or null
    tensor<T>[k]                  arrow.fixed_shape_tensor of shape [k]
    fixed_list<T>[k]              a plain FixedSizeList: what strings get instead of a tensor
"""

import argparse
import glob
import json
import math
import pathlib
import struct
import zlib

import tensorflow as tf

I64_MIN, I64_MAX = -(2**63), 2**63 - 1
NO_KIND = tf.train.Feature()


def ints(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def texts(*values):
    values = [v.encode() if isinstance(v, str) else v for v in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


blobs = texts


def record(features):
    """One serialized Example; a feature of None is left out."""
    present = {name: feature for name, feature in features.items() if feature is not None}
    example = tf.train.Example(features=tf.train.Features(feature=present))
    return example.SerializeToString(deterministic=True)


# Protobuf by hand, for the wire forms that TensorFlow reads but does not write.


def varint(value):
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, payload):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def fixed32(number, payload):
    return varint(number << 3 | 5) + payload


def unpacked_ints(*values):
    return b"".join(varint(1 << 3) + varint(v) for v in values)


def packed_ints(*values):
    return field(1, b"".join(varint(v) for v in values))


def unpacked_floats(*values):
    return b"".join(fixed32(1, struct.pack("<f", v)) for v in values)


def entry(name, feature):
    return field(1, field(1, name.encode()) + field(2, feature))


def entry_value_first(name, feature):
    return field(1, field(2, feature) + field(1, name.encode()))


def by_hand(*entries):
    return field(1, b"".join(entries))


FLOATS, INTS = 2, 3  # field numbers of float_list and int64_list in Feature


class Golden:
    """The files written so far and what is expected of them."""

    def __init__(self, out_dir):
        self.out_dir = out_dir
        self.datasets = {}

    def write(self, file_name, records, compression=""):
        path = self.out_dir / file_name
        with tf.io.TFRecordWriter(str(path), compression) as writer:
            for serialized in records:
                writer.write(serialized)
        return path

    def dataset(self, name, columns, rows, files, compression=""):
        """Files of serialized Examples, and the rows that come out of all of them in order.

        `columns` maps names to types. Rows are tuples in the same order.
        """
        for file_name, records in files.items():
            self.write(file_name, records, compression)
        names = sorted(columns, key=lambda n: n.encode())
        position = {column: i for i, column in enumerate(columns)}
        inputs = next(iter(files)) if len(files) == 1 else f"{name}.tfrecord-*-of-*"
        self.datasets[name] = {
            "input": inputs,
            "columns": [{"name": n, "type": columns[n]} for n in names],
            "rows": [[to_json(row[position[n]]) for n in names] for row in rows],
        }
        self.check(name, compression)

    def check(self, name, compression):
        """TensorFlow must find in the files what expected.json says."""
        dataset = self.datasets[name]
        paths = sorted(glob.glob(str(self.out_dir / dataset["input"])))
        records = list(tf.data.TFRecordDataset(paths, compression).as_numpy_iterator())
        assert len(records) == len(dataset["rows"]), (name, len(records))
        for number, (serialized, row) in enumerate(zip(records, dataset["rows"])):
            features = tf.train.Example.FromString(serialized).features.feature
            for column, value in zip(dataset["columns"], row):
                found = read_back(features, column)
                assert found == value, (name, number, column, found, value)


def read_back(features, column):
    """The value of one feature as expected.json writes it, according to protobuf."""
    kind = features[column["name"]].WhichOneof("kind") if column["name"] in features else None
    if kind is None:
        return None
    values = list(getattr(features[column["name"]], kind).value)
    if "utf8" in column["type"]:
        values = [v.decode() for v in values]
    if "<" in column["type"]:
        return to_json(values)
    assert len(values) <= 1, column
    return to_json(values[0]) if values else None


def to_json(value):
    if isinstance(value, list):
        return [to_json(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        (value,) = struct.unpack("<f", struct.pack("<f", value))
        if not math.isfinite(value):
            return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}[str(value)]
    return value


def write_scalars(golden):
    rows = [
        (0, 0.5, "plain", b"\x00\xff\xfe"),
        (-1, -0.0, "", b""),
        (I64_MAX, 3.4028234663852886e38, "größer als ASCII: ☃ 𝄞", b"\x80"),
        (I64_MIN, 1.401298464324817e-45, "tab \t inside", b"readable, but the others are not"),
        (300, math.nan, "line\nbreak", b"\xc3\x28"),
        (-(2**32), math.inf, " spaces ", b"\xed\xa0\x80"),
        (127, -math.inf, "last", b"\xf5"),
    ]
    records = [
        record({"count": ints(c), "ratio": floats(r), "text": texts(t), "blob": blobs(b)})
        for c, r, t, b in rows
    ]
    columns = {"count": "int64", "ratio": "float32", "text": "utf8", "blob": "binary"}
    golden.dataset("scalars", columns, rows, {"scalars.tfrecord": records})


def write_fixed(golden):
    rows = [
        ([i + 0.25, -i, 1e10, 0.0], [i, -i, I64_MIN + i], [f"a{i}", f"b{i}"], i) for i in range(5)
    ]
    rows = [([float(v) for v in f], n, t, i) for f, n, t, i in rows]
    records = [
        record({"vector": floats(*f), "triple": ints(*n), "pair": texts(*t), "id": ints(i)})
        for f, n, t, i in rows
    ]
    columns = {
        "vector": "tensor<float32>[4]",
        "triple": "tensor<int64>[3]",
        "pair": "fixed_list<utf8>[2]",
        "id": "int64",
    }
    golden.dataset("fixed", columns, rows, {"fixed.tfrecord": records})


def list_rows(n):
    return [
        (
            [(-1) ** j * (i * 1000 + j) for j in range(i % 5)],
            [i + j / 4 for j in range((i + 2) % 4)],
            [f"word {i}.{j}" for j in range((i * 3) % 4)],
            [bytes([255 - j, i % 256]) for j in range((i + 1) % 3)],
        )
        for i in range(n)
    ]


LIST_COLUMNS = {
    "numbers": "list<int64>",
    "weights": "list<float32>",
    "words": "list<utf8>",
    "blobs": "list<binary>",
}


def list_records(rows):
    return [
        record(
            {
                "numbers": ints(*numbers),
                "weights": floats(*weights),
                "words": texts(*words),
                "blobs": blobs(*bs),
            }
        )
        for numbers, weights, words, bs in rows
    ]


def write_lists(golden):
    rows = list_rows(12)
    golden.dataset("lists", LIST_COLUMNS, rows, {"lists.tfrecord": list_records(rows)})


def write_missing(golden):
    """Absent keys and features without a kind are missing; a list without values is not."""
    columns = {
        "id": "int64",
        "score": "float32",
        "comment": "utf8",
        "blob": "binary",
        "tags": "list<utf8>",
        "numbers": "list<int64>",
        # Two values wherever it is present, but not present everywhere: not a tensor.
        "pair": "list<float32>",
        # A list that never holds anything still has a type.
        "never": "list<int64>",
    }
    rows = [
        (None, None, None, None, None, None, None, None),
        (1, 0.5, "one", b"\xff", ["x"], [1], [1.0, 2.0], []),
        (None, None, None, None, [], [], None, None),
        (3, None, "three", None, None, [1, 2, 3], [3.0, 4.0], []),
        (None, 4.0, None, b"", ["y", "z"], None, None, None),
        (5, None, "", None, [], [-5], [5.0, 6.0], []),
        (None, None, None, None, None, None, None, None),
    ]
    makers = [ints, floats, texts, blobs, texts, ints, floats, ints]

    def feature(make, value, absent):
        if value is None:
            return absent
        return make(*value) if isinstance(value, list) else make(value)

    records = [
        record(
            {
                name: feature(make, value, NO_KIND if (number + i) % 2 else None)
                for i, (name, make, value) in enumerate(zip(columns, makers, row))
            }
        )
        for number, row in enumerate(rows)
    ]
    golden.dataset("missing", columns, rows, {"missing.tfrecord": records})


def write_empty_scalar(golden):
    """At most one value everywhere is a scalar; where the list is empty, it is null."""
    rows = [(1, "a"), (None, None), (3, "c"), (None, None)]
    records = [
        record({"number": ints(1), "text": texts("a")}),
        record({"number": ints(), "text": texts()}),
        record({"number": ints(3), "text": texts("c")}),
        record({"number": NO_KIND}),
    ]
    columns = {"number": "int64", "text": "utf8"}
    golden.dataset("empty_scalar", columns, rows, {"empty_scalar.tfrecord": records})


def write_names(golden):
    names = ["image/encoded", "a.b", "with space", "größe", "日本", "_", "UPPER", "0", "quote\"'"]
    rows = [tuple(range(i, i + len(names))) for i in (0, 100)]
    records = [record({n: ints(v) for n, v in zip(names, row)}) for row in rows]
    columns = {name: "int64" for name in names}
    golden.dataset("names", columns, rows, {"names.tfrecord": records})


def write_wire(golden):
    """Everything protobuf lets a writer do with the same values."""
    unknown = field(15, b"unknown") + varint(14 << 3) + varint(300) + fixed32(13, b"abcd")
    rows = [([-1, 0, I64_MIN], [0.5, -2.0], 7), ([5], [], -8), ([1, 2, 3, 4], [1.5], 9)]
    records = [
        # Unpacked lists.
        by_hand(
            entry("numbers", field(INTS, unpacked_ints(-1, 0, I64_MIN))),
            entry("weights", field(FLOATS, unpacked_floats(0.5, -2.0))),
            entry("one", field(INTS, unpacked_ints(7))),
        ),
        # The value before its key, unknown fields everywhere, a key given twice.
        unknown
        + by_hand(
            unknown,
            entry("one", field(INTS, packed_ints(12345))),
            entry_value_first("numbers", unknown + field(INTS, unknown + packed_ints(5)) + unknown),
            entry("weights", field(FLOATS, b"")),
            entry("one", field(INTS, unpacked_ints(-8))),
        )
        + unknown,
        # Packed and unpacked runs of one list, features in two pieces, a varint longer than needed.
        by_hand(entry("numbers", field(INTS, packed_ints(1, 2) + unpacked_ints(3) + packed_ints(4))))
        + by_hand(
            entry("weights", field(FLOATS, unpacked_floats(1.5))),
            entry("one", field(INTS, field(1, b"\x89\x80\x00"))),
        ),
    ]
    columns = {"numbers": "list<int64>", "weights": "list<float32>", "one": "int64"}
    golden.dataset("wire", columns, rows, {"wire.tfrecord": records})


def write_compressed(golden):
    rows = list_rows(60)
    records = list_records(rows)
    golden.dataset("gzip", LIST_COLUMNS, rows, {"gzip.tfrecord.gz": records}, "GZIP")
    golden.dataset("zlib", LIST_COLUMNS, rows, {"zlib.tfrecord": records}, "ZLIB")

    # Two GZIP members one after the other, as `cat` makes them, cut in the middle of a record.
    plain = golden.write("plain.tmp", records)
    content = plain.read_bytes()
    plain.unlink()
    cut = len(content) // 2 + 1
    path = golden.out_dir / "gzip_members.tfrecord"
    path.write_bytes(gzip_member(content[:cut]) + gzip_member(content[cut:]))
    golden.datasets["gzip_members"] = dict(golden.datasets["gzip"], input=path.name)
    golden.check("gzip_members", "GZIP")


def gzip_member(content):
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(content) + compressor.flush()


def write_sharded(golden):
    sizes = [4, 0, 3]
    rows, files = [], {}
    for shard, size in enumerate(sizes):
        part = [(10 * shard + i, f"shard {shard}") for i in range(size)]
        rows += part
        files[f"sharded.tfrecord-{shard:05d}-of-{len(sizes):05d}"] = [
            record({"id": ints(i), "text": texts(t)}) for i, t in part
        ]
    golden.dataset("sharded", {"id": "int64", "text": "utf8"}, rows, files)


def write_contradictions(golden):
    """Two records that agree and a third that does not: errors with --infer-records 2."""
    golden.write(
        "kind_changes.tfrecord",
        [record({"x": ints(1)}), record({"x": ints(2)}), record({"x": floats(3.0)})],
    )
    golden.write(
        "count_changes.tfrecord",
        [record({"x": ints(1)}), record({"x": ints(2)}), record({"x": ints(3, 4)})],
    )
    golden.write(
        "length_changes.tfrecord",
        [record({"x": floats(1, 2)}), record({"x": floats(3, 4)}), record({"x": floats(5, 6, 7)})],
    )
    golden.write(
        "text_changes.tfrecord",
        [record({"x": texts("a")}), record({"x": texts("b")}), record({"x": blobs(b"\xff")})],
    )
    golden.write(
        "not_example.tfrecord",
        [record({"x": ints(1)}), b"this is not a protobuf message", record({"x": ints(3)})],
    )


def masked_crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")


def write_damaged(golden):
    """Copies of one sound file, each damaged in one way, and where the damage is.

    damaged.json gives record and byte (of the record's frame; of the record itself if only its own
    checksum does not hold), or null where nothing can be told.
    """
    records = [record({"id": ints(i), "text": texts(f"record {i}")}) for i in range(3)]
    sound = golden.write("sound.tfrecord", records).read_bytes()
    starts = [0]
    for serialized in records:
        starts.append(starts[-1] + 16 + len(serialized))
    second, third, end = starts[1:]
    assert end == len(sound)

    def flipped(offset):
        return sound[:offset] + bytes([sound[offset] ^ 4]) + sound[offset + 1 :]

    def with_frame_of(length):
        header = length.to_bytes(8, "little")
        return sound + header + masked_crc32c(header) + b"not that long"

    assert with_frame_of(0)[end + 8 : end + 12] == masked_crc32c(bytes(8))
    zipped = gzip_member(sound)
    damaged = {
        "length_bit": (flipped(second + 1), 1, second),
        "length_crc_bit": (flipped(second + 8), 1, second),
        "data_bit": (flipped(second + 20), 1, second + 12),
        "data_crc_bit": (flipped(third - 1), 1, second + 12),
        "first_data_bit": (flipped(20), 0, 12),
        "last_data_bit": (flipped(third + 20), 2, third + 12),
        "cut_in_length": (sound[: third + 5], 2, third),
        "cut_after_header": (sound[: third + 12], 2, third),
        "cut_in_record": (sound[: third + 20], 2, third),
        "cut_in_crc": (sound[: end - 1], 2, third),
        "zeros_at_the_end": (sound + bytes(16), 3, end),
        "length_of_a_terabyte": (with_frame_of(2**40), 3, end),
        "length_of_u64_max": (with_frame_of(2**64 - 1), 3, end),
        "not_tfrecord": (b"id,text\n0,this is a CSV file\n1,not TFRecord\n", None, None),
        "gzip_cut": (zipped[: len(zipped) * 2 // 3], None, None),
        "gzip_bit": (zipped[:-6] + bytes([zipped[-6] ^ 4]) + zipped[-5:], None, None),
        "gzip_data_bit": (gzip_member(flipped(second + 20)), 1, second + 12),
    }
    out_dir = golden.out_dir / "damaged"
    out_dir.mkdir(exist_ok=True)
    places = {}
    for name, (content, number, offset) in damaged.items():
        (out_dir / f"{name}.tfrecord").write_bytes(content)
        places[name] = {"record": number, "byte": offset}
        if name.startswith("length_of"):
            continue  # TensorFlow 2.21 believes the length, and crashes
        compression = "GZIP" if name.startswith("gzip") else ""
        read = tf.data.TFRecordDataset(str(out_dir / f"{name}.tfrecord"), compression)
        try:
            list(read)
            # TensorFlow takes up to 11 bytes at the end for nothing; we do not.
            assert name in ("cut_in_length", "gzip_cut"), name
        except tf.errors.DataLossError:
            pass
    lines = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in places.items())
    (golden.out_dir / "damaged.json").write_text("{\n" + lines + "\n}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=pathlib.Path)
    out_dir = parser.parse_args().out_dir
    out_dir.mkdir(parents=True, exist_ok=True)

    golden = Golden(out_dir)
    write_scalars(golden)
    write_fixed(golden)
    write_lists(golden)
    write_missing(golden)
    write_empty_scalar(golden)
    write_names(golden)
    write_wire(golden)
    write_compressed(golden)
    write_sharded(golden)
    write_contradictions(golden)
    write_damaged(golden)

    lines = []
    for name, dataset in golden.datasets.items():
        rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in dataset["rows"])
        lines.append(
            f' {json.dumps(name)}: {{"input": {json.dumps(dataset["input"])},\n'
            f'  "columns": {json.dumps(dataset["columns"], ensure_ascii=False)},\n'
            f'  "rows": [\n{rows}]}}'
        )
    expected = "{\n" + ",\n".join(lines) + "\n}\n"
    json.loads(expected)
    (out_dir / "expected.json").write_text(expected, encoding="utf-8")
    print(f"{len(golden.datasets)} datasets in {out_dir}")


if __name__ == "__main__":
    main()
