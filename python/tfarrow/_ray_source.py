"""A datasource for Ray Data."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray.data
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from tfarrow._plan import Plan, Task


def _read_type(schema: bytes) -> pa.DataType:
    return pa.ipc.read_schema(pa.py_buffer(schema)).field(0).type


def _reduce(kind: pa.DataType) -> tuple[Any, tuple[bytes]]:
    return _read_type, (pa.schema([("", kind)]).serialize().to_pybytes(),)


# pyarrow has `arrow.variable_shape_tensor` and does not pickle it, and Ray sends the schema of every block.
copyreg.pickle(pa.BaseExtensionType, _reduce)


def dataset(plan: Plan) -> ray.data.Dataset:
    """The rows of all tasks, in their order."""
    tasks = len(plan.tasks)
    if tasks == 0:
        return ray.data.from_arrow(pa.schema(plan.schema).empty_table())
    found = ray.data.read_datasource(PlanSource(plan), override_num_blocks=tasks)
    # Blocks come as they are read otherwise.
    found.context.execution_options.preserve_order = True
    return found


class PlanSource(Datasource):  # type: ignore[misc,unused-ignore]
    """The tasks of a plan as read tasks."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        # Which columns are asked for; none for all. Ray's own name for it.
        self._projection_map: dict[str, str] | None = None
        self.plan = plan
        # Each is asked for several times while Ray plans.
        self._tasks = [(task, task.rows, task.bytes, task.inputs) for task in plan.tasks]

    def get_name(self) -> str:
        return "tfarrow"

    def supports_projection_pushdown(self) -> bool:
        return True

    def estimate_inmemory_data_size(self) -> int | None:
        sizes = [size for _, _, size, _ in self._tasks]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """A read task for each task, however many are asked for."""
        columns = self._get_data_columns()
        schema = pa.schema(self.plan.schema)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
        return [
            ReadTask(
                Read(task, columns),
                BlockMetadata(num_rows=rows, size_bytes=size, input_files=inputs, exec_stats=None),
                schema=schema,
            )
            for task, rows, size, inputs in self._tasks
        ]


class Read:
    """Reads a task as blocks."""

    def __init__(self, task: Task, columns: list[str] | None) -> None:
        self.task = task
        self.columns = columns

    def __call__(self) -> Iterator[pa.Table]:
        task, columns = self.task, self.columns
        # Who counts rows asks for no column, and counts none where there is none: one column is given.
        read = pa.schema(task.schema).names[:1] if columns == [] else columns
        empty = True
        for batch in task.batches(read):
            empty = False
            yield pa.Table.from_batches([batch.to_pyarrow()])
        if empty:
            yield task.to_pyarrow(read)
