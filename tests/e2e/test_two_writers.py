"""Two that make versions at the same moment, and a merge that is killed every few milliseconds, on both databases."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_server import Commands, Ended

PICTURES = 6
UPLOAD = ("upload", "--frames", "in", "--job-size", "2", "--task-size", "2", "--assignee", "ann")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.required)])
def commands(request) -> Iterator[Commands]:
    environ = {}
    if request.param == "postgresql":
        environ["DATAENGINE_DATABASE_URL"] = request.getfixturevalue("new_postgres")()
    with Commands(environ=environ) as running:
        yield running


def well(ended: Ended) -> Ended:
    assert ended.code == 0, f"{ended.code}: {ended.err}"
    return ended


def told(commands: Commands, folder: Path, *words: str) -> dict:
    return json.loads(well(commands.run(folder, *words, "--json")).out)


def draw(folder: Path) -> None:
    import cv2

    folder.mkdir()
    for number in range(PICTURES):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"p{chr(97 + number)}.jpg"), cv2.resize(coarse, (64, 48)))


def annotate(commands: Commands, folder: Path, job: int, x: float) -> None:
    """A box on every frame of a job, accepted."""
    path = next(folder.glob(f"annotation/tasks/*/jobs/{job}/annotations.json"))
    document = json.loads(path.read_text())
    document["annotations"] = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [x + n, 2, 12, 9], "area": 108, "iscrowd": 0,
         "segmentation": []}
        for n in range(1, len(document["images"]) + 1)
    ]  # fmt: skip
    path.write_text(json.dumps(document))
    well(commands.run(folder, "review", "submit", str(job), "--by", "ann"))
    well(commands.run(folder, "review", "accept", str(job), "--by", "rev"))


def begin(commands: Commands, folder: Path) -> None:
    """Three accepted jobs of two frames each, the first of which is in version 1."""
    well(commands.run(folder, "init", ".", "--classes", "person"))
    draw(folder / "in")
    well(commands.run(folder, *UPLOAD))
    annotate(commands, folder, 1, 1.0)
    well(commands.run(folder, "export"))
    annotate(commands, folder, 2, 4.0)
    annotate(commands, folder, 3, 7.0)


def killed_after(seconds: float, commands: Commands, folder: Path) -> int:
    """An export that is killed so long after it began; its exit code."""

    def kill() -> None:
        while not over and not commands.kill():
            time.sleep(0.005)

    over: list[Ended] = []
    killing = threading.Timer(seconds, kill)
    killing.start()
    over += commands.together(folder, ("export",))
    killing.join()
    return over[0].code


def line(commands: Commands, folder: Path) -> list[tuple[str, int]]:
    """The versions with their frames, the oldest first, when everything of them is sound."""
    well(commands.run(folder, "dataset", "verify"))
    rows = told(commands, folder, "dataset", "log")["rows"][::-1]
    assert [row["version"] for row in rows] == [f"v{number}" for number in range(1, len(rows) + 1)]
    return [(row["version"], row["frames"]) for row in rows]


def test_exports_of_two_tasks_at_once_lose_neither(commands, tmp_path):
    begin(commands, tmp_path)
    exports = [("export", "--task-id", str(task)) for task in (2, 3)]
    for ended in commands.together(tmp_path, *exports, ("export", "--dry-run")):
        well(ended)
    assert line(commands, tmp_path) == [("v1", 2), ("v2", 4), ("v3", 6)]


def test_an_export_beside_a_revert_and_a_golden_set_ends_as_some_order_of_them(commands, tmp_path):
    begin(commands, tmp_path)
    others = ("dataset", "revert", "v1"), ("dataset", "golden", "--fraction", "0.3", "--min-per-class", "1")
    for ended in commands.together(tmp_path, ("export",), *others):
        well(ended)
    found = line(commands, tmp_path)
    # A revert before the export has nothing to take back.
    assert found[-1][1] in (2, 6)
    assert {frames for _version, frames in found} <= {2, 6}


def test_a_merge_that_is_killed_again_and_again_is_the_merge_of_one_that_was_not(commands, tmp_path):
    begin(commands, tmp_path)
    ends = [killed_after(0.1 * step, commands, tmp_path) for step in range(1, 6)]
    assert -signal.SIGKILL in ends
    well(commands.run(tmp_path, "export"))
    assert line(commands, tmp_path) == [("v1", 2), ("v2", 6)]
    assert not list(tmp_path.rglob(".dataengine-tmp-*"))
    newest = tmp_path / "master_dataset/master_dataset_v2.json"
    whole = newest.read_bytes()
    shutil.rmtree(tmp_path / "master_dataset")
    well(commands.run(tmp_path, "export"))
    assert newest.read_bytes() == whole
