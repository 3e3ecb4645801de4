"""What other libraries make of a dataset."""

from __future__ import annotations

import collections
import glob
import gzip
import subprocess
import sys

import numpy as np
import pytest
import tfarrow
from conftest import DIGITS_ROWS


@pytest.fixture(scope="module")
def ds(digits):
    return tfarrow.open(digits)


@pytest.fixture(scope="module")
def table(ds):
    return ds.to_pyarrow()


def test_pyarrow(ds, table):
    import pyarrow as pa
    import pyarrow.dataset

    assert table.num_rows == DIGITS_ROWS
    assert pa.table(ds) == table
    assert pa.schema(ds) == table.schema == pa.schema(ds.schema)
    assert ds.schema == table.schema
    assert ds.to_reader().read_all() == table
    assert pa.record_batch(next(iter(ds))).num_rows == 1024
    reader = pa.RecordBatchReader.from_stream(ds)
    first = reader.read_next_batch()
    reader.close()  # a consumer that stops early
    assert first.num_rows == 1024


def test_pandas(ds, table):
    frame = ds.to_pandas()
    assert len(frame) == DIGITS_ROWS
    assert frame["label"].sum() == 8070
    np.testing.assert_array_equal(np.stack(frame["pixels"]), table["pixels"].combine_chunks().to_numpy_ndarray())


def test_pandas_keeps_the_shape_of_tensors(tf, tmp_path):
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    tf.data.Dataset.from_tensor_slices({"x": images, "b": images > 7}).save(str(tmp_path / "s"))
    frame = tfarrow.open(str(tmp_path / "s")).to_pandas()
    np.testing.assert_array_equal(np.stack(frame["x"]), images)
    np.testing.assert_array_equal(np.stack(frame["b"]), images > 7)


def test_polars(ds):
    import polars as pl

    frame = ds.to_polars()
    assert frame.shape == (DIGITS_ROWS, 4)
    assert frame["label"].sum() == 8070
    assert pl.DataFrame(next(iter(ds))).height == 1024
    assert pl.DataFrame(ds).equals(frame)
    assert ds.take(0).to_polars().schema == frame.schema


class Watched(tfarrow.Dataset):
    """Notes what is read, and with which columns."""

    reads: list = []

    def __iter__(self):
        seen = {"columns": self.column_names, "rows": 0, "take": self._rows}
        Watched.reads.append(seen)
        for batch in super().__iter__():
            seen["rows"] += batch.num_rows
            yield batch


def test_scan_polars_pushes_what_is_asked(digits):
    import polars as pl

    watched = Watched([digits], {})
    lazy = watched.scan_polars()
    full = tfarrow.open(digits).to_polars()

    Watched.reads.clear()
    assert lazy.select("label").collect()["label"].equals(full["label"])
    assert [seen["columns"] for seen in Watched.reads] == [["label"]]

    Watched.reads.clear()
    assert lazy.select("writer", "label").head(5).collect().equals(full.select("writer", "label").head(5))
    assert Watched.reads[0]["rows"] == 5 and "pixels" not in Watched.reads[0]["columns"]

    Watched.reads.clear()
    found = lazy.filter(pl.col("label") == 3).select("writer").collect()
    assert found.equals(full.filter(pl.col("label") == 3).select("writer"))
    assert set(Watched.reads[0]["columns"]) == {"writer", "label"}

    found = lazy.filter(pl.col("label") == 3).select("label").head(2).collect()
    assert found["label"].to_list() == [3, 3]

    assert lazy.select(pl.len()).collect().item() == DIGITS_ROWS


def test_duckdb(digits, ds):
    import duckdb

    data = ds.to_dataset()
    assert duckdb.sql("select count(*), sum(label) from data").fetchall() == [(DIGITS_ROWS, 8070)]
    by_label = duckdb.sql("select count(*) from data where label = 3 and writer <> 'writer-03'").fetchall()
    rows = ds.to_pyarrow()
    expected = duckdb.sql("select count(*) from rows where label = 3 and writer <> 'writer-03'").fetchall()
    assert by_label == expected and by_label[0][0] > 0
    stream = tfarrow.open(digits, columns=["label"])
    assert duckdb.sql("select sum(label) from stream").fetchall() == [(8070,)]


def test_duckdb_reads_what_it_asks_for(digits):
    import duckdb

    watched = []

    class Noting(tfarrow.Dataset):
        def to_reader(self):
            watched.append(self.column_names)
            return super().to_reader()

    data = Noting([digits], {}).to_dataset()
    assert duckdb.sql("select max(label) from data where writer = 'writer-01'").fetchall() == [(9,)]
    assert all(set(names) <= {"label", "writer"} for names in watched) and watched


