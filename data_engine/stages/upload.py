"""Stage 4: hand hard frames with their proposals to people, as tasks of a bounded size.

A task's ``uid`` is an id of its content, and a backend makes one task of a uid whatever happens, so an upload that
was killed is simply run again.
"""

from __future__ import annotations

import difflib
from itertools import cycle
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, field_validator

from data_engine.errors import ConflictError, DamagedInputError, MissingInputError, ServiceError, UsageError
from data_engine.stages.base import Spelled, StageSettings
from data_engine.stages.probes import MOST
from data_engine.stages.read_ahead import call_ahead
from data_engine.types import Box, ClassRegistry, Failed, Frame, Task, TaskFrame, TaskSpec, content_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from data_engine.ports import AnnotationBackend, Progress
    from data_engine.types import Job, Person

VERSION = 1


def _share(value: object) -> object:
    """``0.02``, ``"0.02"`` or ``"2 %"`` to ``0.02``."""
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    number = text.removesuffix("%").strip()
    try:
        share = float(number) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= MOST:
        raise ValueError(f"the share of probes is at most {MOST:.0%} (2%, or 0.02)")
    return share


class UploadSettings(StageSettings):
    """How frames become tasks and jobs, and who gets them."""

    task_name: str | None = Field(
        default=None, description="name of the task; where it takes several, (1/3), (2/3) … follow it"
    )
    assignee: tuple[str, ...] = Field(
        default=(), description="who corrects the boxes; give it several times to spread the jobs evenly"
    )
    job_size: int = Field(default=50, ge=1, le=10_000, description="frames a job, the piece that one person works on")
    task_size: int = Field(default=500, ge=1, le=10_000, description="frames a task at most")
    probes: Annotated[float, BeforeValidator(_share), Spelled("SHARE%")] | None = Field(
        default=None,
        description="show boxes that are known to be wrong among the proposals, this share of them (2%), to see "
        "whether people look; those that come back untouched enter no dataset",
    )

    @field_validator("task_name")
    @classmethod
    def _named(cls, name: str | None) -> str | None:
        if name is not None and not name.strip():
            raise ValueError("the name of a task must not be empty")
        return name

    @field_validator("assignee")
    @classmethod
    def _somebody(cls, assignee: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name.strip() for name in assignee):
            raise ValueError("an assignee must not be empty")
        return tuple(dict.fromkeys(assignee))


def plan_tasks(
    name: str,
    frames: Sequence[Frame],
    boxes: Mapping[str, Sequence[Box]],
    registry: ClassRegistry,
    settings: UploadSettings,
) -> Iterator[TaskSpec]:
    """Split frames into tasks of at most ``settings.task_size``, in their order.

    The uid of a task is made of its name, labels, frames, proposals and job size; not of the assignees, so that
    giving the work to somebody else never makes it twice.

    Args:
        name: of the task; with several tasks ``(1/3)`` … is added.
        frames: what to correct; their names must differ.
        boxes: proposals by frame name.
        registry: the classes; their names become the labels.
        settings: sizes and assignees.

    Yields:
        the tasks, each made when it is asked for.

    Raises:
        MissingInputError: no frames.
        UsageError: no classes.
        DamagedInputError: two frames of one name, proposals for a frame that is not there or of an unknown class.
    """
    if not frames:
        raise MissingInputError("there are no frames to upload", hint="run first: dataengine filter")
    if not registry.names:
        raise UsageError("a task needs at least one class to label", hint="name the classes in dataengine.toml")
    names: set[str] = set()
    for frame in frames:
        if frame.name in names:
            raise DamagedInputError(f"two frames are named {frame.name!r}: a box could not tell which is meant")
        names.add(frame.name)
    for frame_name in boxes:
        if frame_name not in names and boxes[frame_name]:
            raise DamagedInputError(
                f"there are proposals for {frame_name!r}, which is not among the {len(frames)} frames to upload"
            )
    return _planned(name, frames, boxes, registry, settings)


