"""How long ``dataset import`` takes for many pictures, and in how much memory.

    python benchmarks/dataset_import.py [--images 20000] [--boxes 10] [--keep FOLDER]

Pictures of 160 x 120 with ten boxes each, in COCO, are imported from a folder, imported again, and tried with
``--dry-run``.  Beside the seconds stands what copying the same files takes that are hashed on the way and are on the
disk afterwards.  Memory is the largest of this process, which does nothing else; it is told before the import, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from data_engine.app.engine import open_engine
from data_engine.app.init import init
from data_engine.app.merge.dataset_import import Wanted, import_dataset
from data_engine.cli.progress import make_progress

WIDTH, HEIGHT = 160, 120


def deliver(folder: Path, images: int, boxes: int) -> None:
    """A dataset of noise."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(1)
    records, drawn = [], []
    for number in range(1, images + 1):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        _, data = cv2.imencode(".jpg", cv2.resize(coarse, (WIDTH, HEIGHT)))
        (folder / "images" / f"frame_{number:06d}.jpg").write_bytes(data.tobytes())
        records.append({"id": number, "file_name": f"frame_{number:06d}.jpg", "width": WIDTH, "height": HEIGHT})
        for x, y in random.integers(0, 100, (boxes, 2)).tolist():
            drawn.append({"id": len(drawn) + 1, "image_id": number, "category_id": 1 + x % 5, "bbox": [x, y, 20, 15]})
    categories = [{"id": n, "name": f"class {n}"} for n in range(1, 6)]
    document = {"images": records, "annotations": drawn, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(document))


def copied(source: Path, target: Path) -> None:
    """The bare work: read, hash, write, wait for the disk."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        data = path.read_bytes()
        with (target / hashlib.sha256(data).hexdigest()).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def memory_mb() -> int:
    """The most that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def timed(what: str, work: Callable[[], object], against: float | None = None) -> float:
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    beside = "" if against is None else f"  {took / against:5.2f} x the copy"
    print(f"{what:24} {took:7.2f} s{beside}  {memory_mb()} MB", flush=True)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description="How long dataset import takes for many pictures.")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--boxes", type=int, default=10, help="On each picture.")
    parser.add_argument("--keep", type=Path, help="A folder for the pictures, used again when it is there.")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source = (arguments.keep or folder) / "delivery"
        if not source.exists():
            deliver(source, arguments.images, arguments.boxes)
        workspace, quiet = folder / "workspace", make_progress(quiet=True)
        init(workspace, progress=quiet)
        print(f"{arguments.images} pictures, {arguments.images * arguments.boxes} boxes; {memory_mb()} MB before")
        copy = timed("hash and copy alone", lambda: copied(source / "images", folder / "copy"))
        with open_engine(workspace, workspace=workspace, progress=quiet, environ={}) as engine:
            timed("import --dry-run", lambda: import_dataset(engine, source, Wanted(dry_run=True)), copy)
            timed("import", lambda: import_dataset(engine, source, Wanted()), copy)
            timed("the same again", lambda: import_dataset(engine, source, Wanted()), copy)


if __name__ == "__main__":
    main()
