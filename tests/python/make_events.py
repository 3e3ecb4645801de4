"""Writes tests/golden/events: event files of TensorFlow and tensorboardX, and what TensorBoard says of them.

Needs what the tests do not: pip install tensorboard tensorboardX. Values are those of TensorBoard's own
EventAccumulator, and of the records as its `data_compat` brings them to today's form.
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from tensorboard import data_compat
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.util import tensor_util
from tensorboardX import SummaryWriter

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden/events"


def write(work):
    rng = np.random.RandomState(0)
    writer = tf.summary.create_file_writer(str(work / "tensorflow2"))
    with writer.as_default():
        for step in range(3):
            tf.summary.scalar("loss", 0.1 * step, step=step)
        tf.summary.scalar("described", np.float64(0.1), step=7, description="of float64")
        tf.summary.histogram("weights", rng.randn(50), step=1, buckets=5)
        tf.summary.histogram("constant", np.ones(3), step=2, buckets=2)
        tf.summary.image("pair", rng.rand(2, 2, 3, 3).astype("float32"), step=2)
        tf.summary.text("note", "h\u00e9llo", step=3)
        tf.summary.text("notes", ["a", "b"], step=3)
        tf.summary.audio("beep", np.zeros((1, 20, 1), "float32"), 8000, step=4)
        tf.summary.write("custom", tf.constant([[1, 2], [3, 4]], tf.int64), step=5)
        tf.summary.write("plain", tf.constant(2**53 + 1, tf.int64), step=6)
        tf.summary.write("number", tf.constant(-7, tf.int32), step=-6)
    writer.close()
    with tf.Graph().as_default():
        writer = tf.compat.v1.summary.FileWriter(str(work / "tensorflow1"))
        value = tf.compat.v1.Summary.Value
        writer.add_summary(tf.compat.v1.Summary(value=[
            value(tag="x", simple_value=0.25), value(tag="y", simple_value=float("nan")), value(tag="z", simple_value=1e-30),
        ]), 9)
        writer.add_session_log(tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START), 10)
        writer.close()
    writer = SummaryWriter(str(work / "tensorboardx"))
    for step in range(3):
        writer.add_scalar("loss", 1 / (step + 1), step, walltime=1000.5 + step)
    writer.add_histogram("weights", rng.randn(50), 3, bins=5, walltime=1.0)
    writer.add_text("note", "w\u00f6rld", 1, walltime=2.0)
    writer.add_image("image", np.zeros((3, 2, 3), "uint8"), 2, walltime=3.0)
    writer.add_pr_curve("curve", np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.8, 0.4]), 1, num_thresholds=3, walltime=4.0)
    writer.close()


def values_of(path):
    """Every value of the file, in order, as TensorBoard's own readers have it."""
    out = []
    for record in tf.compat.v1.io.tf_record_iterator(str(path)):
        event = event_pb2.Event.FromString(record)
        for original in event.summary.value:
            value = data_compat.migrate_value(original)
            tensor = tensor_util.make_ndarray(value.tensor)
            row = {"wall_time": event.wall_time, "step": event.step, "tag": value.tag,
                   "plugin": value.metadata.plugin_data.plugin_name or None}
            if row["plugin"] == "scalars" or (row["plugin"] is None and tensor.ndim == 0):
                row["value"] = repr(tensor.item())
            elif row["plugin"] == "histograms":
                # TensorBoard rounds those of TensorFlow 1 to float32.
                row["buckets"] = np.float32(tensor).tolist()
            elif row["plugin"] == "text" and tensor.size == 1:
                row["text"] = tensor.reshape(()).item().decode()
            elif row["plugin"] == "images":
                row["image"] = [int(tensor[0]), int(tensor[1]), [part.hex() for part in tensor[2:]]]
            elif row["plugin"] == "audio":
                row["audio"] = [part[0].hex() for part in tensor]
            else:
                row["tensor"] = [str(tensor.dtype), list(tensor.shape), tensor.tolist() if tensor.dtype != object
                                 else [part.decode() for part in tensor.ravel()]]
            out.append(row)
    return out


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    work = OUT / "work"
    write(work)
    expected = {}
    for folder in sorted(work.iterdir()):
        (path,) = folder.glob("events*")
        name = f"events.out.tfevents.{folder.name}"
        shutil.copy(path, OUT / name)
        accumulator = event_accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        scalars = {tag: [[e.wall_time, e.step, repr(e.value)] for e in accumulator.Scalars(tag)]
                   for tag in accumulator.Tags()["scalars"]}
        expected[name] = {"values": values_of(path), "scalars": scalars}
    shutil.rmtree(work)
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
