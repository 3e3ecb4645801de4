"""A whole dataset as one array a column, and as a frame."""

import sys

import tfarrow

ds = tfarrow.open(sys.argv[1])
print(ds.schema)

arrays = ds.to_numpy(cast={"float32": "float16"})
pixels, label = arrays["pixels"], arrays["label"]
print(pixels.shape, pixels.dtype, label.mean())

frame = ds.select(["label", "writer"]).to_pandas()
print(frame.groupby("label").size())
