"""Writes a table of one column for every type that pyarrow, pandas and polars have.

    make_types.py FOLDER

The types are those of Arrow's and Parquet's own collections of test files. Names are
`TYPE.arrow`, `TYPE.arrows` and `TYPE.parquet`; a format that pyarrow cannot write a type to is left out.
"""

import datetime
import decimal
import pathlib
import re
import sys
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq


class Foreign(pa.ExtensionType):
    """A type that is registered nowhere else."""

    def __init__(self, storage):
        super().__init__(storage, "example.foreign")

    def __arrow_ext_serialize__(self):
        return b"its own"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls(storage)


def columns():
    """The name of every type and a column of it."""
    when = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
    yield "bool", pa.array([True, None, False])
    for name in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]:
        yield name, pa.array([1, None, 0], pa.type_for_alias(name))
    for name in ["float16", "float32", "float64"]:
        yield name, pa.array([np.float16(1.5), None, np.float16(-2)], pa.type_for_alias(name))
    for name in ["utf8", "large_utf8", "string_view"]:
        yield name, pa.array(["a", None, "long enough for no view: é"], pa.type_for_alias(name))
    for name in ["binary", "large_binary", "binary_view"]:
        yield name, pa.array([b"a", None, b"\xff" * 20], pa.type_for_alias(name))
    yield "fixed_size_binary", pa.array([b"abc", None, b"def"], pa.binary(3))
    yield "null", pa.nulls(3)
    for bits, digits in [(32, 9), (64, 18), (128, 38), (256, 76)]:
        kind = getattr(pa, f"decimal{bits}")(digits, 2)
        values = [decimal.Decimal("1.25"), None, decimal.Decimal("-9" + "9" * (digits - 3) + ".99")]
        yield f"decimal{bits}", pa.array(values, kind)
    yield "date32", pa.array([when.date(), None, datetime.date(1900, 1, 1)])
    yield "date64", pa.array([when.date(), None, datetime.date(1900, 1, 1)], pa.date64())
    for unit in ["s", "ms"]:
        yield f"time32_{unit}", pa.array([datetime.time(1, 2, 3), None, datetime.time(0)], pa.time32(unit))
    for unit in ["us", "ns"]:
        yield f"time64_{unit}", pa.array([datetime.time(1, 2, 3, 4), None, datetime.time(0)], pa.time64(unit))
    for unit in ["s", "ms", "us", "ns"]:
        values = [1709209815, None, -1]
        yield f"timestamp_{unit}", pa.array(values, pa.timestamp(unit))
        yield f"timestamp_{unit}_zone", pa.array(values, pa.timestamp(unit, "Europe/Berlin"))
        yield f"duration_{unit}", pa.array(values, pa.duration(unit))
    yield "month_day_nano", pa.array([(1, 2, 3), None, (-1, 0, 5)], pa.month_day_nano_interval())
    yield "list", pa.array([[1, None], [], None], pa.list_(pa.int32()))
    yield "large_list", pa.array([[1, None], [], None], pa.large_list(pa.int32()))
    yield "list_view", pa.array([[1, None], [], None], pa.list_view(pa.int32()))
    yield "large_list_view", pa.array([[1, None], [], None], pa.large_list_view(pa.int32()))
    yield "fixed_size_list", pa.array([[1, None], [3, 4], [5, 6]], pa.list_(pa.int32(), 2))
    yield "fixed_size_list_null", pa.array([[1, None], None, [5, 6]], pa.list_(pa.int32(), 2))
    yield "list_of_list", pa.array([[[1], []], None, [None, [2, 3]]], pa.list_(pa.list_(pa.int64())))
    yield "list_of_timestamp", pa.array([[when], [], None], pa.list_(pa.timestamp("us")))
    pair = pa.struct([("a", pa.int64()), ("b", pa.string())])
    pairs = [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]
    yield "struct", pa.array(pairs, pair)
    yield "empty_struct", pa.array([{}, None, {}], pa.struct([]))
    yield "struct_of_timestamp", pa.array([{"t": when}, None, {"t": None}], pa.struct([("t", pa.timestamp("us"))]))
    yield "list_of_struct", pa.array([pairs, [], None], pa.list_(pair))
    yield "large_list_of_struct", pa.array([pairs, [], None], pa.large_list(pair))
    yield "required_list_of_struct", pa.array(
        [[{"a": 1}], []], pa.list_(pa.field("element", pa.struct([pa.field("a", pa.int8(), False)]), False)))
    deep = pa.list_(pa.struct([("x", pa.list_(pa.struct([("y", pa.string_view()), ("z", pa.large_string())])))]))
    yield "deep", pa.array([[{"x": [{"y": "a", "z": "b"}, None]}, {"x": None}], [], None], deep)
    yield "map", pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int64()))
    yield "map_sorted", pa.array([[(1, "a")], [], None], pa.map_(pa.int32(), pa.string(), keys_sorted=True))
    yield "map_of_struct", pa.array([[("k", {"a": 1, "b": "x"})], [], None], pa.map_(pa.string(), pair))
    yield "list_of_map", pa.array([[[("k", 1)], []], [], None], pa.list_(pa.map_(pa.string(), pa.int64())))
    words = pa.array(["x", "y", None, "x"])
    yield "dictionary", words.dictionary_encode()
    for index in ["int8", "uint8", "int16", "uint16", "uint32", "int64"]:
        kind = pa.dictionary(pa.type_for_alias(index), pa.string())
        yield f"dictionary_{index}", words.dictionary_encode().cast(kind)
    yield "dictionary_ordered", pa.DictionaryArray.from_arrays([0, 1, None], ["low", "high"], ordered=True)
    for kind in [pa.large_string(), pa.string_view(), pa.binary(), pa.binary_view()]:
        values = pa.array(["p", "q"], pa.string()).cast(kind)
        yield f"dictionary_of_{kind}", pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.uint32()), values)
    for values in [[1.5, 2.5], [7, 8], [when, when.replace(2020)], [decimal.Decimal("1.1"), decimal.Decimal("2.2")]]:
        values = pa.array(values)
        yield f"dictionary_of_{values.type}", pa.DictionaryArray.from_arrays([0, 1, None], values)
    listed = pa.ListArray.from_arrays([0, 2, 2, 4], words.dictionary_encode())
    yield "list_of_dictionary", listed
    yield "struct_of_dictionary", pa.StructArray.from_arrays([words.dictionary_encode()], ["d"])
    yield "run_end_encoded", pa.RunEndEncodedArray.from_arrays([2, 3, 5], pa.array([1, None, 2]))
    yield "run_end_encoded_text", pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int16()), ["a", "b"])
    kinds, offsets = pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32())
    yield "dense_union", pa.UnionArray.from_dense(kinds, offsets, [pa.array([1, 2]), pa.array(["x"])])
    yield "sparse_union", pa.UnionArray.from_sparse(kinds, [pa.array([1, 2, 3]), pa.array(["x", "y", "z"])])
    ids = [uuid.UUID(int=1).bytes, None, uuid.UUID(int=2).bytes]
    yield "uuid", pa.array(ids, pa.uuid())
    yield "list_of_uuid", pa.ListArray.from_arrays([0, 1, 3], pa.array(ids, pa.uuid()))
    yield "struct_of_uuid", pa.StructArray.from_arrays([pa.array(ids, pa.uuid())], ["id"])
    for kind in [pa.string(), pa.large_string(), pa.string_view()]:
        yield f"json_{kind}", pa.array(['{"a":1}', None], kind).cast(pa.json_(kind))
    yield "bool8", pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8()))
    opaque = pa.opaque(pa.large_binary(), "geometry", "a database")
    yield "opaque", pa.ExtensionArray.from_storage(opaque, pa.array([b"1", None], pa.large_binary()))
    for kind, values in [
        (pa.int64(), [1, None]), (pa.binary(2), [b"ab", None]), (pa.large_string(), ["a", None]),
        (pa.string_view(), ["a", None]), (pa.large_list(pa.float32()), [[1.0], None]),
        (pa.timestamp("s"), [1, None]), (pair, pairs), (pa.list_(pa.float64(), 2), [[1.0, 2.0], None]),
    ]:
        yield f"foreign_{kind}", pa.ExtensionArray.from_storage(Foreign(kind), pa.array(values, kind))
    matrix = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(matrix)
    yield "tensor", tensor
    turned = pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[1, 0])
    yield "tensor_permuted", pa.ExtensionArray.from_storage(turned, tensor.storage)
    named = pa.fixed_shape_tensor(pa.float32(), [2, 3], dim_names=["h", "w"])
    yield "tensor_named", pa.ExtensionArray.from_storage(named, tensor.storage)
    yield "list_of_tensor", pa.ListArray.from_arrays([0, 1, 2], tensor)
    times = pa.array([[0, 1], [2, 3]], pa.list_(pa.timestamp("s"), 2))
    yield "tensor_of_timestamp", pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.timestamp("s"), [2]), times)


