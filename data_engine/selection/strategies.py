"""Every way to say how much a frame is worth, each a pure function of what was predicted and what is labelled.

A strategy turns a :class:`Look` into :class:`Scores`: pieces of evidence, so that people can be told why, and what they
add up to for every frame.  Who then gets a place (look-alikes, cameras, budgets) is decided elsewhere, for all
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.calibration import calibrated
from data_engine.selection.committee import disagreements
from data_engine.selection.evidence import RARE, TOP, UNCERTAIN, Evidence, frame_scores
from data_engine.selection.temporal import blinks
from data_engine.selection.uncertainty import ROWS_AT_ONCE, box_evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool
    from data_engine.selection.uncertainty import SeenBoxes

RARE_TOP = 10
"""Boxes that count for the rarity of a frame: as many as a person draws in a minute or two."""
REPEAT = 0.5
"""What the next doubt of one kind about one class in one frame is worth of the one before."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the strategies look at."""

    pool: FramePool
    """``n`` frames with predictions."""
    boxes: SeenBoxes
    """Its boxes from the floor up, without echoes."""
    weights: NDArray[np.float64]
    """``(classes,)`` rarity of each class: 1 at its target share, more when it is short of it."""
    threshold: float
    """Best score from which a box counts as seen."""
    floor: float
    max_gap_s: float
    """Seconds between neighbouring frames within which a box is expected to be seen again."""
    temperature: float = 1.0
    """Of the calibration of the model's probabilities."""
    other: FramePool | None = None
    """The same frames with the predictions of a second model."""

    @property
    def doubtful(self) -> SeenBoxes:
        """The boxes below the threshold."""
        return self.boxes.only(self.boxes.best < self.threshold)

    @property
    def confident(self) -> SeenBoxes:
        """The boxes from the threshold up."""
        return self.boxes.only(self.boxes.best >= self.threshold)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a strategy says of ``n`` frames."""

    evidence: Evidence
    """One table, by frame and falling value."""
    by_kind: NDArray[np.float64]
    """``(n, kinds)``: how much each kind of evidence adds; the score of a frame is the sum of its row."""

    @property
    def total(self) -> NDArray[np.float64]:
        """``(n,)``."""
        return np.asarray(self.by_kind.sum(axis=1), np.float64)

    @classmethod
    def of(cls, parts: list[Evidence], frames: int, top: int = TOP) -> Scores:
        """The ``top`` strongest pieces of each frame, each for one ``top``-th of its value."""
        evidence = Evidence.joined(parts)
        return cls(evidence, frame_scores(evidence, frames, top))


Strategy = Callable[[Look], Scores]


def least_confidence(look: Look) -> Scores:
    """One minus a box's best probability, the mean of the strongest three.

    Lewis and Gale, "A sequential algorithm for training text classifiers", 1994.  Kept as the yardstick that most tools
    stop at: it asks for boxes that are mostly noise.
    """
    value = 1.0 - calibrated(look.boxes.best, look.temperature)
    return _by_box(look, value)


def margin(look: Look) -> Scores:
    """One minus the distance between a box's two best probabilities, the mean of the strongest three.

    Scheffer, Decomain and Wrobel, "Active hidden Markov models for information extraction", 2001.  A model of one class
    has none beside it: the distance is the probability itself.
    """
    assert look.pool.scores is not None
    classes = look.boxes.classes
    second = np.zeros(len(look.boxes))
    for start in range(0, len(look.boxes) if classes > 1 else 0, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        probabilities = look.pool.scores[look.boxes.row[rows]].astype(np.float32)
        second[rows] = np.partition(probabilities, classes - 2, axis=1)[:, classes - 2]
    best = calibrated(look.boxes.best, look.temperature)
    return _by_box(look, 1.0 - (best - calibrated(second, look.temperature)))


def entropy(look: Look) -> Scores:
    """Entropy of a box's class probabilities, the mean of the strongest three."""
    return Scores.of([_entropies(look)], len(look.pool))


