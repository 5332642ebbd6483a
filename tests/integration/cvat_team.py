"""A workspace and its command line beside the tests' CVAT server, and what people do there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvat_server import ADMIN, CvatServer
from cvat_server.snapshot import told

from data_engine.cli.main import main

if TYPE_CHECKING:
    import pytest

PROJECT = "bad input"
PASSWORD = "password-of-people-1"
UPLOAD = ("--frames", "in", "--preannotations", "pre.json", "--job-size", "2")
WHOLE = 4, 8
"""Frames and boxes of an upload."""


class Team:
    """A workspace, the commands called inside it, and the server that they are to talk to.

    Its pictures are ``in/pa.jpg`` … ``in/pd.jpg``; ``pre.json`` has a person and a helmet on each.
    """

    def __init__(self, folder: Path, server: CvatServer, patch: pytest.MonkeyPatch, capture: Any) -> None:
        self.folder, self.server, self.patch, self._capture = folder, server, patch, capture
        self.err = ""
        patch.setenv("DATAENGINE_ANNOTATION_BACKEND", "cvat")
        patch.setenv("OMP_NUM_THREADS", "1")
        self.set(url=server.url, username=ADMIN[0], password=ADMIN[1], project=PROJECT, patience="3")

    def set(self, **settings: str | None) -> None:
        for name, value in settings.items():
            if value is None:
                self.patch.delenv(f"DATAENGINE_CVAT_{name.upper()}", raising=False)
            else:
                self.patch.setenv(f"DATAENGINE_CVAT_{name.upper()}", value)

    def run(self, *words: str, code: int | None = 0) -> dict[str, Any]:
        """The report of a command that ends so; ``err`` has what else it said."""
        ended = main([*words, "--json"])
        out, self.err = self._capture.readouterr()
        assert code in (None, ended), (ended, out, self.err)
        return dict(json.loads(out if out.strip() else self.err.strip().splitlines()[-1]))

    def refused(self, *words: str, code: int) -> str:
        """Error and hint of a command that ends so."""
        report = self.run(*words, code=code)
        assert report["code"] == code
        assert report["hint"], report
        assert "\n" not in report["error"]
        return f"{report['error']} | {report['hint']}"

    def upload(self, *more: str, code: int = 0) -> dict[str, Any]:
        return self.run("upload", *UPLOAD, *more, code=code)

    # --- what people do on the server --------------------------------------------------------------------------------

    def client(self) -> Any:
        """An administrator's."""
        from cvat_sdk.core.client import Client

        client = Client(self.server.url, check_server_version=False)
        client.login(ADMIN)
        return client

    def ask(self, method: str, path: str, json_body: Any = None) -> Any:
        client = self.client()
        from cvat_sdk.core.helpers import make_request_headers

        answer = client.api_client.rest_client.request(
            method, self.server.url + path, headers=make_request_headers(client.api_client), body=json_body
        )
        return json.loads(answer.data) if answer.data else None

    def accept(self, *places: int) -> None:
        """Jobs by their place among those of the server, from 0; all where none is given."""
        numbers = sorted(self.server.state.jobs)
        for number in [numbers[place] for place in places] or numbers:
            self.ask("PATCH", f"/api/jobs/{number}", {"stage": "acceptance", "state": "completed"})

    def relabel(self, which: str, **change: Any) -> None:
        (label,) = [row for row in self.server.state.labels.values() if row.name == which]
        self.ask("PATCH", f"/api/projects/{label.project}", {"labels": [{"id": label.id, **change}]})

    def relabel_project(self, change: dict[str, Any]) -> None:
        (project,) = self.server.state.projects
        self.ask("PATCH", f"/api/projects/{project}", {"labels": [change]})

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks that are there, whoever knows of them."""
        return list(told(self.server.state)["tasks"])

    def held(self) -> tuple[int, int]:
        """Frames and boxes that are there."""
        tasks = self.tasks()
        return sum(len(task["frames"]) for task in tasks), sum(len(task["boxes"]) for task in tasks)


def draw(path: Path, seed: int) -> None:
    """A small picture that looks like no other's."""
    import cv2
    import numpy as np

    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC))[1].tobytes())
