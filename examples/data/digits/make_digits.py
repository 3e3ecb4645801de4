"""Writes scikit-learn's handwritten digits as two TFRecord shards of tf.train.Example.

    pip install tensorflow-cpu==2.21.0 scikit-learn==1.9.1
    python make_digits.py [OUT_DIR]

The output is the same, byte for byte, at every run. README.md says what the features mean.
"""

import argparse
import pathlib

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

SHARDS = 2


def example(index, pixels, label):
    grey = np.rint(pixels * 255 / 16).astype(np.uint8).reshape(8, 8, 1)
    features = {
        "image": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[tf.io.encode_png(grey).numpy()])
        ),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "pixels": tf.train.Feature(float_list=tf.train.FloatList(value=pixels)),
    }
    # Invented: the real data does not tell who wrote what. Missing in every seventh record.
    if index % 7 != 3:
        writer = f"writer-{index % 13:02d}"
        features["writer"] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[writer.encode()])
        )
    return tf.train.Example(features=tf.train.Features(feature=features))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = pathlib.Path(__file__).parent
    parser.add_argument("out_dir", nargs="?", type=pathlib.Path, default=here)
    out_dir = parser.parse_args().out_dir
    out_dir.mkdir(parents=True, exist_ok=True)

    digits = load_digits()
    bounds = np.linspace(0, len(digits.data), SHARDS + 1).astype(int)
    for shard, (start, end) in enumerate(zip(bounds, bounds[1:])):
        path = out_dir / f"digits.tfrecord-{shard:05d}-of-{SHARDS:05d}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(start, end):
                record = example(index, digits.data[index], int(digits.target[index]))
                writer.write(record.SerializeToString(deterministic=True))
        print(f"{path.name}: records {start} to {end - 1}")


if __name__ == "__main__":
    main()
