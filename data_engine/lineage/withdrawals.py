"""What a revert took back of jobs: they give it to the dataset again when they were accepted anew, not before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in, upsert
from data_engine.lineage.tables import acceptances, job_frames, jobs, withdrawals


def record(connection: Connection, frame_ids: Iterable[str], version: int) -> None:
    """Take these frames back from every job that was merged and gave them, as it is accepted now.

    Args:
        version: number of the version that takes them back.
    """
    query = (
        sa.select(job_frames.c.job_id, job_frames.c.frame_id, jobs.c.merged_at)
        .join(jobs, jobs.c.id == job_frames.c.job_id)
        .where(jobs.c.merged_at.is_not(None))
    )
    given = list(rows_where_in(connection, query, job_frames.c.frame_id, frame_ids))
    merged_at = {row.job_id: row.merged_at for row in given}
    stood_by = _accepted_before(connection, merged_at)
    rows = [
        {
            "job_id": row.job_id,
            "frame_id": row.frame_id,
            "acceptance_id": stood_by.get(row.job_id),
            "job_date": row.merged_at,
            "version": version,
        }
        for row in given
    ]
    upsert(connection, withdrawals, rows)


def _accepted_before(connection: Connection, dates: Mapping[str, str]) -> dict[str, str]:
    """The newest acceptance of each of these jobs that is not after its date."""
    found: dict[str, tuple[datetime, str]] = {}
    for row in rows_where_in(connection, sa.select(acceptances), acceptances.c.job_id, dates):
        at = datetime.fromisoformat(row.accepted_at)
        if at <= datetime.fromisoformat(dates[row.job_id]):
            found[row.job_id] = max(found.get(row.job_id, (at, row.id)), (at, row.id))
    return {job: identity for job, (_at, identity) in found.items()}


def by_date(connection: Connection, dates: Mapping[str, str]) -> dict[str, set[str]]:
    """The frames that these jobs do not give while they stand as they did when they were merged last.

    Args:
        dates: ``updated_at`` by lineage id of the job.
    """
    found: dict[str, set[str]] = {}
    for row in rows_where_in(connection, sa.select(withdrawals), withdrawals.c.job_id, dates):
        if row.job_date == dates[row.job_id]:
            found.setdefault(row.job_id, set()).add(row.frame_id)
    return found


def standing(connection: Connection, dates: Mapping[str, str], accepted_as: Mapping[str, str]) -> dict[str, set[str]]:
    """The frames that these jobs do not give, for they were not accepted anew; the others' withdrawals end.

    A date that moved while the acceptance is the same is followed.

    Args:
        dates: ``updated_at`` by lineage id of the job.
        accepted_as: ids of the acceptances that they stand by, by lineage id of the job.
    """
    found: dict[str, set[str]] = {}
    over: set[str] = set()
    moved: set[str] = set()
    for row in rows_where_in(connection, sa.select(withdrawals), withdrawals.c.job_id, dates):
        same_date = row.job_date == dates[row.job_id]
        if same_date or (row.acceptance_id is not None and row.acceptance_id == accepted_as.get(row.job_id)):
            found.setdefault(row.job_id, set()).add(row.frame_id)
            if not same_date:
                moved.add(row.job_id)
        else:
            over.add(row.job_id)
    for chunk in chunks(sorted(over)):
        connection.execute(sa.delete(withdrawals).where(withdrawals.c.job_id.in_(chunk)))
    for job in sorted(moved):
        where = withdrawals.c.job_id == job
        connection.execute(sa.update(withdrawals).where(where).values(job_date=dates[job]))
    return found
