"""Writes tests/golden/images: an image of each kind, and what TensorFlow decodes it to.

    python tests/python/make_images.py --images     # needs Pillow and libjpeg-turbo's cjpeg
    python tests/python/make_images.py              # needs TensorFlow

expected.json has, for each image and each number of channels and bits that is asked for, the shape and
the CRC-32C of the pixels, or nothing where TensorFlow refuses.
"""

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np

HERE = os.path.join(os.path.dirname(__file__), "..", "golden", "images")
HEIGHT, WIDTH = 17, 33


def put(name, data):
    with open(os.path.join(HERE, name), "wb") as file:
        file.write(data)


def photo(rng, height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[0:height, 0:width].astype("float64")
    waves = [128 + 100 * np.sin(x / 7 + y / 13), 128 + 100 * np.cos(x / 11 - y / 5), 128 + 90 * np.sin(x * y / 97)]
    base = np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
    base[height // 3 : height // 2, width // 4 : width // 2] = [255, 0, 30]
    return base.clip(0, 255).astype("uint8")


def save(name, image, **options):
    data = io.BytesIO()
    image.save(data, **options)
    put(name, data.getvalue())
    return data.getvalue()


def jpegs(image, array):
    gray = image.convert("L")
    for quality in (30, 75, 100):
        save(f"444_{quality}.jpg", image, format="JPEG", quality=quality, subsampling=0)
        save(f"420_{quality}.jpg", image, format="JPEG", quality=quality, subsampling=2)
    save("422.jpg", image, format="JPEG", quality=90, subsampling=1)
    save("gray.jpg", gray, format="JPEG", quality=90)
    save("progressive_420.jpg", image, format="JPEG", quality=85, progressive=True)
    save("progressive_444.jpg", image, format="JPEG", quality=85, progressive=True, subsampling=0)
    save("progressive_gray.jpg", gray, format="JPEG", quality=85, progressive=True)
    save("restarts.jpg", image, format="JPEG", quality=85, restart_marker_blocks=3)
    save("rgb.jpg", image, format="JPEG", quality=90, keep_rgb=True)
    # Adobe's marker says how four inks are stored; without it they are not inverted.
    from PIL import Image

    cmyk = save("cmyk.jpg", Image.merge("CMYK", [*image.split(), gray]), format="JPEG", quality=90)
    at = cmyk.find(b"Adobe")
    put("ycck.jpg", cmyk[: at + 11] + b"\x02" + cmyk[at + 12 :])
    length = struct.unpack(">H", cmyk[at - 2 : at])[0]
    put("cmyk_without_adobe.jpg", cmyk[: at - 4] + cmyk[at - 2 + length :])
    ppm = b"P6 %d %d 255\n" % (WIDTH, HEIGHT) + array.tobytes()
    for name, options in {
        "arithmetic": ["-arithmetic"],
        "arithmetic_progressive": ["-arithmetic", "-progressive"],
        "440": ["-sample", "1x2"],
        "411": ["-sample", "4x1"],
        "410": ["-sample", "4x2"],
        "441": ["-sample", "1x4"],
        "sampled_2x2_1x2_2x1": ["-sample", "2x2,1x2,2x1"],
        "quality_1": ["-quality", "1"],
    }.items():
        put(f"{name}.jpg", subprocess.run(["cjpeg", *options], input=ppm, capture_output=True, check=True).stdout)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(array, depth, colour, interlaced, extra=b""):
    """A PNG of any kind, which no encoder at hand writes."""
    height, width = array.shape[:2]

    def rows(part):
        out = b""
        for row in part.reshape(part.shape[0], -1):
            bits = "".join(format(int(value), f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            out += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        return out

    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [array[y::dy, x::dx] for x, y, dx, dy in passes] if interlaced else [array]
    data = zlib.compress(b"".join(rows(part) for part in parts if part.size))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def pngs(rng):
    size = (9, 13)
    for interlaced in (0, 1):
        end = "_interlaced.png" if interlaced else ".png"
        for depth in (1, 2, 4, 8, 16):
            gray = rng.integers(0, 1 << depth, size)
            put(f"gray_{depth}{end}", png(gray, depth, 0, interlaced))
            mark = chunk(b"tRNS", struct.pack(">H", int(gray[0, 0])))
            put(f"gray_{depth}_transparent{end}", png(gray, depth, 0, interlaced, mark))
            if depth <= 8:
                count = min(1 << depth, 200)
                colours = chunk(b"PLTE", rng.integers(0, 256, 3 * count, dtype="uint8").tobytes())
                alphas = chunk(b"tRNS", rng.integers(0, 256, max(1, count // 2), dtype="uint8").tobytes())
                indices = rng.integers(0, count, size)
                put(f"palette_{depth}{end}", png(indices, depth, 3, interlaced, colours))
                put(f"palette_{depth}_transparent{end}", png(indices, depth, 3, interlaced, colours + alphas))
            if depth >= 8:
                for name, channels, colour in (("gray_alpha", 2, 4), ("colour", 3, 2), ("colour_alpha", 4, 6)):
                    pixels = rng.integers(0, 1 << depth, (*size, channels))
                    put(f"{name}_{depth}{end}", png(pixels, depth, colour, interlaced))
                pixels = rng.integers(0, 1 << depth, (*size, 3))
                mark = chunk(b"tRNS", struct.pack(">HHH", *(int(value) for value in pixels[0, 0])))
                put(f"colour_{depth}_transparent{end}", png(pixels, depth, 2, interlaced, mark))
    pixels = rng.integers(0, 256, (*size, 3))
    put("colour_gamma.png", png(pixels, 8, 2, 0, chunk(b"gAMA", struct.pack(">I", 45455))))
    put("colour_srgb.png", png(pixels, 8, 2, 0, chunk(b"sRGB", b"\0")))
    put("colour_gamma_1.png", png(pixels, 8, 2, 0, chunk(b"gAMA", struct.pack(">I", 98000))))


def others(image):
    from PIL import Image

    gray = image.convert("L")
    alpha = image.convert("RGBA")
    alpha.putalpha(gray)
    few = image.quantize(40)
    turned = [image.rotate(180).quantize(40), image.rotate(90).quantize(60)]
    save("still.gif", few, format="GIF")
    save("interlaced.gif", few, format="GIF", interlace=1)
    save("transparent.gif", few, format="GIF", transparency=5)
    save("animated.gif", few, format="GIF", save_all=True, append_images=turned, disposal=2)
    save("animated_transparent.gif", few, format="GIF", save_all=True, append_images=turned, transparency=2)
    rolled = Image.fromarray(np.roll(np.asarray(image), 3, 0))
    save("animated_parts.gif", image, format="GIF", save_all=True, append_images=[rolled, image])
    for name, kind in (("colour", image), ("gray", gray), ("palette", few), ("alpha", alpha), ("bits", gray.convert("1"))):
        save(f"{name}.bmp", kind, format="BMP")
    top_down = bytearray(open(os.path.join(HERE, "colour.bmp"), "rb").read())
    top_down[22:26] = struct.pack("<i", -HEIGHT)
    put("top_down.bmp", bytes(top_down))
    save("lossy.webp", image, format="WEBP", quality=70)
    save("lossless.webp", image, format="WEBP", lossless=True)
    save("lossy_alpha.webp", alpha, format="WEBP", quality=60)
    save("lossy_alpha_filtered.webp", alpha, format="WEBP", quality=60, alpha_quality=30)
    save("lossless_alpha.webp", alpha, format="WEBP", lossless=True, exact=True)
    exif = save("exif.webp", image, format="WEBP", quality=80, exif=b"Exif\0\0abcd")
    at = exif.find(b"EXIF")
    put("exif_promised.webp", exif[:4] + struct.pack("<I", at - 8) + exif[8:at])
    other = alpha.copy()
    other.putalpha(image.getchannel(2))
    frames = {"format": "WEBP", "save_all": True, "append_images": [alpha.rotate(180), other, image.convert("RGBA")]}
    save("animated_lossless.webp", alpha, lossless=True, allow_mixed=True, **frames)
    save("animated_lossy.webp", alpha, quality=50, minimize_size=True, **frames)


def images():
    from PIL import Image

    os.makedirs(HERE, exist_ok=True)
    rng = np.random.default_rng(1)
    array = photo(rng)
    jpegs(Image.fromarray(array), array)
    pngs(rng)
    others(Image.fromarray(array))


def crc32c(data):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def expected():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    found = {}
    for name in sorted(os.listdir(HERE)):
        if name == "expected.json":
            continue
        data = open(os.path.join(HERE, name), "rb").read()
        found[name] = {}
        for channels in (0, 1, 3, 4):
            for bits, dtype in ((8, tf.uint8), (16, tf.uint16)):
                if bits == 16 and name.endswith(".bmp"):
                    continue  # TensorFlow writes beyond its buffer where the first row is the top one
                try:
                    pixels = tf.image.decode_image(data, channels=channels, dtype=dtype).numpy()
                except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                    found[name][f"{channels}/{bits}"] = None
                    continue
                crc = crc32c(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
                found[name][f"{channels}/{bits}"] = {"shape": list(pixels.shape), "crc32c": crc}
    with open(os.path.join(HERE, "expected.json"), "w", encoding="utf-8") as file:
        lines = [f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items()]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if "--images" in sys.argv[1:]:
    images()
else:
    expected()
