"""What a conversion of a million boxes to YOLO costs, against writing the same bytes, and other converters.

    python benchmarks/convert.py [--images 100000] [--rounds 3] [--keep FOLDER] [--peer NAME=PYTHON ...]

Ten boxes a picture, in pictures of 64 x 64 pixels that are links to a few files.  Each contender runs in a process of
its own, in turn; printed are the medians of user seconds and of user and system seconds.  A peer is called by its name
in ``convert_peers.py`` and the interpreter of an environment that has it: ``--peer globox=/envs/globox/bin/python``.

Ours is told in parts: reading the file, cutting the boxes to their pictures, writing the labels, linking the pictures
and reading everything back; "lines" is the text of the labels made once more, a part of "write".  Other converters
read and write labels only: what they are compared with is the first three parts.  A tenth of the pictures is converted
as well, to show how the cost grows.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

CLASSES = ("person", "helmet", "vest", "truck", "forklift")
BOXES, SIZE, LINKS = 10, 64, 50_000
PARTS = ("read", "cut", "write", "link", "read back", "lines")
FILE = "annotations/instances_train.json"


def make(folder: Path, images: int) -> None:
    """A COCO file with its pictures; see the head of this file."""
    import msgspec
    from PIL import Image

    rng = random.Random(images)
    pictures = folder / "images/train"
    for name in (pictures, folder / "annotations"):
        name.mkdir(parents=True)
    for number in range(images):
        path, original = pictures / f"{number:08d}.jpg", pictures / f"{number - number % LINKS:08d}.jpg"
        if path == original:
            Image.new("RGB", (SIZE, SIZE), (number % 251, 90, 120)).save(path)
        else:
            os.link(original, path)
    annotations = []
    for number in range(images * BOXES):
        w, h = rng.randrange(200, 3000) / 100, rng.randrange(200, 3000) / 100
        x, y = rng.randrange(0, 3400) / 100, rng.randrange(0, 3400) / 100
        annotations.append(
            {
                "id": number + 1,
                "image_id": number // BOXES + 1,
                "category_id": rng.randrange(len(CLASSES)) + 1,
                "bbox": [x, y, w, h],
                "area": w * h,
                "iscrowd": 0,
                "segmentation": [],
            }
        )
    document = {
        "info": {},
        "images": [{"id": n + 1, "file_name": f"{n:08d}.jpg", "width": SIZE, "height": SIZE} for n in range(images)],
        "annotations": annotations,
        "categories": [{"id": n, "name": c, "supercategory": "object"} for n, c in enumerate(CLASSES, 1)],
    }
    (folder / FILE).write_bytes(msgspec.json.encode(document))


# --- timed, each in a process of its own -------------------------------------------------------------------------


class Clock:
    """User seconds and all CPU seconds, by part."""

    def __init__(self) -> None:
        self.parts = {part: [0.0, 0.0] for part in PARTS}
        self._at = resource.getrusage(resource.RUSAGE_SELF)

    def lap(self, part: str) -> None:
        """What was spent since the last lap went to this part."""
        now = resource.getrusage(resource.RUSAGE_SELF)
        user = now.ru_utime - self._at.ru_utime
        self.parts[part][0] += user
        self.parts[part][1] += user + now.ru_stime - self._at.ru_stime
        self._at = now


def ours(folder: Path, output: Path) -> dict[str, Any]:
    """The conversion itself, told in parts."""
    from data_engine.cli.progress import make_progress
    from data_engine.formats.coco import read_coco
    from data_engine.formats.yolo import line_writer
    from data_engine.stages import convert, convert_sheets
    from data_engine.storage.local import LocalStorage

    clock = Clock()

    def lapped(function: Callable[..., Any], before: str, part: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            clock.lap(before)
            try:
                return function(*args, **kwargs)
            finally:
                clock.lap(part)

        return call

    # What lies between them is the folder's list of files, and goes with the writing.
    convert.placed = lapped(convert_sheets.placed, "write", "link")  # type: ignore[attr-defined]
    convert.sheets_of = lapped(convert_sheets.sheets_of, "cut", "cut")  # type: ignore[attr-defined]
    convert.write_labels = lapped(convert.write_labels, "write", "write")
    storage = LocalStorage(output)
    clock.lap("link")
    clock.parts["link"] = [0.0, 0.0]
    dataset = read_coco((folder / FILE).read_bytes(), name=FILE)
    clock.lap("read")
    pictures = storage.key_of(folder / "images/train")
    done = convert.convert_yolo(
        dataset,
        "train",
        storage=storage,
        root="yolo",
        find_picture=lambda image: f"{pictures}/{image.file_name}",
        progress=make_progress(quiet=True),
    )
    clock.lap("read back")
    again = Clock()
    sheets, _counts = convert_sheets.sheets_of(dataset, "train")
    again.lap("cut")
    lines = line_writer(dataset.categories)
    for sheet in sheets:
        lines(sheet.boxes, sheet.image)
    again.lap("lines")
    return {"parts": {**clock.parts, "lines": again.parts["lines"]}, "lines": done.boxes}


def bare(folder: Path, output: Path) -> dict[str, Any]:
    """The bytes of the labels that are in ``folder`` written to as many files."""
    files = [(f"{output}/{path.name}", path.read_bytes()) for path in sorted((folder / "yolo/train/labels").iterdir())]
    output.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for name, data in files:
        with open(name, "wb") as file:  # noqa: PTH123 - the fewest calls that write a file
            file.write(data)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user = after.ru_utime - before.ru_utime
    lines = sum(data.count(b"\n") for _name, data in files)
    return {"user": user, "cpu": user + after.ru_stime - before.ru_stime, "lines": lines}


def step(name: str, folder: Path, output: Path, python: str | None = None) -> dict[str, Any]:
    """One contender's numbers."""
    here = Path(__file__)
    shutil.rmtree(output, ignore_errors=True)
    script: list[Any] = [here, "--step", name] if python is None else [here.with_name("convert_peers.py"), name]
    command = [python or sys.executable, *map(str, script), str(folder), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# --- printed -----------------------------------------------------------------------------------------------------


def measure(root: Path, images: int, rounds: int, peers: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Run all, print the table; the CPU seconds of the parts."""
    folder = root / f"coco{images}"
    if not folder.exists():
        make(folder, images)
    found: dict[str, list[tuple[float, float]]] = {}
    memory, lines = 0, 0
    for _ in range(rounds):
        own = step("ours", folder, root / "ours")
        memory, lines = max(memory, own["mb"]), own["lines"]
        for part, (user, cpu) in own["parts"].items():
            found.setdefault(part, []).append((user, cpu))
        limits = [("bare", partial(step, "bare", root / "ours", root / "bare"))]
        limits += [(n, partial(step, n, folder, root / n, python)) for n, python in peers]
        for name, run in limits:
            took = run()
            if took["lines"] != lines:
                print(f"{name} wrote {took['lines']} lines, not {lines}")
            found.setdefault(name, []).append((took["user"], took["cpu"]))
    user, cpu = ({name: statistics.median(row[n] for row in rows) for name, rows in found.items()} for n in (0, 1))
    print(f"\n{images} pictures, {lines} boxes; {memory} MB at most\n")
    print("| part or contender | user s | CPU s | of bare writing, user | CPU |\n| --- | --- | --- | --- | --- |")
    whole = [sum(seconds[part] for part in PARTS[:3]) for seconds in (user, cpu)]
    rows = [(name, user[name], cpu[name]) for name in found]
    rows.insert(len(PARTS), ("ours: read, cut and write", whole[0], whole[1]))
    for name, one, both in rows:
        print(f"| {name} | {one:.2f} | {both:.2f} | {one / user['bare']:.2f} | {both / cpu['bare']:.2f} |")
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        name, folder, output = given.step
        found = {"ours": ours, "bare": bare}[name](Path(folder), Path(output))
        print(json.dumps({**found, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
        return
    peers = [tuple(peer.split("=", 1)) for peer in given.peer]
    with tempfile.TemporaryDirectory(prefix="convert") as folder:
        root = (given.keep or Path(folder)).resolve()
        fewer = measure(root, max(given.images // 10, 1), given.rounds, [])
        many = measure(root, given.images, given.rounds, peers)
    print("\nten times the pictures cost", ", ".join(f"{many[p] / fewer[p]:.1f} x to {p}" for p in PARTS if fewer[p]))


if __name__ == "__main__":
    main()
