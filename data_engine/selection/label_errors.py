"""Which accepted boxes a model contradicts: overlooked, swapped, badly placed and spurious ones, the worst first.

The kinds and the idea of scoring each by what a confident detector says are those of Tkachenko, Thyagarajan and
Mueller, "ObjectLab: Automated Diagnosis of Mislabeled Images in Object Detection Data" (2023).  What counts as
confident is not one number for all classes: it is how sure the model is on average of the boxes that are labelled so,
as in Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (2021), so that a
class that the model is never sure of still has its errors found, and one of which it always is raises no false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_engine.selection.overlap import echoes, iou, pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Integers = NDArray[np.int64]

Kind = Literal["overlooked", "swapped", "badly placed", "spurious"]
KINDS: tuple[Kind, ...] = ("overlooked", "swapped", "badly placed", "spurious")
FLOOR = 0.05
"""Best score below which a detection says nothing."""
MEET = 0.1
"""Overlap from which a box and a detection may be the same thing."""
SAME_THING = 0.5
"""Overlap from which they are."""
ECHO = 0.7
"""Overlap with a better detection from which one is an echo of it."""
_QUARTILES = (0.25, 0.5, 0.75)
LEAST_OF_CLASS = 10
"""Boxes of a class that were found, below which what is usual is that of all classes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some frames with their boxes and what the model said; boxes and detections lie in order of their frames."""

    box_frame: Integers
    """``(boxes,)`` row of the frame, ascending."""
    box_class: Integers
    """``(boxes,)`` column of the class; -1 for one that the model does not know."""
    box_xyxy: Floats
    """``(boxes, 4)``"""
    box_crowd: NDArray[np.bool_]
    seen_frame: Integers
    """``(detections,)`` row of the frame, ascending."""
    seen_xyxy: Floats
    seen_scores: Floats
    """``(detections, classes)``"""


@dataclass(frozen=True, slots=True)
class Compared:
    """What a piece says of each of its boxes, and of the detections that no box accounts for."""

    found: Integers
    """``(boxes,)`` the detection that a box is taken for, by its row in the piece; -1 for none."""
    overlap: Floats
    """``(boxes,)`` with it."""
    beside: Floats
    """``(boxes,)`` overlap with the nearest detection, whichever box that is taken for."""
    own: Floats
    """``(boxes,)`` its probability of the box's class; without a detection 0."""
    other: Integers
    """``(boxes,)`` its most probable other class."""
    other_score: Floats
    alone: Integers
    """``(k,)`` detections of no box, by their rows."""
    alone_class: Integers
    alone_score: Floats
    alone_overlap: Floats
    """``(k,)`` with the nearest box, whatever its class."""


@dataclass(slots=True)
class Usual:
    """What is usual of a model on boxes of each class, gathered from all of them."""

    classes: int
    labelled: NDArray[np.float64] = field(init=False)
    found: NDArray[np.float64] = field(init=False)
    sure: NDArray[np.float64] = field(init=False)
    overlaps: list[list[Floats]] = field(init=False)

    def __post_init__(self) -> None:
        self.labelled, self.found, self.sure = (np.zeros(self.classes) for _ in range(3))
        self.overlaps = [[] for _ in range(self.classes)]

    def add(self, piece: Piece, compared: Compared) -> None:
        """Learn from a piece."""
        counted = (piece.box_class >= 0) & ~piece.box_crowd
        same = counted & (compared.overlap >= SAME_THING)
        number = self.classes
        self.labelled += np.bincount(piece.box_class[counted], minlength=number)
        self.found += np.bincount(piece.box_class[same], minlength=number)
        self.sure += np.bincount(piece.box_class[same], weights=compared.own[same], minlength=number)
        for column in np.unique(piece.box_class[same]):
            self.overlaps[column].append(compared.overlap[same & (piece.box_class == column)])

    def confidence(self) -> NDArray[np.float64]:
        """``(classes,)`` mean probability that the model gives to a class on boxes that are labelled so."""
        total = self.sure.sum() / max(self.found.sum(), 1.0)
        return np.where(self.found >= LEAST_OF_CLASS, self.sure / np.maximum(self.found, 1.0), total)

    def recall(self) -> NDArray[np.float64]:
        """``(classes,)`` share of the boxes that the model finds, whatever it calls them."""
        total = self.found.sum() / max(self.labelled.sum(), 1.0)
        return np.where(self.labelled >= LEAST_OF_CLASS, self.found / np.maximum(self.labelled, 1.0), total)

    def overlap(self) -> NDArray[np.float64]:
        """``(classes,)`` median overlap of a box with what the model finds there."""
        return self._quantiles()[:, 1]

    def odd_overlap(self) -> NDArray[np.float64]:
        """``(classes,)`` overlap below which a box lies outside Tukey's fence (1977): one in a hundred by chance."""
        first, _median, third = self._quantiles().T
        return np.asarray(np.maximum(first - 1.5 * (third - first), SAME_THING))

    def _quantiles(self) -> NDArray[np.float64]:
        """``(classes, 3)`` the quartiles of the overlap."""
        known = [np.concatenate(rows) if rows else np.zeros(0, np.float32) for rows in self.overlaps]
        every = np.concatenate([np.zeros(0, np.float32), *known])
        total = np.quantile(every, _QUARTILES) if len(every) else np.ones(3)
        found = [np.quantile(rows, _QUARTILES) if len(rows) >= LEAST_OF_CLASS else total for rows in known]
        return np.array(found).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class Findings:
    """Contradictions of one piece."""

    kind: Integers
    """``(k,)`` position in :data:`KINDS`."""
    box: Integers
    """``(k,)`` row of the box in the piece; -1 where there is none."""
    seen: Integers
    """``(k,)`` row of the detection in the piece; -1 where there is none."""
    frame: Integers
    score: Floats
    """``(k,)`` 0 to 1; to be compared inside a kind and, but for ``spurious``, between kinds."""


