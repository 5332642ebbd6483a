"""What ``dataset verify`` recomputes: the rows of versions, frame by frame, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import CHUNK, Connection, chunks
from data_engine.lineage.tables import accepted, dataset_frames, frames
from data_engine.types import Split


@dataclass(frozen=True, slots=True)
class FrameSpan:
    """A frame in the versions from ``since`` on, up to and without ``until``; None for every later one."""

    since: int
    until: int | None
    content: str
    """Content id of its boxes, as it was recorded."""


@dataclass(frozen=True, slots=True)
class BoxSpan:
    """A box in the versions from ``since`` on, up to and without ``until``; None for every later one."""

    id: str
    category_id: int
    xywh: tuple[float, float, float, float]
    iscrowd: bool
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class FrameHistory:
    """Everything that versions hold of one frame."""

    frame_id: str
    name: str
    spans: tuple[FrameSpan, ...]
    """In order of ``since``."""
    boxes: tuple[BoxSpan, ...]


def manifest(connection: Connection, number: int) -> dict[str, tuple[str, Split]]:
    """The frames of a version: content id of the boxes and side of the split, by frame id."""
    query = sa.select(dataset_frames.c.frame_id, dataset_frames.c.content, dataset_frames.c.split)
    rows = connection.execute(query.where(_holds(dataset_frames, number)).execution_options(yield_per=10_000))
    return {row.frame_id: (row.content, row.split) for row in rows}


def frame_ids(connection: Connection, number: int | None) -> list[str]:
    """Every frame of a version, or of any, in order of their ids; those that only boxes know among them."""
    known = sa.select(dataset_frames.c.frame_id)
    of_boxes = sa.select(accepted.c.frame_id)
    if number is not None:
        known = known.where(_holds(dataset_frames, number))
        of_boxes = of_boxes.where(_holds(accepted, number))
    return sorted(connection.scalars(sa.union(known, of_boxes)))


def frame_histories(connection: Connection, ids: list[str]) -> Iterator[FrameHistory]:
    """What versions hold of these frames, in their order."""
    for chunk in chunks(ids, CHUNK):
        named = sa.select(frames.c.id, frames.c.name).where(frames.c.id.in_(chunk))
        names = {row.id: row.name for row in connection.execute(named)}
        spans: dict[str, list[FrameSpan]] = {}
        held = sa.select(dataset_frames).where(dataset_frames.c.frame_id.in_(chunk)).order_by(dataset_frames.c.since)
        for row in connection.execute(held):
            spans.setdefault(row.frame_id, []).append(FrameSpan(row.since, row.until, row.content))
        boxes: dict[str, list[BoxSpan]] = {}
        for row in connection.execute(_BOXES.where(accepted.c.frame_id.in_(chunk))):
            boxes.setdefault(row.frame_id, []).append(_span(row))
        for frame_id in chunk:
            yield FrameHistory(
                frame_id, names.get(frame_id, ""), tuple(spans.get(frame_id, ())), tuple(boxes.get(frame_id, ()))
            )


def _span(row: sa.Row[Any]) -> BoxSpan:
    xywh = (row.x, row.y, row.w, row.h)
    return BoxSpan(row.id, row.category_id, xywh, row.iscrowd, row.since, row.until)


_BOXES = sa.select(
    accepted.c.id,
    accepted.c.frame_id,
    accepted.c.category_id,
    accepted.c.x,
    accepted.c.y,
    accepted.c.w,
    accepted.c.h,
    accepted.c.iscrowd,
    accepted.c.since,
    accepted.c.until,
)


def _holds(table: sa.Table, number: int) -> sa.ColumnElement[bool]:
    return (table.c.since <= number) & (table.c.until.is_(None) | (table.c.until > number))