def test_the_arrow_dataset_never_crashes(ds):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as pads

    data = ds.select(["label", "writer"]).to_dataset()
    assert isinstance(data, pads.Dataset)
    assert data.count_rows() == DIGITS_ROWS
    assert data.head(3).num_rows == 3
    assert data.to_table(filter=pc.field("label") == 3, columns=["writer"]).num_rows == 183
    assert data.filter(pc.field("label") == 3).count_rows() == 183
    assert data.take([5, 1]).to_pydict()["label"] == [5, 1]
    assert data.sort_by("label").to_table()["label"][0].as_py() == 0
    other = pa.table({"label": [3], "name": ["three"]})
    assert data.join(other, "label", join_type="inner").to_table().num_rows == 183
    assert sum(batch.num_rows for batch in data.to_batches()) == DIGITS_ROWS
    assert data.schema == ds.select(["label", "writer"]).to_pyarrow().schema
    assert data.partition_expression is not None
    for refused in (
        lambda: list(data.get_fragments()),
        lambda: data.replace_schema(data.schema),
    ):
        with pytest.raises(NotImplementedError):
            refused()
    import pickle

    assert pickle.loads(pickle.dumps(data)).count_rows() == DIGITS_ROWS
    repr(data)


def test_to_numpy(ds, table):
    arrays = ds.to_numpy()
    assert sorted(arrays) == sorted(table.column_names)
    np.testing.assert_array_equal(arrays["pixels"], table["pixels"].combine_chunks().to_numpy_ndarray())
    assert arrays["pixels"].shape == (DIGITS_ROWS, 64)
    assert arrays["writer"].to_pylist() == table["writer"].to_pylist()
    assert arrays["image"].to_pylist() == table["image"].to_pylist()
    assert ds.to_numpy(cast={"float32": "float16"})["pixels"].dtype == np.float16
    empty = ds.take(0).to_numpy()
    assert empty["pixels"].shape == (0, 64) and empty["writer"].to_pylist() == []


def test_to_numpy_counts_no_rows_where_that_reads_all_of_them(digits, ds, tmp_path):
    assert ds._known_rows() == DIGITS_ROWS
    shards = b"".join(open(path, "rb").read() for path in sorted(glob.glob(digits)))
    packed = tmp_path / "digits.tfrecord.gz"
    packed.write_bytes(gzip.compress(shards))
    assert tfarrow.open(packed)._known_rows() is None
    np.testing.assert_array_equal(tfarrow.open(packed).to_numpy()["pixels"], ds.to_numpy()["pixels"])
    code = "import tfarrow; print(len(tfarrow.open('-').to_numpy()['label']))"
    found = subprocess.run([sys.executable, "-c", code], input=shards, capture_output=True, check=True)
    assert int(found.stdout) == DIGITS_ROWS


def test_to_numpy_of_what_varies(tf, tmp_path):
    rows = [[[i] * (i % 3), [i]] for i in range(50)]
    tf.data.Dataset.from_tensor_slices(
        {"r": tf.ragged.constant(rows), "s": tf.sparse.from_dense(np.eye(50, dtype=np.float32))}
    ).save(str(tmp_path / "s"))
    arrays = tfarrow.open(str(tmp_path / "s"), batch_rows=7).to_numpy()
    assert arrays["r"].to_pylist() == rows
    np.testing.assert_array_equal(np.stack([arrays["s"].to_dense(i) for i in range(50)]), np.eye(50))


def stored(golden):
    """What TensorFlow and others stored, of all kinds."""
    for folder in ("saved", "tfds", "examples", "features", "tables"):
        yield from sorted(str(path) for path in (golden / folder).iterdir())


def test_to_numpy_of_many_batches_is_that_of_one(golden):
    seen = collections.Counter()
    for path in stored(golden):
        try:
            whole = tfarrow.open(path).to_numpy()
        except (tfarrow.Error, OSError, ValueError):
            continue
        pieces = tfarrow.open(path, batch_rows=2).to_numpy()
        assert list(pieces) == list(whole), path
        for name, column in whole.items():
            assert type(pieces[name]) is type(column), (path, name)
            as_list = [repr(c.to_pylist() if hasattr(c, "to_pylist") else c.tolist()) for c in (pieces[name], column)]
            assert as_list[0] == as_list[1], (path, name)
            if hasattr(column, "dtype"):
                assert (pieces[name].dtype, pieces[name].shape) == (column.dtype, column.shape), (path, name)
            seen[type(column).__name__] += 1
    assert {"ndarray", "MaskedArray", "Strings", "Ragged", "VariableShape", "Sparse", "Struct"} <= set(seen), seen


def test_datafusion_like_consumers_take_the_stream(ds):
    nanoarrow = pytest.importorskip("nanoarrow")
    assert nanoarrow.ArrayStream(ds).read_all().to_pylist()[0]["label"] == 0


def test_importing_tfarrow_imports_nothing_else():
    import subprocess

    code = "import sys, tfarrow; print([m for m in ('numpy','pyarrow','pandas','polars','tensorflow','torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
