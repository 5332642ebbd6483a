"""What distinguishes two versions: the rows that hold in one of them only.

Neither version is read whole.  A box's rows begin and end with those of its frame, so frames that differ are found
first, and of those that both hold only the boxes that differ are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.datasets import annotation_of, holds
from data_engine.lineage.tables import accepted, dataset_frames, frames
from data_engine.types import Annotation, Split

Kind = Literal["added", "removed", "changed"]
_BATCH = 500
"""Frames whose boxes are read with one query."""


@dataclass(frozen=True, slots=True)
class FrameStep:
    """A frame that the two versions do not hold alike."""

    frame_id: str
    side_before: Split | None
    """None where the first does not hold it."""
    side_after: Split | None
    before: tuple[Annotation, ...]
    """The boxes that the second does not hold alike."""
    after: tuple[Annotation, ...]
    """The boxes that the first does not hold alike."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the frames that only one version holds is of one camera and side of the split."""

    camera: str
    split: Split
    frames: int
    boxes: int


def steps(connection: Connection, kind: Kind, first: int, second: int) -> Iterator[FrameStep]:
    """The frames that were added, removed or changed from one version to another, with their boxes, by their names.

    Args:
        first: number of the version to go out from; it may be the newer one.
        second: number of the other.
    """
    for chunk in chunks(_frames(connection, kind, first, second), _BATCH):
        ids = [row.frame_id for row in chunk]
        before = {} if kind == "added" else _boxes(connection, ids, first, second)
        after = {} if kind == "removed" else _boxes(connection, ids, second, first)
        for row in chunk:
            boxes = tuple(before.get(row.frame_id, ())), tuple(after.get(row.frame_id, ()))
            yield FrameStep(row.frame_id, row.side_before, row.side_after, *boxes)


Differs = tuple[str, Split | None, Split | None]
"""Id of a frame that two versions do not hold alike, and its sides before and after."""


def differing(connection: Connection, kind: Kind, first: int, second: int) -> list[Differs]:
    """The frames that were added, removed or changed, by their names."""
    return [(row.frame_id, row.side_before, row.side_after) for row in _frames(connection, kind, first, second)]


def steps_of(connection: Connection, differing: Sequence[Differs], first: int, second: int) -> list[FrameStep]:
    """Some of :func:`differing` with their boxes, in their order."""
    before = _boxes(connection, [frame for frame, side, _after in differing if side is not None], first, second)
    after = _boxes(connection, [frame for frame, _before, side in differing if side is not None], second, first)
    return [
        FrameStep(frame, was, now, tuple(before.get(frame, ())), tuple(after.get(frame, ())))
        for frame, was, now in differing
    ]


def shares(connection: Connection, kind: Kind, first: int, second: int) -> list[Share]:
    """How many frames were added or removed, and the boxes on them, by camera and side."""
    held, of_frame = _apart(kind, first, second)
    counted = sa.select(sa.func.count()).select_from(accepted).where(of_frame).correlate(held).scalar_subquery()
    per_frame = (
        sa.select(held.c.frame_id, held.c.split, counted.label("boxes"))
        .where(_only(kind, held, first, second))
        .cte("apart")
        .prefix_with("MATERIALIZED")
    )
    query = (
        sa.select(frames.c.camera, per_frame.c.split, sa.func.count(), sa.func.sum(per_frame.c.boxes))
        .select_from(per_frame.outerjoin(frames, frames.c.id == per_frame.c.frame_id))
        .group_by(frames.c.camera, per_frame.c.split)
    )
    found = [Share(camera, split, count, int(boxes)) for camera, split, count, boxes in connection.execute(query)]
    return sorted(found, key=lambda share: (share.camera, share.split))


def class_shares(connection: Connection, kind: Kind, first: int, second: int) -> dict[int, int]:
    """How many boxes of each class came or went with frames that were added or removed."""
    held, of_frame = _apart(kind, first, second)
    # An outer join keeps the order in which SQLite looks: from the few frames to their boxes.
    query = (
        sa.select(accepted.c.category_id, sa.func.count(accepted.c.category_id))
        .select_from(held.outerjoin(accepted, of_frame))
        .where(_only(kind, held, first, second))
        .group_by(accepted.c.category_id)
    )
    return {category: number for category, number in connection.execute(query) if category is not None}


