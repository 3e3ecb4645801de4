"""pandas and polars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from tfarrow._dataset import Dataset


def to_pandas(dataset: Dataset, arguments: Mapping[str, Any]) -> pd.DataFrame:
    """All of a dataset; tensors of rank 2 and more keep their shape, a view a row."""
    import numpy as np
    import pyarrow as pa

    table = dataset.to_pyarrow()
    frame = table.to_pandas(**arguments)
    if "types_mapper" in arguments:
        return frame
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if isinstance(column.type, pa.FixedShapeTensorType) and column.type.shape != [] and not column.null_count:
            rows = np.empty(len(column), dtype=object)
            at = 0
            for chunk in column.chunks:
                try:
                    tensors = chunk.to_numpy_ndarray()
                except pa.ArrowException:  # bools: pyarrow has no view of bits
                    shape = (len(chunk), *column.type.shape)
                    tensors = np.asarray(chunk.storage.flatten()).reshape(shape)
                for tensor in tensors:
                    rows[at] = tensor
                    at += 1
            frame[name] = rows
    return frame


def scan_polars(dataset: Dataset) -> pl.LazyFrame:
    """A lazy frame whose columns, rows and conditions reach the reader."""
    import polars as pl
    from polars.io.plugins import register_io_source

    schema = pl.DataFrame(dataset.take(0)).schema

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch_rows: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = dataset
        if columns is not None:
            wanted = wanted.select(columns)
        if batch_rows is not None:
            wanted = wanted.with_options(batch_rows=batch_rows)
        if rows is not None and predicate is None:
            wanted = wanted.take(rows)
        left = rows
        for batch in wanted:
            frame = pl.DataFrame(batch)
            if predicate is not None:
                frame = frame.filter(predicate)
                if left is not None:
                    frame = frame.head(left)
                    left -= frame.height
            yield frame
            if left == 0 and predicate is not None:
                return

    return register_io_source(read, schema=schema, validate_schema=True, is_pure=True)
