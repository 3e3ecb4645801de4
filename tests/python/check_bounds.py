"""What readers leave out by the bounds of row groups: check_bounds.py PROGRAM

Writes a table whose values lie elsewhere in every row group, and asks pyarrow, polars and DuckDB for the rows between
two values of each column. They skip row groups by the bounds in the file, and must find what NumPy finds in the table.
"""

import os
import subprocess
import sys
import tempfile

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

ROWS, GROUP = 12_000, 500
random = np.random.default_rng(3)
rows = np.arange(ROWS)


def column(values, nulls=0.1):
    """Values in the type that they have, with nulls."""
    return pa.array(values, mask=random.random(ROWS) < nulls)


def table():
    # Around zero, so that signs, and the order of their bits, matter; scattered, so that dictionaries are not sorted.
    near = (rows - ROWS // 2 + random.integers(-900, 900, ROWS)).astype(np.int64)
    columns = {}
    for name in ("int8", "int16", "int32", "int64"):
        columns[name] = column((near // {"int8": 64}.get(name, 1)).astype(name))
    for name in ("uint8", "uint16", "uint32", "uint64"):
        # The upper half of the type's range too.
        top = np.iinfo(name).max
        columns[name] = column(((near + ROWS) * (top // (2 * ROWS + 1))).astype(name) if top > ROWS * 4 else (near // 64 + 128).astype(name))
    for name in ("float32", "float64"):
        values = near.astype(name) / 8
        # DuckDB takes all rows of a row group whose bounds lie within what is asked for.
        values[(rows // GROUP % 3 == 0) & (rows % 97 == 0)] = np.nan
        values[::89] = -0.0
        columns[name] = column(values)
    text = [f"{n + ROWS:06}" + "é" * (n % 3) for n in near]
    columns["text"] = column(text)
    columns["long text"] = column([t + "x" * 80 for t in text])
    columns["bytes"] = column([bytes([n // 256 % 256, n % 256, 0xFF]) for n in near + ROWS])
    columns["few"] = column([f"{n:05}" for n in near // 900 * 900 + ROWS])
    columns["nothing in places"] = pa.array(near, mask=(rows // GROUP) % 2 == 0)
    columns["never"] = pa.nulls(ROWS, pa.int64())
    return pa.table(columns)


def ranges(name, array):
    """Bounds of what is asked for: in the middle, at the ends, beyond."""
    values = sorted(v for v in set(array.to_pylist()) if v is not None and v == v)
    if not values:
        return [(0, 1)]
    at = lambda share: values[int((len(values) - 1) * share)]
    return [(at(0.4), at(0.45)), (at(0), at(0.02)), (at(0.97), at(1)), (at(0.5), at(0.5))]


def main():
    whole = table()
    with tempfile.TemporaryDirectory() as folder:
        source, path = os.path.join(folder, "in.arrow"), os.path.join(folder, "out.parquet")
        with pa.ipc.new_file(source, whole.schema) as writer:
            writer.write_table(whole, max_chunksize=700)
        for more in ([], ["--parquet-encodings", "compact"], ["--compression", "none"], ["--compression", "gzip"]):
            command = [sys.argv[1], "convert", source, "-o", path, "--row-group-rows", str(GROUP), "--overwrite"]
            subprocess.run([*command, "--progress", "never", *more], check=True)
            file = pq.ParquetFile(path)
            assert file.metadata.num_row_groups == ROWS // GROUP
            bounded = {
                name: sum(
                    bool(stats := file.metadata.row_group(g).column(i).statistics) and stats.has_min_max
                    for g in range(file.metadata.num_row_groups)
                )
                for i, name in enumerate(whole.column_names)
            }
            # There are bounds where there are values: a file without any would pass what follows.
            # The crate, which encodes gzip and compact numbers, shortens text instead, and does not look for NaN.
            floats, long_text = 0 if "compact" in more or "gzip" in more else 16, 24 if "gzip" in more else 0
            expected = {"nothing in places": 12, "never": 0, "long text": long_text, "float32": floats, "float64": floats}
            assert bounded == {name: expected.get(name, 24) for name in bounded}, bounded
            dataset, lazy = pa.dataset.dataset(path), pl.scan_parquet(path)
            for name in whole.column_names:
                kept = whole[name]
                for least, most in ranges(name, kept):
                    # SQL's order puts NaN above all; no bound asked for is.
                    inside = sum(v is not None and least <= v <= most for v in kept.to_pylist())
                    scalar = lambda v: pa.scalar(v, kept.type)
                    field = pa.dataset.field(name)
                    found = {
                        "pyarrow": dataset.count_rows(filter=(field >= scalar(least)) & (field <= scalar(most))),
                        "polars": lazy.filter(pl.col(name).is_between(pl.lit(least), pl.lit(most)))
                        .select(pl.len())
                        .collect()
                        .item(),
                        "DuckDB": duckdb.execute(
                            f"SELECT count(*) FROM '{path}' WHERE \"{name}\" BETWEEN ? AND ?", [least, most]
                        ).fetchone()[0],
                    }
                    assert all(n == inside for n in found.values()), (more, name, least, most, inside, found)
            nulls = {name: pl.scan_parquet(path).select(pl.col(name).null_count()).collect().item() for name in whole.column_names}
            assert nulls == {name: whole[name].null_count for name in whole.column_names}


main()
