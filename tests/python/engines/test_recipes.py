"""The recipes of docs/clusters.md for processes, Dask and Daft, as they stand there."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

import tfarrow
from conftest import ROOT, files

PAGE = (ROOT / "docs/clusters.md").read_text()
[SECTION] = [part for part in PAGE.split("\n## ") if part.startswith("Processes, Dask and Daft")]
RECIPES = [block.split("```")[0] for block in SECTION.split("```python\n")[1:]]

# What is looked at behind recipes that read.
READ = {
    "dask.dataframe": """
expected = tfarrow.open("train-*.tfrecord").to_pandas()
assert len(df) == 1797 and df.npartitions == 2
assert df.label.compute().tolist() == expected.label.tolist()
assert df.groupby("label").size().compute().to_dict() == expected.groupby("label").size().to_dict()
""",
    "DataSource": """
expected = tfarrow.open("train-*.tfrecord").to_pyarrow()
found = df.to_pydict()
assert found["label"] == expected["label"].to_pylist() and found["writer"] == expected["writer"].to_pylist()
assert all((a == b).all() for a, b in zip(found["pixels"], tfarrow.open("train-*.tfrecord").to_numpy()["pixels"]))
assert df.select("label").to_pydict() == {"label": found["label"]}
assert df.count_rows() == 1797 and len(df.limit(3).to_pydict()["label"]) == 3
""",
}


def recipe(part: str) -> str:
    [found] = [recipe for recipe in RECIPES if part in recipe]
    return found


def run(text: str, folder: pathlib.Path) -> None:
    """Runs a recipe as a script, where it finds `train-*.tfrecord`."""
    for shard in range(2):
        digits = ROOT / f"examples/data/digits/digits.tfrecord-0000{shard}-of-00002"
        (folder / f"train-{shard}.tfrecord").symlink_to(digits)
    script = folder / "recipe.py"
    script.write_text(text.replace("/shared/", f"{folder}/"))
    environment = {**os.environ, "DAFT_ANALYTICS_ENABLED": "0", "DO_NOT_TRACK": "true"}
    done = subprocess.run([sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_recipe_is_run():
    assert len(RECIPES) == 5 and all(any(mark in text for mark in [*READ, "commit"]) for text in RECIPES)


@pytest.mark.parametrize("part", ["ProcessPoolExecutor", "dask.distributed", "@daft.func"])
def test_a_dataset_is_converted_as_on_one_machine(part, tmp_path):
    run(recipe(part), tmp_path)
    here = tmp_path / "here"
    tfarrow.convert(str(tmp_path / "train-*.tfrecord"), f"{here}/", format="parquet")
    found, expected = files(tmp_path / "train"), files(here)
    # Where the input was is in the manifest, as it was named.
    assert found.pop("_manifest.json") and expected.pop("_manifest.json")
    assert found == expected


@pytest.mark.parametrize("part", READ)
def test_a_dataset_is_read(part, tmp_path):
    run(recipe(part) + READ[part], tmp_path)


def test_dask_does_the_task_of_a_worker_that_is_killed_again(tmp_path):
    dies_once = """
    import os
    if task.index == 1 and not os.path.exists("/shared/killed"):
        open("/shared/killed", "x").close()
        os.kill(os.getpid(), 9)
    return task.write("""
    text = recipe("dask.distributed").replace("\n    return task.write(", dies_once)
    run(text, tmp_path)
    assert (tmp_path / "killed").exists()
    assert tfarrow.open(str(tmp_path / "train/")).count() == 1797
