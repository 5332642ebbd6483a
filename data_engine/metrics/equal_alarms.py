"""Which of two models finds more where both raise as many false alarms, class by class.

Each model's own threshold for a wanted recall reaches that recall, so these recalls tell nothing of two models.  What
people put up with are false alarms: the model in use sets how many there may be, by those that it raises at its
operating threshold, and each model is then taken at the lowest score at which it raises no more.  It is the recall at a
given number of false alarms a picture of detection benchmarks (Dollár et al., "Pedestrian detection: an evaluation of
the state of the art", 2012), whose smallest number, one in a hundred pictures, is the least here as well: or a single
false alarm would decide about a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.metrics.measuring import LEAST_STRETCHES, Subset, measured
from data_engine.metrics.operating import judged_of, threshold
from data_engine.types.evaluation import Delta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_engine.metrics.matching import Matches
    from data_engine.metrics.operating import Judged

LEAST_ALARMS = 0.01
"""False alarms a picture that each model may raise whatever the other does."""


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """The boxes of some classes that one model finds at these thresholds, and those that are there."""

    matches: Matches
    labels: Sequence[int]
    """Places of the classes among the model's own, in the order of the comparison."""
    scores: Sequence[float]
    """By class, the lowest score that is taken; above 1 where none is."""

    def counts(
        self, units: NDArray[np.integer], stretches: int, subset: Subset
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``(classes, stretches)`` boxes of a part that are found, and that are there."""
        matches, size = self.matches, subset.size
        here = np.ones(matches.pictures, np.bool_) if subset.pictures is None else subset.pictures
        found, there = (np.zeros((len(self.labels), stretches), np.int64) for _ in range(2))
        hit = (matches.found[:, size] & 1 == 1) & (matches.passed[:, size] & 1 == 0) & here[matches.picture]
        wanted = matches.true_counts[:, size] & here[matches.true_picture]
        for place, (label, least) in enumerate(zip(self.labels, self.scores, strict=True)):
            rows = hit & (matches.label == label) & (matches.score >= least)
            found[place] = np.bincount(units[matches.picture[rows]], minlength=stretches)
            mine = wanted & (matches.true_label == label)
            there[place] = np.bincount(units[matches.true_picture[mine]], minlength=stretches)
        return found, there


def taken(
    champion: Matches, challenger: Matches, labels: Sequence[tuple[int, int]], wanted: Sequence[float], level: float
) -> tuple[Taken, Taken]:
    """Both models at the lowest scores at which neither raises more false alarms of a class than the first one may.

    Args:
        champion: whose operating thresholds say how many there may be.
        challenger: of the same pictures.
        labels: the classes, by their places in the two.
        wanted: of each class, the recall that its operating threshold is for.
        level: of :func:`data_engine.metrics.operating.threshold`.
    """
    nowhere = np.zeros(champion.pictures, np.int64)
    scores: tuple[list[float], list[float]] = ([], [])
    for (first, second), share in zip(labels, wanted, strict=True):
        before, after = judged_of(champion, nowhere, first), judged_of(challenger, nowhere, second)
        operating = threshold(before, share, None, level).score
        raised = 0 if operating is None else int((~before.hit & (before.score >= operating)).sum())
        alarms = max(raised, int(np.ceil(LEAST_ALARMS * champion.pictures)))
        for judged, found in zip((before, after), scores, strict=True):
            found.append(_lowest(judged, alarms))
    first_labels, second_labels = zip(*labels, strict=True)
    return Taken(champion, first_labels, scores[0]), Taken(challenger, second_labels, scores[1])


def _lowest(judged: Judged, alarms: int) -> float:
    """The lowest score from which on there are at most so many false alarms; 2 where there is none."""
    # Boxes of one score are taken together or not at all.
    ends = np.flatnonzero(np.append(np.diff(judged.score) != 0, True)[: len(judged.score)])
    fine = ends[np.cumsum(~judged.hit)[ends] <= alarms]
    return float(judged.score[fine[-1]]) if len(fine) else 2.0


def recalls(
    champion: Taken,
    challenger: Taken,
    units: NDArray[np.integer],
    draws: NDArray[np.integer] | None,
    level: float,
    subset: Subset | None = None,
) -> tuple[Delta, list[Delta | None]]:
    """The mean recall over the classes of both models on a part of a set, and each class's; None without a box of it.

    Args:
        champion: taken as of :func:`taken`.
        challenger: likewise.
        units: ``(pictures,)`` the stretch of footage of each.
        draws: ``(resamples, stretches)``; None for no intervals.
        level: of these.
        subset: which part; all by default.
    """
    part = subset or Subset()
    stretches = int(units.max(initial=-1)) + 1 if draws is None else draws.shape[1]
    here = np.ones(len(units), np.bool_) if part.pictures is None else part.pictures
    if len(np.unique(units[here])) < LEAST_STRETCHES:
        draws = None
    (before, there), (after, _same) = (one.counts(units, stretches, part) for one in (champion, challenger))
    boxes = there.sum(axis=1)
    values = [_shares(found.sum(axis=1), boxes) for found in (before, after)]
    drawn = [
        np.zeros((0, len(boxes))) if draws is None else _shares(draws @ found.T, draws @ there.T)
        for found in (before, after)
    ]
    by_class: list[Delta | None] = []
    for place, count in enumerate(boxes.tolist()):
        # A class that a single stretch holds is in a resample or is not, and never another.
        some = (there[place] > 0).sum() >= LEAST_STRETCHES
        pair = [one[:, place] if some else one[:0, place] for one in drawn]
        held = champion.matches.true_picture[
            (champion.matches.true_label == champion.labels[place]) & champion.matches.true_counts[:, part.size]
        ]
        images = len(np.unique(held[here[held]]))
        by_class.append(_delta([one[place] for one in values], pair, level, images, count) if count else None)
    known = boxes > 0
    means = [float(one[known].mean()) if known.any() else np.nan for one in values]
    # A resample's mean is over the classes that it holds, as everywhere.
    sampled = [_mean(one) for one in drawn]
    return _delta(means, sampled, level, int(here.sum()), int(boxes.sum())), by_class


def _delta(pair: Sequence[float], drawn: Sequence[NDArray[np.float64]], level: float, images: int, boxes: int) -> Delta:
    before, after = (None if np.isnan(value) else float(value) for value in pair)
    apart = measured(float(pair[1] - pair[0]), drawn[1] - drawn[0], level)
    return Delta(before, after, apart.value, apart.low, apart.high, images, boxes)


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """NaN where there is nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))


def _mean(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(drawn)
    count = known.sum(axis=1)
    total = np.where(known, drawn, 0.0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(drawn), np.nan), where=count > 0))
