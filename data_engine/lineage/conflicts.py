"""Frames of which two accepted jobs said something else, what was kept, and which of them wait for somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.tables import IMPORT, dataset_frames, jobs, merge_conflicts


@dataclass(frozen=True, slots=True)
class Recorded:
    """One such frame."""

    id: str
    frame_id: str
    version: int
    """The newest version after the merge."""
    job_id: str
    """Whose boxes came back."""
    other_job_id: str
    """Whose boxes were held."""
    kinds: Sequence[str]
    """What there was between them, a word a box; nothing where somebody looked again and said what is held."""
    policy: str
    kept: str
    """``theirs`` for what came back, ``ours`` for what was held."""
    theirs: Sequence[Sequence[Any]]
    """Class, left, top, width, height and crowd mark of every box of that side."""
    ours: Sequence[Sequence[Any]]
    at: str


def record(connection: Connection, found: Sequence[Recorded]) -> None:
    """Keep conflicts; one that is known keeps its first record."""
    insert_new(
        connection,
        merge_conflicts,
        [{name: getattr(one, name) for name in Recorded.__dataclass_fields__} for one in found],
    )


@dataclass(frozen=True, slots=True)
class Open:
    """A frame that was kept as it was for somebody to look at, and of which nobody said anything since."""

    frame_id: str
    version: int
    """The newest version after the merge."""
    job_id: str
    """Whose boxes came back."""
    other_job_id: str
    """Whose boxes are held."""
    kinds: Sequence[str]
    at: str


def of_frames(connection: Connection, frame_ids: Iterable[str]) -> dict[str, list[Recorded]]:
    """What ever was between jobs about these frames, oldest first."""
    found: dict[str, list[Recorded]] = {}
    query = sa.select(merge_conflicts).order_by(merge_conflicts.c.version, merge_conflicts.c.at, merge_conflicts.c.id)
    for row in rows_where_in(connection, query, merge_conflicts.c.frame_id, frame_ids):
        found.setdefault(row.frame_id, []).append(Recorded(**row._mapping))
    return found


def open_ones(connection: Connection) -> list[Open]:
    """The frames that wait for somebody, the oldest first; of each what was between its jobs last.

    One waits while it holds the boxes that it was left with: a side of the split that changed settles nothing, nor does
    a revert to them.  It waits no more when the same boxes were accepted by somebody who looked again.
    """
    then, now = dataset_frames.alias("then"), dataset_frames.alias("now")
    at_that_time = (then.c.since <= merge_conflicts.c.version) & (
        then.c.until.is_(None) | (then.c.until > merge_conflicts.c.version)
    )
    query = (
        sa.select(
            merge_conflicts.c.frame_id,
            merge_conflicts.c.version,
            merge_conflicts.c.job_id,
            merge_conflicts.c.other_job_id,
            merge_conflicts.c.kinds,
            merge_conflicts.c.at,
            (merge_conflicts.c.policy == "both").label("waits"),
        )
        .join(now, (now.c.frame_id == merge_conflicts.c.frame_id) & now.c.until.is_(None))
        .join(then, (then.c.frame_id == merge_conflicts.c.frame_id) & at_that_time)
        .where(then.c.content == now.c.content)
        .order_by(merge_conflicts.c.version, merge_conflicts.c.at, merge_conflicts.c.id)
    )
    last = {row.frame_id: row for row in connection.execute(query)}
    waiting = [row for row in last.values() if row.waits and row.kinds]
    waiting.sort(key=lambda row: (row.version, row.at, row.frame_id))
    return [Open(*(getattr(row, name) for name in Open.__dataclass_fields__)) for row in waiting]


def job_names(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """What people call these jobs, by lineage id: ``job 12``, ``the import of bccd``."""
    query = sa.select(jobs.c.id, jobs.c.backend, jobs.c.number)
    return {
        row.id: f"the import of {row.backend.removeprefix(IMPORT)}"
        if row.backend.startswith(IMPORT)
        else f"job {row.number}"
        for row in rows_where_in(connection, query, jobs.c.id, ids)
    }
