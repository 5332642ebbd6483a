"""Making a task on a server exactly once: see docs/decisions/0021-exactly-once-on-a-server.md.

The steps stand in the ledger as they end: ``task`` (its number), ``data`` (its pictures are there), ``ready``.  The
name on the server carries the beginning of the uid, so that a task is found again whose number nobody wrote down.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat import background, pictures
from data_engine.annotation.cvat.attempts import AGAIN
from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.names import mark_of, name_of
from data_engine.annotation.cvat.proposals import Proposals
from data_engine.errors import ConflictError, DamagedInputError, DataEngineError, ServiceError
from data_engine.types import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.people import People
    from data_engine.annotation.cvat.project import Project
    from data_engine.ports import Ledger, Storage
    from data_engine.types import TaskSpec

_ROUNDS = 10
"""Tasks that are begun before it is given up: each was removed again because its pictures did not arrive."""
_NEVER_STARTED = 2
"""How often the making of a task is queued anew when no worker takes it up."""


class _BeginAgainError(Exception):
    """What was sent to this task is not what arrived: it is removed and made anew."""


class TaskMaker:
    """Makes the tasks of one project, each in a thread: while the server makes one, the pictures of the next are sent.

    Args:
        connection: to the server.
        project: where they go.
        ledger: of what was done.
        storage: the pictures.
        people: who may be given jobs.
    """

    def __init__(
        self, connection: Connection, project: Project, ledger: Ledger, storage: Storage, people: People
    ) -> None:
        self._connection = connection
        self._project = project
        self._ledger = ledger
        self._storage = storage
        self._people = people
        self._doubtful: dict[int, TaskSpec] = {}
        # Two at once would each take twice as long, hold twice the memory, and be numbered by chance.
        self._sending = threading.Lock()

    def make(self, spec: TaskSpec) -> Task:
        """The task of a spec: made, finished, or found.

        Raises:
            MissingInputError: a picture is not there.
            DamagedInputError: the server cannot read a picture, or it is too large.
            UsageError: nobody is called like the assignee.
        """
        # Tasks are begun one after the other, in the order in which they are asked for.
        with contextlib.ExitStack() as turn:
            turn.enter_context(self._sending)
            self._sweep()
            with self._ledger.alone(spec.uid):
                number = self._finished(spec)
                if number is None:
                    number = self._made(spec, turn)
        return Task(number, spec.name, len(spec.frames), spec.uid)

    def _made(self, spec: TaskSpec, turn: contextlib.ExitStack) -> int:
        assignee = None if spec.assignee is None else self._people.numbered(spec.assignee)
        sizes = {frame.name: self._storage.size(frame.key) for frame in spec.frames}
        project = self._project.made(spec.labels)
        troubles = self._connection.troubles
        number, fresh = self._with_data(spec, project, sizes, turn)
        proposals = Proposals(self._connection, self._project.labels())
        proposals.put(spec, number, fresh=fresh)
        if assignee is not None:
            self._assign(number, assignee)
        self._ledger.record(spec.uid, "ready", str(number))
        if self._connection.troubles != troubles or not fresh:
            self._remove_doubles(spec, number, project)
            self._doubtful[number] = spec
        return number

    def _finished(self, spec: TaskSpec) -> int | None:
        steps = self._ledger.steps(spec.uid)
        if "ready" not in steps:
            return None
        number = int(steps["ready"])
        if self._row(number) is not None:
            return number
        # Somebody removed it on the server.
        self._ledger.forget(spec.uid)
        return None

    def holds(self, number: int, uid: str) -> bool:
        """Whether the server's task of this number was made for this uid, by the mark in its name."""
        row = self._row(number)
        return row is not None and row["name"].endswith(mark_of(uid))

    def _row(self, number: int) -> dict[str, Any] | None:
        try:
            return dict(self._connection.get(f"/api/tasks/{number}"))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    # --- the task and its pictures --------------------------------------------------------------------------------

    def _with_data(
        self, spec: TaskSpec, project: int, sizes: Mapping[str, int], turn: contextlib.ExitStack
    ) -> tuple[int, bool]:
        """The number of a task that has all its pictures, and whether this call put them there.

        Args:
            spec: of the task.
            project: where it goes.
            sizes: of its pictures in bytes, by frame name.
            turn: holds what lets one thread send; closed when everything is sent, and the next one begins.
        """
        never_started, why = 0, ""
        for attempt in range(_ROUNDS):
            number, fresh = None, False
            try:
                if attempt:
                    turn.close()
                    turn.enter_context(self._sending)
                number = self._half_made(spec, project)
                if number is None:
                    fresh = True
                    number = self._begin(spec, project)
                    self._send(spec, number, sizes)
                turn.close()
                if fresh:
                    self._wait(spec, number)
                if fresh or "data" not in self._ledger.steps(spec.uid):
                    self._check(spec, number)
                    self._ledger.record(spec.uid, "data", str(len(spec.frames)))
            except (_BeginAgainError, background.NeverStartedError) as error:
                why = str(error) or why
                self._remove(spec, number)
                if isinstance(error, background.NeverStartedError):
                    never_started += 1
                    if never_started >= _NEVER_STARTED:
                        raise
                continue
            except ServiceError:
                raise  # what is there now, the next run finds
            except DataEngineError:
                with contextlib.suppress(DataEngineError):
                    self._remove(spec, number)
                raise
            return number, fresh
        raise ServiceError(
            f"the pictures of task {spec.name!r} did not arrive at {self._connection.account.server}, "
            f"{_ROUNDS} times over: {why}",
            hint=AGAIN,
        )

    def _candidates(self, spec: TaskSpec, project: int) -> dict[int, dict[str, Any]]:
        """Tasks of this uid on the server, by ascending number; also one that was renamed since."""
        rows = self._connection.pages("/api/tasks", project_id=project, name=name_of(spec))
        found = {row["id"]: row for row in rows if row["name"] == name_of(spec)}
        known = self._ledger.steps(spec.uid).get("task")
        if known is not None and int(known) not in found:
            row = self._row(int(known))
            if row is not None and row["project_id"] == project:
                found[int(known)] = row
        return dict(sorted(found.items()))

    def _half_made(self, spec: TaskSpec, project: int) -> int | None:
        """A task of an earlier run that has its pictures; one that has none is removed."""
        whole: int | None = None
        for number, row in self._candidates(spec, project).items():
            size = row.get("size") or 0
            if not size and self._is_at_work(number):
                with contextlib.suppress(DamagedInputError):  # it failed, and is made anew
                    self._wait(spec, number)
                size = (self._row(number) or {}).get("size") or 0
            if not size:
                self._remove(spec, number)
            elif size != len(spec.frames):
                raise ConflictError(
                    f"task {number} on {self._connection.account.server} has {size} of {len(spec.frames)} frames",
                    hint="remove it there and run: dataengine upload",
                )
            elif whole is None:
                whole = number
        if whole is not None:
            self._ledger.record(spec.uid, "task", str(whole))
        return whole

    def _is_at_work(self, number: int) -> bool:
        state = background.state_of(self._connection, _making(number))
        return state is not None and state["status"] in ("queued", "started")

    def _begin(self, spec: TaskSpec, project: int) -> int:
        body = {"name": name_of(spec), "project_id": project, "segment_size": spec.job_size, "overlap": 0}

        def look() -> dict[str, Any] | None:
            return next(iter(self._candidates(spec, project).values()), None)

        number = int(self._connection.request("POST", "/api/tasks", json=body, look=look)["id"])
        self._ledger.record(spec.uid, "task", str(number))
        return number

    def _send(self, spec: TaskSpec, number: int, sizes: Mapping[str, int]) -> None:
        path, troubles = f"/api/tasks/{number}/data/", self._connection.troubles
        self._connection.request("POST", path, headers={"Upload-Start": ""}, look=lambda: "")
        for part in pictures.groups(spec.frames, sizes):
            pictures.send(self._connection, number, part, self._storage.read_bytes)
        names = [frame.name for frame in spec.frames]
        body = {
            "image_quality": pictures.QUALITY,
            "sorting_method": "predefined",
            "upload_file_order": names,
            "use_cache": True,
            "use_zip_chunks": True,
        }

        def look() -> dict[str, Any] | None:
            known = background.state_of(self._connection, _making(number)) is not None
            return {"rq_id": _making(number)} if known or (self._row(number) or {}).get("size") else None

        try:
            self._connection.request("POST", path, json=body, headers={"Upload-Finish": ""}, look=look)
        except RefusedError as error:
            if error.status == 400 and self._connection.troubles != troubles:
                # A request that failed has left pictures out.
                raise _BeginAgainError(error.said) from None
            if error.status == 400:
                raise DamagedInputError(
                    f"{self._connection.account.server} refuses the frames of task {spec.name!r}: {error.said}",
                    hint="frames need names that every system can keep: dataengine sample",
                ) from None
            if error.status != 409:
                raise
        except ServiceError:
            # Pictures that it has twice are answered by 500 each time.
            if self._row(number) is not None and look() is None:
                raise _BeginAgainError("it fails to put them together") from None
            raise

    def _wait(self, spec: TaskSpec, number: int) -> None:
        try:
            background.wait(self._connection, _making(number), f"making the task {spec.name!r}")
        except background.NeverStartedError:
            background.cancel(self._connection, _making(number))
            raise
        except background.FailedError as error:
            raise DamagedInputError(
                f"{self._connection.account.server} cannot make task {spec.name!r} of its pictures: {error.said}"
            ) from None

    def _check(self, spec: TaskSpec, number: int) -> None:
        """Compare what arrived with what was sent: number, names, order and sizes of the pictures."""
        row = self._row(number)
        if row is None or (row.get("size") or 0) != len(spec.frames):
            raise _BeginAgainError("it made no task of them")
        frames = self._connection.get(f"/api/tasks/{number}/data/meta")["frames"]
        for sent, got in zip(spec.frames, frames, strict=True):
            if got["name"] != sent.name:
                raise DamagedInputError(
                    f"{self._connection.account.server} calls the frame {sent.name!r} {got['name']!r}",
                    hint="frames need names that every system can keep: dataengine sample",
                )
            if (got["width"], got["height"]) != (sent.width, sent.height):
                raise DamagedInputError(
                    f"{sent.key} is {got['width']} x {got['height']} pixels for {self._connection.account.server}, "
                    f"but {sent.width} x {sent.height} here: the boxes would not fit"
                )

    def _remove(self, spec: TaskSpec, number: int | None) -> None:
        if number is None:
            return
        with contextlib.suppress(RefusedError):  # gone already
            self._connection.request("DELETE", f"/api/tasks/{number}")
        self._ledger.forget(spec.uid)

    # --- what comes after -----------------------------------------------------------------------------------------

    def _assign(self, number: int, person: int) -> None:
        for row in self._connection.pages("/api/jobs", task_id=number, type="annotation"):
            path = f"/api/jobs/{row['id']}"

            def given(path: str = path) -> dict[str, Any] | None:
                now = dict(self._connection.get(path))
                return now if now["assignee"] is not None else None

            # Whoever took it since they were listed, or while another one had to wait, has it.
            if row["assignee"] is None and given() is None:
                self._connection.request("PATCH", path, json={"assignee": person}, look=given, always=True)

    def _remove_doubles(self, spec: TaskSpec, number: int, project: int) -> None:
        """Remove empty tasks of the same uid: of a request whose answer was lost and which was made again."""
        for double, row in self._candidates(spec, project).items():
            if double == number:
                continue
            if not row.get("size"):
                with contextlib.suppress(RefusedError):
                    self._connection.request("DELETE", f"/api/tasks/{double}")
            else:
                self._connection.patience.tell(
                    f"task {double} on {self._connection.account.server} is a second {spec.name!r}, made elsewhere: "
                    f"task {number} is the one that counts"
                )

    def _sweep(self) -> None:
        """Look once more for doubles of tasks that met trouble: a lost request may have had its effect late."""
        project = self._project.number() if self._doubtful else None
        for number, spec in list(self._doubtful.items()):
            if project is not None:
                self._remove_doubles(spec, number, project)
            self._doubtful.pop(number, None)  # two threads may look at once


def _making(number: int) -> str:
    """The request id under which the server makes a task of its data."""
    return f"action=create&target=task&target_id={number}"
