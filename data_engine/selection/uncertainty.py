"""Boxes that the model is not sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.calibration import calibrated
from data_engine.selection.evidence import UNCERTAIN, Evidence
from data_engine.selection.overlap import echoes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

ECHO_OVERLAP = 0.5
ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class SeenBoxes:
    """The boxes of a pool worth looking at, by frame and label; all arrays have the length ``k``."""

    frame: NDArray[np.int64]
    """Row of the pool."""
    xyxy: NDArray[np.float32]
    label: NDArray[np.int64]
    """Column of the most probable class."""
    best: NDArray[np.float32]
    """Its probability."""
    row: NDArray[np.int64]
    """Row in the pool's arrays of boxes."""
    classes: int

    @property
    def group(self) -> NDArray[np.int64]:
        """Frame and label as one number, ascending."""
        return self.frame * self.classes + self.label

    def __len__(self) -> int:
        return len(self.frame)

    def only(self, keep: NDArray[np.bool_]) -> SeenBoxes:
        """Those where ``keep`` is true."""
        return SeenBoxes(
            self.frame[keep], self.xyxy[keep], self.label[keep], self.best[keep], self.row[keep], self.classes
        )


def seen_boxes(pool: FramePool, floor: float) -> SeenBoxes:
    """Boxes whose best score is at least ``floor``, without echoes of a better box of the same class.

    Raises:
        ValueError: the pool holds no predictions.
    """
    if pool.offsets is None or pool.xyxy is None or pool.scores is None:
        raise ValueError("the pool holds no predictions")
    count, classes = pool.scores.shape
    label, best = np.zeros(count, np.int64), np.zeros(count, np.float32)
    for start in range(0, count if classes else 0, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        label[rows] = pool.scores[rows].argmax(axis=1)
        best[rows] = np.take_along_axis(pool.scores[rows], label[rows, None], axis=1)[:, 0]
    frame = np.repeat(np.arange(len(pool)), np.diff(pool.offsets))
    row = np.flatnonzero(best >= floor)
    row = row[np.lexsort((label[row], frame[row]))]
    boxes = SeenBoxes(frame[row], pool.xyxy[row], label[row], best[row], row, classes)
    return boxes.only(~echoes(boxes.group, boxes.best, boxes.xyxy, ECHO_OVERLAP))


def entropies(probabilities: NDArray[np.floating], floor: float = 0.0) -> NDArray[np.float64]:
    """Bits of entropy of each probability on its own: ``-p log2 p - (1 - p) log2 (1 - p)``, same shape.

    After a sigmoid every class is a question of its own (a box can be 0.9 "person" and 0.9 "helmet"), so the classes of
    a box are not one distribution.  Probabilities below ``floor`` count nothing: the tails of eighty classes would
    outweigh one real doubt.
    """
    p = probabilities.astype(np.float64)
    q = 1.0 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = -(np.where(p > 0, p * np.log2(p), 0.0) + np.where(q > 0, q * np.log2(q), 0.0))
    return np.where(p < floor, 0.0, bits)


def box_evidence(
    pool: FramePool, boxes: SeenBoxes, weights: NDArray[np.float64], floor: float, temperature: float = 1.0
) -> Evidence:
    """Each box as evidence: the entropies of its classes from ``floor`` up, times the classes' weights, summed.

    The class that is named is the one that adds most.

    Args:
        pool: where the boxes come from.
        boxes: some of its boxes.
        weights: ``(classes,)`` rarity of each class.
        floor: probability below which a class of a box is no question.
        temperature: of the calibration (:mod:`data_engine.selection.calibration`); the floor is of what the model says.
    """
    assert pool.scores is not None
    value, label = np.zeros(len(boxes)), np.zeros(len(boxes), np.int64)
    score = np.zeros(len(boxes))
    for start in range(0, len(boxes), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        probabilities = pool.scores[boxes.row[rows]]
        added = np.where(probabilities < floor, 0.0, entropies(calibrated(probabilities, temperature))) * weights
        value[rows] = added.sum(axis=1)
        label[rows] = added.argmax(axis=1)
        score[rows] = np.take_along_axis(probabilities, label[rows, None], axis=1)[:, 0]
    return Evidence.of(UNCERTAIN, boxes.frame, label, score, value, boxes.xyxy)
