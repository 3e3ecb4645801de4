"""README's recipes for events and lists of examples, as they stand there, over files that the command made.

    check_recipes.py FOLDER

In FOLDER are scalars.parquet, of tests/golden/events, and lists.parquet, of tests/golden/other/elwc.tfrecord.
"""

import json
import math
import os
import pathlib
import sys

import pandas as pd
import polars as pl

root = pathlib.Path(__file__).parents[2]
expected = json.loads((root / "tests/golden/events/expected.json").read_text())
readme = (root / "README.md").read_text()
[recipe] = [block for block in readme.split("```python\n")[1:] if block.startswith("# TensorBoard's scalars")]
recipe = recipe.split("```")[0]

os.chdir(sys.argv[1])
printed = []
names = {"pl": pl, "pd": pd, "print": printed.append}
exec(recipe, names)

# The last value of every run and tag, as TensorBoard has them.
[last] = printed
found = {(pathlib.Path(row["file"]).name, row["tag"]): row["value"] for row in last.iter_rows(named=True)}
wanted = {}
for name, events in expected.items():
    for value in sorted(events["values"], key=lambda value: value["step"]):
        if value["plugin"] == "scalars":
            wanted[name, value["tag"]] = float(value["value"])
assert wanted and found.keys() == wanted.keys(), (found, wanted)
for key, value in wanted.items():
    assert found[key] == value or math.isnan(found[key]) and math.isnan(value), (key, found[key], value)

# A row an example, with its list's features.
rows, lists = names["rows"], pd.read_parquet("lists.parquet")
context = [name for name in lists.columns if name != "examples"]
assert context and len(rows) == sum(map(len, lists["examples"])), rows
pairs = [(row, example) for _, row in lists.iterrows() for example in row["examples"]]
for (of_list, example), (_, row) in zip(pairs, rows.iterrows(), strict=True):
    assert all(row[name] == of_list[name] for name in context), (row, of_list)
    assert all(row["example/" + name] == value for name, value in example.items()), (row, example)
