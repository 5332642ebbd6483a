"""The names of people that jobs carry, or carried."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import job_changes, jobs


def names(connection: Connection, backend: str) -> set[str]:
    """Everybody who has or had a job of this backend, as it names them."""
    of_backend = sa.select(jobs.c.id).where(jobs.c.backend == backend)
    columns = [jobs.c.assignee, jobs.c.annotator, jobs.c.reviewer]
    queries = [sa.select(column.label("name")).where(jobs.c.backend == backend) for column in columns]
    queries.append(sa.select(job_changes.c.assignee.label("name")).where(job_changes.c.job_id.in_(of_backend)))
    return {name for name in connection.scalars(sa.union(*queries)) if name}
