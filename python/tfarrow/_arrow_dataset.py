"""A `pyarrow.dataset.Dataset`, for engines that push columns and filters into one: DuckDB, and others.

pyarrow's class is one of C++; a subclass of it that is made in Python has nothing inside. Every
method that would reach there is overridden or refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

if TYPE_CHECKING:
    from tfarrow._dataset import Dataset


class ArrowDataset(pads.Dataset):  # type: ignore[misc,unused-ignore]
    """What `Dataset.to_dataset` gives."""

    _dataset: Dataset
    _schema: pa.Schema

    def __init__(self, dataset: Dataset) -> None:
        # pyarrow's own constructor refuses to be called.
        self._dataset = dataset
        self._schema = dataset.schema.to_pyarrow()
        self._filter: pc.Expression | None = None

    @property
    def schema(self) -> pa.Schema:
        """The schema."""
        return self._schema

    @property
    def partition_expression(self) -> pc.Expression:
        """Nothing is known of all rows."""
        return pc.scalar(True)

    def scanner(
        self,
        columns: list[str] | dict[str, pc.Expression] | None = None,
        filter: pc.Expression | None = None,
        batch_size: int | None = None,
        **arguments: Any,
    ) -> pads.Scanner:
        """A scan of some columns; only these, and those of the filter, are decoded."""
        # What concerns fragments, which there are none of.
        for name in ("batch_readahead", "fragment_readahead", "fragment_scan_options", "cache_metadata"):
            arguments.pop(name, None)
        dataset = self._dataset
        if self._filter is not None:
            filter = self._filter if filter is None else self._filter & filter
        wanted = self._wanted(columns, filter)
        if wanted is not None:
            dataset = dataset.select(wanted)
        if batch_size is not None:
            dataset = dataset.with_options(batch_rows=batch_size)
        return pads.Scanner.from_batches(dataset.to_reader(), columns=columns, filter=filter, **arguments)

    def _wanted(self, columns: Any, filter: pc.Expression | None) -> list[str] | None:
        """The columns to decode; all where an expression does not say which it reads."""
        if columns is None or isinstance(columns, dict):
            return None
        names = self._schema.names
        wanted = [name for name in names if name in set(columns)]
        if filter is not None:
            # An expression tells its fields by its text alone.
            text = str(filter)
            wanted += [name for name in names if name not in wanted and name in text]
        return wanted

    def to_table(self, **arguments: Any) -> pa.Table:
        """The rows as a table."""
        return self.scanner(**arguments).to_table()

    def to_batches(self, **arguments: Any) -> Iterator[pa.RecordBatch]:
        """The rows as batches."""
        yield from self.scanner(**arguments).to_batches()

    def head(self, num_rows: int, **arguments: Any) -> pa.Table:
        """The first rows."""
        return self.scanner(**arguments).head(num_rows)

    def take(self, indices: Any, **arguments: Any) -> pa.Table:
        """Some rows, by number: all rows are read for it."""
        return self.to_table(**arguments).take(indices)

    def count_rows(self, filter: pc.Expression | None = None, **arguments: Any) -> int:
        """The number of rows."""
        if filter is None and self._filter is None:
            return self._dataset.count()
        return int(self.scanner(columns=[], filter=filter, **arguments).count_rows())

    def filter(self, expression: pc.Expression) -> ArrowDataset:
        """The rows for which an expression is true."""
        other = ArrowDataset(self._dataset)
        other._filter = expression if self._filter is None else self._filter & expression
        return other

    def sort_by(self, sorting: str | Sequence[tuple[str, str]], **arguments: Any) -> pads.InMemoryDataset:
        """All rows, in order, in memory."""
        return pads.InMemoryDataset(self.to_table(**arguments).sort_by(sorting))

    def join(self, right_dataset: Any, keys: Any, *arguments: Any, **named: Any) -> pads.InMemoryDataset:
        """A join, in memory."""
        right = right_dataset.to_table() if isinstance(right_dataset, pads.Dataset) else right_dataset
        return pads.InMemoryDataset(self.to_table().join(right, keys, *arguments, **named))

    def join_asof(self, right_dataset: Any, *arguments: Any, **named: Any) -> pads.InMemoryDataset:
        """A join by nearest key, in memory."""
        right = right_dataset.to_table() if isinstance(right_dataset, pads.Dataset) else right_dataset
        return pads.InMemoryDataset(self.to_table().join_asof(right, *arguments, **named))

    def get_fragments(self, filter: pc.Expression | None = None) -> Iterator[pads.Fragment]:
        """Refused: a dataset of tfarrow has no files that pyarrow reads."""
        raise NotImplementedError("a dataset of tfarrow has no fragments; use to_batches()")

    def _get_fragments(self, filter: pc.Expression | None = None) -> Iterator[pads.Fragment]:
        return self.get_fragments(filter)

    def _scanner_options(self, options: Any) -> Any:
        raise NotImplementedError("use scanner()")

    def _scanner(self, **arguments: Any) -> pads.Scanner:
        return self.scanner(**arguments)

    def replace_schema(self, schema: pa.Schema) -> pads.Dataset:
        """Refused: columns are chosen with `Dataset.select` and cast with `cast`."""
        raise NotImplementedError("a dataset of tfarrow keeps its schema; use select() and with_options(cast=…)")

    def __reduce__(self) -> tuple[type[ArrowDataset], tuple[Dataset]]:
        return ArrowDataset, (self._dataset,)

    def __repr__(self) -> str:
        return f"ArrowDataset({self._dataset!r})"
