"""An RLDS-like dataset and the times of reading it with Python.

    rlds.py prepare FOLDER [EPISODES]   FOLDER/tfrecord and FOLDER/array_record
    rlds.py numpy FOLDER OUT.parquet    tfds.as_numpy and pyarrow, images kept encoded
    rlds.py random FOLDER               1,000 records of the ArrayRecord files in random order
"""

import glob
import pathlib
import random
import resource
import sys
import time

import numpy as np

STEPS = 50


def builder_class():
    import tensorflow_datasets as tfds

    ff = tfds.features

    class Rlds(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        EPISODES = 150

        def _info(self):
            image = ff.Image(shape=(64, 64, 3), encoding_format="png")
            steps = ff.Dataset({
                "observation": {"image": image, "wrist_image": image, "state": ff.Tensor(shape=(8,), dtype=np.float32)},
                "action": ff.Tensor(shape=(7,), dtype=np.float32),
                "reward": ff.Scalar(np.float32), "discount": ff.Scalar(np.float32),
                "is_first": ff.Scalar(np.bool_), "is_last": ff.Scalar(np.bool_), "is_terminal": ff.Scalar(np.bool_),
                "language_instruction": ff.Text(),
            })
            features = ff.FeaturesDict({"steps": steps, "episode_metadata": {"file_path": ff.Text()}})
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            rng = np.random.default_rng(0)
            ramp = np.add.outer(np.arange(64), np.arange(64))[..., None] + np.array([0, 40, 80])
            for episode in range(self.EPISODES):
                def step(i):
                    image = lambda: (ramp + i + rng.integers(0, 32, (64, 64, 3))).astype(np.uint8)
                    return {
                        "observation": {"image": image(), "wrist_image": image(),
                                        "state": rng.standard_normal(8, dtype=np.float32)},
                        "action": rng.standard_normal(7, dtype=np.float32),
                        "reward": np.float32(i == STEPS - 1), "discount": np.float32(1),
                        "is_first": i == 0, "is_last": i == STEPS - 1, "is_terminal": i == STEPS - 1,
                        "language_instruction": f"pick up object {episode % 10}",
                    }
                yield episode, {"steps": [step(i) for i in range(STEPS)],
                                "episode_metadata": {"file_path": f"episode_{episode}.hdf5"}}

    return Rlds


def prepare(folder, episodes=150):
    import tensorflow_datasets as tfds

    Rlds = builder_class()
    Rlds.EPISODES = int(episodes)
    for format_ in ["tfrecord", "array_record"]:
        config = tfds.download.DownloadConfig(num_shards=4, compute_stats=tfds.download.ComputeStatsMode.SKIP)
        Rlds(data_dir=f"{folder}/{format_}", file_format=format_).download_and_prepare(download_config=config)


def numpy(folder, out):
    """Episode by episode, as users do: the images stay encoded, as tfarrow keeps them."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tensorflow_datasets as tfds

    start = time.time()
    builder = tfds.builder_from_directory(folder)
    skip = tfds.decode.SkipDecoding()
    decoders = {"steps": {"observation": {"image": skip, "wrist_image": skip}}}
    writer, rows = None, 0
    for episode in tfds.as_numpy(builder.as_dataset(split="train", decoders=decoders)):
        steps = list(episode.pop("steps"))
        flat = [{**{k: v for k, v in s.items() if k != "observation"}, **s["observation"]} for s in steps]
        plain = [{k: v.tolist() if isinstance(v, np.ndarray) else v.item() if isinstance(v, np.generic) else v
                  for k, v in step.items()} for step in flat]
        table = pa.Table.from_pylist([{"file_path": episode["episode_metadata"]["file_path"], "steps": plain}])
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
        rows += 1
    writer.close()
    report("as_numpy + pyarrow", rows, time.time() - start)


def random_access(folder):
    from array_record.python import array_record_data_source

    source = array_record_data_source.ArrayRecordDataSource(sorted(glob.glob(f"{folder}/*.array_record-*")))
    picks = [random.Random(0).randrange(len(source)) for _ in range(1000)]
    start = time.time()
    total = sum(len(record) for i in range(0, 1000, 10) for record in source.__getitems__(picks[i:i + 10]))
    report("array_record", 1000, time.time() - start, f", {total / 1e6:.0f} MB")


def report(what, rows, seconds, more=""):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{what}: {rows} rows in {seconds:.2f} s, peak {peak:.0f} MB{more}")


if __name__ == "__main__":
    {"prepare": prepare, "numpy": numpy, "random": random_access}[sys.argv[1]](*sys.argv[2:])
