"""Selections: which frames were chosen, by which model, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new
from data_engine.lineage.tables import runs, selection_frames, selections
from data_engine.types import SelectedFrame, Selection


def record(connection: Connection, selection: Selection, *, run_id: str, pool_size: int) -> int:
    """Record a selection.  The newest one again keeps its number; an older one becomes the newest, with a new number.

    Returns:
        its number, from 1.
    """
    known: int | None = connection.scalar(sa.select(selections.c.number).where(selections.c.id == selection.id))
    newest = connection.scalar(sa.select(sa.func.max(selections.c.number))) or 0
    if known is not None and known == newest:
        return known
    number = newest + 1
    if known is not None:
        connection.execute(sa.update(selections).where(selections.c.id == selection.id).values(number=number))
        return number
    row = {
        "id": selection.id,
        "number": number,
        "run_id": run_id,
        "model_id": selection.model_id,
        "pool_size": pool_size,
    }
    insert_new(connection, selections, [row])
    insert_new(
        connection,
        selection_frames,
        [
            {
                "selection_id": selection.id,
                "frame_id": frame.frame_id,
                "rank": frame.rank,
                "score": frame.score,
                "reason": frame.reason,
                "parts": dict(frame.parts),
            }
            for frame in selection.frames
        ],
    )
    return number


def latest(connection: Connection) -> Selection | None:
    """The newest selection, or None before the first."""
    head = connection.execute(sa.select(selections).order_by(selections.c.number.desc()).limit(1)).one_or_none()
    if head is None:
        return None
    rows = connection.execute(
        sa.select(selection_frames).where(selection_frames.c.selection_id == head.id).order_by(selection_frames.c.rank)
    )
    return Selection(
        id=head.id,
        model_id=head.model_id,
        frames=tuple(SelectedFrame(r.frame_id, r.rank, r.score, r.reason, r.parts) for r in rows),
    )


def newest_number(connection: Connection) -> int | None:
    """Number of the newest selection, or None before the first."""
    number: int | None = connection.scalar(sa.select(sa.func.max(selections.c.number)))
    return number


def count(connection: Connection) -> dict[str, int]:
    """How many selections there are, and how many different frames were ever chosen."""
    return {
        "selections": connection.scalar(sa.select(sa.func.count()).select_from(selections)) or 0,
        "chosen": connection.scalar(sa.select(sa.func.count(selection_frames.c.frame_id.distinct()))) or 0,
    }


@dataclass(frozen=True, slots=True)
class Head:
    """A selection without its frames."""

    id: str
    number: int
    model_id: str | None
    pool_size: int
    at: str
    """When the run that made it began."""
    settings: Mapping[str, Any]


def heads(connection: Connection, most: int, *, below: int | None = None) -> list[Head]:
    """The newest selections, or the newest of those with a number below one."""
    query = _HEADS.order_by(selections.c.number.desc()).limit(most)
    if below is not None:
        query = query.where(selections.c.number < below)
    return [Head(*row) for row in connection.execute(query)]


def head(connection: Connection, number: int) -> Head | None:
    """The selection of that number; None where there is none."""
    row = connection.execute(_HEADS.where(selections.c.number == number)).one_or_none()
    return None if row is None else Head(*row)


def size(connection: Connection, selection_id: str) -> int:
    """How many frames a selection has."""
    query = sa.select(sa.func.count()).select_from(selection_frames)
    return connection.scalar(query.where(selection_frames.c.selection_id == selection_id)) or 0


def ranked(
    connection: Connection, selection_id: str, most: int, *, above: int = 0, below: int | None = None
) -> list[SelectedFrame]:
    """The first frames of a selection above a rank, or the last of those below one; by rank."""
    rank = selection_frames.c.rank
    query = sa.select(selection_frames).where(selection_frames.c.selection_id == selection_id).limit(most)
    if below is None:
        query = query.where(rank > above).order_by(rank)
    else:
        query = query.where(rank < below).order_by(rank.desc())
    found = [SelectedFrame(r.frame_id, r.rank, r.score, r.reason, r.parts) for r in connection.execute(query)]
    return sorted(found, key=lambda frame: frame.rank)


_HEADS = sa.select(
    selections.c.id,
    selections.c.number,
    selections.c.model_id,
    selections.c.pool_size,
    runs.c.started_at,
    runs.c.settings,
).join(runs, runs.c.id == selections.c.run_id)
