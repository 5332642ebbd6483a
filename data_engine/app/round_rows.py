"""A round as a row of a table, with what was decided about its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import champions
from data_engine.lineage.champions import ChampionRow
from data_engine.lineage.rounds import Round

PROMOTED: Mapping[str, str] = {
    "crowned": "promoted",
    "forced": "promoted by hand",
    "found": "put in place by hand",
    "rolled back": "taken back into use",
    "refused": "refused",
}


def decision_of(engine: Engine, one: Round) -> ChampionRow | None:
    """The first thing that was decided about the round's model; None where nothing was."""
    if one.model_after is None:
        return None
    with engine.database.read() as connection:
        found = champions.decisions(connection, one.model_after)
    return found[0] if found else None


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
        "decision": "" if decided is None else PROMOTED[decided.action],
    }
