"""Average precision of many resamples of the same pictures at once, each equal to what pycocotools gives of it.

A resample says how often each stretch of footage is in it.  A detection of a picture that is in it twice counts twice;
nothing is matched or sorted again, for the order of scores stays (of equal scores that of the pictures, then that of
the boxes).  Between two found boxes precision only falls, so it is looked at where a box is found: there are fewer of
those than of detections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = np.linspace(0.0, 1.0, 101)
"""COCO's levels of recall, as pycocotools makes them."""
_AT_ONCE = 1 << 20
"""Numbers in one table: a few of them fit into the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The detections of one class, from the best score down."""

    unit: NDArray[np.intp]
    """``(n,)`` stretch of footage of each."""
    hit: NDArray[np.bool_]
    """``(overlaps, n)`` whether it finds a box that counts."""
    counts: NDArray[np.bool_]
    """``(overlaps, n)`` whether it counts for or against the model; every hit does."""
    positives: NDArray[np.int64]
    """``(units,)`` boxes that are there to be found in each stretch."""

    def trimmed(self) -> Ranked:
        """Without what changes nothing: detections that never count, and those below the last hit."""
        hits = np.flatnonzero(self.hit.any(axis=0))
        last = int(hits[-1]) + 1 if len(hits) else 0
        kept = np.flatnonzero(self.counts[:, :last].any(axis=0))
        return Ranked(self.unit[kept], self.hit[:, kept], self.counts[:, kept], self.positives)


def average_precision(ranked: Ranked, draws: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(resamples, overlaps)`` the mean precision at :data:`LEVELS`; NaN where a resample holds no box to find.

    Args:
        ranked: the detections.
        draws: ``(resamples, units)`` how often each stretch is in a resample.
    """
    ranked = ranked.trimmed()
    positives = draws.astype(np.int64) @ ranked.positives
    overlaps, count = ranked.hit.shape
    result = np.zeros((len(draws), overlaps))
    step = max(1, _AT_ONCE // max(count, 1))
    for start in range(0, len(draws), step):
        rows = slice(start, start + step)
        result[rows] = _of_some(ranked, draws[rows], positives[rows])
    result[positives == 0] = np.nan
    return result


def _of_some(ranked: Ranked, draws: NDArray[np.integer], positives: NDArray[np.int64]) -> NDArray[np.float64]:
    overlaps, count = ranked.hit.shape
    result = np.zeros((len(draws), overlaps))
    if not count:
        return result
    weights = draws[:, ranked.unit].astype(np.int32)
    # What counts at every overlap, nearly all, is summed up once.
    always = ranked.counts.all(axis=0)
    base = np.zeros((len(draws), count + 1), np.int32)
    np.cumsum(weights * always, axis=1, out=base[:, 1:])
    reached = _reached(positives, int((weights * ranked.hit.any(axis=0)).sum(axis=1).max()))
    for overlap in range(overlaps):
        hits = np.flatnonzero(ranked.hit[overlap])
        if not len(hits):
            continue
        seen = base[:, hits + 1]
        extra = np.flatnonzero(ranked.counts[overlap] & ~always)
        if len(extra):
            more = np.zeros((len(draws), len(extra) + 1), np.int32)
            np.cumsum(weights[:, extra], axis=1, out=more[:, 1:])
            seen = seen + more[:, np.searchsorted(extra, hits, side="right")]
        found = np.cumsum(weights[:, hits], axis=1)
        precision = found / np.maximum(seen, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        # Each level has the best precision from where it is first reached.
        levels = np.diff(np.take_along_axis(reached, found, axis=1), axis=1, prepend=0)
        result[:, overlap] = (levels * best).sum(axis=1) / len(LEVELS)
    return result


def _reached(positives: NDArray[np.int64], most: int) -> NDArray[np.int32]:
    """``(resamples, most + 1)`` how many levels of recall so many found boxes reach, by pycocotools' own division."""
    total = np.maximum(positives, 1)[:, None].astype(np.float64)
    needed = np.ceil(LEVELS[None, :] * total)
    needed -= (needed > 0) & ((needed - 1) / total >= LEVELS)
    needed += needed / total < LEVELS
    width = most + 2
    places = np.minimum(needed.astype(np.int64), most + 1) + np.arange(len(total))[:, None] * width
    table = np.bincount(places.ravel(), minlength=len(total) * width).reshape(len(total), width)
    return np.cumsum(table[:, :-1], axis=1, dtype=np.int32)


def draws_of(units: int, resamples: int, seed: int) -> NDArray[np.int32]:
    """``(resamples, units)`` how often each of so many stretches is drawn, with replacement, as many as there are."""
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1.0 / units), size=resamples).astype(np.int32)
