"""What every frame is to the loop, as plain rows: read whole, for an index in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.purging import is_stub
from data_engine.lineage.tables import accepted, dataset_frames, frames, selection_frames, selections, task_frames


def all_frames(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Id, name and camera of every frame that was not purged, by name, then by id."""
    query = sa.select(frames.c.id, frames.c.name, frames.c.camera).where(~is_stub())
    query = query.order_by(frames.c.name, frames.c.id)
    return _plain(connection, query)


def in_tasks(connection: Connection) -> Iterator[tuple[str]]:
    """Ids of the frames that are in a task, some of them several times."""
    return _plain(connection, sa.select(task_frames.c.frame_id).where(task_frames.c.deleted.is_(False)))


def chosen(connection: Connection) -> Iterator[tuple[str, float]]:
    """Id and score of the frames of all selections, the oldest first."""
    query = (
        sa.select(selection_frames.c.frame_id, selection_frames.c.score)
        .join(selections, selections.c.id == selection_frames.c.selection_id)
        .order_by(selections.c.number)
    )
    return _plain(connection, query)


def held(connection: Connection) -> Iterator[tuple[str, int, int | None, str]]:
    """Frames of the dataset: id, the first version that holds it so, the first that no longer does, side; by time."""
    columns = (dataset_frames.c.frame_id, dataset_frames.c.since, dataset_frames.c.until, dataset_frames.c.split)
    return _plain(connection, sa.select(*columns).order_by(dataset_frames.c.since))


def classes_held(connection: Connection) -> Iterator[tuple[str, int]]:
    """Frame and class of the boxes that the newest version holds, each pair once."""
    pair = (accepted.c.frame_id, accepted.c.category_id)
    # Grouped in the order of the index, so that nothing is sorted.
    return _plain(connection, sa.select(*pair).where(accepted.c.until.is_(None)).group_by(*pair))


def beside(connection: Connection, name: str, frame_id: str) -> tuple[str | None, str | None]:
    """Ids of the frames before and after one, by name, then by id; those that were purged are passed over."""
    key, at = sa.tuple_(frames.c.name, frames.c.id), sa.tuple_(sa.literal(name), sa.literal(frame_id))
    query = sa.select(frames.c.id).where(~is_stub())
    before = query.where(key < at).order_by(frames.c.name.desc(), frames.c.id.desc()).limit(1)
    after = query.where(key > at).order_by(frames.c.name, frames.c.id).limit(1)
    return connection.scalar(before), connection.scalar(after)


def _plain(connection: Connection, query: sa.Select[Any]) -> Iterator[Any]:
    """The driver's own tuples: a record a row takes several times as long."""
    cursor = connection.execute(query).cursor
    while rows := cursor.fetchmany(10_000):
        yield from rows
