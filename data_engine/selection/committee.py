"""Boxes that one of two models sees and the other does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.evidence import DISAGREEMENT, Evidence
from data_engine.selection.overlap import iou, pairs
from data_engine.selection.uncertainty import SeenBoxes, seen_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.selection.pool import FramePool

SAME_PLACE = 0.5
"""IoU from which two boxes are of one thing; the usual threshold of detection metrics."""


def disagreements(
    pool: FramePool,
    boxes: SeenBoxes,
    other: FramePool,
    weights: NDArray[np.float64],
    threshold: float,
    floor: float,
) -> Evidence:
    """What only one of two models is sure of, in the frames of ``pool``.

    A confident box of either model speaks for its frame by the probability that the other model does not give its class
    at its place.  Classes meet by name; a class that the other model does not know says nothing.

    Args:
        pool: the frames, with the first model's predictions.
        boxes: its boxes from the floor up.
        other: the same frames with another model's predictions; frames that are not in both are passed over.
        weights: ``(classes,)`` rarity of each class of ``pool``.
        threshold: best score from which a box is confident.
        floor: best score below which a box is noise.

    Raises:
        ValueError: the other pool holds no predictions.
    """
    theirs = seen_boxes(other, floor)
    rows = {frame_id: row for row, frame_id in enumerate(pool.frame_ids)}
    place_of = np.array([rows.get(frame_id, -1) for frame_id in other.frame_ids], np.int64)
    columns = {name: column for column, name in enumerate(pool.class_names)}
    class_of = np.array([columns.get(name, -1) for name in other.class_names], np.int64)
    common = (
        np.isin(np.arange(len(pool.class_names)), class_of),
        np.isin(np.arange(len(pool)), place_of[place_of >= 0]),
    )
    if len(theirs):
        known = (place_of[theirs.frame] >= 0) & (class_of[theirs.label] >= 0)
        theirs = theirs.only(known)
    their_frame, their_label = place_of[theirs.frame], class_of[theirs.label]
    order = np.argsort(their_frame, kind="stable")
    theirs, their_frame, their_label = _taken(theirs, order), their_frame[order], their_label[order]

    mine_in_common = common[0][boxes.label] & common[1][boxes.frame]
    ours = boxes.only(mine_in_common)
    return Evidence.joined(
        [
            _one_sided((ours.frame, ours.label, ours), (their_frame, their_label, theirs), weights, threshold),
            _one_sided((their_frame, their_label, theirs), (ours.frame, ours.label, ours), weights, threshold),
        ]
    )


_Side = tuple["NDArray[np.int64]", "NDArray[np.int64]", SeenBoxes]
"""Frames (ascending) and labels in the first pool's numbers, and the boxes."""


def _taken(boxes: SeenBoxes, order: NDArray[np.int64]) -> SeenBoxes:
    return SeenBoxes(
        boxes.frame[order], boxes.xyxy[order], boxes.label[order], boxes.best[order], boxes.row[order], boxes.classes
    )


def _one_sided(a: _Side, b: _Side, weights: NDArray[np.float64], threshold: float) -> Evidence:
    """Confident boxes of ``a``, by the probability that ``b`` lacks."""
    frame, label, boxes = a
    sure = np.flatnonzero(boxes.best >= threshold)
    there = np.zeros(len(sure))
    other, other_best = np.full(len(sure), -1, np.int64), np.zeros(len(sure))
    first = np.searchsorted(b[0], frame[sure])
    last = np.searchsorted(b[0], frame[sure], side="right")
    for mine, their in pairs(first, last):
        near = iou(boxes.xyxy[sure[mine]], b[2].xyxy[their]) >= SAME_PLACE
        mine, their = mine[near], their[near]
        same = b[1][their] == label[sure[mine]]
        np.maximum.at(there, mine[same], b[2].best[their[same]].astype(np.float64))
        mine, their = mine[~same], their[~same]
        # Ascending by score, so that the strongest is written last.
        rising = np.argsort(b[2].best[their], kind="stable")
        mine, their = mine[rising], their[rising]
        stronger = b[2].best[their] > other_best[mine]
        other[mine[stronger]], other_best[mine[stronger]] = b[1][their[stronger]], b[2].best[their[stronger]]
    score = boxes.best[sure].astype(np.float64)
    value = weights[label[sure]] * np.maximum(score - there, 0.0)
    return Evidence.of(DISAGREEMENT, frame[sure], label[sure], score, value, boxes.xyxy[sure], other)
