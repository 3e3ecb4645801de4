"""Plans: a dataset in tasks, each of which any machine reads, or writes, on its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from tfarrow import _stores, _tfarrow
from tfarrow._batch import Batch
from tfarrow._dataset import Dataset, LiveDataset
from tfarrow._errors import Error
from tfarrow._schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

    from tfarrow._dataset import _Path

DEFAULT_TASK_BYTES = 256 << 20


class Plan:
    """A dataset in tasks, as `tfarrow.plan` makes it: its columns are known, and each task says itself
    what it reads. It can be pickled, and sent as text (`to_json`, `from_json`)."""

    __slots__ = ("_plan", "_store")

    def __init__(self, plan: _tfarrow.Plan, store: Any = None) -> None:
        self._plan = plan
        # What may be a secret: other processes are told, texts are not.
        self._store = _stores.pairs(store)

    @property
    def id(self) -> str:
        """What tells this plan from others: equal input, options and tasks give an equal text."""
        return self._plan.id

    @property
    def kind(self) -> str:
        """What kind of input it is, in a few words."""
        return self._plan.kind

    @property
    def schema(self) -> Schema:
        """Names and Arrow types of the columns, which are those of every task."""
        return Schema(self._plan)

    @property
    def tasks(self) -> Tasks:
        """The tasks, in the order of their rows."""
        return Tasks(self._plan, self._store)

    def to_json(self) -> str:
        """The plan as JSON, with a list `tasks`; `docs/clusters.md` says what stands in it. What the option
        `store` says is not in it."""
        return self._plan.to_json()

    @classmethod
    def from_json(cls, text: str, *, store: Mapping[str, str] | None = None) -> Plan:
        """Reads what `to_json` gives; `store` is the option of `tfarrow.open`."""
        return cls(_tfarrow.Plan.from_json(text, _pairs(store)), store)

    def __reduce__(self) -> tuple[Callable[..., Plan], tuple[object, ...]]:
        return _plan_from_json, (self.to_json(), self._store)

    def __repr__(self) -> str:
        return f"<tfarrow.Plan of {self.kind}: {len(self._plan)} tasks>"


class Task:
    """A part of a plan. Iterating gives `Batch`es: the same rows on any machine, in the order of the
    source. It can be pickled, and sent as text (`to_json`, `from_json`), and holds nothing of other tasks.
    """

    __slots__ = ("_store", "_task")

    def __init__(self, task: _tfarrow.Task, store: Mapping[str, str] | None = None) -> None:
        self._task = task
        self._store = _stores.pairs(store)

    @property
    def index(self) -> int:
        """Its number in the plan, from 0."""
        return self._task.index

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known without reading."""
        return self._task.rows

    @property
    def bytes(self) -> int | None:
        """How many bytes of input it reads, about, where that is known."""
        return self._task.bytes

    @property
    def inputs(self) -> list[str]:
        """What it reads: files, with the range of each that it reads."""
        return self._task.inputs

    @property
    def schema(self) -> Schema:
        """Names and Arrow types of the columns."""
        return Schema(self._task)

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    def batches(self, columns: Sequence[str] | None = None, *, threads: int = 1) -> Iterator[Batch]:
        """The rows, batch by batch; of these columns only, if they are given.

        A file that is not what it was when the task was planned is an error that names it.
        """
        names = None if columns is None else list(columns)
        for batch in self._task.read(threads, names):
            yield Batch(batch)

    def to_pyarrow(self, columns: Sequence[str] | None = None, *, threads: int = 1) -> pa.Table:
        """All rows as a `pyarrow.Table`."""
        import pyarrow as pa

        schema = pa.schema(self.schema)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
        batches = [batch.to_pyarrow() for batch in self.batches(columns, threads=threads)]
        return pa.Table.from_batches(batches, batches[0].schema if batches else schema)

    def write(self, output: _Path, *, threads: int = 1, **options: Any) -> dict[str, Any]:
        """Writes the part file of the task into the folder `output`, whole or not at all.

        The file is the same, however often and wherever that is done; one that is there already is not
        written again. What comes back is a part for `tfarrow.commit`: a dict that JSON can hold. The
        options are those of `Dataset.write`: `format`, `compression`, `row_group_rows`, `overwrite` …
        """
        # What reaches the input reaches the output.
        store = {**_stores.taken(output, _stores.pairs(self._store)), **_stores.pairs(options.get("store"))}
        options["store"] = store or None
        part: dict[str, Any] = json.loads(self._task.write(os.fspath(output), options, threads))
        return part

    def to_json(self) -> str:
        """The task as JSON: its plan's, with this one task alone."""
        return self._task.to_json()

    @classmethod
    def from_json(cls, text: str, *, store: Mapping[str, str] | None = None) -> Task:
        """Reads what `to_json` gives; `store` is the option of `tfarrow.open`."""
        return cls(_tfarrow.Task.from_json(text, _pairs(store)), store)

    def __reduce__(self) -> tuple[Callable[..., Task], tuple[object, ...]]:
        return _task_from_json, (self.to_json(), self._store)

    def __repr__(self) -> str:
        inputs = self.inputs
        more = f" and {len(inputs) - 1} more" if len(inputs) > 1 else ""
        return f"<tfarrow.Task {self.index}: {inputs[0] if inputs else 'nothing'}{more}>"


