"""``review requeue``: frames of the dataset are looked at again, in a task of their own.

They stay in the dataset as they are meanwhile; what is accepted there takes the place of what they have.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.app.annotation.jobs import look
from data_engine.app.annotation.who import who
from data_engine.app.classes.classes import class_of
from data_engine.app.dataset.dataset_versions import find_version
from data_engine.app.dataset.label_errors import OUTPUT
from data_engine.app.engine import Engine
from data_engine.app.models.models import registered_classes
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.formats.boxes import clipped
from data_engine.lineage import class_boxes, datasets, footage, labelling, requeued, seen_by, uploads
from data_engine.lineage.database import Connection
from data_engine.lineage.requeued import Question
from data_engine.ports import AnnotationBackend
from data_engine.runner import settings_of
from data_engine.stages.export import dataset_name
from data_engine.types import Box, ClassRegistry, Failed, Frame, Report, Task
from data_engine.words import counted, listed

if TYPE_CHECKING:
    from data_engine.formats.label_errors import Finding

STAGE = "requeue"
VERSION = 1
_SHORTEST = 8
"""Digits of a frame's id from which on they are taken for its beginning."""


def requeue(
    engine: Engine,
    *,
    findings: Path | None = None,
    top: int | None = None,
    frames: Sequence[str] = (),
    name: str | None = None,
    reason: str | None = None,
    by: str | None = None,
) -> Report:
    """Make tasks of frames of the newest version, with its boxes to begin from and a remark for each question.

    Frames that are at work already, in whatever task, are not given twice; so the same command again finishes what one
    that was killed began.

    Args:
        findings: what ``dataset errors`` wrote; its usual file by default, unless frames or a class are named.
        top: only the first findings.
        frames: by name, by id or its beginning.
        name: the frames with boxes of this class.
        reason: what is to be looked at; needed with ``frames``.
        by: who asks.

    Raises:
        MissingInputError: no version, no findings, no such frame or class.
        UsageError: frames and findings together, or frames without a reason.
    """
    if (frames or name) and (findings is not None or top is not None):
        raise UsageError("findings are told by --from and --top, or else frames by --frame or --class")
    if frames and not (reason or "").strip():
        raise UsageError("why are these frames to be looked at again?", hint="add --reason '...'")
    find_version(engine)
    backend = engine.backend()
    author = who(engine, backend, by)
    backend.check()
    there = {seen.known.id for seen in look(engine, backend).jobs}
    questions, notes = _questions(engine, findings, top, frames, name, reason)
    with engine.database.read() as connection:
        known = footage.frames_by_id(connection, {question.frame_id for question in questions})
    gone = [frame for frame in known.values() if not engine.storage.exists(frame.key)]
    lost = {frame.id for frame in gone}
    failures = [Failed(frame.key, "the picture is not there") for frame in sorted(gone, key=lambda frame: frame.key)]
    asked = [question for question in questions if question.frame_id not in lost]
    inputs = sorted({question.frame_id for question in asked})
    with engine.runner.run(
        STAGE, VERSION, settings_of({"reason": reason or ""}), inputs=inputs, scope=[backend.name]
    ) as run:
        with engine.database.write() as connection:
            busy = requeued.at_work(connection, inputs, backend=backend.name, there=there)
            fresh = [question for question in asked if question.frame_id not in busy]
            begun = {question.frame_id for question in fresh}
            gone_jobs = requeued.lost(connection, begun, backend=backend.name, there=there)
            _plan(engine, connection, backend.name, run.id, fresh, known)
            engine.runner.finish_input(connection, run, inputs)
        made, missing = _make(engine, backend)
        told = _tell(engine, backend, author)
    if busy:
        where = listed(sorted(set(busy.values())))
        notes.append(f"{counted(len(busy), 'frame')} at work already ({where}): accept and export what is there first")
    if gone_jobs:
        numbers = listed([f"job {number}" for number in sorted(set(gone_jobs.values()))])
        notes.append(f"{counted(len(gone_jobs), 'frame')} asked about once more: {numbers} is gone from {backend.name}")
    return Report(
        title=f"{counted(len(begun), 'frame')} to be looked at again, with {counted(told, 'question')}"
        if made or told
        else "nothing new to be looked at again",
        data={
            "frames": len(begun),
            "frames_at_work_already": len(busy),
            "tasks": len(made),
            "questions": told,
        },
        rows=tuple({"task": task.id, "name": task.name, "frames": task.size} for task in made),
        notes=tuple(notes),
        failures=(*failures, *missing),
        next="dataengine review list",
    )


