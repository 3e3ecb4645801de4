"""TensorFlow datasets as Apache Arrow, without TensorFlow.

    import tfarrow

    ds = tfarrow.open("train-*.tfrecord")      # or a TFDS folder, a Dataset.save folder, ArrayRecord, …
    ds.to_pandas(), ds.to_polars(), ds.to_pyarrow(), ds.to_numpy(), ds.to_torch()
    for batch in ds:
        batch["image"]                         # a NumPy view of Arrow's memory: (rows, *shape)
    ds.write("train.parquet")

`help(tfarrow.open)` lists the options; `tfarrow.from_dataset` reads a `tf.data.Dataset` of this process.
"""

from tfarrow._batch import Batch
from tfarrow._columns import Ragged, Sparse, Strings, Struct, Values, VariableShape
from tfarrow._dataset import Dataset, Partition, from_dataset, open
from tfarrow._errors import AccessError, Error, ExistsError, NotFoundError
from tfarrow._schema import Schema
from tfarrow._tfarrow import __version__
from tfarrow._write import Summary, convert, report, verify, write_tfrecord

__all__ = [
    "AccessError",
    "Batch",
    "Dataset",
    "Error",
    "ExistsError",
    "NotFoundError",
    "Partition",
    "Ragged",
    "Schema",
    "Sparse",
    "Strings",
    "Struct",
    "Summary",
    "Values",
    "VariableShape",
    "__version__",
    "convert",
    "from_dataset",
    "open",
    "report",
    "verify",
    "write_tfrecord",
]
