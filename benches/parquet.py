"""Writing Parquet: tfarrow beside polars, pyarrow and DuckDB, each writing the same Arrow table on two threads.

    maturin build --profile dist -m python/Cargo.toml && pip install target/wheels/tfarrow-*.whl
    python benches/parquet.py [--scale 1] [--runs 5] [--only w1,w3,w4]

Needs tensorflow, pyarrow, polars, duckdb and the package. Makes the workloads of benches/peers.md in a temporary folder and
reads each into memory once; then the writers take turns in this process, with zstd at each one's own level, to files in
the same folder. Prints medians of seconds of wall and of CPU, and sizes; what tfarrow wrote is read back by pyarrow and
compared.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time

os.environ["POLARS_MAX_THREADS"] = "2"

import duckdb
import peers
import polars
import pyarrow as pa
import pyarrow.parquet
import tfarrow

pa.set_cpu_count(2)


def plain(table):
    """The table with tensors as the lists that they are stored as, which every writer knows."""
    storage = lambda column: pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    columns = [storage(c) if isinstance(c.type, pa.BaseExtensionType) else c for c in table.columns]
    return pa.table(columns, names=table.column_names)


def writers(table):
    frame = polars.from_arrow(table)
    base = duckdb.connect(config={"threads": 2})
    base.register("t", table)
    return {
        "tfarrow": lambda path: tfarrow.convert(table, path, threads=2),
        "polars": lambda path: frame.write_parquet(path),
        "pyarrow": lambda path: pa.parquet.write_table(table, path, compression="zstd"),
        "DuckDB": lambda path: base.execute(f"COPY t TO '{path}' (FORMAT parquet, COMPRESSION zstd)"),
    }


def measured(write, path):
    """Seconds of wall and of CPU, and bytes."""
    cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    before, start = cpu(), time.perf_counter()
    write(path)
    return time.perf_counter() - start, cpu() - before, os.path.getsize(path)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=1)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--only", default="w1,w3,w4")
    options = options.parse_args()
    print(f"tfarrow {tfarrow.__version__}, polars {polars.__version__}, pyarrow {pa.__version__}, duckdb {duckdb.__version__}\n")
    print("| workload | writer | wall, s | CPU, s | MB |\n| --- | --- | --- | --- | --- |")
    for workload in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            peers.make(workload, f"{folder}/{workload}", int(peers.ROWS[workload] * options.scale))
            table = plain(tfarrow.open(f"{folder}/{workload}/*").to_pyarrow())
            ways = writers(table)
            runs = {name: [] for name in ways}
            for _ in range(options.runs):
                for name, write in ways.items():
                    path = f"{folder}/{name}.parquet"
                    if os.path.exists(path):
                        os.remove(path)
                    runs[name].append(measured(write, path))
            assert pa.parquet.read_table(f"{folder}/tfarrow.parquet").equals(table)
        for name, figures in runs.items():
            wall, cpu, size = (statistics.median(figure[i] for figure in figures) for i in range(3))
            print(f"| {workload} | {name} | {wall:.2f} | {cpu:.2f} | {size / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
