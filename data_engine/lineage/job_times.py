"""When jobs were seen to change, and what was in them when they were done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new
from data_engine.lineage.tables import accepted, dataset_frames, job_changes, job_frames, jobs
from data_engine.types import content_id

if TYPE_CHECKING:
    from data_engine.lineage.labelling import KnownJob


@dataclass(frozen=True, slots=True)
class Change:
    """A job's new stage, state or assignee."""

    job_id: str
    stage: str
    state: str
    assignee: str | None
    annotator: str | None
    """Who annotated the job, as far as it is known by now."""
    at: str
    """ISO 8601, by the backend's clock."""
    reviewer: str | None = None
    """Who reviewed it, likewise."""


def record_changes(connection: Connection, before: Mapping[str, KnownJob], now: Sequence[KnownJob]) -> None:
    """Record which of the jobs have another stage, state or assignee than before, or are new.

    Args:
        before: the jobs as they were known, by id.
        now: as they are known now.
    """
    rows = [
        {
            "id": content_id("job change", job.id, job.stage, job.state, job.assignee or "", job.updated_at),
            "job_id": job.id,
            "stage": job.stage,
            "state": job.state,
            "assignee": job.assignee,
            "at": job.updated_at,
        }
        for job in now
        if job.id not in before or _standing(before[job.id]) != _standing(job)
    ]
    insert_new(connection, job_changes, rows)


def _standing(job: KnownJob) -> tuple[str, str, str | None]:
    return job.stage, job.state, job.assignee


def changes(connection: Connection) -> list[Change]:
    """All changes, by job."""
    query = (
        sa.select(
            job_changes.c.job_id,
            job_changes.c.stage,
            job_changes.c.state,
            job_changes.c.assignee,
            jobs.c.annotator,
            job_changes.c.at,
            jobs.c.reviewer,
        )
        .join(jobs, jobs.c.id == job_changes.c.job_id)
        .order_by(job_changes.c.job_id, job_changes.c.at, job_changes.c.id)
    )
    return [Change(*row) for row in connection.execute(query)]


def stamp(connection: Connection) -> str:
    """Another text when a job changed since."""
    number, last = connection.execute(sa.select(sa.func.count(), sa.func.max(job_changes.c.at))).one()
    return f"{number} {last}"


def contents(connection: Connection) -> dict[str, tuple[int, int]]:
    """Frames and boxes of the jobs whose frames are all in the newest version as these jobs left them, by job id."""
    given = sa.select(job_frames.c.job_id, sa.func.count().label("frames")).group_by(job_frames.c.job_id).subquery()
    held = (
        sa.select(dataset_frames.c.job_id, sa.func.count().label("frames"))
        .where(dataset_frames.c.until.is_(None))
        .group_by(dataset_frames.c.job_id)
        .subquery()
    )
    boxes = (
        sa.select(accepted.c.job_id, sa.func.count().label("boxes"))
        .where(accepted.c.until.is_(None))
        .group_by(accepted.c.job_id)
        .subquery()
    )
    query = (
        sa.select(given.c.job_id, given.c.frames, sa.func.coalesce(boxes.c.boxes, 0).label("boxes"))
        .join(held, (held.c.job_id == given.c.job_id) & (held.c.frames == given.c.frames))
        .outerjoin(boxes, boxes.c.job_id == given.c.job_id)
    )
    return {row.job_id: (row.frames, row.boxes) for row in connection.execute(query)}
