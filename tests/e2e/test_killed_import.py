"""An import that was killed before any of its steps (every other is tried), and then run again, is one import."""

from __future__ import annotations

import json
import shutil
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_server import Commands, Ended
from loop_state import State, differences, leftovers, state_of

WORDS = ("dataset", "import", "bees.zip", "--allow-new-classes")


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


def well(ended: Ended) -> Ended:
    assert ended.code == 0, f"{ended.code}: {ended.err}"
    return ended


def deliver(workspace: Path, name: str = "bees", numbers: tuple[int, ...] = (1, 2), left: int = 0) -> None:
    images, boxes = [], []
    with zipfile.ZipFile(workspace / f"{name}.zip", "w") as packed:
        for number in numbers:
            pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            packed.writestr(f"images/{number}.png", cv2.imencode(".png", pixels)[1].tobytes())
            images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
            boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [number + left, 2, 9, 9]})
        document = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "bee"}]}
        packed.writestr("labels.json", json.dumps(document))


def _told(state: State) -> State:
    """Without the note of when the version's files were written."""
    return {name: what for name, what in state.items() if not name.endswith("version_files.json")}


def ends_undisturbed(commands: Commands, before: Path, workspace: Path, tried: slice) -> None:
    """Kill the import before these of its steps, each in a copy of its own, and run it again."""
    shutil.copytree(before, workspace)
    taken = well(commands.run(workspace, *WORDS)).steps
    expected = _told(state_of(workspace))
    assert len(taken) > 10
    for step, what in list(enumerate(taken, 1))[tried]:
        shutil.rmtree(workspace)
        shutil.copytree(before, workspace)
        assert commands.run(workspace, *WORDS, fault="SIGKILL", step=step).code == -signal.SIGKILL
        well(commands.run(workspace, *WORDS))
        found = differences(expected, _told(state_of(workspace)))
        assert not found, "\n".join([f"killed before step {step}: {what}", *found])
        assert leftovers(workspace) == []


def test_killed_before_any_step(commands: Commands, tmp_path: Path) -> None:
    before, workspace = tmp_path / "before", tmp_path / "ws"
    before.mkdir()
    well(commands.run(before, "init", ".", "--classes", "person"))
    deliver(before)
    ends_undisturbed(commands, before, workspace, slice(None, None, 2))


@pytest.mark.parametrize("came", ["changed", "after a revert"])
def test_killed_when_it_comes_again(commands: Commands, tmp_path: Path, came: str) -> None:
    """Every eighth step is tried: what is before the merge is what it is of a first import."""
    before, workspace = tmp_path / "before", tmp_path / "ws"
    before.mkdir()
    well(commands.run(before, "init", ".", "--classes", "bee"))
    deliver(before, "ants", (3,))
    deliver(before)
    for name in ("ants", "bees"):
        well(commands.run(before, "dataset", "import", f"{name}.zip"))
    if came == "changed":
        deliver(before, left=2)
    else:
        well(commands.run(before, "dataset", "revert", "v1"))
    ends_undisturbed(commands, before, workspace, slice(None, None, -8))


def test_two_at_once_are_one(commands: Commands, tmp_path: Path) -> None:
    well(commands.run(tmp_path, "init", ".", "--classes", "person"))
    deliver(tmp_path)
    for ended in commands.together(tmp_path, WORDS, WORDS, (*WORDS, "--name", "wasps")):
        well(ended)
    (version,) = json.loads(well(commands.run(tmp_path, "dataset", "log", "--json")).out)["rows"]
    assert (version["frames"], version["boxes"]) == (2, 2)
