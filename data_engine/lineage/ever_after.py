"""Every frame that the dataset ever held, with what one more version changed: few rows are read for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from data_engine.lineage.database import Connection
from data_engine.lineage.split_sources import FOREVER, Ever, rows_of
from data_engine.lineage.tables import dataset_frames


def ever_after(connection: Connection, before: Ever, number: int) -> Ever:
    """As :func:`~data_engine.lineage.split_sources.ever_held` up to version ``number``.

    Args:
        connection: to read from.
        before: all that the versions before it held.
        number: of the version after those.
    """
    came = rows_of(connection, dataset_frames.c.since == number)
    ended = connection.scalars(sa.select(dataset_frames.c.frame_id).where(dataset_frames.c.until == number)).all()
    places = {frame_id: place for place, frame_id in enumerate(before.ids)}
    gone = np.isin(before.row_frames, np.array([places[frame_id] for frame_id in ended], np.intp))
    until = np.where(gone & (before.until == FOREVER), number, before.until)
    fresh = np.array([frame_id not in places for frame_id in came.ids], np.bool_)
    names = {name: place for place, name in enumerate(before.names)}
    sources = np.array([names.setdefault(name, len(names)) for name in came.names], np.intp)
    new = np.flatnonzero(fresh)
    ids = [*before.ids, *(came.ids[row] for row in new.tolist())]
    places.update({frame_id: place for place, frame_id in enumerate(ids[len(before.ids) :], len(before.ids))})
    mine = np.array([places[frame_id] for frame_id in came.ids], np.intp)
    return replace(
        before,
        ids=ids,
        names=list(names),
        sources=np.concatenate([before.sources, sources[came.sources[new]]]),
        positions=np.concatenate([before.positions, came.positions[new]]),
        hashes=np.concatenate([before.hashes, came.hashes[new]]),
        hashed=np.concatenate([before.hashed, came.hashed[new]]),
        row_frames=np.concatenate([before.row_frames, mine[came.row_frames]]),
        since=np.concatenate([before.since, came.since]),
        until=np.concatenate([until, came.until]),
        row_sides=np.concatenate([before.row_sides, came.row_sides]),
    )