def _planned(
    name: str,
    frames: Sequence[Frame],
    boxes: Mapping[str, Sequence[Box]],
    registry: ClassRegistry,
    settings: UploadSettings,
) -> Iterator[TaskSpec]:
    starts = range(0, len(frames), settings.task_size)
    only = settings.assignee[0] if len(settings.assignee) == 1 else None
    for number, start in enumerate(starts, 1):
        part = frames[start : start + settings.task_size]
        title = name if len(starts) == 1 else f"{name} ({number}/{len(starts)})"
        pictures = tuple(
            TaskFrame(frame.name, frame.key, frame.width, frame.height, tuple(boxes.get(frame.name, ())))
            for frame in part
        )
        for picture in pictures:
            strange = next((box.label for box in picture.boxes if box.label not in registry), None)
            if strange is not None:
                known = ", ".join(registry.names)
                raise DamagedInputError(f"{picture.name} has a proposal of {strange!r}: the known classes are {known}")
        uid = _uid(title, registry.names, part, pictures, settings.job_size)
        yield TaskSpec(uid, title, registry.names, pictures, settings.job_size, only)


def _uid(
    title: str, labels: Sequence[str], frames: Sequence[Frame], pictures: Sequence[TaskFrame], job_size: int
) -> str:
    parts: list[str | int] = ["task", title, job_size, len(labels), *labels]
    for frame, picture in zip(frames, pictures, strict=True):
        parts += [frame.id, frame.name, len(picture.boxes)]
        for box in picture.boxes:
            # Of floats, for 1 and 1.0 are the same coordinate.
            numbers = " ".join(repr(float(value)) for value in (*box.xywh, box.score or 0.0))
            parts += [box.label, numbers, box.proposal_id or "", int(box.iscrowd)]
    return content_id(*parts)


def refuse_unknown(people: Sequence[Person], assignees: Sequence[str]) -> None:
    """Notice a name that nobody has before anything is made.

    Args:
        people: everybody who may be given a job; empty where no list is kept, and every name goes.
        assignees: by name or e-mail.

    Raises:
        UsageError: nobody is called so; near names are listed.
    """
    known = [word for person in people for word in (person.name, person.email) if word]
    folded = {word.casefold() for word in known}
    for name in assignees if known else ():
        if name.casefold() not in folded:
            near = difflib.get_close_matches(name, known, n=3)
            raise UsageError(
                f"nobody on the annotation server is called {name!r}",
                hint=f"did you mean {', or '.join(near)}?" if near else "see who is there: dataengine team list",
            )


def upload(
    tasks: Iterable[tuple[TaskSpec, Sequence[str]]], backend: AnnotationBackend, progress: Progress, *, frames: int
) -> Iterator[Task | Failed]:
    """Create the tasks, as many at once as the backend takes, and give their jobs out.

    Safe to run again: tasks that exist are taken as they are, and a job that has an assignee keeps them.

    Args:
        tasks: as of :func:`plan_tasks`, each with the people whom its jobs go to in rotation, beginning with the first;
            without any they go to the task's own assignee.
        backend: where to create them.
        progress: told the frames.
        frames: of all tasks.

    Yields:
        in the order of ``tasks``: the task, or a Failed with its name where a picture of it is not there.

    Raises:
        ServiceError: the backend made a task of another size.
    """

    def make(planned: tuple[TaskSpec, Sequence[str]]) -> tuple[TaskSpec, Sequence[str], Task | Failed]:
        spec, people = planned
        try:
            return spec, people, backend.create_task(spec)
        except MissingInputError as error:
            return spec, people, Failed(f"task {spec.name!r}", error.message)

    progress.start("upload", frames, "frames")
    try:
        for spec, people, task in call_ahead(make, tasks, at_once=backend.tasks_at_once):
            if isinstance(task, Task):
                if task.size != len(spec.frames):
                    raise ServiceError(
                        f"task {task.id} ({task.name}) has {task.size} of {len(spec.frames)} frames",
                        hint="remove it on the annotation server and run: dataengine upload",
                    )
                names = people or (() if spec.assignee is None else (spec.assignee,))
                if names:
                    for job, assignee in zip(backend.jobs(task.id), cycle(names), strict=False):
                        _give(backend, job, assignee)
            progress.advance(len(spec.frames))
            yield task
    finally:
        progress.finish()


def _give(backend: AnnotationBackend, job: Job, assignee: str) -> None:
    """Give the job to somebody, unless it is somebody's by now."""
    while job.assignee is None:
        try:
            backend.update_job(job.id, assignee=assignee, expected=job.updated_at)
            return
        except ConflictError:
            job = backend.job(job.id)
