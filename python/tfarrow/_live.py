"""Datasets of this process: `tf.data` runs here, and its tensors go to Arrow as they lie in memory.

A component whose shape is static is batched in the graph, and its tensor's own memory becomes the
column. Others are taken apart in the graph, each into parts that can be batched: flat values, and
shapes or row splits as whole numbers. Nothing is decided here that the Rust library decides: it is
given the element spec and the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tfarrow._errors import Error, missing
from tfarrow._spec import element_spec_json

if TYPE_CHECKING:
    import tensorflow as tf

# Elements delivered at a time where nobody knows how large they are.
_UNKNOWN_ROWS = 64

# How the values of dtypes without a buffer of their own are read.
_BITS = {
    "bfloat16": "uint16",
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
}
_WIDENED = {"int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}


def tensorflow() -> Any:
    """The package tensorflow."""
    try:
        import tensorflow
    except ImportError:
        raise missing("tensorflow", "tfarrow.from_dataset") from None
    return tensorflow


class Elements:
    """A dataset as the Rust library runs it."""

    def __init__(self, dataset: tf.data.Dataset) -> None:
        tf = tensorflow()
        if not isinstance(dataset, tf.data.Dataset):
            raise TypeError(f"expected a tf.data.Dataset, found {type(dataset).__name__}")
        self.dataset = dataset
        self.spec = element_spec_json(dataset.element_spec)
        self.specs = _components(dataset.element_spec)

    def cardinality(self) -> int:
        """The number of elements; -1 without end, -2 unknown."""
        return int(self.dataset.cardinality())

    def start(
        self,
        skip: int,
        shard: tuple[int, int] | None,
        take: int | None,
        batch_rows: int,
        batch_bytes: int,
        wanted: list[bool],
    ) -> Iterator[tuple[int, list[Any]]]:
        """Delivers elements: their number, and each component's parts."""
        dataset = self.dataset
        if skip:
            dataset = dataset.skip(skip)
        if shard is not None:
            index, count = shard
            dataset = dataset.shard(count, index)
        if take is not None:
            dataset = dataset.take(take)
        return _deliver(dataset, self.specs, batch_rows, batch_bytes, wanted)


def _components(spec: Any) -> list[Any]:
    """The components of an element spec, in TensorFlow's flatten order."""
    if spec is None or type(spec).__name__ == "NoneTensorSpec":
        return []
    if isinstance(spec, dict):
        return [leaf for key in sorted(spec) for leaf in _components(spec[key])]
    if isinstance(spec, (tuple, list)):
        return [leaf for item in spec for leaf in _components(item)]
    return [spec]


def _values(value: Any) -> list[Any]:
    """The components of an element."""
    if value is None or type(value).__name__ == "NoneTensor":
        return []
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in _values(value[key])]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in _values(item)]
    return [value]


def _deliver(
    dataset: Any, specs: list[Any], batch_rows: int, batch_bytes: int, wanted: list[bool]
) -> Iterator[tuple[int, list[Any]]]:
    tf = tensorflow()
    forms = [_form(tf, spec) if want else _Skipped() for spec, want in zip(specs, wanted, strict=True)]
    rows = _rows(forms, batch_rows, batch_bytes)
    plainly: Callable[[Any], Any] = tf.autograph.experimental.do_not_convert
    if any(form.in_python for form in forms):
        return _deliver_one_by_one(tf, dataset, forms, batch_rows, batch_bytes)

    def batched(parts: tuple[Any, ...]) -> tuple[Any, ...]:
        left = list(parts)
        return tuple(flat for form in forms for flat in form.flattened(tf, left))

    if all(form.is_stacked for form in forms):
        # Whole elements are batched: no work for each of them.
        plain = dataset.batch(rows)

        @plainly
        def kept(*element: Any) -> tuple[Any, ...]:
            values = _values(element)
            return batched(tuple(value for value, form in zip(values, forms, strict=True) if form.parts))

    else:

        @plainly
        def apart(*element: Any) -> tuple[Any, ...]:
            values = _values(element)
            return tuple(
                part for value, form in zip(values, forms, strict=True) for part in form.taken_apart(tf, value)
            )

        plain = dataset.map(apart).ragged_batch(rows, row_splits_dtype=tf.int64)

        @plainly
        def kept(*parts: Any) -> tuple[Any, ...]:
            return batched(parts)

    if not any(form.parts for form in forms):
        # Nothing is read but the number of elements.
        counted = dataset.map(lambda *element: tf.constant(True)).batch(rows)
        return ((int(batch.shape[0]), [None] * len(forms)) for batch in counted)
    return _run(plain.map(kept).prefetch(1), forms)


