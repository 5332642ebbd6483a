"""The annotation backend over a CVAT server; see :class:`data_engine.ports.AnnotationBackend` for the contract.

A server has no way to change a job only if nobody else has: ``expected`` is compared right before each try of the
change, and a click in the milliseconds between is overwritten.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from data_engine.annotation.cvat import issues, quality, webhooks
from data_engine.annotation.cvat.account import Account
from data_engine.annotation.cvat.attempts import AGAIN, Patience
from data_engine.annotation.cvat.connection import Connection
from data_engine.annotation.cvat.creation import TaskMaker
from data_engine.annotation.cvat.failures import RefusedError
from data_engine.annotation.cvat.jobs import Jobs, check_standing, moment
from data_engine.annotation.cvat.people import People
from data_engine.annotation.cvat.project import Project
from data_engine.annotation.cvat.refusals import names_nothing
from data_engine.annotation.cvat.shapes import boxes_of, shape_of
from data_engine.annotation.records import checked_boxes, checked_spec
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.types import (
    AccountRole,
    Box,
    DeletedFrames,
    Issue,
    Job,
    JobContent,
    Person,
    Stage,
    State,
    Task,
    TaskSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from data_engine.ports import Ledger, Progress, Storage


class CvatBackend:
    """Tasks of one project on a CVAT server.  The first request logs in; making it asks the server nothing.

    Args:
        url: address of the server.
        storage: the pictures.
        ledger: makes the ledger of a backend of a name.
        project: name of the project, or its number.
        organization: short name; the account's own space when empty.
        known_as: host and port in :attr:`name`, where the server's address has changed since its tasks were recorded.
        token: access token; without one, username and password.
        username: of the account that works for this tool.
        password: its password.
        timeout_s: seconds to wait for an answer.
        patience_s: seconds to try again, or to wait for a worker of the server.
        progress: told what takes long, and when the server's release was never tried.
        remark: told the latter as well, for the report.
        sleep: waits; for tests.
    """

    edits_files = False
    tasks_at_once = 2
    """While the server makes a task of its pictures, it takes those of the next."""

    def __init__(
        self,
        url: str,
        *,
        storage: Storage,
        ledger: Callable[[str], Ledger],
        project: str,
        organization: str = "",
        known_as: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 600.0,
        progress: Progress | None = None,
        remark: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        account = Account(url.rstrip("/"), token, username, password, organization, known_as or "")
        account.require_login()
        self.name = account.backend_of(project)
        tell = progress.note if progress is not None else _nobody
        patience = Patience(patience_s, sleep, tell=tell)
        self._connection = Connection(account, timeout_s=timeout_s, patience=patience, remark=remark)
        book = ledger(self.name)
        self._project = Project(self._connection, book, project)
        self._people = People(self._connection)
        self._jobs = Jobs(self._connection, self._project, book, self._people)
        self._tasks_of: dict[int, int] = {}
        self._maker = TaskMaker(self._connection, self._project, book, storage, self._people)

    # --- tasks and jobs -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Log in and look for the project; see the port.

        Raises:
            ServiceError: no answer.
            UsageError: it is no CVAT server, or does not know the account, its organization or a project by number; an
                access token that is read-only.
        """
        self._connection.refuse_read_only()
        self._project.number()

    def also_known_as(self, elsewhere: Mapping[str, Mapping[int, str]]) -> str | None:
        """A name under which this server's tasks are recorded too; see the port."""
        own = f"cvat:{self._connection.account.recorded_as}/"
        others = {name: tasks for name, tasks in elsewhere.items() if name.startswith("cvat:")}
        for name, tasks in others.items():
            # Numbers begin at 1 on every server; the mark in a task's name is its own.
            if not name.startswith(own) and any(self._maker.holds(number, uid) for number, uid in tasks.items()):
                return name
        return None

    def create_task(self, spec: TaskSpec) -> Task:
        """Create the task; see the port.  Other names, labels or boxes under a known ``uid`` are not looked at.

        Raises:
            UsageError: no frame, no label, a job size below 1; nobody is called like the assignee.
            DamagedInputError: frame names that are equal or not plain; boxes with other labels or without area; a
                picture that the server cannot read or that is too large for it.
            MissingInputError: a picture that is not there.
            ServiceError: no answer in time, or no worker that makes the task: the next call goes on.
            ConflictError: somebody removed the task, its project or a label meanwhile: the next call begins again.
        """
        checked_spec(spec)
        try:
            return self._maker.make(spec)
        except RefusedError as error:
            if not names_nothing(error):
                raise
            what = f"something was changed there while task {spec.name!r} was made: {error.said}"
            raise ConflictError(f"{self._connection.account.server}: {what}", hint=AGAIN) from None

    def tasks(self) -> list[Task]:
        """All tasks of this tool that are on the server, by ascending number."""
        return self._jobs.tasks()

    def jobs(self, task_id: int | None = None) -> list[Job]:
        """All jobs, or those of one task, by ascending number; MissingInputError for an unknown or removed task."""
        self._project.forget_labels()  # whoever looks again sees what people did to them meanwhile
        found = self._jobs.all(task_id)
        self._tasks_of.update((job.id, job.task_id) for job in found)
        return found

    def job(self, job_id: int) -> Job:
        """One job; MissingInputError for an unknown number."""
        return self._jobs.seen(self._jobs.row(job_id))

    def update_job(
        self,
        job_id: int,
        *,
        stage: Stage | None = None,
        state: State | None = None,
        assignee: str | None = None,
        expected: str | None = None,
    ) -> Job:
        """Change what is given, in one request; see the port.  When the job has it already, nothing is sent.

        Raises:
            MissingInputError: an unknown number.
            UsageError: a stage or state that does not exist; an unknown assignee; no right.
            ConflictError: the job has changed since ``expected``.
        """
        check_standing(stage, state)
        # Before the job is looked at: between that and its change there must be no other request.
        person = self._jobs.person(assignee)
        row = self._jobs.row(job_id)
        self._jobs.expected(row, expected)
        return self._jobs.seen(self._jobs.update(row, stage=stage, state=state, person=person))

    # --- boxes ----------------------------------------------------------------------------------------------------

    def annotations(self, job_id: int) -> JobContent:
        """What is drawn on the job's frames, cut to them; what is no box, or not on them, is counted."""
        row = self._jobs.row(job_id)
        pictures, deleted = self._jobs.pictures(row)
        data = self._connection.get(f"/api/jobs/{job_id}/annotations")
        labels = self._labels_of(data)
        boxes, left_out = boxes_of(data, pictures, labels, deleted)
        on_deleted = {"shapes": [shape for shape in data["shapes"] if shape["frame"] in deleted]}
        hidden, _left_out = boxes_of(on_deleted, pictures, labels)
        return JobContent(
            {pictures[number].name: tuple(rows) for number, rows in boxes.items()},
            left_out,
            frozenset(pictures[number].name for number in deleted),
            {pictures[number].name: tuple(hidden[number]) for number in sorted(deleted)},
            self._jobs.lacking(row["task_id"], (label.name for label in labels)),
        )

    def deleted_frames(self, seen: Mapping[int, str]) -> dict[int, DeletedFrames]:
        """The frames that are deleted, of tasks whose date moved; see the port."""
        return self._jobs.deleted_frames(seen)

    def _labels_of(self, data: Mapping[str, Any]) -> list[Any]:
        labels = list(self._project.labels().values())
        strange = {shape["label_id"] for shape in data["shapes"]} - {label.id for label in labels}
        return list(self._project.labels(fresh=True).values()) if strange else labels

    def put_annotations(
        self,
        job_id: int,
        boxes: Mapping[str, Sequence[Box]],
        *,
        stage: Stage | None = None,
        state: State | None = None,
        expected: str | None = None,
    ) -> Job:
        """Replace everything that is drawn on the job; see the port.  Stage and state follow in a second request."""
        check_standing(stage, state)
        row = self._jobs.row(job_id)
        self._jobs.expected(row, expected)
        pictures, _deleted = self._jobs.pictures(row)
        numbers = {picture.name: number for number, picture in pictures.items()}
        wanted = {box.label for rows in boxes.values() for box in rows}
        labels = self._project.labels()
        if not wanted <= labels.keys():
            labels = self._project.labels(fresh=True)
        given = checked_boxes(boxes, numbers, labels, f"job {job_id}")
        shapes = [shape_of(box, numbers[name], labels[box.label]) for name, rows in given.items() for box in rows]
        now = self._jobs.row(job_id)
        self._jobs.expected(now, expected or moment(row["updated_date"]))
        after = self._jobs.replace(now, shapes)
        return self._jobs.seen(self._jobs.update(after, stage=stage, state=state))

    # --- issues and people ----------------------------------------------------------------------------------------

    def issues(self, job_id: int) -> list[Issue]:
        """Remarks on the job, oldest first; of this account's own without another name the author is None."""
        pictures, _deleted = self._jobs.pictures(self._jobs.row(job_id))
        return issues.all_of(self._connection, job_id, pictures)

    def add_issue(
        self,
        job_id: int,
        message: str,
        *,
        author: str | None = None,
        frame_name: str | None = None,
        xywh: tuple[float, float, float, float] | None = None,
        expected: str | None = None,
    ) -> Issue:
        """Add a remark; the account owns it, the author stands in its last line."""
        pictures, _deleted = self._jobs.pictures(self._jobs.row(job_id))
        frame = next((number for number, picture in pictures.items() if picture.name == frame_name), None)
        if frame_name is not None and frame is None:
            raise UsageError(f"job {job_id} has no frame {frame_name!r}", hint=f"dataengine review show {job_id}")

        def check() -> None:
            self._jobs.expected(self._jobs.row(job_id), expected)

        return issues.add(self._connection, job_id, message, pictures, check, author=author, frame=frame, xywh=xywh)

    def link_of(self, job_id: int) -> str:
        """The address of the job; of one that was listed before the server is not asked again."""
        if job_id not in self._tasks_of:
            self._tasks_of[job_id] = self._jobs.row(job_id)["task_id"]
        return f"{self._connection.account.url}/tasks/{self._tasks_of[job_id]}/jobs/{job_id}"

    def me(self) -> str | None:
        """The name of this account."""
        return str(self._connection.me()["username"])

    def people(self) -> list[Person]:
        """Everybody who may be given a job, by name; UsageError where this account may not list them."""
        return self._people.all()

    def add_person(self, name: str, email: str, password: str, role: AccountRole = "annotator") -> Person:
        """Make an account; see :class:`data_engine.ports.Team`."""
        if role == "admin":
            raise UsageError(
                "who administers a CVAT server is said in CVAT",
                hint=f"for this workspace's pages: dataengine team add {name} --email {email} --role admin --pages",
            )
        return self._people.add(name, email, password, role)

    def has_roles(self) -> bool:
        """Only members of an organization have one."""
        return bool(self._connection.account.organization)

    # --- web-hooks and quality ------------------------------------------------------------------------------------

    def register_webhook(self, url: str, secret: str) -> int:
        """Have the server tell an address; see :class:`data_engine.ports.WebhookSource`."""
        project = self._project.number()
        if project is None:
            raise UsageError(
                f"there is no project {self._project.name!r} on {self._connection.account.server} yet",
                hint="run first: dataengine upload",
            )
        return webhooks.register(self._connection, project, url, secret)

    def webhooks(self) -> dict[int, str]:
        """Addresses that the server tells of this project's jobs, by the server's number."""
        project = self._project.number()
        rows = [] if project is None else webhooks.listed(self._connection, project)
        return {row["id"]: row["target_url"] for row in rows}

    def remove_webhook(self, number: int) -> None:
        """Have an address told no more."""
        webhooks.remove(self._connection, number)

    def ground_truth(self, task_id: int, share: float, seed: int) -> int:
        """The task's ground-truth job; see :class:`data_engine.ports.QualitySource`."""
        size = next((task.size for task in self.tasks() if task.id == task_id), None)
        if size is None:
            raise MissingInputError(f"there is no task {task_id}", hint="dataengine review list")
        return quality.ground_truth(self._connection, task_id, size, share, seed)

    def quality(self, task_id: int) -> Mapping[str, Any]:
        """The server's summary; see :class:`data_engine.ports.QualitySource`."""
        return quality.quality(self._connection, task_id)


def _nobody(_text: str) -> None: ...
