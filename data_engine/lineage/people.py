"""The names of people that jobs carry, or carried, and what they did."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import acceptances, job_changes, jobs, reviews

DONE = {
    "annotated": jobs.c.annotator,
    "reviewed": jobs.c.reviewer,
    "decided on": reviews.c.actor,
    "accepted": acceptances.c.accepted_by,
    "had": job_changes.c.assignee,
}
"""What a person may have done with a job, and where it is recorded."""


def names(connection: Connection, backend: str) -> set[str]:
    """Everybody who has or had a job of this backend, as it names them."""
    of_backend = sa.select(jobs.c.id).where(jobs.c.backend == backend)
    columns = [jobs.c.assignee, jobs.c.annotator, jobs.c.reviewer]
    queries = [sa.select(column.label("name")).where(jobs.c.backend == backend) for column in columns]
    queries.append(sa.select(job_changes.c.assignee.label("name")).where(job_changes.c.job_id.in_(of_backend)))
    return {name for name in connection.scalars(sa.union(*queries)) if name}


def everybody(connection: Connection) -> set[str]:
    """Everybody who had a hand in any job; an import, by whose word its boxes stand, is one of them."""
    return {name for by in DONE.values() for name in connection.scalars(sa.select(by).distinct()) if name}


def work_of(connection: Connection, name: str) -> dict[str, int]:
    """With how many jobs a person did what."""
    counts = {}
    for what, by in DONE.items():
        job = jobs.c.id if by.table is jobs else by.table.c.job_id
        counts[what] = connection.scalar(sa.select(sa.func.count(job.distinct())).where(by == name)) or 0
    return {what: number for what, number in counts.items() if number}
