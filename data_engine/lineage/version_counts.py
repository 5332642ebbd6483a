"""What one version holds, counted by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.datasets import holds
from data_engine.lineage.tables import accepted, dataset_frames, frames, models, videos
from data_engine.types import Split

SMALL_PX, LARGE_PX = 32, 96
"""COCO's sizes: a box is small below the area of a square with this side, and large from that of the other on."""


@dataclass(frozen=True, slots=True)
class FrameGroup:
    """Frames that have all of this in common."""

    camera: str
    day: str | None
    """Of the video's first moment, as ``2026-11-20``; None where it is not known."""
    split: Split
    size: tuple[int, int]
    """Width and height of the picture, in pixels."""
    boxes: int
    """On each of them."""
    frames: int


@dataclass(frozen=True, slots=True)
class ClassGroup:
    """Boxes of one class on one side of the split."""

    category_id: int
    split: Split
    frames: int
    """That hold any."""
    boxes: int


@dataclass(frozen=True, slots=True)
class HandGroup:
    """Boxes that the same hands were laid on."""

    annotator: str | None
    reviewer: str | None
    model_id: str | None
    """That proposed them; None for boxes that people drew."""
    change: str
    boxes: int


def frame_groups(connection: Connection, number: int) -> list[FrameGroup]:
    """The frames of a version, grouped."""
    held, boxes = _held(number)
    per_frame = (
        sa.select(held.c.frame_id, held.c.split, sa.func.count(accepted.c.category_id).label("boxes"))
        .select_from(held.outerjoin(accepted, boxes))
        .where(holds(held, number))
        # By both keys, in whose order the rows come anyway.
        .group_by(held.c.frame_id, held.c.since, held.c.split)
        .subquery()
    )
    columns = (
        frames.c.camera,
        sa.func.substr(videos.c.captured_at, 1, 10).label("day"),
        per_frame.c.split,
        frames.c.width,
        frames.c.height,
        per_frame.c.boxes,
    )
    query = (
        sa.select(*columns, sa.func.count().label("number"))
        .select_from(
            per_frame.outerjoin(frames, frames.c.id == per_frame.c.frame_id).outerjoin(
                videos, videos.c.id == frames.c.video_id
            )
        )
        .group_by(*columns)
    )
    return [
        FrameGroup(row.camera, row.day, row.split, (row.width, row.height), row.boxes, row.number)
        for row in connection.execute(query)
    ]


def class_groups(connection: Connection, number: int) -> list[ClassGroup]:
    """The boxes of a version by class and side."""
    held, boxes = _held(number)
    per_frame = (
        sa.select(held.c.split, accepted.c.category_id, sa.func.count(accepted.c.category_id).label("boxes"))
        .select_from(held.outerjoin(accepted, boxes))
        .where(holds(held, number))
        .group_by(held.c.frame_id, held.c.since, accepted.c.category_id, held.c.split)
        .subquery()
    )
    query = (
        sa.select(per_frame.c.category_id, per_frame.c.split, sa.func.count(), sa.func.sum(per_frame.c.boxes))
        .where(per_frame.c.category_id.is_not(None))
        .group_by(per_frame.c.category_id, per_frame.c.split)
        .order_by(per_frame.c.category_id, per_frame.c.split)
    )
    return [
        ClassGroup(category, split, count, int(total)) for category, split, count, total in connection.execute(query)
    ]


def size_counts(connection: Connection, number: int) -> dict[tuple[int, str], int]:
    """Boxes of a version by class and ``small``, ``medium`` or ``large``."""
    area: sa.ColumnElement[float] = accepted.c.w * accepted.c.h
    size = sa.case((area < SMALL_PX**2, "small"), (area < LARGE_PX**2, "medium"), else_="large").label("size")
    query = sa.select(accepted.c.category_id, size, sa.func.count().label("number"))
    found = connection.execute(query.where(holds(accepted, number)).group_by(accepted.c.category_id, size))
    return {(row.category_id, row.size): row.number for row in found}


def hand_groups(connection: Connection, number: int) -> list[HandGroup]:
    """The boxes of a version by the people and the model that had a hand in them."""
    columns = (accepted.c.annotator, accepted.c.reviewer, accepted.c.model_id, accepted.c.change)
    query = sa.select(*columns, sa.func.count().label("number")).where(holds(accepted, number)).group_by(*columns)
    return [HandGroup(*row) for row in connection.execute(query)]


def trained_on(connection: Connection, version_id: str) -> list[tuple[str, str, str]]:
    """Id, kind and storage key of the models that were trained on a version, in the order of their registration."""
    query = sa.select(models.c.id, models.c.kind, models.c.key).where(models.c.dataset_version_id == version_id)
    return [
        (row.id, row.kind, row.key) for row in connection.execute(query.order_by(models.c.registered_at, models.c.id))
    ]


def _held(number: int) -> tuple[Any, sa.ColumnElement[bool]]:
    """The rows of frames, and what joins their boxes to them; an outer join makes SQLite look in this order."""
    held = dataset_frames.alias("held")
    return held, (accepted.c.frame_id == held.c.frame_id) & holds(accepted, number)
