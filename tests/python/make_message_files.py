"""Puts the golden records of golden.three.Record into other files: by ArrayRecord's own writer, and as the
shard of a TFDS folder.

    make_message_files.py FOLDER
"""

import json
import pathlib
import sys

import tensorflow as tf
from array_record.python.array_record_module import ArrayRecordWriter

golden = pathlib.Path(__file__).parents[1] / "golden"
folder = pathlib.Path(sys.argv[1])
cases = [json.loads(line) for line in (golden / "messages/cases.jsonl").read_text().splitlines()]
[case] = [case for case in cases if case["message"] == "golden.three.Record" and case["options"] == {}]
sound = [bytes.fromhex(record) for record, row in zip(case["records"], case["rows"]) if "error" not in row]

writer = ArrayRecordWriter(str(folder / "records.array_record"), "group_size:2")
for record in sound:
    writer.write(record)
writer.close()

dataset = folder / "tracks/1.0.0"
dataset.mkdir(parents=True)
with tf.io.TFRecordWriter(str(dataset / "tracks-train.tfrecord-00000-of-00001")) as writer:
    for record in sound:
        writer.write(record)
mini = golden / "tfds/mini_one/mini/one/0.0.1"
info = json.loads((mini / "dataset_info.json").read_text())
info.pop("configName", None)
template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
split = {"name": "train", "numBytes": "1", "shardLengths": [str(len(sound))], "filepathTemplate": template}
info.update(name="tracks", version="1.0.0", splits=[split])
(dataset / "dataset_info.json").write_text(json.dumps(info))
(dataset / "features.json").write_text((mini / "features.json").read_text())
