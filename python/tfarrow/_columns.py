"""Columns of a batch as NumPy arrays: views of Arrow's own memory, read-only, wherever that can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfarrow._errors import missing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tfarrow._tfarrow import Described


def numpy() -> Any:
    """The package numpy."""
    try:
        import numpy
    except ImportError:
        raise missing("numpy", "a column as an array") from None
    return numpy


class Ragged:
    """Lists of different lengths, one a row: `values[row_splits[i]:row_splits[i + 1]]` is row `i`.

    As in `tf.RaggedTensor`, the values of a ragged column of more dimensions are `Ragged` themselves.
    Nothing is copied.
    """

    __slots__ = ("mask", "row_splits", "values")

    def __init__(
        self, values: Any, row_splits: npt.NDArray[np.int32], mask: npt.NDArray[np.bool_] | None = None
    ) -> None:
        self.values = values
        """What the lists hold, one after the other: an array, or what a column can be."""
        self.row_splits = row_splits
        """`rows + 1` positions in `values`; the first one is 0."""
        self.mask = mask
        """Which rows are null, or None if no row is."""

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            first, last, mask = _stretch(row, self)
            splits = self.row_splits[first : last + 1]
            return Ragged(self.values[int(splits[0]) : int(splits[-1])], splits - splits[0], mask)
        row = _row(row, len(self))
        if self.mask is not None and self.mask[row]:
            return None
        return self.values[int(self.row_splits[row]) : int(self.row_splits[row + 1])]

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def to_pylist(self) -> list[Any]:
        """The rows as nested lists of Python values."""
        return [None if row is None else _pylist(row) for row in self]

    def __repr__(self) -> str:
        return f"Ragged({len(self)} rows, values={_brief(self.values)})"


class Sparse:
    """Sparse tensors, one a row, in the coordinate form of `tf.sparse.SparseTensor`."""

    __slots__ = ("dense_shape", "indices", "values")

    def __init__(self, indices: Ragged, values: Ragged, dense_shape: Any) -> None:
        self.indices = indices
        """For each row an array of shape (values, rank)."""
        self.values = values
        """For each row an array of shape (values,)."""
        self.dense_shape = dense_shape
        """An array of shape (rows, rank)."""

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return Sparse(self.indices[row], self.values[row], self.dense_shape[row])
        row = _row(row, len(self))
        indices = self.indices[row]
        if indices is None:
            return None
        return indices, self.values[row], self.dense_shape[row]

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def to_dense(self, row: int) -> Any:
        """Row `row` as an array of its dense shape; zeros (or empty bytes) elsewhere. Copies."""
        parts = self[row]
        if parts is None:
            return None
        indices, values, shape = parts
        np = numpy()
        dense = np.zeros([int(n) for n in shape], dtype=getattr(values, "dtype", object))
        if dense.dtype == object:
            dense[...] = b""
            values = values.to_pylist()
        dense[tuple(np.asarray(indices).T)] = values
        return dense

    def to_pylist(self) -> list[Any]:
        """The rows as dicts of `indices`, `values` and `dense_shape`."""
        names = ("indices", "values", "dense_shape")
        return [None if row is None else dict(zip(names, map(_pylist, row), strict=True)) for row in self]

    def __repr__(self) -> str:
        return f"Sparse({len(self)} rows, values={_brief(self.values.values)})"


class VariableShape:
    """Tensors of one rank whose shapes vary, one a row: row `i` is a view of its shape."""

    __slots__ = ("_permutation", "mask", "row_splits", "shapes", "values")

    def __init__(
        self, values: Any, row_splits: Any, shapes: Any, mask: Any, permutation: Sequence[int] | None
    ) -> None:
        self.values = values
        """The values of all rows, flat, row-major."""
        self.row_splits = row_splits
        """`rows + 1` positions in `values`."""
        self.shapes = shapes
        """An array of shape (rows, rank)."""
        self.mask = mask
        """Which rows are null, or None if no row is."""
        self._permutation = permutation

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            first, last, mask = _stretch(row, self)
            splits = self.row_splits[first : last + 1]
            values = self.values[int(splits[0]) : int(splits[-1])]
            return VariableShape(values, splits - splits[0], self.shapes[first:last], mask, self._permutation)
        row = _row(row, len(self))
        if self.mask is not None and self.mask[row]:
            return None
        values = self.values[int(self.row_splits[row]) : int(self.row_splits[row + 1])]
        shape = tuple(int(n) for n in self.shapes[row])
        if isinstance(values, Strings):
            return Strings(values._offsets, values._data, values.is_text, shape, values.mask, values._start)
        view = values.reshape(shape)
        return view if self._permutation is None else view.transpose(self._permutation)

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def to_pylist(self) -> list[Any]:
        """The rows as nested lists of Python values."""
        return [None if row is None else _pylist(row) for row in self]

    def __repr__(self) -> str:
        return f"VariableShape({len(self)} rows, values={_brief(self.values)})"


class Strings:
    """Strings (`str`) or bytes (`bytes`), or tensors of them, made when they are asked for.

    A list-like: `len`, indexing, slicing, iteration, `to_pylist()`; `None` where one is null.
    `np.asarray(strings)` is an object array.
    """

    __slots__ = ("_data", "_offsets", "_start", "is_text", "mask", "shape")

    def __init__(
        self, offsets: Any, data: Any, is_text: bool, shape: tuple[int, ...], mask: Any = None, start: int = 0
    ) -> None:
        self._offsets = offsets
        self._data = data
        self._start = start
        self.is_text = is_text
        """Whether values are `str`; else they are `bytes`."""
        self.shape = shape
        """Rows first."""
        self.mask = mask
        """Which values (or rows) are null, or None if none is."""

    def __len__(self) -> int:
        return self.shape[0] if self.shape else 1

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            first, last, step = at.indices(len(self))
            if step != 1:
                return [self[row] for row in range(first, last, step)]
            last = max(first, last)
            inner = _size(self.shape[1:])
            per_row = len(self.mask) // max(len(self), 1) if self.mask is not None and len(self) else 1
            mask = None if self.mask is None else self.mask[first * per_row : last * per_row]
            shape = (last - first, *self.shape[1:])
            return Strings(self._offsets, self._data, self.is_text, shape, mask, self._start + first * inner)
        row = _row(at, len(self))
        if len(self.shape) > 1:
            if self.mask is not None and len(self.mask) == len(self) and self.mask[row]:
                return None
            each = _size(self.shape[1:])
            mask = self.mask
            if mask is not None:
                mask = mask[row * each : (row + 1) * each] if len(mask) != len(self) else None
            return Strings(self._offsets, self._data, self.is_text, self.shape[1:], mask, self._start + row * each)
        if self.mask is not None and self.mask[row]:
            return None
        value = bytes(self._data[int(self._offsets[self._start + row]) : int(self._offsets[self._start + row + 1])])
        return value.decode("utf-8") if self.is_text else value

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def to_pylist(self) -> list[Any]:
        """All values, in nested lists if they are tensors."""
        return [value.to_pylist() if isinstance(value, Strings) else value for value in self]

    def tolist(self) -> list[Any]:
        """As `to_pylist`, by NumPy's name."""
        return self.to_pylist()

    def _own(self) -> tuple[Any, Any]:
        """Offsets from 0 on, and the bytes that they divide."""
        offsets = self._offsets[self._start : self._start + _size(self.shape) + 1]
        return offsets - offsets[0], self._data[int(offsets[0]) : int(offsets[-1])]

    def _value_mask(self) -> Any:
        """The mask, a place for each value."""
        if self.mask is None or len(self.mask) == _size(self.shape):
            return self.mask
        return numpy().repeat(self.mask, _size(self.shape[1:]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        np = numpy()
        if copy is False:
            raise ValueError("strings cannot be an array without a copy")
        out = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            value: Any = self
            for i in index:
                value = value if value is None else value[i]
            out[index] = value
        return out if dtype is None else out.astype(dtype)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return self.to_pylist() == other.to_pylist()
        return self.to_pylist() == other if isinstance(other, list) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(value) for value in self[:3])
        more = f", … {len(self)} values" if len(self) > 3 else ""
        return f"Strings([{shown}{more}])"


class Struct(dict[str, Any]):
    """Structs, one a row: a dict of columns, and which rows are null."""

    __slots__ = ("mask", "rows")

    def __init__(self, members: dict[str, Any], rows: int, mask: Any = None) -> None:
        super().__init__(members)
        self.rows = rows
        self.mask = mask
        """Which rows are null, or None if no row is."""

    def row(self, row: int) -> dict[str, Any] | None:
        """Row `row` as a dict."""
        row = _row(row, self.rows)
        if self.mask is not None and self.mask[row]:
            return None
        return {name: column[row] for name, column in self.items()}

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            first, last, step = at.indices(self.rows)
            mask = None if self.mask is None else self.mask[at]
            members = {name: column[at] for name, column in self.items()}
            return Struct(members, len(range(first, last, step)), mask)
        if isinstance(at, int):
            return self.row(at)
        return super().__getitem__(at)

    def to_pylist(self) -> list[Any]:
        """The rows as dicts of Python values."""
        columns = {name: _pylist(column) for name, column in self.items()}
        nulls = self.mask if self.mask is not None else [False] * self.rows
        return [
            None if nulls[row] else {name: column[row] for name, column in columns.items()}
            for row in range(self.rows)
        ]


class Values:
    """Values that NumPy has no type for (decimals, dates, maps …): a list-like, made by pyarrow."""

    __slots__ = ("_array",)

    def __init__(self, array: Any) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, at: Any) -> Any:
        found = self._array[at]
        return Values(found) if isinstance(at, slice) else found.as_py()

    def __iter__(self) -> Iterator[Any]:
        return (value.as_py() for value in self._array)

    def to_pylist(self) -> list[Any]:
        """All values."""
        return list(self._array.to_pylist())

    def to_pyarrow(self) -> Any:
        """The pyarrow array."""
        return self._array

    def __repr__(self) -> str:
        return f"Values({self._array.type}, {len(self)} rows)"


