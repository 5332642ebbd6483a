"""What matched detections are worth, with intervals from resampled footage.

The unit that is resampled is a stretch of footage, never a picture: frames of a few seconds show the same people in the
same places, and a thousand of them would pass for a thousand proofs.  The interval is the percentile one (Efron and
Tibshirani, "An introduction to the bootstrap", 1993, chapter 13); of two models the difference is taken in each
resample, so that footage which is hard for both counts for neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from data_engine.metrics.average_precision import Ranked, average_precision
from data_engine.metrics.matching import ALL, IOUS
from data_engine.types.evaluation import Delta, Measured, Metric, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_engine.metrics.matching import Matches

LEAST_STRETCHES = 2
"""Stretches of footage below which there is no interval: all resamples would be equal."""
_LEAST_SAMPLES = 0.5
"""Share of the resamples that must hold a box of what is measured for an interval."""
_METRICS: tuple[Metric, ...] = ("map", "map50")


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """What of a set is measured."""

    size: int = ALL
    """Place in :data:`~data_engine.metrics.matching.SIZES`."""
    pictures: NDArray[np.bool_] | None = None
    """``(pictures,)`` which of them; None for all."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """The metrics of some classes, and what they would have been on other footage of the kind."""

    precision: NDArray[np.float64]
    """``(classes, overlaps)`` average precision; NaN for a class without a box."""
    recall: NDArray[np.float64]
    """``(classes,)`` share of the boxes that are found at all, mean over the overlaps; NaN likewise."""
    samples: NDArray[np.float64]
    """``(resamples, classes, 2)`` average precision over all overlaps, and at the lowest."""
    boxes: NDArray[np.int64]
    """``(classes,)`` that are there to be found."""
    pictures: int
    holding: NDArray[np.int64]
    """``(classes,)`` pictures with such a box."""
    stretches: NDArray[np.int64]
    """``(classes,)`` stretches of footage with such a box."""

    def of(self, labels: Sequence[int]) -> Sampled:
        """Of some of its classes, by their places, in this order."""
        some = list(labels)
        return replace(
            self,
            precision=self.precision[some],
            recall=self.recall[some],
            samples=self.samples[:, some],
            boxes=self.boxes[some],
            holding=self.holding[some],
            stretches=self.stretches[some],
        )

    @property
    def by_class(self) -> NDArray[np.float64]:
        """``(classes, 2)`` average precision over all overlaps, and at the lowest."""
        return np.stack([self.precision.mean(axis=1), self.precision[:, 0]], axis=-1)

    @property
    def values(self) -> NDArray[np.float64]:
        """``(2,)`` the means over the classes that have a box; NaN where none has."""
        return _mean(self.by_class, 0)

    def drawn(self, place: int | None = None) -> NDArray[np.float64]:
        """``(resamples, 2)`` the metrics of one class by its place, or the means over all.

        None for a class that a single stretch holds: it is in a resample or is not, and never another.
        """
        if place is None:
            return _mean(self.samples, 1)
        return self.samples[:, place] if self.stretches[place] >= LEAST_STRETCHES else self.samples[:0, place]

    def scores(self, level: float, place: int | None = None) -> Scores:
        """Of one class by its place, or the means over all."""
        value = self.values if place is None else self.by_class[place]
        drawn = self.drawn(place)
        recall = float(_mean(self.recall, 0) if place is None else self.recall[place])
        return Scores(
            measured(float(value[0]), drawn[:, 0], level),
            measured(float(value[1]), drawn[:, 1], level),
            None if np.isnan(recall) else recall,
            self.pictures,
            int(self.boxes.sum() if place is None else self.boxes[place]),
        )


def measure(
    matches: Matches,
    units: NDArray[np.integer],
    draws: NDArray[np.integer] | None,
    subset: Subset | None = None,
) -> Sampled:
    """The metrics of a part of a set, each equal to pycocotools' of that part alone.

    Args:
        matches: of the whole set.
        units: ``(pictures,)`` the stretch of footage of each, from 0.
        draws: ``(resamples, stretches)`` as of :func:`data_engine.metrics.average_precision.draws_of`; None for none.
        subset: which part; all of it by default.
    """
    part = subset or Subset()
    labels = range(matches.classes)
    stretches = int(units.max(initial=-1)) + 1 if draws is None else draws.shape[1]
    once = np.ones((1, stretches), np.int32)
    here = np.ones(matches.pictures, np.bool_) if part.pictures is None else part.pictures
    if len(np.unique(units[here])) < LEAST_STRETCHES:
        draws = None
    resamples = 0 if draws is None else len(draws)
    precision = np.full((len(labels), len(IOUS)), np.nan)
    recall = np.full(len(labels), np.nan)
    samples = np.full((resamples, len(labels), 2), np.nan)
    boxes, holding, held = (np.zeros(len(labels), np.int64) for _ in range(3))
    bits = np.arange(len(IOUS), dtype=np.uint16)[:, None]
    order = np.argsort(-matches.score, kind="stable")
    order = order[here[matches.picture[order]]]
    wanted = matches.true_counts[:, part.size] & here[matches.true_picture]
    for label in labels:
        mine = matches.true_picture[wanted & (matches.true_label == label)]
        boxes[label], holding[label], held[label] = len(mine), len(np.unique(mine)), len(np.unique(units[mine]))
        if not len(mine):
            continue
        rows = order[matches.label[order] == label]
        counts = (matches.passed[rows, part.size] >> bits) & 1 == 0
        hit = ((matches.found[rows, part.size] >> bits) & 1 == 1) & counts
        ranked = Ranked(units[matches.picture[rows]], hit, counts, np.bincount(units[mine], minlength=stretches))
        precision[label] = average_precision(ranked, once)[0]
        recall[label] = hit.sum() / len(IOUS) / len(mine)
        if draws is not None:
            drawn = average_precision(ranked, draws)
            samples[:, label, 0], samples[:, label, 1] = drawn.mean(axis=1), drawn[:, 0]
    return Sampled(precision, recall, samples, boxes, int(here.sum()), holding, held)


def measured(value: float, samples: NDArray[np.float64], level: float) -> Measured:
    """A value with its percentile interval; NaN is None, in the value and among the samples."""
    if np.isnan(value):
        return Measured(None)
    known = samples[~np.isnan(samples)]
    if not len(known) or len(known) < _LEAST_SAMPLES * len(samples):
        return Measured(value)
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return Measured(value, float(low), float(high))


def delta(champion: Sampled, challenger: Sampled, metric: Metric, level: float, place: int | None = None) -> Delta:
    """The metric of two models of the same classes on the same pictures and draws, of one class or the means."""
    which = _METRICS.index(metric)
    pair = []
    for one in (champion, challenger):
        value = one.values[which] if place is None else one.by_class[place, which]
        pair.append((float(value), one.drawn(place)[:, which]))
    (before, drawn_before), (after, drawn_after) = pair
    apart = measured(after - before, drawn_after - drawn_before, level)
    return Delta(
        champion=None if np.isnan(before) else before,
        challenger=None if np.isnan(after) else after,
        difference=apart.value,
        low=apart.low,
        high=apart.high,
        images=champion.pictures if place is None else int(champion.holding[place]),
        boxes=int(champion.boxes.sum() if place is None else champion.boxes[place]),
    )


def _mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The mean of what is known along an axis; NaN, without a warning, where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0))
