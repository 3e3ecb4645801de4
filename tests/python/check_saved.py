"""Loads the `back_*` folders beside those of make_saved.py: spec and elements must be the same.

    check_saved.py FOLDER
"""

import json
import pathlib
import sys

import tensorflow as tf

from make_saved import encode


def main():
    checked = 0
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        expected = json.loads((folder / "expected.json").read_text())
        spec = tf.data.Dataset.load(str(folder / "data")).element_spec
        for compression in [None, "GZIP", "SNAPPY"]:
            path = str(folder / f"back_{(compression or 'none').lower()}")
            back = tf.data.Dataset.load(path, compression=compression)
            assert back.element_spec == spec, f"{path}: spec {back.element_spec}, expected {spec}"
            elements = json.loads(json.dumps([encode(e) for e in back]))
            assert elements == expected["elements"], f"{path}: {elements} != {expected['elements']}"
            checked += 1
    assert checked > 0
    print(f"{checked} saves are the same")


main()
