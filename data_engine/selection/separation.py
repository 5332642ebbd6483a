"""Measuring how far apart the sides of a split are, in time and in look, whatever they were decided by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_engine.selection.near_index import NEAR, BoolArray, HashArray, IntArray, NearIndex, nearest_again, recurring

FloatArray = NDArray[np.float64]
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Distance:
    """Between the training frames and those that models are judged by, on one time axis."""

    smallest: float | None
    """None when they are not both there."""
    too_near: int
    """Training frames nearer than the guard."""


def distance(training: FloatArray, judged: FloatArray, guard: float) -> Distance:
    """How near training positions come to judged ones.

    Args:
        training: ``(n,)`` positions on one axis.
        judged: ``(m,)`` positions on it.
        guard: distance that they should keep.
    """
    if not len(training) or not len(judged):
        return Distance(None, 0)
    others = np.concatenate(([-np.inf], np.sort(judged), [np.inf]))
    after = np.searchsorted(others, training)
    gaps = np.minimum(others[after] - training, training - others[after - 1])
    return Distance(float(gaps.min()), int((gaps < guard - _ROUNDING).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Frames with their looks, sources and places."""

    hashes: HashArray
    """``(n,)`` unsigned difference hashes."""
    axes: IntArray
    """``(n,)`` number of the time axis; pairs within one are told by :func:`distance`."""
    sources: IntArray
    """``(n,)`` number of the source."""
    positions: FloatArray
    """``(n,)`` in the source."""
    moments: FloatArray
    """``(n,)`` the distance from which two frames of the source show two moments."""
    units: NDArray[np.int8]
    """``(n,)`` what positions in the source are counted in (:func:`data_engine.selection.splits.unit`)."""


@dataclass(frozen=True, slots=True)
class Found:
    """The near-duplicates of different axes on two sides."""

    across: list[tuple[int, int]]
    """Pairs of a training frame and a judged one that show the same, by their places."""
    exempt: int
    """Pairs of which nobody can tell: a look of theirs recurs in its own source."""


def near_duplicates(seen: Seen, training: BoolArray, judged: BoolArray, touched: BoolArray | None = None) -> Found:
    """Look for pairs of a training frame and a judged one of different axes that look alike.

    A pair counts where neither look recurs in its own source, and between sources of two units, which can have no axis
    in common, also where the two are nearer to each other than to any other moment of their sources.

    Args:
        seen: all frames, also those of no side: by them it is told which looks recur in their source.
        training: ``(n,)`` which are on the training side.
        judged: ``(n,)`` which are on another one.
        touched: ``(n,)`` only pairs with one of these; None for all.
    """
    recurs = _Recurring(seen)
    across: list[tuple[int, int]] = []
    exempt = 0
    for one, other in _near(seen, training, judged, touched):
        counts = ~(recurs.at(one) | recurs.at(other))
        asked = np.flatnonzero(~counts & (seen.units[one] != seen.units[other]))
        bits = np.bitwise_count(seen.hashes[one[asked]] ^ seen.hashes[other[asked]])
        counts[asked] = (bits < recurs.bits(one[asked])) & (bits < recurs.bits(other[asked]))
        across += zip(one[counts].tolist(), other[counts].tolist(), strict=True)
        exempt += int((~counts).sum())
    return Found(sorted(across), exempt)


def near_pairs(seen: Seen, training: BoolArray, judged: BoolArray, touched: BoolArray) -> int:
    """How many pairs :func:`near_duplicates` would find, those that count and those that do not."""
    return sum(len(one) for one, _other in _near(seen, training, judged, touched))


def _near(
    seen: Seen, training: BoolArray, judged: BoolArray, touched: BoolArray | None
) -> Iterator[tuple[IntArray, IntArray]]:
    """Near pairs of different axes in portions: the training frames, and the judged ones."""
    if touched is None:
        yield from _between(seen, training, judged)
    else:
        yield from _between(seen, training & touched, judged)
        yield from _between(seen, training & ~touched, judged & touched)


def _between(seen: Seen, training: BoolArray, judged: BoolArray) -> Iterator[tuple[IntArray, IntArray]]:
    mine, others = np.flatnonzero(training), np.flatnonzero(judged)
    # The many are indexed, and the few asked for.
    few, many = (mine, others) if len(mine) < len(others) else (others, mine)
    if not len(few):
        return
    index = NearIndex(seen.hashes[many], seen.axes[many], NEAR)
    for asked, place in index.pairs(seen.hashes[few], seen.axes[few]):
        if len(asked):
            yield (few[asked], many[place]) if few is mine else (many[place], few[asked])


class _Recurring:
    """Which looks recur in their own source, and how near; found out where it is asked for."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        order = np.argsort(seen.sources, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(seen.sources[order])) + 1) if len(order) else []
        self._rows = {int(seen.sources[rows[0]]): rows for rows in parts}
        self._known: set[int] = set()
        self._found = np.zeros(len(seen.sources), np.bool_)
        self._bits = np.full(len(seen.sources), 255, np.uint8)
        """255 where it was not found out yet."""

    def at(self, places: IntArray) -> BoolArray:
        """``(k,)`` whether the looks of these frames recur."""
        seen = self._seen
        for source in set(np.unique(seen.sources[places]).tolist()) - self._known:
            rows = self._rows[source]
            self._found[rows] = recurring(seen.hashes[rows], seen.positions[rows], float(seen.moments[rows[0]]))
            self._known.add(source)
        return self._found[places]

    def bits(self, places: IntArray) -> NDArray[np.uint8]:
        """``(k,)`` bits to the nearest look at another moment of each one's source; 64 where there is none."""
        seen = self._seen
        asked = np.unique(places[self._bits[places] == 255])
        for source in np.unique(seen.sources[asked]).tolist():
            rows = self._rows[source]
            mine = np.flatnonzero(np.isin(rows, asked))
            self._bits[rows[mine]] = nearest_again(
                seen.hashes[rows], seen.positions[rows], float(seen.moments[rows[0]]), mine
            )
        return self._bits[places]
