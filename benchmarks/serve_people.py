"""Twenty people save and hand in at once, over HTTP, for a while: errors, lost saves, and how long a save takes.

Each person has jobs of their own among many and saves frames as an editor does: after a moment's thought, with the
revision that they saw.  At the end every frame on disk is compared with the last boxes that its person was told are
saved, and every job that was handed in with what was in it then.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import cv2
import numpy as np

from data_engine.annotation.accounts import FILE, Accounts
from data_engine.app.annotation import drafts
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import open_engine
from data_engine.app.init import init
from data_engine.stages.base import Silent

CLASSES = ("person", "helmet", "no-helmet")
SIZE = (320, 240)
ROOT = Path(__file__).resolve().parents[1]


def make(root: Path, people: int, jobs: int, frames: int) -> None:
    """A workspace with so many jobs for each person, of so many frames."""
    init(root, classes=CLASSES, progress=Silent())
    folder = root / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(people * jobs * frames):
        picture = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), SIZE)
        cv2.imwrite(str(folder / f"p{number:06d}.jpg"), picture)
    names = tuple(f"person{number}" for number in range(people))
    settings = {"job_size": frames, "assignee": names, "task_size": 10 * frames}
    with open_engine(root, workspace=root, overrides={"upload": settings}, progress=Silent(), environ={}) as engine:
        upload(engine, frames=folder)
    accounts = Accounts(root / FILE)
    for name in names:
        accounts.add(name, f"{name}@example.com", f"password of {name}", "annotator")


@dataclass
class Worker:
    """One person with a browser of their own."""

    name: str
    address: str
    seed: int
    errors: list[str] = field(default_factory=list)
    took: dict[str, list[float]] = field(default_factory=lambda: {"save": [], "read": [], "open": [], "hand in": []})
    told: dict[tuple[int, str], list[Any]] = field(default_factory=dict)
    """The boxes that the server said it has, by job and frame."""
    handed_in: list[int] = field(default_factory=list)
    cookie: str = ""
    csrf: str = ""

    def ask(self, what: str, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        """One request on a connection that is kept; (status, text)."""
        parts = urlsplit(self.address)
        headers = {"Cookie": self.cookie, "X-CSRF-Token": self.csrf, "Origin": self.address, "Content-Type": kind}
        headers["Accept"] = "application/json" if kind == "application/json" else "text/html"
        begun = time.perf_counter()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(parts.netloc, timeout=60)
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            self.errors.append(f"{what}: {error!r}")
            return 0, ""
        self.took.setdefault(what, []).append(time.perf_counter() - begun)
        if cookie := answer.getheader("set-cookie"):
            self.cookie = cookie.split(";")[0]
        if answer.status >= 400:
            self.errors.append(f"{what}: {answer.status} {text[:200]}")
        return answer.status, text

    connection: http.client.HTTPConnection | None = None

    def work(self, until: float, thought_s: float) -> None:
        """Correct frames, and hand a job in when all of it was corrected, until the time is over."""
        rng = random.Random(self.seed)
        form = urlencode({"name": self.name, "password": f"password of {self.name}"}).encode()
        self.ask("sign in", "POST", "/signin", form, "application/x-www-form-urlencoded")
        _status, text = self.ask("list", "GET", "/jobs", kind="text/html")
        jobs = [int(number) for number in re.findall(r'href="/jobs/(\d+)/annotate"', text)]
        for job in jobs:
            _status, text = self.ask("open", "GET", f"/jobs/{job}/annotate", kind="text/html")
            self.csrf = re.findall(r'name="csrf-token" content="([^"]+)"', text)[0]
            data = json.loads(re.findall(r'id="editor-data">(.*?)</script>', text, re.DOTALL)[0])
            self.ask("start", "POST", f"/jobs/{job}/start", b"")
            for frame in data["frames"]:
                if not self._frame(job, frame["id"], rng, until, thought_s):
                    return
            status, _text = self.ask("hand in", "POST", f"/jobs/{job}/submit", b"")
            if status == 200:
                self.handed_in.append(job)
        self.errors.append("all jobs are done: make more")

    def _frame(self, job: int, frame: str, rng: random.Random, until: float, thought_s: float) -> bool:
        status, text = self.ask("read", "GET", f"/jobs/{job}/frames/{frame}")
        if status != 200:
            return time.monotonic() < until
        draft = json.loads(text)
        boxes, revision = draft["boxes"], draft["revision"]
        for _edit in range(4):
            if time.monotonic() > until:
                return False
            time.sleep(rng.expovariate(1 / thought_s))
            x, y = rng.uniform(0, SIZE[0] - 40), rng.uniform(0, SIZE[1] - 40)
            boxes = [*boxes, {"label": rng.choice(CLASSES), "xywh": [round(x, 2), round(y, 2), 30.5, 20.25]}]
            body = json.dumps({"revision": revision, "boxes": boxes}).encode()
            status, text = self.ask("save", "PUT", f"/jobs/{job}/frames/{frame}", body)
            if status == 200:
                revision = json.loads(text)["revision"]
                self.told[job, frame] = boxes
        return True


def compare(root: Path, workers: list[Worker]) -> tuple[int, int]:
    """Frames that are not what their person was told, of how many."""
    lost = total = 0
    with open_engine(root, workspace=root, progress=Silent(), environ={}) as engine:
        backend = engine.backend()
        for worker in workers:
            for (job, frame_id), boxes in worker.told.items():
                total += 1
                there: Any = drafts.read(engine, job, frame_id).draft.boxes
                if job in worker.handed_in:
                    names = {frame.id: frame.name for frame in drafts.open_job(engine, job).frames}
                    there = backend.annotations(job).boxes[names[frame_id]]
                lost += [(box.label, list(box.xywh)) for box in there] != [(b["label"], b["xywh"]) for b in boxes]
    return lost, total


def main() -> None:
    """Print errors, lost saves and quantiles."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=10, help="of each person")
    parser.add_argument("--frames", type=int, default=10, help="of a job")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--thought", type=float, default=0.5, help="seconds between two saves of a person, in the mean")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "plant"
        make(root, options.people, options.jobs, options.frames)
        command = [sys.executable, "-m", "data_engine", "serve", "--port", "0"]
        with subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            address = next(re.findall(r"https?://\S+", line)[0] for line in server.stderr if "://" in line)
            threading.Thread(target=server.stderr.read, daemon=True).start()
            workers = [Worker(f"person{number}", address, number) for number in range(options.people)]
            until = time.monotonic() + options.seconds
            threads = [threading.Thread(target=worker.work, args=(until, options.thought)) for worker in workers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            server.terminate()
        lost, total = compare(root, workers)
    errors = [error for worker in workers for error in worker.errors]
    jobs = sum(len(worker.handed_in) for worker in workers)
    print(f"{options.people} people for {options.seconds:g} s: {jobs} jobs handed in, {total} frames saved")
    print(f"errors: {len(errors)}; frames that are not what their person was told: {lost}")
    for error in errors[:10]:
        print("  ", error)
    print("| request | number | median ms | 95 % ms | 99 % ms | worst ms |\n| --- | --- | --- | --- | --- | --- |")
    for what in ("save", "read", "open", "start", "hand in", "list", "sign in"):
        took = sorted(1000 * value for worker in workers for value in worker.took.get(what, ()))
        if took:
            middle, most, nearly, worst = (took[min(len(took) - 1, int(q * len(took)))] for q in (0.5, 0.95, 0.99, 1))
            print(f"| {what} | {len(took)} | {middle:.0f} | {most:.0f} | {nearly:.0f} | {worst:.0f} |")


if __name__ == "__main__":
    main()
