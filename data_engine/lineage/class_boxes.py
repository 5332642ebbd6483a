"""What a change of classes does to boxes: rows of the newest version end and new ones begin, none is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.tables import accepted, dataset_frames

Shape = tuple[int, tuple[float, float, float, float], bool]
"""Class, place and crowd mark of a box."""


def counts(connection: Connection) -> dict[int, int]:
    """How many boxes of each class the newest version holds, by the class's id."""
    query = sa.select(accepted.c.category_id, sa.func.count().label("number")).where(accepted.c.until.is_(None))
    return {row.category_id: row.number for row in connection.execute(query.group_by(accepted.c.category_id))}


def frames_with(connection: Connection, ids: Collection[int]) -> list[str]:
    """Ids of the frames of the newest version that hold a box of these classes, in their order."""
    query = sa.select(accepted.c.frame_id).where(accepted.c.until.is_(None), accepted.c.category_id.in_(ids))
    return list(connection.scalars(query.distinct().order_by(accepted.c.frame_id)))


def change_classes(
    connection: Connection,
    ids: Collection[int],
    into: int | None,
    *,
    since: int,
    content_of: Callable[[Iterable[Shape]], str],
) -> tuple[int, dict[str, str]]:
    """From version ``since`` on the boxes of these classes are of class ``into``; with None they are in it no more.

    A box keeps its id and all that is known of it: it is the same box under another name.

    Args:
        content_of: content id of a frame's boxes.

    Returns:
        how many boxes changed, and the new content ids of their frames by the frames' ids.
    """
    boxes = 0
    contents: dict[str, str] = {}
    for chunk in chunks(frames_with(connection, ids)):
        found = dict(_contents(connection, chunk, ids, into, content_of))
        of_chunk = accepted.c.frame_id.in_(chunk) & accepted.c.until.is_(None)
        query = sa.select(sa.func.count()).where(of_chunk, accepted.c.category_id.in_(ids))
        boxes += connection.scalar(query) or 0
        connection.execute(sa.update(accepted).where(of_chunk).values(until=since))
        _begin_boxes(connection, chunk, ids, into, since)
        _begin_frames(connection, found, since)
        contents |= found
    return boxes, contents


def _contents(
    connection: Connection,
    frame_ids: Collection[str],
    ids: Collection[int],
    into: int | None,
    content_of: Callable[[Iterable[Shape]], str],
) -> Iterator[tuple[str, str]]:
    box = accepted.c
    query = sa.select(box.frame_id, box.category_id, box.x, box.y, box.w, box.h, box.iscrowd)
    shapes: dict[str, list[Shape]] = {frame_id: [] for frame_id in frame_ids}
    for row in connection.execute(query.where(box.frame_id.in_(frame_ids), box.until.is_(None))):
        category = into if row.category_id in ids else row.category_id
        if category is not None:
            shapes[row.frame_id].append((category, (row.x, row.y, row.w, row.h), bool(row.iscrowd)))
    for frame_id, of_frame in shapes.items():
        yield frame_id, content_of(of_frame)


def _begin_boxes(
    connection: Connection, frame_ids: Collection[str], ids: Collection[int], into: int | None, since: int
) -> None:
    changed = accepted.c.category_id.in_(ids)
    named = accepted.c.category_id if into is None else sa.case((changed, into), else_=accepted.c.category_id)
    values = {"since": sa.literal(since), "until": sa.cast(None, sa.Integer), "category_id": named}
    query = sa.select(*(values.get(column.name, column) for column in accepted.c))
    query = query.where(accepted.c.frame_id.in_(frame_ids), accepted.c.until == since)
    if into is None:
        query = query.where(~changed)
    connection.execute(sa.insert(accepted).from_select([column.name for column in accepted.c], query))


def _begin_frames(connection: Connection, contents: dict[str, str], since: int) -> None:
    now = dataset_frames.c.frame_id.in_(contents) & dataset_frames.c.until.is_(None)
    rows = [dict(row._mapping) for row in connection.execute(sa.select(dataset_frames).where(now))]
    connection.execute(sa.update(dataset_frames).where(now).values(until=since))
    begun = [{**row, "since": since, "content": contents[row["frame_id"]]} for row in rows]
    connection.execute(sa.insert(dataset_frames), begun)
