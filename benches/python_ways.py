"""`tfarrow.open(x).to_numpy()` beside the ways of Python to the same arrays, whole processes.

    maturin build --profile dist -m python/Cargo.toml && pip install target/wheels/tfarrow-*.whl
    python benches/python_ways.py [--scale 0.1] [--runs 3] [--only w1,w5]

Needs tensorflow and the package. Makes the workloads of benches/peers.md in a temporary folder, runs each way
in a process of its own, in turns, and prints medians of whole processes, imports and all, as a table; `list(
ds.as_numpy_iterator())` reads a twentieth of the rows, and its time is multiplied.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import peers

SLOW_SHARE = 20


def read_tfarrow(workload, path):
    import tfarrow

    source = path if workload == "w5" else f"{path}/*"
    arrays = tfarrow.open(source).to_numpy()
    return len(next(iter(arrays.values())))


def dataset(workload, path):
    import glob

    import tensorflow as tf

    if workload == "w5":
        return tf.data.Dataset.load(path)
    return tf.data.TFRecordDataset(sorted(glob.glob(f"{path}/*")), num_parallel_reads=1)


def read_batched(workload, path):
    import numpy as np
    import tensorflow as tf

    ds = dataset(workload, path).batch(1024)
    if workload != "w5":
        spec = peers.features(workload)
        ds = ds.map(lambda batch: tf.io.parse_example(batch, spec), num_parallel_calls=2)
    columns = {}
    for batch in ds.prefetch(2):
        for name, tensor in batch.items():
            columns.setdefault(name, []).append(tensor)
    whole = {
        name: tf.concat(parts, 0) if isinstance(parts[0], tf.RaggedTensor) else np.concatenate([p.numpy() for p in parts])
        for name, parts in columns.items()
    }
    return int(next(iter(whole.values())).shape[0])


def read_elements(workload, path):
    import numpy as np
    import tensorflow as tf

    rows = peers.ROWS[workload] * SCALE // SLOW_SHARE
    ds = dataset(workload, path).take(int(rows))
    if workload != "w5":
        spec = peers.features(workload)
        ds = ds.map(lambda record: tf.io.parse_single_example(record, spec))
    elements = list(ds.as_numpy_iterator())
    whole = {name: [element[name] for element in elements] for name in elements[0]}
    np.array(whole[next(iter(whole))])
    return len(elements)


WAYS = {"tfarrow": read_tfarrow, "tf.data batched": read_batched, "as_numpy_iterator": read_elements}
SCALE = float(os.environ.get("SCALE", "1"))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=0.1)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default="w1,w2,w3,w4,w5")
    options = options.parse_args()
    print("| workload | tfarrow, s | tf.data batched, times | as_numpy_iterator, times |\n| --- | --- | --- | --- |")
    for workload in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, workload)
            peers.make(workload, path, int(peers.ROWS[workload] * options.scale))
            taken = {way: [] for way in WAYS}
            for _ in range(options.runs):
                for way in WAYS:
                    start = time.monotonic()
                    environment = {**os.environ, "SCALE": str(options.scale), "TF_CPP_MIN_LOG_LEVEL": "3"}
                    subprocess.run([sys.executable, __file__, "--one", way, workload, path], check=True, env=environment)
                    taken[way].append(time.monotonic() - start)
        ours, batched, slow = (statistics.median(taken[way]) for way in WAYS)
        print(f"| {workload} | {ours:.2f} | {batched / ours:.1f} | {slow * SLOW_SHARE / ours:.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        WAYS[sys.argv[2]](*sys.argv[3:])
    else:
        main()
