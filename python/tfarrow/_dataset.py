"""Datasets: opened by name, narrowed, and handed to whatever reads Arrow or arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfarrow import _tfarrow
from tfarrow._batch import Batch
from tfarrow._errors import Error, missing
from tfarrow._schema import Schema

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import pyarrow.dataset
    import tensorflow as tf
    import torch.utils.data

    from tfarrow._write import Summary

_Path = str | os.PathLike[str]

# What says which rows are read, rather than how.
_SELECTING = ("skip", "shard", "take")


class Partition:
    """A part of a dataset that can be read on its own: mostly a file."""

    __slots__ = ("bytes", "name", "rows")

    def __init__(self, name: str, bytes: int | None, rows: int | None) -> None:
        self.name = name
        """What to call it."""
        self.bytes = bytes
        """Its size in bytes of input, where known."""
        self.rows = rows
        """Its number of rows, where known without reading it."""

    def __repr__(self) -> str:
        return f"Partition({self.name!r}, bytes={self.bytes}, rows={self.rows})"


class Dataset:
    """A dataset, as `tfarrow.open` and `tfarrow.from_dataset` give it: lazy, immutable, iterable again
    and again. Nothing is opened before something is asked of it.

    Iterating gives `Batch`es. Any Arrow library takes a dataset as a stream of batches
    (`__arrow_c_stream__`): `pyarrow.table(ds)`, `polars.DataFrame(ds)`, `duckdb.sql("from ds")`.
    """

    def __init__(self, inputs: Any, options: Mapping[str, Any]) -> None:
        given = dict(options)
        self._inputs = inputs
        # Rows are an arithmetic progression: the first one, the distance, and how many at most.
        self._start = 0
        self._step = 1
        self._rows: int | None = None
        self._columns: list[str] | None = None
        skip, shard, take = (given.pop(key, None) for key in _SELECTING)
        self._options = given
        self._opened: _tfarrow.Source | None = None
        self._projected: _tfarrow.Source | None = None
        _tfarrow.check_options(given)
        self._narrow(skip, shard, take)

    # What it is.

    @property
    def schema(self) -> Schema:
        """Names and Arrow types of the columns; `pyarrow.schema(ds.schema)` has them all."""
        return Schema(self._source())

    @property
    def element_spec(self) -> dict[str, Any]:
        """The structure of the elements as TensorFlow has it, in JSON's terms: `{"dict": {"x": {"tensor":
        {"dtype": "float32", "shape": [3]}}}}`."""
        found: dict[str, Any] = json.loads(self._source().element_spec)
        return found

    @property
    def kind(self) -> str:
        """What kind of input it is, in a few words."""
        return self._source().kind

    @property
    def partitions(self) -> list[Partition]:
        """Its parts, in the order of their rows."""
        return [Partition(*parts) for parts in self._source().partitions]

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return self._source().column_names

    def count(self) -> int:
        """The number of rows, from metadata or by stepping over records where that is possible.

        No value is decoded, but where rows are slices of elements (`unbatch`, `explode`).
        """
        if self._options.get("unbatch") or self._options.get("explode"):
            return sum(batch.num_rows for batch in self)
        rows = max(0, self._source().count() - self._start)
        rows = -(-rows // self._step)
        return rows if self._rows is None else min(rows, self._rows)

    # What of it is read.

    def select(self, columns: Sequence[str]) -> Dataset:
        """These columns only, in this order. What is left out is not decoded."""
        if isinstance(columns, str):
            raise TypeError("expected a list of column names; write [name]")
        other = self._copy()
        other._columns = list(columns)
        other._projected = None
        return other

    def skip(self, rows: int) -> Dataset:
        """Without the first `rows` rows."""
        other = self._copy()
        other._select_from(_whole(rows, "rows"))
        return other

    def take(self, rows: int) -> Dataset:
        """The first `rows` rows at most."""
        other = self._copy()
        other._select_first(_whole(rows, "rows"))
        return other

    def shard(self, index: int, count: int) -> Dataset:
        """Of every `count` rows the one numbered `index`, from 0."""
        other = self._copy()
        other._select_shard(*_shard((index, count)))
        return other

    def with_options(self, **options: Any) -> Dataset:
        """The same dataset with other options; `None` takes one back."""
        kept = {**self._options, **options}
        skip, shard, take = (kept.pop(key, None) for key in _SELECTING)
        other = self._copy()
        other._options = {key: value for key, value in kept.items() if value is not None}
        _tfarrow.check_options(other._options)
        other._opened = other._projected = None
        other._narrow(skip, shard, take)
        return other

    # What becomes of it.

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._source().read(self._start, self._step, self._rows):
            yield Batch(batch)

    def to_reader(self) -> pa.RecordBatchReader:
        """A `pyarrow.RecordBatchReader`, which reads as it is asked."""
        return _pyarrow("to_reader").RecordBatchReader.from_stream(self)

    def to_pyarrow(self) -> pa.Table:
        """All of it as a `pyarrow.Table`."""
        pyarrow = _pyarrow("to_pyarrow")
        # Our own iteration: errors are ours, and Ctrl-C is heard.
        return pyarrow.Table.from_batches([batch.to_pyarrow() for batch in self], pyarrow.schema(self))

    def to_pandas(self, **arguments: Any) -> pd.DataFrame:
        """All of it as a `pandas.DataFrame`; the arguments are those of `pyarrow.Table.to_pandas`.

        A tensor column becomes a column of arrays, one a row; `to_numpy` gives it as one array.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise missing("pandas", "Dataset.to_pandas") from None
        from tfarrow import _frames

        return _frames.to_pandas(self, arguments)

    def to_polars(self) -> pl.DataFrame:
        """All of it as a `polars.DataFrame`."""
        polars = _polars("to_polars")
        frames = [polars.DataFrame(batch) for batch in self]
        whole: pl.DataFrame = polars.concat(frames, rechunk=False) if frames else polars.DataFrame(self._empty())
        return whole

    def scan_polars(self) -> pl.LazyFrame:
        """A `polars.LazyFrame`: the columns, rows and conditions that a query asks for reach the reader."""
        _polars("scan_polars")
        from tfarrow import _frames

        return _frames.scan_polars(self)

    def to_dataset(self) -> pyarrow.dataset.Dataset:
        """A `pyarrow.dataset.Dataset` for DuckDB and others: the columns that a query asks for are all
        that is decoded."""
        _pyarrow("to_dataset")
        from tfarrow import _arrow_dataset

        return _arrow_dataset.ArrowDataset(self)

    def to_numpy(self, cast: Mapping[str, str] | None = None) -> dict[str, Any]:
        """All of it as a dict of columns; those of one shape as one array each.

        `cast` is that of `tfarrow.open`: `{"float64": "float32"}` or `{"label": "int8"}`. At the
        peak, memory is the result and a few batches.
        """
        from tfarrow import _collect

        return _collect.to_numpy(self if cast is None else self.with_options(cast=cast))

    def to_torch(self, batch_rows: int = 256) -> torch.utils.data.IterableDataset[dict[str, Any]]:
        """A `torch.utils.data.IterableDataset` of dicts of tensors, `batch_rows` rows at a time.

        With the workers of a `DataLoader(..., batch_size=None)` each row comes exactly once.
        """
        from tfarrow import _torch

        return _torch.iterable(self, batch_rows)

    def write(self, output: _Path, *, progress: bool | None = None, **options: Any) -> Summary:
        """Writes a file, or a folder of part files (a name that ends in `/`).

        The format is the name's: `.parquet`, `.arrow`, `.feather`, `.arrows`, `.npy`, `.npz`, `.npyd`,
        `.tfrecord`, `.tfrecord.gz`; or `format="saved"` for `tf.data.Dataset.load`. A file appears when
        it is whole, or not at all. The options are the command's: `compression`, `row_group_rows`,
        `overwrite`, `rows_per_file`, `resume` … A bar shows how far it is when somebody looks on;
        `progress=False` hushes it.
        """
        from tfarrow import _write

        return _write.write(self, output, progress, options)

    def __arrow_c_schema__(self) -> object:
        return self._source().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._source().stream(self._start, self._step, self._rows)

    # The inside.

    def _source(self) -> _tfarrow.Source:
        """The dataset, opened, with the columns that were selected."""
        if self._projected is None:
            opened = self._open()
            self._projected = opened if self._columns is None else opened.project(self._columns)
        return self._projected

    def _open(self) -> _tfarrow.Source:
        if self._opened is None:
            self._opened = _tfarrow.Source(list(self._inputs), self._options)
        return self._opened

    def _known_rows(self) -> int | None:
        """The number of rows, where that is known or cheaply found."""
        if self._options.get("unbatch") or self._options.get("explode") or self._options.get("on_error"):
            return None
        source = self._source()
        # Counting fetches what is elsewhere, undoes what is compressed, and reads a stream to its end.
        if source.cardinality < 0 and (source.is_heavy or not all(os.path.isfile(name) for name, _, _ in source.partitions)):
            return None
        return self.count()

    def _empty(self) -> Batch:
        """A batch of no rows."""
        return Batch(self._source().empty())

    def _copy(self) -> Dataset:
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def _narrow(self, skip: Any, shard: Any, take: Any) -> None:
        """What the options of these names say."""
        if skip is not None:
            self._select_from(_whole(skip, "skip"))
        if shard is not None:
            self._select_shard(*_shard(shard))
        if take is not None:
            self._select_first(_whole(take, "take"))

    def _select_from(self, rows: int) -> None:
        self._start += self._step * rows
        if self._rows is not None:
            self._rows = max(0, self._rows - rows)

    def _select_shard(self, index: int, count: int) -> None:
        if self._rows is not None:
            self._rows = max(0, -(-(self._rows - index) // count))
        self._start += self._step * index
        self._step *= count

    def _select_first(self, rows: int) -> None:
        self._rows = rows if self._rows is None else min(rows, self._rows)

    def __getstate__(self) -> dict[str, Any]:
        # What is open stays here: another process opens it anew.
        return {**self.__dict__, "_opened": None, "_projected": None}

    def __len__(self) -> int:
        raise TypeError("a dataset has no length; count() reads as far as it must to find it")

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        names = ", ".join(_tfarrow.shown(str(name)) for name in self._inputs)
        return f"tfarrow.Dataset({names})"

    def _repr_html_(self) -> str:
        from tfarrow import _html

        return _html.dataset(self)


class LiveDataset(Dataset):
    """A `tf.data.Dataset` of this process."""

    def __init__(self, dataset: tf.data.Dataset, options: Mapping[str, Any]) -> None:
        super().__init__(dataset, options)

    def _open(self) -> _tfarrow.Source:
        if self._opened is None:
            from tfarrow import _live

            options = dict(self._options)
            dataset = self._inputs.unbatch() if options.pop("unbatch", False) else self._inputs
            elements = _live.Elements(dataset)
            spec = json.dumps(elements.spec)
            self._opened = _tfarrow.Source.from_elements(spec, elements, options)
        return self._opened

    def _known_rows(self) -> int | None:
        return None if self._open().cardinality < 0 and self._rows is None else self.count()

    def count(self) -> int:
        cardinality = self._open().cardinality
        if cardinality == -1:
            if self._rows is None:
                raise Error("the dataset has no end", kind="config", hint="count what ds.take(n) gives")
            return self._rows
        if cardinality == -2:
            # Rows are counted with as little of them as can be.
            return sum(batch.num_rows for batch in self.select(self.column_names[:1]))
        rows = -(-max(0, cardinality - self._start) // self._step)
        return rows if self._rows is None else min(rows, self._rows)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError(
            "a tf.data pipeline belongs to its process and cannot be pickled; "
            "store it with dataset.save(path) and open that"
        )

    def __repr__(self) -> str:
        return f"tfarrow.Dataset({self._inputs!r})"


def open(source: Any, **options: Any) -> Dataset:
    """Opens a dataset.

    `source` is a path, a quoted glob (`"train-*.tfrecord"`), a folder (TFDS, `Dataset.save`, shards
    of one kind), a URL (`s3://`, `gs://`, `az://`, `https://`), or a list of these, read one after the
    other. Nothing is opened before something is asked of the dataset.

    The options are those of the command, by the same names with underscores:

    """
    if isinstance(source, (str, os.PathLike)):
        inputs = [source]
    elif isinstance(source, (bytes, bytearray, memoryview)):
        raise TypeError("expected a path, not the bytes of a file")
    else:
        inputs = list(source)
    return Dataset([name if isinstance(name, str) else os.fspath(name) for name in inputs], options)


def from_dataset(dataset: tf.data.Dataset, **options: Any) -> Dataset:
    """Reads a `tf.data.Dataset` of this process: any pipeline that Python can iterate, `py_function`
    and generators too.

    Elements are batched in the graph; dense numbers become Arrow columns without a copy. Columns and
    schema are those of the same dataset through `Dataset.save`. The options are those of
    `tfarrow.open` that are for datasets whose structure is known. A dataset without an end needs
    `.take(n)`.
    """
    return LiveDataset(dataset, options)


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected a whole number, found {value!r}")
    number = int(value.__index__())
    if number < 0:
        raise ValueError(f"{name}: expected a number from 0 on, found {number}")
    return number


def _shard(shard: Any) -> tuple[int, int]:
    if isinstance(shard, str):
        parts = shard.split("/")
        shard = [int(part) if part.isdecimal() else part for part in parts]
    if not isinstance(shard, Sequence) or len(shard) != 2:
        raise TypeError(f"shard: expected (index, count), found {shard!r}")
    index, count = _whole(shard[0], "index"), _whole(shard[1], "count")
    if index >= count:
        raise ValueError(f"shard: expected an index below {count}, found {index}")
    return index, count


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise missing("pyarrow", f"Dataset.{what}") from None
    return pyarrow


def _polars(what: str) -> Any:
    try:
        import polars
    except ImportError:
        raise missing("polars", f"Dataset.{what}") from None
    return polars


_FORMS = """    {key}: {help}."""


def _document() -> None:
    """Adds the options to what `help(tfarrow.open)` says."""
    lines = []
    for key, text, default in _tfarrow.option_table():
        shown = f" Default: {default}." if default else ""
        lines.append(f"    - `{key}`: {text}.{shown}")
    open.__doc__ = (open.__doc__ or "") + "\n".join(lines) + "\n"


_document()
