"""What is said about whole videos: who filmed them where, what they are compared by, and which look alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in, upsert
from data_engine.lineage.tables import video_duplicates, video_signatures, videos
from data_engine.types import Video


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """A video that looks like another one."""

    video_id: str
    original_id: str
    distance: float
    """In the unit of the method that found it; 0 for what it cannot tell apart."""


def describe(connection: Connection, found: Iterable[Video]) -> None:
    """Take over the camera, venue, event and capture time of registered videos; all else stays as it is."""
    values = [
        {"video": v.id, "new_camera": v.camera, "new_venue": v.venue, "new_event": v.event, "new_time": v.captured_at}
        for v in found
    ]
    if values:
        statement = sa.update(videos).where(videos.c.id == sa.bindparam("video"))
        changed: dict[str, Any] = {
            "camera": sa.bindparam("new_camera"),
            "venue": sa.bindparam("new_venue"),
            "event": sa.bindparam("new_event"),
            "captured_at": sa.bindparam("new_time"),
        }
        connection.execute(statement.values(changed), values)


def add_signatures(connection: Connection, method: str, found: Mapping[str, bytes]) -> None:
    """Keep what videos are compared by (video id -> signature) under a method and its parameters."""
    rows = [{"video_id": id, "method": method, "signature": signature} for id, signature in found.items()]
    upsert(connection, video_signatures, rows)


def forget_signatures(connection: Connection, ids: Iterable[str]) -> None:
    """Forget all signatures of these videos."""
    for chunk in chunks(ids):
        connection.execute(sa.delete(video_signatures).where(video_signatures.c.video_id.in_(chunk)))


def signatures(connection: Connection, method: str) -> dict[str, bytes]:
    """Every signature of this method, by video id."""
    query = sa.select(video_signatures.c.video_id, video_signatures.c.signature)
    return {row.video_id: row.signature for row in connection.execute(query.where(video_signatures.c.method == method))}


def signed(connection: Connection, method: str, ids: Iterable[str]) -> set[str]:
    """Those of these videos that have a signature of this method."""
    query = sa.select(video_signatures.c.video_id).where(video_signatures.c.method == method)
    return {row.video_id for row in rows_where_in(connection, query, video_signatures.c.video_id, ids)}


def replace_near_duplicates(connection: Connection, method: str, found: Iterable[NearDuplicate]) -> None:
    """Put this map in the place of the one that the method and its parameters gave before."""
    connection.execute(sa.delete(video_duplicates).where(video_duplicates.c.method == method))
    upsert(
        connection,
        video_duplicates,
        [
            {"video_id": d.video_id, "method": method, "original_id": d.original_id, "distance": d.distance}
            for d in found
        ],
    )


def near_duplicates(connection: Connection, method: str) -> list[NearDuplicate]:
    """The map of a method and its parameters, by video id."""
    table = video_duplicates
    query = sa.select(table.c.video_id, table.c.original_id, table.c.distance).where(table.c.method == method)
    return [NearDuplicate(*row) for row in connection.execute(query.order_by(table.c.video_id))]
