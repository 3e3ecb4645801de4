"""Tables whose dictionaries change from batch to batch: made, and compared with what tfarrow made of them.

    dictionaries.py make FOLDER
    dictionaries.py check FOLDER

FOLDER/NAME.IN.to.OUT is to hold what FOLDER/NAME.IN holds.
"""

import pathlib
import sys

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    opener = pa.ipc.open_stream if path.suffix == ".arrows" else pa.ipc.open_file
    with opener(pa.memory_map(str(path))) as reader:
        return reader.read_all()


def table(words, count):
    word = pa.array(words).dictionary_encode()
    rows = list(range(len(word) + 1))
    numbers = pa.array([float(n) + count for n in range(count)])
    keys = pa.array([n % count for n in range(len(word))], pa.int8())
    return pa.table({
        "word": word,
        "list": pa.ListArray.from_arrays(rows, word),
        "struct": pa.StructArray.from_arrays([word, pa.array(rows[1:])], ["w", "n"]),
        "map": pa.MapArray.from_arrays(rows, pa.array(["k"] * len(word)), word),
        "number": pa.DictionaryArray.from_arrays(keys, numbers),
    })


if __name__ == "__main__":
    mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if mode == "make":
        tables = [table(["a", "b", None, "a"], 2), table(["z", "a", None, "y"], 3), table(["a", "b"], 1)]
        schema = tables[0].schema
        with pa.ipc.new_stream(folder / "x.arrows", schema) as writer:
            for part in tables:
                writer.write_table(part)
        with pq.ParquetWriter(folder / "x.parquet", schema) as writer:
            for part in tables:
                writer.write_table(part)
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        more = pa.table({"word": pa.DictionaryArray.from_arrays([2, 0, 1], ["a", "b", "q"])})
        first = tables[0].select(["word"])
        for name, new in [("delta.arrow", pa.ipc.new_file), ("delta.arrows", pa.ipc.new_stream)]:
            with new(folder / name, first.schema, options=options) as writer:
                writer.write_table(first)
                writer.write_table(more.cast(first.schema))
        many = [pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), [f"{n}"]) for n in range(200)]
        with pa.ipc.new_stream(folder / "many.arrows", pa.schema([("c", many[0].type)])) as writer:
            for column in many:
                writer.write_table(pa.table({"c": column}))
    else:
        outputs = sorted(folder.glob("*.to.*"))
        for path in outputs:
            before, after = read(folder / path.name.partition(".to.")[0]), read(path)
            after.validate(full=True)
            assert after.to_pylist() == before.to_pylist(), path.name
            if path.suffix == ".arrow":
                assert pl.read_ipc(path)["word"].to_list() == before["word"].to_pylist(), path.name
                assert pl.scan_ipc(path).collect()["word"].to_list() == before["word"].to_pylist(), path.name
        print(len(outputs), "tables")
