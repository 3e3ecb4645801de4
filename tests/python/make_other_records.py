"""Writes tests/golden/other: records that are no Examples, and Examples that look like none.

    python tests/python/make_other_records.py

Needs TensorFlow. expected.json says what tf.train.Example finds in the feature `id` of each record; of
an Example, that is what the column `id` holds.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: E402
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402
from tensorflow.core.util import event_pb2  # noqa: E402
from tensorflow_metadata.proto.v0 import statistics_pb2  # noqa: E402

HERE = os.path.join(os.path.dirname(__file__), "..", "golden", "other")

# Messages of public projects, as far as they are needed: message, then (field, number, type).
MESSAGES = {
    # tensorflow/serving, apis/input.proto
    "ExampleListWithContext": [("examples", 1, "*Example"), ("context", 2, "Example")],
    "ExampleList": [("examples", 1, "*Example")],
    "Input": [("example_list", 1, "ExampleList")],
    # tensorflow/serving, apis/{model,classification,predict,prediction_log}.proto
    "ModelSpec": [("name", 1, "string")],
    "ClassificationRequest": [("model_spec", 1, "ModelSpec"), ("input", 2, "Input")],
    "ClassifyLog": [("request", 1, "ClassificationRequest")],
    "TensorEntry": [("key", 1, "string"), ("value", 2, "bytes")],
    "PredictRequest": [("model_spec", 1, "ModelSpec"), ("inputs", 2, "*TensorEntry")],
    "PredictLog": [("request", 1, "PredictRequest")],
    "PredictionLog": [("classify_log", 1, "ClassifyLog"), ("predict_log", 6, "PredictLog")],
    # waymo-open-dataset, protos/scenario.proto and dataset.proto
    "Track": [("id", 1, "int32"), ("object_type", 2, "int32")],
    "Scenario": [("timestamps_seconds", 1, "*double"), ("tracks", 2, "*Track"), ("scenario_id", 5, "string")],
    "Context": [("name", 1, "string")],
    "Frame": [("context", 1, "Context"), ("timestamp_micros", 2, "int64")],
    # google/nucleus, protos/variants.proto
    "Variant": [
        ("reference_bases", 6, "string"),
        ("alternate_bases", 7, "*string"),
        ("end", 13, "int64"),
        ("reference_name", 14, "string"),
        ("start", 16, "int64"),
    ],
    # Messages as anybody might define them.
    "Named": [("name", 1, "string"), ("count", 2, "int32")],
    "List": [("items", 1, "*Named")],
    "Deep": [("lists", 1, "*List")],
    # tf.train.Example, and what a later version might add to it.
    "Int64List": [("value", 1, "*int64")],
    "BytesList": [("value", 1, "*bytes")],
    "Feature": [("bytes_list", 1, "BytesList"), ("int64_list", 3, "Int64List"), ("later", 9, "string")],
    "FeatureEntry": [("key", 1, "string"), ("value", 2, "Feature"), ("later", 3, "string")],
    "Features": [("feature", 1, "*FeatureEntry"), ("later", 2, "*Named")],
    "Example": [("features", 1, "Features"), ("later", 2, "Named"), ("latest", 5, "string")],
}


def messages():
    file = descriptor_pb2.FileDescriptorProto(name="other.proto", package="other", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            field = message.field.add(name=field, number=number, label=3 if kind[0] == "*" else 1)
            kind = kind.lstrip("*")
            if kind in MESSAGES:
                field.type, field.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, f".other.{kind}"
            else:
                field.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"other.{name}")) for name in MESSAGES}


M = messages()


def example(number, text=b"text"):
    entries = [
        M["FeatureEntry"](key="id", value=M["Feature"](int64_list=M["Int64List"](value=[number]))),
        M["FeatureEntry"](key="text", value=M["Feature"](bytes_list=M["BytesList"](value=[text]))),
    ]
    return M["Example"](features=M["Features"](feature=entries))


def sound(number):
    return example(number).SerializeToString()


def later_fields(number):
    """Examples with a field that TensorFlow does not know, in every message but the entry of a map, before and
    after the rest. (Readers differ over unknown fields of entries.)"""
    known = example(number)
    for place in ["example", "example_2", "features", "feature"][number : number + 1]:
        if place == "example":
            known.latest = "later"
        elif place == "example_2":
            known.later.name = "later"
        elif place == "features":
            known.features.later.add(name="later", count=3)
        else:
            known.features.feature[0].value.later = "later"
    record = known.SerializeToString()
    # The other way round: the unknown field first.
    return M["Example"](latest="first").SerializeToString() + record if number % 2 else record


def statistics(name):
    all_of_them = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = all_of_them.datasets.add(name=name, num_examples=3)
    dataset.features.add(name="x", type=0)
    return all_of_them.SerializeToString()


def files():
    """Name, records, which of them are Examples."""
    elwc = lambda n: M["ExampleListWithContext"](
        examples=[example(n), example(n + 1)], context=example(7)
    ).SerializeToString()
    tensor = lambda n: tf.io.serialize_tensor(tf.constant([n, 2.0, 3.0])).numpy()
    kinds = {
        "elwc": [elwc(n) for n in range(3)],
        "elwc_without_context": [M["ExampleListWithContext"](examples=[example(1)]).SerializeToString()],
        "elwc_of_context": [M["ExampleListWithContext"](context=example(1)).SerializeToString()],
        "elwc_of_bytes": [M["ExampleListWithContext"](examples=[example(1, b"\xff\xd8\xff")]).SerializeToString()],
        "tensors": [tensor(n) for n in range(3)],
        "scalars": [tf.io.serialize_tensor(tf.constant(n)).numpy() for n in range(3)],
        "events": [
            event_pb2.Event(wall_time=1.5, file_version="brain.Event:2").SerializeToString(),
            event_pb2.Event(wall_time=2.5, step=1).SerializeToString(),
        ],
        "scenarios": [
            M["Scenario"](timestamps_seconds=times, tracks=[M["Track"](id=1, object_type=2)], scenario_id="19a").SerializeToString()
            for times in ([], [0.0, 0.1], [1.0])
        ],
        # Names that are sound messages of unknown fields, and names that are none.
        "frames": [
            M["Frame"](context=M["Context"](name=name), timestamp_micros=5).SerializeToString()
            for name in ("10023947602400723454_1120_000", "8A", "(x", "")
        ],
        "variants": [
            M["Variant"](reference_name="chr1", start=n, end=n + 1, reference_bases="A", alternate_bases=["C"]).SerializeToString()
            for n in range(1, 3)
        ],
        "predictions": [
            M["PredictionLog"](
                classify_log=M["ClassifyLog"](
                    request=M["ClassificationRequest"](
                        model_spec=M["ModelSpec"](name="model"),
                        input=M["Input"](example_list=M["ExampleList"](examples=[example(1)])),
                    )
                )
            ).SerializeToString(),
            M["PredictionLog"](
                predict_log=M["PredictLog"](
                    request=M["PredictRequest"](
                        model_spec=M["ModelSpec"](name="model"), inputs=[M["TensorEntry"](key="x", value=tensor(1))]
                    )
                )
            ).SerializeToString(),
        ],
        "statistics": [statistics("train"), statistics("")],
        "lists": [
            M["List"](items=[M["Named"](name="a", count=1), M["Named"](name="b")]).SerializeToString(),
            M["Deep"](lists=[M["List"](items=[M["Named"](name="a", count=1)])]).SerializeToString(),
        ],
        "text": [b"hello world", b'{"a": 1}', b"a,b,c\n1,2,3\n", b"\n\n\n"],
        "images": [tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8)).numpy()],
        "in_the_middle": [sound(0), sound(1), tensor(1), sound(2), elwc(1), b"", b"\n\0", sound(3)],
        "at_the_beginning": [tensor(1), elwc(1), sound(0), sound(1)],
        "later_fields": [later_fields(n) for n in range(4)],
        "of_nothing": [b"", b"\n\0", b""],
    }
    return kinds


def id_of(record):
    """The feature `id` as protobuf finds it: a value, None if it is missing, "error" if that is one."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return "error"
    return int(features["id"].int64_list.value[0]) if "id" in features else None


def main():
    os.makedirs(HERE, exist_ok=True)
    expected = {}
    for name, records in files().items():
        with tf.io.TFRecordWriter(os.path.join(HERE, f"{name}.tfrecord")) as writer:
            for record in records:
                writer.write(record)
        expected[name] = [id_of(record) for record in records]
    with open(os.path.join(HERE, "expected.json"), "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


main()
