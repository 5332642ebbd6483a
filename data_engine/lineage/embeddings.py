"""Where the vectors of frames, and of the crops in them, lie."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from data_engine.lineage.database import Connection, rows_where_in, upsert
from data_engine.lineage.tables import embeddings

_ALL_FROM = 20_000
"""Frames from which on it is cheaper to read every row of an embedder than to ask for them."""


def record(connection: Connection, embedder: str, frame_ids: Sequence[str], part_key: str) -> None:
    """Record that the vectors of these frames are the rows of one column file, in this order.

    Args:
        embedder: name of what made them; of the vectors of crops also how and around which boxes they were cut.
        frame_ids: the frames.
        part_key: storage key of the column file.
    """
    upsert(
        connection,
        embeddings,
        [
            {"embedder": embedder, "frame_id": frame_id, "part_key": part_key, "position": position}
            for position, frame_id in enumerate(frame_ids)
        ],
    )


def places(connection: Connection, embedder: str, frame_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Where the vectors of these frames lie: frame id -> (part key, row)."""
    query = sa.select(embeddings.c.frame_id, embeddings.c.part_key, embeddings.c.position).where(
        embeddings.c.embedder == embedder
    )
    if len(frame_ids) < _ALL_FROM:
        rows = rows_where_in(connection, query, embeddings.c.frame_id, frame_ids)
    else:
        rows = connection.execute(query.execution_options(yield_per=10_000))
    wanted = set(frame_ids)
    keys: dict[str, str] = {}
    # One text a part, not one a frame: a million of them would take as much as the vectors.
    return {
        frame_id: (keys.setdefault(part_key, part_key), position)
        for frame_id, part_key, position in rows
        if frame_id in wanted
    }


def described(connection: Connection, embedder: str) -> list[str]:
    """Ids of the frames that an embedder has described, those of one column file together."""
    query = sa.select(embeddings.c.frame_id).where(embeddings.c.embedder == embedder)
    return list(connection.scalars(query.order_by(embeddings.c.part_key, embeddings.c.position)))


def count(connection: Connection, embedder: str) -> int:
    """How many frames an embedder has described."""
    query = sa.select(sa.func.count()).select_from(embeddings).where(embeddings.c.embedder == embedder)
    return connection.scalar(query) or 0
