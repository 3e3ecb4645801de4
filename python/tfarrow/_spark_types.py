"""Arrow's types as Spark has them, and columns on their way there."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from tfarrow._errors import Error

_AS_THEY_ARE = (
    pa.types.is_boolean,
    pa.types.is_int8,
    pa.types.is_int16,
    pa.types.is_int32,
    pa.types.is_int64,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date32,
)
_WIDENED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.date64(): pa.date32(),
}
# Days and microseconds are what Spark counts in.
_MOST_DIGITS = 38


def of(kind: pa.DataType) -> pa.DataType:
    """The Arrow type that Spark takes for `kind`."""
    if isinstance(kind, pa.BaseExtensionType):
        return of(kind.storage_type)
    if any(test(kind) for test in _AS_THEY_ARE):
        return kind
    if kind in _WIDENED:
        return _WIDENED[kind]
    if pa.types.is_dictionary(kind):
        return of(kind.value_type)
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(pa.field("item", of(kind.value_type), True))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, of(field.type), True) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(of(kind.key_type), of(kind.item_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if pa.types.is_duration(kind):
        return pa.duration("us")
    if pa.types.is_decimal(kind) and kind.precision <= _MOST_DIGITS:
        return pa.decimal128(kind.precision, kind.scale)
    raise TypeError(f"Spark has no type for {kind}")


def schema(found: pa.Schema) -> StructType:
    """The columns as Spark has them; what Arrow says of each stands in its metadata."""
    fields = []
    for field in found:
        try:
            kind = from_arrow_type(of(field.type))
        except TypeError as error:
            raise Error(str(error), kind="unsupported", column=field.name, hint=f"leave `{field.name}` out") from None
        fields.append(StructField(field.name, kind, True, metadata=_metadata(field)))
    return StructType(fields)


def _metadata(field: pa.Field) -> dict[str, str]:
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    shape = getattr(field.type, "shape", None)
    if shape is not None:
        metadata.setdefault("tf.shape", json.dumps(list(shape), separators=(",", ":")))
    return {key: value for key, value in metadata.items() if not key.startswith("ARROW:")}


def batch(found: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in Spark's types."""
    columns = [column(array) for array in found.columns]
    return pa.RecordBatch.from_arrays(columns, names=found.schema.names)


def column(array: pa.Array) -> pa.Array:
    """The same values in Spark's type."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return column(array.storage)
    target = of(kind)
    if target == kind:
        return array
    if pa.types.is_dictionary(kind):
        return column(array.dictionary_decode())
    if pa.types.is_fixed_size_list(kind):
        size = kind.list_size
        values = array.values[array.offset * size : (array.offset + len(array)) * size]
        # Where a row is null, its values are there all the same.
        kept = column(values)
        offsets = pa.array(range(0, (len(array) + 1) * size, size), pa.int32()) if size else pa.array(
            [0] * (len(array) + 1), pa.int32()
        )
        return pa.ListArray.from_arrays(offsets, kept, target, mask=_mask(array))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
        offsets = pc.subtract(array.offsets, array.offsets[0]).cast(pa.int32())
        return pa.ListArray.from_arrays(offsets, column(array.values[first:last]), target, mask=_mask(array))
    if pa.types.is_struct(kind):
        children = [column(child) for child in array.flatten()]
        return pa.StructArray.from_arrays(children, fields=list(target), mask=_mask(array))
    # Nothing is rounded but what is finer than a microsecond.
    return array.cast(target, safe=not pa.types.is_temporal(kind))


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None
