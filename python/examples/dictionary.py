"""A dictionary of arrays, as `tf.data` users keep them: one entry a column."""

import sys

import tfarrow

data = {name: column for name, column in tfarrow.open(sys.argv[1]).select(["label", "pixels"]).to_numpy().items()}
for name, column in data.items():
    print(name, column.shape, column.dtype)
threes = data["pixels"][data["label"] == 3]
print(len(threes), "threes")
