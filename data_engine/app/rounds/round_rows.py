"""A round as a row of a table, with what was decided about its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import champions
from data_engine.lineage.rounds import Round

PROMOTED: Mapping[str, str] = {
    "crowned": "promoted",
    "forced": "promoted by hand",
    "found": "put in place by hand",
    "rolled back": "taken back into use",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a round's model."""

    what: str
    """As of :data:`PROMOTED`."""
    reasons: tuple[str, ...] = ()
    """What spoke against it."""


def decision_of(engine: Engine, one: Round) -> Decided | None:
    """How the round's model came into use last, and whether it was taken back; that it was refused where it never did.

    None where nothing was decided.
    """
    if one.model_after is None:
        return None
    with engine.database.read() as connection:
        found = champions.decisions(connection, one.model_after)
        back = champions.taken_back(connection, one.model_after)
    if not found:
        return None
    # That it is in use again because a later one was taken back is that one's story.
    came = [row for row in found if row.action not in ("refused", "rolled back")]
    row = (came or found)[-1]
    reasons = tuple(row.detail.get("reasons", ()))
    if back is None:
        return Decided(PROMOTED[row.action], reasons)
    why = f"taken back on {back.at[:10]}{f': {back.reason}' if back.reason else ''}"
    return Decided(f"{PROMOTED[row.action]}, then taken back", (why, *reasons))


def row_of(engine: Engine, one: Round, metric: str = "map50") -> dict[str, Any]:
    """What a round cost and brought."""
    decided = decision_of(engine, one)
    reached = (one.metrics or {}).get(metric) or {}
    return {
        "round": one.number,
        "frames": one.frames,
        "boxes": one.boxes,
        "minutes": None if one.minutes is None else round(one.minutes, 1),
        "version": None if one.version is None else f"v{one.version}",
        "model": None if one.model_after is None else one.model_after[:8],
        metric: reached.get("value"),
        "low": reached.get("low"),
        "high": reached.get("high"),
        "decision": "" if decided is None else decided.what,
    }
