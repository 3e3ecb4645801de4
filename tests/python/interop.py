"""Opens a converted file with the libraries people use and compares what each of them sees.

Used by check_interop.py and check_digits.py. A failure is a line of text; nothing stops at the first.
"""

import json
import math
import os
import re

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather  # noqa: F401  (pandas.read_feather needs it)
import pyarrow.parquet as pq

ARROW = {
    "int64": pa.int64(),
    "float32": pa.float32(),
    "utf8": pa.string(),
    "binary": pa.binary(),
}
POLARS = {"int64": pl.Int64, "float32": pl.Float32, "utf8": pl.String, "binary": pl.Binary}
DUCKDB = {"int64": "BIGINT", "float32": "FLOAT", "utf8": "VARCHAR", "binary": "BLOB"}
TENSORFLOW = {"int64": "int64", "float32": "float32", "utf8": "string", "binary": "string"}


class Column:
    """What one column must be: a type as make_examples.py writes it, and a Python value a row."""

    def __init__(self, name, kind, values):
        self.name = name
        self.values = values
        match = re.fullmatch(r"(?:(list|tensor|fixed_list)<(\w+)>(?:\[(\d+)\])?|(\w+))", kind)
        self.shape = match[1] or "scalar"
        self.item = match[2] or match[4]
        self.size = int(match[3]) if match[3] else None

    @property
    def null_rows(self):
        return [row for row, value in enumerate(self.values) if value is None]

    def arrow_type(self):
        item = pa.field("item", ARROW[self.item], nullable=True)
        return {
            "scalar": lambda: ARROW[self.item],
            "list": lambda: pa.list_(item),
            "tensor": lambda: pa.fixed_shape_tensor(ARROW[self.item], [self.size]),
            "fixed_list": lambda: pa.list_(item, self.size),
        }[self.shape]()

    def polars_type(self):
        item = POLARS[self.item]
        return {
            "scalar": lambda: item,
            "list": lambda: pl.List(item),
            "tensor": lambda: pl.Array(item, self.size),
            "fixed_list": lambda: pl.Array(item, self.size),
        }[self.shape]()

    def duckdb_types(self):
        item = DUCKDB[self.item]
        if self.shape == "scalar":
            return {item}
        # Parquet has no fixed-size lists; DuckDB sees them only in Arrow tables.
        return {f"{item}[]"} | ({f"{item}[{self.size}]"} if self.size else set())


