"""A CVAT server that fails, a workspace that works with it, what people do there, and kills during a request."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_server import Commands, Ended
from cvat_server import ADMIN

ROOT = Path(__file__).resolve().parents[2]
Boxes = dict[str, Counter[tuple[Any, ...]]]
"""Frame name -> label, x, y, width and height of its boxes."""


@dataclass(frozen=True)
class Kill:
    """While a request is with the server: of this method, its path like this, after so many others like it."""

    method: str
    path: str
    skip: int = 0
    after: bool = True
    """Whether it takes effect first."""


def before(method: str, path: str, skip: int = 0) -> Kill:
    """A request that never takes effect."""
    return Kill(method, path, skip, after=False)


@dataclass
class World:
    """A server, and a workspace that works with it.  People act by the administrator's account."""

    url: str
    workspace: Path
    commands: Commands
    kills: int = 0
    _headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def log_in(self) -> None:
        for name in ("ann", "ben", "rev", "eva"):
            told = {"username": name, "email": f"{name}@example.test", "password1": f"{name}-Secret-1"}
            self.ask("POST", "/api/auth/register", {**told, "password2": told["password1"]})
        key = self.ask("POST", "/api/auth/login", {"username": ADMIN[0], "password": ADMIN[1]})["key"]
        self._headers["Authorization"] = f"Token {key}"

    def run(self, *words: str, folder: Path | None = None, fault: str = "", step: str = "") -> Ended:
        return self.commands.run(folder or self.workspace, *words, fault=fault, step=step)

    def well(self, *words: str, folder: Path | None = None) -> Ended:
        """Run a command to its end, also when the server's patience had to be asked for twice."""
        for _ in range(10):
            ended = self.run(*words, folder=folder)
            if ended.code != 6:
                break
        assert ended.code == 0, ended
        return ended

    def killed(self, words: Sequence[str], *moments: Kill, folder: Path | None = None) -> None:
        """Kill the command at one moment after the other, at a server of whose requests one in twenty fails."""
        for moment in moments:
            self.kills += 1
            rule = {"kind": "hang", "next": 1, "method": moment.method, "path": moment.path}
            rule = {**rule, "skip": moment.skip, "after": moment.after}
            mix = {"share": 0.05, "seconds": 0.0}
            self.ask("POST", "/__faults__", {"reset": self.kills, "mix": mix, "add": [rule]})
            with ThreadPoolExecutor(1) as thread:
                running = thread.submit(self.run, *words, folder=folder)
                while not running.done() and not self.ask("GET", "/__faults__")["hanging"]:
                    time.sleep(0.005)
                self.commands.kill()
            assert running.result().code == -signal.SIGKILL, (moment, running.result())

    def calm(self) -> None:
        self.ask("POST", "/__faults__", {"reset": 0})

    def jobs(self) -> list[dict[str, Any]]:
        return sorted(self.ask("GET", "/api/jobs?page_size=500&type=annotation")["results"], key=lambda row: row["id"])

    def put(self, job: int, **standing: Any) -> None:
        self.ask("PATCH", f"/api/jobs/{job}", standing)

    def correct(self, job: int) -> None:
        """Move a job's first box, remove its second and draw one."""
        path = f"/api/jobs/{job}/annotations"
        first, second, *others = self.ask("GET", path)["shapes"]
        moved = {**first, "points": [value + 1.5 for value in first["points"]]}
        drawn = {**second, "points": [1.0, 2.0, 9.25, 7.0], "source": "manual", "attributes": []}
        self.ask("PUT", path, {"shapes": [moved, *others, drawn], "tags": [], "tracks": []})

    def shown(self, *, accepted: bool = False) -> Boxes:
        """The boxes of each frame on the server, of all jobs or of the accepted ones."""
        found: Boxes = {}
        for row in self.jobs():
            if accepted and (row["stage"], row["state"]) != ("acceptance", "completed"):
                continue
            names = [frame["name"] for frame in self.ask("GET", f"/api/tasks/{row['task_id']}/data/meta")["frames"]]
            labels = {label["id"]: label["name"] for label in self.ask("GET", "/api/labels?page_size=500")["results"]}
            deleted = self.ask("GET", f"/api/jobs/{row['id']}/data/meta")["deleted_frames"]
            frames = [at for at in range(row["start_frame"], row["stop_frame"] + 1) if at not in deleted]
            assert not found.keys() & {names[at] for at in frames}
            found.update({names[at]: Counter() for at in frames})
            for shape in self.ask("GET", f"/api/jobs/{row['id']}/annotations")["shapes"]:
                left, top, right, bottom = shape["points"]
                box = (labels[shape["label_id"]], left, top, right - left, bottom - top)
                if shape["frame"] in frames:
                    found[names[shape["frame"]]][box] += 1
        return found


@contextmanager
def world(folder: Path, settings: str, url: str, commands: Commands) -> Iterator[World]:
    """A new server, a process of its own, and a new workspace in ``folder``."""
    folder.mkdir()
    (folder / "dataengine.toml").write_text(settings)
    command = [sys.executable, "-m", "tests.cvat_server", "--seed", "1", "--port", url.rsplit(":")[-1]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().strip() == url
            made = World(url, folder, commands)
            made.log_in()
            yield made
        finally:
            process.terminate()


def boxes_of(file: Path) -> Boxes:
    document = json.loads(file.read_text())
    names = {image["id"]: image["file_name"] for image in document["images"]}
    labels = {category["id"]: category["name"] for category in document["categories"]}
    found: Boxes = {name: Counter() for name in names.values()}
    assert len(found) == len(document["images"])
    for box in document["annotations"]:
        found[names[box["image_id"]]][labels[box["category_id"]], *box["bbox"]] += 1
    return found


def column(workspace: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(workspace / ".dataengine/lineage.db")
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()
