"""Compares the pixels of many images with TensorFlow's, and which damaged images are refused.

    python tests/python/check_images.py TFARROW [--mutations N] [--list]

Images that TensorFlow encodes, of many sizes and qualities, and tests/golden/images must have its pixels,
bit for bit. Of mutations of them, none may be given with other pixels, and none that it refuses may be
given, but for damage that no checksum tells of. What it accepts and we do not is counted, and listed on
request. TensorFlow runs in a process of its own: some damage ends it.
"""

import argparse
import collections
import os
import pickle
import random
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "images")
# A bit stream of VP8 has no checksum, and where one ends too soon is not told by all decoders.
UNTOLD = {"webp": 0.02}


def kind(name):
    return name.rsplit(".", 1)[1]


def encoded():
    """Images that TensorFlow encodes."""
    import tensorflow as tf

    rng = np.random.default_rng(5)
    images = {}
    for height, width in [(1, 1), (1, 9), (8, 8), (16, 16), (23, 40), (65, 31), (120, 161)]:
        y, x = np.mgrid[0:height, 0:width]
        smooth = np.stack([x * 3 + y, 255 - x * 2, y * 5 + x], -1) % 256
        noise = rng.integers(0, 256, (height, width, 3))
        for name, array in {"smooth": smooth, "noise": noise}.items():
            array = array.astype("uint8")
            for quality in (1, 40, 95, 100):
                for progressive in (False, True):
                    for down in (False, True):
                        for format in ("rgb", "grayscale"):
                            data = tf.io.encode_jpeg(
                                array[..., : 3 if format == "rgb" else 1],
                                format=format,
                                quality=quality,
                                progressive=progressive,
                                chroma_downsampling=down,
                            ).numpy()
                            end = f"{quality}_{progressive}_{down}_{format}"
                            images[f"{name}_{height}x{width}_{end}.jpg"] = data
            for channels in (1, 2, 3, 4):
                wide = np.concatenate([array, array[..., :1]], -1)[..., :channels]
                images[f"{name}_{height}x{width}_{channels}.png"] = tf.io.encode_png(wide).numpy()
    return images


def golden():
    names = [name for name in sorted(os.listdir(GOLDEN)) if name != "expected.json"]
    return {name: open(os.path.join(GOLDEN, name), "rb").read() for name in names}


def mutated(images, count):
    """Cuts, changed bits and bytes, bytes left out and put in."""
    random.seed(7)
    out = {}
    for name, data in images.items():
        for number in range(count):
            changed = bytearray(data)
            if number % 4 == 0:
                del changed[random.randrange(4, len(changed)) :]
            for _ in range(0 if number % 4 == 0 else random.choice([1, 1, 2, 4])):
                at = random.randrange(4, random.choice([len(changed), min(len(changed), 120)]))
                action = random.random()
                if action < 0.5:
                    changed[at] ^= 1 << random.randrange(8)
                elif action < 0.8:
                    changed[at] = random.choice([0, 1, 127, 128, 255])
                elif action < 0.9:
                    del changed[at : at + random.randrange(1, 8)]
                else:
                    changed[at:at] = bytes(random.randrange(256) for _ in range(random.randrange(1, 5)))
                if len(changed) < 8:
                    break
            out[f"mutation {number} of {name}"] = bytes(changed)
    return out


def decode_with_tensorflow():
    """What a process of its own does: reads images, writes what they decode to, one by one."""
    import tensorflow as tf

    images = pickle.load(sys.stdin.buffer)
    for name, data in images.items():
        try:
            pixels = tf.image.decode_image(data).numpy()
        except tf.errors.OpError:
            pixels = None
        pickle.dump((name, pixels), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def tensorflow(images):
    """What TensorFlow decodes images to; none for those that it refuses, and none at all for those that
    end it."""
    found = {}
    waiting = dict(images)
    while waiting:
        run = subprocess.run(
            [sys.executable, __file__, "--tensorflow"],
            input=pickle.dumps(waiting),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        with tempfile.TemporaryFile() as file:
            file.write(run.stdout)
            file.seek(0)
            while True:
                try:
                    name, pixels = pickle.load(file)
                except (EOFError, pickle.UnpicklingError):
                    break
                found[name] = pixels
                waiting.pop(name)
        if run.returncode == 0:
            break
        waiting.pop(next(iter(waiting)))
    return found


def frames(records):
    import tensorflow as tf

    for data in records:
        value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
        yield tf.train.Example(features=tf.train.Features(feature={"image": value})).SerializeToString()


def tfarrow(program, images, folder):
    """What the program makes of them; none for those that it refuses."""
    import tensorflow as tf

    found = {}
    for deep in (False, True):
        for shape in ("[?,?,?]", "[?,?,?,?]"):
            ends = ("gif", "webp") if shape == "[?,?,?,?]" else ("jpg", "png", "bmp")
            names = [name for name in images if kind(name) in ends]
            path, output = os.path.join(folder, "in.tfrecord"), os.path.join(folder, "out.arrow")
            with tf.io.TFRecordWriter(path) as writer:
                for record in frames(images[name] for name in names):
                    writer.write(record)
            spec = f"image:image{'<uint16>' if deep else ''}{shape}"
            command = [program, "convert", path, "-o", output, "--feature", spec, "--on-error", "null"]
            run = subprocess.run([*command, "--overwrite"], capture_output=True, text=True, check=False)
            assert run.returncode in (0, 1), run.stderr
            assert "panicked" not in run.stderr, run.stderr
            column = pa.ipc.open_file(output).read_all()["image"].combine_chunks()
            assert len(column) == len(names)
            for name, row in zip(names, column):
                row = row if hasattr(row, "items") or not hasattr(row, "value") else row.value
                if row is None or not row.is_valid:
                    found.setdefault(name, None)
                    continue
                data = row["data"].values.to_numpy(zero_copy_only=False)
                pixels = data.reshape([size.as_py() for size in row["shape"].values])
                # TensorFlow was asked for 8 bits, which are the upper ones of 16.
                found[name] = (pixels >> 8).astype("uint8") if deep else pixels
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--mutations", type=int, default=8)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    sound = {**encoded(), **golden()}
    damaged = mutated(golden(), args.mutations)
    wrong, told, total = [], collections.Counter(), collections.Counter()
    untold = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for images in (sound, damaged):
            theirs, ours = tensorflow(images), tfarrow(args.program, images, folder)
            for name, pixels in theirs.items():
                mine, end = ours[name], kind(name)
                total[end] += 1
                is_sound = images is sound
                if pixels is None and mine is None:
                    told["refused by both"] += 1
                elif mine is None:
                    told[f"{end}: refused by us alone"] += 1
                    if is_sound:
                        wrong.append(f"{name}: refused")
                    elif args.list:
                        print(f"{name}: refused by us alone")
                elif pixels is not None and pixels.shape == mine.shape and (pixels == mine).all():
                    told["the same"] += 1
                else:
                    what = "refused by TensorFlow" if pixels is None else "other pixels"
                    (wrong if is_sound else untold[end]).append(f"{name}: {what}")
    for end, names in untold.items():
        told[f"{end}: given by us alone, or other pixels"] = len(names)
        if len(names) > UNTOLD.get(end, 0) * total[end] or args.list:
            print("\n".join(names))
        if len(names) > UNTOLD.get(end, 0) * total[end]:
            wrong.extend(names)
    print(f"{sum(total.values())} images: {dict(told)}")
    if wrong:
        sys.exit("\n".join(wrong))


if sys.argv[1:] == ["--tensorflow"]:
    decode_with_tensorflow()
else:
    main()
