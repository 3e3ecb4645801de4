"""The ways of Python to a dataset's values, tfarrow's beside the field's one-liners, each in a process of its own.

    maturin build --profile dist -m python/Cargo.toml && pip install target/wheels/tfarrow-*.whl
    python benches/python_ways.py [--scale 0.1] [--runs 3] [--only w1,w5]

Needs tensorflow, tensorflow_datasets, pandas, jinja2 and the package. Makes the workloads of benches/peers.md in a temporary
folder, runs the ways in turns, and prints how many times as long as tfarrow's way each of the others takes: whole
processes, imports and all, and in parentheses what is left without the imports. Medians. Each process runs twice in a row
and the second counts: a virtual machine may have given the memory that others freed back to its host, and getting it anew
took up to 0.9 s for an array of 370 MB (`clear_page_erms` in `perf`), whoever asked for it. What goes element by element
reads a twentieth of the rows, and what that takes beyond its imports is multiplied.
"""

import argparse
import collections
import glob
import os
import statistics
import subprocess
import sys
import tempfile
import time

import peers

SLOW_SHARE = 20
SCALE = float(os.environ.get("SCALE", "1"))


def opened(workload, path):
    import tfarrow

    return tfarrow.open(path if workload == "w5" else f"{path}/*")


def dataset(workload, path, batch=None):
    """What tf.data reads, as elements or in batches."""
    import tensorflow as tf

    if workload == "w5":
        ds = tf.data.Dataset.load(path)
        return ds.batch(batch) if batch else ds
    ds = tf.data.TFRecordDataset(sorted(glob.glob(f"{path}/*")), num_parallel_reads=1)
    spec = peers.features(workload)
    if batch:
        return ds.batch(batch).map(lambda records: tf.io.parse_example(records, spec), num_parallel_calls=2).prefetch(2)
    return ds.map(lambda record: tf.io.parse_single_example(record, spec))


def some(workload, path):
    """A twentieth of the elements."""
    return dataset(workload, path).take(int(peers.ROWS[workload] * SCALE) // SLOW_SHARE)


def views(batches):
    rows = 0
    for batch in batches:
        arrays = [batch[name] for name in batch.column_names]
        rows += len(arrays[0])
    return rows


def first_rows(columns):
    return len(next(iter(columns.values())))


def whole_arrays(batches):
    import numpy as np
    import tensorflow as tf

    columns = {}
    for batch in batches:
        for name, tensor in batch.items():
            columns.setdefault(name, []).append(tensor)
    ragged = lambda parts: isinstance(parts[0], tf.RaggedTensor)
    join = lambda parts: tf.concat(parts, 0) if ragged(parts) else np.concatenate([p.numpy() for p in parts])
    whole = {name: join(parts) for name, parts in columns.items()}
    return int(next(iter(whole.values())).shape[0])


def array_of_list(ds):
    import numpy as np

    return len(np.array(list(ds.as_numpy_iterator()), dtype=object))


def import_tfds():
    import tensorflow_datasets as tfds

    return tfds


def from_dataset(workload, path):
    import tfarrow

    return tfarrow.from_dataset(dataset(workload, path))


# What a way imports, and what it does.
Way = collections.namedtuple("Way", "imports run share", defaults=(1,))
WAYS = {
    "to_numpy": Way(["tfarrow", "numpy"], lambda *at: first_rows(opened(*at).to_numpy())),
    "batched": Way(["tensorflow"], lambda *at: whole_arrays(dataset(*at, batch=1024))),
    "list": Way(["tensorflow"], lambda *at: array_of_list(some(*at)), SLOW_SHARE),
    "to_pandas": Way(["tfarrow", "pandas"], lambda *at: len(opened(*at).to_pandas())),
    "as_dataframe": Way(
        ["tensorflow", "pandas", "tensorflow_datasets"], lambda *at: len(import_tfds().as_dataframe(some(*at))), SLOW_SHARE
    ),
    "views": Way(["tfarrow", "numpy"], lambda *at: views(opened(*at))),
    "as_numpy": Way(
        ["tensorflow", "tensorflow_datasets"], lambda *at: sum(1 for _ in import_tfds().as_numpy(some(*at))), SLOW_SHARE
    ),
    "live": Way(["tensorflow", "tfarrow"], lambda *at: first_rows(from_dataset(*at).to_numpy())),
    "live list": Way(["tensorflow"], lambda *at: array_of_list(some(*at)), SLOW_SHARE),
}
# What is set beside what.
PAIRS = [
    ("to_numpy", "batched"),
    ("to_numpy", "list"),
    ("to_pandas", "as_dataframe"),
    ("views", "as_numpy"),
    ("live", "live list"),
]


def one(name, workload, path):
    """A way in this process: prints how long it took, and its imports."""
    way = WAYS[name]
    start = time.monotonic()
    for module in way.imports:
        __import__(module)
    imported = time.monotonic()
    rows = way.run(workload, path)
    expected = int(peers.ROWS[workload] * SCALE) // way.share
    assert rows == expected, f"{name}: {rows} rows of {expected}"
    print(time.monotonic() - imported, imported - start)


def measure(name, workload, path, environment):
    command = [sys.executable, __file__, "--one", name, workload, path]
    for _ in range(2):
        start = time.monotonic()
        said = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout.split()
        whole, own = time.monotonic() - start, float(said[-2])
    # The imports are paid for once, whatever the share.
    return whole + own * (WAYS[name].share - 1), own * WAYS[name].share


def import_time(module, runs):
    script = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    run = lambda: float(subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE).stdout)
    return statistics.median(run() for _ in range(runs))


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=0.1)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only", default="w1,w2,w3,w4,w5")
    options = options.parse_args()
    environment = {**os.environ, "SCALE": str(options.scale), "TF_CPP_MIN_LOG_LEVEL": "3"}
    print(f"`import tfarrow`: {1000 * import_time('tfarrow', 11):.0f} ms\n")
    print("| workload | `to_numpy()`, s | " + " | ".join(f"{other} / {ours}" for ours, other in PAIRS) + " |")
    print("| --- " * (len(PAIRS) + 2) + "|")
    for workload in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, workload)
            peers.make(workload, path, int(peers.ROWS[workload] * options.scale))
            runs = [{name: measure(name, workload, path, environment) for name in WAYS} for _ in range(options.runs)]
        median = {name: [statistics.median(run[name][part] for run in runs) for part in (0, 1)] for name in WAYS}
        cells = [f"{median['to_numpy'][0]:.2f} ({median['to_numpy'][1]:.2f})"]
        for ours, other in PAIRS:
            whole, own = (median[other][part] / median[ours][part] for part in (0, 1))
            cells.append(f"{whole:.1f} ({own:.1f})")
        print(f"| {workload} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(*sys.argv[2:])
    else:
        main()