def entropy_max(look: Look) -> Scores:
    """Entropy of the one most doubtful box."""
    return Scores.of([_entropies(look)], len(look.pool), top=1)


def missed(look: Look) -> Scores:
    """Boxes that blink or change their class along a track of neighbouring frames."""
    return Scores.of([_blinks(look)], len(look.pool))


def disagreement(look: Look) -> Scores:
    """Boxes that only one of two models sees; nothing without a second model."""
    return Scores.of([_disagreements(look)], len(look.pool))


def rarity(look: Look) -> Scores:
    """The boxes that may be of a class that is short of its target share: how many are expected, times how short.

    It counts on what the model half sees, down to the floor; for a class that it does not see at all, see
    :mod:`data_engine.selection.hunting`.
    """
    return Scores.of([_rare(look)], len(look.pool), top=RARE_TOP)


def hybrid(look: Look) -> Scores:
    """What the model doubts or loses, rare classes first, and what may be rare.

    Doubtful boxes by entropy times rarity, blinking boxes and disagreement share the three strongest pieces of a frame,
    repeats of one doubt discounted; expected boxes of rare classes come on top.
    """
    doubts = box_evidence(look.pool, look.doubtful, look.weights, look.floor, look.temperature).discounted(REPEAT)
    strongest = Scores.of([doubts, _blinks(look), _disagreements(look)], len(look.pool))
    rare = rarity(look)
    return Scores(
        Evidence.joined([strongest.evidence, rare.evidence]), strongest.by_kind + RARE_TOP / TOP * rare.by_kind
    )


STRATEGIES: Mapping[str, Strategy] = {
    "hybrid": hybrid,
    "least-confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
    "entropy-max": entropy_max,
    "missed": missed,
    "disagreement": disagreement,
    "rarity": rarity,
}
"""Those that rank by predictions; ``diversity`` ranks by embeddings and ``random`` by nothing."""


def confidence_entropy(look: Look) -> Scores:
    """The entropies of the confident boxes: by these, frames are ranked in which nothing else speaks."""
    return Scores.of(
        [box_evidence(look.pool, look.confident, look.weights, look.floor, look.temperature)], len(look.pool)
    )


def _by_box(look: Look, value: NDArray[np.float64]) -> Scores:
    boxes = look.boxes
    evidence = Evidence.of(
        UNCERTAIN, boxes.frame, boxes.label, boxes.best.astype(np.float64), np.maximum(value, 0.0), boxes.xyxy
    )
    return Scores.of([evidence], len(look.pool))


def _entropies(look: Look) -> Evidence:
    return box_evidence(look.pool, look.boxes, np.ones_like(look.weights), look.floor, look.temperature)


def _blinks(look: Look) -> Evidence:
    return blinks(look.pool, look.boxes, look.weights, look.threshold, look.max_gap_s)


def _disagreements(look: Look) -> Evidence:
    if look.other is None:
        return Evidence.none()
    return disagreements(look.pool, look.boxes, look.other, look.weights, look.threshold, look.floor)


def _rare(look: Look) -> Evidence:
    """Each box by its probability of each class times what the class's weight has above 1."""
    assert look.pool.scores is not None
    boxes = look.boxes
    need = np.maximum(look.weights - 1.0, 0.0)
    value, score, label = np.zeros(len(boxes)), np.zeros(len(boxes)), np.zeros(len(boxes), np.int64)
    for start in range(0, len(boxes) if need.any() else 0, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        raw = look.pool.scores[boxes.row[rows]]
        added = calibrated(raw, look.temperature) * need
        value[rows] = added.sum(axis=1)
        label[rows] = added.argmax(axis=1)
        score[rows] = np.take_along_axis(raw, label[rows, None], axis=1)[:, 0]
    return Evidence.of(RARE, boxes.frame, label, score, value, boxes.xyxy)
