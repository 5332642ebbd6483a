"""What a certificate counts that only the rows of boxes can tell."""

from __future__ import annotations

from collections import Counter
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.tables import accepted, dataset_frames
from data_engine.types import Split

Boxes = Counter[tuple[Split, int]]
"""How many there are, by the side of the split and the class id."""


def boxes(connection: Connection, number: int) -> Boxes:
    """The boxes that version ``number`` holds."""
    # Counted by frame first: so they are read once, in one go, and not frame by frame.
    per_frame = (
        sa.select(accepted.c.frame_id, accepted.c.category_id, sa.func.count().label("boxes"))
        .where(_holds(accepted, number))
        .group_by(accepted.c.frame_id, accepted.c.category_id)
    ).subquery()
    query = (
        sa.select(dataset_frames.c.split, per_frame.c.category_id, sa.func.sum(per_frame.c.boxes))
        .join(per_frame, per_frame.c.frame_id == dataset_frames.c.frame_id)
        .where(_holds(dataset_frames, number))
        .group_by(dataset_frames.c.split, per_frame.c.category_id)
    )
    return _counted(connection, query)


def boxes_after(connection: Connection, number: int, before: Boxes) -> Boxes:
    """The boxes that version ``number`` holds, of those of the version before it and of what it changed."""
    came = _counted(connection, _by_side(accepted.c.since == number, number))
    went = _counted(connection, _by_side(accepted.c.until == number, number - 1))
    return Counter({key: n for key in {*before, *came} if (n := before[key] + came[key] - went[key])})


def trained_on_golden(connection: Connection, number: int, trained: int) -> int:
    """How many golden frames of version ``number`` are on the training side of version ``trained``."""
    golden, training = dataset_frames.alias("golden"), dataset_frames.alias("training")
    query = (
        sa.select(sa.func.count(golden.c.frame_id.distinct()))
        .join(training, training.c.frame_id == golden.c.frame_id)
        .where(_holds(golden, number), golden.c.split == "golden")
        .where(_holds(training, trained), training.c.split == "train")
    )
    return connection.scalar(query) or 0


def _by_side(which: sa.ColumnElement[bool], number: int) -> sa.Select[Any]:
    """These boxes, by the side that their frame is on in version ``number``."""
    return (
        sa.select(dataset_frames.c.split, accepted.c.category_id, sa.func.count())
        .join(dataset_frames, dataset_frames.c.frame_id == accepted.c.frame_id)
        .where(which, _holds(dataset_frames, number))
        .group_by(dataset_frames.c.split, accepted.c.category_id)
    )


def _counted(connection: Connection, query: sa.Select[Any]) -> Boxes:
    return Counter({(side, category): int(found) for side, category, found in connection.execute(query)})


def _holds(table: Any, number: int) -> Any:
    return (table.c.since <= number) & (table.c.until.is_(None) | (table.c.until > number))
