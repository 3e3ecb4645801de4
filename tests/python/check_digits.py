"""Checks the converted digits against what TensorFlow itself parses from the TFRecord shards.

    check_digits.py digits.parquet digits.arrow ... [--source examples/data/digits]
"""

import argparse
import pathlib
import sys

import numpy as np
import tensorflow as tf

import interop

ROWS = 1797
FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "pixels": tf.io.FixedLenFeature([64], tf.float32),
    "writer": tf.io.VarLenFeature(tf.string),
}


def digits(source):
    paths = sorted(str(path) for path in source.glob("digits.tfrecord-*-of-*"))
    records = list(tf.data.TFRecordDataset(paths))
    parsed = [tf.io.parse_single_example(record, FEATURES) for record in records]
    assert len(parsed) == ROWS, len(parsed)
    for row in (0, ROWS - 1):
        image = tf.io.decode_png(parsed[row]["image"]).numpy().reshape(64)
        expected = np.rint(parsed[row]["pixels"].numpy() * 255 / 16)
        assert (image == expected).all(), row

    def writer(row):
        values = row["writer"].values.numpy()
        return values[0].decode() if len(values) else None

    pixels = [row["pixels"].numpy().tolist() for row in parsed]
    columns = [
        interop.Column("image", "binary", [row["image"].numpy() for row in parsed]),
        interop.Column("label", "int64", [int(row["label"]) for row in parsed]),
        interop.Column("pixels", "tensor<float32>[64]", pixels),
        interop.Column("writer", "utf8", [writer(row) for row in parsed]),
    ]
    missing = [row for row, value in enumerate(columns[3].values) if value is None]
    assert missing == list(range(3, ROWS, 7)), missing
    return columns


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    here = pathlib.Path(__file__).resolve()
    default = here.parents[2] / "examples/data/digits"
    parser.add_argument("--source", type=pathlib.Path, default=default)
    interop.add_reader_argument(parser)
    arguments = parser.parse_args()

    columns = digits(arguments.source)
    failures = []
    for path in arguments.files:
        failures += interop.check_file(path, columns, interop.chosen_readers(arguments))
    return interop.report(failures, len(arguments.files))


if __name__ == "__main__":
    sys.exit(main())
