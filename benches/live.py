"""The pipeline of benches/live.rs through Python's iterators: element by element, and in batches.

    python benches/live.py [ROWS]
"""

import sys
import time

import numpy as np
import tensorflow as tf

rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
x = np.bitwise_xor(np.arange(rows)[:, None], np.arange(128)).astype(np.float32)
dataset = tf.data.Dataset.from_tensor_slices((x, np.arange(rows)))
some = dataset.take(rows // 20)
batched = dataset.batch(1024).prefetch(2)
loops = {
    "for e in ds: e.numpy()": (some, lambda ds: sum(1 for a, b in ds if a.numpy() is not None and b.numpy() is not None)),
    "ds.as_numpy_iterator()": (some, lambda ds: sum(1 for _ in ds.as_numpy_iterator())),
    "ds.batch(1024).as_numpy_iterator()": (batched, lambda ds: sum(1 for _ in ds.as_numpy_iterator())),
}
for _ in range(3):
    for name, (pipeline, loop) in loops.items():
        begin = time.perf_counter()
        steps = loop(pipeline)
        seconds = time.perf_counter() - begin
        read = rows / 20 if pipeline is some else rows
        print(f"{name:36} {seconds / steps * 1e6:7.1f} µs a step, {read * 520 / seconds / 1e6:6.0f} MB/s", flush=True)
