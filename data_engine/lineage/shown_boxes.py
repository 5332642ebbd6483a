"""The proposals that went up with a task, as its people were shown them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from data_engine.lineage.database import Connection, chunks, rows_where_in
from data_engine.lineage.tables import proposals
from data_engine.types import Box, Outlined, Proposed


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that a model proposed and that people were shown."""

    id: str
    frame_id: str
    model_id: str | None
    box: Box


def proposals_on(connection: Connection, task_id: str, frame_ids: Iterable[str]) -> dict[str, list[Proposal]]:
    """What people were shown on these frames of a task, by frame id."""
    found: dict[str, list[Proposal]] = {}
    # Those that a probe stands for have no position: they were not shown.
    query = sa.select(proposals).where(_of_task(task_id), proposals.c.position >= 0).order_by(proposals.c.position)
    for row in rows_where_in(connection, query, proposals.c.frame_id, frame_ids):
        xywh = (row.x, row.y, row.w, row.h)
        box = Box(row.label, xywh, row.score, row.id, row.iscrowd, row.attributes)
        found.setdefault(row.frame_id, []).append(Proposal(row.id, row.frame_id, row.model_id, box))
    return found


def shown_on(connection: Connection, task_id: str, frame_ids: Iterable[str]) -> dict[str, list[Proposed]]:
    """As :func:`proposals_on`, without what only those who are shown them need: scores, crowd marks, attributes."""
    told: dict[str, list[tuple[Any, ...]]] = {}
    names = ("frame_id", "position", "id", "model_id", "label", "x", "y", "w", "h")
    query = sa.select(*(proposals.c[name] for name in names))
    query = query.where(_of_task(task_id), proposals.c.position >= 0)
    for chunk in chunks(frame_ids):
        for row in connection.execute(query.where(proposals.c.frame_id.in_(chunk))).cursor.fetchall():
            told.setdefault(row[0], []).append(row)
    return {
        frame_id: [Proposed(row[2], row[3], Outlined(row[4], row[5:])) for row in sorted(rows, key=_position)]
        for frame_id, rows in told.items()
    }


def _of_task(task_id: str) -> sa.ColumnElement[bool]:
    """By no index: proposals are looked up by frames, else all of a task's would be read for some of its frames."""
    return proposals.c.task_id.concat("") == task_id


_position = itemgetter(1)
