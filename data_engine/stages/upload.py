"""Stage 4: hand hard frames with their proposals to people, as tasks of a bounded size.

A task's ``uid`` is an id of its content, and a backend makes one task of a uid whatever happens, so an upload that
was killed is simply run again.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from data_engine.errors import DamagedInputError, MissingInputError, ServiceError, UsageError
from data_engine.stages.base import StageSettings
from data_engine.types import Box, ClassRegistry, Failed, Frame, Task, TaskFrame, TaskSpec, content_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from data_engine.ports import AnnotationBackend, Progress

VERSION = 1


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
) -> list[TaskSpec]:
    """Split frames into tasks of at most ``settings.task_size``, in their order.

    The uid of a task is made of its name, labels, frames, proposals and job size; not of the assignees, so that
    giving the work to somebody else never makes it twice.

    Args:
        name: of the task; with several tasks ``(1/3)`` … is added.
        frames: what to correct; their names must differ.
        boxes: proposals by frame name.
        registry: the classes; their names become the labels.
        settings: sizes and assignees.

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
    for frame_name, rows in boxes.items():
        if rows and frame_name not in names:
            raise DamagedInputError(
                f"there are proposals for {frame_name!r}, which is not among the {len(frames)} frames to upload"
            )
        for box in rows:
            if box.label not in registry:
                known = ", ".join(registry.names)
                raise DamagedInputError(f"{frame_name} has a proposal of {box.label!r}: the known classes are {known}")
    parts = [frames[at : at + settings.task_size] for at in range(0, len(frames), settings.task_size)]
    only = settings.assignee[0] if len(settings.assignee) == 1 else None
    specs = []
    for number, part in enumerate(parts, 1):
        title = name if len(parts) == 1 else f"{name} ({number}/{len(parts)})"
        pictures = tuple(
            TaskFrame(frame.name, frame.key, frame.width, frame.height, tuple(boxes.get(frame.name, ())))
            for frame in part
        )
        uid = _uid(title, registry.names, part, pictures, settings.job_size)
        specs.append(TaskSpec(uid, title, registry.names, pictures, settings.job_size, only))
    return specs


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


def upload(
    specs: Sequence[TaskSpec],
    backend: AnnotationBackend,
    progress: Progress,
    *,
    assignees: Sequence[str] = (),
) -> Iterator[Task | Failed]:
    """Create the tasks one after the other and give their jobs out.

    Safe to run again: tasks that exist are taken as they are, and a job that has an assignee keeps them.

    Args:
        specs: tasks of :func:`plan_tasks`; also those that exist already count in the rotation.
        backend: where to create them.
        progress: told the frames.
        assignees: the jobs of ``specs`` go to them in rotation, beginning with the first.

    Yields:
        in the order of ``specs``: the task, or a Failed with its name where a picture of it is not there.

    Raises:
        ServiceError: the backend made a task of another size.
    """
    turn = count()
    progress.start("upload", sum(len(spec.frames) for spec in specs), "frames")
    try:
        for spec in specs:
            try:
                task = backend.create_task(spec)
            except MissingInputError as error:
                yield Failed(f"task {spec.name!r}", error.message)
                progress.advance(len(spec.frames))
                continue
            if task.size != len(spec.frames):
                raise ServiceError(
                    f"task {task.id} ({task.name}) has {task.size} of {len(spec.frames)} frames",
                    hint="remove it on the annotation server and run: dataengine upload",
                )
            if assignees:
                for job in backend.jobs(task.id):
                    assignee = assignees[next(turn) % len(assignees)]
                    if job.assignee is None:
                        backend.update_job(job.id, assignee=assignee)
            progress.advance(task.size)
            yield task
    finally:
        progress.finish()