class Tasks(Sequence[Task]):
    """The tasks of a plan."""

    __slots__ = ("_plan", "_store")

    def __init__(self, plan: _tfarrow.Plan, store: Mapping[str, str]) -> None:
        self._plan = plan
        self._store = store

    def __len__(self) -> int:
        return len(self._plan)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        task = self._plan.task(at) if at >= 0 else None
        if task is None:
            raise IndexError(f"no task {index} in a plan of {len(self)}")
        return Task(task, self._store)

    def __repr__(self) -> str:
        return f"<{len(self)} tasks>"


class Committed:
    """What was committed."""

    __slots__ = ("bytes_written", "nulled", "nulled_values", "parts", "rows", "skipped")

    def __init__(
        self, rows: int, bytes_written: int, parts: int, skipped: int, nulled: int, nulled_values: int
    ) -> None:
        self.rows = rows
        """Rows in all parts."""
        self.bytes_written = bytes_written
        """Bytes of all parts."""
        self.parts = parts
        """Part files."""
        self.skipped = skipped
        """Records that could not be read and were left out (`on_error="skip"`)."""
        self.nulled = nulled
        """Records that could not be read, or did not fit, and are null (`on_error="null"`)."""
        self.nulled_values = nulled_values
        """Values that could not be read, and are null (`on_error="null-value"`)."""

    def __repr__(self) -> str:
        lost = f", skipped={self.skipped}, nulled={self.nulled}" if self.skipped or self.nulled else ""
        return f"Committed(rows={self.rows}, bytes_written={self.bytes_written}, parts={self.parts}{lost})"


def plan(source: Any, *, task_bytes: int | None = None, **options: Any) -> Plan:
    """Plans a dataset in tasks that any machine can do, in any order and as often as one likes.

    `source` and the options are those of `tfarrow.open`; `rows_per_file` makes tasks of so many rows.
    The columns are learnt once, here: a task opens nothing but its own files. A task is a partition of
    the dataset, mostly a file, or a part of about `task_bytes` of it (256 MiB unless it is said) where
    the file is larger and can be cut.

        plan = tfarrow.plan("train-*.tfrecord")
        for batch in plan.tasks[3]: ...
        parts = [task.write("out/") for task in plan.tasks]
        tfarrow.commit("out/", plan, parts)
    """
    if isinstance(source, LiveDataset):
        raise Error(
            "a tf.data pipeline belongs to its process and has no tasks",
            hint="store it with dataset.save(path) and plan that",
        )
    if isinstance(source, Dataset):
        return _plan_of(source.with_options(**options) if options else source, task_bytes)
    inputs = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    return Plan(_tfarrow.Plan(inputs, {**options, "task_bytes": task_bytes}), options.get("store"))


def _plan_of(dataset: Dataset, task_bytes: int | None) -> Plan:
    """The tasks of a dataset, and of the rows and columns that were selected of it."""
    options = {**dataset._options, "task_bytes": task_bytes, "threads": None}
    if dataset._columns is not None:
        options["columns"] = dataset._columns
    options["skip"] = dataset._start or None
    options["shard"] = (0, dataset._step) if dataset._step > 1 else None
    options["take"] = dataset._rows
    return Plan(_tfarrow.Plan(list(dataset._inputs), options), options.get("store"))


def commit(output: _Path, plan: Plan, parts: Sequence[dict[str, Any]] | None = None) -> Committed:
    """Makes a dataset of the part files that all tasks of `plan` wrote into the folder `output`: writes
    `_manifest.json`, and removes what the tasks left beside their parts.

    `parts` are what `Task.write` gave, in any order; without them, they are looked for in the folder. A
    part that is missing, or is of another plan, is an error. To commit again does nothing.
    """
    texts = None if parts is None else [json.dumps(part) for part in parts]
    store = _pairs(_stores.taken(output, plan._store))
    return Committed(*plan._plan.commit(os.fspath(output), texts, store))


def _pairs(store: Any) -> list[tuple[str, str]]:
    return list(_stores.pairs(store).items())


def _plan_from_json(text: str, store: Mapping[str, str]) -> Plan:
    return Plan.from_json(text, store=store)


def _task_from_json(text: str, store: Mapping[str, str]) -> Task:
    return Task.from_json(text, store=store)
