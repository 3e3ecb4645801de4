"""Opening, narrowing, counting."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tfarrow
from conftest import DIGITS_ROWS


def test_a_glob_is_a_dataset(digits):
    ds = tfarrow.open(digits)
    assert ds.count() == DIGITS_ROWS
    assert ds.schema.names == ["image", "label", "pixels", "writer"]
    assert ds.kind == "TFRecord files of tf.train.Example"
    assert len(ds.partitions) == 2 and ds.partitions[0].bytes == 424920
    assert ds.element_spec["dict"]["pixels"] == {"tensor": {"dtype": "float32", "shape": [64]}}
    # Re-iterable, and every batch but the last is full.
    for _ in range(2):
        assert [batch.num_rows for batch in ds] == [1024, 773]


def test_nothing_is_opened_before_it_is_asked(tmp_path):
    ds = tfarrow.open(str(tmp_path / "later"))
    with pytest.raises(FileNotFoundError):
        ds.count()


def test_inputs_are_paths_and_lists_of_them(digits, tmp_path):
    import glob
    import pathlib

    files = sorted(glob.glob(digits))
    assert tfarrow.open([pathlib.Path(file) for file in files]).count() == DIGITS_ROWS
    assert tfarrow.open(files[::-1]).take(1).to_pyarrow() == tfarrow.open(files[1]).take(1).to_pyarrow()


LABELS = None


def labels(ds):
    return [int(label) for batch in ds for label in batch["label"]]


@pytest.mark.parametrize(
    ("narrow", "rows"),
    [
        (lambda ds: ds.skip(10), slice(10, None)),
        (lambda ds: ds.take(10), slice(10)),
        (lambda ds: ds.shard(1, 4), slice(1, None, 4)),
        (lambda ds: ds.take(100).skip(30), slice(30, 100)),
        (lambda ds: ds.take(10).take(20), slice(10)),
        (lambda ds: ds.take(50).shard(3, 7), slice(3, 50, 7)),
        (lambda ds: ds.shard(2, 3).skip(5).take(7), slice(2 + 15, 2 + 15 + 21, 3)),
        (lambda ds: ds.shard(1, 2).shard(2, 5), slice(5, None, 10)),
        (lambda ds: ds.skip(5000), slice(0, 0)),
        (lambda ds: ds.take(3).skip(10), slice(0, 0)),
        (lambda ds: ds.take(0), slice(0, 0)),
        (lambda ds: ds.skip(7).with_options(batch_rows=13).shard(0, 2), slice(7, None, 2)),
    ],
)
def test_rows_are_those_of_a_list(digits, narrow, rows):
    ds = tfarrow.open(digits, columns=["label"])
    expected = labels(ds)[rows]
    chosen = narrow(ds)
    assert labels(chosen) == expected
    assert chosen.count() == len(expected)
    assert labels(pickle.loads(pickle.dumps(chosen))) == expected


def test_selecting_options_are_methods(digits):
    ds = tfarrow.open(digits, columns=["label"], skip=10, shard=(1, 4), take=5)
    assert labels(ds) == labels(tfarrow.open(digits, columns=["label"]))[11:31:4]
    assert labels(tfarrow.open(digits, shard="1/4").take(2)) == labels(tfarrow.open(digits))[1:9:4]


def test_columns_are_selected_late(digits):
    ds = tfarrow.open(digits)
    assert ds.select(["writer", "label"]).column_names == ["writer", "label"]
    assert ds.select(["label"]).select(["label"]).to_pyarrow().column_names == ["label"]
    with pytest.raises(tfarrow.Error, match="nosuch"):
        ds.select(["nosuch"]).count()
    with pytest.raises(TypeError):
        ds.select("label")


def test_options_go_by_the_commands_keys(digits):
    ds = tfarrow.open(
        digits,
        batch_rows=100,
        rename={"label": "digit"},
        cast={"float32": "float64", "label": "int8"},
        exclude=["image"],
    )
    batch = next(iter(ds))
    assert batch.num_rows == 100
    assert batch.column_names == ["digit", "pixels", "writer"]
    assert batch["digit"].dtype == np.int8 and batch["pixels"].dtype == np.float64


def test_features_are_given_by_name(digits):
    ds = tfarrow.open(digits, features={"image": "image[8,8,1]"}, columns=["image"])
    image = next(iter(ds))["image"]
    assert image.shape == (1024, 8, 8, 1) and image.dtype == np.uint8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_row": 3}, "did you mean `batch_rows`"),
        ({"batch_rows": "many"}, "batch_rows"),
        ({"batch_rows": True}, "batch_rows"),
        ({"unbatch": "yes"}, "unbatch"),
        ({"columns": [1]}, "columns"),
    ],
)
def test_wrong_options_are_type_errors(digits, options, text):
    with pytest.raises(TypeError, match=text):
        tfarrow.open(digits, **options)


def test_options_that_nothing_heeds_are_refused(digits):
    with pytest.raises(tfarrow.Error, match="split"):
        tfarrow.open(digits, split="train").count()


def test_hints_speak_python(golden):
    with pytest.raises(tfarrow.Error) as caught:
        tfarrow.open(str(golden / "examples" / "length_changes.tfrecord"), infer_records=1).to_pyarrow()
    assert caught.value.kind == "mismatch"
    assert "--" not in str(caught.value)


def test_errors_say_where(tmp_path, digits):
    import glob

    data = bytearray(open(sorted(glob.glob(digits))[0], "rb").read())
    data[1000] ^= 1
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(data)
    with pytest.raises(tfarrow.Error) as caught:
        tfarrow.open(path).to_pyarrow()
    error = caught.value
    assert error.kind == "corrupt"
    assert error.source == str(path)
    assert error.record is not None and error.byte is not None
    assert isinstance(error, ValueError)
    copied = pickle.loads(pickle.dumps(error))
    assert (copied.kind, copied.record, str(copied)) == (error.kind, error.record, str(error))


def test_what_cannot_be_read_is_an_oserror_too(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        tfarrow.open(str(tmp_path / "nowhere")).count()
    assert isinstance(caught.value, tfarrow.Error) and caught.value.kind == "not_found"


def test_a_dataset_says_what_it_is(digits):
    ds = tfarrow.open(digits)
    assert repr(ds) == f"tfarrow.Dataset({digits})"
    assert "batch_rows" in tfarrow.open.__doc__
    with pytest.raises(TypeError, match="count"):
        len(ds)
