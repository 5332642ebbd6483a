"""Sources that were purged: what stands in their place, and what may not come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in
from data_engine.lineage.tables import purged, tombstones

_ENOUGH = 8
"""Digits of an id that no other thing begins with."""
SourceKind = Literal["camera", "video", "frame"]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A source that was purged."""

    id: str
    kind: SourceKind
    target: str
    """Name of the camera, id of the video or frame."""
    reason: str | None
    actor: str | None
    """Who purged it."""
    at: str
    state: Literal["begun", "done"]
    """``begun``: the purge did not come to its end; run again, it goes on."""
    detail: Mapping[str, Any]
    """``versions``: version number (as text) -> ``frames`` and ``boxes`` that it held of it; ``models``: ids of those
    that were trained on such a version; ``elsewhere``: what lies where this program does not remove it."""


def begin(connection: Connection, tombstone: Tombstone, ids: Mapping[str, Sequence[str]]) -> None:
    """Set the tombstone up, before anything is removed.

    Args:
        ids: of what is purged, by kind: ``frame``, ``video``, ``picture``.
    """
    row = {name: getattr(tombstone, name) for name in Tombstone.__dataclass_fields__}
    insert_new(connection, tombstones, [{**row, "detail": dict(tombstone.detail)}])
    # A lone picture's id is the beginning of its sum: it stands there once.
    for kind in ("frame", "video", "picture"):
        rows = [{"id": i, "kind": kind, "tombstone_id": tombstone.id} for i in sorted(set(ids.get(kind, ())))]
        insert_new(connection, purged, rows)


def note(connection: Connection, identity: str, detail: Mapping[str, Any]) -> None:
    """Record what was found out on the way."""
    connection.execute(sa.update(tombstones).where(tombstones.c.id == identity).values(detail=dict(detail)))


def finish(connection: Connection, identity: str, detail: Mapping[str, Any]) -> None:
    """Record that nothing is left of it."""
    values = {"state": "done", "detail": dict(detail)}
    connection.execute(sa.update(tombstones).where(tombstones.c.id == identity).values(values))


def known(connection: Connection, state: str | None = None) -> list[Tombstone]:
    """All tombstones, oldest first, or those in one state."""
    query = sa.select(tombstones).order_by(tombstones.c.at, tombstones.c.id)
    if state is not None:
        query = query.where(tombstones.c.state == state)
    return [Tombstone(**row._mapping) for row in connection.execute(query)]


def ids_of(connection: Connection, identity: str, kind: str) -> list[str]:
    """What was purged under a tombstone."""
    query = sa.select(purged.c.id).where(purged.c.tombstone_id == identity, purged.c.kind == kind)
    return list(connection.scalars(query.order_by(purged.c.id)))


def gone(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of these ids (of frames, videos, or beginnings of pictures' sums) that were purged."""
    return {row.id for row in rows_where_in(connection, sa.select(purged.c.id), purged.c.id, ids)}


def of(connection: Connection, identity: str) -> Tombstone | None:
    """The tombstone of a frame, a video or a picture; None where it was not purged."""
    query = sa.select(tombstones).join(purged, purged.c.tombstone_id == tombstones.c.id).where(purged.c.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else Tombstone(**row._mapping)


def named(connection: Connection, text: str, kinds: Iterable[str]) -> list[Tombstone]:
    """The tombstones of sources that go by this name, id or beginning of an id (eight digits of it or more)."""
    wanted = set(kinds)
    return [
        stone
        for stone in known(connection, "done")
        if stone.kind in wanted and (stone.target == text or (len(text) >= _ENOUGH and stone.target.startswith(text)))
    ]


def all_gone(connection: Connection) -> set[str]:
    """Every id that was purged."""
    return set(connection.scalars(sa.select(purged.c.id)))


def taken_from(stones: Iterable[Tombstone]) -> dict[int, tuple[int, int]]:
    """How many frames and boxes were purged of each version, by its number."""
    counts: dict[int, tuple[int, int]] = {}
    for stone in stones:
        for number, held in stone.detail.get("versions", {}).items():
            frames, boxes = counts.get(int(number), (0, 0))
            counts[int(number)] = frames + held["frames"], boxes + held["boxes"]
    return counts
