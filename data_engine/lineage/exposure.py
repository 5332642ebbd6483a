"""Which models were trained on what a camera, a video, a frame or a person gave, on which side of the split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import (
    accepted,
    dataset_frames,
    dataset_versions,
    frames,
    job_changes,
    jobs,
    models,
    reviews,
)

Source = Literal["camera", "video", "frame", "person"]


@dataclass(slots=True)
class Exposure:
    """What one model saw of a source."""

    model_id: str
    kind: str
    key: str
    """Storage key of its weights."""
    registered_at: str
    parent_id: str | None
    version: int | None
    """Number of the dataset version it was trained on; None for data from elsewhere."""
    frames: dict[str, int] = field(default_factory=dict)
    """By side of the split."""
    boxes: dict[str, int] = field(default_factory=dict)
    """By side of the split."""


def exposures(connection: Connection, source: Source, key: str) -> list[Exposure]:
    """Every model that was trained here, with what its version holds of the source; in order of registration.

    Args:
        source: what ``key`` is the name (of a camera, a person) or the id (of a video, a frame) of.
    """
    seen_frames, seen_boxes = _frames(connection, source, key), _boxes(connection, source, key)
    query = (
        sa.select(models, dataset_versions.c.number)
        .outerjoin(dataset_versions, models.c.dataset_version_id == dataset_versions.c.id)
        .order_by(models.c.registered_at, models.c.id)
    )
    return [
        Exposure(
            row.id,
            row.kind,
            row.key,
            row.registered_at,
            row.parent_id,
            row.number,
            _at(seen_frames, row.number),
            _at(seen_boxes, row.number),
        )
        for row in connection.execute(query)
    ]


def people(connection: Connection) -> set[str]:
    """Everybody who annotated or reviewed."""
    columns = (jobs.c.annotator, jobs.c.reviewer, reviews.c.actor, job_changes.c.assignee)
    return {name for column in columns for name in connection.scalars(sa.select(column).distinct()) if name}


Interval = tuple[int, int | None, str, int]
"""First version, first one that no longer holds it, side, how many."""


def _frames(connection: Connection, source: Source, key: str) -> list[Interval]:
    held = dataset_frames.c
    query = sa.select(held.since, held.until, held.split, sa.func.count().label("number"))
    if source in ("camera", "video"):
        query = query.join(frames, frames.c.id == held.frame_id).where(_of_frame(source, key))
    elif source == "frame":
        query = query.where(held.frame_id == key)
    else:
        by = (jobs.c.annotator == key) | (jobs.c.reviewer == key)
        query = query.join(jobs, jobs.c.id == held.job_id).where(by)
    return _intervals(connection, query.group_by(held.since, held.until, held.split))


def _boxes(connection: Connection, source: Source, key: str) -> list[Interval]:
    held, box = dataset_frames.c, accepted.c
    # A box's row lies within one of its frame's.
    same = (held.frame_id == box.frame_id) & (held.since <= box.since)
    same &= held.until.is_(None) | (held.until > box.since)
    query = sa.select(box.since, box.until, held.split, sa.func.count().label("number")).join(dataset_frames, same)
    if source in ("camera", "video"):
        query = query.join(frames, frames.c.id == box.frame_id).where(_of_frame(source, key))
    elif source == "frame":
        query = query.where(box.frame_id == key)
    else:
        # There is an index by job, and none by person: whoever ever had a hand in it is known of the few jobs.
        query = query.where(box.job_id.in_(_jobs_of(key)), (box.annotator == key) | (box.reviewer == key))
    return _intervals(connection, query.group_by(box.since, box.until, held.split))


def _of_frame(source: Source, key: str) -> sa.ColumnElement[bool]:
    return frames.c.camera == key if source == "camera" else frames.c.video_id == key


def _jobs_of(person: str) -> sa.CompoundSelect[Any]:
    return sa.union(
        sa.select(jobs.c.id).where((jobs.c.annotator == person) | (jobs.c.reviewer == person)),
        sa.select(reviews.c.job_id).where(reviews.c.actor == person),
        sa.select(job_changes.c.job_id).where(job_changes.c.assignee == person),
    )


def _intervals(connection: Connection, query: sa.Select[Any]) -> list[Interval]:
    return [(row.since, row.until, row.split, row.number) for row in connection.execute(query)]


def _at(intervals: Iterable[Interval], version: int | None) -> dict[str, int]:
    counts: dict[str, int] = {}
    for since, until, side, number in intervals:
        if version is not None and since <= version and (until is None or version < until):
            counts[side] = counts.get(side, 0) + number
    return counts
