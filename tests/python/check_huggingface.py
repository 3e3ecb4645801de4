"""The recipe of docs/python.md for Hugging Face's `datasets`, over the digits.

    check_huggingface.py DIGITS    # a glob of TFRecord files
"""

import sys

import datasets
import pyarrow as pa
import tfarrow

datasets.disable_progress_bars()
path = sys.argv[1]
digits = datasets.Dataset(pa.table(tfarrow.open(path, tensor_layout="nested")))

assert digits.num_rows == 1797 and sum(digits["label"]) == 8070, digits
assert digits.column_names == ["image", "label", "pixels", "writer"], digits
first = next(iter(tfarrow.open(path)))
assert digits[0]["pixels"] == first["pixels"][0].tolist()
assert digits[0]["image"] == first["image"][0]
assert digits.with_format("numpy")[:3]["pixels"].tolist() == first["pixels"][:3].tolist()
assert digits.filter(lambda row: row["label"] == 3).num_rows == 183
