"""Writes random `Dataset.save` folders, and what `Dataset.load` reads from them.

    make_saved.py FOLDER [--count N] [--seed S]

Makes FOLDER/I/data and FOLDER/I/expected.json in the form of tests/golden/saved. Elements are in the
order of the shards' names, one shard after the other.
"""

import argparse
import collections
import json
import pathlib
import random

import numpy as np
import tensorflow as tf

DTYPES = [
    tf.bool, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64,
    tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.complex64, tf.complex128, tf.string,
]
Pair = collections.namedtuple("Pair", ["second", "first"])


def values(rng, dtype, shape):
    count = int(np.prod(shape))
    if dtype == tf.string:
        flat = [rng.randbytes(rng.choice([0, 1, 5, 40])) for _ in range(count)]
        return tf.reshape(tf.constant(flat, tf.string, [count]), shape)
    if dtype == tf.bool:
        return tf.constant(np.array([rng.random() < 0.5 for _ in range(count)], bool).reshape(shape))
    return tf.reshape(random_bits(rng, dtype, count), shape)


def random_bits(rng, dtype, count):
    raw = np.frombuffer(rng.randbytes(count * dtype.size), np.uint8)
    return tf.constant(raw.view(dtype.as_numpy_dtype), dtype)


class Component:
    """A component whose values may differ in shape from element to element."""

    def __init__(self, rng):
        self.rng = rng
        self.kind = rng.choice(["tensor"] * 5 + ["varying"] * 3 + ["ragged"] * 2 + ["sparse"] * 2 + ["none", "optional"])
        self.dtype = rng.choice(DTYPES)
        self.shape = [rng.choice([0, 1, 2, 3]) for _ in range(rng.choice([0, 0, 1, 1, 2, 3]))]
        self.ragged_rank = rng.choice([1, 1, 2])
        self.inner = rng.choice([[], [], [2]])
        self.splits = rng.choice([tf.int32, tf.int64])

    def value(self):
        rng = self.rng
        if self.kind == "none":
            return None
        if self.kind == "tensor":
            return values(rng, self.dtype, self.shape)
        if self.kind == "varying":
            return values(rng, self.dtype, [rng.choice([0, 1, 2, 4]) for _ in self.shape])
        if self.kind == "optional":
            if rng.random() < 0.4:
                return tf.experimental.Optional.empty(tf.TensorSpec(self.shape, self.dtype))
            return tf.experimental.Optional.from_value(values(rng, self.dtype, self.shape))
        if self.kind == "ragged":
            lengths, rows = [], 2
            for _ in range(self.ragged_rank):
                lengths.append([rng.choice([0, 1, 3]) for _ in range(rows)])
                rows = sum(lengths[-1])
            dtype = tf.int32 if self.dtype in (tf.uint32, tf.uint64) else self.dtype
            flat = values(rng, dtype, [rows] + self.inner)
            nested = [tf.constant(l, self.splits) for l in lengths]
            return tf.RaggedTensor.from_nested_row_lengths(flat, nested)
        rank = max(1, len(self.shape))
        size = [3] * rank
        indices = sorted({tuple(rng.randrange(3) for _ in range(rank)) for _ in range(rng.choice([0, 1, 4]))})
        return tf.SparseTensor(
            tf.constant(indices, tf.int64, [len(indices), rank]), values(rng, self.dtype, [len(indices)]), size
        )


class Structure:
    def __init__(self, rng, depth=0):
        self.kind = rng.choice(["leaf", "dict", "tuple", "pair"]) if depth < 3 else "leaf"
        if self.kind == "leaf":
            self.parts = [Component(rng)]
        elif self.kind == "pair":
            self.parts = [Structure(rng, depth + 1) for _ in range(2)]
        else:
            self.parts = [Structure(rng, depth + 1) for _ in range(rng.choice([1, 2, 3]))]
        self.keys = rng.sample(["b", "a", "z/y", "é", "10", "9", "B"], len(self.parts))

    def value(self):
        parts = [part.value() for part in self.parts]
        if self.kind == "leaf":
            return parts[0]
        if self.kind == "dict":
            return dict(zip(self.keys, parts))
        return Pair(*parts) if self.kind == "pair" else tuple(parts)

    def components(self):
        return sum((p.components() if isinstance(p, Structure) else [p] for p in self.parts), [])


def tensor(t):
    a = np.asarray(t.numpy())
    out = {"kind": "tensor", "dtype": t.dtype.name, "shape": list(a.shape)}
    if t.dtype == tf.string:
        out["values_hex"] = [bytes(x).hex() for x in np.asarray(a, object).ravel().tolist()]
    else:
        out["hex"] = np.ascontiguousarray(a).tobytes().hex()
    return out


def encode(v):
    if v is None:
        return {"kind": "none"}
    if isinstance(v, tf.RaggedTensor):
        return {
            "kind": "ragged",
            "nested_row_splits": [s.numpy().tolist() for s in v.nested_row_splits],
            "flat_values": tensor(v.flat_values),
        }
    if isinstance(v, tf.SparseTensor):
        return {
            "kind": "sparse",
            "indices": tensor(v.indices),
            "values": tensor(v.values),
            "dense_shape": v.dense_shape.numpy().tolist(),
        }
    if isinstance(v, tf.experimental.Optional):
        return {"kind": "optional", "value": encode(v.get_value()) if bool(v.has_value()) else None}
    if isinstance(v, dict):
        return {"kind": "dict", "items": {k: encode(x) for k, x in v.items()}}
    if hasattr(v, "_fields"):
        return {"kind": "namedtuple", "items": [[k, encode(getattr(v, k))] for k in v._fields]}
    if isinstance(v, tuple):
        return {"kind": "tuple", "items": [encode(x) for x in v]}
    return tensor(v)


def dataset(rng):
    structure = Structure(rng)
    while not any(c.kind != "none" for c in structure.components()):
        structure = Structure(rng)
    out = None
    for _ in range(rng.choice([1, 2, 5, 9])):
        one = tf.data.Dataset.from_tensors(structure.value())
        out = one if out is None else out.concatenate(one)
    kinds = {c.kind for c in structure.components()}
    if rng.random() < 0.4 and not kinds & {"optional", "varying"}:
        out = out.batch(rng.choice([2, 3]), drop_remainder=rng.random() < 0.3)
    return out


def large(rng):
    """Elements larger than the blocks that `Dataset.load` reads of Snappy."""
    parts = [tf.constant(rng.randbytes(2000)), tf.range(70_000), tf.zeros([1000], tf.float32)]
    return tf.data.Dataset.from_tensors(tuple(parts)).repeat(3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for i in range(args.count):
        rng = random.Random(args.seed * 1000 + i)
        ds = large(rng) if i == 0 else dataset(rng)
        path = args.folder / str(i)
        path.mkdir(parents=True)
        # Snappy blocks of more than 256 KiB can be saved, but not loaded.
        compression = rng.choice([None, "GZIP"] if i == 0 else [None, "GZIP", "SNAPPY"])
        shards = rng.choice([None, 2, 3])
        options = {}
        if shards:
            counter = tf.Variable(0, dtype=tf.int64)
            options["shard_func"] = lambda *_: counter.assign_add(1) % shards
        data = str(path / "data")
        ds.save(data, compression=compression, **options)
        load = tf.data.Dataset.load(data, compression=compression, reader_func=lambda d: d.flat_map(lambda x: x))
        expected = {"element_spec": str(ds.element_spec), "elements": [encode(e) for e in load]}
        (path / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
