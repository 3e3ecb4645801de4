"""A data source for Spark, by its Python Data Source API."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from tfarrow import _spark_types, _tfarrow
from tfarrow._errors import Error
from tfarrow._plan import Plan, Task

# Options of Spark's own, and what is read.
_OF_SPARK = ("path", "paths")


class TfarrowSource(DataSource):  # type: ignore[misc,unused-ignore]
    """`format("tfarrow")`."""

    @classmethod
    def name(cls) -> str:
        return "tfarrow"

    def schema(self) -> StructType:
        return _spark_types.schema(pa.schema(self._plan().schema))

    def reader(self, schema: StructType) -> DataSourceReader:
        return TfarrowReader(self._plan())

    def _plan(self) -> Plan:
        options = dict(self.options)
        paths = [options["path"]] if "path" in options else json.loads(options.get("paths", "[]"))
        if not paths:
            raise Error("nothing is named to be read", hint='call .load("train-*.tfrecord")')
        texts = [_option(key, text) for key, text in options.items() if key not in _OF_SPARK]
        store = dict(text.split("=", 1) for key, text in texts if key == "store" and "=" in text)
        return Plan(_tfarrow.Plan.from_texts([_local(path) for path in paths], texts), store)


def _option(key: str, text: str) -> tuple[str, str]:
    """An option as others say it: of a store there are several, which Spark wants by several names."""
    if key.startswith("store."):
        return "store", f"{key.removeprefix('store.')}={text}"
    return key, text


def _local(path: str) -> str:
    """A path as it is meant: Spark writes local ones as URLs."""
    if path.startswith("file:"):
        return "/" + path.removeprefix("file:").lstrip("/")
    return os.fspath(path)


class TaskPartition(InputPartition):  # type: ignore[misc,unused-ignore]
    """A task."""

    def __init__(self, task: Task) -> None:
        self.task = task


class TfarrowReader(DataSourceReader):  # type: ignore[misc,unused-ignore]
    """Reads the tasks of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.tasks = list(plan.tasks)

    def partitions(self) -> Sequence[InputPartition]:
        return [TaskPartition(task) for task in self.tasks]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        # A dataset without tasks is given one that is nothing.
        if not isinstance(partition, TaskPartition):
            return
        for batch in partition.task:
            yield _spark_types.batch(batch.to_pyarrow())
