"""Checks the numbers of `tfarrow report --json` against pandas, NumPy, scikit-learn and TFDS.

    check_report.py TFARROW
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sklearn.datasets

QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
TFARROW = pathlib.Path(sys.argv[1])


def report(*args):
    run = subprocess.run([TFARROW, "report", "--json", *map(str, args)], capture_output=True, check=True)
    return json.loads(run.stdout)


def close(found, expected, what, tolerance=1e-9):
    if expected is None or (isinstance(expected, float) and math.isnan(expected)):
        assert found is None, f"{what}: {found} instead of nothing"
        return
    assert found is not None and math.isclose(found, expected, rel_tol=tolerance, abs_tol=1e-12), (
        f"{what}: {found} instead of {expected}"
    )


def check_numbers(found, series, what, sampled=False):
    """`series` without nulls; what is not finite is counted and left out, as the report does."""
    finite = series[np.isfinite(series.astype("float64"))]
    values = finite.astype("float64")
    assert found["count"] == len(finite), what
    assert found["nan"] == int(np.isnan(series.astype("float64")).sum()), what
    assert found["infinite"] == int(np.isinf(series.astype("float64")).sum()), what
    assert found["zeros"] == int((finite == 0).sum()), what
    close(found["min"], None if finite.empty else finite.min(), f"{what} min")
    close(found["max"], None if finite.empty else finite.max(), f"{what} max")
    close(found["mean"], values.mean(), f"{what} mean")
    close(found["std"], values.std(), f"{what} std", 1e-7)
    histogram = found["histogram"]
    if not finite.empty and histogram:
        assert sum(histogram["counts"]) == len(finite), what
        assert len(histogram["edges"]) == len(histogram["counts"]) + 1, what
        assert histogram["edges"] == sorted(histogram["edges"]), what
        if histogram["exact"]:
            counts, _ = np.histogram(values, bins=histogram["edges"])
            assert counts.tolist() == histogram["counts"], what
    for q in QUANTILES if not finite.empty else []:
        quantile = found["quantiles"][str(q)]
        if not sampled:
            close(quantile, values.quantile(q), f"{what} quantile {q}")
        else:
            # Of 65,536 by chance, the standard error of a share is at most 0.2 %.
            share = (values <= quantile).mean()
            below = (values < quantile).mean()
            assert below - 0.01 <= q <= share + 0.01, f"{what}: quantile {q} is {quantile}, which is {share}"


def check_frame(frame, table, what, names=None):
    """The report of `table`, which was made from `frame`, says what pandas says of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "table.parquet"
        pq.write_table(table, path)
        found = report(path)
    assert found["rows"] == len(frame), what
    assert [column["name"] for column in found["columns"]] == list(frame.columns), what
    for column in found["columns"]:
        name = f"{what} {column['name']}"
        series = frame[column["name"]]
        nulls = table.column(column["name"]).null_count
        assert column["missing"] == nulls, name
        there = series[~table.column(column["name"]).is_null().to_pandas().to_numpy()]
        if series.dtype == object or isinstance(series.dtype, (pd.StringDtype, pd.CategoricalDtype)):
            there = there.astype(object)
            lengths = there.str.len()
            close(column["lengths"]["mean"], float(lengths.mean()), f"{name} length")
            check_numbers(column["lengths"], lengths, f"{name} lengths")
            counts = there.value_counts()
            distinct = len(counts)
            if column["top_exact"]:
                top = {value["value"]: value["count"] for value in column["top"]}
                assert all(counts[value] == count for value, count in top.items()), name
                assert max(top.values(), default=0) == counts.max(), name
        elif series.dtype == bool:
            distinct = there.nunique()
            counts = there.value_counts()
            assert {v["value"]: v["count"] for v in column["top"]} == {bool(k): c for k, c in counts.items()}, name
            close(column["mean"], float(there.mean()), name)
        else:
            distinct = there.nunique()
            check_numbers(column, there, name, sampled=column["quantiles_of"] != column["count"])
            assert column["distinct_exact"] or 50_000 < column["quantiles_of"] <= 65536, name
        tolerance = 0 if column["distinct_exact"] else 0.04
        assert abs(column["distinct"] - distinct) <= tolerance * distinct, f"{name}: {column['distinct']} of {distinct}"


