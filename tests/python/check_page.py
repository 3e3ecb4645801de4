"""Looks at pages of `tfarrow report` in a headless Chromium.

    check_page.py TFARROW [--pictures FOLDER] [--update]

Small pictures of one page are compared with those of tests/golden/pages, loosely, since fonts differ from machine to
machine; --update writes them anew. Each page is opened narrow and wide, light and dark: nothing is loaded, nothing is said on the console,
nothing overlaps or sticks out, all text stands out from its background, and everything that is drawn has
a name for those who do not see it.
"""

import base64
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import chromium

TFARROW = pathlib.Path(sys.argv[1])
PICTURES = pathlib.Path(sys.argv[sys.argv.index("--pictures") + 1]) if "--pictures" in sys.argv else None
SIZES = [(360, False), (360, True), (1440, False), (1440, True)]
REFERENCES = pathlib.Path("tests/golden/pages")
# How far cells of two pictures may be apart, on average and of 255: with a larger font with serifs it is 19 at most.
APART = 22

# Text that is seen, with its place and colours; what is cut off by a box that scrolls is not.
LOOK = r"""
(() => {
  const parse = (color) => {
    const numbers = color.match(/[\d.]+/g).map(Number);
    return numbers.length > 3 ? numbers : [...numbers, 1];
  };
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const texts = [];
  const low = [];
  let number = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    number += 1;
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, title, .vh, .skip, [hidden]")) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [front, back] = [light(parse(style.color)), light(behind(element))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5 && !element.closest(":disabled")) low.push([node.data.trim().slice(0, 40), ratio]);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      let [left, right, top, bottom] = [box.left, box.right, box.top + scrollY, box.bottom + scrollY];
      for (let at = element; at; at = at.parentElement) {
        if (!["auto", "hidden", "scroll", "clip"].includes(getComputedStyle(at).overflowX)) continue;
        if (at === document.documentElement || at === document.body) continue;
        const frame = at.getBoundingClientRect();
        left = Math.max(left, frame.left); right = Math.min(right, frame.right);
        top = Math.max(top, frame.top + scrollY); bottom = Math.min(bottom, frame.bottom + scrollY);
      }
      if (right - left > 1 && bottom - top > 1 && !element.closest("nav")) {
        texts.push({ number, left, right, top: top + 2, bottom: bottom - 2, text: node.data.trim().slice(0, 40) });
      }
    }
  }
  texts.sort((a, b) => a.top - b.top);
  const overlaps = [];
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length && texts[j].top < texts[i].bottom; j++) {
      const [a, b] = [texts[i], texts[j]];
      // A text that is cut off has a place for what is seen and one for all of it.
      if (a.number !== b.number && a.left + 1 < b.right && b.left + 1 < a.right) overlaps.push([a.text, b.text]);
    }
  }
  const outside = texts.filter((t) => t.left < -1 || t.right > innerWidth + 1).map((t) => t.text);
  return { overlaps, low, outside, texts: texts.length, wide: document.documentElement.scrollWidth - innerWidth };
})()
"""

# Parts without what they need to be understood without being seen.
NAMES = r"""
(() => {
  const wrong = [];
  const tell = (element, what) => wrong.push(`${what}: ${element.outerHTML.slice(0, 80)}`);
  document.querySelectorAll("img").forEach((e) => { if (!e.hasAttribute("alt")) tell(e, "no alt"); });
  document.querySelectorAll("svg").forEach((e) => {
    const hidden = e.getAttribute("aria-hidden") === "true";
    if (!hidden && !(e.getAttribute("role") === "img" && e.getAttribute("aria-label"))) tell(e, "no name");
  });
  document.querySelectorAll("svg[role=img]").forEach((e) => {
    if (!e.closest("figure")?.querySelector("table")) tell(e, "no table");
  });
  document.querySelectorAll("input").forEach((e) => { if (!e.labels.length) tell(e, "no label"); });
  document.querySelectorAll("th").forEach((e) => { if (!e.scope) tell(e, "no scope"); });
  document.querySelectorAll(".scroll").forEach((e) => {
    if (e.tabIndex !== 0 || !e.getAttribute("aria-label")) tell(e, "no way to it by keyboard");
  });
  document.querySelectorAll("a[href^='#']").forEach((e) => {
    if (!document.getElementById(e.getAttribute("href").slice(1))) tell(e, "leads nowhere");
  });
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id twice");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
  let level = 0;
  document.querySelectorAll("h1, h2, h3, h4, h5").forEach((e) => {
    const own = Number(e.tagName[1]);
    if (own > level + 2) tell(e, `heading ${own} after ${level}`);
    level = own;
  });
  return wrong;
})()
"""


