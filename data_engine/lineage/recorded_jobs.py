"""The jobs as they were seen last, without asking the backend that has them."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.labelling import KnownJob
from data_engine.lineage.tables import jobs, tasks


def on_backend(connection: Connection, backend: str) -> list[tuple[int, KnownJob]]:
    """The jobs of everything that was uploaded to a backend, in the order of their numbers: task number, job."""
    columns = [jobs.c[name] for name in KnownJob.__dataclass_fields__]
    query = (
        sa.select(tasks.c.number.label("task"), *columns)
        .join(tasks, tasks.c.id == jobs.c.task_id)
        .where(jobs.c.backend == backend, tasks.c.number.is_not(None))
        .order_by(jobs.c.number)
    )
    return [(row[0], KnownJob(*row[1:])) for row in connection.execute(query)]
