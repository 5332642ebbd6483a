"""A revert or a purge that was killed before any of its steps, and then run again, is one revert and one purge."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_server import Commands, Ended
from loop_state import State, differences, leftovers, state_of


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands() as running:
        yield running


def well(ended: Ended) -> Ended:
    assert ended.code == 0, f"{ended.code}: {ended.err}"
    return ended


@pytest.fixture(scope="module")
def before(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions: of two frames, and of four."""
    root = tmp_path_factory.mktemp("before") / "ws"
    root.mkdir()
    well(commands.run(root, "init", ".", "--classes", "person"))
    (root / "in").mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "in" / f"p{number}.png"), pixels)
    well(commands.run(root, "upload", "--frames", "in", "--task-size", "4", "--job-size", "2"))
    for job in (1, 2):
        drawn = root / "annotation" / "tasks" / "1" / "jobs" / str(job) / "annotations.json"
        document = json.loads(drawn.read_text())
        boxes = [{"image_id": n, "category_id": 1, "bbox": [n, 2, 9, 9]} for n in (1, 2)]
        document["annotations"] = [{"id": n, **box} for n, box in enumerate(boxes, 1)]
        drawn.write_text(json.dumps(document))
        well(commands.run(root, "review", "submit", str(job), "--by", "ann"))
        well(commands.run(root, "review", "accept", str(job), "--by", "rev"))
        well(commands.run(root, "export"))
    well(commands.run(root, "convert"))
    return root


def _told(state: State) -> State:
    """Without the note of when the version's files were written."""
    return {name: what for name, what in state.items() if not name.endswith("version_files.json")}


def one_frame(root: Path) -> str:
    (image, *_rest) = json.loads((root / "master_dataset" / "master_dataset_v1.json").read_text())["images"]
    return str(image["frame_id"])


@pytest.mark.parametrize("what", ["revert", "purge"])
def test_killed_before_any_step(commands: Commands, before: Path, tmp_path: Path, what: str) -> None:
    words = (
        ("dataset", "revert", "v1") if what == "revert" else ("lineage", "purge", "--frame", one_frame(before), "--yes")
    )
    workspace = tmp_path / "ws"
    shutil.copytree(before, workspace)
    taken = well(commands.run(workspace, *words)).steps
    expected = _told(state_of(workspace))
    well(commands.run(workspace, "dataset", "verify", "--pictures"))
    # Every one of a revert's; of a purge's, which looks at every file, some that are spread over all of it.
    steps = range(1, len(taken) + 1, 1 if what == "revert" else 4)
    assert len(taken) > 5
    for step in steps:
        shutil.rmtree(workspace)
        shutil.copytree(before, workspace)
        assert commands.run(workspace, *words, fault="SIGKILL", step=step).code == -signal.SIGKILL
        again = commands.run(workspace, *words)
        # Killed at the very end, it was purged already.
        assert again.code == 0 or "was purged" in again.err, again.err
        found = differences(expected, _told(state_of(workspace)))
        assert not found, "\n".join([f"killed before step {step}: {taken[step - 1]}", *found])
        assert leftovers(workspace) == []


def test_what_a_program_sees(commands: Commands, before: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    shutil.copytree(before, workspace)
    first = workspace / "master_dataset" / "master_dataset_v1.json"
    first.write_text(first.read_text().replace('"bbox":[1.0', '"bbox":[1.5', 1))
    ended = commands.run(workspace, "dataset", "verify", "--json")
    told = json.loads(ended.out)
    assert (ended.code, told["sound"], len(told["failures"])) == (4, False, 1)
    assert told["failures"][0]["input"] == "master_dataset/master_dataset_v1.json"
    well(commands.run(workspace, "dataset", "verify", "--repair"))
    assert first.read_bytes() == (before / "master_dataset" / first.name).read_bytes()
    well(commands.run(workspace, "dataset", "checkout", "v1", "--output", "out"))
    assert (workspace / "out" / first.name).read_bytes() == first.read_bytes()
    ended = commands.run(workspace, "lineage", "purge", "--frame", one_frame(before))
    assert (ended.code, "hint: add --yes" in ended.err) == (2, True)
