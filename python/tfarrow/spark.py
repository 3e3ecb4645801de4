"""Spark: a data source that reads the tasks of a plan, and conversions that do them.

    tfarrow.spark.register(spark)
    df = spark.read.format("tfarrow").option("columns", "label,text").load("train-*.tfrecord")
    tfarrow.spark.convert(spark, "train-*.tfrecord", "/shared/train/")

Spark schedules and retries; tfarrow reads, writes and commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfarrow._engine import prepared
from tfarrow._errors import missing
from tfarrow._plan import Committed, Task, commit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from tfarrow._dataset import _Path

__all__ = ["convert", "register"]


def register(spark: SparkSession) -> None:
    """Lets `spark` read `format("tfarrow")` (PySpark 4.0 or later).

    The options are those of `tfarrow.plan` by the same keys, each as text as the command takes it:
    `.option("columns", "a,b").option("on_error", "skip")`, those of a store each by
    its key: `.option("store.aws_endpoint", "https://…")`. What is loaded is a path, a glob, a folder or a
    URL. Spark has fewer types than Arrow: unsigned integers become the next wider type (uint64 a decimal
    of 20 digits), float16 float, tensors and lists of a fixed size arrays, class names strings; of a tensor,
    `tf.shape` in the column's metadata says the shape.
    """
    try:
        import pyspark.sql.datasource  # noqa: F401
    except ImportError:
        raise missing("pyspark>=4.0", "tfarrow.spark.register") from None
    from tfarrow import _spark_source

    spark.dataSource.register(_spark_source.TfarrowSource)


def convert(spark: SparkSession, source: Any, output: _Path, *, threads: int = 1, **options: Any) -> Committed:
    """Converts a dataset to part files in the folder `output`, a Spark task for each part: the same files
    as the command makes (`tfarrow convert SOURCE -o OUTPUT/`), byte for byte.

    `source` and the options are those of `tfarrow.plan` and of `Dataset.write`; a part is a partition,
    unless `task_bytes` or `rows_per_file` say something else. All machines must see the input and the
    output by the same names. Spark does a task again that failed, as often as it is set to; `threads` is
    how many each task uses. Run again after it was interrupted, it goes on; the dataset is there when
    `_manifest.json` is.
    """
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise missing("pyspark>=4.0", "tfarrow.spark.convert") from None
    plan, folder, writing = prepared(source, output, dict(options))
    if len(plan.tasks) == 0:
        return commit(folder, plan, [])

    def write(tasks: Iterator[Task]) -> Iterator[dict[str, Any]]:
        for task in tasks:
            yield _write(task, folder, writing, threads)

    tasks = list(plan.tasks)
    return commit(folder, plan, spark.sparkContext.parallelize(tasks, len(tasks)).mapPartitions(write).collect())


def _write(task: Task, folder: str, writing: dict[str, Any], threads: int) -> dict[str, Any]:
    return task.write(folder, threads=threads, **writing)
