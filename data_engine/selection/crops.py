"""Which boxes of a frame are worth a look when something is hunted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PREDICTED, MOST_MOVING = 32, 8
"""Predicted boxes and moving regions of a frame that are looked at."""
_SAME = 0.7
"""Overlap from which two boxes show the same."""
_LEAST_PX = 4.0
"""A box whose longer side is shorter shows nothing."""


def candidates(predicted: NDArray[np.float32], moving: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(k, 4)`` xyxy: the 32 best predicted boxes and the first 8 moving regions that are not among them.

    Of boxes that overlap by 0.7 or more the first stays.

    Args:
        predicted: ``(n, 4)`` xyxy down to the floor score, the most probable first.
        moving: ``(m, 4)`` xyxy, the most conspicuous first.
    """
    kept = _distinct(predicted, np.zeros((0, 4), np.float32), MOST_PREDICTED)
    return np.concatenate([kept, _distinct(moving, kept, MOST_MOVING)])


def _distinct(xyxy: NDArray[np.float32], known: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """The first ``most`` boxes that are large enough and overlap neither known nor earlier ones too much."""
    large = xyxy[(xyxy[:, 2:] - xyxy[:, :2]).max(axis=1, initial=0.0) >= _LEAST_PX]
    found = list(known)
    for box in large:
        if len(found) - len(known) == most:
            break
        there = np.array(found, np.float32).reshape(-1, 4)
        if not (iou(there, np.broadcast_to(box, there.shape)) >= _SAME).any():
            found.append(box)
    return np.array(found[len(known) :], np.float32).reshape(-1, 4)
