"""Ultralytics' letterbox: a picture made to fit a canvas without changing its shape, and boxes brought back.

The arithmetic is that of ``ultralytics.data.augment.LetterBox`` (centred, scaled up or down, grey 114) and
``ultralytics.utils.ops.scale_boxes``, rounding included: half a pixel here would be half a pixel in every label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from data_engine.ports import Prepared

if TYPE_CHECKING:
    from data_engine.ports import UInt8Array
    from data_engine.types import FloatArray

GREY = 114


def in_picture_pixels(xyxy: FloatArray, picture: Prepared) -> FloatArray:
    """``(n, 4)`` corners on the canvas as corners in the picture, not clipped."""
    pad = np.asarray(picture.pad_xy * 2, np.float32)
    gain = np.asarray(picture.gain_xy * 2, np.float32)
    moved: FloatArray = (xyxy - pad) / gain
    return moved


def letterboxed(image: UInt8Array, height: int, width: int) -> Prepared:
    """Put a ``(h, w, 3)`` uint8 picture in the middle of a grey canvas, ``(height, width, 3)``."""
    import cv2

    old_height, old_width = image.shape[:2]
    ratio = min(height / old_height, width / old_width)
    new_width, new_height = max(round(old_width * ratio), 1), max(round(old_height * ratio), 1)
    resized = np.ascontiguousarray(image)
    if (new_width, new_height) != (old_width, old_height):
        resized = cv2.resize(resized, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    # The 0.1 decides where the odd pixel goes: right and below.
    left, top = round((width - new_width) / 2 - 0.1), round((height - new_height) / 2 - 0.1)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = resized
    gain_xy = (new_width / old_width, new_height / old_height)
    return Prepared(canvas, old_width, old_height, gain_xy, (left, top))
