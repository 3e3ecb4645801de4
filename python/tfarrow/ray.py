"""Ray: datasets that are read, and conversions that are done, by the tasks of a plan.

    ds = tfarrow.ray.read("train-*.tfrecord", columns=["image", "label"])   # a ray.data.Dataset
    tfarrow.ray.convert("train-*.tfrecord", "/shared/train/")

Ray schedules and retries; tfarrow reads, writes and commits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfarrow._engine import prepared
from tfarrow._errors import missing
from tfarrow._plan import Committed, Plan, Task, commit, plan

if TYPE_CHECKING:
    import ray.data

    from tfarrow._dataset import _Path

__all__ = ["convert", "read"]

# Tasks that are given to the engine beyond those that it can do at a time.
_AHEAD = 4


def read(source: Any, **options: Any) -> ray.data.Dataset:
    """Reads a dataset as a `ray.data.Dataset`, a read task for each task of its plan.

    `source` and the options are those of `tfarrow.plan`; a plan itself is taken, too. Tensor columns
    are tensors, rows keep the order of the source, and columns that are selected of the dataset are all
    that is decoded.
    """
    try:
        import ray.data  # noqa: F401
    except ImportError:
        raise missing("ray", "tfarrow.ray.read") from None
    from tfarrow import _ray_source

    return _ray_source.dataset(source if isinstance(source, Plan) else plan(source, **options))


def convert(
    source: Any,
    output: _Path,
    *,
    threads: int = 1,
    max_retries: int = 3,
    **options: Any,
) -> Committed:
    """Converts a dataset to part files in the folder `output`, a Ray task for each part: the same files
    as the command makes (`tfarrow convert SOURCE -o OUTPUT/`), byte for byte.

    `source` and the options are those of `tfarrow.plan` and of `Dataset.write`; a part is a partition,
    unless `task_bytes` or `rows_per_file` say something else. All machines must see the input and the
    output by the same names. A task whose worker dies is done again, `max_retries` times at most;
    `threads` is how many CPUs each task takes. Run again after it was interrupted, it goes on; the
    dataset is there when `_manifest.json` is.
    """
    try:
        import ray
    except ImportError:
        raise missing("ray", "tfarrow.ray.convert") from None
    plan, folder, writing = prepared(source, output, dict(options))
    if not ray.is_initialized():
        ray.init()
    remote = ray.remote(num_cpus=threads, max_retries=max_retries)(_write)
    slots = max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
    parts: list[dict[str, Any]] = []
    waiting: list[Any] = []
    try:
        for task in plan.tasks:
            waiting.append(remote.remote(task, folder, writing, threads))
            if len(waiting) >= slots * _AHEAD:
                done, waiting = ray.wait(waiting)
                parts.extend(ray.get(done))
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=min(len(waiting), slots))
            parts.extend(ray.get(done))
    except ray.exceptions.RayTaskError as error:
        # What failed in the task is what is told; nobody waits for the others.
        for other in waiting:
            ray.cancel(other)
        cause = error.as_instanceof_cause()
        raise getattr(cause, "cause", cause) from None
    return commit(folder, plan, parts)


def _write(task: Task, folder: str, writing: dict[str, Any], threads: int) -> dict[str, Any]:
    return task.write(folder, threads=threads, **writing)
