"""Object stores: the same data, the same options, and processes that fork."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import pickle
import sys

import pytest
import tfarrow

REPO = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(REPO / "tests/python"))
from local_s3 import local_s3  # noqa: E402

DIGITS = sorted(str(path) for path in (REPO / "examples/data/digits").glob("digits.tfrecord-*"))


@pytest.fixture(scope="module")
def bucket():
    """A bucket of an S3 on loopback with the digits in it: its URL and what leads to it."""
    with local_s3() as found:
        for path in DIGITS:
            found.put(f"digits/{os.path.basename(path)}", pathlib.Path(path).read_bytes())
        yield found.url, found.store


def rows(dataset):
    return [row for batch in dataset.select(["label", "pixels"]) for row in batch["label"].tolist()]


def test_a_dataset_is_what_it_is_on_the_disk(bucket):
    url, store = bucket
    here = tfarrow.open(DIGITS)
    for name in [f"{url}/digits/", f"{url}/digits/digits.tfrecord-*", [f"{url}/digits/{os.path.basename(p)}" for p in DIGITS]]:
        there = tfarrow.open(name, store=store)
        assert there.count() == 1797
        assert rows(there) == rows(here)
        assert rows(there.shard(1, 3).skip(5)) == rows(here.shard(1, 3).skip(5))
    texts = [f"{key}={str(value).lower()}" for key, value in store.items()]
    assert tfarrow.open(f"{url}/digits/", store=texts).count() == 1797


def test_what_is_written_there_is_read_from_there(bucket, tmp_path):
    url, store = bucket
    there = tfarrow.open(f"{url}/digits/", store=store)
    # What reaches the input reaches the output.
    assert there.write(f"{url}/d.parquet").rows == 1797
    with pytest.raises(tfarrow.Error, match="overwrite=True"):
        there.write(f"{url}/d.parquet")
    there.write(f"{url}/d.parquet", overwrite=True)
    assert tfarrow.open(f"{url}/d.parquet", store=store).count() == 1797
    # Of a conversion, one or the other may be here.
    assert tfarrow.convert(DIGITS, f"{url}/parts/", store=store, format="arrow").parts == 2
    assert tfarrow.convert(f"{url}/parts/", tmp_path / "d.arrow", store=store).rows == 1797
    assert tfarrow.convert(f"{url}/parts/", f"{url}/e.arrow", store=store).rows == 1797
    assert rows(tfarrow.open(tmp_path / "d.arrow")) == rows(tfarrow.open(DIGITS))
    tfarrow.write_tfrecord(there.select(["label"]), f"{url}/l.tfrecord", store=store)
    assert tfarrow.open(f"{url}/l.tfrecord", store=store).count() == 1797
    found = tfarrow.verify(f"{url}/digits/", store=store)
    assert found["damaged"] == 0
    numbers = tfarrow.report(f"{url}/digits/", f"{url}/r.html", compare=DIGITS, store=store)
    assert numbers["rows"] == 1797 and "compare" in numbers
    assert tfarrow.report(DIGITS, tmp_path / "r.json")["rows"] == 1797


def test_plans_are_done_from_store_to_store(bucket, tmp_path):
    url, store = bucket
    plan = tfarrow.plan(f"{url}/digits/", store=store, task_bytes=200_000)
    assert len(plan.tasks) > 2 and "hush" not in plan.to_json() and "hush" not in plan.tasks[0].to_json()
    out = f"{url}/planned/"
    # Another process does them, in any order, one of them twice.
    tasks = [pickle.loads(pickle.dumps(task)) for task in [*plan.tasks[::-1], plan.tasks[0]]]
    parts = [task.write(out, format="parquet") for task in tasks]
    with pytest.raises(tfarrow.Error, match="part"):
        tfarrow.commit(out, plan, parts[:1])
    tfarrow.commit(out, plan, parts)
    tfarrow.commit(out, plan, parts)
    assert rows(tfarrow.open(out, store=store)) == rows(tfarrow.open(DIGITS))
    # The files are those that one machine makes on its disk.
    tfarrow.convert(f"{url}/digits/", f"{tmp_path}/here/", store=store, task_bytes=200_000)
    for part in sorted((tmp_path / "here").glob("part-*")):
        tfarrow.convert(f"{out}{part.name}", tmp_path / "there.arrow", store=store, overwrite=True)
        tfarrow.convert(part, tmp_path / "here.arrow", overwrite=True)
        assert (tmp_path / "there.arrow").read_bytes() == (tmp_path / "here.arrow").read_bytes()
    # What was replaced since it was planned is not read.
    tfarrow.write_tfrecord(tfarrow.open(DIGITS).take(3), f"{url}/one/x.tfrecord", store=store)
    plan = tfarrow.plan(f"{url}/one/x.tfrecord", store=store)
    tfarrow.write_tfrecord(tfarrow.open(DIGITS).skip(3).take(3), f"{url}/one/x.tfrecord", store=store, overwrite=True)
    with pytest.raises(tfarrow.Error, match="changed since it was planned.*x.tfrecord"):
        plan.tasks[0].write(f"{url}/replaced/")
    with pytest.raises(tfarrow.Error):
        tfarrow.commit(f"{url}/replaced/", plan)


def test_a_dataset_goes_to_other_processes(bucket):
    url, store = bucket
    there = tfarrow.open(f"{url}/digits/", store=store)
    assert rows(pickle.loads(pickle.dumps(there))) == rows(tfarrow.open(DIGITS))
    expected = rows(there)
    # It is open here, and threads wait for the network; a child has none of them.
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(rows, [there, there], chunksize=1) == [expected, expected]
    process = multiprocessing.get_context("fork").Process(target=_read_what_is_open, args=(there, expected))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert rows(there) == expected


def _read_what_is_open(dataset, expected):
    assert rows(dataset) == expected


def test_what_is_wrong_is_told_without_secrets(bucket):
    url, store = bucket
    with pytest.raises(tfarrow.Error, match="did you mean `aws_endpoint`") as error:
        tfarrow.open(f"{url}/digits/", store={"aws_endpont": "hush"}).count()
    assert "hush" not in str(error.value)
    with pytest.raises(tfarrow.Error, match="is for s3://"):
        tfarrow.open(DIGITS, store={"aws_region": "x"}).count()
    with pytest.raises(FileNotFoundError):
        tfarrow.open(f"{url}/nothing", store=store).count()
    with pytest.raises(TypeError) as error:
        tfarrow.open(f"{url}/digits/", store=5)
    assert "5" not in str(error.value)
    signed = tfarrow.open("https://host/x.parquet?X-Amz-Signature=hush")
    assert repr(signed) == "tfarrow.Dataset(https://host/x.parquet)"
    assert "hush" not in repr(tfarrow.open(f"{url}/digits/", store=store))
    schema = json.dumps(tfarrow.open(f"{url}/digits/", store=store).element_spec)
    assert "hush" not in schema
