"""A table of pandas with an index: made, and compared with what tfarrow made of it.

    pandas_index.py make FOLDER
    pandas_index.py check FOLDER
"""

import pathlib
import sys

import numpy as np
import pandas as pd

index = pd.date_range("2024-01-01", periods=3, name="at", tz="Europe/Berlin")
frame = pd.DataFrame({"x": [0.1, 2.5, -1.0], "y": [1, 2, 3], "w": pd.Categorical(["a", "b", "a"])}, index=index)
mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
if mode == "make":
    frame.to_parquet(folder / "in.parquet")
else:
    for name, expected in [
        ("all", frame),
        ("some", frame.drop(columns="x")),
        ("renamed", frame.rename(columns={"x": "z"})),
        ("cast", frame.astype({"x": np.float32})),
        ("without", frame[["x"]].reset_index(drop=True)),
    ]:
        for extension, read in [("parquet", pd.read_parquet), ("arrow", pd.read_feather)]:
            found = read(folder / f"{name}.{extension}")
            pd.testing.assert_frame_equal(found, expected, check_freq=False)
