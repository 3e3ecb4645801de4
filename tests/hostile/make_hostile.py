"""Writes the files of this folder again: python make_hostile.py. Needs nothing but Python."""

import gzip
import os
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = crc32c_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def header(length):
    length = struct.pack("<Q", length)
    return length + struct.pack("<I", masked_crc(length))


def frame(record):
    return header(len(record)) + record + struct.pack("<I", masked_crc(record))


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def ints(*values):
    return field(3, field(1, b"".join(varint(v) for v in values)))


def floats(count):
    return field(2, field(1, bytes(4 * count)))


def values(*items):
    return field(1, b"".join(field(1, item) for item in items))


def example(*features):
    return field(1, b"".join(field(1, field(1, name) + field(2, feature)) for name, feature in features))


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)


sound = frame(example((b"x", ints(1))))
plain = example((b"x", ints(1)))

write("length_of_4_exabytes.tfrecord", sound + header(1 << 62) + b"end")
write("lengths_that_lie.tfrecord", sound + bytes(12) + b"".join(header(1 << 20 | n) for n in range(2000)) + sound)
write("frames_in_a_record.tfrecord", sound + b"\x01" + frame(sound * 3) + sound)
write("records_of_nothing.tfrecord", frame(b"") * 5000)
write("gzip_bomb.tfrecord", gzip.compress(bytes(8 << 20), 9, mtime=0))
write("gzip_bomb_in_a_record.tfrecord", gzip.compress(frame(b"") * 10 + header(1 << 30) + bytes(4 << 20), 9, mtime=0))
write("zlib_dictionary.tfrecord", b"\x78\xbb" + zlib.compress(sound)[2:])
write("groups_in_groups.tfrecord", frame(plain + b"\x1b" * 20000 + b"\x1c" * 20000))
write("group_not_closed.tfrecord", frame(plain + b"\x1b" * 5))
write("varint_of_11_bytes.tfrecord", frame(b"\x0a" + b"\xff" * 10 + b"\x01"))
write("value_longer_than_record.tfrecord", frame(field(1, field(1, field(1, b"x") + field(2, b"\x0a\x0a\x0a" + varint(1 << 40))))))
write("packed_run_cut.tfrecord", frame(example((b"x", field(2, field(1, b"\0\0\0"))))))
write("many_features.tfrecord", frame(example(*((b"feature-%05d" % n, ints(n)) for n in range(3000)))))
write("key_a_thousand_times.tfrecord", frame(example(*((b"x", ints(n)) for n in range(1000)))) * 5)
write("empty_key.tfrecord", frame(example((b"", ints(1)))))
write("key_not_utf8.tfrecord", frame(example((b"\xff\xfe", ints(1)))))
write("key_with_controls.tfrecord", frame(example((b"a\nb\0c\x1b[31m", ints(1)))))
write("long_then_nothing.tfrecord", frame(example((b"x", floats(5000)))) + frame(example()) * 2000)
write("tensor_of_70_trillion.tfrecord", frame(example((b"t", values(b"\x08\x01\x12\x09\x12\x07\x08\x80\x80\x80\x80\x80\x10\x2d\0\0\0\0")))))
ihdr = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
write("image_of_ten_gigabytes.tfrecord", frame(example((b"i", values(png)))))
gif = b"GIF89a" + struct.pack("<HH", 10000, 10000) + bytes.fromhex("800000ffffff0000002c00000000010001000002024401003b")
write("image_of_a_hundred_million_pixels.tfrecord", frame(example((b"i", values(gif)))))
write("steps_of_nothing.tfrecord", frame(plain + field(2, field(1, field(1, b"s") + field(2, field(1, floats(1)) + b"\x0a\x00" * 10000)))))
