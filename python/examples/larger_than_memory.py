"""More data than memory: converted in pieces, then opened where it lies."""

import sys
import tempfile

import numpy as np
import tfarrow

with tempfile.TemporaryDirectory() as folder:
    # A folder of part files, in as much memory as a few batches take.
    summary = tfarrow.convert(sys.argv[1], f"{folder}/digits.npyd", columns=["label", "pixels"], progress=False)
    print(summary)
    pixels = np.load(f"{folder}/digits.npyd/pixels.npy", mmap_mode="r")
    print(type(pixels).__name__, pixels.shape, pixels[1000].mean())
