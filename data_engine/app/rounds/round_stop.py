"""What lifts a stop by itself: a camera that no round could choose from, for what they brought says nothing of it.

New footage of cameras that are known does not, or a plant that records every day would never stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_engine.app.engine import Engine
from data_engine.lineage import rounds as lineage
from data_engine.lineage.rounds import Round
from data_engine.words import counted, listed

LIFTED_BY = "lifted_by"
"""In a round's stop: the cameras for which a further round began all the same."""


def new_cameras(engine: Engine, ended: Sequence[Round]) -> list[str]:
    """The cameras with sampled frames of which none was ever chosen, or shown to a model; each lifts one stop.

    Args:
        engine: the workspace.
        ended: all rounds.
    """
    before = {name for one in ended for name in (one.stop or {}).get(LIFTED_BY, ())}
    with engine.database.read() as connection:
        return [name for name in lineage.cameras_not_looked_at(connection) if name not in before]


def lifted(why: Mapping[str, Any], cameras: Sequence[str], at: str) -> dict[str, Any]:
    """A stop that these cameras lift."""
    return {**why, "overruled_at": at, LIFTED_BY: list(cameras)}


def told_of_lifting(cameras: Sequence[str]) -> str:
    """For people."""
    which = f"{counted(len(cameras), 'new camera')} ({listed(list(cameras))})"
    return f"one more round begins although the last ones brought less than they cost, for {which}"


HOW = "new footage of these cameras does not change that, a new camera does, and so does --anyway"
"""What lifts a stop, in words."""