def plain(value):
    """A value in a form that compares exactly: float32 by its bits, any NaN equal to any other."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (float, np.floating)):
        return "nan" if math.isnan(value) else ("float", np.float32(value).tobytes().hex())
    if isinstance(value, np.integer):
        return int(value)
    return value


class Check:
    """Collects the failures of one reader on one file."""

    def __init__(self, path, reader, failures):
        self.where = f"{os.path.basename(path)}: {reader}"
        self.failures = failures

    def fail(self, column, message):
        self.failures.append(f"{self.where}: {column}: {message}")

    def equal(self, column, what, found, expected):
        if found != expected:
            self.fail(column, f"{what}: expected {expected}, found {found}")

    def names(self, found, columns):
        self.equal("file", "columns", list(found), [column.name for column in columns])
        return list(found) == [column.name for column in columns]

    def values(self, column, found):
        found = [plain(value) for value in found]
        expected = [plain(value) for value in column.values]
        self.equal(column.name, "rows", len(found), len(expected))
        for row, (one, other) in enumerate(zip(found, expected)):
            if one != other:
                self.fail(column.name, f"row {row}: expected {other!r:.200}, found {one!r:.200}")
                return

    def array(self, column, found):
        """A tensor column as one NumPy array of shape [rows, size]."""
        expected = np.array(column.values, dtype=column.item)
        self.equal(column.name, "array shape", found.shape, expected.shape)
        self.equal(column.name, "array dtype", str(found.dtype), str(expected.dtype))
        if found.shape == expected.shape and found.tobytes() != expected.tobytes():
            self.fail(column.name, "array values differ")


def arrow_table(path):
    if path.endswith(".parquet"):
        return pq.read_table(path)
    with pa.OSFile(path) as source:
        opened = pa.ipc.open_stream if path.endswith(".arrows") else pa.ipc.open_file
        return opened(source).read_all()


def check_pyarrow(path, columns, check):
    table = arrow_table(path)
    if not check.names(table.column_names, columns):
        return
    metadata = table.schema.metadata or {}
    for key in (b"tfarrow.version", b"tfarrow.source", b"tfarrow.element_spec"):
        check.equal("schema metadata", key.decode(), key in metadata, True)
    json.loads(metadata.get(b"tfarrow.element_spec", b"{}"))
    for column in columns:
        field = table.schema.field(column.name)
        check.equal(column.name, "type", field.type, column.arrow_type())
        check.equal(column.name, "nullable", field.nullable, True)
        dtype = (field.metadata or {}).get(b"tf.dtype", b"").decode()
        check.equal(column.name, "tf.dtype", dtype, TENSORFLOW[column.item])
        data = table.column(column.name)
        data.validate(full=True)
        storage = field.type
        if isinstance(storage, pa.BaseExtensionType):
            storage = storage.storage_type
        if column.shape != "scalar" and hasattr(storage, "value_field"):
            check.equal(column.name, "nullable items", storage.value_field.nullable, True)
            if not path.endswith(".parquet"):
                check.equal(column.name, "name of the items", storage.value_field.name, "item")
        if column.shape == "tensor" and isinstance(field.type, pa.FixedShapeTensorType):
            check.equal(column.name, "tensor shape", list(field.type.shape), [column.size])
            arrays = [chunk.to_numpy_ndarray() for chunk in data.chunks]
            check.array(column, np.concatenate(arrays))
        else:
            check.values(column, data.to_pylist())


def check_pandas(path, columns, check):
    if path.endswith(".arrows"):
        return  # pandas has no reader for Arrow IPC streams
    read = pd.read_parquet if path.endswith(".parquet") else pd.read_feather
    exact = read(path, dtype_backend="pyarrow")
    if not check.names(exact.columns, columns):
        return
    for column in columns:
        dtype = exact[column.name].dtype
        check.equal(column.name, "pyarrow dtype", dtype, pd.ArrowDtype(column.arrow_type()))
        if column.shape != "tensor":
            values = exact[column.name].array.__arrow_array__().to_pylist()
            check.values(column, values)

    usual = read(path)
    for column in columns:
        series = usual[column.name]
        if column.shape == "tensor":
            check.equal(column.name, "dtype", str(series.dtype), "object")
            check.array(column, np.stack(series))
            continue
        dtype = {"int64": "int64", "float32": "float32", "utf8": "str", "binary": "object"}
        expected = dtype[column.item] if column.shape == "scalar" else "object"
        if expected == "int64" and column.null_rows:
            expected = "float64"  # pandas without nullable integers
        if not (column.shape == "scalar" and set(column.values) == {None}):
            check.equal(column.name, "dtype", str(series.dtype), expected)
        missing = [value is None or value != value for value in column.values]
        nan_or_null = list(np.flatnonzero(missing))
        found = list(np.flatnonzero(series.isna().to_numpy()))
        check.equal(column.name, "rows that are null", found in (column.null_rows, nan_or_null), True)
        for row, (one, other) in enumerate(zip(series, column.values)):
            if other is None:
                continue
            if expected == "float64":
                other = float(other)
            if plain(one) != plain(other):
                check.fail(column.name, f"row {row}: expected {other!r:.200}, found {one!r:.200}")
                break


def check_polars(path, columns, check):
    if path.endswith(".parquet"):
        frame = pl.read_parquet(path)
        check.equal(
            "file",
            "Parquet key-value metadata",
            "tfarrow.element_spec" in pl.read_parquet_metadata(path),
            True,
        )
    elif path.endswith(".arrows"):
        frame = pl.read_ipc_stream(path)
    else:
        frame = pl.read_ipc(path)
    if not check.names(frame.columns, columns):
        return
    for column in columns:
        series = frame[column.name]
        if column.shape == "tensor":
            dtype = series.dtype
            check.equal(column.name, "extension", isinstance(dtype, pl.BaseExtension), True)
            if isinstance(dtype, pl.BaseExtension):
                check.equal(column.name, "name", dtype.ext_name(), "arrow.fixed_shape_tensor")
                series = series.ext.storage()
            check.array(column, series.to_numpy())
        check.equal(column.name, "dtype", series.dtype, column.polars_type())
        check.equal(column.name, "nulls", series.null_count(), len(column.null_rows))
        check.values(column, series.to_list())


def check_duckdb(path, columns, check):
    connection = duckdb.connect()
    if path.endswith(".parquet"):
        relation = connection.read_parquet(path)
        keys = connection.sql(f"SELECT key FROM parquet_kv_metadata('{path}')").fetchall()
        found = (b"tfarrow.element_spec",) in keys
        check.equal("file", "Parquet key-value metadata", found, True)
    else:
        relation = connection.from_arrow(arrow_table(path))
    if not check.names(relation.columns, columns):
        return
    for column, dtype in zip(columns, relation.types):
        if str(dtype) not in column.duckdb_types():
            check.fail(column.name, f"type: expected {column.duckdb_types()}, found {dtype}")
    rows = relation.fetchall()
    for index, column in enumerate(columns):
        check.values(column, [row[index] for row in rows])


READERS = {
    "pyarrow": check_pyarrow,
    "pandas": check_pandas,
    "polars": check_polars,
    "duckdb": check_duckdb,
}


def check_file(path, columns, readers):
    """Opens one file with each reader; returns the failures."""
    failures = []
    for reader in readers:
        check = Check(path, reader, failures)
        try:
            READERS[reader](path, columns, check)
        except BaseException as error:  # polars panics are not Exceptions
            if isinstance(error, KeyboardInterrupt):
                raise
            check.fail("file", f"{type(error).__name__}: {error}")
    return failures


def report(failures, files):
    """Prints the verdict; returns the exit code."""
    for failure in failures:
        print(f"FAIL {failure}")
    if not failures:
        print(f"ok: {files} files")
    return 1 if failures else 0


def add_reader_argument(parser):
    parser.add_argument("--reader", choices=[*READERS, "all"], default="all")


def chosen_readers(arguments):
    return list(READERS) if arguments.reader == "all" else [arguments.reader]
