"""What the two sides of a merge began from, and what of the dataset jobs stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import accepted, dataset_frames
from data_engine.types import BoxRow


def frames_with_boxes_of(connection: Connection, job_ids: Iterable[str]) -> set[str]:
    """The frames of the newest version that hold boxes of these jobs, whichever job they are held by."""
    query = sa.select(accepted.c.frame_id).where(accepted.c.until.is_(None)).distinct()
    return {row.frame_id for row in rows_where_in(connection, query, accepted.c.job_id, job_ids)}


def boxes_now(connection: Connection, number: int, frame_ids: Iterable[str]) -> dict[str, list[BoxRow]]:
    """The boxes of these frames in version ``number``, in order of their ids; frames without any have an empty list."""
    found: dict[str, list[BoxRow]] = {}
    query = sa.select(*(accepted.c[name] for name in BoxRow._fields)).where(holds(accepted, number))
    for chunk in chunks(frame_ids):
        found.update({frame_id: [] for frame_id in chunk})
        for row in connection.execute(query.where(accepted.c.frame_id.in_(chunk))):
            found[row.frame_id].append(BoxRow(*row))
    for rows in found.values():
        rows.sort()
    return found


def given_before(connection: Connection, job_id: str, frame_ids: Collection[str]) -> dict[str, list[BoxRow]]:
    """What a job gave of these frames when they were merged from it last; frames that never were are left out.

    So are those of which the newest version holds nothing of it any more: it was opened again, or reverted, and what it
    says is news once more.
    """
    held = sa.select(dataset_frames.c.frame_id, sa.func.max(dataset_frames.c.since).label("at"))
    held = held.where(dataset_frames.c.job_id == job_id).group_by(dataset_frames.c.frame_id)
    at = {row.frame_id: row.at for row in rows_where_in(connection, held, dataset_frames.c.frame_id, frame_ids)}
    standing = {
        row.frame_id
        for table in (dataset_frames, accepted)
        for row in rows_where_in(
            connection,
            sa.select(table.c.frame_id).where(table.c.until.is_(None), table.c.job_id == job_id).distinct(),
            table.c.frame_id,
            at,
        )
    }
    at = {frame_id: since for frame_id, since in at.items() if frame_id in standing}
    found: dict[str, list[BoxRow]] = {frame_id: [] for frame_id in at}
    query = sa.select(*(accepted.c[name] for name in BoxRow._fields), accepted.c.until)
    query = query.where(accepted.c.job_id == job_id)
    for row in rows_where_in(connection, query, accepted.c.frame_id, at):
        if row.since <= at[row.frame_id] and (row.until is None or row.until > at[row.frame_id]):
            found[row.frame_id].append(BoxRow(*row[:-1]))
    return found
