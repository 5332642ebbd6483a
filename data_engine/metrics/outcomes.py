"""What became of each box of a picture: found, taken for something else, or overlooked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou
from data_engine.types.evaluation import Confusion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from data_engine.metrics.coco import TrueBoxes
    from data_engine.types import Detections

IN_CROWD = 0.5
"""Share of a box that lies in a region of many objects from which it is no false alarm."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A model on one picture, from one score on, class by class."""

    found: NDArray[np.bool_]
    """``(m,)`` of the true boxes, crowds too (never found)."""
    false: NDArray[np.bool_]
    """``(n,)`` of the model's boxes: nothing of its class is there."""


def confusion(
    truth: Iterable[TrueBoxes], found: Iterable[Detections], names: Sequence[str], *, overlap: float, score: float
) -> Confusion:
    """What the boxes of each class are taken for, boxes matched by place alone, the best overlap first.

    Every box goes by its most probable class.  What lies in a region of many objects and finds no box is left out.

    Args:
        truth: one entry a picture.
        found: one entry a picture, in the same order; columns of the scores and true classes are those of ``names``.
        names: the classes.
        overlap: from which a box is at the place of a true one.
        score: below which boxes are not looked at.
    """
    nothing = len(names)
    table = np.zeros((nothing + 1, nothing + 1), np.int64)
    for true, seen in zip(truth, found, strict=True):
        kept = seen.kept(score)
        said, real = kept.labels, np.flatnonzero(~true.crowd)
        left, right = _one_to_one(true.xyxy[real], kept.xyxy, overlap)
        _count(table, true.classes[real[left]], said[right])
        missed = np.setdiff1d(np.arange(len(real)), left)
        _count(table, true.classes[real[missed]], np.full(len(missed), nothing))
        alone = np.setdiff1d(np.arange(len(said)), right)
        alone = alone[~_in_crowd(kept.xyxy[alone], true.xyxy[true.crowd])]
        _count(table, np.full(len(alone), nothing), said[alone])
    return Confusion(tuple(names), tuple(tuple(row) for row in table.tolist()), overlap, score)


def _count(table: NDArray[np.int64], rows: NDArray[np.integer], columns: NDArray[np.integer]) -> None:
    """Add one to the table for each pair of row and column."""
    size = len(table)
    table += np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def outcome(true: TrueBoxes, seen: Detections, *, overlap: float) -> Outcome:
    """Match boxes of one class one to one, the best overlap first; every box goes by its most probable class."""
    found, false = np.zeros(len(true), np.bool_), np.ones(len(seen), np.bool_)
    for label in np.union1d(true.classes, seen.labels).tolist():
        real = np.flatnonzero((true.classes == label) & ~true.crowd)
        said = np.flatnonzero(seen.labels == label)
        left, right = _one_to_one(true.xyxy[real], seen.xyxy[said], overlap)
        found[real[left]], false[said[right]] = True, False
        regions = true.xyxy[(true.classes == label) & true.crowd]
        false[said] &= ~_in_crowd(seen.xyxy[said], regions)
    return Outcome(found, false)


def apart(one: Outcome, other: Outcome) -> int:
    """By how many boxes two models differ on a picture: those that only one found, and false alarms of one only."""
    return int((one.found != other.found).sum()) + abs(int(one.false.sum()) - int(other.false.sum()))


def _one_to_one(
    first: NDArray[np.floating], second: NDArray[np.floating], least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of the boxes that are matched, in pairs; the best overlap first, of equals the first box."""
    left, right = np.repeat(np.arange(len(first)), len(second)), np.tile(np.arange(len(second)), len(first))
    shared = iou(np.asarray(first, np.float32)[left], np.asarray(second, np.float32)[right])
    near = np.flatnonzero(shared >= least)
    order = near[np.argsort(-shared[near], kind="stable")]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for one, other in zip(left[order].tolist(), right[order].tolist(), strict=True):
        if one not in pairs and other not in taken:
            pairs[one] = other
            taken.add(other)
    return np.array(list(pairs), np.intp), np.array(list(pairs.values()), np.intp)


def _in_crowd(boxes: NDArray[np.floating], regions: NDArray[np.floating]) -> NDArray[np.bool_]:
    """``(n,)`` whether enough of a box lies in one of the regions."""
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    inside = np.prod(np.maximum(high - low, 0.0), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray((inside >= IN_CROWD * area[:, None]).any(axis=1))
