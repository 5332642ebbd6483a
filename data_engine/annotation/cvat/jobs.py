"""Jobs of the tasks that were made here: read in few requests, changed in one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.names import shown_name
from data_engine.annotation.cvat.refusals import NoRightError
from data_engine.annotation.cvat.shapes import Picture, content
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.types import DeletedFrames, Job, Stage, State, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.people import People
    from data_engine.annotation.cvat.project import Project
    from data_engine.ports import Ledger

_LIST = "dataengine review list"
_OURS = ("annotation", "ground_truth")
"""Kinds of jobs that are worked with by number; replicas for a consensus are the server's own."""
_NOBODY = 0


class Jobs:
    """The jobs of one project.

    Args:
        connection: to the server.
        project: whose they are.
        ledger: which of its tasks are this tool's, and their frames.
        people: who may be given a job.
    """

    def __init__(self, connection: Connection, project: Project, ledger: Ledger, people: People) -> None:
        self._connection = connection
        self._project = project
        self._ledger = ledger
        self._people = people
        self._names: dict[int, tuple[str, ...]] = {}
        self._labels: dict[int, tuple[str, ...]] = {}

    # --- reading --------------------------------------------------------------------------------------------------

    def tasks(self) -> list[Task]:
        """The finished tasks that are on the server, by ascending number."""
        known = self._ledger.numbers()
        project = self._project.number() if known else None
        if project is None:
            return []
        rows = self._connection.pages("/api/tasks", project_id=project)
        return [
            Task(row["id"], shown_name(row["name"]), row.get("size") or 0, known[row["id"]])
            for row in rows
            if row["id"] in known
        ]

    def all(self, task_id: int | None = None) -> list[Job]:
        """All jobs, or those of one task; those of the ground truth and replicas are not among them.

        Raises:
            MissingInputError: the task is unknown, or gone from the server.
        """
        known = self._ledger.numbers()
        if task_id is None:
            project = self._project.number() if known else None
            if project is None:
                return []
            rows = self._connection.pages("/api/jobs", project_id=project, type="annotation")
        else:
            if task_id not in known:
                raise MissingInputError(f"there is no task {task_id}", hint=_LIST)
            rows = self._connection.pages("/api/jobs", task_id=task_id, type="annotation")
            if not rows:
                raise MissingInputError(
                    f"there is no task {task_id} any more on {self._connection.account.server}", hint=_LIST
                )
        return [self.seen(row) for row in rows if row["task_id"] in known and row["type"] == "annotation"]

    def row(self, job_id: int) -> dict[str, Any]:
        """A job in the server's words; MissingInputError where there is none, or none of this tool's."""
        try:
            row = dict(self._connection.get(f"/api/jobs/{job_id}"))
        except RefusedError as error:
            if error.status != 404:
                raise
            raise MissingInputError(f"there is no job {job_id}", hint=_LIST) from None
        if row["task_id"] not in self._ledger.numbers() or row["type"] not in _OURS:
            raise MissingInputError(f"there is no job {job_id} of this project", hint=_LIST)
        return row

    def seen(self, row: Mapping[str, Any]) -> Job:
        """A job as the port shows it."""
        names = self._frame_names(row["task_id"])[row["start_frame"] : row["stop_frame"] + 1]
        assignee = row["assignee"]["username"] if row["assignee"] else None
        return Job(row["id"], row["task_id"], row["stage"], row["state"], assignee, names, moment(row["updated_date"]))

    def _frame_names(self, task_id: int) -> tuple[str, ...]:
        if task_id not in self._names:
            uid = self._ledger.numbers()[task_id]
            names = self._ledger.frame_names(uid)
            if not names:
                meta = self._connection.get(f"/api/tasks/{task_id}/data/meta")
                names = tuple(frame["name"] for frame in meta["frames"])
            self._names[task_id] = names
        return self._names[task_id]

    def lacking(self, task_id: int, labels: Iterable[str]) -> tuple[str, ...]:
        """Labels that a task was made with and that its project no longer has."""
        if task_id not in self._labels:
            self._labels[task_id] = self._ledger.labels(self._ledger.numbers()[task_id])
        there = set(labels)
        return tuple(name for name in self._labels[task_id] if name not in there)

    def pictures(self, row: Mapping[str, Any]) -> tuple[dict[int, Picture], set[int]]:
        """The frames of a job by their numbers in the task, and the numbers of those that were deleted.

        Of a ground-truth job, which has only some of its task's frames, it is those that were drawn.
        """
        meta = self._connection.get(f"/api/jobs/{row['id']}/data/meta")
        found = {
            number: Picture(frame["name"], frame["width"], frame["height"])
            for number, frame in enumerate(meta["frames"], row["start_frame"])
            if meta.get("included_frames") is None or number in meta["included_frames"]
        }
        return found, {number for number in meta["deleted_frames"] if number in found}

    def deleted_frames(self, seen: Mapping[int, str]) -> dict[int, DeletedFrames]:
        """The deleted frames of those of these tasks whose date moved; one request, and one for each of them.

        A task's date moves with its deleted frames, and with every saving of boxes; those of its jobs do not.
        """
        project = self._project.number() if seen else None
        rows = [] if project is None else self._connection.pages("/api/tasks", project_id=project)
        dates = {row["id"]: moment(row["updated_date"]) for row in rows}
        found: dict[int, DeletedFrames] = {}
        for number, before in seen.items():
            # Its date was read before its frames: what happens in between is noticed the next time.
            if number not in dates or dates[number] == before:
                continue
            try:
                meta = self._connection.get(f"/api/tasks/{number}/data/meta")
            except RefusedError as error:
                if error.status != 404:
                    raise
                continue
            names = frozenset(meta["frames"][at]["name"] for at in meta["deleted_frames"])
            found[number] = DeletedFrames(names, dates[number])
        return found

    # --- changing -------------------------------------------------------------------------------------------------

    def expected(self, row: Mapping[str, Any], expected: str | None) -> None:
        """ConflictError where the job has changed since ``expected``."""
        if expected is not None and moment(row["updated_date"]) != expected:
            raise ConflictError(
                f"job {row['id']} was changed by somebody else just now (stage {row['stage']}, state {row['state']})",
                hint=f"look again: dataengine review show {row['id']}",
            )

    def person(self, assignee: str | None) -> int | None:
        """The server's number of who is to have a job, 0 for nobody; None where that stays as it is."""
        if assignee is None:
            return None
        return self._people.numbered(assignee) if assignee else _NOBODY

    def update(
        self,
        row: Mapping[str, Any],
        *,
        stage: Stage | None,
        state: State | None,
        person: int | None = None,
    ) -> dict[str, Any]:
        """Change what differs from the job as it was just read, in one request; nothing where nothing differs.

        However long it takes to be heard: before it is sent again, the job is read again.

        Args:
            row: the job; from here on no other request must come before the change.
            stage: as of the port.
            state: as of the port.
            person: of :meth:`person`.

        Raises:
            ConflictError: somebody else changed the job between two tries.
        """
        number, change = row["id"], _change(row, stage, state, person)
        if not change:
            return dict(row)
        wanted = {**_standing(row), **change}

        def look() -> dict[str, Any] | None:
            now = self.row(number)
            if now["updated_date"] == row["updated_date"]:
                return None
            if _standing(now) != wanted:
                # Between a try and this look somebody else was there: their word counts.
                self.expected(now, moment(row["updated_date"]))
            return now

        try:
            return dict(self._connection.request("PATCH", f"/api/jobs/{number}", json=change, look=look, always=True))
        except NoRightError as error:
            raise UsageError(
                f"job {number} stays as it is: {error.message}",
                hint=f"stages and assignees need the owner of the project's task, or a maintainer; {error.hint}",
            ) from None
        except RefusedError as error:
            if error.status != 404:
                raise
            raise MissingInputError(f"there is no job {number} any more", hint=_LIST) from None

    def replace(self, row: Mapping[str, Any], shapes: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Replace everything that is drawn on the job as it was just read; the job with that, as :meth:`update` does.

        Raises:
            ConflictError: somebody else changed the job meanwhile, or drew on it.
        """
        number = row["id"]
        path = f"/api/jobs/{number}/annotations"

        def look() -> dict[str, Any] | None:
            now = self.row(number)
            if now["updated_date"] == row["updated_date"]:
                return None
            drawn = dict(self._connection.get(path))
            if _standing(now) != _standing(row) or _drawn(drawn) != _drawn({"shapes": shapes}):
                self.expected(now, moment(row["updated_date"]))
            return drawn

        self._connection.request("PUT", path, json=content(shapes), look=look, always=True)
        after = self.row(number)
        if _standing(after) != _standing(row) or _drawn(self._connection.get(path)) != _drawn({"shapes": shapes}):
            self.expected(after, moment(row["updated_date"]))
        return after


def _standing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"stage": row["stage"], "state": row["state"], "assignee": _person(row)}


def _change(row: Mapping[str, Any], stage: Stage | None, state: State | None, person: int | None) -> dict[str, Any]:
    change: dict[str, Any] = {}
    if stage is not None and stage != row["stage"]:
        # The server would set the state to new by itself; said in the same request nobody sees it in between.
        change = {"stage": stage, "state": state or "new"}
    elif state is not None and state != row["state"]:
        change = {"state": state}
    if person is not None and (person or None) != _person(row):
        change["assignee"] = person or None
    return change


def _drawn(data: Mapping[str, Any]) -> Counter[tuple[object, ...]]:
    """What is drawn, in a form in which equal drawings are equal."""
    shapes = Counter(
        (shape["type"], shape["frame"], shape["label_id"], *(round(float(value), 2) for value in shape["points"]))
        for shape in data["shapes"]
    )
    others = Counter({(kind,): len(data.get(kind, ())) for kind in ("tracks", "tags")})
    return shapes + others


def check_standing(stage: Stage | None, state: State | None) -> None:
    """UsageError for a stage or state that does not exist."""
    for what, value, known in (("stage", stage, get_args(Stage)), ("state", state, get_args(State))):
        if value is not None and value not in known:
            raise UsageError(f"there is no {what} {value!r}: it is one of {', '.join(known)}")


def moment(date: str) -> str:
    """A date of the server as ISO 8601 in UTC with microseconds: as text, equal moments are equal."""
    return datetime.fromisoformat(date).astimezone(UTC).isoformat(timespec="microseconds")


def _person(row: Mapping[str, Any]) -> int | None:
    return int(row["assignee"]["id"]) if row["assignee"] else None
