"""Several people type the same command at the same moment, on one CVAT project and one lineage database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from command_server import Commands

pytest.importorskip("cvat_sdk")
from cvat_server import ADMIN, CvatServer
from cvat_server.snapshot import told

pytestmark = pytest.mark.required

UPLOAD = ("upload", "--frames", "in", "--task-size", "2", "--job-size", "1", "--assignee", "ann,ben", "--json")


@pytest.fixture(scope="module")
def server() -> Iterator[CvatServer]:
    with CvatServer(seed=1) as running:
        for name in ("ann", "ben"):
            running.state.add_user(name, f"password-of-{name}")
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def commands(request, server) -> Iterator[Commands]:
    environ = {
        "DATAENGINE_ANNOTATION_BACKEND": "cvat",
        "DATAENGINE_CVAT_URL": server.url,
        "DATAENGINE_CVAT_PROJECT": request.param,
        "DATAENGINE_CVAT_USERNAME": ADMIN[0],
        "DATAENGINE_CVAT_PASSWORD": ADMIN[1],
    }
    if request.param == "postgresql":
        environ["DATAENGINE_DATABASE_URL"] = request.getfixturevalue("new_postgres")()
    with ExitStack() as stack:
        yield stack.enter_context(Commands(cvat=True, environ=environ))


def test_everybody_at_once(commands: Commands, server: CvatServer, tmp_path: Path) -> None:
    """Three uploads, then exports and syncs: one of each has its effect, and all end well."""

    def together(*words: tuple[str, ...]) -> list[dict[str, Any]]:
        ended = commands.together(tmp_path / "ws", *words)
        assert [one.code for one in ended] == [0] * len(words), ended
        return [json.loads(one.out) for one in ended]

    assert commands.run(tmp_path, "init", "ws", "--classes", "person,helmet").code == 0
    rng = np.random.default_rng(1)
    (tmp_path / "ws" / "in").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "ws" / "in" / f"{number}.png"), rng.integers(0, 256, (12, 16, 3), np.uint8))
    known = {task["id"] for task in told(server.state)["tasks"]}
    together(UPLOAD, UPLOAD, UPLOAD)
    tasks = [task for task in told(server.state)["tasks"] if task["id"] not in known]
    assert [len(task["frames"]) for task in tasks] == [2, 2]
    jobs = [job for job in told(server.state)["jobs"] if job["task"] not in known]
    assert [job["assignee"] for job in jobs] == ["ann", "ben", "ann", "ben"]
    with server.state.lock:
        for job in jobs:
            found = server.state.jobs[job["id"]]
            found.stage, found.state = "acceptance", "completed"
    export, sync = ("export", "--json"), ("sync", "--export", "--json")
    reports = together(export, sync, export, sync)
    versions = {report.get("version", report.get("dataset_version", "v1")) for report in reports}
    assert versions == {"v1"}
    assert [path.name for path in (tmp_path / "ws/master_dataset").glob("master*")] == ["master_dataset_v1.json"]
    assert json.loads(commands.run(tmp_path / "ws", *export).out)["frames"] == 4
