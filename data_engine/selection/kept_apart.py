"""Near-duplicates of different sources: a frame that looks like one of the other side does not stand against it.

What has a side keeps it; only frames that come now give way.  A frame of a video or of a numbered series goes to the
guard, for its neighbours in time stay where they are.  A picture of which nothing but its look is known follows what it
looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_engine.selection.near_index import NEAR, BoolArray, HashArray, IntArray, NearIndex
from data_engine.types import Split

SIDES: tuple[Split, ...] = ("train", "valid", "golden", "guard")
"""The sides by their numbers in :attr:`Looks.sides`."""
TRAIN, VALID, GOLDEN, GUARD = range(4)
_BATCH = 512


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Frames as they are compared."""

    hashes: HashArray
    """``(n,)`` unsigned difference hashes."""
    axes: IntArray
    """``(n,)`` number of the time axis: within one, time alone decides."""
    sides: NDArray[np.int8]
    """``(n,)`` numbers of :data:`SIDES`."""


def kept_apart(new: Looks, known: Looks, *, lone: BoolArray, telling: BoolArray) -> NDArray[np.int8]:
    """The sides of new frames, decided one after the other in their order.

    Args:
        new: with the sides that they would have by time alone.
        known: whose sides stand.
        lone: ``(n,)`` which of the new ones are pictures without a place in time.
        telling: ``(n,)`` whose looks tell something: not those that recur in their own source
            (:func:`data_engine.selection.near_index.recurring`).
    """
    sides = new.sides.copy()
    seen = np.zeros((len(sides), len(SIDES)), np.bool_)
    asking = np.flatnonzero(telling)
    for asked, found in NearIndex(known.hashes, known.axes, NEAR).pairs(new.hashes[asking], new.axes[asking]):
        seen[asking[asked], known.sides[found]] = True
    index = NearIndex(new.hashes, new.axes, NEAR)
    for start in range(0, len(sides), _BATCH):
        stop = min(start + _BATCH, len(sides))
        rows = asking[(asking >= start) & (asking < stop)]
        beside: dict[int, list[int]] = {}
        for asked, found in index.pairs(new.hashes[rows], new.axes[rows]):
            row = rows[asked]
            decided = found < start
            seen[row[decided], sides[found[decided]]] = True
            for one, other in zip(row[~decided].tolist(), found[~decided].tolist(), strict=True):
                if other < one:
                    beside.setdefault(one, []).append(other)
        for one in range(start, stop):
            for other in beside.get(one, ()):
                seen[one, sides[other]] = True
            if seen[one].any():
                sides[one] = _settled(int(sides[one]), seen[one], bool(lone[one]))
    return sides


def _settled(side: int, seen: BoolArray, lone: bool) -> int:
    """The side of a frame that would have ``side`` and looks like frames of the sides ``seen``."""
    trained, judged = bool(seen[TRAIN]), bool(seen[VALID] or seen[GOLDEN])
    if trained and judged:
        return GUARD
    if lone and (trained or judged):
        return TRAIN if trained else (GOLDEN if seen[GOLDEN] else VALID)
    if lone and seen[GUARD]:
        return GUARD
    against = judged if side == TRAIN else trained and side in (VALID, GOLDEN)
    return GUARD if against else side
