"""What is about to be accepted: recorded before the annotation backend is told, and gone once the acceptance is.

A process that is killed in between leaves its intent behind.  Whoever finds the job accepted then knows what it was to
hold, and by whose word, and takes no later edit for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.tables import acceptance_intents
from data_engine.types import content_id


@dataclass(frozen=True, slots=True)
class Intent:
    """An acceptance that was decided on."""

    content: str
    """Content id of the job's boxes, those on deleted frames among them."""
    deleted: tuple[str, ...]
    """Names of its deleted frames."""
    actor: str | None
    """Who accepts; None where that is not known."""
    decided_at: str
    """The backend's date of the decision."""
    seen_at: str
    """``updated_at`` of the job when it held this."""


def record(connection: Connection, job_id: str, intent: Intent) -> str:
    """Record that a job is about to be accepted; the id of the record."""
    row = {
        "job_id": job_id,
        "content": intent.content,
        "deleted": sorted(intent.deleted),
        "actor": intent.actor,
        "decided_at": intent.decided_at,
        "seen_at": intent.seen_at,
    }
    identity = content_id("intent", job_id, intent.content, intent.actor or "", intent.decided_at, intent.seen_at)
    insert_new(connection, acceptance_intents, [{"id": identity, **row}])
    return identity


def withdraw(connection: Connection, identity: str) -> None:
    """Forget one intent: the job was not accepted by it."""
    connection.execute(sa.delete(acceptance_intents).where(acceptance_intents.c.id == identity))


def forget(connection: Connection, job_id: str) -> None:
    """Forget all intents of a job: it is known what became of it."""
    connection.execute(sa.delete(acceptance_intents).where(acceptance_intents.c.job_id == job_id))


def of_jobs(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[Intent]]:
    """The intents of these jobs, by lineage id; most jobs have none."""
    found: dict[str, list[Intent]] = {}
    query = sa.select(acceptance_intents).order_by(acceptance_intents.c.seen_at, acceptance_intents.c.id)
    for row in rows_where_in(connection, query, acceptance_intents.c.job_id, job_ids):
        intent = Intent(row.content, tuple(row.deleted), row.actor, row.decided_at, row.seen_at)
        found.setdefault(row.job_id, []).append(intent)
    return found
