"""Reports: a page, and its numbers."""

from __future__ import annotations

import html.parser

import numpy as np
import pytest
import tfarrow
from conftest import DIGITS_ROWS


def test_numbers_are_those_of_numpy(digits, tmp_path):
    found = tfarrow.report(digits, tmp_path / "r.html", progress=False)
    assert found["rows"] == DIGITS_ROWS
    columns = {column["name"]: column for column in found["columns"]}
    arrays = tfarrow.open(digits).to_numpy()
    pixels = columns["pixels"]
    assert pixels["min"] == arrays["pixels"].min() and pixels["max"] == arrays["pixels"].max()
    assert pixels["mean"] == pytest.approx(float(arrays["pixels"].mean(dtype=np.float64)))
    assert pixels["std"] == pytest.approx(float(arrays["pixels"].std(dtype=np.float64)), rel=1e-3)
    assert pixels["zeros"] == int((arrays["pixels"] == 0).sum())
    page = (tmp_path / "r.html").read_text()
    assert page.startswith("<!doctype html>") and len(page) < 2_000_000
    with pytest.raises(FileExistsError):
        tfarrow.report(digits, tmp_path / "r.html")
    tfarrow.report(digits, tmp_path / "r.html", overwrite=True, rows=10, title="<b>ten</b>")
    assert "<b>ten" not in (tmp_path / "r.html").read_text()


def test_two_datasets_side_by_side(digits):
    ds = tfarrow.open(digits, columns=["label", "pixels"])
    found = tfarrow.report(ds.take(500), compare=ds.skip(500))
    assert {column["name"] for column in found["compare"]["columns"]} == {"label", "pixels"}


def test_live_datasets_too(tf):
    found = tfarrow.report(tfarrow.from_dataset(tf.data.Dataset.range(100)))
    assert found["rows"] == 100 and found["columns"][0]["max"] == 99


class Texts(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_a_notebook_shows_the_first_rows(digits, tf, tmp_path):
    shown = Texts()
    shown.feed(tfarrow.open(digits)._repr_html_())
    assert shown.tags.count("img") == 5 and "writer-00" in shown.text and "tfarrow.report" in shown.text
    # Nothing of the data is markup.
    hostile = ["<script>alert(1)</script>", "\u202e\x1b[31m", "&amp;<img src=x>"]
    shown = Texts()
    live = tfarrow.from_dataset(tf.data.Dataset.from_tensor_slices({"<b>": hostile}), utf8=["<b>"])
    shown.feed(live._repr_html_())
    assert "script" not in shown.tags and "img" not in shown.tags and "b" not in shown.tags
    assert "\u202e" not in shown.text and "\x1b" not in shown.text
    assert "cannot open" in tfarrow.open("/nowhere")._repr_html_()