def noise(rng):
    """A PNG of colours by chance, which is not made smaller by compression."""
    pixels = rng.integers(0, 256, (100, 301), dtype=np.uint8)
    pixels[:, 0] = 0
    part = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    header = struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(pixels.tobytes())) + part(b"IEND", b"")


def make(folder):
    """Datasets of every kind of nuisance; their names with their paths."""
    rng = np.random.default_rng(3)
    evil = "<script>document.title='owned'</script>\"'&\x1b[31m\u202e\u0000"
    broken = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\0\0\0\0", b"\xff\xd8\xff\xe0junk", b"GIF89a\x05\0\x06\0junk"]
    n = 2000
    tables = {
        "hostile": {
            evil: [evil, "</table><img src=x onerror=\"document.title='owned'\">", "שלום עולם مرحبا بالعالم", None] * 5,
            "": list(range(20)),
            "nothing": [float("nan")] * 20,
            "infinite": [float("inf"), -float("inf")] * 10,
            "images": pa.array((broken + [b"nothing"]) * 5),
            "javascript:alert(1)": ["javascript:alert(1)"] * 20,
            "name" * 300: [1] * 20,
            "東京" * 40: ["👩\u200d🚀 \u0301\u0301\u0301"] * 20,
        },
        "long": {"text": [letter * 1_000_000 for letter in "ab<&"], "n": [1, 2, 3, 4]},
        "wide": {f"c{i}": rng.normal(size=20) for i in range(10_000)},
        "empty": {"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())},
        "mixed": {
            "price": rng.lognormal(3, 2.5, n), "age": rng.normal(40, 12, n),
            "holes": np.where(rng.random(n) < 0.03, np.nan, rng.normal(0, 1, n)),
            "missing": [None if rng.random() < 0.8 else "x" for _ in range(n)],
            "label": rng.choice(["cat", "dog", "bird"], n, p=[0.9, 0.08, 0.02]),
            "ok": rng.random(n) < 0.3, "id": [f"user-{i:06d}" for i in range(n)],
            "tokens": [rng.integers(0, 30000, rng.integers(1, 90)).tolist() for _ in range(n)],
            "text": ["lorem ipsum " * rng.integers(1, 30) for _ in range(n)],
        },
    }
    step = lambda i, n: {"action": rng.normal(size=3).tolist(), "reward": float(i + 1 == n), "is_last": i + 1 == n}
    lengths = [2, 9, 4, 5]
    tables["episodes"] = {
        "steps": [[step(i, n) for i in range(n)] for n in lengths],
        # Images of noise, of which the page has room for some.
        **{f"camera{c}": [noise(rng) for _ in lengths] for c in range(8)},
    }
    inputs = {}
    for name, columns in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path)
        inputs[name] = [path]
    inputs["digits"] = ["examples/data/digits/digits.tfrecord-*-of-*", "--title", "Handwritten digits"]
    inputs["compared"] = [inputs["mixed"][0], "--take", "500", "--compare", inputs["mixed"][0]]
    inputs["nested"] = ["tests/golden/tfds/wide_tfrecord/wide/1.2.3", "--split", "train", "--compare-split", "test"]
    return inputs


def check_events(browser, name):
    loaded = []
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        assert method not in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"), f"{name}: {params}"
        if method == "Network.requestWillBeSent":
            loaded.append(params["request"]["url"][:60])
    # Images stand in the page itself.
    assert len([url for url in loaded if not url.startswith("data:")]) == 1, f"{name}: {loaded[:5]}"


