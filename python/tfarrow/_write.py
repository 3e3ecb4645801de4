"""Files out of datasets and of Arrow data, and what is found when everything is read."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfarrow import _stores, _tfarrow
from tfarrow._dataset import Dataset, open
from tfarrow._errors import make

if TYPE_CHECKING:
    from tfarrow._dataset import _Path


class Summary:
    """What a conversion did."""

    __slots__ = ("bytes_written", "kept", "nulled", "parts", "rows", "seconds", "skipped")

    def __init__(
        self,
        rows: int,
        bytes_written: int,
        parts: int | None = None,
        kept: int = 0,
        seconds: float = 0.0,
        skipped: int = 0,
        nulled: int = 0,
    ) -> None:
        self.rows = rows
        """Rows written."""
        self.bytes_written = bytes_written
        """Bytes written."""
        self.parts = parts
        """Part files, where the output is a folder of them."""
        self.kept = kept
        """Part files that an earlier run had made."""
        self.seconds = seconds
        """How long it took."""
        self.skipped = skipped
        """Records that could not be read and were left out (`on_error="skip"`)."""
        self.nulled = nulled
        """Records that could not be read, or did not fit, and are null (`on_error="null"`)."""

    def __repr__(self) -> str:
        parts = "" if self.parts is None else f", parts={self.parts}"
        lost = f", skipped={self.skipped}, nulled={self.nulled}" if self.skipped or self.nulled else ""
        return f"Summary(rows={self.rows}, bytes_written={self.bytes_written}{parts}{lost})"


def write(dataset: Dataset, output: _Path | None, progress: bool | None, options: dict[str, Any]) -> Summary:
    """Writes a dataset; with no output, reads and converts everything."""
    # What reaches the input may reach the output, too.
    store = {**_stores.taken(output, _stores.pairs(dataset._options.get("store"))), **_stores.pairs(options.get("store"))}
    options = {**options, "store": store or None}
    bar = _Bar() if (_shown() if progress is None else progress) else None
    source = dataset._source()
    try:
        done = source.write(output, options, dataset._start, dataset._step, dataset._rows, bar)
    finally:
        if bar is not None:
            bar.finish()
    return Summary(*done)


def convert(source: Any, output: _Path, *, progress: bool | None = None, **options: Any) -> Summary:
    """Converts `source` to `output`: the command's `convert`.

    `source` is what `tfarrow.open` takes, a dataset, or any Arrow data (a pyarrow table or reader, a
    polars or pandas frame), which is read as a table: its columns can be selected, renamed and cast.
    The options are those of `tfarrow.open` and of `Dataset.write`.
    """
    if not isinstance(source, Dataset) and hasattr(source, "__arrow_c_stream__"):
        return Summary(*_tfarrow.write_stream(source, output, options))
    writing = {key: options.pop(key) for key in list(options) if key in _WRITING}
    if "store" in options:
        store = _stores.pairs(options["store"])
        options["store"] = _stores.left(_names(source), [output], store) or None
        writing["store"] = _stores.taken(output, store)
    dataset = source.with_options(**options) if isinstance(source, Dataset) else open(source, **options)
    return write(dataset, output, progress, writing)


def write_tfrecord(data: Any, output: _Path, **options: Any) -> Summary:
    """Writes any Arrow data as a TFRecord file of `tf.train.Example`.

    `data` is whatever has `__arrow_c_stream__`: a pyarrow table or reader, a polars or pandas frame, a
    dataset. Beside the file stands `NAME.features.json`, which says what each feature holds. The
    options are `compression`, `encoding`, `shards` and `overwrite`, and those of reading a table: `columns`,
    `exclude`, `rename`, `cast={"float64": "float32"}`.
    """
    return Summary(*_tfarrow.write_stream(data, output, {"format": "tfrecord", **_by_name(output, options)}))


def _by_name(output: _Path, options: dict[str, Any]) -> dict[str, Any]:
    if os.fspath(output).endswith(".gz") and "compression" not in options:
        return {"compression": "gzip", **options}
    return options


def verify(source: _Path | Sequence[_Path], *, listed: int = 100, **options: Any) -> dict[str, Any]:
    """Reads everything, checks every checksum, and says what is damaged: the command's `verify --json`.

    Of each partition the first `listed` damaged places are given, each with record, byte and column.
    """
    inputs = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    found: dict[str, Any] = json.loads(_tfarrow.verify(inputs, options, listed))
    return found


def report(
    source: Any,
    output: _Path | None = None,
    *,
    compare: Any = None,
    title: str | None = None,
    rows: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Looks into a dataset: the command's `report`.

    Writes one page that loads nothing to `output`, if that is given, and returns the numbers on it as
    `report --json` does. `source` is what `tfarrow.open` takes, or a dataset; `compare` another one to
    stand beside it; `rows` how many are looked at, all by default. Records that cannot be read are
    passed over and listed. The page appears when it is whole; one that exists stays unless
    `overwrite` is set.
    """
    store = _stores.pairs(options.pop("store", None))
    if output is not None and not overwrite and os.path.lexists(output):
        raise make("already_exists", f"output exists already ({os.fspath(output)})", os.fspath(output), None, None,
                   None, None, "pass overwrite=True to replace it")  # fmt: skip

    named = [*_names(source), *_names(compare), output]

    def part(of: Any) -> Dataset:
        if store:
            options["store"] = _stores.left(_names(of), named, store) or None
        dataset = of.with_options(**options) if isinstance(of, Dataset) else open(of, **options)
        return dataset if rows is None else dataset.take(rows)

    first = part(source)
    other = None
    if compare is not None:
        second = part(compare)
        other = (_name(compare), second._source(), second._start, second._step, second._rows)
    bar = _Bar() if (_shown() if progress is None else progress) else None
    try:
        page, numbers = first._source().report(
            _name(source) if title is None else title, first._start, first._step, first._rows, other, bar
        )
    finally:
        if bar is not None:
            bar.finish()
    if output is not None:
        _tfarrow.write_text(output, page, {"overwrite": overwrite, "store": _stores.taken(output, store) or None})
    found: dict[str, Any] = json.loads(numbers)
    return found


