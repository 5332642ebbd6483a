"""Jobs of the tasks that were made here: read in few requests, changed in one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

from data_engine.annotation.cvat.connection import NO_RIGHT
from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.names import shown_name
from data_engine.annotation.cvat.shapes import Picture
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.types import Job, Stage, State, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.annotation.cvat.connection import Connection
    from data_engine.annotation.cvat.people import People
    from data_engine.annotation.cvat.project import Project
    from data_engine.ports import Ledger

_LIST = "dataengine review list"
_OURS = ("annotation", "ground_truth")
"""Kinds of jobs that are worked with by number; replicas for a consensus are the server's own."""


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

    # --- changing -------------------------------------------------------------------------------------------------

    def expected(self, row: Mapping[str, Any], expected: str | None) -> None:
        """ConflictError where the job has changed since ``expected``."""
        if expected is not None and moment(row["updated_date"]) != expected:
            raise ConflictError(
                f"job {row['id']} was changed by somebody else just now (stage {row['stage']}, state {row['state']})",
                hint=f"look again: dataengine review show {row['id']}",
            )

    def update(
        self,
        row: Mapping[str, Any],
        *,
        stage: Stage | None,
        state: State | None,
        assignee: str | None,
    ) -> dict[str, Any]:
        """Change what differs from the job as it was just read, in one request; nothing where nothing differs."""
        number, change = row["id"], self._change(row, stage, state, assignee)
        if not change:
            return dict(row)

        def look() -> dict[str, Any] | None:
            now = dict(self._connection.get(f"/api/jobs/{number}"))
            if now["updated_date"] == row["updated_date"]:
                return None
            same = all((_person(now) if name == "assignee" else now[name]) == value for name, value in change.items())
            if not same:
                # Between the try whose answer was lost and this look somebody else was there: their word counts.
                self.expected(now, moment(row["updated_date"]))
            return now

        try:
            return dict(self._connection.request("PATCH", f"/api/jobs/{number}", json=change, look=look))
        except NO_RIGHT as error:
            raise UsageError(
                f"job {number} stays as it is: {error.message}",
                hint=f"stages and assignees need the owner of the project's task, or a maintainer; {error.hint}",
            ) from None

    def _change(
        self, row: Mapping[str, Any], stage: Stage | None, state: State | None, assignee: str | None
    ) -> dict[str, Any]:
        change: dict[str, Any] = {}
        if stage is not None and stage != row["stage"]:
            # The server would set the state to new by itself; said in the same request nobody sees it in between.
            change = {"stage": stage, "state": state or "new"}
        elif state is not None and state != row["state"]:
            change = {"state": state}
        if assignee is not None:
            person = self._people.numbered(assignee) if assignee else None
            if person != _person(row):
                change["assignee"] = person
        return change


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
