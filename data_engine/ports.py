"""What the rooms of the house may ask of one another.

Each Protocol's docstring is its contract; ``tests/contract`` holds one suite a port, run over every implementation.
Labels meet by name on every border, and the caller checks what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, overload, runtime_checkable

from data_engine.types import (
    AccountRole,
    Box,
    DeletedFrames,
    Detections,
    Draft,
    Issue,
    Job,
    JobContent,
    Person,
    Stage,
    State,
    Task,
    TaskSpec,
    TrainedModel,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    UInt8Array = NDArray[np.uint8]

T = TypeVar("T")
R = TypeVar("R")


@runtime_checkable
class Storage(Protocol):
    """Files by key.  A key is relative, ``/``-separated and never climbs (``..`` raises DamagedInputError)."""

    def open(self, key: str) -> BinaryIO:
        """Open for reading; MissingInputError when it is not there."""
        ...

    def read_bytes(self, key: str) -> bytes:
        """The whole file; MissingInputError when it is not there."""
        ...

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write atomically: the full file appears, or nothing.  StorageFullError when the disk is full."""
        ...

    def write_many(self, files: Iterable[tuple[str, bytes]]) -> None:
        """Write many small files, keys with their content, each as :meth:`write_bytes` does.

        All are on the disk when it returns; before that the power may fail and leave a file with nothing in it.
        """
        ...

    def writing(self, key: str) -> AbstractContextManager[Path]:
        """A temporary local path with the key's suffix; it becomes the key atomically when the block ends well."""
        ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int:
        """Bytes; MissingInputError when it is not there."""
        ...

    def stamp(self, key: str) -> str:
        """Changes whenever the file may have (size and time, or an entity tag); MissingInputError without the file."""
        ...

    def delete(self, key: str) -> None:
        """Remove one file; quietly when it is not there."""
        ...

    def list(self, prefix: str, *, unreadable: Callable[[str], None] | None = None) -> Iterator[str]:
        """Keys of the files below a folder, sorted, hidden and temporary ones left out.

        A folder below it that cannot be read raises DamagedInputError, or is passed over and its key told to
        ``unreadable``, where that is given.
        """
        ...

    def link(self, source_key: str, target_key: str) -> None:
        """Make the file appear under a second key: a hard link where the disk allows, else a copy; atomic."""
        ...

    def path(self, key: str) -> Path:
        """A local path with the file's content (a cached copy where the storage is remote)."""
        ...

    def key_of(self, path: Path) -> str:
        """The key of a local path."""
        ...


@runtime_checkable
class Executor(Protocol):
    """Runs one function over many inputs."""

    @overload
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]: ...

    @overload
    def map(
        self, function: Callable[[T, Callable[[int], None]], R], items: Iterable[T], *, advance: Callable[[int], None]
    ) -> Iterator[R]: ...

    def map(self, function: Any, items: Any, *, advance: Any = None) -> Any:
        """Results in the order of the inputs.  The function and inputs are picklable; exceptions propagate.

        Closing the iterator (or an exception in the consumer) stops the workers and leaves no process behind.

        With ``advance``, the function is called with a second argument, ``report``: each ``report(amount)`` in the
        function becomes one ``advance(amount)`` in the calling process, soon, and before the input's result.
        """
        ...


@runtime_checkable
class Progress(Protocol):
    """Told how far long work is.  Never raises, never prints to stdout."""

    def start(self, label: str, total: int | None, unit: str, *, done: int = 0) -> None:
        """Begin one piece of work; one that still runs is ended.

        Args:
            label: what is done: ``sampling``.
            total: how much there is, as far as is known; more may come. None where nothing is known.
            unit: of what, in the plural: ``frames``.
            done: how much of the total was done before this run; it does not count towards the rate.
        """
        ...

    def advance(self, amount: int = 1) -> None: ...

    def note(self, text: str) -> None:
        """A line for people that stays."""
        ...

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture as a detector's model takes it, and how to find back from there."""

    pixels: NDArray[Any]
    """The model's input for this one picture; its layout is the detector's own affair."""
    width: int
    """Pixels of the picture itself."""
    height: int
    gain_xy: tuple[float, float] = (1.0, 1.0)
    """Pixels of the input for one of the picture, where the model answers in those."""
    pad_xy: tuple[int, int] = (0, 0)
    """Pixels of the input left of and above the picture."""


