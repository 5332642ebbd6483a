"""Numbers that tasks had before they were made anew on their backend."""

from __future__ import annotations

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import tasks

_WAS = "was"


def record(connection: Connection, task_id: str) -> None:
    """Remember the number that a task has now; to be called before it gets another."""
    row = connection.execute(sa.select(tasks.c.number, tasks.c.plan).where(tasks.c.id == task_id)).one()
    before = row.plan.get(_WAS, [])
    if row.number is not None and row.number not in before:
        plan = {**row.plan, _WAS: [*before, row.number]}
        connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(plan=plan))


def now(connection: Connection, backend: str, number: int) -> int | None:
    """The present number of the task that once had this one; None where none had."""
    query = sa.select(tasks.c.number, tasks.c.plan).where(tasks.c.backend == backend, tasks.c.number.is_not(None))
    return next((row.number for row in connection.execute(query) if number in row.plan.get(_WAS, ())), None)
