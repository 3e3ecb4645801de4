"""Plans and tasks."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest

import tfarrow


def rows(tasks) -> pa.Table:
    return pa.concat_tables([task.to_pyarrow() for task in tasks])


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_tasks_read_what_is_read_here(digits):
    plan = tfarrow.plan(digits, task_bytes=100_000)
    assert len(plan.tasks) > 2
    expected = tfarrow.open(digits).to_pyarrow()
    assert rows(plan.tasks).equals(expected)
    assert pa.schema(plan.schema) == expected.schema
    assert plan.schema.names == expected.schema.names
    first = plan.tasks[0]
    assert first.index == 0 and first.bytes <= 150_000 and "digits.tfrecord" in first.inputs[0]
    assert sum(batch.num_rows for batch in first) == first.rows == first.to_pyarrow().num_rows
    assert plan.tasks[-1].index == len(plan.tasks) - 1
    assert [task.index for task in plan.tasks[1:3]] == [1, 2]
    with pytest.raises(IndexError, match="in a plan of"):
        plan.tasks[len(plan.tasks)]


def test_columns_of_a_task(digits):
    task = tfarrow.plan(digits).tasks[1]
    expected = tfarrow.open(digits).select(["label"]).to_pyarrow()
    assert task.to_pyarrow(["label"]).equals(expected[expected.num_rows - task.to_pyarrow().num_rows :])
    with pytest.raises(tfarrow.Error, match="nosuch"):
        list(task.batches(["nosuch"]))


def test_plans_and_tasks_are_text_and_pickled(digits):
    plan = tfarrow.plan(digits, columns=["label"])
    for again in (tfarrow.Plan.from_json(plan.to_json()), pickle.loads(pickle.dumps(plan))):
        assert again.id == plan.id and rows(again.tasks).equals(rows(plan.tasks))
    task = pickle.loads(pickle.dumps(plan.tasks[1]))
    assert task.index == 1 and task.to_pyarrow().equals(plan.tasks[1].to_pyarrow())
    assert json.loads(plan.to_json())["tasks"][1]["task"] == 1
    assert "00000-of-00002" not in task.to_json()
    with pytest.raises(tfarrow.Error, match="no JSON"):
        tfarrow.Plan.from_json("{")


def test_datasets_are_planned_as_they_are_narrowed(digits):
    dataset = tfarrow.open(digits, batch_rows=100).skip(10).shard(1, 3).take(400).select(["label", "pixels"])
    assert rows(tfarrow.plan(dataset).tasks).equals(dataset.to_pyarrow())


def test_options_are_those_of_open(digits):
    with pytest.raises(TypeError, match="did you mean `columns`"):
        tfarrow.plan(digits, colums=["label"])
    with pytest.raises(tfarrow.Error, match="threads is not for `plan`"):
        tfarrow.plan(digits, threads=2)
    with pytest.raises(tfarrow.NotFoundError):
        tfarrow.plan("/nowhere/at-all")


def test_parts_are_those_of_the_command(digits, tmp_path):
    plan = tfarrow.plan(digits, task_bytes=100_000)
    out = tmp_path / "out"
    parts = [task.write(out, format="arrow", compression="zstd") for task in reversed(plan.tasks)]
    assert parts[0]["rows"] > 0 and parts[0]["name"].endswith(".arrow") and parts[0]["plan"] == plan.id
    done = tfarrow.commit(out, plan, json.loads(json.dumps(parts)))
    assert (done.rows, done.parts) == (1797, len(plan.tasks))
    expected = tmp_path / "expected"
    tfarrow.convert(digits, f"{expected}/", format="arrow", compression="zstd", task_bytes=100_000)
    assert files(out) == files(expected)
    # Once more, as a driver does that does not know.
    assert tfarrow.commit(out, plan, parts).rows == 1797
    assert tfarrow.commit(out, plan).rows == 1797


def test_missing_and_foreign_parts_are_refused(digits, tmp_path):
    plan = tfarrow.plan(digits)
    parts = [task.write(tmp_path / "out") for task in plan.tasks]
    with pytest.raises(tfarrow.NotFoundError, match="1 of 2 tasks, 1"):
        tfarrow.commit(tmp_path / "out", plan, parts[:1])
    other = tfarrow.plan(digits, columns=["label"])
    foreign = [task.write(tmp_path / "other") for task in other.tasks]
    with pytest.raises(tfarrow.Error, match="another plan"):
        tfarrow.commit(tmp_path / "out", plan, [parts[0], foreign[1]])
    with pytest.raises(tfarrow.ExistsError):
        other.tasks[0].write(tmp_path / "out")
    assert not (tmp_path / "out/_manifest.json").exists()


def test_an_input_that_changed_is_refused(digits, tmp_path):
    source = digits.replace("*-of-*", "00000-of-00002")
    path = tmp_path / "x.tfrecord"
    shutil.copy(source, path)
    task = tfarrow.plan(path).tasks[0]
    os.utime(path, (1, 1))
    for do in (lambda: list(task), lambda: task.write(tmp_path / "out")):
        with pytest.raises(tfarrow.Error, match="changed since it was planned") as caught:
            do()
        assert caught.value.source == str(path)
    path.unlink()
    with pytest.raises(tfarrow.NotFoundError):
        list(task)


def test_plans_are_made_anywhere(digits, tmp_path):
    # Relative names are those of where the plan was made.
    folder = pathlib.Path(digits).parent
    script = "import tfarrow, sys; sys.stdout.write(tfarrow.plan('digits.tfrecord-*-of-*').to_json())"
    text = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    plan = tfarrow.Plan.from_json(text.stdout)
    assert sum(task.to_pyarrow().num_rows for task in plan.tasks) == 1797


def test_live_pipelines_have_no_tasks(tf):
    with pytest.raises(tfarrow.Error, match="no tasks"):
        tfarrow.plan(tfarrow.from_dataset(tf.data.Dataset.range(3)))


def test_engines_are_imported_when_they_are_used(digits, tmp_path):
    script = f"""
import sys, tfarrow
assert "ray" not in sys.modules and "pyspark" not in sys.modules and "tfarrow.ray" not in sys.modules
sys.modules["ray"] = sys.modules["pyspark"] = None
for use, name in [
    (lambda: tfarrow.ray.read({digits!r}), "ray"),
    (lambda: tfarrow.ray.convert({digits!r}, "x"), "ray"),
    (lambda: tfarrow.spark.register(None), "pyspark"),
    (lambda: tfarrow.spark.convert(None, {digits!r}, "x"), "pyspark"),
]:
    try:
        use()
    except ImportError as error:
        assert f"pip install {{name}}" in str(error), error
    else:
        raise SystemExit(name)
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