def cleared(piece: Piece) -> Piece:
    """Without the detections that say nothing, and without the echoes of better ones."""
    best = np.asarray(piece.seen_scores.max(axis=1, initial=0.0), np.float32)
    clear = (best >= FLOOR) & ~echoes(piece.seen_frame, best, piece.seen_xyxy, ECHO)
    return replace(
        piece,
        seen_frame=piece.seen_frame[clear],
        seen_xyxy=piece.seen_xyxy[clear],
        seen_scores=np.asarray(piece.seen_scores[clear], np.float32),
    )


def compare(piece: Piece) -> Compared:
    """Tell which detection of a cleared piece each box is taken for: one to one, the best overlap weighed by its class
    first.
    """
    best = piece.seen_scores.max(axis=1, initial=0.0)
    boxes, seen, shared = _meeting(piece)
    own = np.where(piece.box_class[boxes] >= 0, piece.seen_scores[seen, piece.box_class[boxes]], 0.0)
    found, overlap = _one_to_one(boxes, seen, shared, shared * (1.0 + own), piece)
    there = found >= 0
    scores = np.zeros((len(found), piece.seen_scores.shape[1]), np.float32)
    scores[there] = piece.seen_scores[found[there]]
    rows = np.arange(len(found))
    known = piece.box_class >= 0
    mine = np.where(known, scores[rows, piece.box_class], 0.0).astype(np.float32)
    scores[rows[known], piece.box_class[known]] = -1.0
    nearest, beside = np.zeros(len(best), np.float32), np.zeros(len(found), np.float32)
    np.maximum.at(nearest, seen, shared)
    np.maximum.at(beside, boxes, shared)
    alone = np.ones(len(best), np.bool_)
    alone[found[there]] = False
    alone &= ~_in_crowd(piece)
    rest = np.flatnonzero(alone)
    return Compared(
        found,
        overlap,
        beside,
        mine,
        scores.argmax(axis=1) if scores.shape[1] else rows,
        scores.max(axis=1, initial=-1.0),
        rest,
        piece.seen_scores[rest].argmax(axis=1) if len(rest) else rest,
        best[rest].astype(np.float32),
        nearest[rest],
    )