def frames():
    """Tables as pandas makes them."""
    index = pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin", name="at")
    yield "pandas", pd.DataFrame({
        "category": pd.Categorical(["a", "b", None], ["b", "a"], ordered=True),
        "zone": index,
        "period": pd.period_range("2024-01", periods=3, freq="M"),
        "interval": pd.IntervalIndex.from_breaks([0, 1, 2, 3]),
        "duration": pd.to_timedelta([1, 2, None], "s"),
        "decimal": [decimal.Decimal("1.10"), None, decimal.Decimal("2.20")],
        "lists": [[[1.0], []], None, [[2.0, 3.0]]],
        "dicts": [{"a": 1, "b": {"c": "x"}}, None, {"a": None, "b": None}],
        "mixed": [None, None, None],
        "Int64": pd.array([1, None, 3], "Int64"),
        "text": pd.array(["a", None, "c"], "string"),
        3: [1, 2, 3],
    }, index=index).rename(columns=str)
    yield "multi_index", pd.DataFrame(
        {"x": [1.5, 2.5]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "n"]))


def put(folder, name, table):
    """Writes `table` in every format that can hold it."""
    for extension, new in [("arrow", pa.ipc.new_file), ("arrows", pa.ipc.new_stream)]:
        with new(folder / f"{name}.{extension}", table.schema) as writer:
            writer.write_table(table)
    try:
        pq.write_table(table, folder / f"{name}.parquet")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        (folder / f"{name}.parquet").unlink(missing_ok=True)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    for name, column in columns():
        put(target, re.sub("[^a-z0-9]+", "_", name), pa.table({"c": column}))
    for name, frame in frames():
        put(target, name, pa.Table.from_pandas(frame))
    mixed = pl.DataFrame({
        "cat": pl.Series(["q", "r", None], dtype=pl.Categorical),
        "enum": pl.Series(["q", "r", None], dtype=pl.Enum(["r", "q"])),
        "text": ["a", None, "long enough for no view"],
        "structs": [[{"a": 1, "b": "x"}], [], None],
        "array": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "cats": pl.Series([["q"], [], None], dtype=pl.List(pl.Categorical)),
        "dec": pl.Series([decimal.Decimal("1.5"), None, decimal.Decimal("2.5")], dtype=pl.Decimal(10, 2)),
        "time": [datetime.time(1), None, datetime.time(2)],
    })
    mixed.write_ipc(target / "polars.arrow")
    mixed.write_ipc(target / "polars_oldest.arrow", compat_level=pl.CompatLevel.oldest(), compression="lz4")
    mixed.write_ipc_stream(target / "polars.arrows")
    mixed.write_parquet(target / "polars.parquet")
