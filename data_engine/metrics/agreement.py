"""How well two people's boxes on the same pictures agree: precision and recall at one overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.selection.overlap import iou

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_engine.metrics.coco import TrueBoxes


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over all pictures; crowd regions are passed over."""

    matched: int
    truth: int
    found: int

    @property
    def precision(self) -> float | None:
        """Share of what was found that is true; None where nothing was found."""
        return self.matched / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of what is true that was found; None where there is nothing to find."""
        return self.matched / self.truth if self.truth else None


def agreement(truth: Sequence[TrueBoxes], found: Sequence[TrueBoxes], least: float) -> Agreement:
    """Match boxes of one class one to one, the best overlap of a picture first (of equals, the first box).

    Args:
        truth: one entry an image.
        found: one entry an image, in the same order.
        least: overlap (IoU), above 0, from which two boxes are the same object.

    Raises:
        ValueError: lists of different length.
    """
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} images of truth but {len(found)} to compare")
    matched = wanted = given = 0
    for true, seen in zip(truth, found, strict=True):
        real, shown = np.flatnonzero(~true.crowd), np.flatnonzero(~seen.crowd)
        wanted, given = wanted + len(real), given + len(shown)
        # Every true box with every found one of its class.
        left, right = np.repeat(real, len(shown)), np.tile(shown, len(real))
        same = true.classes[left] == seen.classes[right]
        left, right = left[same], right[same]
        shared = iou(true.xyxy[left].astype(np.float32), seen.xyxy[right].astype(np.float32))
        used_left: set[int] = set()
        used_right: set[int] = set()
        for pair in np.argsort(-shared, kind="stable").tolist():
            one, other = int(left[pair]), int(right[pair])
            if shared[pair] >= least and one not in used_left and other not in used_right:
                used_left.add(one)
                used_right.add(other)
        matched += len(used_left)
    return Agreement(matched, wanted, given)
