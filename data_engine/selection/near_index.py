"""Pairs of pictures of different sources that look alike, among many, and looks that a source shows again and again.

By 64-bit difference hashes (:mod:`data_engine.media.hashing`).  Of two hashes that differ in at most ``t`` bits, cut
into ``t + 1`` parts, at least one part is the same (the pigeonhole principle; Manku, Jain, Das Sarma, "Detecting
near-duplicates for web crawling", 2007), so only hashes that share a part are compared: for ``n`` hashes that have
nothing to do with one another ``(t + 1) n² / 2 ** (64 // (t + 1))`` comparisons instead of ``n²``, and sorting.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
HashArray = NDArray[np.uint64]

NEAR = 3
"""Bits of 64 in which near-duplicates differ at most.  Measured: 98.5 % or more of the frames of a static camera's clip
that was encoded again (half the size, x264 crf 38) and all of 800 resized or heavily compressed pictures are within 3
bits of their originals; of different pictures none (366 microscope pictures: the nearest pair has 5), of different
moments of that static camera 4 %."""
_AT_ONCE = 1 << 20
_SAMPLE = 256


class NearIndex:
    """Hashes that are asked for those near another one, of another group.

    Args:
        hashes: ``(n,)`` unsigned 64-bit hashes.
        groups: ``(n,)`` number of the group of each, from 0; a group's own are never compared with one another.
        tolerance: bits in which near ones differ at most, from 0 to 7.

    Raises:
        ValueError: the tolerance is outside of that.
    """

    def __init__(self, hashes: HashArray, groups: IntArray, tolerance: int = NEAR) -> None:
        if not 0 <= tolerance <= 7:
            raise ValueError(f"the tolerance must be from 0 to 7 bits: got {tolerance}")
        self._hashes, self._groups, self._tolerance = hashes, groups, tolerance
        edges = [64 * part // (tolerance + 1) for part in range(tolerance + 2)]
        # At most 32 bits: the rest of the word is the group's.  Fewer bits than the part has only cost time.
        self._parts = [(np.uint64(low), np.uint64((1 << min(high - low, 32)) - 1)) for low, high in pairwise(edges)]
        self._sorted: list[tuple[HashArray, IntArray]] = []
        for part in range(len(self._parts)):
            words = self._words(hashes, groups, part)
            order = np.argsort(words, kind="stable")
            self._sorted.append((words[order], order))

    def pairs(self, hashes: HashArray, groups: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
        """Places ``(k,)`` in ``hashes`` and ``(k,)`` in the index of near pairs of different groups, each pair once."""
        for part, (words, order) in enumerate(self._sorted):
            first, last = self._words(hashes, np.zeros_like(groups), part), self._words(hashes, groups, part)
            own, after = np.searchsorted(words, last), np.searchsorted(words, last, side="right")
            low, high = np.searchsorted(words, first), np.searchsorted(words, first | np.uint64(0xFFFFFFFF), "right")
            # Those of the own group lie in the middle of what shares the part.
            for begin, end in ((low, own), (after, high)):
                for asked, place in _spans(begin, end):
                    yield self._near(hashes, asked, order[place], part)

    def _words(self, hashes: HashArray, groups: IntArray, part: int) -> HashArray:
        low, mask = self._parts[part]
        return np.asarray(((hashes >> low) & mask) << np.uint64(32) | groups.astype(np.uint64), np.uint64)

    def _near(self, hashes: HashArray, asked: IntArray, found: IntArray, part: int) -> tuple[IntArray, IntArray]:
        differing = hashes[asked] ^ self._hashes[found]
        kept = np.bitwise_count(differing) <= self._tolerance
        for low, mask in self._parts[:part]:
            # Equal in an earlier part as well: found there.
            kept &= ((differing >> low) & mask) != 0
        return asked[kept], found[kept]


def recurring(hashes: HashArray, positions: NDArray[np.float64], apart: float, tolerance: int = NEAR) -> BoolArray:
    """``(n,)`` whether a frame of a source has a near-duplicate at another moment of it, more than ``apart`` away.

    Of such a look nobody can tell by the hash which moment it shows: the view of a static camera.

    Args:
        hashes: ``(n,)`` of the frames of one source.
        positions: ``(n,)`` of its frames, in the unit of ``apart``.
        apart: distance from which it is another moment.
        tolerance: bits in which near-duplicates differ at most.
    """
    found = np.zeros(len(hashes), np.bool_)
    # A look that recurs does so in a few hundred frames already; few are left to be looked for among all.
    some = np.arange(0, len(hashes), max(1, len(hashes) // _SAMPLE))
    rows = max(1, _AT_ONCE // max(1, len(some)))
    for start in range(0, len(hashes), rows):
        part = slice(start, start + rows)
        near = np.bitwise_count(hashes[part, None] ^ hashes[None, some]) <= tolerance
        near &= np.abs(positions[part, None] - positions[None, some]) > apart
        found[part] = near.any(axis=1)
    left = np.flatnonzero(~found)
    if len(some) == len(hashes) or not len(left):
        return found
    moments = np.asarray((positions - positions.min()) // apart, np.intp)
    for asked, place in NearIndex(hashes, moments, tolerance).pairs(hashes[left], moments[left]):
        found[left[asked[np.abs(positions[left[asked]] - positions[place]) > apart]]] = True
    return found


def nearest_again(hashes: HashArray, positions: NDArray[np.float64], apart: float, rows: IntArray) -> NDArray[np.uint8]:
    """``(len(rows),)`` bits between a frame's look and the nearest at another moment of its source; 64 without one.

    A copy of a frame is nearer to it than that, in nine of ten frames of a static camera where only three of ten have a
    look that does not recur: measured on a clip that was halved and compressed again.

    Args:
        hashes: ``(n,)`` of the frames of one source.
        positions: ``(n,)`` of its frames, in the unit of ``apart``.
        apart: distance from which it is another moment.
        rows: places of the frames that are asked about.
    """
    found = np.full(len(rows), 64, np.uint8)
    step = max(1, _AT_ONCE // max(1, len(hashes)))
    for start in range(0, len(rows), step):
        asked = rows[start : start + step]
        bits = np.bitwise_count(hashes[asked, None] ^ hashes[None, :])
        bits[np.abs(positions[asked, None] - positions[None, :]) <= apart] = 64
        found[start : start + step] = bits.min(axis=1)
    return found


def _spans(begin: IntArray, end: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Every number of ``range(begin[i], end[i])`` with its ``i``, in portions."""
    sizes = end - begin
    rows = np.flatnonzero(sizes)
    ends = np.cumsum(sizes[rows])
    start = 0
    while start < len(rows):
        before = 0 if start == 0 else int(ends[start - 1])
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        some = rows[start:stop]
        asked = np.repeat(some, sizes[some])
        offset = np.arange(len(asked)) - np.repeat(ends[start:stop] - sizes[some] - before, sizes[some])
        yield asked, np.repeat(begin[some], sizes[some]) + offset
        start = stop
