"""What is known of a job beside how it stands: since when it stands so, who reviewed it, what of it was accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in, upsert
from data_engine.lineage.labelling import KnownJob
from data_engine.lineage.tables import acceptances, job_changes, reviews


@dataclass(frozen=True, slots=True)
class History:
    """What was seen of one job."""

    since: str | None = None
    """``updated_at`` of the job when it was first seen in its present stage and state."""
    reviewer: str | None = None
    """Who had it in ``validation`` last or decided on it here last, and is not its annotator."""
    accepted_at: str | None = None
    """``updated_at`` of the job when its content was looked at last, and was what had been accepted."""
    accepted_content: str | None = None
    """Content id of its boxes then."""


def histories(connection: Connection, jobs: Sequence[KnownJob]) -> dict[str, History]:
    """The histories of these jobs, by lineage id."""
    ids = [job.id for job in jobs]
    changes: dict[str, list[Any]] = {}
    for row in rows_where_in(connection, sa.select(job_changes), job_changes.c.job_id, ids):
        changes.setdefault(row.job_id, []).append(row)
    decided: dict[str, list[Any]] = {}
    query = sa.select(reviews).where(reviews.c.action != "submitted", reviews.c.actor.is_not(None))
    for row in rows_where_in(connection, query, reviews.c.job_id, ids):
        decided.setdefault(row.job_id, []).append(row)
    rows = rows_where_in(connection, sa.select(acceptances), acceptances.c.job_id, ids)
    held = {row.job_id: (row.at, row.content) for row in rows}
    return {
        job.id: _history(job, changes.get(job.id, []), decided.get(job.id, []), *held.get(job.id, (None, None)))
        for job in jobs
    }


def record_acceptances(connection: Connection, contents: Mapping[str, tuple[str, str]]) -> None:
    """Record what accepted jobs hold: ``updated_at`` and content id, by lineage id."""
    upsert(
        connection,
        acceptances,
        [{"job_id": job, "at": at, "content": content} for job, (at, content) in contents.items()],
    )


def _history(
    job: KnownJob, changes: Sequence[Any], decided: Sequence[Any], accepted_at: str | None, content: str | None
) -> History:
    newest_first = sorted(changes, key=_at, reverse=True)
    same = list(takewhile(lambda row: (row.stage, row.state) == (job.stage, job.state), newest_first))
    had_it = [row.assignee for row in newest_first if row.stage == "validation"]
    had_it += [row.actor for row in sorted(decided, key=_at, reverse=True)]
    return History(
        since=same[-1].at if same else None,
        reviewer=next((name for name in had_it if name not in (None, job.annotator)), None),
        accepted_at=accepted_at,
        accepted_content=content,
    )


def _at(row: Any) -> datetime:
    return datetime.fromisoformat(row.at)