def _questions(
    engine: Engine,
    findings: Path | None,
    top: int | None,
    frames: Sequence[str],
    name: str | None,
    reason: str | None,
) -> tuple[list[Question], list[str]]:
    if name is not None:
        number = class_of(registered_classes(engine), name)
        with engine.database.read() as connection:
            ids = class_boxes.frames_with(connection, {number})
            boxes = [row for row in seen_by.boxes_on(connection, ids) if row[2] == number]
        why = reason or f"is this a {name}?"
        return [Question(row[1], why, row[3:7]) for row in sorted(boxes, key=lambda row: (row[1], row[0]))], []
    if frames:
        return [Question(frame_id, (reason or "").strip()) for frame_id in _named(engine, frames)], []
    return _found(engine, findings, top, reason)


def _found(
    engine: Engine, findings: Path | None, top: int | None, reason: str | None
) -> tuple[list[Question], list[str]]:
    from data_engine.formats.label_errors import read

    key = engine.require(findings, OUTPUT, hint="run first: dataengine dataset errors")
    file = read(engine.storage.read_bytes(key), name=engine.shown(key))
    with engine.database.read() as connection:
        number = next((one.number for one in datasets.versions(connection) if one.id == file.dataset_id), None)
        if number is None:
            raise ConflictError(
                f"{engine.shown(key)} tells of a dataset that is not this one", hint="dataengine dataset errors"
            )
        frames = requeued.held(connection, as_of=number)
    told = file.findings[:top]
    kept = [one for one in told if one.frame in frames]
    notes = []
    if len(kept) < len(told):
        notes.append(f"{counted(len(told) - len(kept), 'finding')} on frames that have changed since, left out")
    return [Question(one.frame, _message(one, reason), one.where) for one in kept], notes


def _message(finding: Finding, reason: str | None) -> str:
    return f"{reason.strip()}: {finding.question}" if reason and reason.strip() else finding.question


def _named(engine: Engine, names: Iterable[str]) -> list[str]:
    """Ids of the frames of the newest version that go by these names."""
    with engine.database.read() as connection:
        known = footage.frames_by_id(connection, requeued.held(connection))
    by_name: dict[str, list[str]] = {}
    for frame in known.values():
        for called in {frame.name, dataset_name(frame)}:
            by_name.setdefault(called, []).append(frame.id)
    found: dict[str, None] = {}
    for name in names:
        meant = by_name.get(name) or [i for i in known if len(name) >= _SHORTEST and i.startswith(name.lower())]
        if not meant:
            raise MissingInputError(
                f"no frame of the newest version is called {name!r}", hint="see them: dataengine dataset show"
            )
        if len(meant) > 1:
            raise UsageError(
                f"{counted(len(meant), 'frame')} are called {name!r}",
                hint=f"name one by its id: {listed(sorted(meant))}",
            )
        found[meant[0]] = None
    return list(found)


