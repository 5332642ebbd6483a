"""``upload``: hard frames and proposals -> annotation tasks."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.annotation.jobs import look
from data_engine.app.annotation.proposals import FileProposals, proposals_of
from data_engine.app.engine import Engine
from data_engine.app.footage.pictures import frames_in
from data_engine.app.models.models import naming_classes, registered_classes
from data_engine.app.selection.filter_files import LIST
from data_engine.errors import ConflictError, UsageError
from data_engine.lineage import choices, labelling, uploads
from data_engine.lineage import probes as lineage_probes
from data_engine.lineage.database import Connection
from data_engine.lineage.uploads import PlannedTask
from data_engine.ports import AnnotationBackend
from data_engine.stages.export import dataset_name
from data_engine.types import Box, ClassRegistry, Failed, Frame, Probe, Report, Task, TaskSpec, content_id
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.stages.upload import UploadSettings


def upload(
    engine: Engine,
    *,
    frames: Path | None = None,
    preannotations: Path | None = None,
    only: Collection[str] | None = None,
) -> Report:
    """Make tasks of the frames that are in none yet, with the proposals to begin from.

    Args:
        engine: the workspace.
        frames: a list or a folder; the workspace's own list by default.
        preannotations: the proposals; the workspace's own for its own list.
        only: ids of the frames to take, where not all are wanted.

    Raises:
        MissingInputError: no frame, or the named pre-annotations are not there.
        UsageError: no class is known; an assignee whom the annotation server does not know.
    """
    from data_engine.stages import upload as stage

    settings = engine.settings.upload
    everything = registered_classes(engine)
    registry = everything.offered
    if not registry:
        raise UsageError(
            "no class is known yet, so nobody could label anything",
            hint=f"name them: {naming_classes(engine, 'person,helmet')}",
        )
    listed, failures = frames_in(engine, frames or Path(engine.shown(LIST)), hint="run first: dataengine filter")
    if only is not None:
        listed = [frame for frame in listed if frame.id in only]
    backend = engine.backend()
    if settings.assignee:
        stage.refuse_unknown(backend.people(), settings.assignee)
    # Only the loop's own walk takes its own proposals; frames that were named come with those that were named.
    if preannotations is not None or frames is None:
        proposals, model_id, notes = proposals_of(engine, preannotations, everything, listed)
    else:
        proposals, model_id, notes = None, None, []
    # The frames are the inputs: a killed upload, run again, is the same run whatever it had made by then.
    inputs = [frame.id for frame in listed]
    with engine.database.read() as connection:
        there = uploads.frames_in_tasks(connection, backend.name, planned=False)
    if not there.issuperset(inputs):
        # What is planned is made as it was planned; for a server that is none nothing is.
        backend.check()
        _refuse_second_name(engine, backend)
    del there
    with engine.runner.run("upload", stage.VERSION, settings, inputs=inputs, scope=[backend.name]) as run:
        # Writers come one after the other: of two uploads at once the second sees what the first one planned.
        with engine.database.write() as connection:
            taken = uploads.frames_in_tasks(connection, backend.name)
            todo = [replace(frame, name=dataset_name(frame)) for frame in listed if frame.id not in taken]
            skipped = len(listed) - len(todo)
            planned, probes = _plan(engine, connection, backend.name, run.id, todo, proposals, registry, model_id)
            waiting = uploads.pending_ids(connection, backend.name)
            before = uploads.frames_in_tasks(connection, backend.name, planned=False)
            engine.runner.finish_input(connection, run, [frame_id for frame_id in inputs if frame_id in before])
        # A hundred thousand frames and their boxes are in the database now; from here on they come task by task.
        if settings.probes and planned and not probes:
            notes.append(
                "no probe is shown: the frames come without pre-annotations to hide one among (dataengine preannotate)"
                if proposals is None
                else "no probe is shown: no pre-annotation could be made one"
            )
        del listed, todo, taken, before, proposals
        made: list[Task] = []
        jobs = boxes = finished = 0
        otherwise: set[str] = set()
        lost: list[Failed] = []
        with engine.database.read() as connection:
            total = uploads.count_frames(connection, waiting)
        of_tasks: deque[PlannedTask] = deque()

        def planned_tasks() -> Iterator[tuple[TaskSpec, Sequence[str]]]:
            for uid in waiting:
                with engine.database.read() as connection:
                    of_tasks.append(uploads.planned_task(connection, uid))
                yield of_tasks[-1].spec, of_tasks[-1].assignees

        for task in stage.upload(planned_tasks(), backend, engine.progress, frames=total):
            of_task = of_tasks.popleft()
            uid = of_task.spec.uid
            if isinstance(task, Failed):
                lost.append(task)
                continue
            seen = backend.jobs(task.id)
            with engine.database.write() as connection:
                uploads.task_created(connection, uid, task.id)
                labelling.record_jobs(connection, backend.name, uid, seen)
                ids = uploads.frame_names(connection, uid).values()
                engine.runner.finish_input(connection, run, list(ids))
            made.append(task)
            jobs += len(seen)
            boxes += sum(len(frame.boxes) for frame in of_task.spec.frames)
            if uid not in planned:
                finished += 1
                otherwise.update(_otherwise(of_task, settings))
    if skipped:
        # Their task may be gone, which is noted for people.
        look(engine, backend)
    if lost:
        notes.append(
            f"{counted(len(lost), 'task')} not made for want of a picture, and still planned: bring the picture back "
            "(dataengine sample does, where it came from a video), then: dataengine upload"
        )
    if finished:
        as_planned = f", as planned then ({', '.join(sorted(otherwise))})" if otherwise else ""
        notes.append(f"finished {counted(finished, 'task')} of an upload that was interrupted{as_planned}")
    return Report(
        title=_title(made, 0 if finished or lost else skipped),
        data={
            "tasks": len(made),
            "jobs": jobs,
            "frames": sum(task.size for task in made),
            "frames_in_tasks_already": skipped,
            "proposed_boxes": boxes,
            **({"probes": probes} if settings.probes else {}),
        },
        rows=tuple({"task": task.id, "name": task.name, "frames": task.size} for task in made),
        notes=tuple(notes),
        failures=(*failures, *lost),
        next="dataengine review list",
    )


def _refuse_second_name(engine: Engine, backend: AnnotationBackend) -> None:
    """A server whose address is spelled otherwise than before would get every frame a second time."""
    with engine.database.read() as connection:
        elsewhere = uploads.tasks_elsewhere(connection, backend.name)
    name = backend.also_known_as(elsewhere)
    if name is not None:
        place = name.partition(":")[2].partition("/")[0]
        raise ConflictError(
            f"{backend.name} holds the tasks that are recorded for {name}: it is the same server, by another address",
            hint=f'keep the records together: [cvat] known_as = "{place}" in dataengine.toml',
        )


def _plan(
    engine: Engine,
    connection: Connection,
    backend: str,
    run_id: str,
    frames: Sequence[Frame],
    proposals: FileProposals | None,
    registry: ClassRegistry,
    model_id: str | None,
) -> tuple[set[str], int]:
    """Record the tasks that these frames become; their uids, and how many probes are among their proposals."""
    from data_engine.stages import probes as watching
    from data_engine.stages import upload as stage

    if not frames:
        return set(), 0
    settings = engine.settings.upload
    name = settings.task_name or _free_name(connection, backend)
    boxes: Mapping[str, tuple[Box, ...]] = {}
    probes: Mapping[str, Probe] = {}
    if proposals is not None:
        boxes = proposals
        proposals.keep(frame.name for frame in frames)
        probes = watching.plan(frames, boxes, registry.names, settings.probes or 0.0, seed=f"{backend} {name}")
        proposals.show(probes)
    frame_ids = {frame.name: frame.id for frame in frames}
    planned: set[str] = set()
    specs = _own(connection, backend, stage.plan_tasks(name, frames, boxes, registry, settings))
    for task in given_out(specs, settings.assignee):
        uploads.plan_task(connection, task, backend=backend, run_id=run_id, frame_ids=frame_ids, model_id=model_id)
        of_task = {frame.name: probes[frame.name] for frame in task.spec.frames if frame.name in probes}
        lineage_probes.record(connection, task.spec.uid, of_task, frame_ids=frame_ids, model_id=model_id)
        planned.add(task.spec.uid)
    return planned, len(probes)


def _free_name(connection: Connection, backend: str) -> str:
    """``Batch_03`` for the third selection, or the next that no task has: nobody could tell them apart."""
    taken = {name.partition(" (")[0] for name in uploads.task_names(connection, backend)}
    numbers = itertools.count(max(choices.count(connection)["selections"], 1))
    return next(name for number in numbers if (name := f"Batch_{number:02d}") not in taken)


def _own(connection: Connection, backend: str, specs: Iterable[TaskSpec]) -> Iterator[TaskSpec]:
    """The tasks with ids of this backend's own, where another one was given the very same tasks before."""
    for spec in specs:
        taken = uploads.is_elsewhere(connection, spec.uid, backend)
        yield replace(spec, uid=content_id("task", backend, spec.uid)) if taken else spec


