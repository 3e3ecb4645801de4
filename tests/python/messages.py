"""Messages of random descriptors, and the columns that Python's protobuf runtime says they hold.

    python messages.py SEED COUNT > cases.jsonl     random cases
    python messages.py golden                       writes tests/golden/messages/cases.jsonl

A case is a line of JSON: `set` (a FileDescriptorSet, or the file that holds it), `message`, `options`, `records`, `schema` (name
and type of every column) and `rows`, bytes in hexadecimal. Values are what the runtime's own parser
gives; the rules of docs/messages.md are applied to them here, apart from the implementation.
"""

import json
import pathlib
import random
import struct
import sys
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import duration_pb2, timestamp_pb2, wrappers_pb2

FD = descriptor_pb2.FieldDescriptorProto
LEVELS = 2
VARINT, FIXED64, LEN, START, END, FIXED32 = range(6)

TYPES = {
    FD.TYPE_DOUBLE: "float64", FD.TYPE_FLOAT: "float32", FD.TYPE_INT64: "int64", FD.TYPE_UINT64: "uint64",
    FD.TYPE_INT32: "int32", FD.TYPE_FIXED64: "uint64", FD.TYPE_FIXED32: "uint32", FD.TYPE_BOOL: "bool",
    FD.TYPE_STRING: "utf8", FD.TYPE_BYTES: "binary", FD.TYPE_UINT32: "uint32", FD.TYPE_ENUM: "int32",
    FD.TYPE_SFIXED32: "int32", FD.TYPE_SFIXED64: "int64", FD.TYPE_SINT32: "int32", FD.TYPE_SINT64: "int64",
}
WIRE = {
    FD.TYPE_DOUBLE: FIXED64, FD.TYPE_FLOAT: FIXED32, FD.TYPE_FIXED64: FIXED64, FD.TYPE_FIXED32: FIXED32,
    FD.TYPE_SFIXED32: FIXED32, FD.TYPE_SFIXED64: FIXED64, FD.TYPE_STRING: LEN, FD.TYPE_BYTES: LEN,
    FD.TYPE_MESSAGE: LEN, FD.TYPE_GROUP: START,
}
WRAPPERS = {f"google.protobuf.{name}Value" for name in
            ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")}


# What the columns are.

class Mapping:
    def __init__(self, root, options):
        self.root = root
        self.nested = options.get("structure") == "nested"
        self.class_names = options.get("class_names", False)
        self.defaults = options.get("proto_defaults", False)

    def leaf(self, field, within):
        """The type of a field that is a value of its own; None of a message that has columns."""
        message = field.message_type
        if message is None:
            if field.type == FD.TYPE_ENUM and self.class_names:
                return "dictionary"
            return TYPES[field.type]
        name = message.full_name
        if field.type == FD.TYPE_MESSAGE:
            if name == "google.protobuf.Timestamp":
                return "timestamp"
            if name == "google.protobuf.Duration":
                return "duration"
            if name in WRAPPERS:
                return TYPES[message.fields_by_number[1].type]
        if [m.full_name for m in within].count(name) >= LEVELS or not message.fields:
            return "opaque"
        return None

    def is_map(self, field):
        return field.message_type is not None and field.message_type.GetOptions().map_entry

    def type(self, field, within):
        if self.is_map(field):
            entry = field.message_type.fields_by_name
            return f"map<{self.leaf(entry['key'], within)}, {self.type(entry['value'], within)}>"
        ty = self.leaf(field, within)
        if ty is None:
            inner = within + [field.message_type]
            parts = [f"{part.name}: {self.type(part, inner)}" for part in field.message_type.fields]
            ty = f"struct<{', '.join(parts)}>"
        return f"list<{ty}>" if field.is_repeated else ty

    def value(self, message, field, within):
        if self.is_map(field):
            entry = field.message_type.fields_by_name["value"]
            pairs = getattr(message, field.name).items()
            key_field = field.message_type.fields_by_name["key"]
            pairs = [[self.plain(key, key_field, within), self.plain(value, entry, within)] for key, value in pairs]
            return sorted(pairs, key=lambda pair: json.dumps(pair[0]))
        if field.is_repeated:
            return [self.plain(value, field, within) for value in getattr(message, field.name)]
        if field.has_presence and not message.HasField(field.name):
            oneof = field.containing_oneof
            if self.defaults and field.has_default_value and (oneof is None or oneof.name == "_" + field.name):
                return self.plain(field.default_value, field, within)
            return None
        return self.plain(getattr(message, field.name), field, within)

    def plain(self, value, field, within):
        leaf = self.leaf(field, within)
        if leaf is None:
            inner = within + [field.message_type]
            return {part.name: self.value(value, part, inner) for part in field.message_type.fields}
        if leaf == "opaque":
            return "opaque"
        if leaf in ("timestamp", "duration"):
            return value.seconds * 10**9 + value.nanos
        if field.message_type is not None:
            inner = field.message_type.fields_by_number[1]
            return canonical(value.value, TYPES[inner.type])
        if leaf == "dictionary":
            names = [v.name for v in field.enum_type.values if v.number == value]
            return names[0] if names else None
        return canonical(value, leaf)

    def columns(self):
        def walk(message, path, within):
            for field in message.fields:
                name = f"{path}{field.name}"
                flat = not self.nested and not field.is_repeated and field.message_type is not None
                if flat and self.leaf(field, within) is None:
                    yield from walk(field.message_type, f"{name}/", within + [field.message_type])
                else:
                    yield name, self.type(field, within)
        return list(walk(self.root, "", [self.root]))

    def row(self, message):
        def walk(descriptor, message, within):
            for field in descriptor.fields:
                flat = not self.nested and not field.is_repeated and field.message_type is not None
                if flat and self.leaf(field, within) is None:
                    there = message is not None and message.HasField(field.name)
                    inner = getattr(message, field.name) if there else None
                    yield from walk(field.message_type, inner, within + [field.message_type])
                else:
                    yield None if message is None else self.value(message, field, within)
        return list(walk(self.root, message, [self.root]))


def canonical(value, type):
    if type == "float64":
        return struct.pack(">d", value).hex()
    if type == "float32":
        return struct.pack(">f", value).hex()
    if type == "binary":
        return value.hex()
    return value


def case(files, message, records, options):
    pool = descriptor_pool.DescriptorPool()
    given = {file.name for file in files}
    for module in (timestamp_pb2, duration_pb2, wrappers_pb2):
        if module.DESCRIPTOR.name not in given:
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    for file in files:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(message)
    kind = message_factory.GetMessageClass(descriptor)
    mapping = Mapping(descriptor, options)
    rows = []
    for record in records:
        try:
            rows.append(mapping.row(kind.FromString(record)))
        except Exception as error:
            rows.append({"error": str(error)})
    return {
        "set": descriptor_pb2.FileDescriptorSet(file=files).SerializeToString().hex(),
        "message": message,
        "options": options,
        "records": [record.hex() for record in records],
        "schema": mapping.columns(),
        "rows": rows,
    }


# Random descriptors.

SCALARS = [FD.TYPE_DOUBLE, FD.TYPE_FLOAT, FD.TYPE_INT64, FD.TYPE_UINT64, FD.TYPE_INT32, FD.TYPE_FIXED64,
           FD.TYPE_FIXED32, FD.TYPE_BOOL, FD.TYPE_STRING, FD.TYPE_BYTES, FD.TYPE_UINT32, FD.TYPE_SFIXED32,
           FD.TYPE_SFIXED64, FD.TYPE_SINT32, FD.TYPE_SINT64]
KEYS = [t for t in SCALARS if t not in (FD.TYPE_DOUBLE, FD.TYPE_FLOAT, FD.TYPE_BYTES)]
KNOWN = [".google.protobuf.Timestamp", ".google.protobuf.Duration"] + ["." + name for name in sorted(WRAPPERS)]


def random_default(rng, type):
    match type:
        case FD.TYPE_DOUBLE | FD.TYPE_FLOAT:
            return rng.choice(["inf", "-inf", "1.5", "-2.25", "1e10", "0"])
        case FD.TYPE_BOOL:
            return rng.choice(["true", "false"])
        case FD.TYPE_STRING:
            return rng.choice(["", "text", "\u00e9\\n'\""])
        case FD.TYPE_BYTES:
            return rng.choice(["", "a\\000\\377\\n", "\\\"x\\'"])
        case FD.TYPE_UINT32 | FD.TYPE_FIXED32:
            return str(rng.choice([0, 7, 2**32 - 1]))
        case FD.TYPE_UINT64 | FD.TYPE_FIXED64:
            return str(rng.choice([0, 7, 2**64 - 1]))
        case FD.TYPE_INT32 | FD.TYPE_SINT32 | FD.TYPE_SFIXED32:
            return str(rng.choice([0, -7, 2**31 - 1, -2**31]))
        case _:
            return str(rng.choice([0, -7, 2**63 - 1, -2**63]))


def random_file(rng):
    syntax = rng.choice(["proto2", "proto3", "editions"])
    file = descriptor_pb2.FileDescriptorProto(name="random.proto", package=rng.choice(["", "random.pkg"]))
    if syntax == "editions":
        file.syntax, file.edition = "editions", descriptor_pb2.EDITION_2023
        if rng.random() < 0.5:
            file.options.features.field_presence = descriptor_pb2.FeatureSet.IMPLICIT
        if rng.random() < 0.3:
            file.options.features.message_encoding = descriptor_pb2.FeatureSet.DELIMITED
    elif syntax == "proto3":
        file.syntax = syntax
    file.dependency.extend(m.DESCRIPTOR.name for m in (timestamp_pb2, duration_pb2, wrappers_pb2))
    scope = f".{file.package}." if file.package else "."
    enums, messages = [], []
    for i in range(rng.randint(1, 3)):
        enum = file.enum_type.add(name=f"E{i}")
        numbers = [0] + rng.sample([1, 2, 5, -1, 300, 2**31 - 1, -2**31], rng.randint(1, 4))
        if rng.random() < 0.2:
            enum.options.allow_alias = True
            numbers.append(numbers[-1])
        for j, number in enumerate(numbers):
            enum.value.add(name=f"E{i}_V{j}", number=number)
        closed = syntax == "proto2"
        if syntax == "editions" and rng.random() < 0.4:
            enum.options.features.enum_type = descriptor_pb2.FeatureSet.CLOSED
            closed = True
        enums.append((f"{scope}E{i}", closed, enum))
    for i in range(rng.randint(1, 4)):
        messages.append((file.message_type.add(name=f"M{i}"), f"{scope}M{i}"))
    for message, name in list(messages):
        if rng.random() < 0.3:
            messages.append((message.nested_type.add(name="Inner"), f"{name}.Inner"))
    for message, name in messages:
        random_fields(rng, file, syntax, message, name, [n for _, n in messages], enums)
    return file


def random_fields(rng, file, syntax, message, name, messages, enums):
    numbers = rng.sample(list(range(1, 40)) + [100, 1023, 1024, 5000, 2**29 - 1], rng.randint(0, 9))
    implicit_file = syntax == "proto3" or (
        syntax == "editions" and file.options.features.field_presence == descriptor_pb2.FeatureSet.IMPLICIT)
    oneof = None
    optionals = []
    for index, number in enumerate(numbers):
        field = message.field.add(name=f"f{index}", number=number, label=FD.LABEL_OPTIONAL)
        shape = rng.choice(["one", "one", "one", "many", "map", "oneof"])
        kind = rng.choice(["scalar", "scalar", "scalar", "enum", "message", "message", "known", "group"])
        closed = False
        if shape == "map":
            entry = message.nested_type.add(name=f"F{index}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, label=FD.LABEL_OPTIONAL, type=rng.choice(KEYS))
            value = entry.field.add(name="value", number=2, label=FD.LABEL_OPTIONAL)
            kind = {"group": "message"}.get(kind, kind)
            closed = random_type(rng, value, kind, messages, enums)
            field.label, field.type, field.type_name = FD.LABEL_REPEATED, FD.TYPE_MESSAGE, f"{name}.F{index}Entry"
            continue
        if kind == "group":
            if syntax == "proto2":
                group = message.nested_type.add(name=f"F{index}")
                for j in range(rng.randint(0, 3)):
                    group.field.add(name=f"g{j}", number=j + 1, label=FD.LABEL_OPTIONAL, type=rng.choice(SCALARS))
                field.type, field.type_name = FD.TYPE_GROUP, f"{name}.F{index}"
            else:
                kind = "message"
                random_type(rng, field, kind, messages, enums)
                if syntax == "editions":
                    field.options.features.message_encoding = descriptor_pb2.FeatureSet.DELIMITED
        else:
            closed = random_type(rng, field, kind, messages, enums)
        if shape == "many":
            field.label = FD.LABEL_REPEATED
            packable = kind == "enum" or (kind == "scalar" and field.type not in (FD.TYPE_STRING, FD.TYPE_BYTES))
            if packable and rng.random() < 0.4:
                if syntax == "editions":
                    field.options.features.repeated_field_encoding = descriptor_pb2.FeatureSet.EXPANDED
                else:
                    field.options.packed = rng.random() < 0.5
            continue
        if shape == "oneof":
            if oneof is None:
                oneof = len(message.oneof_decl)
                message.oneof_decl.add(name="choice")
            field.oneof_index = oneof
            continue
        if syntax == "proto3" and kind in ("scalar", "enum") and rng.random() < 0.4:
            optionals.append(field)
        if syntax == "proto2" and rng.random() < 0.1:
            field.label = FD.LABEL_REQUIRED
        explicit = syntax == "proto2"
        if syntax == "editions" and kind in ("scalar", "enum"):
            explicit = not implicit_file
            if closed and not explicit or rng.random() < 0.3:
                field.options.features.field_presence = descriptor_pb2.FeatureSet.EXPLICIT
                explicit = True
        if explicit and rng.random() < 0.4:
            if kind == "scalar":
                field.default_value = random_default(rng, field.type)
            elif kind == "enum":
                enum = next(enum for known, _, enum in enums if known == field.type_name)
                field.default_value = rng.choice(enum.value).name
    for field in optionals:
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")


def random_type(rng, field, kind, messages, enums):
    match kind:
        case "enum":
            name, closed, _ = rng.choice(enums)
            field.type, field.type_name = FD.TYPE_ENUM, name
            return closed
        case "message":
            field.type, field.type_name = FD.TYPE_MESSAGE, rng.choice(messages)
        case "known":
            field.type, field.type_name = FD.TYPE_MESSAGE, rng.choice(KNOWN)
        case _:
            field.type = rng.choice(SCALARS)
    return False


# Random bytes that are such messages.

def varint(value, pad=0):
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    for _ in range(min(pad, 10 - len(out))):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def tag(number, wire):
    return varint(number << 3 | wire)


def delimited(body):
    return varint(len(body)) + body


def random_int(rng):
    return rng.choice([0, 1, 2, 127, 128, 300, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1,
                       rng.getrandbits(64), rng.getrandbits(rng.randint(1, 63))])


def scalar(rng, field):
    type = field.type
    if type == FD.TYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return varint(rng.choice(known + known + [3, 77, -9, 2**32, 2**40 + 1]))
    if type == FD.TYPE_BOOL:
        return varint(rng.choice([0, 1, 1, 2, 2**32, 2**63]))
    if type == FD.TYPE_STRING:
        return delimited("".join(rng.choice(["a", "b", "\u00e9", "\u65e5", "\U0001f600", "\0", " "])
                                 for _ in range(rng.choice([0, 1, 3, 80]))).encode())
    if type == FD.TYPE_BYTES:
        return delimited(rng.randbytes(rng.choice([0, 1, 5, 200])))
    if type == FD.TYPE_DOUBLE:
        return struct.pack("<d", rng.choice([0.0, -0.0, 1.5, -1e300, float("inf"), rng.random()]))
    if type == FD.TYPE_FLOAT:
        return struct.pack("<f", rng.choice([0.0, -0.0, 1.5, -1e30, float("-inf"), rng.random()]))
    wire = WIRE.get(type, VARINT)
    if wire == FIXED64:
        return rng.choice([b"\0" * 8, b"\xff" * 8, rng.randbytes(8)])
    if wire == FIXED32:
        return rng.choice([b"\0" * 4, b"\xff" * 4, rng.randbytes(4)])
    return varint(random_int(rng), rng.choice([0, 0, 0, 1, 3]))


def random_unknown(rng, descriptor):
    number = rng.choice([41, 60, 2000, 70000])
    if number in descriptor.fields_by_number:
        return b""
    return field_of_wire(rng, number, rng.choice([VARINT, FIXED64, LEN, START, FIXED32]))


def field_of_wire(rng, number, wire):
    body = {
        VARINT: lambda: varint(random_int(rng)), FIXED64: lambda: rng.randbytes(8),
        LEN: lambda: delimited(rng.randbytes(rng.randint(0, 9))),
        START: lambda: field_of_wire(rng, 5, rng.choice([VARINT, START, LEN]) if rng.random() < 0.7 else VARINT)
        + tag(number, END),
        FIXED32: lambda: rng.randbytes(4),
    }[wire]()
    return tag(number, wire) + body


def known_message(rng, message):
    out = b""
    if message.full_name.endswith(("Timestamp", "Duration")):
        for _ in range(rng.randint(0, 3)):
            if rng.random() < 0.5:
                out += tag(1, VARINT) + varint(rng.randint(-9 * 10**9, 9 * 10**9))
            else:
                out += tag(2, VARINT) + varint(rng.choice([0, 1, 999999999, -5]))
        return out
    return random_message(rng, message, 0)


def random_value(rng, field, depth):
    """Everything that follows on the tag of a value."""
    if field.message_type is None:
        return scalar(rng, field)
    name = field.message_type.full_name
    if name in WRAPPERS or name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        body = known_message(rng, field.message_type)
    else:
        body = random_message(rng, field.message_type, depth - 1)
    return body + tag(field.number, END) if field.type == FD.TYPE_GROUP else delimited(body)


def random_message(rng, descriptor, depth):
    out = b""
    fields = list(descriptor.fields)
    for _ in range(rng.randint(0, 2 * len(fields) + 1) if depth >= 0 else 0):
        if not fields or rng.random() < 0.1:
            out += random_unknown(rng, descriptor)
            continue
        field = rng.choice(fields)
        wire = WIRE.get(field.type, VARINT)
        packable = field.is_repeated and wire not in (LEN, START)
        if rng.random() < 0.04:
            # Of another wire type than the field has: an unknown field.
            other = rng.choice([w for w in (VARINT, FIXED64, FIXED32, START) if w != wire] + [LEN] * (not packable and wire != LEN))
            out += field_of_wire(rng, field.number, other)
            continue
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if packable and rng.random() < 0.6:
            run = b"".join(scalar(rng, field) for _ in range(rng.choice([0, 1, 2, 9, 20])))
            out += tag(field.number, LEN) + delimited(run)
        elif is_map:
            parts = []
            for part in field.message_type.fields:
                for _ in range(rng.choice([0, 1, 1, 1, 1, 2])):
                    parts.append(tag(part.number, WIRE.get(part.type, VARINT)) + random_value(rng, part, depth))
            # No unknown fields: upb drops an entry that has one, which other runtimes keep, as we do.
            if rng.random() < 0.3:
                rng.shuffle(parts)
            out += tag(field.number, LEN) + delimited(b"".join(parts))
        else:
            out += tag(field.number, wire) + random_value(rng, field, depth)
    return out


def random_case(seed):
    rng = random.Random(seed)
    while True:
        file = random_file(rng)
        scope = f"{file.package}." if file.package else ""
        message = f"{scope}M0"
        options = {}
        if rng.random() < 0.4:
            options["structure"] = "nested"
        if rng.random() < 0.3:
            options["class_names"] = True
        if rng.random() < 0.4:
            options["proto_defaults"] = True
        pool = descriptor_pool.DescriptorPool()
        for module in (timestamp_pb2, duration_pb2, wrappers_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        try:
            pool.Add(file)
        except TypeError as error:
            # A rule of the language that the dice do not know.
            print(f"seed {seed}: {error}", file=sys.stderr)
            continue
        descriptor = pool.FindMessageTypeByName(message)
        if not descriptor.fields:
            continue
        records = [random_message(rng, descriptor, 3) for _ in range(rng.randint(1, 12))]
        made = case([file], message, records, options)
        if len(made["schema"]) < 400:
            made["seed"] = seed
            return made


# The cases that are kept.

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden/messages"

# Bytes that no writer gives and every parser takes, or that none takes.
ODD = [
    b"",
    b"\xe3\x03\x08\x01\xe4\x03",  # an unknown group
    b"\xe3\x03" * 101 + b"\xe4\x03" * 101,  # groups too deep
    b"\xe4\x03",  # the end of a group that none began
    b"\x00\x01",  # field 0
    b"\x7e\x01",  # wire type 6
    b"\x0a\xff\xff\xff\xff\x0f",  # a length past the end
    b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a tag of eleven bytes
    b"\x08" + b"\xff" * 10 + b"\x01",  # a varint of eleven bytes
    b"\x08\x80\x80\x00",  # a varint longer than it need be
]


def golden_cases():
    for name, message in [("two", "golden.two.Everything"), ("three", "golden.three.Record"),
                          ("edition", "golden.edition.Record"), ("delimited", "golden.delimited.Outer")]:
        files = descriptor_pb2.FileDescriptorSet.FromString((GOLDEN / f"{name}.pb").read_bytes()).file
        pool = descriptor_pool.DescriptorPool()
        for file in files:
            pool.Add(file)
        descriptor = pool.FindMessageTypeByName(message)
        for variant, options in enumerate([
            {}, {"structure": "nested"}, {"class_names": True}, {"proto_defaults": True},
        ]):
            rng = random.Random(variant)
            records = (random_message(rng, descriptor, 2) for _ in range(1000))
            records = [record for record in records if len(record) < 700][:6]
            made = case(files, message, records + ODD, options)
            made["set"] = f"{name}.pb"
            yield made


if __name__ == "__main__":
    if sys.argv[1] == "golden":
        with open(GOLDEN / "cases.jsonl", "w") as out:
            for made in golden_cases():
                print(json.dumps(made), file=out)
    else:
        first, count = int(sys.argv[1]), int(sys.argv[2])
        for seed in range(first, first + count):
            print(json.dumps(random_case(seed)))