def _plan(
    engine: Engine,
    connection: Connection,
    backend: str,
    run_id: str,
    questions: Sequence[Question],
    known: dict[str, Frame],
) -> None:
    """Record the tasks before any is made, with what is to be asked in them."""
    from data_engine.app.annotation.upload import given_out
    from data_engine.stages import upload as stage

    order = list(dict.fromkeys(question.frame_id for question in questions))
    if not order:
        return
    pictures = [replace(known[frame_id], name=dataset_name(known[frame_id])) for frame_id in order]
    registry = registered_classes(engine)
    boxes: dict[str, list[Box]] = {picture.name: [] for picture in pictures}
    names = {picture.id: picture.name for picture in pictures}
    for identity, frame_id, category, x, y, w, h, crowd in sorted(seen_by.boxes_on(connection, order)):
        box = Box(registry.name_of(category), (x, y, w, h), None, identity, bool(crowd))
        boxes[names[frame_id]].append(box)
    shown = {box.label for rows in boxes.values() for box in rows}
    labels = ClassRegistry(c for c in registry if c.id not in registry.reserved or c.name in shown)
    settings = engine.settings.upload
    specs = stage.plan_tasks(_free_name(connection, backend), pictures, boxes, labels, settings)
    ids = {picture.name: picture.id for picture in pictures}
    for task in given_out(specs, settings.assignee):
        uploads.plan_task(connection, task, backend=backend, run_id=run_id, frame_ids=ids, model_id=None)
        of_task = {ids[frame.name] for frame in task.spec.frames}
        placed = [_inside(q, known[q.frame_id]) for q in questions if q.frame_id in of_task]
        requeued.record(connection, task.spec.uid, placed)
        requeued.keep_models(connection, task.spec.uid)


def _inside(question: Question, frame: Frame) -> Question:
    """The question with its place cut to the frame."""
    if question.xywh is None:
        return question
    return replace(question, xywh=clipped(question.xywh, frame.width, frame.height))


def _free_name(connection: Connection, backend: str) -> str:
    taken = {name.partition(" (")[0] for name in uploads.task_names(connection, backend)}
    return next(name for number in itertools.count(1) if (name := f"Recheck_{number:02d}") not in taken)


def _make(engine: Engine, backend: AnnotationBackend) -> tuple[list[Task], list[Failed]]:
    """Make the planned tasks, also those of a command that was killed."""
    from data_engine.stages import upload as stage

    made: list[Task] = []
    missing: list[Failed] = []
    with engine.database.read() as connection:
        waiting = requeued.pending(connection, backend.name)
    for uid in waiting:
        with engine.database.read() as connection:
            of_task = uploads.planned_task(connection, uid)
        spec = of_task.spec
        (task,) = stage.upload([(spec, of_task.assignees)], backend, engine.progress, frames=len(spec.frames))
        if isinstance(task, Failed):
            missing.append(task)
            continue
        seen = backend.jobs(task.id)
        with engine.database.write() as connection:
            uploads.task_created(connection, uid, task.id)
            labelling.record_jobs(connection, backend.name, uid, seen)
        made.append(task)
    return made, missing


def _tell(engine: Engine, backend: AnnotationBackend, author: str | None) -> int:
    """Put the questions into their jobs as remarks; one that stands there already is not put twice."""
    with engine.database.read() as connection:
        waiting = requeued.untold(connection, backend.name)
    engine.progress.start("telling why", len(waiting), "questions")
    put = 0
    for number, rows in itertools.groupby(waiting, key=lambda row: row.task_number):
        try:
            jobs = {name: job.id for job in backend.jobs(number) for name in job.frame_names}
        except MissingInputError:
            continue  # its task is gone, which other commands tell
        there: dict[int, set[tuple[object, ...]]] = {}
        for row in rows:
            job = jobs.get(row.frame_name)
            if job is not None:
                if job not in there:
                    there[job] = {_said(i.message, i.frame_name, i.xywh) for i in backend.issues(job)}
                question = row.question
                if _said(question.message, row.frame_name, question.xywh) not in there[job]:
                    _ask(backend, job, row, author)
            with engine.database.write() as connection:
                requeued.told(connection, row)
            put += 1
            engine.progress.advance()
    engine.progress.finish()
    return put


def _ask(backend: AnnotationBackend, job: int, row: requeued.Untold, author: str | None) -> None:
    question = row.question
    backend.add_issue(job, question.message, author=author, frame_name=row.frame_name, xywh=question.xywh)


def _said(message: str, frame_name: str | None, xywh: Sequence[float] | None) -> tuple[object, ...]:
    return message, frame_name, None if xywh is None else tuple(round(value) for value in xywh)
