#!/usr/bin/env python3
"""Reads what tfarrow writes with readers of the last three years, each in an environment of its own.

    check_readers.py [READER...] [--program target/debug/tfarrow]

READER is the name of a file in readers/ without its extension; all of them if none is named. Makes the
environments that are not there yet (setup_venv.sh). Runs in the environment of the tests, which
TFARROW_TEST_PYTHON names: TensorFlow makes the inputs.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
READERS = sorted(path.stem for path in (HERE / "readers").glob("*.txt"))
JAVA = ["openjdk-17-jre-headless", "openjdk-21-jre-headless"]


class File:
    """A file to convert: the input in expected.json, options, and which columns are in it."""

    def __init__(self, dataset, *options, without=(), nested=False):
        self.dataset, self.options, self.nested = dataset, list(options), nested
        self.without = without
        if nested:
            self.options += ["--tensor-layout", "nested"]

    def columns(self, expected):
        """What the file must hold: names and values."""
        dataset = expected[self.dataset]
        for name, values in dataset["columns"].items():
            if name.endswith(self.without):
                continue
            if not self.nested and name.endswith("/tensor") and name != "string/tensor":
                values = [flat(value) for value in values]
            if self.nested and name.endswith("/varying"):
                values = [shaped(value["data"], value["shape"]) for value in values]
            yield name, values


# Small row groups, so that columns are cut in the middle.
FILES = {
    "records": File("records"),
    "records-snappy": File("records", "--compression", "snappy"),
    "records-gzip": File("records", "--compression", "gzip"),
    "records-plain": File("records", "--compression", "none"),
    "tensors": File("tensors"),
    "lists": File("lists"),
    "no-tensors": File("lists", without=("/varying",)),
    "nested-tensors": File("tensors", without=("string/tensor",), nested=True),
    "nested-lists": File("lists", without=("string/varying",), nested=True),
}
# Files with types that a reader does not have in any file.
BEYOND = {"polars-1.0": ["tensors", "lists"], "fastparquet": ["lists", "no-tensors", "nested-tensors", "nested-lists"]}


def flat(value):
    return [inner for item in value for inner in (flat(item) if isinstance(item, list) else [item])]


def shaped(values, shape):
    if not shape:
        return values[0]
    size = len(values) // shape[0] if shape[0] else 0
    return [shaped(values[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0])]


def as_pandas(name, values):
    """What fastparquet makes of a column; `None` if it has no type for it."""
    if name.startswith("string/tensor") or name.startswith("uint") and name.endswith("/tensor"):
        return None
    if None in values and any(isinstance(value, int) for value in values):
        return [value if value is None else float(value).hex() for value in values]
    return values


def compare(reader, name, found, expected):
    """Failures of a reader on a file, as lines of text."""
    where = f"{reader}: {name}"
    if "error" in found:
        return [f"{where}: {found['error']}"]
    found = found["columns"]
    failures = []
    if sorted(found) != sorted(column for column, _ in expected):
        failures.append(f"{where}: columns {list(found)}")
    for column, values in expected:
        if reader == "fastparquet":
            values = as_pandas(column, values)
        seen = found.get(column)
        if values is None or seen == values:
            continue
        rows = zip(seen or [], values)
        row = next((row for row, (one, other) in enumerate(rows) if one != other), None)
        if row is None:
            failures.append(f"{where}: {column}: {len(seen or [])} rows, expected {len(values)}")
        else:
            one, other = (repr(rows[row])[:200] for rows in (seen, values))
            failures.append(f"{where}: {column}: row {row}: expected {other}, found {one}")
    return failures


def need_java():
    if shutil.which("java"):
        return
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=True, **quiet)
        for package in JAVA:
            command = ["apt-get", "install", "-qq", "--no-install-recommends", package]
            if subprocess.run(command, **quiet).returncode == 0:
                return
    sys.exit("check_readers.py: Spark needs a Java runtime, 17 or 21: install one, or name other readers")


def python_of(reader):
    made = subprocess.run([HERE / "setup_venv.sh", reader], stdout=subprocess.PIPE, check=True, text=True)
    return made.stdout.strip()


def convert(program, inputs, folder):
    """Writes FILES of what is in `inputs`; returns {name: [(column, values)]}."""
    expected = json.loads((inputs / "expected.json").read_text())
    columns = {}
    for name, file in FILES.items():
        columns[name] = list(file.columns(expected))
        left_out = [column for column in expected[file.dataset]["columns"] if column.endswith(file.without)]
        left_out = ["--exclude", ",".join(left_out)] if file.without else []
        command = [program, "convert", inputs / expected[file.dataset]["input"]]
        command += ["-o", folder / f"{name}.parquet", "--row-group-rows", "400", *left_out, *file.options]
        subprocess.run(command, check=True, stderr=subprocess.PIPE)
    return columns


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="READER", default=READERS)
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "target/debug/tfarrow")
    arguments = parser.parse_args()
    if unknown := set(arguments.readers) - set(READERS):
        parser.error(f"no reader {', '.join(unknown)}; there are {', '.join(READERS)}")
    if any(reader.startswith("spark") for reader in arguments.readers):
        need_java()
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
        outputs.mkdir()
        python = os.environ.get("TFARROW_TEST_PYTHON") or sys.executable
        subprocess.run([python, HERE / "make_every_type.py", inputs], check=True)
        columns = convert(arguments.program.resolve(), inputs, outputs)
        for reader in arguments.readers:
            names = [name for name in FILES if name not in BEYOND.get(reader, [])]
            paths = [str(outputs / f"{name}.parquet") for name in names]
            command = [python_of(reader), str(HERE / "read_parquet.py"), reader.split("-")[0], *paths]
            run = subprocess.run(command, capture_output=True, text=True)
            lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"file"')]
            if run.returncode or len(lines) != len(names):
                failures.append(f"{reader}: exit {run.returncode}: {run.stderr[-2000:]}")
            read = sum((compare(reader, *what) for what in zip(names, lines, map(columns.get, names))), [])
            print(f"{reader}: {len(lines)} files, {'FAILED' if read else 'as TensorFlow has them'}", flush=True)
            failures += read
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
