"""Background requests (``/api/requests``): their ids, their life, and the worker that does what they ask for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from .state import State

KEPT = {
    "create": (timedelta(seconds=500), timedelta(days=365)),
    "import": (timedelta(hours=1), timedelta(days=30)),
    "export": (timedelta(hours=24), timedelta(days=365)),
    "calculate": (timedelta(hours=1), timedelta(days=30)),
    "merge": (timedelta(hours=1), timedelta(days=30)),
}
"""How long a result is kept, when it was reached and when not."""
ENDED = ("finished", "failed")


class WorkError(Exception):
    """The work can't be done; its text is the whole message of the request, with the name of the server's exception."""


@dataclass(slots=True)
class Work:
    """One background request.  ``run`` gives back ``(path, name, result id)``, each of which may be None."""

    id: str
    action: str
    type: str
    target: str
    owner: int
    run: Callable[[], tuple[Path | None, str | None, int | None]]
    project: int | None = None
    task: int | None = None
    job: int | None = None
    format: str | None = None
    has_format: bool = True
    url: str | None = None
    """Where the result can be downloaded, relative to the server."""
    status: str = "queued"
    message: str = ""
    progress_message: str = ""
    created: str = ""
    started: str | None = None
    finished: str | None = None
    expires: str | None = None
    file: Path | None = None
    file_name: str | None = None
    result_id: int | None = None
    stuck: bool = False
    over: threading.Event = field(default_factory=threading.Event)


class Workers:
    """Does the work of one request after the other, on a thread of its own.

    Args:
        state: the server's records.
        seconds: how long each piece of work takes at least.
        by_hand: no thread; work moves on only by :meth:`begin` and :meth:`end`.
    """

    def __init__(self, state: State, *, seconds: float = 0.0, by_hand: bool = False) -> None:
        self._state = state
        self.seconds = seconds
        self.by_hand = by_hand
        self.all: dict[str, Work] = {}
        self._queue: queue.Queue[Work | None] = queue.Queue()
        self._thread = threading.Thread(target=self._loop, name="cvat-worker", daemon=True)
        if not by_hand:
            self._thread.start()

    def running(self, rq_id: str) -> bool:
        """Whether such a request is under way, so that a second one is a conflict."""
        work = self.all.get(rq_id)
        return work is not None and work.status not in ENDED

    def enqueue(self, work: Work) -> None:
        """Takes the place of an earlier request with this id, which has ended."""
        work.created = self._state.now()
        self.all.pop(work.id, None)
        self.all[work.id] = work
        if not work.stuck:
            self._queue.put(work)

    def drop(self, rq_id: str) -> None:
        self.all.pop(rq_id, None)

    def begin(self, rq_id: str) -> None:
        """A worker picks the request up."""
        with self._state.lock:
            work = self.all[rq_id]
            if work.status == "queued":
                work.status, work.message = "started", work.progress_message
                work.started = self._state.now()

    def end(self, rq_id: str) -> None:
        """The work is done, now."""
        work = self.all[rq_id]
        self.begin(rq_id)
        if work.status != "started":
            return
        with self._state.lock:
            try:
                work.file, work.file_name, work.result_id = work.run()
                work.status, work.message = "finished", ""
            except WorkError as failed:
                work.status, work.message = "failed", f"{failed}\n"
            except Exception as error:
                # As the real server: whatever happens in a worker is the message of the request.
                work.status, work.message = "failed", f"{type(error).__name__}: {error}\n"
            work.finished = self._state.now()
            good, bad = KEPT[work.action]
            work.expires = self._state.now(good if work.status == "finished" else bad)
        work.over.set()

    def end_all(self) -> None:
        """Whatever is under way is done, now: for a server that is worked by hand."""
        for work in list(self.all.values()):
            if work.status not in ENDED and not work.stuck:
                self.end(work.id)

    def close(self) -> None:
        if not self.by_hand:
            self._queue.put(None)
            self._thread.join(timeout=10)

    def _loop(self) -> None:
        while (work := self._queue.get()) is not None:
            with self._state.lock:
                if self.all.get(work.id) is not work:
                    continue  # cancelled while it waited
                self.begin(work.id)
            if self.seconds:
                time.sleep(self.seconds)
            with self._state.lock:
                if self.all.get(work.id) is work:
                    self.end(work.id)


def view(work: Work, state: State, host: str) -> dict[str, Any]:
    owner = state.users[work.owner]
    operation = {
        "type": work.type,
        "target": work.target,
        "project_id": work.project,
        "task_id": work.task,
        "job_id": work.job,
        "org_id": None,
        **({"format": work.format} if work.has_format else {}),
        "lightweight": None,
    }
    return {
        "status": work.status,
        "message": work.message,
        "id": work.id,
        "operation": operation,
        "progress": None if work.type.startswith("merge") and work.status == "queued" else 0.0,
        "created_date": work.created,
        "started_date": work.started,
        "finished_date": work.finished,
        "expiry_date": work.expires,
        "owner": {"id": owner.id, "username": owner.username},
        "result_url": host + work.url if work.status == "finished" and work.url else None,
        "result_id": work.result_id,
    }
