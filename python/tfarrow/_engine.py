"""What the engines' conversions have in common."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tfarrow import _tfarrow
from tfarrow._errors import ExistsError
from tfarrow._plan import Plan, plan

if TYPE_CHECKING:
    from tfarrow._dataset import _Path

# A part for each partition, as the command makes them.
_UNCUT = (1 << 63) - 1

_WRITING = frozenset(_tfarrow.task_options())


def prepared(source: Any, output: _Path, options: dict[str, Any]) -> tuple[Plan, str, dict[str, Any]]:
    """The plan of a conversion, where its parts go, and how they are written.

    The parts are those of the command: one for each partition, or for each `rows_per_file` rows, or for
    about `task_bytes` of input.
    """
    writing = {key: options.pop(key) for key in list(options) if key in _WRITING}
    folder = absolute(os.fspath(output))
    manifest = os.path.join(folder, "_manifest.json")
    if not writing.get("overwrite") and os.path.exists(manifest):
        raise ExistsError(
            f"output folder holds a conversion already ({output}); pass `overwrite=True`",
            kind="already_exists",
            source=os.fspath(output),
            hint="pass `overwrite=True`",
        )
    if isinstance(source, Plan):
        return source, folder, writing
    if options.get("task_bytes") is None and options.get("rows_per_file") is None:
        options["task_bytes"] = _UNCUT
    return plan(source, **options), folder, writing


def absolute(folder: str) -> str:
    """The folder by a name that means the same on every machine."""
    return folder if "://" in folder else os.path.abspath(folder) + os.sep
