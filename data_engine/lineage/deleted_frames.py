"""Frames that somebody deleted on the annotation backend, and the jobs whose frames in the dataset they concern."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, insert_new, rows_where_in
from data_engine.lineage.tables import job_frames, jobs, task_frames, tasks


def looked_at(connection: Connection, task_ids: Iterable[str]) -> dict[str, str]:
    """The backend's date of these tasks when they were last asked for deleted frames; empty for never."""
    query = sa.select(tasks.c.id, tasks.c.frames_at)
    return {row.id: row.frames_at or "" for row in rows_where_in(connection, query, tasks.c.id, task_ids)}


def names(connection: Connection, task_ids: Iterable[str]) -> dict[str, set[str]]:
    """Names of the frames of these tasks that are deleted, by task; tasks without one are left out."""
    query = sa.select(task_frames.c.task_id, task_frames.c.name).where(task_frames.c.deleted)
    found: dict[str, set[str]] = {}
    for row in rows_where_in(connection, query, task_frames.c.task_id, task_ids):
        found.setdefault(row.task_id, set()).add(row.name)
    return found


def record(
    connection: Connection,
    task_id: str,
    deleted: Collection[str],
    of_jobs: Mapping[str, Collection[str]],
    *,
    at: str | None = None,
) -> set[str]:
    """Record which frames of these jobs are deleted now.

    One that was brought back is the job's to give again; one that was deleted stays its own until the next merge, which
    takes it out of the dataset.

    Args:
        task_id: lineage id of the task of all of them.
        deleted: names of frames, at least of all deleted ones of these jobs.
        of_jobs: names of all frames that the jobs were made with, by lineage id.
        at: the backend's date of the task when it was asked; None leaves the one that is known.

    Returns:
        lineage ids of the jobs of which a frame was deleted or brought back since the last time.
    """
    if not deleted and at is None and not names(connection, [task_id]):
        return set()
    query = sa.select(task_frames.c.name, task_frames.c.frame_id, task_frames.c.deleted)
    known = {row.name: row for row in connection.execute(query.where(task_frames.c.task_id == task_id))}
    flipped = {
        job: [known[name] for name in frames if name in known and known[name].deleted != (name in deleted)]
        for job, frames in of_jobs.items()
    }
    changed = [row for rows in flipped.values() for row in rows]
    for gone in (True, False):
        ids = [row.frame_id for row in changed if (row.name in deleted) is gone]
        for chunk in chunks(ids):
            where = (task_frames.c.task_id == task_id) & task_frames.c.frame_id.in_(chunk)
            connection.execute(sa.update(task_frames).where(where).values(deleted=gone))
    back = [
        {"job_id": job, "frame_id": row.frame_id}
        for job, rows in flipped.items()
        for row in rows
        if row.name not in deleted
    ]
    insert_new(connection, job_frames, back)
    if at is not None:
        connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(frames_at=at))
    return {job for job, rows in flipped.items() if rows}


def given(connection: Connection, job_ids: Iterable[str]) -> dict[str, set[str]]:
    """Deleted frames that these jobs still give to the dataset: ids of the frames, by lineage id of the job."""
    if connection.scalar(sa.select(task_frames.c.frame_id).where(task_frames.c.deleted).limit(1)) is None:
        return {}  # as nearly always, and looking through all that the jobs were made with takes its time
    query = (
        sa.select(job_frames.c.job_id, job_frames.c.frame_id)
        .join(jobs, jobs.c.id == job_frames.c.job_id)
        .join(
            task_frames,
            (task_frames.c.task_id == jobs.c.task_id) & (task_frames.c.frame_id == job_frames.c.frame_id),
        )
        .where(task_frames.c.deleted)
    )
    found: dict[str, set[str]] = {}
    for row in rows_where_in(connection, query, job_frames.c.job_id, job_ids):
        found.setdefault(row.job_id, set()).add(row.frame_id)
    return found
