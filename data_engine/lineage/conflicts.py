"""Frames of which two accepted jobs said something else, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new
from data_engine.lineage.tables import dataset_frames, frames, jobs, merge_conflicts


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
    """What there was between them, a word a box."""
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


def of_frame(connection: Connection, frame_id: str) -> list[Recorded]:
    """What ever was between jobs about a frame, oldest first."""
    query = sa.select(merge_conflicts).where(merge_conflicts.c.frame_id == frame_id)
    rows = connection.execute(query.order_by(merge_conflicts.c.version, merge_conflicts.c.id))
    return [Recorded(**row._mapping) for row in rows]


def open_ones(connection: Connection) -> list[dict[str, Any]]:
    """The frames that were kept as they were for somebody to look at, and that nothing changed since.

    Returns:
        frame (name), frame_id, version, job and other_job (numbers on their backends), kinds; oldest first.
    """
    one, other = jobs.alias(), jobs.alias()
    now = (dataset_frames.c.frame_id == merge_conflicts.c.frame_id) & dataset_frames.c.until.is_(None)
    query = (
        sa.select(
            frames.c.name.label("frame"),
            merge_conflicts.c.frame_id,
            merge_conflicts.c.version,
            one.c.number.label("job"),
            other.c.number.label("other_job"),
            merge_conflicts.c.kinds,
        )
        .join(frames, frames.c.id == merge_conflicts.c.frame_id)
        .join(dataset_frames, now)
        .join(one, one.c.id == merge_conflicts.c.job_id)
        .join(other, other.c.id == merge_conflicts.c.other_job_id)
        .where(merge_conflicts.c.policy == "both", dataset_frames.c.since <= merge_conflicts.c.version)
        .order_by(merge_conflicts.c.version, frames.c.name)
    )
    return [dict(row._mapping) for row in connection.execute(query)]