@runtime_checkable
class Detector(Protocol):
    """Finds boxes in pictures."""

    kind: str
    """``rfdetr`` or ``yolo``."""
    class_names: tuple[str, ...]
    """Names of the columns of ``Detections.scores``."""
    device: str
    """What it really runs on: ``CPUExecutionProvider``, ``CUDAExecutionProvider:1``, ``cuda:0``."""

    def prepare(self, image: UInt8Array) -> Prepared:
        """What goes into the model for a ``(height, width, 3)`` uint8 RGB picture of any size.

        Nothing of the model is touched, so threads may prepare pictures while it works on others.
        """
        ...

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        """One result a prepared picture, in order; which others are asked about with it changes none.

        Returns:
            boxes in pixels of the given picture, clipped to it, best score first, at least ``floor`` (0.01) and at
            most 100 a picture.

        Raises:
            DamagedInputError: the model answers with NaN or with other shapes than its kind has.
        """
        ...

    def predict(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """:meth:`prepare`, then :meth:`infer`."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """Learns a detector from a training folder."""

    kind: str

    def train(
        self,
        data: Path,
        output: Path,
        options: Mapping[str, Any],
        *,
        weights: Path | None,
        progress: Progress,
    ) -> TrainedModel:
        """Train and export to ONNX; the same inputs give the same files.

        Killed at any epoch and called again, it goes on from the last checkpoint that it kept in ``output`` and ends
        with the files of an undisturbed training (on a GPU as far as the library repeats itself at all).  Every
        finished epoch is a line of ``metrics.jsonl`` there.  A GPU asked for where there is none is refused before
        anything is written.

        The returned keys are relative to ``output``.  The metrics are empty: the caller measures the exported file.

        Args:
            data: the folder that ``convert`` made for this kind (``yolo/`` or ``rfdetr/``).
            output: a folder of its own for checkpoints and metrics.
            options: the resolved training settings (epochs, batch, image_size, seed …).
            weights: a checkpoint to begin from, or None to learn from scratch; classes of the same name are
                carried over, others begin anew.
        """
        ...

    def published(self, name: str, folder: Path) -> Path | None:
        """The checkpoint that the library publishes under a name, downloaded into ``folder`` if it is not there.

        Returns:
            None where the library publishes none under this name.

        Raises:
            MissingDependencyError: the library is not installed.
            ServiceError: it could not be downloaded.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns pictures into vectors whose distance means likeness."""

    name: str
    """Of the descriptor and its version: vectors under one name can be compared, for they are stored under it."""
    dimension: int
    side: int
    """Pixels a side that it looks at; a picture of twice as many tells it nothing less than the full one."""

    def embed(self, images: Sequence[UInt8Array]) -> NDArray[np.float32]:
        """``(n, dimension)`` float32, each of length 1, of ``(height, width, 3)`` uint8 RGB pictures."""
        ...


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

    def undisturbed(self, job_id: int) -> AbstractContextManager[None]:
        """Nobody saves a draft of the job meanwhile: what was read of it is what is handed in.

        Raises:
            MissingInputError: an unknown number.
            ConflictError: somebody has been at it for too long.
        """
        ...


def frames_of(share: float, size: int) -> int:
    """How many of a task's frames its ground truth is made of; at least one."""
    return min(size, max(1, round(share * size)))


@runtime_checkable
class QualitySource(Protocol):
    """A backend whose server compares jobs with frames that were labelled a second time, unseen: its ground truth."""

    def ground_truth(self, task_id: int, share: float, seed: int) -> int:
        """The task's ground-truth job by its number; where there is none yet, it is made of a share of the frames.

        :meth:`AnnotationBackend.jobs` does not list it, but it is read and changed by its number as others are, and
        its annotations hold the frames that were drawn.

        Args:
            task_id: the task's number.
            share: of its frames, above 0 to 1: :func:`frames_of` them.
            seed: which frames are drawn.

        Raises:
            MissingInputError: no such task.
        """
        ...

    def quality(self, task_id: int) -> Mapping[str, Any]:
        """The server's newest summary: ``precision``, ``recall``, ``accuracy`` (0 to 1, None where undefined) …

        It is computed anew when this is called; empty while the ground truth is not finished.
        """
        ...


@runtime_checkable
class Team(Protocol):
    """A backend that keeps accounts."""

    def has_roles(self) -> bool:
        """Whether accounts have roles here: where they have none, anybody may annotate and review."""
        ...

    def people(self) -> list[Person]:
        """As of :class:`AnnotationBackend`."""
        ...

    def add_person(self, name: str, email: str, password: str, role: AccountRole = "annotator") -> Person:
        """Make an account, with the role where there are any.

        Raises:
            ConflictError: there is such a name or e-mail.
            UsageError: the server does not let this account make others, has no such role, or refuses the name or the
                password; the hint says what to do.
        """
        ...


@runtime_checkable
class WebhookSource(Protocol):
    """A backend whose server tells an address of every change."""

    def register_webhook(self, url: str, secret: str) -> int:
        """Have the server POST what happens to jobs to an address, signed with the secret (HMAC-SHA256).

        The same address again keeps its web-hook and gives it this secret.

        Returns:
            the server's number of the web-hook.

        Raises:
            UsageError: this account may not make one, or the server refuses the address.
        """
        ...
