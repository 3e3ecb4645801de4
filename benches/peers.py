"""tfarrow beside tf.data written as well as it can be: batched, parsed as a batch, converted by pyarrow.

    cargo build --profile dist
    python benches/peers.py [--scale 0.1] [--runs 3] [--only w1,w5]

Needs tensorflow and pyarrow (./test.sh sets up such an environment). Makes the workloads of
benches/peers.md in a temporary folder (2.4 GB at --scale 1), runs each conversion in a process of its own,
the two in turns, and prints medians of whole processes as a table.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TFARROW = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "dist", "tfarrow")
ROWS = {"w1": 1_000_000, "w2": 30_000, "w3": 120_000, "w4": 300_000, "w5": 30_000}
SHARDS = 8


def features(workload):
    """What tf.data is told; tfarrow infers it."""
    import tensorflow as tf

    scalar = lambda dtype: tf.io.FixedLenFeature([], dtype)
    if workload == "w1":
        kinds = {"f": tf.float32, "i": tf.int64, "b": tf.string}
        return {f"{k}{n:02}": scalar(dtype) for k, dtype in kinds.items() for n in range(13)} | {"label": scalar(tf.int64)}
    if workload == "w2":
        return {"image": scalar(tf.string), "label": scalar(tf.int64)}
    if workload == "w3":
        return {"embedding": tf.io.FixedLenFeature([768], tf.float32), "id": scalar(tf.int64)}
    return {"tokens": tf.io.RaggedFeature(tf.int64), "text": scalar(tf.string)}


def row(workload, n, random):
    if workload == "w1":
        f = random.exponential(50.0, 13)
        i = (random.pareto(1.2, 13) * 10).astype("int64") % 1_000_000
        out = {f"f{k:02}": [float(v)] for k, v in enumerate(f)} | {f"i{k:02}": [int(v)] for k, v in enumerate(i)}
        return out | {f"b{k:02}": [b"%08x" % v] for k, v in enumerate(random.integers(0, 1 << 31, 13))} | {"label": [n % 2]}
    if workload == "w2":
        return {"image": [random.integers(0, 256, 64 * 64 * 3, dtype="uint8").tobytes()], "label": [n]}
    if workload == "w3":
        return {"embedding": random.standard_normal(768, dtype="float32"), "id": [n]}
    text = b"%d " % n + b"word " * int(random.integers(6, 120))
    return {"tokens": random.integers(0, 50_000, random.integers(1, 512)), "text": [text]}


def make(workload, folder, rows):
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(7)
    if workload == "w5":
        data = {
            "image": random.integers(0, 256, (rows, 64, 64, 3), dtype="uint8"),
            "x": random.standard_normal((rows, 128), dtype="float32"),
            "label": np.arange(rows),
        }
        tf.data.Dataset.from_tensor_slices(data).save(folder)
        return
    os.makedirs(folder)

    def feature(values):
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], (float, np.float32)):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(f"{folder}/x-{shard:05}-of-{SHARDS:05}.tfrecord") as out:
            for n in range(rows * shard // SHARDS, rows * (shard + 1) // SHARDS):
                named = {name: feature(values) for name, values in row(workload, n, random).items()}
                example = tf.train.Example(features=tf.train.Features(feature=named))
                out.write(example.SerializeToString(deterministic=True))


def tfdata(workload, folder, sink, output):
    """The peer, in a process of its own."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import tensorflow as tf

    if workload == "w5":
        dataset = tf.data.Dataset.load(folder).batch(1024)
    else:
        spec = features(workload)
        files = sorted(os.path.join(folder, name) for name in os.listdir(folder))
        dataset = tf.data.TFRecordDataset(files).batch(1024).map(lambda x: tf.io.parse_example(x, spec), num_parallel_calls=2)

    def array(value):
        if isinstance(value, tf.RaggedTensor):
            return pa.ListArray.from_arrays(pa.array(value.row_splits.numpy(), pa.int32()), pa.array(value.flat_values.numpy()))
        value = value.numpy()
        if value.ndim > 1:
            return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(value).reshape(-1)), int(np.prod(value.shape[1:])))
        return pa.array(value)

    writer, rows = None, 0
    for batch in dataset.prefetch(2):
        batch = pa.record_batch({name: array(value) for name, value in batch.items()})
        rows += batch.num_rows
        if sink == "memory":
            continue
        if writer is None:
            writer = pq.ParquetWriter(output, batch.schema) if sink == "parquet" else pa.ipc.new_file(output, batch.schema)
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    print(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--peer", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return tfdata(*args.peer)
    print("| workload | to | tfarrow, s | tf.data, s | tf.data / tfarrow |\n| --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as work:
        for workload in args.only.split(","):
            folder, output = f"{work}/{workload}", f"{work}/out"
            make(workload, folder, int(ROWS[workload] * args.scale))
            source = folder if workload == "w5" else f"{folder}/*.tfrecord"
            for sink in ("memory", "parquet", "ipc"):
                to = ["--dry-run"] if sink == "memory" else ["-o", output, "--format", sink]
                to += ["--compression", "snappy"] if sink == "parquet" else []  # as pyarrow does
                ours = [TFARROW, "convert", source, *to]
                theirs = [sys.executable, os.path.abspath(__file__), "--peer", workload, folder, sink, output]
                seconds = [[], []]
                for _ in range(args.runs):
                    for command, times in zip((ours, theirs), seconds):
                        shutil.rmtree(output, ignore_errors=True)
                        if os.path.exists(output):
                            os.remove(output)
                        begin = time.perf_counter()
                        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                        times.append(time.perf_counter() - begin)
                a, b = map(statistics.median, seconds)
                print(f"| {workload} | {sink} | {a:.3f} | {b:.3f} | {b / a:.1f} |", flush=True)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
