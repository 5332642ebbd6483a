"""What the benchmarks of a CVAT server share: pictures with proposals, the tests' server as a process, a workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LABELS = ("person", "helmet", "no-helmet")
BOXES = 5
USER = ("admin", "secret-of-the-tests-1")
TASK_SIZE, JOB_SIZE = 500, 50


def make_frames(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """Different pictures with their proposals; the COCO file is returned."""
    folder.mkdir(parents=True)
    width, height = size
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8), size)
    images, annotations = [], []
    for number in range(1, count + 1):
        picture = np.roll(texture, number, axis=1)
        cv2.putText(picture, str(number), (2, height // 2), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255))
        name = f"gate_{number:09d}.jpg"
        cv2.imwrite(str(folder / name), picture)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for place in range(BOXES):
            x, y = (number * 7 + place * 11) % (width // 2), (number * 3 + place * 5) % (height // 2)
            box = {"id": len(annotations) + 1, "image_id": number, "category_id": place % len(LABELS) + 1}
            annotations.append({**box, "bbox": [x, y, 12 + place, 10], "area": (12 + place) * 10, "iscrowd": 0})
            annotations[-1]["segmentation"] = []
            annotations[-1]["score"] = 0.5
    categories = [{"id": n, "name": name, "supercategory": "object"} for n, name in enumerate(LABELS, 1)]
    file = folder.parent / "proposals.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


@contextmanager
def test_server(state: Path) -> Iterator[str]:
    """The tests' server as a process of its own; its address."""
    command = [sys.executable, "-m", "tests.cvat_server", "--port", "0", "--seed", "1"]
    with (
        (state / "server.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def asked(url: str, path: str, order: dict[str, Any] | None = None) -> Any:
    """What the tests' server says of itself, or an order to it."""
    data = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def environment(url: str, user: tuple[str, str]) -> dict[str, str]:
    """What ``dataengine`` is told."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DATAENGINE_ANNOTATION_BACKEND": "cvat",
        "DATAENGINE_CVAT_URL": url,
        "DATAENGINE_CVAT_USERNAME": user[0],
        "DATAENGINE_CVAT_PASSWORD": user[1],
    }


def workspace(folder: Path) -> Path:
    """A new one."""
    folder.mkdir(parents=True)
    (folder / "dataengine.toml").write_text(
        f"[workspace]\nclasses = {json.dumps(LABELS)}\n"
        f'[upload]\ntask_size = {TASK_SIZE}\njob_size = {JOB_SIZE}\n[cvat]\nproject = "benchmark"\npatience = 30\n'
    )
    return folder


def upload_command(frames: Path, proposals: Path) -> list[str]:
    return [
        sys.executable, "-m", "data_engine", "upload", "--quiet",
        "--frames", str(frames), "--preannotations", str(proposals),
    ]  # fmt: skip
