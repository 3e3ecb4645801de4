"""TensorFlow datasets as Apache Arrow, without TensorFlow.

    import tfarrow

    ds = tfarrow.open("train-*.tfrecord")      # or a TFDS folder, a Dataset.save folder, ArrayRecord, …
    ds.to_pandas(), ds.to_polars(), ds.to_pyarrow(), ds.to_numpy(), ds.to_torch()
    for batch in ds:
        batch["image"]                         # a NumPy view of Arrow's memory: (rows, *shape)
    ds.write("train.parquet")

`tfarrow.plan` cuts a dataset in tasks for several machines; `tfarrow.ray` and `tfarrow.spark` do them.

`help(tfarrow.open)` lists the options; `tfarrow.from_dataset` reads a `tf.data.Dataset` of this process.
"""

from typing import TYPE_CHECKING, Any

from tfarrow._batch import Batch
from tfarrow._columns import Ragged, Sparse, Strings, Struct, Values, VariableShape
from tfarrow._dataset import Dataset, Partition, from_dataset, open
from tfarrow._errors import AccessError, Error, ExistsError, NotFoundError
from tfarrow._plan import Committed, Plan, Task, commit, plan
from tfarrow._schema import Schema
from tfarrow._tfarrow import __version__
from tfarrow._write import Summary, convert, report, verify, write_tfrecord

if TYPE_CHECKING:
    from tfarrow import ray, spark

__all__ = [
    "AccessError",
    "Batch",
    "Committed",
    "Dataset",
    "Error",
    "ExistsError",
    "NotFoundError",
    "Partition",
    "Plan",
    "Ragged",
    "Schema",
    "Sparse",
    "Strings",
    "Struct",
    "Summary",
    "Task",
    "Values",
    "VariableShape",
    "__version__",
    "commit",
    "convert",
    "from_dataset",
    "open",
    "plan",
    "ray",
    "report",
    "spark",
    "verify",
    "write_tfrecord",
]


def __getattr__(name: str) -> Any:
    # The engines' modules, when they are asked for.
    if name in ("ray", "spark"):
        import importlib

        return importlib.import_module(f"tfarrow.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
