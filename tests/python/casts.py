"""Tables whose numbers are cast: made, and compared with what tfarrow made of them.

    casts.py make FOLDER
    casts.py check FOLDER

FOLDER/all.EXTENSION is float64 cast wherever it stands, FOLDER/COLUMN.EXTENSION one column.
"""

import decimal
import pathlib
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from make_types import Foreign

X, Y, Z = 0.1, 1e300, -2.0 / 3
SOME, MORE = [X, None, Z], [[X, Z], None, []]


def table():
    f64 = pa.float64()
    pair = pa.struct([("a", f64), ("b", pa.string())])
    pairs = [{"a": X, "b": "x"}, None, {"a": None, "b": "y"}]
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([[X, Z], [Z, X], [0, 1]]))
    return pa.table({
        "scalar": pa.array(SOME),
        "list": pa.array(MORE),
        "large_list": pa.array(MORE, pa.large_list(f64)),
        "list_view": pa.array(MORE, pa.list_view(f64)),
        "fixed": pa.array([[X, Z], None, [Z, None]], pa.list_(f64, 2)),
        "nested": pa.array([[[X], None], None, [[Z, X]]]),
        "struct": pa.array(pairs, pair),
        "list_of_struct": pa.array([pairs, [], None], pa.list_(pair)),
        "map": pa.array([[("k", X)], [], None], pa.map_(pa.string(), f64)),
        "dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array([X, Z])),
        "runs": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([X, None])),
        "tensor": tensor,
        "tensors": pa.ListArray.from_arrays([0, 1, 1, 3], tensor),
        "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-3.50")]),
        "foreign": pa.ExtensionArray.from_storage(Foreign(f64), pa.array(SOME)),
        "int": pa.array([1, None, 3]),
        "text": pa.array(["a", None, "b"]),
    })


def single(value):
    """`value` with every float as a float of 32 bits."""
    if isinstance(value, (float, decimal.Decimal)):
        return float(np.float32(value))
    if isinstance(value, list):
        return [single(item) for item in value]
    if isinstance(value, tuple):
        return tuple(single(item) for item in value)
    if isinstance(value, dict):
        return {key: single(item) for key, item in value.items()}
    return value


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
        return reader.read_all()


def text(kind):
    """A type as text, whatever its lists call their items and however wide their offsets are."""
    kind = str(kind).replace("element:", "item:").replace("large_list<", "list<")
    return kind.replace(", permutation=[0]", "")


def check(path, cast):
    before, after = table(), read(path)
    after.validate(full=True)
    for field, column in zip(before.schema, before.columns):
        found = after.column(field.name)
        values, kind = column.to_pylist(), text(field.type)
        if field.name in cast:
            values, kind = single(values), kind.replace("double", "float")
        if field.name == "foreign" and "foreign" in cast:
            kind = "float"
        if field.name == "decimal" and "decimal" in cast:
            kind = "float"
        metadata = after.schema.field(field.name).metadata or {}
        assert (b"ARROW:extension:name" in metadata) == (field.name == "foreign" and "foreign" not in cast), metadata
        if field.name == "foreign":
            kind = kind if "foreign" in cast else "double"
        assert text(found.type) == kind, f"{path.name}: {field.name}: {found.type}, not {kind}"
        assert found.to_pylist() == values, f"{path.name}: {field.name}: {found.to_pylist()}, not {values}"


if __name__ == "__main__":
    mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    names = table().column_names
    if mode == "make":
        with pa.ipc.new_file(folder / "in.arrow", table().schema) as writer:
            writer.write_table(table())
        pq.write_table(table().drop_columns(["list_view", "runs"]), folder / "in.parquet")
        frame = pd.DataFrame({"x": [X, Z], "y": [1.5, 2.5], "n": [1, 2], "l": [[X], [Z, Y / 1e299]]})
        frame.to_parquet(folder / "frame.parquet")
        frame.to_feather(folder / "frame.arrow")
    else:
        left = {"decimal", "foreign", "int", "text"}
        check(folder / "all.arrow", set(names) - left)
        for name in set(names) - {"int", "text"}:
            check(folder / f"{name}.arrow", {name})
        member = read(folder / "member.arrow").column("struct")
        assert text(member.type) == "struct<a: float, b: string>", member.type
        assert member.to_pylist() == single(table().column("struct").to_pylist())
        print(len(names), "columns")