def check_page(browser, name, path):
    assert path.stat().st_size <= 2_000_000, f"{name}: {path.stat().st_size} bytes"
    for width, dark in SIZES if name != "wide" else SIZES[:1]:
        what = f"{name} at {width}, {'dark' if dark else 'light'}"
        browser.look(width, dark=dark)
        browser.visit(path.as_uri())
        assert browser.evaluate("document.readyState") == "complete", what
        assert "owned" not in browser.evaluate("document.title") or name == "hostile", what
        # What is folded away is looked at, too; where there is very much of it, some is enough.
        browser.evaluate("[...document.querySelectorAll('details')].slice(0, 60).forEach((d) => { d.open = true; })")
        seen = browser.evaluate(LOOK)
        assert seen["texts"] > 10, what
        for wrong in ("overlaps", "low", "outside"):
            assert not seen[wrong], f"{what}: {wrong}: {json.dumps(seen[wrong][:5], ensure_ascii=False)}"
        assert seen["wide"] <= 0, f"{what}: {seen['wide']} pixels too wide"
        wrong = browser.evaluate(NAMES)
        assert not wrong, f"{what}: {wrong[:5]}"
        check_events(browser, what)
        if PICTURES:
            browser.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
            browser.screenshot(PICTURES / f"{name}-{width}{'-dark' if dark else ''}.png")


def check_title(browser, path):
    """Of a page whose data tries to change its title."""
    browser.visit(path.as_uri())
    assert browser.evaluate("document.title") == "hostile.parquet"


def check_episodes(browser, path):
    browser.visit(path.as_uri())
    lead = browser.evaluate("document.querySelector('.lead').textContent")
    assert "Each row is an episode of 2 to 9 steps, 5 on average." in lead, lead
    # Each camera has its share of the room.
    shown = browser.evaluate("[...document.querySelectorAll('#images .groups')].map((g) => g.querySelectorAll('img').length)")
    assert shown == [4] * 8, shown


