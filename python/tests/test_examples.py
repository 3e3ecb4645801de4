"""The examples run, and say what they should."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLES = sorted((pathlib.Path(__file__).parents[1] / "examples").glob("*.py"))
SAYS = {
    "whole_dataset": "(1797, 64) float16",
    "chunk_by_chunk": "1797 rows",
    "dictionary": "183 threes",
    "first_batches": "32 [0 1 2 3 4 5 6 7 8 9]",
    "larger_than_memory": "memmap (1797, 64)",
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, digits):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, str(path), digits], capture_output=True, text=True, env=environment, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert SAYS[path.stem] in found.stdout


def test_the_examples_are_typed():
    mypy = pytest.importorskip("mypy.api")
    out, errors, code = mypy.run(["--strict", "--ignore-missing-imports", *map(str, EXAMPLES)])
    assert code == 0, out + errors
