"""Whole columns as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfarrow._columns import Ragged, Sparse, Strings, Struct, Values, VariableShape, numpy

if TYPE_CHECKING:
    from tfarrow._dataset import Dataset


def to_numpy(dataset: Dataset) -> dict[str, Any]:
    """The columns of a dataset, each in one piece."""
    names = dataset.column_names
    rows = dataset._known_rows()
    columns = {name: _Column(rows) for name in names}
    for batch in dataset:
        for name, column in columns.items():
            column.add(batch[name], batch.num_rows)
    if not any(column.rows for column in columns.values()):
        # No batch told what the columns are.
        empty = dataset._empty()
        for name, column in columns.items():
            column.add(empty[name], 0)
    return {name: column.whole() for name, column in columns.items()}


class _Column:
    """A column as it is put together."""

    def __init__(self, rows: int | None) -> None:
        self.expected = rows
        self.rows = 0
        self.array: Any = None
        self.mask: Any = None
        self.pieces: list[Any] = []

    def add(self, piece: Any, rows: int) -> None:
        """Adds the column of a batch."""
        np = numpy()
        if isinstance(piece, np.ndarray):
            self._add_array(np, piece, rows)
        else:
            self.pieces.append(piece)
        self.rows += rows

    def _add_array(self, np: Any, piece: Any, rows: int) -> None:
        end = self.rows + rows
        if self.array is None:
            self.array = np.empty((max(self.expected or 0, end), *piece.shape[1:]), dtype=piece.dtype)
        elif end > len(self.array):
            self.array = _grown(np, self.array, end)
        data = piece
        if isinstance(piece, np.ma.MaskedArray):
            data = piece.data
            if self.mask is None:
                self.mask = np.zeros(self.array.shape, dtype=np.bool_)
        if self.mask is not None:
            if len(self.mask) < len(self.array):
                self.mask = np.concatenate(
                    [self.mask, np.zeros((len(self.array) - len(self.mask), *piece.shape[1:]), np.bool_)]
                )
            self.mask[self.rows : end] = np.ma.getmaskarray(piece)
        self.array[self.rows : end] = data

    def whole(self) -> Any:
        """The column."""
        np = numpy()
        if self.array is not None:
            array = self.array[: self.rows]
            return array if self.mask is None else np.ma.MaskedArray(array, mask=self.mask[: self.rows])
        return joined(self.pieces)


def _grown(np: Any, array: Any, rows: int) -> Any:
    """The same rows, with room for more."""
    larger = np.empty((max(rows, len(array) + len(array) // 2), *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger


def joined(pieces: Sequence[Any]) -> Any:
    """Columns of batches, one after the other."""
    np = numpy()
    first = pieces[0]
    if len(pieces) == 1:
        return first
    if isinstance(first, np.ndarray):
        return (np.ma if any(isinstance(p, np.ma.MaskedArray) for p in pieces) else np).concatenate(pieces)
    if isinstance(first, Strings):
        return _strings(np, pieces)
    if isinstance(first, Ragged):
        values = joined([piece.values for piece in pieces])
        return Ragged(values, _splits(np, pieces), _masks(np, pieces))
    if isinstance(first, VariableShape):
        values = joined([piece.values for piece in pieces])
        shapes = joined([piece.shapes for piece in pieces])
        return VariableShape(values, _splits(np, pieces), shapes, _masks(np, pieces), first._permutation)
    if isinstance(first, Sparse):
        return Sparse(
            joined([piece.indices for piece in pieces]),
            joined([piece.values for piece in pieces]),
            joined([piece.dense_shape for piece in pieces]),
        )
    if isinstance(first, Struct):
        members = {name: joined([dict.__getitem__(piece, name) for piece in pieces]) for name in first}
        return Struct(members, sum(piece.rows for piece in pieces), _masks(np, pieces, "rows"))
    if isinstance(first, Values):
        import pyarrow as pa

        return Values(pa.chunked_array([piece.to_pyarrow() for piece in pieces]))
    raise TypeError(f"columns of {type(first).__name__}")


def _splits(np: Any, pieces: Sequence[Any]) -> Any:
    """Row splits, one after the other, in 64 bits: there may be more values than 32 can count."""
    out = [np.zeros(1, dtype=np.int64)]
    end = 0
    for piece in pieces:
        out.append(piece.row_splits[1:].astype(np.int64) + end)
        end += int(piece.row_splits[-1])
    return np.concatenate(out)


def _masks(np: Any, pieces: Sequence[Any], rows: str | None = None) -> Any:
    if all(piece.mask is None for piece in pieces):
        return None
    lengths = [getattr(piece, rows) if rows else len(piece) for piece in pieces]
    masks = [
        np.zeros(length, np.bool_) if piece.mask is None else piece.mask
        for piece, length in zip(pieces, lengths, strict=True)
    ]
    return np.concatenate(masks)


def _strings(np: Any, pieces: Sequence[Strings]) -> Strings:
    first = pieces[0]
    offsets = [np.zeros(1, dtype=np.int64)]
    data = []
    masks: list[Any] | None = [] if any(piece.mask is not None for piece in pieces) else None
    end = 0
    for piece in pieces:
        own, bytes_ = piece._own()
        offsets.append(own[1:].astype(np.int64) + end)
        end += int(own[-1])
        data.append(np.frombuffer(bytes_, dtype=np.uint8))
        if masks is not None:
            masks.append(np.zeros(len(own) - 1, np.bool_) if piece.mask is None else piece._value_mask())
    shape = (sum(len(piece) for piece in pieces), *first.shape[1:])
    mask = None if masks is None else np.concatenate(masks)
    return Strings(np.concatenate(offsets), memoryview(np.concatenate(data)), first.is_text, shape, mask)
