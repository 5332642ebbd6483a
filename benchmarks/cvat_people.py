"""People at a CVAT server: they correct boxes, hand jobs in and judge them, by plain requests as their browsers do."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Shown = dict[str, Counter[tuple[str, float, float, float, float]]]
"""Frame name -> its boxes: label, and x, y, width and height in pixels, to a hundredth."""


@dataclass
class People:
    """All that people do at one server, through its administrator's account."""

    url: str
    user: tuple[str, str]
    rng: random.Random
    _key: str = ""
    _labels: dict[int, str] = field(default_factory=dict)
    _frames: dict[int, list[str]] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request of the logged-in administrator."""
        if not self._key and path != "/api/auth/login":
            name, password = self.user
            self._key = self.ask("POST", "/api/auth/login", {"username": name, "password": password})["key"]
        headers = {"Content-Type": "application/json", **({"Authorization": f"Token {self._key}"} if self._key else {})}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method)) as answer:
            return json.loads(answer.read() or b"null")

    def join(self, *names: str) -> None:
        """Make accounts."""
        for name in names:
            password = f"secret-of-{name}-1"
            told = {"username": name, "email": f"{name}@example.test", "password1": password, "password2": password}
            with urllib.request.urlopen(
                urllib.request.Request(
                    f"{self.url}/api/auth/register", json.dumps(told).encode(), {"Content-Type": "application/json"}
                )
            ):
                pass
        self._numbers = {row["username"]: row["id"] for row in self.ask("GET", "/api/users?page_size=500")["results"]}

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs in the server's words, by their numbers."""
        rows: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = self.ask("GET", f"/api/jobs?type=annotation&page_size=500&page={page}&sort=id")
            rows += answer["results"]
            if not answer["next"]:
                return sorted(rows, key=lambda row: int(row["id"]))
            page += 1

    def put(self, job: int, *, assignee: str | None = None, **standing: str) -> None:
        """Give a job a stage, a state and an assignee."""
        change: dict[str, Any] = dict(standing)
        if assignee is not None:
            change["assignee"] = self._numbers[assignee]
        self.ask("PATCH", f"/api/jobs/{job}", change)

    def correct(self, job: int, frames: int = 5) -> None:
        """On a few frames of a job move a box, remove one, and draw one."""
        path = f"/api/jobs/{job}/annotations"
        shapes = self.ask("GET", path)["shapes"]
        of: dict[int, list[dict[str, Any]]] = {}
        for shape in shapes:
            of.setdefault(shape["frame"], []).append(shape)
        for frame in self.rng.sample(sorted(of), min(frames, len(of))):
            there = of[frame]
            moved = self.rng.choice(there)
            moved["points"] = [value + 1.25 for value in moved["points"]]
            if len(there) > 2:
                shapes.remove(self.rng.choice([shape for shape in there if shape is not moved]))
            x, y = self.rng.randint(0, 30), self.rng.randint(0, 20)
            label = self.rng.choice(there)["label_id"]
            drawn = {"type": "rectangle", "frame": frame, "label_id": label, "points": [x, y, x + 9.5, y + 8]}
            shapes.append({**drawn, "source": "manual", "attributes": []})
        self.ask("PUT", path, {"shapes": shapes, "tags": [], "tracks": []})

    def remove_frame(self, job: int) -> None:
        """Take the first frame of a job out of its task."""
        row = self.ask("GET", f"/api/jobs/{job}")
        self.ask("PATCH", f"/api/jobs/{job}/data/meta", {"deleted_frames": [row["start_frame"]]})

    def accepted(self) -> tuple[Shown, set[int]]:
        """The boxes of all accepted jobs, by frame, and these jobs' numbers."""
        held: Shown = {}
        done = [row for row in self.jobs() if (row["stage"], row["state"]) == ("acceptance", "completed")]
        for row in done:
            names = self._names(row["task_id"])
            deleted = set(self.ask("GET", f"/api/jobs/{row['id']}/data/meta")["deleted_frames"])
            frames = [at for at in range(row["start_frame"], row["stop_frame"] + 1) if at not in deleted]
            held.update({names[at]: Counter() for at in frames})
            for shape in self.ask("GET", f"/api/jobs/{row['id']}/annotations")["shapes"]:
                if shape["frame"] in frames:
                    held[names[shape["frame"]]][self._box(shape, row["project_id"])] += 1
        return held, {row["id"] for row in done}

    def _names(self, task: int) -> list[str]:
        if task not in self._frames:
            meta = self.ask("GET", f"/api/tasks/{task}/data/meta")
            self._frames[task] = [frame["name"] for frame in meta["frames"]]
        return self._frames[task]

    def _box(self, shape: dict[str, Any], project: int) -> tuple[str, float, float, float, float]:
        if not self._labels:
            rows = self.ask("GET", f"/api/labels?project_id={project}&page_size=500")["results"]
            self._labels = {row["id"]: row["name"] for row in rows}
        left, top, right, bottom = shape["points"]
        return self._labels[shape["label_id"]], *(round(v, 2) for v in (left, top, right - left, bottom - top))
