"""Python's ways to columns of the records of benches/messages.rs: CPU time a record.

    cargo bench --bench messages -- --keep FOLDER
    pip install protobuf pyarrow ptars
    python benches/messages/peers.py FOLDER/scenes.tfrecord
"""

import pathlib
import struct
import sys
import time

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

HERE = pathlib.Path(__file__).resolve().parent
TURNS = 5


def records_of(path):
    data, at = pathlib.Path(path).read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        yield data[at + 12 : at + 12 + length]
        at += length + 16


def descriptor():
    files = descriptor_pb2.FileDescriptorSet.FromString((HERE / "scene.pb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool.FindMessageTypeByName("bench.Scene")


NUMBERS = ["center_x", "center_y", "center_z", "length", "width", "height", "heading", "velocity_x", "velocity_y"]
STATE = pa.struct([pa.field(name, pa.float64() if name.startswith("center") else pa.float32()) for name in NUMBERS]
                  + [pa.field("valid", pa.bool_())])


def by_hand(kind, records):
    """FromString, and a list for every column: the fastest that one writes by hand."""
    ids, seconds, current, track_ends, track_id, kinds, state_ends = [], [], [], [0], [], [], [0]
    second_ends, columns, valid = [0], [[] for _ in NUMBERS], []
    for record in records:
        scene = kind.FromString(record)
        ids.append(scene.id)
        seconds.extend(scene.seconds)
        second_ends.append(len(seconds))
        current.append(scene.current)
        for track in scene.tracks:
            track_id.append(track.id)
            kinds.append(track.kind)
            for state in track.states:
                for name, column in zip(NUMBERS, columns):
                    column.append(getattr(state, name))
                valid.append(state.valid)
            state_ends.append(len(valid))
        track_ends.append(len(track_id))
    arrays = [pa.array(column, STATE.field(name).type) for name, column in zip(NUMBERS, columns)] + [pa.array(valid)]
    states = pa.ListArray.from_arrays(state_ends, pa.StructArray.from_arrays(arrays, fields=list(STATE)))
    tracks = pa.StructArray.from_arrays([pa.array(track_id, pa.int32()), pa.array(kinds, pa.int32()), states],
                                        names=["id", "kind", "states"])
    return pa.table({
        "id": ids, "seconds": pa.ListArray.from_arrays(second_ends, pa.array(seconds)),
        "current": pa.array(current, pa.int32()), "tracks": pa.ListArray.from_arrays(track_ends, tracks),
    })


def measure(name, run, records):
    seconds = []
    for _ in range(TURNS):
        before = time.process_time()
        run()
        seconds.append(time.process_time() - before)
    middle = sorted(seconds)[TURNS // 2]
    print(f"{name:34} {middle / len(records) * 1e9:9.0f} ns a record, "
          f"{sum(map(len, records)) / middle / 1e6:7.1f} MB/s")


def main():
    records = list(records_of(sys.argv[1]))[:20_000]
    message = descriptor()
    kind = message_factory.GetMessageClass(message)
    print(f"{len(records)} records of {sum(map(len, records)) // len(records)} bytes, CPU time, median of {TURNS}")
    measure("FromString alone (upb)", lambda: [kind.FromString(record) for record in records], records)
    measure("FromString and lists by hand", lambda: by_hand(kind, records), records)
    try:
        import ptars
    except ImportError:
        return
    handler = ptars.HandlerPool([message.file]).get_for_message(message)
    measure("ptars", lambda: handler.list_to_record_batch(records), records)


if __name__ == "__main__":
    main()
