"""Jobs that wait for a reviewer, as lineage saw them last: by page, without a question to the backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import job_frames, jobs, review_marks, reviews, tasks

Cursor = tuple[str, int]
"""Date and number of the last job of a page."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the waiting jobs are asked for."""

    task: int | None = None
    """Number of their task."""
    annotator: str | None = None
    person: str | None = None
    """Only those that wait for this person or for nobody in particular, and that they did not annotate."""
    said: tuple[str, ...] = ()
    """States that are left out: on a server somebody has decided these, and a sync is to act on it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that was handed in and is not accepted."""

    id: str
    number: int
    task: int
    task_name: str
    stage: str
    state: str
    annotator: str | None
    waits_for: str | None
    """Who is to look at it; None where any reviewer may."""
    updated_at: str
    frames: int = 0
    marked: int = 0
    """Frames that somebody marked."""
    rejected: int = 0
    """How often it went back."""


# Whoever was left with a job that they annotated is not to review it.
_REVIEWER = sa.case((jobs.c.assignee == jobs.c.annotator, None), else_=jobs.c.assignee)


def waiting(
    connection: Connection, backend: str, wanted: Wanted, *, after: Cursor | None = None, limit: int = 50
) -> list[Waiting]:
    """The jobs that waited longest, or those that come after them.

    Args:
        backend: whose jobs.
        wanted: which of them.
        after: the last job of the page before.
        limit: most of them.
    """
    query = (
        sa.select(
            jobs.c.id,
            jobs.c.number,
            tasks.c.number.label("task"),
            tasks.c.name,
            jobs.c.stage,
            jobs.c.state,
            jobs.c.annotator,
            _REVIEWER.label("waits_for"),
            jobs.c.updated_at,
        )
        .join(tasks, tasks.c.id == jobs.c.task_id)
        .where(*_wanted(backend, wanted))
        .order_by(jobs.c.updated_at, jobs.c.number)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(jobs.c.updated_at, jobs.c.number) > sa.tuple_(*map(sa.literal, after)))
    rows = connection.execute(query).all()
    ids = [row.id for row in rows]
    frames = _counts(connection, job_frames, ids)
    marked = _counts(connection, review_marks, ids, review_marks.c.mark != "seen", review_marks.c.frame_id.distinct())
    rejected = _counts(connection, reviews, ids, reviews.c.action == "rejected")
    return [Waiting(*row, frames.get(row.id, 0), marked.get(row.id, 0), rejected.get(row.id, 0)) for row in rows]


def count(connection: Connection, backend: str, wanted: Wanted) -> int:
    """How many jobs wait."""
    query = sa.select(sa.func.count()).select_from(jobs).join(tasks, tasks.c.id == jobs.c.task_id)
    return connection.scalar(query.where(*_wanted(backend, wanted))) or 0


def choices(connection: Connection, backend: str, said: tuple[str, ...]) -> tuple[list[tuple[int, str]], list[str]]:
    """Number and name of the tasks that have jobs waiting, and those who annotated them."""
    query = sa.select(tasks.c.number, tasks.c.name, jobs.c.annotator).join(tasks, tasks.c.id == jobs.c.task_id)
    rows = connection.execute(query.where(*_wanted(backend, Wanted(said=said))).distinct()).all()
    people = {row.annotator for row in rows if row.annotator is not None}
    return sorted({(row.number, row.name) for row in rows}), sorted(people)


def identity(connection: Connection, backend: str, number: int) -> str | None:
    """Lineage's id of a job by its number on the backend; None where it was never seen."""
    return connection.scalar(sa.select(jobs.c.id).where(jobs.c.backend == backend, jobs.c.number == number))


def stands(connection: Connection, job_id: str) -> tuple[str, str, str]:
    """Stage, state and date of a job, as it was seen last."""
    query = sa.select(jobs.c.stage, jobs.c.state, jobs.c.updated_at).where(jobs.c.id == job_id)
    stage, state, updated_at = connection.execute(query).one()
    return stage, state, updated_at


def _wanted(backend: str, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    where = [
        jobs.c.backend == backend,
        tasks.c.number.is_not(None),
        jobs.c.stage.in_(("validation", "acceptance")),
        sa.not_((jobs.c.stage == "acceptance") & (jobs.c.state == "completed")),
    ]
    if wanted.said:
        where.append(jobs.c.state.not_in(wanted.said))
    if wanted.task is not None:
        where.append(tasks.c.number == wanted.task)
    if wanted.annotator is not None:
        where.append(jobs.c.annotator == wanted.annotator)
    if wanted.person is not None:
        where.append(sa.or_(_REVIEWER.is_(None), _REVIEWER.in_((wanted.person,))))
        where.append(sa.or_(jobs.c.annotator.is_(None), jobs.c.annotator != wanted.person))
    return where


def _counts(
    connection: Connection, table: sa.Table, ids: Sequence[str], where: Any = None, what: Any = None
) -> dict[str, int]:
    number = sa.func.count() if what is None else sa.func.count(what)
    query = sa.select(table.c.job_id, number.label("number")).where(table.c.job_id.in_(ids)).group_by(table.c.job_id)
    if where is not None:
        query = query.where(where)
    return {row.job_id: row.number for row in connection.execute(query)}
