"""What a notebook shows of a dataset: its columns, and its first rows."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfarrow._dataset import Dataset

_ROWS = 5
_TEXT = 80
_IMAGE_BYTES = 64 << 10
_MAGIC = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif"}

_STYLE = """
.tfarrow {font-size: 13px; overflow-x: auto}
.tfarrow table {border-collapse: collapse}
.tfarrow th, .tfarrow td {text-align: left; vertical-align: top; padding: 3px 12px 3px 0; white-space: nowrap}
.tfarrow thead th {border-bottom: 1px solid currentColor; font-weight: 600}
.tfarrow .type {opacity: .65; font-weight: normal; font-size: 11px; display: block}
.tfarrow img {max-height: 48px; min-height: 24px; image-rendering: pixelated}
"""


def dataset(ds: Dataset) -> str:
    """A table of the first rows; what goes wrong is said in its place."""
    title = html.escape(repr(ds))
    try:
        names = ds.column_names
        kind = html.escape(ds.kind)
        batch = next(iter(ds.take(_ROWS)), None)
    except Exception as error:
        return f'<div class="tfarrow"><code>{title}</code><p>{html.escape(str(error))}</p></div>'
    columns = [] if batch is None else [_cells(batch[name], batch.num_rows) for name in names]
    types = ["" if batch is None else _type(batch[name]) for name in names]
    head = "".join(
        f'<th scope="col">{html.escape(_short(name))}<span class="type">{html.escape(kind_)}</span></th>'
        for name, kind_ in zip(names, types, strict=True)
    )
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in zip(*columns, strict=True))
    return (
        f"<style>{_STYLE}</style>"
        f'<div class="tfarrow"><code>{title}</code><p>{kind}, {len(names)} columns; the first rows:</p>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>More: <code>tfarrow.report(ds, \"report.html\")</code></p></div>"
    )


def _type(column: Any) -> str:
    """What a column is, in a word or two."""
    if hasattr(column, "dtype"):
        shape = list(column.shape[1:])
        return f"{column.dtype}{shape if shape else ''}"
    name = type(column).__name__
    if name == "Strings":
        return "text" if column.is_text else "bytes"
    return name.lower()


def _cells(column: Any, rows: int) -> list[str]:
    return [_cell(column[row]) for row in range(rows)]


def _cell(value: Any) -> str:
    if value is None:
        return "<i>null</i>"
    if isinstance(value, bytes):
        for magic, kind in _MAGIC.items():
            if value.startswith(magic) and len(value) <= _IMAGE_BYTES:
                return _image(kind, value)
        text = f"{value[:10].hex()}… {len(value)} bytes" if len(value) > 10 else value.hex()
        return html.escape(text)
    if isinstance(value, str):
        return html.escape(_short(value))
    if hasattr(value, "dtype"):
        return _array(value)
    if hasattr(value, "to_pylist"):
        return html.escape(_short(str(value.to_pylist())))
    return html.escape(_short(str(value)))


def _array(value: Any) -> str:
    shape: tuple[int, ...] = tuple(getattr(value, "shape", ()))
    pixels = str(value.dtype) == "uint8" and len(shape) in (2, 3) and min(shape[:2]) > 1
    if pixels and (len(shape) == 2 or shape[2] in (1, 3, 4)) and value.size <= _IMAGE_BYTES * 8:
        return _image("png", _png(value))
    flat = value.reshape(-1)
    shown = ", ".join(str(item) for item in flat[:6].tolist())
    if not shape:
        return html.escape(str(value))
    more = f", … {list(shape)}" if flat.size > 6 else ""
    return html.escape(f"[{shown}{more}]")


def _image(kind: str, data: bytes) -> str:
    return f'<img alt="image" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def _png(pixels: Any) -> bytes:
    """A PNG of uint8 pixels, at most 96 wide and high."""
    step = max(1, -(-max(pixels.shape[:2]) // 96))
    small = pixels[::step, ::step]
    height, width = small.shape[:2]
    channels = 1 if small.ndim == 2 else small.shape[2]
    color = {1: 0, 3: 2, 4: 6}[channels]
    raw = b"".join(b"\0" + small[row].tobytes() for row in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def _short(text: str) -> str:
    shown = text if len(text) <= _TEXT else text[:_TEXT] + "…"
    # Directions and controls would show something else than there is.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
