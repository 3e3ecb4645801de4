"""Datasets of random features, prepared by TFDS, and what must come out of them.

    tfds_random.py prepare FOLDER   writes FOLDER/SEED-FORMAT and FOLDER/SEED.json
    tfds_random.py check FOLDER     compares FOLDER/SEED-FORMAT.arrow with it
"""

import json
import pathlib
import random
import sys

import numpy as np

SEEDS = range(6)
FORMATS = ["tfrecord", "array_record"]
EPISODES = 7


def floats(rng, dtype, shape):
    """Values that float32, the form in which examples hold floats, keeps."""
    return rng.standard_normal(shape).astype(np.float16 if dtype == np.float16 else np.float32).astype(dtype)


def numbers(rng, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return floats(rng, dtype, shape)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


class Make:
    """A feature and a function that makes a value for it and the value that is to come out."""

    def __init__(self, ff, choice, rng):
        self.ff, self.choice, self.rng = ff, choice, rng

    def feature(self, depth, inside=0):
        leaves = [self.scalar, self.tensor, self.text, self.label, self.bbox, self.image, self.encoded]
        if not inside:
            leaves += [self.unknown, self.optional, self.dynamic]
        inner = [self.sequence, self.dict_, self.steps, self.sequence_of_dict] if depth > 0 else []
        return self.choice.choice(leaves + inner * 2)(depth - 1, inside)

    def dtype(self):
        return self.choice.choice([np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
                                   np.bool_, np.float16, np.float32, np.float64])

    def shape(self):
        return tuple(self.choice.choices([1, 2, 3], k=self.choice.randint(1, 2)))

    def scalar(self, depth, inside):
        dtype = self.dtype()
        return self.ff.Scalar(dtype), lambda: twice(numbers(self.rng, dtype, ()))

    def tensor(self, depth, inside):
        dtype, shape = self.dtype(), self.shape()
        return self.ff.Tensor(shape=shape, dtype=dtype), lambda: twice(numbers(self.rng, dtype, shape))

    def encoded(self, depth, inside):
        dtype, shape = self.dtype(), self.shape()
        encoding = self.choice.choice(["bytes", "zlib"])
        feature = self.ff.Tensor(shape=shape, dtype=dtype, encoding=encoding)
        return feature, lambda: twice(numbers(self.rng, dtype, shape))

    def unknown(self, depth, inside):
        dtype, inner = self.dtype(), self.shape()
        where = self.choice.randint(0, len(inner))
        shape = inner[:where] + (None,) + inner[where:]
        sized = lambda: tuple(self.choice.randint(0, 3) if n is None else n for n in shape)
        return self.ff.Tensor(shape=shape, dtype=dtype), lambda: twice(numbers(self.rng, dtype, sized()))

    def dynamic(self, depth, inside):
        dtype = self.dtype()
        shape = lambda: (self.choice.randint(1, 3), self.choice.randint(1, 3), 2)
        encoding = self.choice.choice(["bytes", "zlib"])
        feature = self.ff.Tensor(shape=(None, None, 2), dtype=dtype, encoding=encoding)
        return feature, lambda: twice(numbers(self.rng, dtype, shape()))

    def optional(self, depth, inside):
        dtype = self.choice.choice([np.int64, np.float32])
        make = lambda: (None, None) if self.choice.random() < 0.5 else twice(numbers(self.rng, dtype, ()))
        return self.ff.Scalar(dtype, optional=True), make

    def text(self, depth, inside):
        words = lambda: "".join(self.choice.choices("aé漢 \n", k=self.choice.randint(0, 6)))
        return self.ff.Text(), lambda: (lambda text: (text, text))(words())

    def label(self, depth, inside):
        names = ["one", "two", "three four"]
        pick = lambda: self.choice.randint(0, len(names) - 1)
        return self.ff.ClassLabel(names=names), lambda: (lambda n: (names[n], n))(pick())

    def bbox(self, depth, inside):
        def make():
            low = floats(self.rng, np.float32, (2,)) % np.float32(0.5)
            values = [low[0], low[1], low[0] + np.float32(0.25), low[1] + np.float32(0.25)]
            return self.ff.BBox(*values), [float(np.float32(v)) for v in values]

        return self.ff.BBoxFeature(), make

    def image(self, depth, inside):
        channels = self.choice.choice([1, 3, 4])
        height = lambda: 3 if inside else self.choice.randint(1, 4)
        feature = self.ff.Image(shape=(3 if inside else None, 2, channels), encoding_format="png")
        return feature, lambda: twice(numbers(self.rng, np.uint8, (height(), 2, channels)))

    def dict_(self, depth, inside):
        parts = {name: self.feature(depth, inside) for name in self.choice.sample("abcde", self.choice.randint(1, 3))}

        def make():
            made = {name: part() for name, (_, part) in parts.items()}
            return {k: v[0] for k, v in made.items()}, {k: v[1] for k, v in made.items()}

        return {name: feature for name, (feature, _) in parts.items()}, make

    def repeated(self, feature, make, wrap):
        def several():
            made = [make() for _ in range(self.choice.randint(0, 3))]
            return [v[0] for v in made], [v[1] for v in made]

        return wrap(feature), several

    def sequence(self, depth, inside):
        feature, make = self.feature(min(depth, 0), inside + 1)
        if depth > 0 and self.choice.random() < 0.5:
            feature, make = self.repeated(feature, make, self.ff.Sequence)
        return self.repeated(feature, make, self.ff.Sequence)

    def sequence_of_dict(self, depth, inside):
        return self.repeated(*self.dict_(depth, inside + 1), self.ff.Sequence)

    def steps(self, depth, inside):
        # TFDS has no datasets within sequences.
        wrap = self.ff.Sequence if inside else self.ff.Dataset
        return self.repeated(*self.dict_(depth, inside + 1), wrap)


def twice(value):
    value = np.asarray(value)
    return value if value.shape else value[()], value.tolist()


def flatten(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    out = {}
    for name, part in value.items():
        out.update(flatten(part, f"{path}/{name}" if path else name))
    return out


def prepare(folder):
    import tensorflow_datasets as tfds

    for seed in SEEDS:
        maker = Make(tfds.features, random.Random(seed), np.random.default_rng(seed))
        parts = {f"f{i:02}": maker.feature(2) for i in range(12)}
        rows = [{name: make() for name, (_, make) in parts.items()} for _ in range(EPISODES)]
        features = tfds.features.FeaturesDict({name: feature for name, (feature, _) in parts.items()})

        def generate(self, rows=rows):
            for key, row in enumerate(rows):
                yield key, {name: value[0] for name, value in row.items()}

        def info(self, features=features):
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        # Every dataset has a class, and every class a name of its own.
        members = {
            "__module__": __name__,
            "VERSION": tfds.core.Version("1.0.0"),
            "_info": info,
            "_split_generators": lambda self, _: {"train": self._generate_examples()},
            "_generate_examples": generate,
        }
        Random = type(f"Random{seed}", (tfds.core.GeneratorBasedBuilder,), members)

        for format_ in FORMATS:
            builder = Random(data_dir=folder / f"{seed}-{format_}", file_format=format_)
            config = tfds.download.DownloadConfig(num_shards=2, compute_stats=tfds.download.ComputeStatsMode.SKIP)
            builder.download_and_prepare(download_config=config)
        expected = [flatten({name: value[1] for name, value in row.items()}) for row in rows]
        (folder / f"{seed}.json").write_text(json.dumps(expected))


def check(folder):
    import pyarrow as pa

    for seed in SEEDS:
        expected = json.loads((folder / f"{seed}.json").read_text())
        for format_ in FORMATS:
            table = pa.ipc.open_file(folder / f"{seed}-{format_}.arrow").read_all()
            assert table.num_rows == len(expected), (seed, format_, table.num_rows)
            assert set(table.column_names) == set().union(*expected), (seed, format_, table.column_names)
            for name in table.column_names:
                found = table.column(name).to_pylist()
                wanted = [row[name] for row in expected]
                assert found == wanted, f"{seed} {format_} {name} {table.schema.field(name)}\n{found}\n{wanted}"


if __name__ == "__main__":
    {"prepare": prepare, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
