"""`tfarrow.spark`, in a Spark that is started here."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

import tfarrow
from conftest import DIGITS, command, dying_once, files, kinds, large, stored

pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402

KINDS = [
    "tfrecord", "gzip", "raw", "elwc", "events", "message", "array_record", "tfds", "tfds of array_record",
    "save", "save of dtypes", "cache", "parquet", "arrow", "stream",
]

SESSION = """
def session(SparkSession, python):
    import os
    os.environ["PYSPARK_PYTHON"] = python
    builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    return builder.config("spark.log.level", "OFF").getOrCreate()
"""
exec(SESSION)


@pytest.fixture(scope="module")
def spark():
    found = session(SparkSession, sys.executable)  # noqa: F821
    tfarrow.spark.register(found)
    yield found
    found.stop()


def load(spark, source, options):
    reader = spark.read.format("tfarrow")
    for key, value in options.items():
        reader = reader.option(key, ",".join(value) if isinstance(value, list) else str(value))
    return reader.load(source)


def plain(value):
    """A value as Python has it, whoever gives it."""
    if hasattr(value, "asDict"):
        return {key: plain(item) for key, item in value.asDict().items()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytearray):
        return bytes(value)
    # Of float64, Spark's own; NaN is itself.
    return "NaN" if isinstance(value, float) and value != value else value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_in_order(kind, data, spark):
    source, options = kinds(data)[kind]
    read = {k: v for k, v in options.items() if k != "task_bytes"}
    expected = tfarrow.open(source, **read).to_pyarrow()
    found = load(spark, source, options)
    assert found.columns == expected.column_names
    assert [plain(row) for row in found.collect()] == [plain(row) for row in expected.to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_converted_to_the_commands_files(kind, data, spark, tmp_path):
    source, options = kinds(data)[kind]
    expected = command(source, tmp_path / "expected", options)
    tfarrow.spark.convert(spark, source, tmp_path / "found", **options)
    assert files(tmp_path / "found") == expected


def test_shapes_stand_in_the_metadata_and_options_are_checked(spark, tmp_path):
    frame = load(spark, DIGITS, {"columns": "pixels,label"})
    assert frame.dtypes == [("pixels", "array<float>"), ("label", "bigint")]
    assert frame.schema["pixels"].metadata["tf.shape"] == "[64]"
    frame.write.parquet(str(tmp_path / "out"))
    again = spark.read.parquet(str(tmp_path / "out"))
    assert again.schema["pixels"].metadata["tf.shape"] == "[64]" and again.count() == 1797
    with pytest.raises(Exception, match="no option"):
        load(spark, DIGITS, {"colums": "label"}).collect()


def test_a_worker_that_is_killed_is_replaced(spark, tmp_path, monkeypatch):
    source, flag = large(tmp_path), str(tmp_path / "killed")
    monkeypatch.setattr(tfarrow.spark, "_write", dying_once(tfarrow.spark._write, flag))
    tfarrow.spark.convert(spark, source, tmp_path / "found")
    assert os.path.exists(flag)
    assert files(tmp_path / "found") == command(source, tmp_path / "expected", {})


def test_a_driver_that_is_killed_before_it_commits_is_run_again(spark, tmp_path):
    source, out = large(tmp_path, 2), tmp_path / "found"
    script = f"""
import os, sys, tfarrow, tfarrow.spark
from pyspark.sql import SparkSession
{SESSION}
spark = session(SparkSession, sys.executable)
tfarrow.spark.commit = lambda *_: os._exit(9)
tfarrow.spark.convert(spark, {source!r}, {str(out)!r})
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert not (out / "_manifest.json").exists() and len(list(out.glob("part-*"))) == 2
    tfarrow.spark.convert(spark, source, out)
    assert files(out) == command(source, tmp_path / "expected", {})


def test_inputs_that_change_and_outputs_that_exist(spark, tmp_path):
    source = large(tmp_path, 2)
    plan = tfarrow.plan(source)
    os.utime(pathlib.Path(source.replace("*-of-*", "00001-of-00002")), (1, 1))
    with pytest.raises(Exception, match="changed since it was planned"):
        tfarrow.spark.convert(spark, plan, tmp_path / "changed")
    assert not (tmp_path / "changed/_manifest.json").exists()
    tfarrow.spark.convert(spark, source, tmp_path / "found")
    with pytest.raises(tfarrow.ExistsError):
        tfarrow.spark.convert(spark, source, tmp_path / "found")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes").write_text("mine")
    with pytest.raises(Exception, match="not empty"):
        tfarrow.spark.convert(spark, source, tmp_path / "other")
    assert os.listdir(tmp_path / "other") == ["notes"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_from_stores_and_converted_between_them(kind, data, bucket, spark):
    source, options = kinds(data)[kind]
    source, store = stored(bucket, source), bucket.store
    read = {k: v for k, v in options.items() if k != "task_bytes"}
    settings = {f"store.{name}": str(value).lower() for name, value in store.items()}
    found = load(spark, source, {**options, **settings})
    expected = tfarrow.open(source, store=store, **read).to_pyarrow()
    assert [plain(row) for row in found.collect()] == [plain(row) for row in expected.to_pylist()]
    tfarrow.convert(source, f"{bucket.url}/expected/spark/{kind}/", store=store, **options)
    tfarrow.spark.convert(spark, source, f"{bucket.url}/found/spark/{kind}/", store=store, **options)
    expected = bucket.objects(f"expected/spark/{kind}/")
    assert "_manifest.json" in expected and bucket.objects(f"found/spark/{kind}/") == expected


def test_a_worker_that_is_killed_between_two_stores_is_replaced(bucket, spark, tmp_path, monkeypatch):
    large(tmp_path)
    bucket.put_folder("large", tmp_path)
    source, flag = f"{bucket.url}/large/large-*", str(tmp_path / "killed")
    tfarrow.convert(source, f"{bucket.url}/expected/spark-killed/", store=bucket.store)
    monkeypatch.setattr(tfarrow.spark, "_write", dying_once(tfarrow.spark._write, flag))
    tfarrow.spark.convert(spark, source, f"{bucket.url}/found/spark-killed/", store=bucket.store)
    assert os.path.exists(flag)
    assert bucket.objects("found/spark-killed/") == bucket.objects("expected/spark-killed/")
