"""Element specs in the library's JSON form: the library's own export helper says how."""

from __future__ import annotations

import functools
import types
from typing import Any

from tfarrow import _tfarrow
from tfarrow._errors import Error


@functools.cache
def _helper() -> types.ModuleType:
    module = types.ModuleType("tfarrow_export")
    exec(compile(_tfarrow.PYTHON_HELPER, "tfarrow_export.py", "exec"), module.__dict__)
    return module


def element_spec_json(spec: Any) -> dict[str, Any]:
    """The structure `spec` (a `dataset.element_spec`) as JSON."""
    try:
        found: dict[str, Any] = _helper().element_spec_json(spec)
    except ValueError as error:
        raise Error(str(error), kind="unsupported") from None
    return found
