"""Boxes as arrays: corners, suppression, and the form in which every detector hands them back.  Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou
from data_engine.types import MOST_BOXES, SCORE_FLOOR, Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.types import FloatArray


def corners(cxcywh: FloatArray) -> FloatArray:
    """``(n, 4)`` corners ``x1 y1 x2 y2`` of boxes given by centre and size."""
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], axis=1)


def suppressed(xyxy: FloatArray, scores: FloatArray, *, overlap: float, limit: int = MOST_BOXES) -> NDArray[np.intp]:
    """Positions of the boxes that survive non-maximum suppression, best first (ties by position), at most ``limit``.

    A box goes when it overlaps a better one *of the same best class* by more than ``overlap``.  Boxes of other classes
    stay, as they do in ultralytics.

    Args:
        xyxy: ``(n, 4)`` corners.
        scores: ``(n, classes)``; a box's class is its most probable one.
        overlap: intersection over union above which two boxes are taken for one.
        limit: how many to return at most.
    """
    best, label = scores.max(axis=1), scores.argmax(axis=1)
    waiting = np.argsort(-best, kind="stable")
    kept: list[int] = []
    while len(waiting) and len(kept) < limit:
        first, waiting = waiting[0], waiting[1:]
        kept.append(int(first))
        twin = (label[waiting] == label[first]) & (iou(xyxy[first : first + 1], xyxy[waiting]) > overlap)
        waiting = waiting[~twin]
    return np.asarray(kept, dtype=np.intp)


def in_picture(xyxy: FloatArray, scores: FloatArray, width: int, height: int) -> Detections:
    """What a detector answers: clipped to the picture, best first, at least ``SCORE_FLOOR``, at most
    ``MOST_BOXES``.

    A box of which nothing lies inside the picture is dropped.

    Raises:
        ValueError: a score outside 0..1 (see :class:`data_engine.types.Detections`).
    """
    clipped = np.clip(xyxy, 0, np.asarray([width, height, width, height], np.float32))
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    return Detections(clipped[inside], scores[inside]).kept(SCORE_FLOOR, MOST_BOXES)
