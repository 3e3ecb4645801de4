"""Whole columns as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfarrow._columns import Ragged, Sparse, Strings, Struct, Values, VariableShape, numpy

if TYPE_CHECKING:
    from tfarrow._dataset import Dataset

# Room beyond an estimate, and beyond what is there where there is none.
_MARGIN = 1.125
_GROWTH = 1.5


def to_numpy(dataset: Dataset) -> dict[str, Any]:
    """The columns of a dataset, each in one piece."""
    names = dataset.column_names
    progress = _Progress(dataset._known_rows())
    columns = {name: _Column(progress) for name in names}
    for batch in dataset:
        progress.rows += batch.num_rows
        for name, column in columns.items():
            column.add(batch[name])
    if not progress.rows:
        # No batch told what the columns are.
        empty = dataset._empty()
        for name, column in columns.items():
            column.add(empty[name])
    return {name: column.whole() for name, column in columns.items()}


class _Progress:
    """How many rows there are so far, and of how many, if that is known."""

    def __init__(self, expected: int | None) -> None:
        self.expected = expected
        self.rows = 0

    def room(self, end: int) -> int:
        """For how many values to make room where the rows so far have `end`."""
        if not self.expected or not self.rows or self.rows > self.expected:
            return int(end * _GROWTH)
        if end == self.rows:
            return self.expected
        # The rows to come are taken to be like those so far.
        return int(end * max(self.expected / self.rows, 1) * _MARGIN)


class _Array:
    """An array that grows at its end: each value is copied once where room was made for it."""

    def __init__(self, progress: _Progress) -> None:
        self.progress = progress
        self.array: Any = None
        self.end = 0

    def add(self, data: Any) -> None:
        """Adds what is in `data`."""
        begin, self.end = self.end, self.end + len(data)
        if self.array is None or self.end > len(self.array):
            self._grow(data)
        self.array[begin : self.end] = data

    def _grow(self, data: Any) -> None:
        np = numpy()
        kept = None if self.array is None else self.array[: self.end - len(data)]
        rest, dtype = data.shape[1:], data.dtype
        try:
            # Memory that nothing is written to is not taken.
            self.array = np.empty((self.progress.room(self.end), *rest), dtype)
        except MemoryError:
            self.array = np.empty((self.end, *rest), dtype)
        if kept is not None:
            self.array[: len(kept)] = kept

    def whole(self) -> Any:
        """The array."""
        return self.array[: self.end]


class _Mask:
    """Which values are null, as long as some are."""

    def __init__(self, progress: _Progress) -> None:
        self.array = _Array(progress)
        self.absent = 0
        self.is_needed = False

    def add(self, mask: Any, rows: int) -> None:
        """Adds the mask of `rows`, or None if none of them is null."""
        np = numpy()
        if mask is None and not self.is_needed:
            self.absent += rows
            return
        if not self.is_needed:
            self.is_needed = True
            self.array.add(np.zeros((self.absent, *mask.shape[1:]), np.bool_))
        self.array.add(np.zeros((rows, *self.array.array.shape[1:]), np.bool_) if mask is None else mask)

    def whole(self) -> Any:
        """The mask, or None if no value is null."""
        return self.array.whole() if self.is_needed else None


class _Column:
    """A column as it is put together. If it is one piece, that is not copied, but for an array."""

    def __init__(self, progress: _Progress) -> None:
        self.progress = progress
        self.first: Any = None
        self.parts: Any = None

    def add(self, piece: Any) -> None:
        """Adds the column of a batch."""
        if self.parts is None:
            if self.first is None and not isinstance(piece, numpy().ndarray):
                self.first = piece
                return
            self.parts = _parts(piece, self.progress)
            if self.first is not None:
                self.parts.add(self.first)
                self.first = None
        self.parts.add(piece)

    def whole(self) -> Any:
        """The column."""
        return self.first if self.parts is None else self.parts.whole()


class _Numbers:
    """Arrays, masked or not."""

    def __init__(self, _: Any, progress: _Progress) -> None:
        self.data, self.mask = _Array(progress), _Mask(progress)

    def add(self, piece: Any) -> None:
        masked = isinstance(piece, numpy().ma.MaskedArray)
        self.data.add(piece.data if masked else piece)
        self.mask.add(numpy().ma.getmaskarray(piece) if masked else None, len(piece))

    def whole(self) -> Any:
        mask = self.mask.whole()
        return self.data.whole() if mask is None else numpy().ma.MaskedArray(self.data.whole(), mask=mask)


class _Splits:
    """Positions, in 64 bits: there may be more values than 32 can count."""

    def __init__(self, progress: _Progress) -> None:
        self.array = _Array(progress)
        self.array.add(numpy().zeros(1, dtype=numpy().int64))
        self.last = 0

    def add(self, splits: Any) -> None:
        self.array.add(splits[1:].astype(numpy().int64) + (self.last - int(splits[0])))
        self.last += int(splits[-1]) - int(splits[0])

    def whole(self) -> Any:
        return self.array.whole()


class _Strings:
    def __init__(self, first: Strings, progress: _Progress) -> None:
        self.is_text, self.inner, self.rows = first.is_text, first.shape[1:], 0
        self.offsets, self.data, self.mask = _Splits(progress), _Array(progress), _Mask(progress)

    def add(self, piece: Strings) -> None:
        offsets, data = piece._own()
        self.offsets.add(offsets)
        self.data.add(numpy().frombuffer(data, dtype=numpy().uint8))
        self.mask.add(piece._value_mask(), len(offsets) - 1)
        self.rows += len(piece)

    def whole(self) -> Strings:
        data, shape = memoryview(self.data.whole()), (self.rows, *self.inner)
        return Strings(self.offsets.whole(), data, self.is_text, shape, self.mask.whole())


class _Ragged:
    def __init__(self, first: Any, progress: _Progress) -> None:
        self.values, self.splits, self.mask = _Column(progress), _Splits(progress), _Mask(progress)

    def add(self, piece: Ragged | VariableShape) -> None:
        self.values.add(piece.values)
        self.splits.add(piece.row_splits)
        self.mask.add(piece.mask, len(piece))

    def whole(self) -> Any:
        return Ragged(self.values.whole(), self.splits.whole(), self.mask.whole())


class _VariableShape(_Ragged):
    def __init__(self, first: VariableShape, progress: _Progress) -> None:
        super().__init__(first, progress)
        self.shapes, self.permutation = _Column(progress), first._permutation

    def add(self, piece: Any) -> None:
        super().add(piece)
        self.shapes.add(piece.shapes)

    def whole(self) -> VariableShape:
        values, splits, shapes = self.values.whole(), self.splits.whole(), self.shapes.whole()
        return VariableShape(values, splits, shapes, self.mask.whole(), self.permutation)


class _Sparse:
    def __init__(self, _: Sparse, progress: _Progress) -> None:
        self.indices, self.values, self.dense_shape = (_Column(progress) for _ in range(3))

    def add(self, piece: Sparse) -> None:
        self.indices.add(piece.indices)
        self.values.add(piece.values)
        self.dense_shape.add(piece.dense_shape)

    def whole(self) -> Sparse:
        return Sparse(self.indices.whole(), self.values.whole(), self.dense_shape.whole())


class _Struct:
    def __init__(self, first: Struct, progress: _Progress) -> None:
        self.members = {name: _Column(progress) for name in first}
        self.rows, self.mask = 0, _Mask(progress)

    def add(self, piece: Struct) -> None:
        for name, member in self.members.items():
            member.add(dict.__getitem__(piece, name))
        self.rows += piece.rows
        self.mask.add(piece.mask, piece.rows)

    def whole(self) -> Struct:
        members = {name: member.whole() for name, member in self.members.items()}
        return Struct(members, self.rows, self.mask.whole())


class _Values:
    def __init__(self, _: Values, __: _Progress) -> None:
        self.pieces: list[Any] = []

    def add(self, piece: Values) -> None:
        self.pieces.append(piece.to_pyarrow())

    def whole(self) -> Values:
        import pyarrow as pa

        return Values(pa.chunked_array(self.pieces))


_PARTS = {
    Strings: _Strings,
    Ragged: _Ragged,
    VariableShape: _VariableShape,
    Sparse: _Sparse,
    Struct: _Struct,
    Values: _Values,
}


def _parts(piece: Any, progress: _Progress) -> Any:
    """What puts together pieces like `piece`."""
    return _PARTS.get(type(piece), _Numbers)(piece, progress)
