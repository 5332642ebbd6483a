"""Do two files answer as one model does?  An export is held against the weights that it was made of.  Pure.

Both run the same arithmetic in another order, so numbers differ in their last digits, and a box that only just survived
suppression, or only just reached the floor, may be missing on either side.  So boxes are paired instead of counted off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou
from data_engine.types import SCORE_FLOOR, Detections

if TYPE_CHECKING:
    from data_engine.types import FloatArray

SCORE = 0.005
"""By how much the probability of any class may differ between the two answers for one box; 1e-6 is what it does."""
PLACE = 0.95
"""Intersection over union from which two boxes are one: half a pixel at the edges of a box of 40."""
LOST = 0.02
"""Share of the boxes that may have no counterpart: those at the border of suppression."""
_CLEAR = SCORE_FLOOR + SCORE
"""Best score from which on a counterpart is asked for: below, it may have fallen under the floor."""


@dataclass(frozen=True, slots=True)
class Sameness:
    """How far two answers to the same pictures agree."""

    pictures: int
    boxes: int
    """That were looked for a counterpart, those of both sides."""
    lost: int
    """Those of them that have none."""
    score: float
    """The largest difference of a probability between counterparts."""
    place: float
    """The smallest overlap of counterparts; 1 without any."""

    @property
    def same(self) -> bool:
        """Whether they are one model's; also where neither finds anything, which shows nothing else."""
        return self.lost <= LOST * self.boxes


def sameness(pairs: Iterable[tuple[Detections, Detections]]) -> Sameness:
    """Compare the answers of two models to the same pictures, columns of the same classes."""
    pictures = boxes = lost = 0
    score, place = 0.0, 1.0
    for one, other in pairs:
        pictures += 1
        for mine, theirs in ((one, other), (other, one)):
            clear = mine.best >= _CLEAR
            difference, overlap = _nearest(mine.xyxy[clear], mine.scores[clear], theirs)
            found = difference <= SCORE
            boxes += len(found)
            lost += int((~found).sum())
            score = max(score, float(difference[found].max(initial=0.0)))
            place = min(place, float(overlap[found].min(initial=1.0)))
    return Sameness(pictures, boxes, lost, score, place)


def _nearest(xyxy: FloatArray, scores: FloatArray, theirs: Detections) -> tuple[FloatArray, FloatArray]:
    """For each box the difference in score and the overlap of the likest one in its place; infinite where none is."""
    count, there = len(xyxy), len(theirs)
    if not count or not there:
        return np.full(count, np.inf, np.float32), np.zeros(count, np.float32)
    pairs = iou(np.repeat(xyxy, there, axis=0), np.tile(theirs.xyxy, (count, 1))).reshape(count, there)
    apart = np.abs(scores[:, None] - theirs.scores).max(axis=2)
    apart = np.where(pairs >= PLACE, apart, np.inf).astype(np.float32)
    best = apart.argmin(axis=1)
    rows = np.arange(count)
    return apart[rows, best], pairs[rows, best].astype(np.float32)
