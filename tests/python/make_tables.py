"""Writes tables as pandas and pyarrow write them.

    make_tables.py FOLDER
"""

import pathlib
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

folder = pathlib.Path(sys.argv[1])
frame = pd.DataFrame({"n": [1, 2, 3], "text": ["a", None, "é"], "when": pd.Timestamp("2024-01-01")})
frame.to_parquet(folder / "pandas.parquet")
frame.to_feather(folder / "pandas.feather")

tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12, dtype=np.float32).reshape(3, 2, 2))
table = pa.table({
    "n": pa.array([1, 2, 3], pa.int64()),
    "text": pa.array(["a", None, "é"], pa.large_string()),
    "tensor": tensor,
    "list": pa.array([[1, 2], [], None], pa.large_list(pa.int64())),
    "words": pa.array(["x", "y", "x"]).dictionary_encode(),
})
pq.write_table(table, folder / "pyarrow.parquet")
with pa.ipc.new_file(folder / "pyarrow.arrow", table.schema) as writer:
    writer.write_table(table)
with pa.ipc.new_stream(folder / "pyarrow.arrows", table.schema) as writer:
    writer.write_table(table)
