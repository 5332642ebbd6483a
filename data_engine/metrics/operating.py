"""From which score on boxes are taken: precision, recall and score against each other at COCO's lowest overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.metrics.average_precision import LEVELS
from data_engine.metrics.matching import ALL
from data_engine.metrics.measuring import measured
from data_engine.selection.calibration import bins_of, calibration_error
from data_engine.types.evaluation import Curve, Measured, Reliability, Threshold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from data_engine.metrics.matching import Matches

_DIGITS = 4
"""Of a threshold, as people type it."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The detections of one class that count for or against a model, from the best score down."""

    unit: NDArray[np.integer]
    """``(n,)`` stretch of footage of each."""
    score: NDArray[np.float64]
    hit: NDArray[np.bool_]
    """``(n,)`` whether it finds a box."""
    positives: NDArray[np.int64]
    """``(units,)`` boxes that are there to be found in each stretch."""


def judged_of(matches: Matches, units: NDArray[np.integer], label: int) -> Judged:
    """Those of a class; ``units`` as of :func:`data_engine.metrics.measuring.measure`."""
    rows = np.flatnonzero((matches.label == label) & (matches.passed[:, ALL] & 1 == 0))
    rows = rows[np.argsort(-matches.score[rows], kind="stable")]
    mine = matches.true_picture[matches.true_counts[:, ALL] & (matches.true_label == label)]
    positives = np.bincount(units[mine], minlength=int(units.max(initial=-1)) + 1)
    hit = matches.found[rows, ALL] & 1 == 1
    return Judged(units[matches.picture[rows]], matches.score[rows].astype(np.float64), hit, positives)


def threshold(judged: Judged, wanted: float, draws: NDArray[np.integer] | None, level: float) -> Threshold:
    """The highest score from which on a share of the boxes is found, or what comes nearest to it.

    Scores are stored as float16, so it is set half a step below the last box that is needed, and rounded down: what the
    model says of that box anew, with all its digits, still passes.

    Args:
        judged: detections of the class.
        wanted: share of its boxes, above 0 to 1.
        draws: resamples of the stretches, as of :func:`data_engine.metrics.measuring.measure`.
        level: of the intervals.
    """
    total, hits = int(judged.positives.sum()), np.cumsum(judged.hit)
    if not total:
        return Threshold(wanted, None, False, Measured(None), Measured(None))
    best = int(hits[-1]) if len(hits) else 0
    needed = _fewest(wanted, total)
    if not best:
        return Threshold(wanted, None, False, Measured(0.0), Measured(None))
    last = int(np.searchsorted(hits, min(needed, best)))
    score = _passing(float(judged.score[last]))
    taken = judged.score >= score
    units = len(judged.positives)
    right = np.bincount(judged.unit[taken & judged.hit], minlength=units)
    every = np.bincount(judged.unit[taken], minlength=units)
    return Threshold(
        wanted,
        score,
        best >= needed,
        _share(right, judged.positives, draws, level),
        _share(right, every, draws, level),
    )


def _fewest(wanted: float, total: int) -> int:
    """The fewest of ``total`` whose share is not below ``wanted``."""
    needed = math.ceil(wanted * total)
    return needed - 1 if needed and (needed - 1) / total >= wanted else needed


def _passing(score: float) -> float:
    low = score - float(np.spacing(np.float16(score))) / 2
    steps = 10.0**_DIGITS
    return max(math.floor(low * steps) / steps, 0.0)


def _share(
    part: NDArray[np.int64], whole: NDArray[np.int64], draws: NDArray[np.integer] | None, level: float
) -> Measured:
    total = int(whole.sum())
    if not total:
        return Measured(None)
    value = float(part.sum() / total)
    if draws is None:
        return Measured(value)
    below = draws @ whole
    return measured(value, np.divide(draws @ part, below, out=np.full(len(draws), np.nan), where=below > 0), level)


def curve(judged: Judged) -> Curve:
    """Precision and score at each of COCO's levels of recall; precision is the best at that recall or a higher one."""
    total, hits = int(judged.positives.sum()), np.cumsum(judged.hit)
    if not total or not len(hits):
        return Curve((0.0,) * len(LEVELS), (0.0,) * len(LEVELS))
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    at = np.searchsorted(hits / total, LEVELS, side="left")
    return Curve(_rounded(best[at]), _rounded(np.append(judged.score, 0.0)[at]))


def reliability(judged: Iterable[Judged], floor: float) -> Reliability:
    """How often boxes of these classes from a score on are right, beside how sure the model was of them."""
    some = list(judged)
    score = np.concatenate([np.zeros(0), *(one.score for one in some)])
    hit = np.concatenate([np.zeros(0, np.bool_), *(one.hit for one in some)])
    kept = score >= floor
    score, hit = score[kept], hit[kept]
    if not len(score):
        return Reliability(None, 0, ())
    which = bins_of(score)
    boxes = np.bincount(which)
    used = np.flatnonzero(boxes)
    sure = np.bincount(which, score)[used] / boxes[used]
    right = np.bincount(which, hit)[used] / boxes[used]
    bins = zip(_rounded(sure), _rounded(right), boxes[used].tolist(), strict=True)
    return Reliability(calibration_error(score, hit), len(score), tuple(bins))


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(value, 6) for value in values.tolist())
