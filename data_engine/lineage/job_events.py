"""What happened to jobs: how they were seen to change, who decided on them, and what was accepted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.ancestry_rows import asked, prepared
from data_engine.lineage.database import Connection
from data_engine.lineage.tables import acceptances, job_changes, reviews


def _event(what: Any, at: sa.Column[Any], who: sa.Column[Any], more: Any, *, named: tuple[str, str]) -> sa.Select[Any]:
    """What happened to jobs, as one of several tables tells it, with the words for who did it and for the rest."""
    who_is, more_is = named
    columns = {"what": what, "at": at, "who": who, "more": more}
    words = (sa.literal(who_is).label("who_is"), sa.literal(more_is).label("more_is"))
    job = who.table.c.job_id
    return prepared(sa.select(job, *(column.label(name) for name, column in columns.items()), *words), job)


_HAPPENED = sa.union_all(
    _event(
        job_changes.c.stage + ", " + job_changes.c.state,
        job_changes.c.at,
        job_changes.c.assignee,
        sa.null(),
        named=("assignee", ""),
    ),
    _event(reviews.c.action, reviews.c.at, reviews.c.actor, reviews.c.reason, named=("by", "reason")),
    _event(
        sa.literal("accepted content"),
        acceptances.c.accepted_at,
        acceptances.c.accepted_by,
        acceptances.c.content,
        named=("by", "content"),
    ),
)


def events(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What happened to these jobs, by their ids, in no order."""
    happened: dict[str, list[dict[str, Any]]] = {}
    for row in asked(connection, _HAPPENED, job_ids):
        said = {name: value for name, value in ((row.who_is, row.who), (row.more_is, row.more)) if value}
        happened.setdefault(row.job_id, []).append({"what": row.what, "at": row.at, **said})
    return happened