def column(described: Described, other: Any) -> Any:
    """What a column is in Python; `other()` gives what has no NumPy form."""
    kind, *parts = described
    if kind == "dense":
        return _dense(*parts)
    if kind == "bits":
        return _bits(*parts)
    if kind == "bytes":
        offsets, data, is_text, shape, nulls = parts
        count = _size(shape) + 1
        width = "<i8" if count and len(offsets) >= 8 * count else "<i4"
        return Strings(_flat(offsets, width), memoryview(data), is_text, tuple(shape), _mask(nulls))
    if kind == "ragged":
        row_splits, values, nulls = parts
        return Ragged(column(values, other), _flat(row_splits, "<i4"), _mask(nulls))
    if kind == "variable":
        row_splits, values, shapes, nulls, permutation = parts
        splits = _flat(row_splits, "<i4")
        return VariableShape(column(values, other), splits, column(shapes, other), _mask(nulls), permutation)
    if kind == "sparse":
        return Sparse(*(column(part, other) for part in parts))
    if kind == "struct":
        members, rows, nulls = parts
        return Struct({name: column(member, other) for name, member in members}, rows, _mask(nulls))
    return other()


def _dense(buffer: Any, name: str, shape: list[int], permutation: list[int] | None, nulls: Any) -> Any:
    np = numpy()
    view = np.frombuffer(buffer, dtype=_dtype(name)).reshape(shape)
    if permutation is not None:
        view = view.transpose([0, *(axis + 1 for axis in permutation)])
    return _masked(view, nulls)


