"""Frames of the dataset that were sent to review again: why, and whether whoever has the job was told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    job_frames,
    jobs,
    proposals,
    requeued,
    task_frames,
    tasks,
)

Xywh = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be looked at on a frame."""

    frame_id: str
    message: str
    xywh: Xywh | None = None
    """Where, in pixels of the frame; None is all of it."""


@dataclass(frozen=True, slots=True)
class Untold:
    """A question that stands in no job yet."""

    task_id: str
    number: int
    task_number: int
    """The annotation backend's."""
    frame_name: str
    question: Question


def record(connection: Connection, task_id: str, questions: Sequence[Question]) -> None:
    """Record what is to be asked in a task."""
    rows = []
    for number, question in enumerate(questions):
        x, y, w, h = question.xywh or (None,) * 4
        place = {"x": x, "y": y, "w": w, "h": h}
        told = {"frame_id": question.frame_id, "message": question.message, "told": False}
        rows.append({"task_id": task_id, "number": number, **told, **place})
    insert_new(connection, requeued, rows)


def keep_models(connection: Connection, task_id: str) -> None:
    """Boxes that are shown again keep the model that once proposed them."""
    was = sa.select(accepted.c.model_id).where(accepted.c.id == proposals.c.id, accepted.c.until.is_(None))
    of_task = proposals.c.task_id == task_id
    connection.execute(sa.update(proposals).where(of_task).values(model_id=was.limit(1).scalar_subquery()))


def pending(connection: Connection, backend: str) -> list[str]:
    """The tasks of frames sent to review again that are planned and not known to exist, in their order."""
    asked = sa.exists().where(requeued.c.task_id == tasks.c.id)
    query = sa.select(tasks.c.id, tasks.c.plan).where(tasks.c.backend == backend, tasks.c.number.is_(None), asked)
    return [row.id for row in sorted(connection.execute(query), key=lambda row: (row.plan["position"], row.id))]


def untold(connection: Connection, backend: str) -> list[Untold]:
    """The questions of tasks that exist which nobody was told yet, in their order."""
    query = (
        sa.select(requeued, tasks.c.number.label("task_number"), task_frames.c.name)
        .join(tasks, tasks.c.id == requeued.c.task_id)
        .join(
            task_frames,
            (task_frames.c.task_id == requeued.c.task_id) & (task_frames.c.frame_id == requeued.c.frame_id),
        )
        .where(tasks.c.backend == backend, tasks.c.number.is_not(None), requeued.c.told.is_(False))
        .order_by(tasks.c.number, requeued.c.number)
    )
    return [
        Untold(
            row.task_id,
            row.number,
            row.task_number,
            row.name,
            Question(row.frame_id, row.message, None if row.x is None else (row.x, row.y, row.w, row.h)),
        )
        for row in connection.execute(query)
    ]


def told(connection: Connection, question: Untold) -> None:
    """The question stands in its job now."""
    same = (requeued.c.task_id == question.task_id) & (requeued.c.number == question.number)
    connection.execute(sa.update(requeued).where(same).values(told=True))


def at_work(
    connection: Connection, frame_ids: Iterable[str], *, backend: str, there: Collection[str]
) -> dict[str, str]:
    """Those of these frames that are in a task to be made, in a job that is not accepted, or in one to be exported.

    Args:
        connection: to read from.
        frame_ids: the frames.
        backend: the annotation backend that was looked at.
        there: lineage ids of the jobs that it has: of one that is gone nobody will ever hear again.

    Returns:
        what each is in, as people call it, by frame id.
    """
    done = (jobs.c.stage == "acceptance") & (jobs.c.state == "completed") & jobs.c.merged_at.is_not(None)
    frame_ids = list(frame_ids)
    given = sa.select(job_frames.c.frame_id, jobs.c.id, jobs.c.backend, jobs.c.number)
    given = given.join(jobs, jobs.c.id == job_frames.c.job_id).where(~done).order_by(jobs.c.number)
    planned = sa.select(task_frames.c.frame_id, tasks.c.name, tasks.c.backend)
    planned = planned.join(tasks, tasks.c.id == task_frames.c.task_id).where(tasks.c.number.is_(None))
    found: dict[str, str] = {}
    for row in rows_where_in(connection, planned, task_frames.c.frame_id, frame_ids):
        found[row.frame_id] = f"{row.name}, to be made" + _elsewhere(row.backend, backend)
    for row in rows_where_in(connection, given, job_frames.c.frame_id, frame_ids):
        if row.backend != backend or row.id in there:
            found[row.frame_id] = f"job {row.number}" + _elsewhere(row.backend, backend)
    return found


def _elsewhere(backend: str, here: str) -> str:
    return "" if backend == here else f" on {backend}"


def lost(connection: Connection, frame_ids: Iterable[str], *, backend: str, there: Collection[str]) -> dict[str, int]:
    """The frames that are in a job which was not accepted and exported, and is gone: its number, by frame id.

    Args:
        connection: to read from.
        frame_ids: the frames.
        backend: the annotation backend that was looked at.
        there: lineage ids of the jobs that it has.
    """
    query = (
        sa.select(job_frames.c.frame_id, jobs.c.id, jobs.c.number)
        .join(jobs, jobs.c.id == job_frames.c.job_id)
        .join(requeued, (requeued.c.task_id == jobs.c.task_id) & (requeued.c.frame_id == job_frames.c.frame_id))
        .where(jobs.c.backend == backend, jobs.c.merged_at.is_(None))
        .order_by(jobs.c.number)
    )
    rows = rows_where_in(connection, query, job_frames.c.frame_id, frame_ids)
    return {row.frame_id: row.number for row in rows if row.id not in there}


def held(connection: Connection, *, as_of: int | None = None) -> set[str]:
    """Ids of the frames of the newest version; only those that are as version ``as_of`` held them."""
    query = sa.select(dataset_frames.c.frame_id).where(dataset_frames.c.until.is_(None))
    if as_of is not None:
        query = query.where(dataset_frames.c.since <= as_of)
    return set(connection.scalars(query))
