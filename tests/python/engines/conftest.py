"""Datasets of every kind, for the engines."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import threading
from collections.abc import Iterator

import pytest

import tfarrow

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/python"))
from local_s3 import Bucket, local_s3  # noqa: E402

DIGITS = str(ROOT / "examples/data/digits/digits.tfrecord-*-of-*")
GOLDEN = ROOT / "tests/golden"


def kinds(folder: pathlib.Path) -> dict[str, tuple[str, dict[str, object]]]:
    """A dataset of each kind, and the options without which it is not read."""
    for name in ("digits.parquet", "digits.arrow", "digits.arrows"):
        if not (folder / name).exists():
            tfarrow.convert(DIGITS, folder / name, row_group_rows=500 if name.endswith("parquet") else None)
    return {
        "tfrecord": (DIGITS, {"task_bytes": 100_000}),
        "gzip": (str(GOLDEN / "examples/gzip.tfrecord.gz"), {}),
        "raw": (DIGITS, {"record": "raw"}),
        "elwc": (str(GOLDEN / "other/elwc.tfrecord"), {}),
        "events": (str(GOLDEN / "events/events.out.tfevents.tensorboardx"), {}),
        "message": (
            str(GOLDEN / "other/elwc.tfrecord"),
            {"record": "elwc", "columns": ["examples"]},
        ),
        "array_record": (
            str(GOLDEN / "array_record/many_small.array_record"),
            {"record": "raw", "task_bytes": 500},
        ),
        "tfds": (str(GOLDEN / "tfds/wide_tfrecord"), {"split": "all"}),
        "tfds of array_record": (str(GOLDEN / "tfds/wide_array_record"), {"split": "all"}),
        "save": (str(GOLDEN / "saved/shards3"), {}),
        "save of dtypes": (str(GOLDEN / "saved/dtypes_2x4"), {}),
        "cache": (str(GOLDEN / "cache/dict"), {}),
        "parquet": (str(folder / "digits.parquet"), {}),
        "arrow": (str(folder / "digits.arrow"), {"task_bytes": 50_000}),
        "stream": (str(folder / "digits.arrows"), {}),
    }


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(source: str, output: pathlib.Path, options: dict[str, object]) -> dict[str, bytes]:
    """What one machine makes."""
    tfarrow.convert(source, f"{output}/", **options)
    return files(output)


def large(folder: pathlib.Path, shards: int = 3) -> str:
    """Shards that take a while to convert."""
    bytes_ = pathlib.Path(DIGITS.replace("*-of-*", "00000-of-00002")).read_bytes()
    for shard in range(shards):
        (folder / f"large-{shard:05}-of-{shards:05}").write_bytes(bytes_ * 60)
    return str(folder / "large-*-of-*")


def dying_once(write, flag: str):
    """`write` of a task, but the worker that first does the second task is killed in the middle of it."""

    def dies_once(task, folder, writing, threads):
        if task.index == 1 and not os.path.exists(flag):
            with open(flag, "x"):
                pass
            threading.Timer(0.05, os._exit, (1,)).start()
        return write(task, folder, writing, threads)

    return dies_once


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("data")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """An S3 on loopback."""
    with local_s3() as found:
        yield found


def stored(bucket: Bucket, source: str) -> str:
    """The URL of a dataset that is put there."""
    path = pathlib.Path(source)
    if path.is_dir():
        bucket.put_folder(path.name, path)
        return f"{bucket.url}/{path.name}/"
    for file in path.parent.glob(path.name if "*" in path.name else f"{path.name}*"):
        bucket.put(f"{path.parent.name}/{file.name}", file.read_bytes())
    return f"{bucket.url}/{path.parent.name}/{path.name}"
