"""The embedded descriptor: what a picture looks like, without any learned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SIDE = 64
"""Every picture is reduced to this many pixels a side, by area, which also takes the noise out."""
_THUMBNAIL = 16
_CELLS, _ORIENTATIONS = 4, 8
_SHADES = 4
_NOISE = 0.02
"""Contrast (of 0..1, root mean square) below which structure counts less and less: a blank wall has none."""


class LocalEmbedder:
    """Layout, edges and colours of a picture, side by side in one vector of length 1.

    - a 16 x 16 thumbnail of the luma without its mean: where it is light and dark, whatever the exposure;
    - histograms of unsigned gradient directions, 8 in each of 4 x 4 cells, as in Dalal and Triggs, "Histograms of
      oriented gradients for human detection", 2005, with one normalisation over the picture;
    - a histogram of 4 x 4 x 4 colours, the square root of each share (Hellinger), soft between neighbours.

    Each has the same say.  It knows nothing of things: for "the same object elsewhere" use a learned embedder.
    """

    name = "local"
    dimension = _THUMBNAIL**2 + _CELLS**2 * _ORIENTATIONS + _SHADES**3

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """See :class:`data_engine.ports.Embedder`.

        Raises:
            ValueError: a picture that is not ``(height, width, 3)`` uint8, or is empty.
        """
        vectors = np.zeros((len(images), self.dimension), np.float32)
        for row, image in enumerate(images):
            vectors[row] = _describe(image)
        return vectors


def _describe(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a picture must be (height, width, 3) uint8: got {image.shape} {image.dtype}")
    small = cv2.resize(np.ascontiguousarray(image), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    rgb = np.asarray(small, np.float64) / 255.0
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    described = np.concatenate([_layout(luma), _edges(luma), _colours(rgb)])
    return np.asarray(described / np.linalg.norm(described), np.float32)


def _toned(vector: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """The vector at length 1 when it stands well above the noise, shorter when it does not."""
    return np.asarray(vector / np.sqrt(vector @ vector + len(vector) * noise**2), np.float64)


def _layout(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    step = _SIDE // _THUMBNAIL
    thumbnail = luma.reshape(_THUMBNAIL, step, _THUMBNAIL, step).mean(axis=(1, 3)).ravel()
    return _toned(thumbnail - thumbnail.mean(), _NOISE)


def _edges(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    down, right = np.gradient(luma)
    strength = np.hypot(down, right)
    # A direction between two bins is shared by both, so that a small turn makes a small difference.
    turn = np.mod(np.arctan2(down, right), np.pi) / np.pi * _ORIENTATIONS
    lower = np.floor(turn)
    upper_share = turn - lower
    row, column = np.indices(luma.shape) * _CELLS // _SIDE
    cell = (row * _CELLS + column) * _ORIENTATIONS
    size = _CELLS**2 * _ORIENTATIONS
    histogram = np.zeros(size)
    for bins, share in ((lower, 1.0 - upper_share), (lower + 1, upper_share)):
        place = cell + np.mod(bins, _ORIENTATIONS).astype(np.int64)
        histogram += np.bincount(place.ravel(), weights=(share * strength).ravel(), minlength=size)
    return _toned(histogram / (_SIDE // _CELLS) ** 2, _NOISE / _ORIENTATIONS)


def _colours(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    place = rgb.reshape(-1, 3) * (_SHADES - 1)
    lower = np.minimum(np.floor(place), _SHADES - 2)
    share = place - lower
    base = lower.astype(np.int64)
    histogram = np.zeros(_SHADES**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1.0 - share), axis=1)
        index = (base + corner) @ np.array([_SHADES**2, _SHADES, 1])
        histogram += np.bincount(index, weights=weight, minlength=_SHADES**3)
    return np.asarray(np.sqrt(histogram / histogram.sum()), np.float64)
