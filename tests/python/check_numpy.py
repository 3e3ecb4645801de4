"""Checks that numpy.load sees what tests/numpy.rs wrote: check_numpy.py FOLDER."""

import pathlib
import sys
import zipfile

import ml_dtypes
import numpy as np

ROWS = np.arange(15).reshape(5, 3)
TEXT = np.array([b"x" * i for i in range(5)], "S8")
PAIRS = np.array([bytes([97 + i]) for i in range(10)], "S8").reshape(5, 2)
EXPECTED = {
    **{name: ROWS.astype(name) for name in "i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8".split()},
    "bf16": ROWS.astype(ml_dtypes.bfloat16),
    "c8": (ROWS - 1j).astype("c8"),
    "c16": (ROWS - 1j).astype("c16"),
    "bits": ROWS % 2 == 1,
    "bytes": ROWS % 2 == 1,
    "scalar": np.arange(5),
    "complex/scalar": (np.arange(5) + 1j).astype("c8"),
    "deep": np.arange(30, dtype="f4").reshape(5, 2, 1, 3),
    "none": np.zeros((5, 0, 2), "f4"),
    "text": TEXT,
    "pairs": PAIRS,
}


def check(where, name, array):
    expected = EXPECTED[name]
    if name == "bf16":
        assert array.dtype == np.dtype("V2"), (where, array.dtype)
        array = array.view(ml_dtypes.bfloat16)
    assert array.dtype == expected.dtype, (where, name, array.dtype)
    assert array.shape == expected.shape, (where, name, array.shape)
    assert (np.asarray(array) == expected).all(), (where, name, array)


folder = pathlib.Path(sys.argv[1])
for name in EXPECTED:
    path = folder / (name.replace("/", "-") + ".npy")
    check("npy", name, np.load(path))
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap) and mapped.offset % 64 == 0
    check("npy, mapped", name, mapped)
    check("npyd, mapped", name, np.load(folder / "all.npyd" / f"{name}.npy", mmap_mode="r"))

files = sorted(str(p.relative_to(folder / "all.npyd")) for p in (folder / "all.npyd").rglob("*.npy"))
assert files == sorted(f"{name}.npy" for name in EXPECTED), files

for archive, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
    path = folder / f"{archive}.npz"
    if not path.exists():
        continue
    with np.load(path) as arrays:
        assert list(arrays) == list(EXPECTED), list(arrays)
        for name in EXPECTED:
            check(archive, name, arrays[name])
    with zipfile.ZipFile(path) as members:
        assert members.testzip() is None
        assert all(member.compress_type == method for member in members.infolist())
