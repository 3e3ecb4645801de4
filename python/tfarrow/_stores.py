"""What reaches object stores and web servers: the option `store`, of which each name takes its own keys."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from tfarrow import _tfarrow


def pairs(store: Any) -> dict[str, str]:
    """The option as a dict: it may be one, a text `KEY=VALUE`, or a list of such texts."""
    if store is None:
        return {}
    if isinstance(store, Mapping):
        # As the command spells what is yes or no.
        return {str(k): str(v).lower() if isinstance(v, bool) else str(v) for k, v in store.items()}
    texts = [store] if isinstance(store, str) else list(store)
    # What has no sign is refused where it is read.
    return {key: value for key, _, value in (str(text).partition("=") for text in texts)}


def taken(name: Any, store: Mapping[str, str]) -> dict[str, str]:
    """What of it `name` takes."""
    return {key: value for key, value in store.items() if _takes(name, key)}


def left(names: Iterable[Any], others: Iterable[Any], store: Mapping[str, str]) -> dict[str, str]:
    """What of it `names` take, and what none of `others` does: that is theirs to refuse."""
    names, others = list(names), list(others)
    return {
        key: value
        for key, value in store.items()
        if any(_takes(name, key) for name in names) or not any(_takes(other, key) for other in others)
    }


def _takes(name: Any, key: str) -> bool:
    return isinstance(name, (str, os.PathLike)) and _tfarrow.takes_store_key(os.fspath(name), key)