def _names(source: Any) -> list[Any]:
    """The names of what is read; none where it has none."""
    inputs = source._inputs if isinstance(source, Dataset) else source
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    return list(inputs) if isinstance(inputs, (list, tuple)) else []


def _name(source: Any) -> str:
    """What to call a dataset on a page: the last part of its path."""
    inputs = _names(source)
    if not inputs:
        return "dataset"
    more = "" if len(inputs) == 1 else f" and {len(inputs) - 1} more"
    return os.path.basename(_tfarrow.shown(os.fspath(inputs[0])).rstrip("/")) + more


_WRITING = frozenset(_tfarrow.writing_options())


def _shown() -> bool:
    """Whether there is somebody to look at a bar."""
    if "ipykernel" in sys.modules:
        return True
    return sys.stderr is not None and sys.stderr.isatty()


class _Bar:
    """A line on standard error that says how far it is; nothing in the first half second."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self.started = time.monotonic()
        self.shown = False
        self.write = write or sys.stderr.write

    def __call__(self, bytes_read: int, total: int | None, rows: int) -> None:
        elapsed = time.monotonic() - self.started
        if elapsed < 0.5:
            return
        self.shown = True
        rate = bytes_read / elapsed / 1e6
        text = f"{rows:,} rows, {bytes_read / 1e6:,.0f} MB at {rate:,.0f} MB/s"
        if total:
            share = min(1.0, bytes_read / total)
            full = int(share * 24)
            left = (total - bytes_read) / max(bytes_read / elapsed, 1)
            text = f"[{'#' * full}{'.' * (24 - full)}] {share:4.0%} {text}, {max(0, left):.0f} s left"
        self.write(f"\r{text:<79}")
        sys.stderr.flush()

    def finish(self) -> None:
        """Clears the line."""
        if self.shown:
            self.write("\r" + " " * 79 + "\r")
            sys.stderr.flush()