def accepted_anew(connection: Connection, first: int, second: int) -> int:
    """How many frames hold the same boxes on the same side in both, on the word of another job or acceptance."""
    before, after, both = _both(first, second)
    same = (before.c.content == after.c.content) & (before.c.split == after.c.split)
    return connection.scalar(sa.select(sa.func.count()).select_from(both).where(_moved(after, first), same)) or 0


def _moved(table: Any, number: int) -> sa.ColumnElement[bool]:
    """The rows that are not of version ``number``."""
    found: sa.ColumnElement[bool] = (table.c.since > number) | (table.c.until <= number)
    return found


def _both(first: int, second: int) -> tuple[Any, Any, Any]:
    """The frames that both versions hold: their rows in the first, in the second, and the two joined."""
    before, after = dataset_frames.alias("before"), dataset_frames.alias("after")
    same = (before.c.frame_id == after.c.frame_id) & holds(before, first) & holds(after, second)
    return before, after, after.join(before, same)


def _apart(kind: Kind, first: int, second: int) -> tuple[Any, sa.ColumnElement[bool]]:
    """The rows of frames, and what joins the boxes to those that only one of the versions holds."""
    held = dataset_frames.alias("held")
    return held, (accepted.c.frame_id == held.c.frame_id) & holds(accepted, second if kind == "added" else first)


def _only(kind: Kind, held: Any, first: int, second: int) -> sa.ColumnElement[bool]:
    """Whether the frame of a row is in one of the versions and not in the other."""
    here, there = (second, first) if kind == "added" else (first, second)
    other = dataset_frames.alias("other")
    elsewhere = sa.exists().where(other.c.frame_id == held.c.frame_id, holds(other, there))
    return holds(held, here) & _moved(held, there) & ~elsewhere


def _frames(connection: Connection, kind: Kind, first: int, second: int) -> Iterator[Any]:
    if kind == "changed":
        before, after, both = _both(first, second)
        differ = (before.c.content != after.c.content) | (before.c.split != after.c.split)
        columns = (after.c.frame_id, before.c.split.label("side_before"), after.c.split.label("side_after"))
        found = sa.select(*columns).select_from(both).where(_moved(after, first), differ)
    else:
        held, _boxes = _apart(kind, first, second)
        sides = (sa.null(), held.c.split) if kind == "added" else (held.c.split, sa.null())
        columns = (held.c.frame_id, sides[0].label("side_before"), sides[1].label("side_after"))
        found = sa.select(*columns).where(_only(kind, held, first, second))
    # Found first, then named: else every frame that there is would be asked.
    differing = found.cte("differing").prefix_with("MATERIALIZED")
    name: Any = frames.c.name
    if connection.dialect.name == "postgresql":
        name = sa.collate(name, "C")  # SQLite compares bytes; a server's own order depends on where it was set up
    query = (
        sa.select(differing)
        .select_from(differing.outerjoin(frames, frames.c.id == differing.c.frame_id))
        .order_by(name, frames.c.id)
    )
    yield from connection.execute(query, execution_options={"yield_per": _BATCH})


def _boxes(connection: Connection, frame_ids: Sequence[str], here: int, there: int) -> dict[str, list[Annotation]]:
    """The boxes of these frames that version ``here`` holds and ``there`` does not hold alike."""
    other = accepted.alias("other")
    alike = sa.exists().where(
        other.c.id == accepted.c.id, other.c.category_id == accepted.c.category_id, holds(other, there)
    )
    query = (
        sa.select(accepted)
        .where(holds(accepted, here), _moved(accepted, there), ~alike)
        .order_by(accepted.c.frame_id, accepted.c.id)
    )
    found: dict[str, list[Annotation]] = {}
    for row in rows_where_in(connection, query, accepted.c.frame_id, frame_ids):
        found.setdefault(row.frame_id, []).append(annotation_of(row))
    return found
