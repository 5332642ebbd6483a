"""A real browser before a real server over a workspace of drawn footage: fixtures of the tests of the pages.

``pytest_plugins = ["browser"]`` brings them into a test file.  Every visit records what the browser
complains about and whom it asks; the test fails when it complained, or asked anybody but this server.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import plant
import pytest

from data_engine.annotation.accounts import FILE as ACCOUNTS
from data_engine.annotation.accounts import Accounts
from data_engine.app.annotation import review
from data_engine.app.annotation.upload import upload
from data_engine.app.engine import Engine, open_engine
from data_engine.app.footage.sample import sample
from data_engine.app.init import init
from data_engine.app.merge.export import export
from data_engine.app.selection.filter import filter_frames
from data_engine.demo.footage import CLASSES, Footage, make_footage
from data_engine.demo.people import work
from data_engine.stages.base import Silent
from data_engine.types import Frame

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDE, NARROW = (1440, 900), (390, 844)
PEOPLE = {"anna": "annotator", "ben": "annotator", "rita": "reviewer", "ada": "admin"}
PASSWORD = "password of {}"
ROUND = 12
"""Frames that are open: four jobs of three."""
SIZE = (640, 480)


class Drawn:
    """What is really to be seen on the footage."""

    def __init__(self, folder: Path) -> None:
        self.footage: Footage = make_footage(folder, seed=5, cameras=2, seconds=10.0, fps=Fraction(4), size=SIZE)

    def truth(self, frame: Frame) -> Any:
        clip = next(clip for clip in self.footage.clips if frame.name.startswith(f"{clip.name}_"))
        return self.footage.boxes_at(clip.name, frame.time_s)


def _clock() -> Any:
    now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def tick() -> datetime:
        nonlocal now
        now += timedelta(seconds=7)
        return now

    return tick


def make_workspace(root: Path, drawn: Drawn) -> None:
    """Version 1 of 8 frames; 12 more with proposals, in four jobs: anna's, ben's, anna's rejected, ben's to review."""
    init(root, classes=CLASSES, progress=Silent())
    for clip in drawn.footage.clips:
        target = root / "videos_raw" / clip.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(drawn.footage.path(clip), target)
    clock = _clock()

    def opened(**upload_settings: Any) -> Engine:
        overrides = {
            "sample": {"method": "interval", "interval": 0.5, "workers": 1},
            "filter": {"budget": 8 if upload_settings.get("assignee") is None else ROUND, "tolerance": 0},
            "upload": {"job_size": 4, **upload_settings},
        }
        return open_engine(root, workspace=root, overrides=overrides, progress=Silent(), environ={}, clock=clock)

    with opened() as engine:
        sample(engine)
        filter_frames(engine)
        upload(engine)
        work(engine, drawn.truth, annotator="anna", reviewer="rita", careless=True)
        export(engine)
    with opened(job_size=3, assignee=("anna", "ben")) as engine:
        filter_frames(engine)
        upload(engine, preannotations=_proposals(engine, drawn))
        last = engine.backend().jobs()[-4:]
        for job in last[2:]:
            review.submit(engine, job.id, by=job.assignee)
        wrong, first = last[2], last[2].frame_names[0]
        review.reject(engine, wrong.id, "The helmet is not marked on the first frame.", by="rita", frame=first)
    accounts = Accounts(root / ACCOUNTS)
    for name, role in PEOPLE.items():
        accounts.add(name, f"{name}@example.com", PASSWORD.format(name), role)


def _proposals(engine: Engine, drawn: Drawn) -> Path:
    """The truth as a model sees it: a little beside, one thing of five overlooked, each with its confidence."""
    from data_engine.app.footage.pictures import frames_in
    from data_engine.app.selection.filter_files import LIST

    frames, _failures = frames_in(engine, engine.root / LIST, hint="")
    images, annotations = [], []
    for number, frame in enumerate(frames, 1):
        images.append(
            {"id": number, "file_name": frame.name, "width": frame.width, "height": frame.height, "frame_id": frame.id}
        )
        for place, (label, (x, y, w, h)) in enumerate(drawn.truth(frame)):
            if (number + place) % 5 == 0:
                continue
            moved = (max(0.0, x + 2), max(0.0, y - 1), min(w, SIZE[0] - x - 2), min(h, SIZE[1] - y))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": CLASSES.index(label) + 1,
                    "bbox": list(moved),
                    "area": moved[2] * moved[3],
                    "iscrowd": 0,
                    "score": round(0.95 - 0.06 * ((number * 3 + place) % 9), 2),
                }
            )
    file = engine.root / "proposals.json"
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


@dataclass
class Site:
    """A workspace and the server of its pages, a process of its own."""

    root: Path
    drawn: Drawn
    address: str = ""
    process: subprocess.Popen[str] | None = None
    options: tuple[str, ...] = ()
    log: list[str] = field(default_factory=list)

    @property
    def shell(self) -> plant.Shell:
        """Types commands in the workspace."""
        return plant.Shell(self.root)

    def start(self) -> None:
        """Start the server; again at the same address where it ran before."""
        port = urlsplit(self.address).port or 0
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DATAENGINE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "data_engine", "serve", "--port", str(port), *self.options],
            cwd=self.root,
            env={**clean, "PYTHONPATH": str(plant.ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"https?://\S+", line):
                self.address = found[0]
                return
        raise AssertionError("the server did not start:\n" + "".join(self.log))

    def end(self, by: int = signal.SIGINT) -> int:
        """End the server; its exit code."""
        assert self.process is not None
        self.process.send_signal(by)
        code = self.process.wait(30)
        if self.process.stderr is not None:
            self.log.extend(self.process.stderr)
            self.process.stderr.close()
        self.process = None
        return code

    def engine(self) -> Engine:
        """The workspace, opened beside the server."""
        return open_engine(self.root, workspace=self.root, progress=Silent(), environ={})


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Drawn:
    return Drawn(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def workspace_to_serve(tmp_path_factory, drawn) -> Path:
    """Made once; every test file works on a copy of its own."""
    root = tmp_path_factory.mktemp("served") / "plant"
    make_workspace(root, drawn)
    return root


@pytest.fixture(scope="module")
def site(tmp_path_factory, workspace_to_serve, drawn) -> Iterator[Site]:
    """A server over a fresh copy of the workspace, with the accounts of PEOPLE."""
    root = tmp_path_factory.mktemp("site") / "plant"
    shutil.copytree(workspace_to_serve, root)
    made = Site(root, drawn)
    made.start()
    yield made
    if made.process is not None:
        made.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for the tests of one file: while it lives, no other test of this thread has an event loop."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


class Visits:
    """Opens pages for people, and remembers what the browser complained about and whom it asked."""

    def __init__(self, browser: Any, site: Site) -> None:
        self._browser, self._site = browser, site
        self._contexts: list[Any] = []
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        """Hosts with their ports."""
        self.expected: list[str] = []
        """Parts of complaints that a test means to cause."""

    def __call__(self, person: str | None, path: str = "/", *, size: tuple[int, int] = WIDE) -> Any:
        """A page of this person in a browser profile of its own, with ``path`` loaded; None is not signed in."""
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
        self._contexts.append(context)
        context.set_default_timeout(60_000)
        context.on("request", lambda request: self._ask(request.url))
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        if person is not None:
            self.sign_in(context, person)
        page = context.new_page()
        page.goto(self._site.address + path)
        return page

    def sign_in(self, context: Any, person: str) -> None:
        """Sign in without looking at the page."""
        answer = context.request.post(
            f"{self._site.address}/signin",
            form={"name": person, "password": PASSWORD.format(person)},
            headers={"Origin": self._site.address},
            max_redirects=0,
        )
        assert answer.status == 303, answer.text()

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def check(self) -> None:
        """Fail where the browser complained, or asked somebody else."""
        unexpected = [text for text in self.complaints if not any(part in text for part in self.expected)]
        assert not unexpected, "the browser complains:\n" + "\n".join(unexpected)
        assert self.asked <= {urlsplit(self._site.address).netloc}, f"somebody else was asked: {self.asked}"

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about"):
            self.asked.add(parts.netloc)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


@pytest.fixture
def visit(browser, site) -> Iterator[Visits]:
    """``visit("anna", "/jobs")`` is a Playwright page; ``visit.expected`` names complaints that are meant."""
    visits = Visits(browser, site)
    yield visits
    visits.close()
    visits.check()
