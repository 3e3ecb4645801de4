"""Writing, converting, verifying."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tfarrow
from conftest import DIGITS_ROWS, ROOT


@pytest.mark.parametrize("name", ["d.parquet", "d.arrow", "d.arrows", "d.feather"])
def test_files_hold_what_was_read(digits, tmp_path, name):
    ds = tfarrow.open(digits)
    summary = ds.write(tmp_path / name)
    assert summary.rows == DIGITS_ROWS
    assert summary.bytes_written == (tmp_path / name).stat().st_size
    again = tfarrow.open(tmp_path / name).to_pyarrow().combine_chunks()
    assert again.equals(ds.to_pyarrow().combine_chunks())


def test_other_readers_open_them(digits, tmp_path):
    ds = tfarrow.open(digits).select(["label", "pixels"]).skip(5).take(20)
    ds.write(tmp_path / "d.parquet", compression="zstd:9")
    assert pq.read_table(tmp_path / "d.parquet") == ds.to_pyarrow().combine_chunks()
    ds.select(["pixels"]).write(tmp_path / "p.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), ds.to_numpy()["pixels"])


def test_an_output_is_not_replaced_unasked(digits, tmp_path):
    ds = tfarrow.open(digits, columns=["label"])
    ds.write(tmp_path / "d.parquet")
    with pytest.raises(FileExistsError) as caught:
        ds.write(tmp_path / "d.parquet")
    assert caught.value.kind == "already_exists"
    ds.write(tmp_path / "d.parquet", overwrite=True)


def test_a_folder_of_parts(digits, tmp_path):
    summary = tfarrow.open(digits).write(f"{tmp_path}/parts/", rows_per_file=1000)
    assert (summary.rows, summary.parts) == (DIGITS_ROWS, 2)
    assert sorted(os.listdir(tmp_path / "parts"))[0] == "_manifest.json"
    assert tfarrow.open(tmp_path / "parts").count() == DIGITS_ROWS


def test_convert_takes_names_datasets_and_arrow_data(digits, tmp_path):
    tfarrow.convert(digits, tmp_path / "a.parquet", columns=["label"], compression="snappy")
    tfarrow.convert(tfarrow.open(digits), tmp_path / "b.parquet", columns=["label"])
    tfarrow.convert(pq.read_table(tmp_path / "a.parquet"), tmp_path / "c.parquet")
    tables = [pq.read_table(tmp_path / f"{name}.parquet")["label"].to_pylist() for name in "abc"]
    assert tables[0] == tables[1] == tables[2] and len(tables[0]) == DIGITS_ROWS


def test_any_arrow_data_becomes_tfrecord(tf, tmp_path):
    import polars as pl

    table = pa.table({"x": [1, 2, 3], "y": pa.array([[1.0], [], [2.0, 3.0]], pa.list_(pa.float32())), "s": ["a", "b", "c"]})
    for number, data in enumerate([table, table.to_reader(), pl.DataFrame(table), table.to_pandas()]):
        path = str(tmp_path / f"{number}.tfrecord")
        assert tfarrow.write_tfrecord(data, path).rows == 3
        records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(path)]
        features = records[2].features.feature
        assert features["x"].int64_list.value == [3]
        assert features["y"].float_list.value == [2.0, 3.0]
        assert features["s"].bytes_list.value == [b"c"]
    tfarrow.write_tfrecord(table, tmp_path / "z.tfrecord.gz")
    assert sum(1 for _ in tf.data.TFRecordDataset(str(tmp_path / "z.tfrecord.gz"), "GZIP")) == 3
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        tfarrow.write_tfrecord([1, 2], tmp_path / "no.tfrecord")


def test_hints_about_arrow_data_can_be_followed(tf, tmp_path):
    table = pa.table({"x": [0.25, 1.5], "n": [1, 2], "t": pa.array([0, 1], pa.timestamp("s"))})
    out = tmp_path / "x.tfrecord"
    with pytest.raises(tfarrow.Error) as refused:
        tfarrow.write_tfrecord(table.drop_columns("t"), out)
    assert 'cast={"x": "float32"}' in str(refused.value)
    with pytest.raises(tfarrow.Error) as refused:
        tfarrow.write_tfrecord(table, out, cast={"x": "float32"})
    assert "with exclude" in str(refused.value) and "`t`" in str(refused.value)
    done = tfarrow.write_tfrecord(table, out, cast={"x": "float32"}, exclude=["t"], rename={"n": "count"})
    assert (done.rows, out.exists()) == (2, True)
    records = tf.data.TFRecordDataset(str(out))
    parsed = [tf.train.Example.FromString(record.numpy()).features.feature for record in records]
    assert all(set(features) == {"count", "x"} for features in parsed)
    assert [features["x"].float_list.value[0] for features in parsed] == [0.25, 1.5]
    assert [features["count"].int64_list.value[0] for features in parsed] == [1, 2]
    # What a table does not heed is refused by name.
    with pytest.raises(tfarrow.Error, match="feature"):
        tfarrow.convert(table, tmp_path / "x.parquet", features={"x": "float32"})
    with pytest.raises(TypeError, match="columns"):
        tfarrow.convert(table, tmp_path / "x.parquet", colums=["x"])


def test_live_pipelines_are_written_too(tf, tmp_path):
    ds = tf.data.Dataset.range(5).map(lambda i: {"i": i, "v": tf.range(i)})
    tfarrow.from_dataset(ds).write(tmp_path / "live.parquet")
    assert pq.read_table(tmp_path / "live.parquet")["v"].to_pylist() == [[], [0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_damage_is_passed_over_and_counted(digits, tmp_path):
    data = bytearray(open(sorted(glob.glob(digits))[0], "rb").read())
    data[1000] ^= 1
    bad = tmp_path / "bad.tfrecord"
    bad.write_bytes(data)
    summary = tfarrow.open(bad, on_error="skip").write(tmp_path / "d.parquet")
    assert (summary.rows, summary.skipped) == (897, 1)
    found = tfarrow.verify(bad)
    assert "corrupt" in str(found)
    with pytest.raises(tfarrow.Error):
        tfarrow.open(bad).write(tmp_path / "e.parquet")
    assert not list(tmp_path.glob("*e.parquet*"))


def test_sound_files_are_said_to_be(digits):
    found = tfarrow.verify(digits)
    assert str(DIGITS_ROWS // 2) in str(found) or str(DIGITS_ROWS) in str(found)


def test_ctrl_c_leaves_nothing_behind(digits, tmp_path):
    code = f"""
        import os, signal, threading, tfarrow
        ds = tfarrow.open([{digits!r}] * 400)
        def interrupt(*_):
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.5, interrupt).start()
        try:
            ds.write({str(tmp_path / "out.parquet")!r})
        except KeyboardInterrupt:
            print("interrupted", os.listdir({str(tmp_path)!r}))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert found.stdout == "interrupted []\n", found.stderr
    assert signal.SIGINT


def test_progress_is_told():
    from tfarrow._write import _Bar

    lines = []
    bar = _Bar(lines.append)
    bar(10, 100, 5)
    assert not lines
    bar.started -= 10
    bar(50_000_000, 100_000_000, 1234)
    assert "50%" in lines[0] and "1,234 rows" in lines[0] and "10 s left" in lines[0]
    bar.finish()
