"""Cutting boxes out of a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]


def square_crops(picture: UInt8Array, xyxy: NDArray[np.floating], side: int) -> list[UInt8Array]:
    """The square around each box's centre that its longer side fits, as ``(side, side, 3)`` pixels.

    What lies outside of the picture repeats its edge.

    Args:
        picture: ``(height, width, 3)``.
        xyxy: ``(n, 4)`` corners in pixels; boxes reach into the picture.
        side: pixels a side of each crop.
    """
    return [_square_crop(picture, box, side) for box in xyxy.tolist()]


def _square_crop(picture: UInt8Array, box: list[float], side: int) -> UInt8Array:
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box
    size = max(round(max(x2 - x1, y2 - y1)), 1)
    left, top = round((x1 + x2 - size) / 2), round((y1 + y2 - size) / 2)
    right, bottom = left + size, top + size
    inside = picture[max(top, 0) : max(min(bottom, height), 1), max(left, 0) : max(min(right, width), 1)]
    enlarged = size < side
    if left < 0 or top < 0 or right > width or bottom > height:
        over = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
        inside = cv2.copyMakeBorder(inside, *over, cv2.BORDER_REPLICATE)
    how = cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA
    return np.asarray(cv2.resize(np.ascontiguousarray(inside), (side, side), interpolation=how), np.uint8)


def mirrored(crops: list[UInt8Array]) -> list[UInt8Array]:
    """The same crops, left and right exchanged."""
    return [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
