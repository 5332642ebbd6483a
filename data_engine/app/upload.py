"""``upload``: hard frames and proposals -> annotation tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_engine.app.engine import Engine
from data_engine.app.filter import LIST
from data_engine.app.models import naming_classes, registered_classes
from data_engine.app.pictures import frames_in
from data_engine.app.preannotate import OUTPUT as PREANNOTATIONS
from data_engine.errors import DamagedInputError, UsageError
from data_engine.lineage import choices, footage, labelling, models
from data_engine.lineage import probes as lineage_probes
from data_engine.lineage.labelling import PlannedTask
from data_engine.stages.export import dataset_name
from data_engine.types import Box, ClassRegistry, Failed, Frame, Report, Task, TaskSpec, content_id
from data_engine.words import counted

_ID_LENGTH = 32
"""Characters of an id in lineage, as :func:`~data_engine.types.content_id` makes them."""


def upload(engine: Engine, *, frames: Path | None = None, preannotations: Path | None = None) -> Report:
    """Make tasks of the frames that are in none yet, with the proposals to begin from.

    Raises:
        MissingInputError: no frame, or the named pre-annotations are not there.
        UsageError: no class is known; an assignee whom the annotation server does not know.
    """
    from data_engine.stages import probes as watching
    from data_engine.stages import upload as stage

    settings = engine.settings.upload
    registry = registered_classes(engine)
    if not registry:
        raise UsageError(
            "no class is known yet, so nobody could label anything",
            hint=f"name them: {naming_classes(engine, 'person,helmet')}",
        )
    listed, failures = frames_in(engine, frames or Path(engine.shown(LIST)), hint="run first: dataengine filter")
    backend = engine.backend()
    if settings.assignee:
        stage.refuse_unknown(backend.people(), settings.assignee)
    # Only the loop's own walk takes its own proposals; frames that were named come with those that were named.
    if preannotations is not None or frames is None:
        found, model_id, notes = _proposals(engine, preannotations, registry, listed)
    else:
        found, model_id, notes = {}, None, []
    # The frames are the inputs: a killed upload, run again, is the same run whatever it had made by then.
    inputs = [frame.id for frame in listed]
    with engine.runner.run("upload", stage.VERSION, settings, inputs=inputs, scope=[backend.name]) as run:
        # Writers come one after the other: of two uploads at once the second sees what the first one planned.
        with engine.database.write() as connection:
            taken = labelling.frames_in_tasks(connection, backend.name)
            batch = choices.count(connection)["selections"]
            todo = [replace(frame, name=dataset_name(frame)) for frame in listed if frame.id not in taken]
            frame_ids = {frame.name: frame.id for frame in todo}
            proposed = {frame.name: found[frame.name] for frame in todo if frame.name in found}
            name = settings.task_name or f"Batch_{max(batch, 1):02d}"
            probes = watching.plan(
                todo, proposed, registry.names, settings.probes or 0.0, seed=f"{backend.name} {name}"
            )
            proposed.update((at, watching.with_probe(proposed[at], probe)) for at, probe in probes.items())
            specs = stage.plan_tasks(name, todo, proposed, registry, settings) if todo else []
            for planned in _given_out(specs, settings.assignee):
                labelling.plan_task(
                    connection,
                    planned,
                    backend=backend.name,
                    run_id=run.id,
                    frame_ids=frame_ids,
                    model_id=model_id,
                )
                of_task = {frame.name: probes[frame.name] for frame in planned.spec.frames if frame.name in probes}
                lineage_probes.record(connection, planned.spec.uid, of_task, frame_ids=frame_ids, model_id=model_id)
            waiting = labelling.pending(connection, backend.name)
            before = labelling.frames_in_tasks(connection, backend.name, planned=False)
            engine.runner.finish_input(connection, run, [frame_id for frame_id in inputs if frame_id in before])
        made: list[Task] = []
        jobs = boxes = finished = 0
        lost: list[Failed] = []
        new = {spec.uid for spec in specs}
        for planned in waiting:
            (task,) = stage.upload([planned.spec], backend, engine.progress, assignees=planned.assignees)
            if isinstance(task, Failed):
                lost.append(task)
                continue
            seen = backend.jobs(task.id)
            with engine.database.write() as connection:
                uid = planned.spec.uid
                labelling.task_created(connection, uid, task.id)
                labelling.record_jobs(connection, backend.name, uid, seen)
                ids = labelling.frame_names(connection, uid).values()
                engine.runner.finish_input(connection, run, list(ids))
            made.append(task)
            jobs += len(seen)
            boxes += sum(len(frame.boxes) for frame in planned.spec.frames)
            finished += planned.spec.uid not in new
    if lost:
        notes.append(
            f"{counted(len(lost), 'task')} not made for want of a picture, and still planned: bring the picture back "
            "(dataengine sample does, where it came from a video), then: dataengine upload"
        )
    if finished:
        notes.append(f"finished {counted(finished, 'task')} of an upload that was interrupted")
    skipped = len(listed) - len(todo)
    return Report(
        title=_title(made, 0 if finished or lost else skipped),
        data={
            "tasks": len(made),
            "jobs": jobs,
            "frames": sum(task.size for task in made),
            "frames_in_tasks_already": skipped,
            "proposed_boxes": boxes,
            **({"probes": len(probes)} if settings.probes else {}),
        },
        rows=tuple({"task": task.id, "name": task.name, "frames": task.size} for task in made),
        notes=tuple(notes),
        failures=(*failures, *lost),
        next="dataengine review list",
    )


def _title(made: Sequence[Task], skipped: int) -> str:
    if skipped and not made:
        return f"no new task: {counted(skipped, 'frame')} in a task already"
    there = f" ({counted(skipped, 'frame')} in a task already)" if skipped else ""
    return f"{counted(len(made), 'task')} made of {counted(sum(task.size for task in made), 'frame')}{there}"


def _given_out(specs: Sequence[TaskSpec], assignees: Sequence[str]) -> Iterator[PlannedTask]:
    """The tasks with their part of one rotation of the assignees over all jobs."""
    turn = 0
    for position, spec in enumerate(specs):
        first = turn % len(assignees) if assignees else 0
        rotated = (*assignees[first:], *assignees[:first]) if len(assignees) > 1 else ()
        yield PlannedTask(spec, rotated, position)
        turn += math.ceil(len(spec.frames) / spec.job_size)


def _proposals(
    engine: Engine, given: Path | None, registry: ClassRegistry, listed: Sequence[Frame]
) -> tuple[Mapping[str, tuple[Box, ...]], str | None, list[str]]:
    """Proposals by the frames' names in tasks, the model that made them, and remarks."""
    from data_engine.formats.coco import read_coco
    from data_engine.stages.preannotate import from_coco

    if given is None and not engine.storage.exists(PREANNOTATIONS):
        return {}, None, []
    key = engine.require(given, PREANNOTATIONS, hint="run first: dataengine preannotate")
    dataset = read_coco(engine.storage.read_bytes(key), name=engine.shown(key), registry=registry)
    names = {frame.id: dataset_name(frame) for frame in listed}
    # A file from elsewhere knows the picture's own name only.
    by_file = {name: task_name for f in listed for name, task_name in ((f.name, names[f.id]), (names[f.id],) * 2)}
    sizes = {names[frame.id]: (frame.width, frame.height) for frame in listed}
    by_image = from_coco(dataset)
    found: dict[str, tuple[Box, ...]] = {}
    strange: list[tuple[str, str | None]] = []
    used: set[str] = set()
    for image in dataset.images:
        frame_id = image.extra.get("frame_id")
        name = names.get(str(frame_id)) or by_file.get(image.file_name)
        if name is None:
            strange.append((image.file_name, None if frame_id is None else str(frame_id)))
        elif sizes[name] != (image.width, image.height):
            width, height = sizes[name]
            raise DamagedInputError(
                f"{engine.shown(key)}: image {image.file_name!r} is {image.width} x {image.height} pixels there, "
                f"but the frame is {width} x {height}: the boxes would not fit"
            )
        else:
            found[name] = _with_ids(name, by_image[image.file_name], used)
    notes = list(dataset.repairs.sentences)
    if strange:
        ids = [frame_id for _name, frame_id in strange if frame_id is not None]
        with engine.database.read() as connection:
            known = footage.frames_by_id(connection, ids)
        unknown = [name for name, frame_id in strange if frame_id not in known]
        if unknown:
            raise DamagedInputError(
                f"{engine.shown(key)}: image {unknown[0]!r} is not among the frames",
                hint="name the frames it was made of",
            )
        notes.append(f"{counted(len(strange), 'image')} of the pre-annotations not among the frames of this upload")
    model = dataset.info.get("model")
    if model is not None:
        with engine.database.read() as connection:
            if models.by_id(connection, str(model)) is None:
                notes.append(f"the model {model} that made the proposals is not registered here")
                model = None
    return found, None if model is None else str(model), notes


def _with_ids(frame_name: str, boxes: Sequence[Box], used: set[str]) -> tuple[Box, ...]:
    """Proposals with an id each, so that every one can be followed, also those of a file from elsewhere.

    A box without an id, with one that another box of the file carries already (``used``, which grows), or with one that
    is longer than lineage's own gets an id of its content.
    """
    told: list[Box] = []
    for index, box in enumerate(boxes):
        identity = box.proposal_id
        if identity is None or identity in used or len(identity) > _ID_LENGTH:
            identity = content_id("proposal", "file", frame_name, box.label, repr(box.xywh), index)
        used.add(identity)
        told.append(replace(box, proposal_id=identity))
    return tuple(told)
