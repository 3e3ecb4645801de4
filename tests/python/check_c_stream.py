"""Takes a dataset from a Rust library in this process, without a copy and without a file between.

    check_c_stream.py target/debug/examples/libc_stream.so 'examples/data/digits/digits.tfrecord-*'

`Dataset` is all that a binding needs: any library that knows the Arrow PyCapsule protocol (pyarrow,
polars, DuckDB, pandas) takes it as a table.
"""

import ctypes
import sys

import pyarrow as pa


class Dataset:
    """A dataset that the library opens anew whenever somebody asks for its stream."""

    def __init__(self, library, path):
        self.library, self.path = library, path
        library.tfarrow_open.restype = ctypes.c_void_p
        library.tfarrow_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
        library.tfarrow_free.argtypes = library.tfarrow_free_error.argtypes = [ctypes.c_void_p]

    def open(self):
        error = ctypes.c_void_p()
        stream = self.library.tfarrow_open(self.path.encode(), ctypes.byref(error))
        if not stream:
            message = ctypes.cast(error, ctypes.c_char_p).value.decode()
            self.library.tfarrow_free_error(error)
            raise OSError(message)
        return stream

    def __arrow_c_stream__(self, requested_schema=None):
        return _capsule(self.open(), NAME, _free(self.library))


NAME = b"arrow_array_stream"
_new = ctypes.pythonapi.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_kept = {}
freed = 0


def _free(library):
    """The destructor of capsules, which must live as long as any of them."""

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def free(capsule):
        global freed
        library.tfarrow_free(_pointer(capsule, NAME))
        freed += 1

    return _kept.setdefault(id(library), free)


def _capsule(pointer, name, destructor):
    return _new(pointer, name, ctypes.cast(destructor, ctypes.c_void_p))


def main(library, path):
    dataset = Dataset(ctypes.CDLL(library), path)

    # The stream's address, handed over directly.
    stream = dataset.open()
    reader = pa.RecordBatchReader._import_from_c(stream)
    first = reader.read_next_batch()
    pixels = first.column("pixels").to_numpy_ndarray()
    assert pixels.shape == (len(first), 64) and not pixels.flags.owndata, pixels.flags
    assert pixels.dtype == "float32"
    rows = len(first) + sum(len(batch) for batch in reader)
    assert rows == 1797, rows
    dataset.library.tfarrow_free(stream)
    # Batches outlive the stream they came from.
    assert 4.5 < pixels.mean() < 5.3, pixels.mean()

    # The same as an object that any library takes.
    table = pa.table(dataset)
    assert table.num_rows == 1797
    assert isinstance(table.schema.field("pixels").type, pa.FixedShapeTensorType)
    assert sum(table.column("label").to_pylist()) == 8070
    assert pa.RecordBatchReader.from_stream(dataset).schema == table.schema
    capsule = dataset.__arrow_c_stream__()
    del capsule  # Never asked for a batch.
    assert freed == 3, freed

    try:
        Dataset(dataset.library, "no-such-file.tfrecord").open()
    except OSError as error:
        assert "no-such-file.tfrecord" in str(error), error
    else:
        raise AssertionError("a file that does not exist was opened")


main(*sys.argv[1:])
