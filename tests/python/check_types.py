"""Compares tables with those that they were made of.

    check_types.py INPUTS OUTPUTS

OUTPUTS holds, for tables of INPUTS, `NAME.to.EXTENSION`. Values, types, metadata and extension types are
to be the same, but for what tfarrow stores in its own way: strings and lists of tensors with offsets
of 32 bits and without views.
"""

import pathlib
import sys

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    opener = pa.ipc.open_stream if path.suffix == ".arrows" else pa.ipc.open_file
    with opener(pa.memory_map(str(path))) as reader:
        return reader.read_all()


def stored(kind):
    """The type in which tfarrow stores a tensor of `kind`; None if it is no tensor's."""
    types = pa.types
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_list(kind) or types.is_large_list(kind):
        item = None if types.is_struct(kind.value_type) else stored(kind.value_type)
        return item and pa.list_(pa.field("item", item))
    if types.is_fixed_size_list(kind):
        item = stored(kind.value_type)
        return item and pa.list_(pa.field("item", item), kind.list_size)
    if types.is_struct(kind):
        parts = [(field.name, stored(field.type)) for field in kind]
        return pa.struct(parts) if parts and all(part for _, part in parts) else None
    if types.is_dictionary(kind) or types.is_fixed_size_binary(kind):
        return kind
    is_leaf = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    return kind if is_leaf or types.is_string(kind) or types.is_binary(kind) else None


def in_parquet(kind):
    """What Parquet stores, as far as pyarrow itself does not write `kind` there."""
    types = pa.types
    if types.is_run_end_encoded(kind):
        return kind.value_type
    if types.is_large_list(kind):
        return pa.large_list(in_parquet(kind.value_type))
    if types.is_list(kind):
        return pa.list_(pa.field("item", in_parquet(kind.value_type)))
    if types.is_dictionary(kind):
        plain = {pa.string_view(): pa.string(), pa.large_string(): pa.string(), pa.binary_view(): pa.binary()}
        return pa.dictionary(kind.index_type, plain.get(kind.value_type, kind.value_type))
    if isinstance(kind, pa.FixedShapeTensorType) and kind.value_type == pa.timestamp("s"):
        return pa.fixed_shape_tensor(pa.timestamp("ms"), kind.shape)
    return kind


def same_type(expected, found):
    return any(found in (kind, stored(kind)) for kind in expected)


def check(name, before, after, others):
    """`others` are the same table as pyarrow reads it from other formats: Parquet has not every type."""
    assert after.num_rows == before.num_rows, f"{after.num_rows} rows"
    assert after.column_names == before.column_names, f"{after.column_names}"
    after.validate(full=True)
    for key, value in (before.schema.metadata or {}).items():
        assert after.schema.metadata.get(key) == value, f"metadata {key}"
    for a, b in zip(before.schema, after.schema):
        kinds = [a.type] + [other.schema.field(a.name).type for other in others]
        found = b.type
        if ".parquet" in name:
            found, kinds = in_parquet(found), kinds + [in_parquet(kind) for kind in kinds]
        assert same_type(kinds, found), f"{a.type} became {b.type}"
        theirs = {k: v for k, v in (a.metadata or {}).items() if k != b"PARQUET:field_id"}
        kept = b.metadata or {}
        if "foreign_timestamp_s" in name and name.endswith("arrow.to.parquet"):
            # Stored as milliseconds, it is no longer that type.
            assert not kept, kept
            theirs = {}
        assert all(kept.get(k) == v for k, v in theirs.items()), f"{theirs} became {kept}"
        values = [column.to_pylist() for column in (before[a.name], after[b.name])]
        assert values[0] == values[1], f"{values[0]} became {values[1]}"


if __name__ == "__main__":
    inputs, outputs = map(pathlib.Path, sys.argv[1:3])
    wrong = []
    for path in sorted(outputs.iterdir()):
        source, _, _ = path.name.rpartition(".to.")
        name = source.rpartition(".")[0]
        try:
            others = [read(other) for other in inputs.glob(f"{name}.*") if other.stem == name]
            check(path.name, read(inputs / source), read(path), others)
        except Exception as error:  # noqa: BLE001 - all are wanted
            wrong.append(f"{path.name}: {error}"[:300])
    if wrong:
        sys.exit("\n".join(wrong))
