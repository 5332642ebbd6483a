"""How alike two pictures are: structural similarity of reduced luma.

The index is that of Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE Transactions on Image Processing 13 (2004), with the defaults of
``skimage.metrics.structural_similarity``: a uniform 7 x 7 window, K1 = 0.01, K2 = 0.03, sample covariance, a range of
255 and the 3 pixels at the border left out.  Window sums are exact integers, so nothing is lost where variances are
small differences of large numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.types import Region

UInt8Array = NDArray[np.uint8]
Int32Array = NDArray[np.int32]
FloatArray = NDArray[np.float32]

WINDOW = 7
"""Side of the window in pixels."""
_BORDER = WINDOW // 2
_PIXELS = WINDOW * WINDOW
# A window's sums S stand for means S/n; its "spreads" n*S(xx) - S(x)S(x) for sample variances, n(n-1) times as large.
_SPREAD = _PIXELS * (_PIXELS - 1)
_C1 = np.float32((0.01 * 255) ** 2 * _PIXELS**2)
_C2 = np.float32((0.03 * 255) ** 2 * _SPREAD)

_WIDEST = 362
"""Pixels: the width above which luma is halved once more, so widths end between 181 and 362, around 256."""


def reduced(luma: UInt8Array) -> UInt8Array:
    """``luma`` halved until it is about 256 pixels wide: each pixel the rounded mean of a square of 2 x 2, repeatedly.

    Halving is several times faster than one reduction by the whole factor.  An odd last row or column is left out at
    each step.  A picture narrower or lower than the window is padded to it with its border pixels.

    Args:
        luma: ``(height, width)`` uint8.
    """
    while luma.shape[1] > _WIDEST and luma.shape[0] > 1:
        height, width = luma.shape[0] // 2, luma.shape[1] // 2
        halved = cv2.resize(luma[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        luma = np.asarray(halved, np.uint8)
    missing = [max(0, WINDOW - side) for side in luma.shape]
    return np.pad(luma, [(0, side) for side in missing], mode="edge") if any(missing) else luma


def ignored_mask(ignore: Sequence[Region], size_wh: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which pixels of the reduced picture any of the parts touches.

    Args:
        ignore: parts of the full picture in its pixels; what lies outside of the picture is no matter.
        size_wh: width and height of the full picture.
        shape: ``(height, width)`` of the same picture as :func:`reduced` gives it.

    Returns:
        ``shape`` bool.
    """
    width, height = size_wh
    factor = 1
    while width > _WIDEST and height > 1:
        width, height, factor = width // 2, height // 2, 2 * factor
    mask = np.zeros(shape, np.bool_)
    for left, top, region_width, region_height in ignore:
        right, bottom = -(-(left + region_width) // factor), -(-(top + region_height) // factor)
        # Pixels that pad a tiny picture are copies of its border.
        rows = slice(top // factor, bottom if bottom < height else None)
        columns = slice(left // factor, right if right < width else None)
        mask[rows, columns] = True
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """A picture with its window sums; computed once, compared with many."""

    luma: UInt8Array
    """``(height, width)`` uint8, at least 7 x 7."""
    sums: Int32Array
    """``(height - 6, width - 6)``: sum of each full window."""
    spreads: Int32Array
    """The same shape: sample variance of each full window, times 49 * 48."""

    @classmethod
    def of(cls, luma: UInt8Array) -> Moments:
        """The moments of a picture.

        Raises:
            ValueError: the picture is smaller than the window.
        """
        if luma.ndim != 2 or min(luma.shape) < WINDOW:
            raise ValueError(f"luma must be (height, width), at least {WINDOW} x {WINDOW}: got {luma.shape}")
        luma = np.ascontiguousarray(luma)
        sums = _window_sums(luma)
        return cls(luma, sums, _PIXELS * _window_sums(cv2.multiply(luma, luma, dtype=cv2.CV_16U)) - sums * sums)


def ssim(a: Moments, b: Moments) -> tuple[float, FloatArray]:
    """Structural similarity of two pictures of one size.

    Returns:
        the mean (-1..1, 1 for equal pictures) and the map ``(height - 6, width - 6)`` float32 of the full windows.

    Raises:
        ValueError: the sizes differ.
    """
    cross = _cross_spreads(a, b)
    products: FloatArray = (2 * a.sums * b.sums).astype(np.float32)
    squares = (a.sums * a.sums + b.sums * b.sums).astype(np.float32)
    numerator = (products + _C1) * ((2 * cross).astype(np.float32) + _C2)
    denominator = (squares + _C1) * ((a.spreads + b.spreads).astype(np.float32) + _C2)
    result = np.asarray(numerator / denominator, np.float32)
    return float(result.mean(dtype=np.float64)), result


def _window_sums(values: NDArray[np.uint8] | NDArray[np.uint16]) -> Int32Array:
    sums = cv2.boxFilter(values, cv2.CV_32S, (WINDOW, WINDOW), normalize=False)
    return np.ascontiguousarray(sums[_BORDER:-_BORDER, _BORDER:-_BORDER])


def _cross_spreads(a: Moments, b: Moments) -> Int32Array:
    if a.luma.shape != b.luma.shape:
        raise ValueError(f"pictures to compare must have one size: got {a.luma.shape} and {b.luma.shape}")
    products = cv2.multiply(a.luma, b.luma, dtype=cv2.CV_16U)
    return np.asarray(_PIXELS * _window_sums(products) - a.sums * b.sums, np.int32)
