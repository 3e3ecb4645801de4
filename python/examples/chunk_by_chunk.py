"""Batch by batch: each column a view of Arrow's memory, nothing kept."""

import sys

import numpy as np
import tfarrow

total = np.zeros(64)
rows = 0
for batch in tfarrow.open(sys.argv[1], columns=["pixels"], batch_rows=256):
    pixels = batch["pixels"]  # (256, 64), read-only, not copied
    total += pixels.sum(axis=0)
    rows += batch.num_rows
print(rows, "rows; the mean digit:")
print((total / rows).reshape(8, 8).round(1))
