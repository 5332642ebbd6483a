"""The jobs that wait for annotators, page by page, and one job with its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.labelling import KnownJob
from data_engine.lineage.tables import frames, job_frames, jobs, task_frames, tasks


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job that is to be annotated."""

    number: int
    state: str
    task: int
    task_name: str
    frames: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class JobFrame:
    """A frame of a job."""

    id: str
    name: str
    """Inside the task."""
    width: int
    height: int


_TURN: Mapping[str, int] = {"rejected": 0, "in progress": 1}
"""What was sent back is first; what is begun comes before what is not."""


def to_annotate(
    connection: Connection, backend: str, person: str | None, *, after: tuple[int, int] | None = None, limit: int = 50
) -> list[ListedJob]:
    """Jobs in stage ``annotation``, those that were sent back first, then those begun, each by number.

    Args:
        backend: its name.
        person: whose; None is nobody's.
        after: :func:`turn_of` the last one of the page before.
        limit: how many at most.
    """
    turn = sa.case(_TURN, value=jobs.c.state, else_=2)
    size = sa.select(sa.func.count()).where(job_frames.c.job_id == jobs.c.id).scalar_subquery()
    query = (
        sa.select(jobs.c.number, jobs.c.state, tasks.c.number, tasks.c.name, size, jobs.c.updated_at)
        .join(tasks, tasks.c.id == jobs.c.task_id)
        .where(jobs.c.backend == backend, jobs.c.stage == "annotation", jobs.c.assignee.is_not_distinct_from(person))
        .order_by(turn, jobs.c.number)
        .limit(limit)
    )
    if after is not None:
        query = query.where((turn > after[0]) | ((turn == after[0]) & (jobs.c.number > after[1])))
    return [ListedJob(*row) for row in connection.execute(query)]


def turn_of(job: ListedJob) -> tuple[int, int]:
    """Where a job stands in :func:`to_annotate`."""
    return _TURN.get(job.state, 2), job.number


def count_to_annotate(connection: Connection, backend: str, person: str | None) -> int:
    """How many jobs :func:`to_annotate` lists on all pages."""
    mine = jobs.c.assignee.is_not_distinct_from(person)
    query = sa.select(sa.func.count()).where(jobs.c.backend == backend, jobs.c.stage == "annotation", mine)
    return connection.scalar(query) or 0


def handed_in_by(connection: Connection, backend: str, person: str, *, limit: int = 10) -> list[ListedJob]:
    """The jobs that a person annotated and that are on their way or done, newest first; ``state`` is the stage."""
    size = sa.select(sa.func.count()).where(job_frames.c.job_id == jobs.c.id).scalar_subquery()
    state = sa.case(
        ((jobs.c.stage == "acceptance") & (jobs.c.state == "completed"), "accepted"), else_="waits for review"
    )
    query = (
        sa.select(jobs.c.number, state, tasks.c.number, tasks.c.name, size, jobs.c.updated_at)
        .join(tasks, tasks.c.id == jobs.c.task_id)
        .where(jobs.c.backend == backend, jobs.c.stage != "annotation", jobs.c.annotator == person)
        .order_by(jobs.c.updated_at.desc(), jobs.c.number)
        .limit(limit)
    )
    return [ListedJob(*row) for row in connection.execute(query)]


def frames_of(connection: Connection, job: KnownJob) -> Sequence[JobFrame]:
    """The frames of a job in the order of its task, without deleted ones."""
    query = (
        sa.select(frames.c.id, task_frames.c.name, frames.c.width, frames.c.height)
        .select_from(job_frames)
        .join(task_frames, (task_frames.c.frame_id == job_frames.c.frame_id) & (task_frames.c.task_id == job.task_id))
        .join(frames, frames.c.id == job_frames.c.frame_id)
        .where(job_frames.c.job_id == job.id, ~task_frames.c.deleted)
        .order_by(task_frames.c.position)
    )
    return [JobFrame(*row) for row in connection.execute(query)]


def name_in(connection: Connection, job: KnownJob, frame_id: str) -> str | None:
    """What a frame is called in a job; None where the job does not have it."""
    query = (
        sa.select(task_frames.c.name)
        .join(job_frames, job_frames.c.frame_id == task_frames.c.frame_id)
        .where(job_frames.c.job_id == job.id, task_frames.c.task_id == job.task_id, task_frames.c.frame_id == frame_id)
    )
    return connection.scalar(query)
