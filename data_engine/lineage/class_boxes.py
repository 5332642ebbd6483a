"""What a change of classes does to boxes: rows of the newest version end and new ones begin, none is rewritten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks
from data_engine.lineage.tables import accepted, dataset_frames

Shape = tuple[int, tuple[float, float, float, float], bool]
"""Class, place and crowd mark of a box."""
_WITH_TWINS = 20
"""Frames whose boxes are looked through for those that end."""


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
) -> tuple[int, int, dict[str, str]]:
    """From version ``since`` on the boxes of these classes are of class ``into``; with None they are in it no more.

    A box keeps its id and all that is known of it: it is the same box under another name.  Where several of what is one
    class now had a box in the same place, one thing has it once: those of one class go on, of ``into`` itself if it has
    any there, and the others end.

    Args:
        content_of: content id of a frame's boxes.

    Returns:
        how many boxes changed and go on, how many ended, and the new content ids of their frames by the frames' ids.
    """
    boxes = ended = 0
    contents: dict[str, str] = {}
    for chunk in chunks(frames_with(connection, ids)):
        found, twins = _contents(connection, chunk, ids, into, content_of)
        of_chunk = accepted.c.frame_id.in_(chunk) & accepted.c.until.is_(None)
        query = sa.select(sa.func.count()).where(of_chunk, accepted.c.category_id.in_(ids))
        boxes += (connection.scalar(query) or 0) - len(twins)
        ended += len(twins)
        connection.execute(sa.update(accepted).where(of_chunk).values(until=since))
        _begin_boxes(connection, chunk, ids, into, since, twins)
        _begin_frames(connection, found, since)
        contents |= found
    return boxes, ended, contents


def _contents(
    connection: Connection,
    frame_ids: Collection[str],
    ids: Collection[int],
    into: int | None,
    content_of: Callable[[Iterable[Shape]], str],
) -> tuple[dict[str, str], set[str]]:
    """The new content id of each frame, and the ids of the boxes that end for another in their place."""
    box = accepted.c
    query = sa.select(box.frame_id, box.id, box.category_id, box.x, box.y, box.w, box.h, box.iscrowd)
    held: dict[str, list[tuple[str, Shape]]] = {frame_id: [] for frame_id in frame_ids}
    for row in connection.execute(query.where(box.frame_id.in_(frame_ids), box.until.is_(None))):
        held[row.frame_id].append((row.id, (row.category_id, (row.x, row.y, row.w, row.h), bool(row.iscrowd))))
    contents: dict[str, str] = {}
    twins: set[str] = set()
    for frame_id, of_frame in held.items():
        gone = set() if into is None else _twins(of_frame, {*ids, into}, into)
        kept = (shape for box_id, shape in of_frame if box_id not in gone)
        named = ((into if number in ids else number, place, crowd) for number, place, crowd in kept)
        contents[frame_id] = content_of((n, place, crowd) for n, place, crowd in named if n is not None)
        twins |= gone
    return contents, twins


def _twins(boxes: Collection[tuple[str, Shape]], ids: Collection[int], into: int) -> set[str]:
    """Ids of the boxes in the place of one of another of these classes; those of ``into`` stay, else the least."""
    first: dict[tuple[object, ...], int] = {}
    ours = [(identity, (place, crowd), category) for identity, (category, place, crowd) in boxes if category in ids]
    for _identity, place, category in ours:
        first[place] = min(first.get(place, category), category, key=lambda number: (number != into, number))
    return {identity for identity, place, category in ours if category != first[place]}


def _begin_boxes(
    connection: Connection,
    frame_ids: Collection[str],
    ids: Collection[int],
    into: int | None,
    since: int,
    without: AbstractSet[str],
) -> None:
    changed = accepted.c.category_id.in_(ids)
    named = accepted.c.category_id if into is None else sa.case((changed, into), else_=accepted.c.category_id)
    values = {"since": sa.literal(since), "until": sa.cast(None, sa.Integer), "category_id": named}
    columns = [column.name for column in accepted.c]
    # Of boxes that end, only some frames' at once: a statement takes so many parameters.
    for part in chunks(frame_ids, _WITH_TWINS) if without else [frame_ids]:
        query = sa.select(*(values.get(column.name, column) for column in accepted.c))
        query = query.where(accepted.c.frame_id.in_(part), accepted.c.until == since)
        if into is None:
            query = query.where(~changed)
        elif without:
            of_part = sa.select(accepted.c.id).where(accepted.c.frame_id.in_(part), accepted.c.until == since)
            ending = without & set(connection.scalars(of_part))
            query = query.where(accepted.c.id.not_in(ending))
        connection.execute(sa.insert(accepted).from_select(columns, query))


def _begin_frames(connection: Connection, contents: dict[str, str], since: int) -> None:
    now = dataset_frames.c.frame_id.in_(contents) & dataset_frames.c.until.is_(None)
    rows = [dict(row._mapping) for row in connection.execute(sa.select(dataset_frames).where(now))]
    connection.execute(sa.update(dataset_frames).where(now).values(until=since))
    begun = [{**row, "since": since, "content": contents[row["frame_id"]]} for row in rows]
    connection.execute(sa.insert(dataset_frames), begun)
