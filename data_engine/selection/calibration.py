"""Probabilities that mean what they say: temperature scaling.

Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017).  After a sigmoid the temperature
divides each class's own logit, so one number softens or sharpens all of them and their order stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIGHEST = 1.0 - 2.0**-12
"""What a probability of 1 stands for: float16, in which predictions are stored, has nothing between 1 - 2^-11 and 1."""
COLDEST, HOTTEST = 0.1, 10.0
LEAST_PAIRS = 200
"""Judged boxes below which nothing is fitted."""
LEAST_OF_EACH = 20
"""Confirmed, and refused, boxes below which nothing is fitted."""
SAME_THING = 0.5
"""Overlap with an accepted box of its class from which a predicted box is confirmed by it."""
BINS = 15


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's probabilities are to be read."""

    temperature: float
    """1 leaves them as they are."""
    pairs: int
    """Boxes that it was fitted on."""
    confirmed: int
    """Those among them that people confirmed."""
    error_before: float | None
    """Expected calibration error of the probabilities as the model gives them; None without a box."""
    error_after: float | None
    """The same after scaling, on the same boxes."""
    enough: bool
    """Whether there were enough boxes to fit a temperature."""

    @property
    def told(self) -> str:
        """What to tell people about it."""
        if not self.enough:
            return (
                f"probabilities are taken as they are: to calibrate them, {LEAST_PAIRS} boxes of the model on accepted "
                f"frames that it was not trained on are needed ({LEAST_OF_EACH} confirmed, {LEAST_OF_EACH} not), and "
                f"there are {self.pairs} ({self.confirmed} confirmed)"
            )
        return (
            f"probabilities calibrated on {self.pairs} judged boxes: temperature {self.temperature:.2f}, "
            f"expected calibration error {self.error_before:.3f} -> {self.error_after:.3f}"
        )


def calibrated(scores: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """``sigmoid(logit(p) / temperature)``, same shape, any float type.

    0 stays 0.  A temperature of 1 changes nothing; any other reads a probability above :data:`HIGHEST` as that.
    """
    p = scores.astype(np.float64)
    if temperature == 1.0:
        return p
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-_logits(p) / temperature)))


def _logits(p: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.minimum(p, HIGHEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), np.float64)


def fit(scores: NDArray[np.floating], confirmed: NDArray[np.bool_]) -> Calibration:
    """The temperature under which what became of the boxes is most likely.

    Args:
        scores: ``(k,)`` probabilities of predicted boxes; zeros are left out.
        confirmed: ``(k,)`` whether people confirmed the box.
    """
    p, hit = scores.astype(np.float64), confirmed.astype(np.bool_)
    p, hit = p[p > 0], hit[p > 0]
    hits = int(hit.sum())
    before = calibration_error(p, hit) if len(p) else None
    if len(p) < LEAST_PAIRS or min(hits, len(p) - hits) < LEAST_OF_EACH:
        return Calibration(1.0, len(p), hits, before, before, enough=False)
    temperature = _most_likely(_logits(p), hit)
    return Calibration(temperature, len(p), hits, before, calibration_error(calibrated(p, temperature), hit), True)


def _most_likely(logits: NDArray[np.float64], hit: NDArray[np.bool_]) -> float:
    """The temperature of least negative log-likelihood, between :data:`COLDEST` and :data:`HOTTEST`.

    In ``1 / temperature`` this is a logistic regression without a constant, and convex: its slope is bisected.
    """
    low, high = 1.0 / HOTTEST, 1.0 / COLDEST
    for _ in range(60):
        middle = (low + high) / 2
        slope = float(((1.0 / (1.0 + np.exp(-middle * logits)) - hit) * logits).sum())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 2.0 / (low + high)


def calibration_error(p: NDArray[np.float64], hit: NDArray[np.bool_], bins: int = BINS) -> float:
    """Expected calibration error in bins of equal mass: ``sum n_b / n |mean p - share of hits|``.

    Formula: Guo et al. 2017, section 2; equal masses: Nguyen and O'Connor, "Posterior calibration and exploratory
    analysis for natural language processing models" (2015).  Equal probabilities are in one bin, so the order of the
    boxes does not matter.
    """
    bin_of = bins_of(p, bins)
    gaps = np.bincount(bin_of, weights=p - hit)
    return float(np.abs(gaps).sum() / len(p))


def bins_of(p: NDArray[np.float64], bins: int = BINS) -> NDArray[np.intp]:
    """``(k,)`` the bin of each probability, from 0 for the lowest: of equal mass, equal probabilities in one."""
    _values, which, counts = np.unique(p, return_inverse=True, return_counts=True)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return np.asarray((first * bins // len(p))[which], np.intp)


def judged(
    xyxy: NDArray[np.float32],
    label: NDArray[np.int64],
    score: NDArray[np.floating],
    true_xyxy: NDArray[np.float32],
    true_label: NDArray[np.int64],
    crowd: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which boxes of one frame people confirmed, and which of them tell anything at all.

    The best box first, each takes the accepted box of its class that it overlaps most and by at least
    :data:`SAME_THING`, and that no better one has.  What is left over and lies in a crowd of its class tells nothing.

    Args:
        xyxy: ``(k, 4)`` predicted boxes, in pixels.
        label: ``(k,)`` their classes.
        score: ``(k,)`` their probabilities.
        true_xyxy: ``(t, 4)`` accepted boxes.
        true_label: ``(t,)`` their classes, numbered as the predicted ones.
        crowd: ``(t,)`` whether one stands for many things.

    Returns:
        ``(k,)`` whether it is confirmed, ``(k,)`` whether it counts.
    """
    confirmed, counts = np.zeros(len(xyxy), np.bool_), np.ones(len(xyxy), np.bool_)
    free = ~crowd
    for box in np.argsort(-score, kind="stable").tolist():
        same = np.flatnonzero(true_label == label[box])
        if not len(same):
            continue
        pairs = np.broadcast_to(xyxy[box], (len(same), 4))
        overlaps = np.where(free[same], iou(pairs, true_xyxy[same]), 0.0)
        best = int(overlaps.argmax())
        if overlaps[best] >= SAME_THING:
            confirmed[box], free[same[best]] = True, False
        elif crowd[same].any():
            counts[box] = float(_inside(xyxy[box], true_xyxy[same[crowd[same]]]).max()) < SAME_THING
    return confirmed, counts


def _inside(box: NDArray[np.float32], regions: NDArray[np.float32]) -> NDArray[np.float64]:
    """``(t,)`` the part of the box that lies in each region."""
    left_top = np.maximum(box[:2], regions[:, :2])
    inner = np.prod(np.maximum(np.minimum(box[2:], regions[:, 2:]) - left_top, 0), axis=1)
    area = float(np.prod(np.maximum(box[2:] - box[:2], 0)))
    return np.asarray(inner / area if area > 0 else np.zeros(len(regions)), np.float64)
