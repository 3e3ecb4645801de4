"""Writes the .npy files of a folder: python tests/python/make_npy.py tests/golden/npy"""

import os
import sys

import numpy as np

os.chdir(sys.argv[1])

np.save("f4_fortran.npy", np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)))
np.save("c8.npy", np.array([1 + 2j, 3 - 4j], dtype="<c8"))
np.save("bool.npy", np.array([[True, False], [False, True]]))
np.save("f8_big_endian.npy", np.arange(3, dtype=">f8"))
np.save("i8_scalar.npy", np.array(-7, dtype="<i8"))
np.save("f2_empty.npy", np.zeros((0, 5), dtype="<f2"))
np.save("strings.npy", np.array([b"a", b"bc"]))
np.save("records.npy", np.zeros(2, dtype=[("a", "<i4"), ("b", "<f4")]))
with open("i2_version2.npy", "wb") as file:
    np.lib.format.write_array(file, np.arange(-3, 3, dtype="<i2"), version=(2, 0))
