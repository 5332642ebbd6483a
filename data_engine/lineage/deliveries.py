"""What imports gave of frames before, what of it was taken back, and what the dataset never took of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in
from data_engine.lineage.tables import accepted, dataset_frames, merge_conflicts, task_frames, withdrawals
from data_engine.types import BoxRow


def given_before(connection: Connection, job_ids: Sequence[str], frame_ids: Collection[str]) -> dict[str, list[BoxRow]]:
    """What the deliveries of one dataset, by the jobs that they are, gave of these frames when one was merged last.

    A frame that none of them was ever taken from is left out, and one that a revert took back since: what is said of it
    is news once more.  Whatever people made of the boxes since, this is what a next delivery begins from.
    """
    held = sa.select(dataset_frames.c.frame_id, sa.func.max(dataset_frames.c.since).label("at"))
    held = held.where(dataset_frames.c.job_id.in_(job_ids)).group_by(dataset_frames.c.frame_id)
    at = {row.frame_id: row.at for row in rows_where_in(connection, held, dataset_frames.c.frame_id, frame_ids)}
    back = sa.select(withdrawals.c.frame_id, withdrawals.c.version).where(withdrawals.c.job_id.in_(job_ids))
    for row in rows_where_in(connection, back, withdrawals.c.frame_id, at):
        if row.version > at.get(row.frame_id, row.version):
            del at[row.frame_id]
    found: dict[str, list[BoxRow]] = {frame_id: [] for frame_id in at}
    query = sa.select(*(accepted.c[name] for name in BoxRow._fields), accepted.c.until)
    query = query.where(accepted.c.job_id.in_(job_ids))
    for row in rows_where_in(connection, query, accepted.c.frame_id, at):
        if row.since <= at[row.frame_id] and (row.until is None or row.until > at[row.frame_id]):
            found[row.frame_id].append(BoxRow(*row[:-1]))
    return found


def taken_back(connection: Connection, job_id: str) -> set[str]:
    """The frames that a revert took back of an import since it was merged."""
    return set(connection.scalars(sa.select(withdrawals.c.frame_id).where(withdrawals.c.job_id == job_id)))


def kept_out(connection: Connection, job_id: str) -> set[str]:
    """The frames that kept the dataset's boxes against an import when the two were compared last."""
    query = sa.select(merge_conflicts.c.frame_id, merge_conflicts.c.kept, merge_conflicts.c.kinds)
    query = query.where(merge_conflicts.c.job_id == job_id).order_by(merge_conflicts.c.version, merge_conflicts.c.at)
    last = {row.frame_id: row.kept for row in connection.execute(query) if row.kinds}
    return {frame_id for frame_id, kept in last.items() if kept == "ours"}


def deleted(connection: Connection, frame_ids: Collection[str]) -> set[str]:
    """Those of these frames that people deleted in a task: they are in no dataset because somebody said so."""
    query = sa.select(task_frames.c.frame_id).where(task_frames.c.deleted).distinct()
    return {row.frame_id for row in rows_where_in(connection, query, task_frames.c.frame_id, frame_ids)}
