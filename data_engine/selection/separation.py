"""Measuring how far apart the sides of a split are, in time and in look, whatever they were decided by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_engine.selection.near_index import NEAR, BoolArray, HashArray, IntArray, NearIndex, recurring

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


def near_duplicates(
    seen: Seen, training: BoolArray, judged: BoolArray, touched: BoolArray | None = None
) -> list[tuple[int, int]]:
    """Pairs of a training frame and a judged one of different axes that look alike, though neither look recurs.

    Args:
        seen: all frames, also those of no side: by them it is told which looks recur in their source.
        training: ``(n,)`` which are on the training side.
        judged: ``(n,)`` which are on another one.
        touched: ``(n,)`` only pairs with one of these; None for all.
    """
    pairs = _pairs(seen, training, judged, touched)
    if not len(pairs):
        return []
    involved = np.zeros(len(seen.hashes), np.bool_)
    involved[pairs.ravel()] = True
    telling = involved & ~_recurring(seen, involved)
    return [(one, other) for one, other in pairs[telling[pairs].all(axis=1)].tolist()]


def _pairs(seen: Seen, training: BoolArray, judged: BoolArray, touched: BoolArray | None) -> IntArray:
    """``(k, 2)`` near pairs of different axes, the training frame first, in order."""
    every = np.ones(len(training), np.bool_)
    if touched is None:
        found = [_between(seen, training, judged)]
    else:
        found = [
            _between(seen, training & touched, judged),
            _between(seen, training & (every ^ touched), judged & touched),
        ]
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _between(seen: Seen, training: BoolArray, judged: BoolArray) -> IntArray:
    mine, others = np.flatnonzero(training), np.flatnonzero(judged)
    # The many are indexed, and the few asked for.
    few, many = (mine, others) if len(mine) < len(others) else (others, mine)
    index = NearIndex(seen.hashes[many], seen.axes[many], NEAR)
    found = [
        np.stack([few[asked], many[place]], axis=1) for asked, place in index.pairs(seen.hashes[few], seen.axes[few])
    ]
    pairs = np.concatenate([np.zeros((0, 2), np.intp), *found])
    return pairs if few is mine else pairs[:, ::-1]


def _recurring(seen: Seen, involved: BoolArray) -> BoolArray:
    """``(n,)`` whose look recurs, among the sources with frames that are involved."""
    found = np.zeros(len(involved), np.bool_)
    order = np.argsort(seen.sources, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(seen.sources[order])) + 1):
        if involved[rows].any():
            found[rows] = recurring(seen.hashes[rows], seen.positions[rows], float(seen.moments[rows[0]]))
    return found
