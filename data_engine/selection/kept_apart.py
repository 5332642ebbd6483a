"""Near-duplicates of different sources: a frame that looks like one of the other side does not stand against it.

What has a side keeps it; only frames that come now give way.  A frame of a video or of a numbered series goes to the
guard, for its neighbours in time stay where they are.  A picture of which nothing but its look is known follows what it
looks like.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    units: NDArray[np.int8]
    """``(n,)`` what places in the frame's source are counted in (:func:`data_engine.selection.splits.unit`)."""


def kept_apart(new: Looks, known: Looks, *, lone: BoolArray, again: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The sides of new frames, decided one after the other in their order.

    Args:
        new: with the sides that they would have by time alone.
        known: whose sides stand.
        lone: ``(n,)`` which of the new ones are pictures without a place in time.
        again: ``(n,)`` bits to the nearest look at another moment of the new one's own source.  Where that is a
            near-duplicate the look shows no moment, and only tells of sources of another unit, with which no time axis
            can be shared: there by looks that are nearer than the own one.
    """
    sides = new.sides.copy()
    seen = np.zeros((len(sides), len(SIDES)), np.bool_)
    for asked, found in _Beside(known).pairs(new, again, np.arange(len(sides))):
        seen[asked, known.sides[found]] = True
    others = _Beside(new)
    for start in range(0, len(sides), _BATCH):
        stop = min(start + _BATCH, len(sides))
        beside: dict[int, list[int]] = {}
        for row, found in others.pairs(new, again, np.arange(start, stop)):
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


class _Beside:
    """Frames that others are held against."""

    def __init__(self, looks: Looks) -> None:
        self._looks = looks
        self._index = NearIndex(looks.hashes, looks.axes, NEAR)
        self._of_other_units: dict[int, tuple[IntArray, NearIndex]] = {}

    def pairs(self, new: Looks, again: NDArray[np.uint8], rows: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
        """The rows ``(k,)`` of ``new`` and the places ``(k,)`` here that they look like, so that it tells something."""
        telling = again[rows] > NEAR
        asking = rows[telling]
        for asked, found in self._index.pairs(new.hashes[asking], new.axes[asking]):
            yield asking[asked], found
        dull = rows[~telling]
        for unit in np.unique(new.units[dull]).tolist():
            asking = dull[new.units[dull] == unit]
            places, index = self._beside_unit(unit)
            for asked, place in index.pairs(new.hashes[asking], new.axes[asking]) if len(places) else ():
                row, found = asking[asked], places[place]
                nearer = np.bitwise_count(new.hashes[row] ^ self._looks.hashes[found]) < again[row]
                yield row[nearer], found[nearer]

    def _beside_unit(self, unit: int) -> tuple[IntArray, NearIndex]:
        if unit not in self._of_other_units:
            places = np.flatnonzero(self._looks.units != unit)
            index = NearIndex(self._looks.hashes[places], self._looks.axes[places], NEAR)
            self._of_other_units[unit] = places, index
        return self._of_other_units[unit]


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