def scikit_learn():
    for load in ("iris", "wine", "breast_cancer", "diabetes", "linnerud"):
        frame = getattr(sklearn.datasets, f"load_{load}")(as_frame=True).frame
        check_frame(frame, pa.Table.from_pandas(frame, preserve_index=False), load)
    iris = sklearn.datasets.load_iris(as_frame=True)
    frame = pd.DataFrame({"species": [iris.target_names[target] for target in iris.target]})
    check_frame(frame, pa.Table.from_pandas(frame, preserve_index=False), "species")


def made():
    rng = np.random.default_rng(7)
    n = 100_000
    frame = pd.DataFrame(
        {
            "normal": rng.normal(1e6, 1, n),
            "skewed": rng.lognormal(3, 3, n),
            "f32": rng.normal(0, 1, n).astype("float32"),
            "holes": np.where(rng.random(n) < 0.1, np.nan, rng.normal(0, 1, n)),
            "infinite": np.where(rng.random(n) < 0.1, np.inf, rng.normal(0, 1, n)),
            "nothing": np.full(n, np.nan),
            "small": rng.integers(-100, 100, n).astype("int8"),
            "bytes": rng.integers(0, 256, n).astype("uint8"),
            "large": rng.integers(-(2**62), 2**62, n),
            "unsigned": rng.integers(2**63, 2**64 - 1, n, dtype="uint64"),
            "truth": rng.random(n) < 0.3,
            "few": rng.choice(["a", "bb", "東京", "é"], n),
            "many": [f"id-{i}" for i in range(n)],
        }
    )
    # NaN is a number here, and no null.
    columns = {name: pa.array(frame[name].to_list() if frame[name].dtype in (object, "str") else frame[name].to_numpy()) for name in frame}
    check_frame(frame, pa.table(columns), "made")
    # Nulls are missing, and are in no number.
    numbers = [None if i % 3 == 0 else i for i in range(1000)]
    texts = [None if i % 7 == 0 else f"t{i % 5}" for i in range(1000)]
    table = pa.table({"n": pa.array(numbers, pa.int32()), "t": pa.array(texts)})
    frame = pd.DataFrame({"n": pd.array(numbers, "Int32"), "t": texts})
    check_frame(frame, table, "nulls")


def lists():
    rng = np.random.default_rng(8)
    rows = [None if i % 11 == 0 else rng.integers(0, 50, i % 13).tolist() for i in range(3000)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lists.parquet"
        pq.write_table(pa.table({"v": pa.array(rows, pa.list_(pa.int64()))}), path)
        (column,) = report(path)["columns"]
    there = [row for row in rows if row is not None]
    assert column["missing"] == len(rows) - len(there)
    check_numbers(column["lengths"], pd.Series([len(row) for row in there]), "lengths of lists")
    check_numbers(column, pd.Series([value for row in there for value in row]), "values of lists")


def compared():
    rng = np.random.default_rng(9)
    one, other = rng.normal(0, 1, 3000), rng.normal(0.5, 1, 2000)
    labels = rng.choice(["a", "b", "c"], 3000), rng.choice(["b", "c", "d"], 2000)
    from scipy import stats

    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / f"{name}.parquet" for name in ("one", "other")]
        for path, numbers, label in zip(paths, (one, other), labels):
            same = np.arange(len(numbers)) % 10
            pq.write_table(pa.table({"same": same, "number": numbers, "label": label}), path)
        found = report(paths[0], "--compare", paths[1])["compare"]
    assert [column["name"] for column in found["columns"]] == ["label", "number", "same"], found
    label, number, same = found["columns"]
    close(number["distance"], float(stats.ks_2samp(one, other).statistic), "Kolmogorov and Smirnov")
    shares = [pd.Series(values).value_counts(normalize=True) for values in labels]
    close(label["distance"], float(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2), "total variation")
    assert [value["value"] for value in label["new"]] == ["d"]
    assert [value["value"] for value in label["gone"]] == ["a"]
    assert same["distance"] == 0


