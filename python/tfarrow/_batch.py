"""Rows of a dataset, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfarrow import _columns
from tfarrow._errors import missing

if TYPE_CHECKING:
    import pyarrow as pa

    from tfarrow._tfarrow import RecordBatch


class Batch:
    """Some rows of a dataset: an Arrow record batch, and each of its columns as an array.

    `batch["image"]` is, by what the column holds:

    | column | gives |
    | --- | --- |
    | numbers, tensors of one shape | a read-only `numpy.ndarray` of shape (rows, \\*shape) over the Arrow buffer: no copy; with nulls a `numpy.ma.MaskedArray` over it |
    | bools stored as bits | an array of bool (a copy) |
    | strings, bytes | `Strings`: a list-like with `to_pylist()` |
    | lists, ragged tensors | `Ragged(values, row_splits)` |
    | sparse tensors | `Sparse(indices, values, dense_shape)` |
    | tensors whose shape varies | `VariableShape`: a list-like of views |
    | structs | a dict of columns |
    | anything else | a list-like with `to_pylist()`, which needs pyarrow |

    bfloat16 kept as bits has the dtype of `ml_dtypes`, where that is installed. A path such as
    `batch["steps/action"]` reaches into structs, in lists too.

    The memory lives as long as any array over it. Any Arrow library takes a batch:
    `pyarrow.record_batch(batch)`, `polars.DataFrame(batch)`.
    """

    __slots__ = ("_batch",)

    def __init__(self, batch: RecordBatch) -> None:
        self._batch = batch

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._batch.num_rows

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return self._batch.column_names

    @property
    def nbytes(self) -> int:
        """Bytes that the columns take in memory."""
        return self._batch.nbytes

    @property
    def schema(self) -> Any:
        """The Arrow schema: see `Dataset.schema`."""
        from tfarrow._schema import Schema

        return Schema(self._batch)

    def __getitem__(self, name: str) -> Any:
        try:
            described = self._batch.column(name)
        except KeyError:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.column_names)}") from None
        return _columns.column(described, lambda: _columns.Values(self._pyarrow_column(name)))

    def __len__(self) -> int:
        """The number of rows."""
        return self.num_rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.column_names)

    def __contains__(self, name: object) -> bool:
        return name in self.column_names

    def keys(self) -> list[str]:
        """The names of the columns."""
        return self.column_names

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and columns."""
        return ((name, self[name]) for name in self.column_names)

    def slice(self, start: int, rows: int | None = None) -> Batch:
        """Some of the rows; nothing is copied."""
        return Batch(self._batch.slice(start, self.num_rows if rows is None else rows))

    def to_pyarrow(self) -> pa.RecordBatch:
        """The same memory as a `pyarrow.RecordBatch`."""
        try:
            import pyarrow as pa
        except ImportError:
            raise missing("pyarrow", "Batch.to_pyarrow") from None
        return pa.record_batch(self)

    def to_pylist(self) -> list[dict[str, Any]]:
        """The rows as dicts of Python values."""
        columns = {name: _columns._pylist(self[name]) for name in self.column_names}
        return [{name: column[row] for name, column in columns.items()} for row in range(self.num_rows)]

    def _pyarrow_column(self, name: str) -> Any:
        batch = self.to_pyarrow()
        names = batch.schema.names
        if name in names:
            return batch.column(names.index(name))
        # A path into structs.
        first = next(first for first in names if name.startswith(first + "/"))
        import pyarrow.compute as pc

        return pc.struct_field(batch.column(first), name[len(first) + 1 :].split("/"))

    def __arrow_c_schema__(self) -> object:
        return self._batch.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._batch.__arrow_c_array__(requested_schema)

    def __repr__(self) -> str:
        return f"tfarrow.Batch({self.num_rows} rows: {', '.join(self.column_names)})"
