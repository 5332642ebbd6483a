"""What jobs disagreed about on frames, as events of these: who said what, whose boxes count, and what still waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from data_engine.lineage import conflicts
from data_engine.lineage.conflicts import Recorded
from data_engine.lineage.database import Connection
from data_engine.lineage.tables import categories

Event = dict[str, Any]


def events(connection: Connection, frame_ids: Sequence[str]) -> dict[str, tuple[Event, ...]]:
    """What was disputed on these frames and what became of it, oldest first; frames without any are left out."""
    found = conflicts.of_frames(connection, frame_ids)
    if not found:
        return {}
    waiting = {one.frame_id: one.at for one in conflicts.open_ones(connection)}
    everything = [one for recorded in found.values() for one in recorded]
    jobs = conflicts.job_names(connection, {i for one in everything for i in (one.job_id, one.other_job_id)})
    classes = {row.id: row.name for row in connection.execute(sa.select(categories.c.id, categories.c.name))}
    return {
        frame_id: tuple(_event(one, jobs, classes, waits=waiting.get(frame_id) == one.at) for one in recorded)
        for frame_id, recorded in found.items()
    }


def _event(one: Recorded, jobs: dict[str, str], classes: dict[int, str], *, waits: bool) -> Event:
    said, held = jobs[one.job_id], jobs[one.other_job_id]
    if not one.kinds:
        return {"what": "looked at again", "at": one.at, "in": said, "found": "as the dataset holds it"}
    return {
        "what": f"disputed by {said} and {held}",
        "at": one.at,
        "boxes": [f"{one.kinds.count(kind)} {kind}" for kind in dict.fromkeys(one.kinds)],
        "policy": one.policy,
        "counts": said if one.kept == "theirs" else held,
        **({"waits": "to be looked at again"} if waits else {}),
        f"{said}_said": [_box(box, classes) for box in one.theirs],
        f"{held}_said": [_box(box, classes) for box in one.ours],
    }


def _box(shape: Sequence[Any], classes: dict[int, str]) -> str:
    category, x, y, w, h = shape[:5]
    return f"{classes.get(category, category)} {w:g} x {h:g} at {x:g},{y:g}"