def digits():
    """scikit-learn's digits: as they are in this repository, and as TFDS prepares them."""
    own = sklearn.datasets.load_digits()
    found = report("examples/data/digits/digits.tfrecord-*-of-*")
    columns = {column["name"]: column for column in found["columns"]}
    assert found["rows"] == len(own.data)
    # 115,008 numbers, of which 65,536 are kept.
    check_numbers(columns["pixels"], pd.Series(own.data.ravel()), "pixels", sampled=True)
    assert columns["image"]["media"]["formats"] == [{"value": "PNG", "count": len(own.data)}]
    assert columns["image"]["shapes"] == [{"value": "8 × 8", "count": len(own.data)}]
    counts = pd.Series(own.target).value_counts()
    assert {top["value"]: top["count"] for top in columns["label"]["top"]} == counts.to_dict()

    import tensorflow as tf
    import tensorflow_datasets as tfds

    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(names=names),
            "strokes": tfds.features.Sequence({"x": np.float32, "pen": np.bool_}),
        }
    )
    pixels = np.rint(own.images * 255 / 16).astype("uint8")[..., None]
    splits = {"train": range(0, 1500), "test": range(1500, 1797)}

    def dataset(rows):
        def generate():
            for row in rows:
                length = row % 5
                x = np.arange(length, dtype="float32")
                yield {"image": pixels[row], "label": own.target[row], "strokes": {"x": x, "pen": x > 1}}

        signature = {
            "image": tf.TensorSpec((8, 8, 1), tf.uint8),
            "label": tf.TensorSpec((), tf.int64),
            "strokes": {"x": tf.TensorSpec((None,), tf.float32), "pen": tf.TensorSpec((None,), tf.bool)},
        }
        return tf.data.Dataset.from_generator(generate, output_signature=signature)

    with tempfile.TemporaryDirectory() as folder:
        tfds.dataset_builders.store_as_tfds_dataset(
            name="digits_of_tests", version="1.0.0", features=features, data_dir=folder, disable_shuffling=True,
            split_datasets={split: dataset(rows) for split, rows in splits.items()},
        )
        builder = tfds.builder_from_directory(f"{folder}/digits_of_tests/1.0.0")
        for split, rows in splits.items():
            found = report(f"{folder}/digits_of_tests/1.0.0", "--split", split)
            assert found["rows"] == builder.info.splits[split].num_examples == len(rows)
            columns = {column["name"]: column for column in found["columns"]}
            read = pd.Series([int(row["label"]) for row in tfds.as_numpy(builder.as_dataset(split=split))])
            expected = {builder.info.features["label"].int2str(k): v for k, v in read.value_counts().items()}
            assert {top["value"]: top["count"] for top in columns["label"]["top"]} == expected
            assert columns["label"]["class_names"] == names
            assert columns["image"]["shapes"] == [{"value": "8 × 8", "count": len(rows)}]
            lengths = pd.Series([row % 5 for row in rows])
            check_numbers(columns["strokes"]["lengths"], lengths, "strokes")
            fields = {field["name"]: field for field in columns["strokes"]["fields"]}
            check_numbers(fields["x"], pd.Series([float(x) for row in rows for x in range(row % 5)]), "strokes/x")
            assert sum(top["count"] for top in fields["pen"]["top"]) == int(lengths.sum())
        decoded = report(f"{folder}/digits_of_tests/1.0.0", "--split", "test", "--decode-images")
        image = next(column for column in decoded["columns"] if column["name"] == "image")
        check_numbers(image, pd.Series(pixels[1500:].ravel()), "decoded images")


if __name__ == "__main__":
    scikit_learn()
    made()
    lists()
    compared()
    digits()
