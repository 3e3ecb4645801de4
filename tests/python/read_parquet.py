"""Reads Parquet files with one reader of some version and prints what it sees as JSON.

    read_parquet.py READER FILE...

READER is spark, duckdb, pyarrow, polars or fastparquet. It runs in an environment where nothing else
may be installed (tests/python/readers), so a reader is imported when it is asked for. For every file,
one line on standard output: {"file": …, "columns": {name: [value, …]}} or {"file": …, "error": …}.
Values are written so that they compare exactly: see `plain`.
"""

import datetime
import decimal
import json
import math
import sys


def plain(value):
    """A value in a form that JSON keeps: text as it is, bytes as hexadecimal digits behind `0x`, a
    float as C's %a, whole decimals (unsigned 64-bit numbers in Spark) as integers."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return "nan" if math.isnan(value) else value.hex()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "0x" + bytes(value).hex()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return ["timedelta", value.days, value.seconds, value.microseconds]
    if hasattr(value, "asDict"):  # a Row of Spark
        return {name: plain(item) for name, item in value.asDict().items()}
    if hasattr(value, "items"):
        return {name if isinstance(name, str) else repr(name): plain(item) for name, item in value.items()}
    if hasattr(value, "tolist"):  # of NumPy
        return plain(value.tolist())
    return [plain(item) for item in value]


def spark():
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    session.sparkContext.setLogLevel("OFF")

    def read(path):
        frame = session.read.parquet(path)
        rows = frame.collect()
        return {name: [row[i] for row in rows] for i, name in enumerate(frame.columns)}

    return read


def duckdb():
    import duckdb

    connection = duckdb.connect()

    def read(path):
        relation = connection.read_parquet(path)
        rows = relation.fetchall()
        return {name: [row[i] for row in rows] for i, name in enumerate(relation.columns)}

    return read


def pyarrow():
    import pyarrow.parquet

    def read(path):
        table = pyarrow.parquet.read_table(path)
        columns = {}
        for name, column in zip(table.column_names, table.columns):
            if isinstance(column.type, pyarrow.BaseExtensionType):
                column = pyarrow.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
            columns[name] = column.to_pylist()
        return columns

    return read


def polars():
    import polars

    def read(path):
        frame = polars.read_parquet(path)
        return {name: frame[name].to_list() for name in frame.columns}

    return read


def fastparquet():
    import pandas

    def read(path):
        frame = pandas.read_parquet(path, engine="fastparquet")
        columns = {}
        for name in frame.columns:
            null = frame[name].isna()
            # What pandas has no null for is a NaN; which one it was, its reader cannot tell.
            columns[name] = [None if gone else v for v, gone in zip(frame[name].tolist(), null)]
        return columns

    return read


def main():
    reader, files = sys.argv[1], sys.argv[2:]
    read = {"spark": spark, "duckdb": duckdb, "pyarrow": pyarrow, "polars": polars, "fastparquet": fastparquet}
    read = read[reader]()
    for path in files:
        try:
            columns = {name: [plain(v) for v in values] for name, values in read(path).items()}
            line = {"file": path, "columns": columns}
        except BaseException as error:  # panics of polars are no Exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            line = {"file": path, "error": f"{type(error).__name__}: {error}"[:2000]}
        print("\n" + json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
