"""Where people correct boxes, and what a backend may offer besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from data_engine.types import (
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


@runtime_checkable
class Ledger(Protocol):
    """What was done of the creation of tasks on a server, so that nothing is done twice; it outlives the process."""

    def steps(self, uid: str) -> dict[str, str]:
        """The finished steps of a task by name, with what is worth knowing of each (the server's number …)."""
        ...

    def record(self, uid: str, step: str, detail: str = "") -> None:
        """A step is finished; it is on disk when this returns.  Again with another detail replaces it."""
        ...

    def forget(self, uid: str) -> None:
        """What was made is gone from the server: the task begins again."""
        ...

    def numbers(self) -> dict[int, str]:
        """The server's numbers of all tasks that this ledger saw finished, ascending, with their uids."""
        ...

    def frame_names(self, uid: str) -> tuple[str, ...]:
        """The frames of a task in their order; empty when they are not known here."""
        ...

    def labels(self, uid: str) -> tuple[str, ...]:
        """The labels that a task was planned with; empty when they are not known here."""
        ...

    def alone(self, uid: str) -> AbstractContextManager[None]:
        """Wait until no other process, on any machine that shares the ledger, is at this task, and keep it so.

        It ends with the process, also one that is killed.
        """
        ...


@runtime_checkable
class AnnotationBackend(Protocol):
    """Where people correct boxes and accept or reject; shaped like CVAT, whose stage and state names it uses."""

    name: str
    """Of the place, and of the server where there are several: lineage keeps the numbers of each apart."""
    edits_files: bool
    """Whether people correct the boxes in the file of :meth:`link_of`; else at its address, where they say themselves
    that a job is completed or rejected, and ``sync`` acts on it."""
    tasks_at_once: int
    """So many threads may call :meth:`create_task` at once, each with a task of its own."""

    def check(self) -> None:
        """Raise what stands in the way of making tasks here, before any is planned: no server, no right to log in."""
        ...

    def also_known_as(self, elsewhere: Mapping[str, Mapping[int, str]]) -> str | None:
        """Which of these backends is this very place under another name: its address was spelled otherwise.

        Args:
            elsewhere: a few tasks of each, the place's number of a task and its uid.
        """
        ...

    def create_task(self, spec: TaskSpec) -> Task:
        """Create the task with its jobs, pictures and proposals; the same ``spec.uid`` again gives the same task.

        The frames are split, in their order, into jobs of ``spec.job_size``.  Jobs begin in stage ``annotation``,
        state ``new``.
        """
        ...

    def tasks(self) -> list[Task]:
        """All tasks, by ascending number."""
        ...

    def jobs(self, task_id: int | None = None) -> list[Job]:
        """All jobs, or those of one task, by ascending number; MissingInputError for an unknown task."""
        ...

    def job(self, job_id: int) -> Job:
        """One job; MissingInputError for an unknown number."""
        ...

    def update_job(
        self,
        job_id: int,
        *,
        stage: Stage | None = None,
        state: State | None = None,
        assignee: str | None = None,
        expected: str | None = None,
    ) -> Job:
        """Change what is given.  As in CVAT, a new stage without a state resets the state to ``new``.

        Args:
            job_id: its number.
            stage: the new one.
            state: the new one.
            assignee: the new one, by name or e-mail; the empty string takes the job from whoever has it.
            expected: ``updated_at`` of the job that the caller saw and decided by.

        Raises:
            ConflictError: the job has changed since ``expected``; then nothing is changed.
            UnknownPersonError: nobody is called like the assignee; then nothing is changed.
        """
        ...

    def deleted_frames(self, seen: Mapping[int, str]) -> dict[int, DeletedFrames]:
        """The frames that somebody took out of tasks; of these tasks, those that changed since they were asked last.

        Deleting a frame or bringing it back need not move the date of its job.

        Args:
            seen: :attr:`DeletedFrames.at` of the last time by number of the task, empty where there was none.

        Returns:
            by number of the task; those that are as they were, or are gone, are left out.
        """
        ...

    def annotations(self, job_id: int) -> JobContent:
        """What is drawn on the job's frames; boxes on other frames are left out."""
        ...

    def put_annotations(
        self,
        job_id: int,
        boxes: Mapping[str, Sequence[Box]],
        *,
        stage: Stage | None = None,
        state: State | None = None,
        expected: str | None = None,
    ) -> Job:
        """Replace the job's boxes, and its stage and state where they are given.

        Nobody else's change comes between the boxes and the stage, and no reader meets the new stage with old boxes.

        Args:
            job_id: its number.
            boxes: by frame name; frames that are left out have none.
            stage: as of :meth:`update_job`.
            state: as of :meth:`update_job`.
            expected: as of :meth:`update_job`.

        Raises:
            ConflictError: the job has changed since ``expected``; then nothing is changed.
            DamagedInputError: a frame that the job does not have, a label that the task does not have.
        """
        ...

    def issues(self, job_id: int) -> list[Issue]:
        """Remarks on the job, oldest first."""
        ...

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
        """Add a remark.

        Args:
            job_id: number of the job.
            message: for whoever corrects it.
            author: who remarks it, where it is not the account of this program.
            frame_name: the frame that it is about; None is the whole job.
            xywh: the place in that frame, in pixels.
            expected: as of :meth:`update_job`.

        Raises:
            ConflictError: the job has changed since ``expected``; then nothing is remarked.
        """
        ...

    def link_of(self, job_id: int) -> str:
        """Where a person opens the job: an address, or the path of the file to edit."""
        ...

    def me(self) -> str | None:
        """The name of the account that this program works by; None where there are no accounts."""
        ...

    def people(self) -> list[Person]:
        """Everybody who may be given a job, by name; empty where the place keeps no list.

        Raises:
            UsageError: this account may not list them.
        """
        ...


@runtime_checkable
class DraftKeeper(Protocol):
    """A backend that keeps what people are drawing: its :attr:`AnnotationBackend.edits_files` is true.

    What is handed in is what was saved last; nothing that is saved here counts before.
    """

    def draft(self, job_id: int, frame_name: str) -> Draft:
        """A frame's boxes as they are being edited.

        Raises:
            MissingInputError: an unknown number or frame, or the file to edit was removed.
            DamagedInputError: the file to edit holds something else.
        """
        ...

    def save_draft(
        self, job_id: int, frame_name: str, boxes: Sequence[Box], *, expected: str, by: str | None = None
    ) -> Draft:
        """Replace a frame's boxes; on disk when this returns, and never half.

        Boxes are cut to their picture.  Boxes that are there already change nothing, whatever is expected: whoever did
        not hear the answer says it again.

        Args:
            job_id: its number.
            frame_name: one of the job's.
            boxes: all of the frame; their scores, crowd marks and attributes are those of the proposal that they
                name, whatever is given.  One that names none has a score only where there was a box with that one.
            expected: :attr:`Draft.revision` that the caller saw.
            by: who saves; None where that is not known.

        Returns:
            the frame as it is now.

        Raises:
            DraftMovedError: the boxes have changed since ``expected``; then nothing is changed.
            ConflictError: the job is not in stage ``annotation``, or is somebody else's.
            UsageError: a box without area in the picture or with NaN, an unknown label, a proposal that the frame has
                not or that two boxes name.
            MissingInputError: as of :meth:`draft`.
        """
        ...

    def drawn_by(self, job_id: int) -> set[str]:
        """Everybody who saved a frame of the job last, as far as is known."""
        ...

    def undisturbed(self, job_id: int) -> AbstractContextManager[None]:
        """Nobody saves a draft of the job meanwhile: what was read of it is what is handed in.

        Raises:
            MissingInputError: an unknown number.
            ConflictError: somebody has been at it for too long.
        """
        ...