def contradictions(piece: Piece, compared: Compared, usual: Usual) -> Findings:
    """What the model contradicts in a piece, by what is usual of it in all of them."""
    confidence, recall, typical, odd = usual.confidence(), usual.recall(), usual.overlap(), usual.odd_overlap()
    judged = (piece.box_class >= 0) & ~piece.box_crowd
    column = np.maximum(piece.box_class, 0)
    there = judged & (compared.found >= 0)
    swapped = (
        there
        & (compared.overlap >= SAME_THING)
        & (compared.other_score > compared.own)
        & (compared.other_score >= confidence[compared.other])
    )
    # Half as sure as usual is enough: whoever looks for one place sees the box at the other less well.
    placed = there & ~swapped & (compared.own >= confidence[column] / 2) & (compared.overlap < odd[column])
    missing = judged & (compared.found < 0)
    over = (compared.alone_score >= confidence[compared.alone_class]) & (compared.alone_overlap < SAME_THING)
    scored = (
        ("overlooked", compared.alone_score * (1.0 - compared.alone_overlap), over),
        ("swapped", compared.other_score - compared.own, swapped),
        ("badly placed", compared.own * (1.0 - compared.overlap / np.maximum(typical[column], MEET)), placed),
        # Of things that hide one another a detector finds the foremost only.
        ("spurious", recall[column] * (1.0 - compared.beside), missing),
    )
    kinds, box, seen, score = [], [], [], []
    for kind, value, which in scored:
        rows = np.flatnonzero(which)
        of_box = kind != "overlooked"
        kinds.append(np.full(len(rows), KINDS.index(kind), np.int64))
        box.append(rows if of_box else np.full(len(rows), -1, np.int64))
        seen.append(compared.found[rows] if of_box else compared.alone[rows])
        score.append(np.asarray(value[rows], np.float32))
    boxes, detections = np.concatenate(box), np.concatenate(seen)
    frame = np.where(boxes >= 0, _taken(piece.box_frame, boxes), _taken(piece.seen_frame, detections))
    return Findings(np.concatenate(kinds), boxes, detections, frame, np.concatenate(score))


def order(kind: Integers, score: Floats) -> Integers:
    """The findings by how much they are worth a look: what no detection speaks for comes after all the others."""
    return np.lexsort((kind, -score, kind == KINDS.index("spurious"))).astype(np.int64)


def _taken(values: Integers, rows: Integers) -> Integers:
    return values[np.maximum(rows, 0)] if len(values) else np.full(len(rows), -1, np.int64)


def _meeting(piece: Piece) -> tuple[Integers, Integers, Floats]:
    """Pairs of a box and a detection on one frame that overlap by :data:`MEET`, and by how much; no crowds."""
    first = np.searchsorted(piece.seen_frame, piece.box_frame, side="left")
    last = np.searchsorted(piece.seen_frame, piece.box_frame, side="right")
    last = np.where(piece.box_crowd, first, last)
    boxes, seen, shared = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for left, right in pairs(first.astype(np.int64), last.astype(np.int64)):
        overlap = iou(piece.box_xyxy[left], piece.seen_xyxy[right])
        near = overlap >= MEET
        boxes.append(left[near])
        seen.append(right[near])
        shared.append(overlap[near])
    return np.concatenate(boxes), np.concatenate(seen), np.concatenate(shared)


def _one_to_one(
    boxes: Integers, seen: Integers, shared: Floats, worth: NDArray[np.floating], piece: Piece
) -> tuple[Integers, Floats]:
    found = np.full(len(piece.box_frame), -1, np.int64)
    overlap = np.zeros(len(piece.box_frame), np.float32)
    taken = np.zeros(len(piece.seen_frame), np.bool_)
    for at in np.lexsort((seen, boxes, -worth)).tolist():
        box, detection = boxes[at], seen[at]
        if found[box] < 0 and not taken[detection]:
            found[box], overlap[box], taken[detection] = detection, shared[at], True
    return found, overlap


def _in_crowd(piece: Piece) -> NDArray[np.bool_]:
    """``(detections,)`` whether half of a detection lies in a region that is marked as a crowd."""
    inside = np.zeros(len(piece.seen_frame), np.bool_)
    crowds = np.flatnonzero(piece.box_crowd)
    first = np.searchsorted(piece.seen_frame, piece.box_frame[crowds], side="left").astype(np.int64)
    last = np.searchsorted(piece.seen_frame, piece.box_frame[crowds], side="right").astype(np.int64)
    for left, right in pairs(first, last):
        crowd, seen = piece.box_xyxy[crowds[left]], piece.seen_xyxy[right]
        size = np.maximum(np.minimum(crowd[:, 2:], seen[:, 2:]) - np.maximum(crowd[:, :2], seen[:, :2]), 0)
        area = np.prod(np.maximum(seen[:, 2:] - seen[:, :2], 0), axis=1)
        inside[right[(area > 0) & (np.prod(size, axis=1) >= area / 2)]] = True
    return inside