def check_use(browser, path):
    """Rows are searched and paged through, by keyboard too."""
    browser.look(1440)
    browser.visit(path.as_uri())
    shown = "[...document.querySelectorAll('#sample tbody tr')].filter((row) => !row.hidden).length"
    status = "document.getElementById('at').textContent"
    assert browser.evaluate(shown) == 10
    assert browser.evaluate(status) == "1 to 10 of 100"
    browser.evaluate("document.getElementById('next').focus()")
    browser.press("Enter")
    assert browser.evaluate(status) == "11 to 20 of 100"
    browser.evaluate("document.getElementById('find').focus()")
    browser.call("Input.insertText", text="writer-07")
    found = browser.evaluate("[...document.querySelectorAll('#sample tbody tr')].filter((row) => !row.hidden).map((row) => row.textContent)")
    assert found and all("writer-07" in row for row in found), found
    browser.call("Input.insertText", text=" nosuch")
    assert browser.evaluate(status) == "nothing found"
    # The first stop leads past the sections' links, and every stop is seen.
    browser.visit(path.as_uri())
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    stops = set()
    for _ in range(22):
        browser.press("Tab")
        stops.add(browser.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
        seen = browser.evaluate("(() => { const box = document.activeElement.getBoundingClientRect(); return box.width > 0 && getComputedStyle(document.activeElement).outlineStyle; })()")
        assert seen and seen != "none", browser.evaluate("document.activeElement.outerHTML.slice(0, 100)")
    assert len(stops) > 15, stops
    # What a screen reader is told.
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {(node.get("role", {}).get("value"), node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")}
    for role, name in [("searchbox", "Search"), ("button", "Next"), ("navigation", "Sections"), ("heading", "Handwritten digits")]:
        assert (role, name) in named, f"{role} {name}"
    assert any(role in ("image", "img") and name.startswith("Histogram of pixels") for role, name in named)


# How far two pictures are apart where each is made 24 cells wide: the mean of the differences of colours.
COMPARE = r"""
(async (pictures) => {
  const [one, other] = await Promise.all(pictures.map(async (data) => {
    const image = new Image();
    image.src = "data:image/png;base64," + data;
    await image.decode();
    const [width, height] = [24, Math.round(24 * image.height / image.width)];
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }));
  if (one.length !== other.length) return 255;
  let sum = 0;
  one.forEach((value, at) => { sum += Math.abs(value - other[at]); });
  return sum / one.length * 4 / 3;
})
"""


def check_pictures(browser, path):
    """The page looks as it did, from afar: its beginning, and where its columns begin."""
    taken, plain = {}, {}
    for width, dark in SIZES:
        browser.look(width, dark=dark)
        browser.visit(path.as_uri())
        for part in ("#main", "#columns"):
            top = browser.evaluate(f"document.querySelector('{part}').getBoundingClientRect().top + scrollY")
            name = f"{part[1:]}-{width}{'-dark' if dark else ''}.png"
            taken[name] = browser.picture(top, 900, 0.5 if width == 360 else 0.25)
        if not dark:
            browser.evaluate("document.querySelector('style').remove()")
            plain[f"main-{width}.png"] = browser.picture(0, 900, 0.5 if width == 360 else 0.25)
    if "--update" in sys.argv:
        REFERENCES.mkdir(exist_ok=True)
        for name, picture in taken.items():
            (REFERENCES / name).write_bytes(picture)
    browser.visit("about:blank")
    apart = lambda *pictures: browser.evaluate(f"{COMPARE}({json.dumps([base64.b64encode(p).decode() for p in pictures])})")
    for name, picture in taken.items():
        found = apart(picture, (REFERENCES / name).read_bytes())
        assert found < APART, f"{name} looks otherwise: {found:.1f}; see --pictures, and --update if it is meant"
    # Without its style, or in other colours, it looks otherwise.
    plain["columns-1440.png"] = taken["columns-1440-dark.png"]
    for name, other in plain.items():
        found = apart(taken[name], other)
        assert found > APART, f"{name} and what it is not: {found:.1f}"


def check_looks(browser, path):
    """The page has its parts where they belong: a loose comparison with what it is meant to look like."""
    browser.look(1440)
    browser.visit(path.as_uri())
    place = "(selector) => { const b = document.querySelector(selector).getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }"
    at = lambda selector: browser.evaluate(f"({place})({json.dumps(selector)})")
    title, tiles, strip, first = at("h1"), at(".tiles"), at(".strip"), at("#alerts")
    assert title[1] < tiles[1] < strip[1] < first[1] < 700, "what it is, is seen at once"
    assert 1100 < tiles[2] < 1200 and 40 < tiles[3] < 120, tiles
    images = browser.evaluate("[...document.querySelectorAll('.strip img')].map((i) => i.naturalWidth)")
    assert len(images) == 18 and all(images), images
    assert len(browser.evaluate("[...document.querySelectorAll('#images figcaption')].map((c) => c.textContent)")) == 10
    bars = browser.evaluate("[...document.querySelectorAll('#c2 .chart rect')].map((r) => r.getBoundingClientRect().height)")
    # Half of the pixels are 0: the first bar is by far the highest, and as high as the chart.
    assert bars[0] > 100 and bars[0] > 3 * max(bars[1:]), bars
    # Light is light, and dark is dark.
    for dark in (False, True):
        browser.look(1440, dark=dark)
        color = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        level = sum(int(part) for part in color[4:-1].split(",")) / 3
        assert (level < 40) if dark else (level > 230), color


def main():
    program = chromium.find()
    if program is None:
        required = os.environ.get("TFARROW_REQUIRE_CHROMIUM")
        print("no Chromium: pages are not looked at")
        sys.exit(1 if required else 0)
    with tempfile.TemporaryDirectory() as folder, chromium.Chromium(program) as browser:
        folder = pathlib.Path(folder)
        pages = {}
        for name, args in make(folder).items():
            pages[name] = folder / f"{name}.html"
            command = [TFARROW, "report", *map(str, args), "-o", pages[name]]
            run = subprocess.run(command, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
        for name, path in pages.items():
            check_page(browser, name, path)
        check_title(browser, pages["hostile"])
        check_episodes(browser, pages["episodes"])
        check_use(browser, pages["digits"])
        check_looks(browser, pages["digits"])
        check_pictures(browser, pages["digits"])


if __name__ == "__main__":
    main()
