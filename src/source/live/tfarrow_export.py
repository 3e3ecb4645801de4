"""Exports a tf.data pipeline to a folder that tfarrow runs without Python.

    import tfarrow_export
    tfarrow_export.export(dataset, "pipeline")

    $ tfarrow convert pipeline/ -o out.parquet

The folder holds graph.pb (the pipeline as TensorFlow serializes it), element_spec.json (the
structure of its elements) and, for constants of a megabyte and more, constants.json and a file for
each: protobuf cannot hold more than 2 GB. This file needs nothing but TensorFlow; copy it where you
need it. `tfarrow python-helper` prints it.
"""

import json
import os
import shutil
import sys
import tempfile

import tensorflow as tf

__all__ = ["export", "element_spec_json"]

LARGE_CONSTANT_BYTES = 1 << 20
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
WAY_OUT = (
    "Store the dataset instead, `dataset.save(path)`, and convert that folder with tfarrow: "
    "then TensorFlow is not needed at all."
)


def export(dataset, folder, overwrite=False):
    """Writes `dataset` to the new folder `folder`.

    Raises ValueError, with the way out, if the pipeline runs Python code (py_function,
    numpy_function, from_generator), is larger than protobuf allows, or has components that have no
    columns.
    """
    folder = os.fspath(folder)
    if os.path.lexists(folder) and not overwrite:
        raise FileExistsError(f"{folder} exists already; pass overwrite=True to replace it")
    spec = element_spec_json(dataset.element_spec)
    graph = _graph(dataset)
    _refuse_python(graph)
    parent = os.path.dirname(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    partial = tempfile.mkdtemp(prefix=".tfarrow-", dir=parent)
    try:
        constants = _move_constants(graph, partial)
        with open(os.path.join(partial, "graph.pb"), "wb") as file:
            file.write(graph.SerializeToString())
        _write_json(os.path.join(partial, "element_spec.json"), spec)
        if constants:
            _write_json(os.path.join(partial, "constants.json"), constants)
        os.chmod(partial, 0o755)
        if os.path.lexists(folder):
            shutil.rmtree(folder)
        os.rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def element_spec_json(spec, path=""):
    """The structure `spec` (a `dataset.element_spec`) in tfarrow's JSON form."""
    if spec is None or type(spec).__name__ == "NoneTensorSpec":
        return {"none": {}}
    if isinstance(spec, tf.RaggedTensorSpec):
        return {
            "ragged": {
                "dtype": spec.dtype.name,
                "shape": _shape(spec.shape),
                "ragged_rank": spec.ragged_rank,
                "row_splits_dtype": spec.row_splits_dtype.name,
            }
        }
    if isinstance(spec, tf.SparseTensorSpec):
        return {"sparse": {"dtype": spec.dtype.name, "shape": _shape(spec.shape)}}
    if isinstance(spec, tf.data.DatasetSpec):
        return {"dataset": element_spec_json(spec.element_spec, f"{path}/")}
    if isinstance(spec, tf.OptionalSpec):
        # The one thing that the public interface does not show.
        return {"optional": element_spec_json(spec._element_spec, path)}
    if isinstance(spec, tf.TensorSpec):
        return {"tensor": {"dtype": spec.dtype.name, "shape": _shape(spec.shape)}}
    if isinstance(spec, dict):
        return {"dict": {_key(key, path): element_spec_json(spec[key], f"{path}/{key}") for key in sorted(spec)}}
    if isinstance(spec, tuple) and hasattr(spec, "_fields"):
        fields = [[name, element_spec_json(getattr(spec, name), f"{path}/{name}")] for name in spec._fields]
        return {"namedtuple": {"name": type(spec).__name__, "fields": fields}}
    if isinstance(spec, (tuple, list)):
        kind = "tuple" if isinstance(spec, tuple) else "list"
        return {kind: [element_spec_json(item, f"{path}/{i}") for i, item in enumerate(spec)]}
    raise ValueError(
        f"component `{path.lstrip('/') or 'value'}` is a {type(spec).__name__}, which has no columns. "
        "Map it to tensors before exporting: dataset.map(...)."
    )


def _key(key, path):
    if isinstance(key, str):
        return key
    raise ValueError(f"the dict at `{path or '/'}` has the key {key!r}; only strings can name columns")


def _shape(shape):
    return None if shape.rank is None else shape.as_list()


def _graph(dataset):
    # Variables and lookup tables are serialized with their present contents.
    ignore_state = 1
    try:
        serialized = tf.raw_ops.DatasetToGraphV2(
            input_dataset=tf.data.experimental.to_variant(dataset), external_state_policy=ignore_state
        )
        graph = tf.compat.v1.GraphDef()
        graph.ParseFromString(serialized.numpy())
        # What TensorFlow makes of a graph beyond protobuf's limit: nothing, and no error.
        if not any(node.op == "_Retval" for node in graph.node):
            raise ValueError("the graph came out empty")
        return graph
    except Exception as error:  # whatever TensorFlow raises, the way out is the same
        raise ValueError(
            f"TensorFlow cannot serialize this pipeline: {error}\n"
            "A pipeline with its constants (arrays given to from_tensor_slices, captured tensors) must "
            f"stay below protobuf's 2 GB, and may not hold open resources. {WAY_OUT}"
        ) from error


def _refuse_python(graph):
    functions = [(function.signature.name, function.node_def) for function in graph.library.function]
    for where, nodes in [("", graph.node), *functions]:
        for node in nodes:
            if node.op in PYTHON_OPS:
                raise ValueError(
                    f"the pipeline runs Python code ({node.op} `{node.name}`"
                    + (f" in function `{where}`" if where else "")
                    + "): py_function, numpy_function and from_generator exist only in this process. "
                    f"Use TensorFlow operations in their place. Or: {WAY_OUT}"
                )


def _move_constants(graph, folder):
    """Moves the values of large constants to files and puts placeholders in their place."""
    constants = []
    for node in graph.node:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        dtype = tf.dtypes.as_dtype(tensor.dtype)
        # Only these cross TensorFlow's C interface as they lie in memory.
        plain = dtype.is_integer or dtype.is_floating or dtype.is_complex or dtype.is_bool
        if not plain or dtype.is_quantized or tensor.dtype > 23:
            continue
        if len(tensor.tensor_content) < LARGE_CONSTANT_BYTES:
            continue
        name = f"constant-{len(constants):05d}.bin"
        with open(os.path.join(folder, name), "wb") as file:
            file.write(tensor.tensor_content)
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        constants.append({"node": node.name, "file": name, "dtype": dtype.name, "shape": shape})
        number = tensor.dtype
        node.ClearField("attr")
        node.op = "Placeholder"
        node.attr["dtype"].type = number
        node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return constants


def _write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(__doc__)
