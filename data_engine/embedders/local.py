"""The embedded descriptor: what a picture looks like, without any learned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

_SIDE = 64
"""Every picture is reduced to this many pixels a side, by area, which also takes the noise out."""
_THUMBNAIL = 16
_CELLS, _ORIENTATIONS = 4, 8
_SHADES = 4
_COLOURED = 32
"""Pixels a side of the picture whose colours are counted."""
_NOISE = 0.02
"""Contrast (of 0..1, root mean square) below which structure counts less and less: a blank wall has none."""
_AT_ONCE = 16
"""Pictures described together: numpy's calls are shared, and what they make still fits the processor's cache."""


class LocalEmbedder:
    """Layout, edges and colours of a picture, side by side in one vector of length 1.

    - a 16 x 16 thumbnail of the luma without its mean: where it is light and dark, whatever the exposure;
    - histograms of unsigned gradient directions, 8 in each of 4 x 4 cells, as in Dalal and Triggs, "Histograms of
      oriented gradients for human detection", 2005, with one normalisation over the picture;
    - a histogram of 4 x 4 x 4 colours, the square root of each share (Hellinger), soft between neighbours.

    Each has the same say.  It knows nothing of things: for "the same object elsewhere" use a learned embedder.
    """

    name = "local-2"
    dimension = _THUMBNAIL**2 + _CELLS**2 * _ORIENTATIONS + _SHADES**3
    side = _SIDE

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> FloatArray:
        """See :class:`data_engine.ports.Embedder`.

        Raises:
            ValueError: a picture that is not ``(height, width, 3)`` uint8, or is empty.
        """
        vectors = np.zeros((len(images), self.dimension), np.float32)
        for start in range(0, len(images), _AT_ONCE):
            small = np.stack([_reduced(image) for image in images[start : start + _AT_ONCE]])
            rgb = np.ascontiguousarray(small.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
            vectors[start : start + len(rgb)] = _described(rgb)
        return vectors


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a picture must be (height, width, 3) uint8: got {image.shape} {image.dtype}")
    if image.shape[:2] == (_SIDE, _SIDE):
        return image
    # By area is meant for reducing; where a picture is enlarged, linear is its smooth counterpart.
    enlarged = max(image.shape[:2]) < _SIDE
    how = cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA
    return np.asarray(cv2.resize(np.ascontiguousarray(image), (_SIDE, _SIDE), interpolation=how), np.uint8)


def _described(rgb: FloatArray) -> FloatArray:
    """``(n, dimension)`` of ``(n, 3, side, side)`` pictures in 0..1."""
    luma = np.float32(0.299) * rgb[:, 0] + np.float32(0.587) * rgb[:, 1] + np.float32(0.114) * rgb[:, 2]
    described = np.concatenate([_layout(luma), _edges(luma), _colours(rgb)], axis=1)
    return np.asarray(described / np.linalg.norm(described, axis=1, keepdims=True), np.float32)


def _pooled(pictures: FloatArray, side: int) -> FloatArray:
    """``(…, side, side)``: pictures ``(…, _SIDE, _SIDE)`` reduced by means."""
    step = _SIDE // side
    rows = pictures.reshape(*pictures.shape[:-2], side, step, _SIDE).sum(axis=-2)
    mean = np.repeat(np.eye(side, dtype=np.float32), step, axis=0) / np.float32(step * step)
    return np.asarray((rows.reshape(-1, _SIDE) @ mean).reshape(*rows.shape[:-1], side), np.float32)


def _toned(vectors: FloatArray, noise: float) -> FloatArray:
    """Each row at length 1 when it stands well above the noise, shorter when it does not."""
    power = np.square(vectors).sum(axis=1, keepdims=True) + vectors.shape[1] * noise**2
    return np.asarray(vectors / np.sqrt(power), np.float32)


def _layout(luma: FloatArray) -> FloatArray:
    thumbnail = _pooled(luma, _THUMBNAIL).reshape(len(luma), -1)
    return _toned(thumbnail - thumbnail.mean(axis=1, keepdims=True), _NOISE)


def _edges(luma: FloatArray) -> FloatArray:
    down, right = _slope(luma, 1), _slope(luma, 2)
    strength = np.sqrt(down * down + right * right)
    turn = np.arctan2(down, right)
    turn *= np.float32(_ORIENTATIONS / np.pi)
    np.add(turn, np.float32(_ORIENTATIONS), out=turn, where=turn < 0)
    away, share = np.empty_like(turn), np.empty_like(turn)
    histogram = np.empty((len(luma), _CELLS**2, _ORIENTATIONS), np.float32)
    for number in range(_ORIENTATIONS):
        # A direction between two bins is shared by both, so that a small turn makes a small difference.
        np.abs(np.subtract(turn, np.float32(number), out=away), out=away)
        np.minimum(away, np.subtract(np.float32(_ORIENTATIONS), away, out=share), out=away)
        np.maximum(np.subtract(np.float32(1), away, out=share), np.float32(0), out=share)
        share *= strength
        histogram[:, :, number] = _pooled(share, _CELLS).reshape(len(luma), -1)
    return _toned(histogram.reshape(len(luma), -1), _NOISE / _ORIENTATIONS)


def _slope(luma: FloatArray, axis: int) -> FloatArray:
    """Differences of neighbours along an axis, as of ``np.gradient``."""
    ahead = np.moveaxis(luma, axis, 0)
    slope = np.empty_like(luma)
    out = np.moveaxis(slope, axis, 0)
    np.subtract(ahead[2:], ahead[:-2], out=out[1:-1])
    out[1:-1] *= np.float32(0.5)
    out[0], out[-1] = ahead[1] - ahead[0], ahead[-1] - ahead[-2]
    return slope


def _colours(rgb: FloatArray) -> FloatArray:
    place = _pooled(rgb, _COLOURED).reshape(len(rgb), 3, 1, -1) * np.float32(_SHADES - 1)
    shades = np.arange(_SHADES, dtype=np.float32)[:, None]
    # Of each channel the shares of the shades around it, which add up to 1.
    shares = np.maximum(np.float32(1) - np.abs(place - shades), np.float32(0))
    red_green = (shares[:, 0, :, None] * shares[:, 1, None, :]).reshape(len(rgb), _SHADES**2, -1)
    histogram = (red_green @ shares[:, 2].transpose(0, 2, 1)).reshape(len(rgb), -1)
    return np.asarray(np.sqrt(histogram / np.float32(_COLOURED**2)), np.float32)
