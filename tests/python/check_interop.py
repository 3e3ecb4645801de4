"""Checks converted golden files: pyarrow, pandas, polars and DuckDB must see the expected rows.

    check_interop.py scalars.parquet lists.arrow ... --expected tests/golden/examples/expected.json

The name of a file up to its first dot says which dataset of expected.json it holds.
"""

import argparse
import json
import pathlib
import sys

import interop


def value_from_json(value, item):
    if value is None:
        return None
    if isinstance(value, list):
        return [value_from_json(v, item) for v in value]
    if item == "binary":
        return bytes.fromhex(value)
    return float(value) if item == "float32" else value


def columns_of(dataset):
    columns = []
    for index, column in enumerate(dataset["columns"]):
        values = [row[index] for row in dataset["rows"]]
        column = interop.Column(column["name"], column["type"], values)
        column.values = [value_from_json(value, column.item) for value in values]
        columns.append(column)
    return columns


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--expected", required=True, type=pathlib.Path)
    parser.add_argument("--dataset", help="instead of the name of the file")
    interop.add_reader_argument(parser)
    arguments = parser.parse_args()

    expected = json.loads(arguments.expected.read_text(encoding="utf-8"))
    failures = []
    for path in arguments.files:
        name = arguments.dataset or pathlib.Path(path).name.split(".")[0]
        columns = columns_of(expected[name])
        failures += interop.check_file(path, columns, interop.chosen_readers(arguments))
    return interop.report(failures, len(arguments.files))


if __name__ == "__main__":
    sys.exit(main())
