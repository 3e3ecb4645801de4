"""`tfarrow.ray`, in a Ray that is started here."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

import tfarrow
from conftest import DIGITS, command, dying_once, files, kinds, large, stored

ray = pytest.importorskip("ray")

KINDS = [
    "tfrecord", "gzip", "raw", "elwc", "events", "message", "array_record", "tfds", "tfds of array_record",
    "save", "save of dtypes", "cache", "parquet", "arrow", "stream",
]


@pytest.fixture(scope="module", autouse=True)
def engine():
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def table(dataset) -> pa.Table:
    return pa.concat_tables(ray.get(dataset.to_arrow_refs()))


def same(found: pa.Table, expected: pa.Table) -> bool:
    """Whether values and types are the same, NaN included; metadata is the engine's."""
    return found.column_names == expected.column_names and all(
        found[name].type == expected[name].type and repr(found[name].to_pylist()) == repr(expected[name].to_pylist())
        for name in expected.column_names
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_in_order(kind, data):
    source, options = kinds(data)[kind]
    expected = tfarrow.open(source, **{k: v for k, v in options.items() if k != "task_bytes"}).to_pyarrow()
    found = table(tfarrow.ray.read(source, **options))
    assert same(found, expected), (found.schema, expected.schema)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_converted_to_the_commands_files(kind, data, tmp_path):
    source, options = kinds(data)[kind]
    expected = command(source, tmp_path / "expected", options)
    done = tfarrow.ray.convert(source, tmp_path / "found", **options)
    assert files(tmp_path / "found") == expected
    assert done.parts == sum(name.startswith("part-") for name in expected)


def test_tensors_and_columns(data):
    dataset = tfarrow.ray.read(DIGITS)
    batch = dataset.take_batch(7, batch_format="numpy")
    expected = tfarrow.open(DIGITS).take(7).to_numpy()
    assert batch["pixels"].shape == (7, 64) and np.array_equal(batch["pixels"], expected["pixels"])
    assert same(table(dataset.select_columns(["label"])), tfarrow.open(DIGITS).select(["label"]).to_pyarrow())
    two = tfarrow.ray.read(DIGITS, columns=["pixels", "label"])
    assert two.schema().names == ["pixels", "label"] and two.count() == 1797
    doubled = dataset.map_batches(lambda batch: {"x": batch["label"] * 2})
    expected = tfarrow.open(DIGITS).to_numpy()["label"] * 2
    assert [row["x"] for row in doubled.take_all()] == expected.tolist()


def test_a_worker_that_is_killed_is_replaced(data, tmp_path, monkeypatch):
    source, flag = large(tmp_path), str(tmp_path / "killed")
    monkeypatch.setattr(tfarrow.ray, "_write", dying_once(tfarrow.ray._write, flag))
    tfarrow.ray.convert(source, tmp_path / "found")
    assert os.path.exists(flag)
    assert files(tmp_path / "found") == command(source, tmp_path / "expected", {})


def test_a_task_that_is_done_twice_at_once_counts_once(data, tmp_path):
    source = large(tmp_path)
    plan = tfarrow.plan(source)
    out = str(tmp_path / "found")
    write = ray.remote(lambda task: task.write(out))
    parts = ray.get([write.remote(task) for task in [*plan.tasks, *plan.tasks]])
    assert tfarrow.commit(out, plan, parts).rows == sum(part["rows"] for part in parts) // 2
    assert files(tmp_path / "found") == command(source, tmp_path / "expected", {})


def test_a_driver_that_is_killed_before_it_commits_is_run_again(tmp_path):
    source, out = large(tmp_path, 2), tmp_path / "found"
    script = f"""
import os, ray, tfarrow, tfarrow.ray
ray.init(num_cpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
tfarrow.ray.commit = lambda *_: (ray.shutdown(), os._exit(9))
tfarrow.ray.convert({source!r}, {str(out)!r})
"""
    killed = subprocess.run([sys.executable, "-c", script], env={**os.environ, "RAY_ADDRESS": ""}, check=False)
    assert killed.returncode == 9
    assert not (out / "_manifest.json").exists() and (out / "_tasks.json").exists()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert len(before) == 2
    tfarrow.ray.convert(source, out)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")} == before
    assert files(out) == command(source, tmp_path / "expected", {})


def test_inputs_that_change_and_outputs_that_exist(tmp_path):
    source = large(tmp_path, 2)
    plan = tfarrow.plan(source)
    path = pathlib.Path(source.replace("*-of-*", "00001-of-00002"))
    os.utime(path, (1, 1))
    with pytest.raises(tfarrow.Error, match="changed since it was planned.*00001-of-00002"):
        tfarrow.ray.convert(plan, tmp_path / "changed")
    assert not (tmp_path / "changed/_manifest.json").exists()
    with pytest.raises(Exception, match="changed since it was planned"):
        tfarrow.ray.read(plan).count()
        table(tfarrow.ray.read(plan))
    tfarrow.ray.convert(source, tmp_path / "found")
    with pytest.raises(tfarrow.ExistsError):
        tfarrow.ray.convert(source, tmp_path / "found")
    expected = files(tmp_path / "found")
    tfarrow.ray.convert(source, tmp_path / "found", overwrite=True)
    assert files(tmp_path / "found") == expected
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes").write_text("mine")
    with pytest.raises(tfarrow.ExistsError):
        tfarrow.ray.convert(source, tmp_path / "other")
    assert os.listdir(tmp_path / "other") == ["notes"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_from_stores_and_converted_between_them(kind, data, bucket):
    source, options = kinds(data)[kind]
    source, store = stored(bucket, source), bucket.store
    read = {k: v for k, v in options.items() if k != "task_bytes"}
    assert same(table(tfarrow.ray.read(source, store=store, **options)), tfarrow.open(source, store=store, **read).to_pyarrow())
    tfarrow.convert(source, f"{bucket.url}/expected/ray/{kind}/", store=store, **options)
    tfarrow.ray.convert(source, f"{bucket.url}/found/ray/{kind}/", store=store, **options)
    expected = bucket.objects(f"expected/ray/{kind}/")
    assert "_manifest.json" in expected and bucket.objects(f"found/ray/{kind}/") == expected


def test_a_worker_that_is_killed_between_two_stores_is_replaced(bucket, tmp_path, monkeypatch):
    large(tmp_path)
    bucket.put_folder("large", tmp_path)
    source, flag = f"{bucket.url}/large/large-*", str(tmp_path / "killed")
    tfarrow.convert(source, f"{bucket.url}/expected/killed/", store=bucket.store)
    monkeypatch.setattr(tfarrow.ray, "_write", dying_once(tfarrow.ray._write, flag))
    tfarrow.ray.convert(source, f"{bucket.url}/found/killed/", store=bucket.store)
    assert os.path.exists(flag)
    assert bucket.objects("found/killed/") == bucket.objects("expected/killed/")