def _bits(buffer: Any, offset: int, shape: list[int], nulls: Any) -> Any:
    np = numpy()
    size = _size(shape)
    first = offset // 8
    data = np.frombuffer(buffer, dtype=np.uint8)[first : (offset + size + 7) // 8]
    bits = np.unpackbits(data, bitorder="little")[offset - 8 * first :][:size]
    return _masked(bits.astype(np.bool_).reshape(shape), nulls)


def _masked(view: Any, nulls: Any) -> Any:
    """`view`, or a masked array over it where values are null."""
    if nulls is None:
        return view
    np = numpy()
    mask = np.frombuffer(nulls, dtype=np.bool_)
    if mask.size != view.size:
        mask = np.broadcast_to(mask.reshape(-1, *([1] * (view.ndim - 1))), view.shape)
    return np.ma.MaskedArray(view, mask=mask.reshape(view.shape), copy=False)


def _mask(nulls: Any) -> Any:
    return None if nulls is None else _flat(nulls, "?")


def _flat(buffer: Any, dtype: str) -> Any:
    return numpy().frombuffer(buffer, dtype=dtype)


def _dtype(name: str) -> Any:
    if name == "bfloat16" or name.startswith("float8"):
        try:
            import ml_dtypes
        except ImportError:
            return numpy().dtype("<u2" if name == "bfloat16" else "u1")
        return numpy().dtype(getattr(ml_dtypes, name))
    return numpy().dtype(name)


def _size(shape: Sequence[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _row(row: int, rows: int) -> int:
    at = row + rows if row < 0 else row
    if not 0 <= at < rows:
        raise IndexError(f"no row {row} of {rows}")
    return at


def _stretch(at: slice, column: Ragged | VariableShape) -> tuple[int, int, Any]:
    """The rows of a slice, and the mask of these."""
    first, last, step = at.indices(len(column))
    if step != 1:
        raise IndexError("a slice of rows has no step")
    last = max(first, last)
    return first, last, None if column.mask is None else column.mask[first:last]


def _pylist(values: Any) -> Any:
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _brief(values: Any) -> str:
    if hasattr(values, "dtype"):
        return f"{values.dtype}{list(values.shape)}"
    return repr(values)
