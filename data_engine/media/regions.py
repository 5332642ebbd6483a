"""Moving things before a static camera that needs no tracking: where a frame differs from its neighbours' median."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.background import seen, without_light

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
T = TypeVar("T", np.uint8, np.float32)

LEAST_NEIGHBOURS, MOST_NEIGHBOURS = 4, 8
"""Neighbouring frames without which there is no telling what the scene is, and more than which tell nothing new."""
_SPREAD = 3
"""The neighbours are every third of the frames around: what rests for a while moves within them."""
_LONGEST = 320
"""Pixels of the longer side of a reduced picture."""
_CONTRAST = 14.0
"""Grey levels by which a pixel must differ from the scene at least."""
_USED_TO = 4.0
"""And how many times the median deviation of its neighbours: what never rests is no event."""
_STIRRED = 0.2
"""Share of restless pixels from which on the camera itself must be moving."""
_LEAST_AREA = 0.0005
"""Part of the picture that a region covers at least."""
_JOIN = np.ones((5, 3), np.uint8)  # what touches inside of this belongs together: the parts of a person
_WINDOW = np.ones((3, 3), np.uint8)
_TALL = 1.5
"""Sides' ratio from which on a region's two end squares are regions, too: a head is one end of a person."""


def neighbours(position: int, count: int) -> list[int]:
    """Positions of the frames to compare a frame with, of ``count`` in order of time; none when they are too few."""
    reach = MOST_NEIGHBOURS // 2 * _SPREAD
    first = max(min(position - reach, count - 1 - 2 * reach), 0)
    last = min(first + 2 * reach, count - 1)
    around = {round(place) for place in np.linspace(first, last, MOST_NEIGHBOURS + 1).tolist()} - {position}
    return sorted(around) if len(around) >= LEAST_NEIGHBOURS else []


def reduced_luma(rgb: UInt8Array) -> UInt8Array:
    """``(height, width)``: the luma of a picture of any size, reduced to 320 pixels of the longer side at most."""
    height, width = rgb.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return np.asarray(cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8)


def moving_regions(luma: UInt8Array, others: Sequence[UInt8Array], size_wh: tuple[int, int]) -> FloatArray:
    """``(k, 4)`` xyxy in pixels of the full frame: where something is that most neighbours do not show.

    The most conspicuous first, by area and contrast; a region that is much longer one way is followed by the squares at
    its ends.  None when the camera moves, or when the pictures are of different sizes.

    Args:
        luma: of the frame, of :func:`reduced_luma`.
        others: of its neighbours.
        size_wh: the frame's full size.
    """
    none = np.zeros((0, 4), np.float32)
    if len(others) < LEAST_NEIGHBOURS or any(other.shape != luma.shape for other in others):
        return none
    scene = seen(_middle(others))
    deviations = (without_light(cv2.subtract(seen(other), scene)) for other in others)
    spread = _middle([cv2.absdiff(deviation, 0.0) for deviation in deviations])
    if (spread > _CONTRAST).mean() > _STIRRED:
        return none
    difference = without_light(cv2.subtract(seen(luma), scene))
    even = difference + scene
    # Within a pixel of itself the scene may have moved: a mast trembles.
    outside = np.maximum(even - cv2.dilate(scene, _WINDOW), cv2.erode(scene, _WINDOW) - even)
    strength = np.where(outside > np.maximum(_CONTRAST, _USED_TO * spread), outside, 0.0)
    if (strength > 0).mean() > _STIRRED:
        return none
    regions = _connected(strength, max(4.0, _LEAST_AREA * luma.size))
    across, down = size_wh[0] / luma.shape[1], size_wh[1] / luma.shape[0]
    return _with_ends(np.asarray(regions * np.array([across, down, across, down]), np.float32))


def _middle(pictures: Sequence[NDArray[T]]) -> NDArray[T]:
    """The median of each pixel, the lower of two.

    Whole pictures are sorted by exchanging neighbours, which is many times faster than sorting each pixel.
    """
    row = list(pictures)
    for turn in range(len(row)):
        for left in range(turn % 2, len(row) - 1, 2):
            low, high = row[left], row[left + 1]
            row[left], row[left + 1] = cv2.min(low, high), cv2.max(low, high)
    return row[(len(row) - 1) // 2]


def _connected(strength: NDArray[np.floating], least: float) -> FloatArray:
    """``(k, 4)`` xyxy in pixels of ``strength``: connected places where it is not 0, the strongest in sum first."""
    differing = (strength > 0).astype(np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(differing, _JOIN), connectivity=8)
    rows, columns = np.nonzero(differing)
    owner = labels[rows, columns]
    areas = np.bincount(owner, minlength=count)
    sums = np.bincount(owner, weights=strength[rows, columns], minlength=count)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(low[:, axis], owner, places)
        np.maximum.at(high[:, axis], owner, places + 1)
    large = np.flatnonzero(areas >= least)
    large = large[np.argsort(-sums[large], kind="stable")]
    return np.concatenate([low[large], high[large]], axis=1).astype(np.float32)


def _with_ends(regions: FloatArray) -> FloatArray:
    """Each region, followed by the squares at its two ends where it is much longer one way."""
    found: list[list[float]] = []
    for x1, y1, x2, y2 in regions.tolist():
        found.append([x1, y1, x2, y2])
        if y2 - y1 > _TALL * (x2 - x1):
            found += [[x1, y1, x2, y1 + (x2 - x1)], [x1, y2 - (x2 - x1), x2, y2]]
        elif x2 - x1 > _TALL * (y2 - y1):
            found += [[x1, y1, x1 + (y2 - y1), y2], [x2 - (y2 - y1), y1, x2, y2]]
    return np.array(found, np.float32).reshape(-1, 4)