def _run(dataset: Any, forms: list[_Form]) -> Iterator[tuple[int, list[Any]]]:
    for tensors in dataset:
        left = list(tensors)
        count = None
        components = []
        for form in forms:
            rows, component = form.delivered(left)
            count = rows if count is None else count
            components.append(component)
        yield count or 0, components


def _deliver_one_by_one(
    tf: Any, dataset: Any, forms: list[_Form], batch_rows: int, batch_bytes: int
) -> Iterator[tuple[int, list[Any]]]:
    """For elements that hold datasets, which no graph batches."""
    for element in dataset:
        components = []
        for value, form in zip(_values(element), forms, strict=True):
            if isinstance(form, _Dataset):
                components.append(form.of(value, batch_rows, batch_bytes))
                continue
            parts = list(form.taken_apart(tf, value))
            stacked = [_as_batch(tf, part) for part in parts]
            components.append(form.delivered(list(form.flattened(tf, stacked)))[1])
        yield 1, components


def _as_batch(tf: Any, part: Any) -> Any:
    """One part as a batch of one."""
    return tf.expand_dims(part, 0)


def _rows(forms: list[_Form], batch_rows: int, batch_bytes: int) -> int:
    """Elements to deliver at a time: a batch, unless that is large or nobody knows."""
    sizes = [form.row_bytes for form in forms]
    if None in sizes:
        return min(batch_rows, _UNKNOWN_ROWS)
    each = max(1, sum(size for size in sizes if size is not None))
    return max(1, min(batch_rows, batch_bytes // each))


def _form(tf: Any, spec: Any) -> _Form:
    if isinstance(spec, tf.RaggedTensorSpec) and spec.ragged_rank > 0:
        return _Ragged(spec)
    if isinstance(spec, tf.SparseTensorSpec):
        return _Sparse(spec)
    if isinstance(spec, tf.OptionalSpec):
        return _Optional(tf, spec)
    if isinstance(spec, tf.data.DatasetSpec):
        return _Dataset(spec)
    if spec.shape.is_fully_defined():
        return _Stacked(spec)
    return _Variable(spec)


class _Form:
    """How the values of a component are taken apart, batched, and handed over."""

    parts = 0
    """How many tensors a value is taken apart into; each is a vector, or of static shape."""
    is_stacked = False
    in_python = False
    row_bytes: int | None = None

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        """In the graph, a value: its parts."""
        raise NotImplementedError

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        """In the graph, a batch: takes its parts from `left` and gives plain tensors."""
        raise NotImplementedError

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        """Takes the tensors of `flattened` from `left`: the number of rows, and what Rust is given."""
        raise NotImplementedError


class _Skipped(_Form):
    """A component that nobody reads."""

    is_stacked = True
    row_bytes = 0

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        return []

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        return []

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        return None, None


class _Stacked(_Form):
    """Tensors of one shape."""

    parts = 1
    is_stacked = True

    def __init__(self, spec: Any) -> None:
        self.dtype = spec.dtype
        self.shape = [int(n) for n in spec.shape]
        size = 1
        for n in self.shape:
            size *= n
        # Strings: what a short one takes.
        self.row_bytes = size * (32 if self.dtype.name == "string" else max(1, self.dtype.size))

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        return [value]

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        return _plain(tf, left.pop(0))

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        rows, values = _taken(left, self.dtype)
        return rows, ("stacked", self.shape, values)


class _Variable(_Form):
    """Tensors whose shape varies: flat values, and each one's shape."""

    parts = 2

    def __init__(self, spec: Any) -> None:
        self.dtype = spec.dtype
        self.rank = spec.shape.rank

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        return [tf.reshape(value, [-1]), tf.shape(value, out_type=tf.int64)]

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        values, splits = _divided(tf, left.pop(0))
        shapes, shape_splits = _divided(tf, left.pop(0))
        return [splits, *_plain(tf, values), shape_splits, shapes]

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        splits = left.pop(0)
        _, values = _taken(left, self.dtype)
        shape_splits, shapes = left.pop(0), left.pop(0)
        rows = int(splits.shape[0]) - 1
        return rows, ("variable", values, splits, shapes, shape_splits)


class _Ragged(_Form):
    """Ragged tensors: flat values, how many there are, the inner shape, and each level's row splits."""

    def __init__(self, spec: Any) -> None:
        self.dtype = spec.dtype
        self.ragged_rank = spec.ragged_rank
        self.inner = [None if n is None else int(n) for n in spec.shape[spec.ragged_rank + 1 :]]
        self.parts = 2 + spec.ragged_rank
        if None in self.inner:
            # The inner shape is that of each delivery.
            self.in_python = True

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        flat = value.flat_values
        inner = tf.shape(flat, out_type=tf.int64)
        splits = [tf.cast(splits, tf.int64) for splits in value.nested_row_splits]
        return [tf.reshape(flat, [-1]), inner, *splits]

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        values, _ = _divided(tf, left.pop(0))
        tensors = [*_plain(tf, values), *_divided(tf, left.pop(0))]
        for _ in range(self.ragged_rank):
            tensors += _divided(tf, left.pop(0))
        return tensors

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        _, values = _taken(left, self.dtype)
        shapes, shape_splits = left.pop(0), left.pop(0)
        levels = [(left.pop(0), left.pop(0)) for _ in range(self.ragged_rank)]
        rows = int(shape_splits.shape[0]) - 1
        return rows, ("ragged", values, shapes, levels)


class _Sparse(_Form):
    """Sparse tensors: indices, values, and the dense shape."""

    parts = 3

    def __init__(self, spec: Any) -> None:
        self.dtype = spec.dtype

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        return [
            tf.reshape(value.indices, [-1]),
            tf.reshape(value.values, [-1]),
            value.dense_shape,
        ]

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        indices, _ = _divided(tf, left.pop(0))
        values, splits = _divided(tf, left.pop(0))
        shapes, _ = _divided(tf, left.pop(0))
        return [indices, splits, *_plain(tf, values), shapes]

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        indices, splits = left.pop(0), left.pop(0)
        _, values = _taken(left, self.dtype)
        rows = int(splits.shape[0]) - 1
        return rows, ("sparse", indices, values, splits, left.pop(0))


class _Optional(_Form):
    """Values that may be absent: whether they are there, and something in the place of those that are not."""

    def __init__(self, tf: Any, spec: Any) -> None:
        self.spec = spec._element_spec
        self.forms = [_form(tf, leaf) for leaf in _components(self.spec)]
        if any(form.in_python for form in self.forms):
            raise Error(
                "an optional that holds a dataset has no column",
                kind="unsupported",
                hint="map it to tensors first: dataset.map(...)",
            )
        self.parts = 1 + sum(form.parts for form in self.forms)
        sizes = [form.row_bytes for form in self.forms]
        self.row_bytes = None if None in sizes else 1 + sum(size for size in sizes if size is not None)

    def taken_apart(self, tf: Any, value: Any) -> list[Any]:
        present = value.has_value()

        def parts(of: Any) -> list[Any]:
            values = _values(of)
            pairs = zip(values, self.forms, strict=True)
            return [part for value, form in pairs for part in form.taken_apart(tf, value)]

        taken = tf.cond(present, lambda: parts(value.get_value()), lambda: parts(_nothing(tf, self.spec)))
        taken = taken if isinstance(taken, (list, tuple)) else [taken]
        return [present, *taken]

    def flattened(self, tf: Any, left: list[Any]) -> list[Any]:
        return [left.pop(0), *(flat for form in self.forms for flat in form.flattened(tf, left))]

    def delivered(self, left: list[Any]) -> tuple[int | None, Any]:
        present = left.pop(0)
        components = [form.delivered(left)[1] for form in self.forms]
        return int(present.shape[0]), ("optional", memoryview(present), components)


class _Dataset(_Form):
    """Datasets within elements."""

    in_python = True

    def __init__(self, spec: Any) -> None:
        self.specs = _components(spec.element_spec)

    def of(self, dataset: Any, batch_rows: int, batch_bytes: int) -> Any:
        wanted = [True] * len(self.specs)
        return "dataset", list(_deliver(dataset, self.specs, batch_rows, batch_bytes, wanted))


def _nothing(tf: Any, spec: Any) -> Any:
    """Some value of a spec: empty where it can be."""
    if isinstance(spec, dict):
        return {key: _nothing(tf, item) for key, item in spec.items()}
    if isinstance(spec, tuple) and hasattr(spec, "_fields"):
        return type(spec)(*(_nothing(tf, item) for item in spec))
    if isinstance(spec, (tuple, list)):
        return type(spec)(_nothing(tf, item) for item in spec)
    if isinstance(spec, tf.RaggedTensorSpec):
        inner = [0 if n is None else n for n in spec.shape[spec.ragged_rank + 1 :]]
        value = tf.zeros([0, *inner], spec.dtype)
        for _ in range(spec.ragged_rank):
            value = tf.RaggedTensor.from_row_splits(value, tf.constant([0], spec.row_splits_dtype), validate=False)
        return value
    if isinstance(spec, tf.SparseTensorSpec):
        rank = spec.shape.rank or 1
        return tf.SparseTensor(tf.zeros([0, rank], tf.int64), tf.zeros([0], spec.dtype), tf.zeros([rank], tf.int64))
    if isinstance(spec, tf.OptionalSpec):
        return tf.experimental.Optional.empty(spec._element_spec)
    shape = [] if spec.shape.rank is None else [0 if n is None else n for n in spec.shape]
    return tf.zeros(shape, spec.dtype)


def _divided(tf: Any, batch: Any) -> tuple[Any, Any]:
    """The values of a batch of vectors, one after the other, and their row splits."""
    if isinstance(batch, tf.RaggedTensor):
        return batch.flat_values, batch.row_splits
    rows, width = tf.shape(batch, out_type=tf.int64)[0], tf.shape(batch, out_type=tf.int64)[1]
    return tf.reshape(batch, [-1]), tf.range(rows + 1) * width


def _plain(tf: Any, tensor: Any) -> list[Any]:
    """Tensors with a buffer that can be read: bits for numbers without one, lengths and bytes for strings."""
    name = tensor.dtype.name
    if name == "string":
        flat = tf.reshape(tensor, [-1])
        return [tf.shape(tensor, out_type=tf.int64), tf.strings.length(flat), tf.strings.reduce_join(flat)]
    if name in _BITS:
        return [tf.bitcast(tensor, _BITS[name])]
    if name in _WIDENED:
        return [tf.cast(tensor, _WIDENED[name])]
    return [tensor]


def _taken(left: list[Any], dtype: Any) -> tuple[int, Any]:
    """Takes what `_plain` made from `left`: the leading size, and the values."""
    tensor = left.pop(0)
    if dtype.name.startswith("float8"):
        # Nothing in the graph gives their bits.
        return int(tensor.shape[0]), memoryview(tensor.numpy().view("u1"))
    if dtype.name != "string":
        return int(tensor.shape[0]), memoryview(tensor)
    lengths, joined = left.pop(0), left.pop(0)
    return int(tensor[0]), (memoryview(lengths), joined.numpy())
