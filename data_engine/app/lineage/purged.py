"""Sources that were purged and are there again: they do not come back, and why is said."""

from __future__ import annotations

from dataclasses import replace

from data_engine.app.engine import Engine
from data_engine.lineage import tombstones
from data_engine.lineage.database import Connection
from data_engine.lineage.tombstones import Tombstone
from data_engine.types import ID_LENGTH, Sampled


def was_purged(what: str, stone: Tombstone) -> str:
    """Why a video or picture is not taken in."""
    reason = f" ({stone.reason})" if stone.reason else ""
    return f"this {what} was purged with {stone.kind} {stone.target} on {stone.at[:10]}{reason}: it does not come back"


def without_purged(engine: Engine, connection: Connection, outcome: Sampled) -> Sampled:
    """What was sampled of a video without the frames that were purged, whose pictures are removed again."""
    # Of a scene that stands still, other moments give the same picture to the byte.
    known = {kept.frame.id: {kept.frame.id, kept.sha256[:ID_LENGTH]} for kept in outcome.frames}
    gone = tombstones.gone(connection, set().union(*known.values()))
    if not gone:
        return outcome
    for kept in outcome.frames:
        if known[kept.frame.id] & gone:
            engine.storage.delete(kept.frame.key)
    return replace(outcome, frames=tuple(kept for kept in outcome.frames if not known[kept.frame.id] & gone))
