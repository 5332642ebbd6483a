"""An annotation backend of plain files, for teams without a server, for tests and for the demonstration.

The files are listed in :mod:`data_engine.annotation.records`.  What people edit (``annotations.json``) is apart from
what was submitted (``boxes.json``): editing the file changes nothing until it is submitted again.

Whatever happens at the same moment, also a SIGKILL: changes are made one at a time under a lock that ends with its
process; a file is replaced as a whole; a task is built beside the others and appears by one renaming.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from typing import TYPE_CHECKING, get_args

import msgspec

from data_engine.annotation.accounts import FILE as ACCOUNTS
from data_engine.annotation.accounts import Accounts
from data_engine.annotation.coco_file import instructions, read_submission, write_job_file
from data_engine.annotation.local_drafts import Drafts
from data_engine.annotation.local_files import TaskFolder
from data_engine.annotation.records import (
    Boxes,
    FrameRecord,
    JobRecord,
    TaskRecord,
    checked_boxes,
    checked_spec,
    encode,
)
from data_engine.errors import DataEngineError, UnknownPersonError, UsageError
from data_engine.types import (
    AccountRole,
    Box,
    DeletedFrames,
    Draft,
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
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from data_engine.ports import Storage


class LocalBackend:
    """Tasks as files below a prefix; see :class:`data_engine.ports.AnnotationBackend` for the contract.

    Tasks are numbered 1, 2, … and jobs 1, 2, … over all tasks.

    Args:
        storage: must keep its files on a disk of this machine: :class:`data_engine.storage.local.LocalStorage`.
        prefix: the folder of everything.
        clock: the time now, for ``updated_at`` and the dates of issues.
        lock_timeout_s: seconds to wait while another process changes something.
    """

    name = "local"
    edits_files = True
    tasks_at_once = 1

    def __init__(
        self,
        storage: Storage,
        prefix: str = "annotation",
        *,
        clock: Callable[[], datetime],
        lock_timeout_s: float = 60.0,
    ) -> None:
        self._storage = storage
        self._files = TaskFolder(storage, prefix, clock=clock, lock_timeout_s=lock_timeout_s)
        self._drafts = Drafts(self._files)
        self._accounts = Accounts(storage.path(ACCOUNTS))

    # --- tasks ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """A folder needs nobody's leave."""

    def also_known_as(self, elsewhere: Mapping[str, Mapping[int, str]]) -> str | None:  # noqa: ARG002
        """None: a workspace's files have one name."""
        return None

    def create_task(self, spec: TaskSpec) -> Task:
        """Create the task; see the port.  Other names, labels or boxes under a known ``uid`` are not looked at.

        Raises:
            UsageError: no frame, no label, a job size below 1.
            DamagedInputError: frame names that are equal or not plain; boxes with other labels or without area.
            MissingInputError: a picture that is not there.
        """
        checked_spec(spec)
        with self._files.changing():
            tasks = self._files.tasks()
            last_task, last_job = self._files.last_numbers()
            for number, record in tasks.items():
                if record.uid == spec.uid:
                    return _task(number, record)
            number, first = last_task + 1, last_job + 1
            building = self._files.building
            shutil.rmtree(building, ignore_errors=True)  # left by a process that was killed
            try:
                record = self._build(spec, first)
                building.rename(self._files.path(str(number)))
            except BaseException:
                shutil.rmtree(building, ignore_errors=True)
                raise
            self._files.tasks()
            self._files.last_numbers()
            return _task(number, record)

    def _build(self, spec: TaskSpec, first: int) -> TaskRecord:
        parts = [spec.frames[at : at + spec.job_size] for at in range(0, len(spec.frames), spec.job_size)]
        record = TaskRecord(spec.uid, spec.name, spec.labels, len(spec.frames), tuple(range(first, first + len(parts))))
        now, account = self._files.now(), self._accounts.named(spec.assignee) if spec.assignee else None
        # A planned task is made as it was planned, also for somebody who has left.
        assignee = account.name if account else spec.assignee
        for job_id, part in zip(record.jobs, parts, strict=True):
            frames = tuple(FrameRecord(frame.name, frame.width, frame.height) for frame in part)
            boxes = checked_boxes({f.name: f.boxes for f in part}, {f.name for f in part}, spec.labels, spec.name)
            folder = self._files.building_key("jobs", str(job_id))
            job = JobRecord("annotation", "new", assignee, now, frames)
            self._storage.write_bytes(f"{folder}/annotations.json", write_job_file(frames, boxes, spec.labels))
            self._storage.write_bytes(f"{folder}/README.txt", instructions(job_id, spec.labels).encode())
            self._storage.write_bytes(f"{folder}/boxes.json", encode(boxes))
            self._storage.write_bytes(f"{folder}/job.json", encode(job))
            for frame in part:
                self._storage.link(frame.key, self._files.building_key("images", frame.name))
        self._storage.write_bytes(self._files.building_key("task.json"), encode(record))
        return record

    def tasks(self) -> list[Task]:
        """All tasks, by ascending number."""
        return [_task(number, record) for number, record in self._files.tasks().items()]

    def remove_frames(self, task_id: int, names: Collection[str]) -> None:
        """Take pictures out of a task with all that is drawn on them or said of them.

        A job goes with its last picture, a task with its last job.  What is removed already does no harm, and the dates
        of what stays stay.
        """
        with self._files.changing():
            # Here a task is built, and here it goes: of what is half gone nothing is listed.
            going = self._files.building
            shutil.rmtree(going, ignore_errors=True)
            if task_id not in self._files.tasks():
                return
            # The numbers of what goes are not given again.
            self._files.last_numbers()
            record = self._files.known[task_id]
            jobs = {job: self._files.job(job, task_id) for job in record.jobs}
            kept = {job: tuple(f for f in one.frames if f.name not in names) for job, one in jobs.items()}
            remaining = tuple(job for job in record.jobs if kept[job])
            if not remaining:
                self._files.path(str(task_id)).rename(going)
                shutil.rmtree(going)
                return
            for job, one in jobs.items():
                if kept[job]:
                    self._write_without(job, task_id, one, kept[job], names)
            size = sum(map(len, kept.values()))
            # The record before the folders: a job that it does not name is nowhere.
            smaller = msgspec.structs.replace(record, size=size, jobs=remaining)
            self._storage.write_bytes(self._files.key(str(task_id), "task.json"), encode(smaller))
            self._files.known[task_id] = smaller
            for folder in self._files.path(str(task_id), "jobs").iterdir():
                if folder.name not in map(str, remaining):
                    shutil.rmtree(folder)
            for name in names:
                self._storage.delete(self._files.key(str(task_id), "images", name))

    def _write_without(
        self, job_id: int, task_id: int, record: JobRecord, kept: tuple[FrameRecord, ...], names: Collection[str]
    ) -> None:
        boxes = self._files.boxes(job_id, task_id)
        self._files.write_boxes(job_id, task_id, {name: rows for name, rows in boxes.items() if name not in names})
        edited = self._files.job_key(job_id, task_id, "annotations.json")
        try:
            drawn = self.submission(job_id)
        except DataEngineError:
            drawn = boxes  # what cannot be read is not kept
        self._storage.write_bytes(edited, write_job_file(kept, drawn, self._files.known[task_id].labels))
        self._drafts.without(job_id, task_id, names)
        issues = tuple(issue for issue in record.issues if issue.frame_name not in names)
        self._files.write_job(job_id, task_id, msgspec.structs.replace(record, frames=kept, issues=issues))

    # --- jobs -----------------------------------------------------------------------------------------------------

    def jobs(self, task_id: int | None = None) -> list[Job]:
        """All jobs, or those of one task, by ascending number; MissingInputError for an unknown task."""
        chosen = self._files.tasks() if task_id is None else {task_id: self._files.task(task_id)}
        numbers = sorted((job, number) for number, record in chosen.items() for job in record.jobs)
        return [self._files.job(job, number).seen_as(job, number) for job, number in numbers]

    def job(self, job_id: int) -> Job:
        """One job; MissingInputError for an unknown number."""
        task_id = self._files.task_of(job_id)
        return self._files.job(job_id, task_id).seen_as(job_id, task_id)

    def deleted_frames(self, seen: Mapping[int, str]) -> dict[int, DeletedFrames]:  # noqa: ARG002
        """None: a picture that a file does not list has no boxes, and nobody can delete one."""
        return {}

    def update_job(
        self,
        job_id: int,
        *,
        stage: Stage | None = None,
        state: State | None = None,
        assignee: str | None = None,
        expected: str | None = None,
    ) -> Job:
        """Change what is given; see the port.  When that is what the job already has, nothing moves.

        Raises:
            MissingInputError: an unknown number.
            UsageError: a stage or state that does not exist.
            UnknownPersonError: there are accounts, and none of the assignee's.
            ConflictError: the job has changed since ``expected``.
        """
        _check_standing(stage, state)
        assignee = self._name_of(assignee)
        with self._files.changing():
            task_id = self._files.task_of(job_id)
            before = self._files.expected(job_id, task_id, expected)
            after = _changed(before, stage, state)
            if assignee is not None:
                after = msgspec.structs.replace(after, assignee=assignee or None)
            if after != before:
                after = self._files.touched(after)
                self._files.write_job(job_id, task_id, after)
            return after.seen_as(job_id, task_id)

    # --- boxes ----------------------------------------------------------------------------------------------------

    def annotations(self, job_id: int) -> JobContent:
        """The boxes that were last put; see the port.  What is in the file to edit does not count."""
        task_id = self._files.task_of(job_id)
        # Under the lock: whoever read ``updated_at`` before gets boxes that are at least as new.
        with self._files.reading():
            names = self._files.job(job_id, task_id).seen_as(job_id, task_id).frame_names
            boxes = self._files.boxes(job_id, task_id)
        return JobContent({name: boxes.get(name, ()) for name in names})

    def put_annotations(
        self,
        job_id: int,
        boxes: Mapping[str, Sequence[Box]],
        *,
        stage: Stage | None = None,
        state: State | None = None,
        expected: str | None = None,
    ) -> Job:
        """Replace the job's boxes; see the port.  The file to edit follows, unless it says the same already."""
        _check_standing(stage, state)
        with self._files.changing():
            task_id = self._files.task_of(job_id)
            labels = self._files.known[task_id].labels
            before = self._files.expected(job_id, task_id, expected)
            names = {frame.name for frame in before.frames}
            given = checked_boxes(boxes, names, labels, f"job {job_id}")
            complete = {frame.name: given.get(frame.name, ()) for frame in before.frames}
            # The date first: were this killed in between, a reader looks once too often, never once too seldom.
            after = self._files.touched(before)
            self._files.write_job(job_id, task_id, after)
            self._files.write_boxes(job_id, task_id, complete)
            try:
                edited: Boxes | None = self.submission(job_id)
            except DataEngineError:
                edited = None
            if edited != complete:
                file = write_job_file(after.frames, complete, labels)
                self._storage.write_bytes(self._files.job_key(job_id, task_id, "annotations.json"), file)
            # The stage last: were this killed before, nobody would review boxes that are not there yet.
            standing = _changed(after, stage, state)
            if standing != after:
                after = self._files.touched(standing)
                self._files.write_job(job_id, task_id, after)
            return after.seen_as(job_id, task_id)

    def submission(self, job_id: int) -> dict[str, tuple[Box, ...]]:
        """The boxes in the file that people edit, as they are now.

        Raises:
            MissingInputError: an unknown number, or the file was removed.
            DamagedInputError: as :func:`~data_engine.annotation.coco_file.read_submission` says.
        """
        task_id = self._files.task_of(job_id)
        record = self._files.job(job_id, task_id)
        key = self._files.job_key(job_id, task_id, "annotations.json")
        return self.parse_submission(job_id, self._storage.read_bytes(key), name=key, record=record)

    def parse_submission(
        self, job_id: int, data: bytes, *, name: str, record: JobRecord | None = None
    ) -> dict[str, tuple[Box, ...]]:
        """The boxes in a COCO file from elsewhere, checked against the job's frames, their sizes and its labels."""
        task_id = self._files.task_of(job_id)
        record = record or self._files.job(job_id, task_id)
        sizes = {frame.name: (frame.width, frame.height) for frame in record.frames}
        job = record.seen_as(job_id, task_id)
        return read_submission(data, job, self._files.known[task_id].labels, name=name, sizes=sizes)

    # --- drafts ---------------------------------------------------------------------------------------------------

    def draft(self, job_id: int, frame_name: str) -> Draft:
        """A frame as it is being edited; see :class:`data_engine.ports.DraftKeeper`."""
        return self._drafts.read(job_id, frame_name)

    def save_draft(
        self, job_id: int, frame_name: str, boxes: Sequence[Box], *, expected: str, by: str | None = None
    ) -> Draft:
        """Replace a frame's boxes in the file to edit, if they are still those that the caller saw; see the port."""
        return self._drafts.save(job_id, frame_name, boxes, expected=expected, by=by)

    def drawn_by(self, job_id: int) -> set[str]:
        """Everybody who saved a frame of the job last, as far as is known."""
        return self._drafts.drawn_by(job_id)

    def undisturbed(self, job_id: int) -> AbstractContextManager[None]:
        """Nobody saves a draft of the job meanwhile."""
        return self._files.alone_with(job_id)

    # --- issues ---------------------------------------------------------------------------------------------------

    def issues(self, job_id: int) -> list[Issue]:
        """Remarks on the job, oldest first."""
        return list(self._files.job(job_id, self._files.task_of(job_id)).issues)

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
        """Add a remark; numbers run over the remarks of all jobs."""
        with self._files.changing():
            task_id = self._files.task_of(job_id)
            used = (
                issue.id
                for number, task in self._files.tasks().items()
                for job in task.jobs
                for issue in self._files.job(job, number).issues
            )
            number = max(used, default=0) + 1
            record = self._files.expected(job_id, task_id, expected)
            # Never older than the change that it is about, also where the clock stands still.
            created_at = max(self._files.now(), record.updated_at)
            issue = Issue(number, job_id, message, author, created_at, frame_name, xywh)
            self._files.write_job(job_id, task_id, msgspec.structs.replace(record, issues=(*record.issues, issue)))
            return issue

    def link_of(self, job_id: int) -> str:
        """The path of the COCO file to edit."""
        return str(self._storage.path(self._files.job_key(job_id, self._files.task_of(job_id), "annotations.json")))

    # --- people ---------------------------------------------------------------------------------------------------

    def me(self) -> str | None:
        """Nobody: whoever types the commands says in whose name."""
        return None

    def people(self) -> list[Person]:
        """Those with an account for the pages, by name; where nobody has one, every name is taken."""
        found = (Person(account.id, account.name, account.email, account.role) for account in self._accounts.all())
        return sorted(found, key=lambda person: person.name)

    def has_roles(self) -> bool:
        """On the pages everybody has one."""
        return True

    def add_person(self, name: str, email: str, password: str, role: AccountRole = "annotator") -> Person:
        """Make an account for the pages; see :class:`data_engine.ports.Team`."""
        made = self._accounts.add(name, email, password, role)
        return Person(made.id, made.name, made.email, made.role)

    def _name_of(self, given: str | None) -> str | None:
        """The name of who is meant by a name or e-mail; UnknownPersonError where there are accounts, but not theirs."""
        if not given or not self._accounts.all():
            return given
        account = self._accounts.named(given)
        if account is None:
            raise UnknownPersonError(
                f"nobody has an account as {given!r}", hint="see who there is: dataengine team list"
            )
        return account.name


def _task(number: int, record: TaskRecord) -> Task:
    return Task(number, record.name, record.size, record.uid)


def _check_standing(stage: Stage | None, state: State | None) -> None:
    for what, value, known in (("stage", stage, get_args(Stage)), ("state", state, get_args(State))):
        if value is not None and value not in known:
            raise UsageError(f"there is no {what} {value!r}: it is one of {', '.join(known)}")


def _changed(record: JobRecord, stage: Stage | None, state: State | None) -> JobRecord:
    """The record in the given stage and state; a new stage without a state begins in ``new``."""
    if stage is not None and stage != record.stage and state is None:
        state = "new"
    return msgspec.structs.replace(record, stage=stage or record.stage, state=state or record.state)
