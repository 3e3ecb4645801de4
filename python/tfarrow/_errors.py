"""The exceptions of tfarrow."""

from __future__ import annotations

from collections.abc import Callable


class Error(ValueError):
    """What failed, where, and what would help.

    `str(error)` is all of it in a line; the parts are attributes.
    """

    kind: str
    """The kind of failure in a word, by what can be done about it: `corrupt`, `mismatch`,
    `missing_feature`, `unsupported`, `config`, `limit`, `not_found`, `already_exists`, `io`,
    `interrupted`."""
    source: str | None
    """The file, folder, URL or stream."""
    record: int | None
    """The record or element, counted from 0 within `source`."""
    byte: int | None
    """The byte within `source`, after decompression if it is compressed."""
    row: int | None
    """The row of what is read, counted from 0, where its record is no longer known."""
    column: str | None
    """The column, component or feature."""
    hint: str | None
    """What would help, if anything is known to."""

    def __init__(
        self,
        message: str,
        *,
        kind: str = "config",
        source: str | None = None,
        record: int | None = None,
        byte: int | None = None,
        row: int | None = None,
        column: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.source = source
        self.record = record
        self.byte = byte
        self.row = row
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> tuple[Callable[..., Error], tuple[object, ...]]:
        parts = (self.source, self.record, self.byte, self.row, self.column, self.hint)
        return make, (self.kind, str(self), *parts)


class NotFoundError(Error, FileNotFoundError):
    """An input does not exist."""


class ExistsError(Error, FileExistsError):
    """An output exists already."""


class AccessError(Error, PermissionError):
    """The operating system does not allow it."""


_CLASSES: dict[str, type[Error]] = {
    "not_found": NotFoundError,
    "already_exists": ExistsError,
    "permission_denied": AccessError,
}


def make(
    kind: str,
    message: str,
    source: str | None,
    record: int | None,
    byte: int | None,
    row: int | None,
    column: str | None,
    hint: str | None,
) -> Error:
    """The exception for an error of the library."""
    cls = _CLASSES.get(kind, Error)
    return cls(
        message, kind=kind, source=source, record=record, byte=byte, row=row, column=column, hint=hint
    )


def missing(package: str, what: str) -> ImportError:
    """The error for a package that is not installed."""
    return ImportError(f"{what} needs {package}, which is not installed: pip install {package}", name=package)
