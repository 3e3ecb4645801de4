"""The Arrow schema of a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tfarrow._errors import missing

if TYPE_CHECKING:
    import pyarrow as pa


class _HasSchema(Protocol):
    def __arrow_c_schema__(self) -> object: ...

    @property
    def column_names(self) -> list[str]: ...


class Schema:
    """Names and Arrow types of columns. Any Arrow library takes it: `pyarrow.schema(ds.schema)`.

    What is not here, such as `field(name)` and `metadata`, is that of the `pyarrow.Schema`, where
    pyarrow is installed.
    """

    __slots__ = ("_of",)

    def __init__(self, of: _HasSchema) -> None:
        self._of = of

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return self._of.column_names

    def to_pyarrow(self) -> pa.Schema:
        """The schema as pyarrow has it."""
        try:
            import pyarrow as pa
        except ImportError:
            raise missing("pyarrow", "this of a schema") from None
        return pa.schema(self)

    def __arrow_c_schema__(self) -> object:
        return self._of.__arrow_c_schema__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.to_pyarrow(), name)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        try:
            other = other.to_pyarrow() if isinstance(other, Schema) else other
            return bool(self.to_pyarrow() == other)
        except ImportError:
            return self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        try:
            return str(self.to_pyarrow().to_string(show_field_metadata=False, show_schema_metadata=False))
        except ImportError:
            return f"Schema({', '.join(self.names)})"
