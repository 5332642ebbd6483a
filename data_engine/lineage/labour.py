"""Who had which jobs, and what was decided on them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import IMPORT, jobs, reviews


@dataclass(frozen=True, slots=True)
class Deed:
    """What a reviewer decided, how often."""

    actor: str
    action: str
    """``accepted`` or ``rejected``."""
    times: int


def annotators(connection: Connection) -> dict[str, str]:
    """Who annotated each job, by the job's id; jobs from elsewhere and of nobody are left out."""
    query = sa.select(jobs.c.id, jobs.c.annotator).where(
        jobs.c.annotator.is_not(None), ~jobs.c.backend.startswith(IMPORT, autoescape=True)
    )
    return {row.id: row.annotator for row in connection.execute(query)}


def reviewers(connection: Connection) -> dict[str, str]:
    """Who reviewed each job, likewise."""
    query = sa.select(jobs.c.id, jobs.c.reviewer).where(
        jobs.c.reviewer.is_not(None), ~jobs.c.backend.startswith(IMPORT, autoescape=True)
    )
    return {row.id: row.reviewer for row in connection.execute(query)}


def deeds(connection: Connection) -> list[Deed]:
    """What reviewers decided, by name."""
    query = (
        sa.select(reviews.c.actor, reviews.c.action, sa.func.count())
        .where(reviews.c.actor.is_not(None), reviews.c.action.in_(("accepted", "rejected")))
        .group_by(reviews.c.actor, reviews.c.action)
        .order_by(reviews.c.actor, reviews.c.action)
    )
    return [Deed(*row) for row in connection.execute(query)]


def rejections(connection: Connection) -> dict[str, int]:
    """How often each job went back, by its id."""
    query = sa.select(reviews.c.job_id, sa.func.count().label("times")).where(reviews.c.action == "rejected")
    return {row.job_id: row.times for row in connection.execute(query.group_by(reviews.c.job_id))}
