"""Writes fuzz/seeds/: small inputs made of tests/golden and tests/hostile, one folder a target.

Needs nothing but Python. How each target takes its input apart is in src/fuzzing/.
"""

import json
import pathlib
import random
import shutil
import struct

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "tests/golden"
HOSTILE = HERE.parent / "tests/hostile"
SEEDS = HERE / "seeds"
LARGEST = 6_000  # bytes; larger ones make a fuzzer slow
MOST = 60  # files a target


made = {}


def seed(target, name, data):
    if len(data) <= LARGEST:
        made.setdefault(target, {}).setdefault(data, name.replace("/", "_"))


def write():
    shutil.rmtree(SEEDS, ignore_errors=True)
    for target, seeds in made.items():
        folder = SEEDS / target
        folder.mkdir(parents=True)
        seeds = sorted((name, data) for data, name in seeds.items())
        for name, data in seeds[:: -(-len(seeds) // MOST)]:
            (folder / name).write_bytes(data)


def part(data):
    return struct.pack("<H", len(data)) + data if len(data) < 1 << 16 else b"\0\0"


def parts(records):
    return b"".join(map(part, records))


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def records_of(data):
    """The records of a plain TFRecord file, as far as its lengths go."""
    out = []
    while len(data) >= 16:
        (length,) = struct.unpack_from("<Q", data)
        if length + 16 > len(data):
            break
        out.append(data[12 : 12 + length])
        data = data[length + 16 :]
    return out


def read_varint(data, at):
    n = shift = 0
    while True:
        n |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return n, at


def fields_of(data):
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 2:
            size, at = read_varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 0:
            n, at = read_varint(data, at)
            yield tag >> 3, n
        else:
            return


def bytes_features(record):
    """The values of the bytes features of an Example."""
    for number, features in fields_of(record):
        for _, entry in fields_of(features) if number == 1 else ():
            for _, feature in (f for f in fields_of(entry) if f[0] == 2):
                for _, values in (f for f in fields_of(feature) if f[0] == 1):
                    yield from (value for _, value in fields_of(values))


def files(folder, pattern="*"):
    return sorted(path for path in (GOLDEN / folder).rglob(pattern) if path.is_file() and path.suffix != ".json")


def frames():
    for path in files("tfrecord") + sorted(HOSTILE.glob("*.tfrecord")):
        if "bomb" in path.name:
            continue  # megabytes to search, for every mutation
        seed("frames", path.name, b"\0\0" + path.read_bytes())
    small = (GOLDEN / "tfrecord/small.tfrecord").read_bytes()
    for wrap in (1, 2, 0x21, 0x42):
        seed("frames", f"wrapped_{wrap}", bytes([0xFF, wrap]) + small)


def example():
    paths = files("examples") + files("quirks") + files("features", "sequence*") + sorted(HOSTILE.glob("*"))
    for path in paths:
        if path.suffix == ".tfrecord":
            records = records_of(path.read_bytes())
            for flags in (0, 6, 7):
                seed("example", f"{path.name}_{flags}", bytes([flags]) + parts(records[:8]))
    for kind, flags in (("example", 4), ("sequence_example", 7)):
        cases = json.loads((GOLDEN / f"proto/{kind}_cases.json").read_text())
        hexes = [case.get("serialized_hex") or case.get("hex") for case in cases]
        hexes = [h for hex in hexes for h in ([hex] if isinstance(hex, str) else hex or [])]
        records = [bytes.fromhex(h) for h in hexes]
        for at in range(0, len(records), 6):
            seed("example", f"{kind}_{at}", bytes([flags]) + parts(records[at : at + 6]))


def encoded():
    kinds = {"bmp": 8, "gif": 8, "jpeg_colour": 8, "jpeg_gray": 8, "png_16": 9, "png_alpha": 10, "png_gray": 8,
             "png_colour": 11, "png_gray_alpha": 10, "png_indexed": 8}
    for name, kind in kinds.items():
        for record in records_of((GOLDEN / f"features/{name}.tfrecord").read_bytes())[:1]:
            for value in list(bytes_features(record))[:1]:
                seed("encoded", name, bytes([kind]) + parts([value]))
    for name, kinds in (("encoded", range(8)), ("shapes", (0, 1, 2))):
        for record in records_of((GOLDEN / f"features/{name}.tfrecord").read_bytes())[:1]:
            values = [value for value in bytes_features(record) if len(value) < 500]
            for kind in kinds:
                seed("encoded", f"{name}_{kind}", bytes([kind]) + parts(values[:6]))


def messages():
    for case in json.loads((GOLDEN / "tensorproto/cases.json").read_text()):
        data = bytes.fromhex(case["serialized_hex"])
        seed("tensor_proto", case["name"], data)
        if case["name"].startswith("content"):
            seed("variant", case["name"], b"\x09" + data)
    for path in files("saved", "*.shard/*.snapshot"):
        name = path.relative_to(GOLDEN / "saved").parts[0]
        folder = path.parents[2]
        records = records_of(path.read_bytes())
        for number, record in enumerate(records[:2]):
            choices = {"ragged": range(6), "sparse": (6, 7, 8), "optional": (9, 10)}
            for choice in choices.get(name.split("_")[0], ()):
                seed("variant", f"{name}_{number}_{choice}", bytes([choice]) + record)
            seed("tensor_proto", f"saved_{name}_{number}", record[:1500])
        spec, metadata = folder / "dataset_spec.pb", folder / "snapshot.metadata"
        if not spec.is_file() or not metadata.is_file():
            continue
        seed("element_spec", name, spec.read_bytes())
        seed("snapshot", name, metadata.read_bytes())
        flags = 16 if "batched" in name else 0
        body = part(spec.read_bytes()) + part(b"") + path.read_bytes()
        seed("saved_folder", name, bytes([flags, 0]) + body)
        if len(records) < 4:
            seed("saved_folder", f"{name}_repaired", bytes([flags ^ 16, 0xFF]) + body)
    for path in files("snapshot", "*.snapshot"):
        folder = path
        while not (folder / "snapshot.metadata").is_file():
            folder = folder.parent
        name = path.relative_to(GOLDEN / "snapshot").parts[0]
        metadata = (folder / "snapshot.metadata").read_bytes()
        seed("snapshot", name, metadata)
        seed("saved_folder", name, bytes([1, 0]) + part(b"") + part(metadata) + path.read_bytes())
    for path in files("distributed", "chunk_*"):
        folder = path.parents[1]
        spec, metadata = (folder / "dataset_spec.pb").read_bytes(), (folder / "snapshot.metadata").read_bytes()
        seed("snapshot", f"distributed_{folder.name}", metadata)
        elements = int(path.name.rsplit("_")[-1])
        data = bytes([7, elements]) + part(spec) + part(b"") + path.read_bytes()
        seed("saved_folder", f"distributed_{folder.name}_{path.name}", data)
    tensor = '{"tensor": {"dtype": "uint8", "shape": [64, null]}}'
    for name, spec in {
        "tensor": tensor,
        "ragged": '{"ragged": {"dtype": "float32", "shape": [null, null], "ragged_rank": 1, '
        '"row_splits_dtype": "int64"}}',
        "all": '{"dict": {"a": {"tuple": [%s, {"none": {}}]}, "b": {"list": [{"optional": %s}]}, "c": {"dataset": '
        '{"sparse": {"dtype": "int8", "shape": null}}}, "d": {"namedtuple": {"name": "N", "fields": [["x", %s]]}}}}'
        % (tensor, tensor, tensor),
    }.items():
        seed("element_spec", f"json_{name}", spec.encode())


def cache():
    for path in files("cache", "*.index"):
        index = path.read_bytes()
        data = path.with_suffix(".data-00000-of-00001")
        data = data.read_bytes() if data.is_file() else b""
        seed("cache_files", path.stem, b"\0" + part(index) + part(b"") + data)
        # The first block by itself, up to the meta index behind it: its CRC is made anew.
        seed("cache_files", f"{path.stem}_block", b"\1" + part(first_block(index)) + part(b"") + data)


def first_block(table):
    footer = table[-48:]
    at = 0
    for _ in range(2):
        _, at = read_varint(footer, at)
    start, at = read_varint(footer, at)
    index = table[start:]
    _, at = read_varint(index, 0)
    suffix, at = read_varint(index, at)
    _, at = read_varint(index, at)
    start, at = read_varint(index, at + suffix)
    size, _ = read_varint(index, at)
    return table[start : start + size]


def riegeli():
    for path in files("array_record", "*.array_record"):
        if not path.name.startswith(("simple", "transpose", "empty", "padded")):
            continue
        data = path.read_bytes()
        at = 64
        for number in range(3):
            words = struct.unpack_from("<5Q", data, at)
            if words[1] > 5000:
                break
            kind, records, size = words[3] & 0xFF, words[3] >> 8, words[4]
            body = data[at + 40 : at + 40 + words[1]]
            head = struct.pack("<BHHB", kind, records & 0xFFFF, size >> 8 & 0xFFFF, size & 0xFF)
            if kind in b"rt":
                seed("riegeli", f"{path.stem}_{number}", head + body)
            at += 40 + words[1]
    # An index: metadata (field 1 of which is the version), then offset and number of records of each chunk.
    footer = [bytes([0x12, 2, 0x08, 1]), bytes([0x0A, 4, 0x08, 64, 0x18, 4])]
    sizes = b"".join(varint(len(record)) for record in footer)
    body = b"\0" + varint(len(sizes)) + sizes + b"".join(footer)
    seed("riegeli", "index", struct.pack("<BHHB", ord("i"), 2, 4, 0) + body)


def tfds():
    for path in sorted((GOLDEN / "tfds").rglob("*.json")):
        if path.name in ("features.json", "dataset_info.json"):
            text = json.dumps(json.loads(path.read_text()), separators=(",", ":")).encode()
            name = f"{path.relative_to(GOLDEN / 'tfds').parts[0]}_{path.stem}"
            for flags in (0, 15):
                seed("tfds_metadata", f"{name}_{flags}", bytes([flags]) + text)
            if path.name == "features.json":
                inner = json.loads(path.read_text())
                dicts = inner.get("featuresDict", {}).get("features", {})
                for key, feature in dicts.items():
                    one = dict(inner, featuresDict={"features": {key: feature}})
                    text_of_one = json.dumps(one, separators=(",", ":")).encode()
                    seed("tfds_metadata", f"{name}_{key}", b"\7" + text_of_one)
                    for shard in sorted(path.parent.glob("*.tfrecord-00000-of-*"))[:1]:
                        # What belongs to other features is passed over.
                        records = [only(key, record) for record in records_of(shard.read_bytes())[:2]]
                        flags = 9 if key == "steps" else 4
                        data = bytes([flags]) + part(text_of_one) + parts(records)
                        seed("tfds_folder", f"{name}_{key}", data)


def only(key, record):
    """The Example with the features of one TFDS feature alone."""
    out = b""
    for number, features in fields_of(record):
        for _, entry in fields_of(features) if number == 1 else ():
            name = next((body for n, body in fields_of(entry) if n == 1), b"").decode()
            if name == key or name.startswith(key + "/"):
                out += field(1, entry)
    return field(1, out)


TEXTS = {
    "split": ["train", "train[:10%]", "train[5:20]", "train[-3:]", "train[2shard]", "train[1shard:]+test", "all",
              "test[:50%]+empty", "unknown[3:9]", "train[10%:-10%]"],
    "feature_spec": ["label:int64", "box:float32[?,4]?", "img:raw<uint8>[64,64,3]", "t:tensor<float32>[...]?",
                     "a:b/c:string=a:b?", "x:image<uint16>[?,?,1]", "y:bool=true", "z:raw<float64>[2]=0.1",
                     "q:int64[]", "w:int8=-1", "uint8=float32", "x=int64", "d:tensor<string>[?,3]", "f:bfloat16[2,2]=1e3"],
    "features_file": [
        '{"label": "int64", "depth": {"encoding": "tensor", "dtype": "uint16", "shape": [64, null]}, "frames": '
        '{"type": "image[32,32,3]", "feature_list": true}, "x": {"dtype": "float", "default": 1.5, "shape": [2]}, '
        '"n": {"dtype": "string", "nullable": true}}',
        'feature { name: "a" type: INT presence { min_fraction: 1 } shape { dim { size: 2 } dim { size: 3 } } }\n'
        'feature { name: "b" type: BYTES value_count { min: 0 max: 5 } string_domain { value: "x" } }\n'
        'feature { name: "c" type: FLOAT value_count { min: 2 max: 2 } lifecycle_stage: BETA }\n',
        'feature { name: \'s\' type: STRUCT struct_domain { feature { name: "t\\x41\\n" type: BYTES } } }\n'
        'feature: < name: "q" type: INT bool_domain { name: "" } > # comment\n'
        'string_domain { name: "z" value: "a" "b" }\nfeature { name: "r" domain: "z" type: BYTES }',
    ],
    "snappy": [b"\x00", b"\x05\x10hello", b"\x40\x00a\xfe\x01\x00", b"\x80\x02\xf4\x7f" + b"x" * 128, b"\x0c\x2chello world!"],
}
EXTENSIONS = [
    (0, '{"shape":[2,3],"dim_names":["a","b"],"permutation":[1,0]}'),
    (0, '{"shape":[2,3],"dim_names":null,"permutations":null}'),
    (2, '{"shape":[0,18446744073709551615]}'),
    (4, '{"shape":[]}'),
    (7, '{"uniform_shape":[null,2],"dim_names":["h","w"],"permutation":[1,0]}'),
    (9, '{"uniform_shape":[]}'),
    (12, '{"shape":[2]}'),
]


def small_texts():
    for target, texts in TEXTS.items():
        for number, text in enumerate(texts):
            seed(target, str(number), text if isinstance(text, bytes) else text.encode())
    for number, (choice, text) in enumerate(EXTENSIONS):
        seed("extension", str(number), bytes([choice]) + text.encode())
    node = field(1, b"range") + field(2, b"RangeDataset")
    retval = field(1, b"retval") + field(2, b"_Retval") + field(3, b"range:0")
    attr = field(5, field(1, b"T") + field(2, bytes([0x30, 21])))
    seed("graph_def", "range", field(1, node) + field(1, retval + attr) + field(2, b""))
    seed("graph_def", "two", field(1, retval) + field(1, retval))


def images():
    """An image of each kind, as it is."""
    for path in sorted((GOLDEN / "images").iterdir()):
        if path.suffix != ".json":
            seed("image", path.name, b"\0" + path.read_bytes())


def protos():
    """Descriptors, records of their messages, and messages that are built in."""
    folder = GOLDEN / "messages"
    sets = ["two", "three", "edition", "delimited"]
    for name in sets:
        seed("descriptor_set", name, (folder / f"{name}.pb").read_bytes())
        seed("proto_text", name, (folder / f"{name}.proto").read_bytes())
    seed("proto_text", "shapes", (folder / "common/shapes.proto").read_bytes())
    for number, line in enumerate((folder / "cases.jsonl").read_text().splitlines()):
        case = json.loads(line)
        records = [bytes.fromhex(record) for record in case["records"]]
        choice = bytes([sets.index(case["set"].removesuffix(".pb")), 0, number & 7])
        for at in range(0, len(records), 4):
            seed("message", f"{number}_{at}", choice + parts(records[at : at + 4]))
    own = (folder / "delimited.pb").read_bytes()
    seed("message", "own_descriptor", bytes([9, 0, 0]) + part(own) + parts([b"\x0b\x08\x01\x0c", b""]))
    for path in files("events"):
        records = records_of(path.read_bytes())
        for at in range(0, len(records), 4):
            seed("event", f"{path.suffix[1:]}_{at}", bytes([at & 1]) + parts(records[at : at + 4]))
    for path in files("other", "elwc*"):
        seed("elwc", path.stem, parts(records_of(path.read_bytes())))


def tables():
    """Every table of others as it is, and with casts and all outputs."""
    targets = {".arrow": "arrow_file", ".arrows": "arrow_stream", ".parquet": "parquet"}
    for number, path in enumerate([*sorted((GOLDEN / "tables").iterdir()), *sorted(HOSTILE.iterdir())]):
        if path.suffix in targets:
            seed(targets[path.suffix], path.name, bytes([number % 4]) + path.read_bytes())


def reports():
    """Tables of others, and columns made of bytes by chance."""
    kinds = {".arrow": 0, ".arrows": 1}
    for number, path in enumerate(sorted((GOLDEN / "tables").iterdir())):
        if path.suffix in kinds and number % 4 == 0:
            seed("report", path.name, bytes([kinds[path.suffix] | number % 4 // 2 * 4, number]) + path.read_bytes())
    chance = random.Random(17)
    for number in range(40):
        seed("report", f"made_{number:02}", bytes([2 | number % 2 * 4]) + chance.randbytes(chance.randrange(40, 1500)))


# What the fuzzer found, and what is tried ever since.
FOUND = [
    ("element_spec", "ragged_rank_of_no_shape",
     b'{"ragged": {"dtype": "float32", "shape": [null, null], "ragged_rank": 5, "row_splits_dtype": "int64"}}'),
    ("encoded", "screen_of_a_gif",
     b"\x08" + part(b"GIF89a" + struct.pack("<HH", 10000, 10000) + bytes.fromhex(
         "800000ffffff0000002c00000000010001000002024401003b"))),
    ("split", "bound_of_the_lowest_number", b"train[-3:-18446744073709551615]"),
    ("features_file", "required_list", b'feature { name: "a" type: INT presence { min_fraction: 1 } }'),
]


def found():
    for target, name, data in FOUND:
        folder = SEEDS / target
        (folder / f"found_{name}").write_bytes(data)


if __name__ == "__main__":
    for make in (frames, example, encoded, messages, cache, riegeli, tfds, small_texts, images, protos, tables, reports):
        make()
    write()
    found()
