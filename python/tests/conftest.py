"""What the tests share: the repository's data, and datasets that TensorFlow makes."""

from __future__ import annotations

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = str(ROOT / "examples/data/digits/digits.tfrecord-*-of-*")
DIGITS_ROWS = 1797


@pytest.fixture(scope="session")
def digits() -> str:
    return DIGITS


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    return ROOT / "tests/golden"


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow")
