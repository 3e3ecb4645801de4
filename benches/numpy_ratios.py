"""tfarrow beside NumPy: the same 32 batches of 8 MiB, as ratios of the fastest of ten runs each.

    cargo bench --bench views -- 'to_arrays|npy'
    python benches/numpy_ratios.py [target/criterion]

Times what `benches/views.rs` times, and reads its results from Criterion's folder.
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np

ROWS, COLUMNS, BATCHES = 2048, 1024, 32


def fastest(run, times=10):
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def ours(folder, name):
    sample = json.loads((folder / name / "new" / "sample.json").read_text())
    return min(time / iterations for time, iterations in zip(sample["times"], sample["iters"])) / 1e9


def main(folder):
    batches = [np.full((ROWS, COLUMNS), k, np.float32) for k in range(BATCHES)]
    whole = np.concatenate(batches)
    rows = []

    theirs = fastest(lambda: np.concatenate(batches))
    for name in ("rows_known", "rows_unknown", "memcpy"):
        rows.append((f"to_arrays/{name}", "np.concatenate", ours(folder, f"to_arrays/{name}"), theirs))
    theirs = fastest(lambda: np.concatenate([batch.astype(np.float16) for batch in batches]))
    rows.append(("to_arrays/cast_to_float16", "astype, np.concatenate", ours(folder, "to_arrays/cast_to_float16"), theirs))

    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place)
        theirs = fastest(lambda: np.save(path / "x.npy", whole))
        rows.append(("npy/npy", "np.save", ours(folder, "npy/npy"), theirs))
        rows.append(("npy/raw_write", "np.save", ours(folder, "npy/raw_write"), theirs))
        theirs = fastest(lambda: np.save(path / "x.npy", np.concatenate(batches)))
        rows.append(("npy/npy", "np.concatenate, np.save", ours(folder, "npy/npy"), theirs))
        theirs = fastest(lambda: np.savez(path / "x.npz", x=whole))
        rows.append(("npy/npz", "np.savez", ours(folder, "npy/npz"), theirs))

    print("| tfarrow | seconds | NumPy | seconds | NumPy / tfarrow |\n| --- | --- | --- | --- | --- |")
    for name, peer, seconds, peer_seconds in rows:
        print(f"| {name} | {seconds:.3f} | {peer} | {peer_seconds:.3f} | {peer_seconds / seconds:.2f} |")


main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/criterion"))
