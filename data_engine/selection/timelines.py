"""Which sources show the same stretch of time, and by how much one lies behind the other.

Copies under other names, cuts and overlapping recordings hold the same moments at a fixed distance: where frames of two
sources have equal difference hashes, the distances of their positions agree.  Measured on a clip of a static camera
that shows people: a third to two thirds of the frames keep their hash when it is encoded again, and of other moments
one in a thousand has it by chance.  A look that a source shows more than a few times says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_engine.selection.near_index import BoolArray, HashArray, IntArray

VOTES = 5
"""Frames at least that agree on a distance."""
SHARE = 0.5
"""Share at least of the pairs of two sources with equal hashes that agree on it."""
WINDOW = 1.0
"""How far distances that agree lie apart at most, in the unit of the positions (seconds, pictures): where frames are
sampled from a copy, they may be others by a few."""
_COMMON = 3
"""Frames of one source with one hash, above which it says nothing."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Timelines:
    """The frames of all sources, by their hashes."""

    hashes: HashArray
    """``(n,)``, ascending."""
    sources: IntArray
    """``(n,)`` number of each frame's source."""
    positions: FloatArray
    """``(n,)`` of each frame in its source."""

    @classmethod
    def of(cls, hashes: HashArray, sources: IntArray, positions: FloatArray) -> Timelines:
        """Of frames in any order; all positions in one unit."""
        order = np.lexsort((sources, hashes))
        order = order[_rare(hashes[order], sources[order])]
        return cls(hashes[order], sources[order], positions[order])

    def original(self, source: int) -> tuple[int, float] | None:
        """The source of a smaller number that most frames of this one agree with, and by how much this one is behind.

        A position in this source plus the second value is the same moment's position in the other one.
        """
        mine = self.sources == source
        low = np.searchsorted(self.hashes, self.hashes[mine])
        # Of equal hashes those of smaller sources come first.
        sizes = np.flatnonzero(mine) - low
        asked = np.repeat(np.flatnonzero(mine), sizes)
        found = np.arange(len(asked)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(low, sizes)
        earlier = self.sources[found] < source
        asked, found = asked[earlier], found[earlier]
        if not len(found):
            return None
        others, distances = self.sources[found], self.positions[found] - self.positions[asked]
        order = np.lexsort((distances, others))
        others, distances, asked, found = others[order], distances[order], asked[order], found[order]
        # Windows of different sources must not meet.
        span = float(np.ptp(distances)) + 2 * WINDOW
        places = others * span + (distances - distances.min())
        ends = np.searchsorted(places, places + WINDOW, side="right")
        votes = ends - np.arange(len(places))
        votes[(votes < VOTES) | (votes < SHARE * np.bincount(others)[others])] = 0
        best = int(votes.argmax())
        agreed = slice(best, ends[best])
        # A look that either source has two or three times is one witness all the same.
        if not votes[best] or min(len(np.unique(asked[agreed])), len(np.unique(found[agreed]))) < VOTES:
            return None
        return int(others[best]), float(np.median(distances[agreed]))


def _rare(hashes: HashArray, sources: IntArray) -> BoolArray:
    """Of sorted frames, which have a hash that few of their source have."""
    begins = np.ones(len(hashes), np.bool_)
    begins[1:] = (hashes[1:] != hashes[:-1]) | (sources[1:] != sources[:-1])
    sizes = np.diff(np.append(np.flatnonzero(begins), len(hashes)))
    return np.asarray(np.repeat(sizes <= _COMMON, sizes), np.bool_)