def _otherwise(task: PlannedTask, settings: UploadSettings) -> Iterator[str]:
    """In what a task that was planned before differs from what is asked for now."""
    if task.spec.job_size != settings.job_size:
        yield f"jobs of {counted(task.spec.job_size, 'frame')}"
    people = task.assignees or (() if task.spec.assignee is None else (task.spec.assignee,))
    if settings.assignee and set(people) != set(settings.assignee):
        yield f"for {', '.join(sorted(people)) or 'nobody'}"
    if settings.task_name is not None and task.spec.name.partition(" (")[0] != settings.task_name:
        yield f"named {task.spec.name.partition(' (')[0]}"


def _title(made: Sequence[Task], skipped: int) -> str:
    if skipped and not made:
        return f"no new task: {counted(skipped, 'frame')} in a task already"
    there = f" ({counted(skipped, 'frame')} in a task already)" if skipped else ""
    return f"{counted(len(made), 'task')} made of {counted(sum(task.size for task in made), 'frame')}{there}"


def given_out(specs: Iterable[TaskSpec], assignees: Sequence[str]) -> Iterator[PlannedTask]:
    """The tasks with their part of one rotation of the assignees over all jobs."""
    turn = 0
    for position, spec in enumerate(specs):
        first = turn % len(assignees) if assignees else 0
        rotated = (*assignees[first:], *assignees[:first]) if len(assignees) > 1 else ()
        yield PlannedTask(spec, rotated, position)
        turn += math.ceil(len(spec.frames) / spec.job_size)
