"""PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tfarrow._columns import Ragged, VariableShape
from tfarrow._errors import missing

if TYPE_CHECKING:
    import torch.utils.data

    from tfarrow._dataset import Dataset


def iterable(dataset: Dataset, batch_rows: int) -> torch.utils.data.IterableDataset[dict[str, Any]]:
    """A dataset for `torch.utils.data.DataLoader(..., batch_size=None)`."""
    try:
        import torch.utils.data
    except ImportError:
        raise missing("torch", "Dataset.to_torch") from None

    class Rows(torch.utils.data.IterableDataset[dict[str, Any]]):  # type: ignore[misc,unused-ignore]
        """Batches as dicts of tensors; each worker reads its own rows."""

        def __init__(self, dataset: Dataset) -> None:
            self.dataset = dataset

        def __iter__(self) -> Iterator[dict[str, Any]]:
            dataset = self.dataset
            worker = torch.utils.data.get_worker_info()
            if worker is not None:
                # Workers are processes: each reads with a thread of its own.
                dataset = dataset.shard(worker.id, worker.num_workers).with_options(threads=1)
            for batch in dataset:
                yield {name: _tensor(batch[name]) for name in batch.column_names}

        def __reduce__(self) -> Any:
            return iterable, (self.dataset, batch_rows)

    return Rows(dataset.with_options(batch_rows=batch_rows))


def _tensor(column: Any) -> Any:
    """A column as torch has it: a tensor of its own memory, or a list."""
    import numpy as np
    import torch

    if isinstance(column, np.ma.MaskedArray):
        return [None if row is np.ma.masked else row for row in column]
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "mM":
            column = column.view(np.int64)
        if column.dtype.name == "bfloat16":
            return torch.from_numpy(column.view(np.uint16).copy()).view(torch.bfloat16)
        # A batch is ours to give away, but its memory may be shared: a tensor could be written to.
        return torch.from_numpy(column.copy())
    if isinstance(column, (Ragged, VariableShape)):
        return [None if row is None else _tensor(row) for row in column]
    return column.to_pylist()
