"""SIGKILL while a request is with a CVAT server that fails: the same commands again end as if nothing had happened."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_server import Commands
from loop_state import State, differences, leftovers, state_of

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN
from cvat_world import Kill, World, before, boxes_of, column, world

pytestmark = pytest.mark.required

LABELS = ("person", "helmet")
FRAMES, BOXES, TASKS, JOBS = 60, 2, 4, 12
SETTINGS = f"""
[workspace]
classes = {json.dumps(LABELS)}
[upload]
task_size = {FRAMES // TASKS}
job_size = {FRAMES // JOBS}
assignee = ["ann", "ben"]
[sync]
reviewer = ["rev", "eva"]
export = true
[cvat]
project = "killed"
patience = 2
"""
UPLOAD = ("upload", "--frames", "../frames", "--preannotations", "../proposals.json")
SYNC, EXPORT = ("sync",), ("export",)
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:[\d:.]+(\+00:00)?")


@pytest.fixture(scope="module")
def url() -> str:
    """Where all the servers are, one after the other: what is compared carries the server's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def commands(url) -> Iterator[Commands]:
    account = {"DATAENGINE_CVAT_USERNAME": ADMIN[0], "DATAENGINE_CVAT_PASSWORD": ADMIN[1]}
    environ = {"DATAENGINE_ANNOTATION_BACKEND": "cvat", "DATAENGINE_CVAT_URL": url, **account}
    with Commands(cvat=True, environ=environ) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with frames and proposals for them."""
    import cv2
    import numpy as np

    folder = tmp_path_factory.mktemp("cvat")
    (folder / "frames").mkdir()
    images, boxes = [], []
    for number in range(1, FRAMES + 1):
        picture = np.full((48, 64, 3), number, np.uint8)
        cv2.putText(picture, str(number), (4, 30), cv2.FONT_HERSHEY_PLAIN, 1.0, (255, 255, 255))
        name = f"gate_{number:06d}.png"
        cv2.imwrite(str(folder / "frames" / name), picture)
        images.append({"id": number, "file_name": name, "width": 64, "height": 48})
        for place in range(BOXES):
            shape = {"bbox": [number % 30 + place, 5 + 9 * place, 12, 8], "area": 96, "iscrowd": 0, "segmentation": []}
            owner = {"id": len(boxes) + 1, "image_id": number, "category_id": place + 1}
            boxes.append({**owner, **shape, "score": 0.5})
    categories = [{"id": n, "name": name, "supercategory": "object"} for n, name in enumerate(LABELS, 1)]
    document = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "proposals.json").write_text(json.dumps(document))
    return folder


# --- upload -----------------------------------------------------------------------------------------------------------


def test_upload(home, url, commands):
    with world(home / "upload", SETTINGS, url, commands) as here:
        here.killed(
            UPLOAD,
            Kill("POST", "/api/projects$"),
            before("POST", "/api/tasks$"),
            Kill("POST", "/api/tasks$"),
            Kill("POST", "/data/", 1),
            before("GET", "/api/requests/"),
            before("PUT", "/annotations", 1),
            Kill("PUT", "/annotations", 1),
            Kill("GET", "/api/jobs$", 2),
        )
        here.well(*UPLOAD)
        here.calm()
        state = here.ask("GET", "/__state__")
        assert [project["name"] for project in state["projects"]] == ["killed"]
        assert Counter(frame for task in state["tasks"] for frame in task["frames"]) == Counter(here.shown().keys())
        assert sorted(len(task["frames"]) for task in state["tasks"]) == [FRAMES // TASKS] * TASKS
        proposed = json.loads((home / "proposals.json").read_text())
        wanted = Counter((LABELS[box["category_id"] - 1], *map(float, box["bbox"])) for box in proposed["annotations"])
        assert sum(here.shown().values(), Counter()) == wanted
        assert Counter(row["assignee"]["username"] for row in here.jobs()) == {"ann": JOBS // 2, "ben": JOBS // 2}
        known = column(here.workspace, "select number from jobs")
        assert sorted(known) == [row["id"] for row in here.jobs()]
        assert here.well(*UPLOAD).out.startswith(f"no new task: {FRAMES} frames in a task already")
        assert here.ask("GET", "/__state__") == state


# --- sync and export --------------------------------------------------------------------------------------------------


def worked(here: World, *, disturbed: bool) -> None:
    """Jobs are handed in, reviewed, accepted by ``sync``, and exported by it at once."""

    def sync(*moments: Kill) -> None:
        if disturbed:
            here.killed(SYNC, *moments)
        here.well(*SYNC)
        here.calm()

    here.well(*UPLOAD)
    numbers = [row["id"] for row in here.jobs()]
    for number in numbers[:9]:
        here.put(number, state="completed")
    for number in numbers[:4]:
        here.correct(number)
    sync(Kill("PATCH", "/api/jobs/"), before("PATCH", "/api/jobs/", 2), before("GET", "/annotations", 4))
    for number in numbers[:8]:
        here.put(number, state="rejected" if number == numbers[2] else "completed")
    here.correct(numbers[5])
    if disturbed:
        here.killed(SYNC, Kill("PATCH", "/api/jobs/", 2), before("PATCH", "/api/jobs/"))
        # Everything is accepted; then everything is exported but the files, of which a later sync has nothing to tell.
        here.killed(SYNC, Kill("GET", "/annotations", 8))
        here.calm()
        assert here.run(*SYNC, fault="SIGKILL", step="os.rename master_dataset/train.json").code == -signal.SIGKILL
    sync()


def recorded(workspace: Path) -> State:
    """Rows and dataset of a workspace without times, and without ids that are made of them."""
    by_time = {"run_id", "acceptance_id"}
    tables = {name: rows for name, rows in state_of(workspace).items() if name.startswith("table ")}
    found: State = {}
    for name, rows in tables.items():
        dated = name.removeprefix("table ") in ("runs", "reviews", "job_changes", "acceptances")
        left_out = by_time | ({"id"} if dated else set())
        kept = [{key: value for key, value in json.loads(row).items() if key not in left_out} for row in rows]
        found[name] = sorted(TIME.sub("<time>", json.dumps(row)) for row in kept)
    for file in sorted((workspace / "master_dataset").iterdir()):
        found[f"file {file.name}"] = TIME.sub("<time>", file.read_text())
    return found


def same(expected: State, found: State) -> None:
    different = differences(expected, found)
    if different:
        pytest.fail("\n".join(line[:400] for line in different), pytrace=False)


def test_sync_and_export(home, url, commands):
    with world(home / "undisturbed", SETTINGS, url, commands) as here:
        worked(here, disturbed=False)
        expected, jobs = recorded(here.workspace), here.jobs()
    with world(home / "disturbed", SETTINGS, url, commands) as here:
        worked(here, disturbed=True)
        standing = ("id", "task_id", "stage", "state", "assignee")
        assert [[row[name] for name in standing] for row in here.jobs()] == [[row[n] for n in standing] for row in jobs]
        same(expected, recorded(here.workspace))
        assert boxes_of(here.workspace / "master_dataset/master_dataset_v1.json") == here.shown(accepted=True)
        assert not leftovers(here.workspace)
        exports_the_same(here, home)


def exports_the_same(here: World, home: Path) -> None:
    """More is accepted, and some is no longer; exported with and without kills, from copies of one workspace."""
    numbers = [row["id"] for row in here.jobs()]
    here.put(numbers[0], state="rejected")
    for number in numbers[8:11]:
        here.correct(number)
        here.put(number, stage="acceptance", state="completed")
    row = here.jobs()[9]
    here.ask("PATCH", f"/api/jobs/{row['id']}/data/meta", {"deleted_frames": [row["start_frame"]]})
    alone, copy = (Path(shutil.copytree(here.workspace, home / name)) for name in ("alone", "killed"))
    here.well(*EXPORT, folder=alone)
    moments = (
        before("GET", "/api/jobs$"),
        Kill("GET", "/data/meta$"),
        before("GET", "/annotations", 1),
        Kill("GET", "/annotations", 2),
        Kill("GET", "/api/jobs/\\d+$", 5),
    )
    here.killed(EXPORT, *moments, folder=copy)
    here.well(*EXPORT, folder=copy)
    here.calm()
    same(state_of(alone), state_of(copy))
    found = boxes_of(copy / "master_dataset/master_dataset_v2.json")
    assert found == here.shown(accepted=True)
    # One was rejected when it was reviewed, one now, and three are new; of one of these a frame is gone.
    assert len(found) == (8 - 2 + 3) * FRAMES // JOBS - 1
