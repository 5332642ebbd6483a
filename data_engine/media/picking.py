"""Which frames of a video to keep, decided one frame at a time, with nothing read or written.

A picker is told each frame's time in order of presentation and may look at its luma; it answers whether to keep it.
Times are exact fractions of a second, so the answer does not depend on the frame rate being a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_engine.media.similarity import Moments, reduced, ssim, tile_changes

UInt8Array = NDArray[np.uint8]
Look = Callable[[], UInt8Array]
"""Gives the frame's ``(height, width)`` uint8 luma; called only where the answer depends on it."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A frame to keep."""

    similarity: float | None = None
    """Structural similarity to the frame kept before; None for the first one and where it was not computed."""


class Picker(Protocol):
    """Decides on one video's frames, in order."""

    def pick(self, time_s: Fraction, look: Look) -> Pick | None:
        """Whether to keep the frame at ``time_s`` seconds."""
        ...


class SceneChangePicker:
    """Keeps the first frame and every one whose mean similarity to the last kept frame is below the threshold.

    A frame of another size than the last kept one is kept as well.

    Args:
        threshold: mean structural similarity, of reduced luma, from which on two frames count as the same.
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, threshold: float, min_gap_s: float = 0.0) -> None:
        self._threshold = threshold
        self._min_gap_s = exact(min_gap_s)
        self._kept: Moments | None = None
        self._kept_s = Fraction(0)

    def pick(self, time_s: Fraction, look: Look) -> Pick | None:
        """Whether to keep the frame; see :class:`Picker`."""
        if self._kept is not None and time_s - self._kept_s < self._min_gap_s:
            return None
        frame = Moments.of(reduced(look()))
        similarity = None
        if self._kept is not None and self._kept.luma.shape == frame.luma.shape:
            similarity, _ = ssim(self._kept, frame)
            if similarity >= self._threshold:
                return None
        self._kept, self._kept_s = frame, time_s
        return Pick(similarity)


class TilesPicker:
    """For static cameras: keeps a frame when enough of the picture has differed long enough from the last kept one.

    A person is a few tiles of the picture, which its mean similarity hardly feels.  Every frame adds the number of
    its changed tiles times the seconds since the frame before it, at most half of ``tile_seconds``; a frame is kept
    when the sum reaches that; the sum starts again when the scene is back as it was.  So a lone walker counts after a
    moment and a crowd sooner, a flash or a glitch of one frame does not, and the frame rate hardly matters.  Even
    light and sensor noise are not change: see :func:`data_engine.media.similarity.tile_changes`.

    Args:
        tile_change: change of a tile (0..1) from which on it counts as changed.
        tile_seconds: changed tiles times seconds that make a frame worth keeping.
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, tile_change: float, tile_seconds: float, min_gap_s: float = 0.0) -> None:
        self._tile_change = tile_change
        self._tile_seconds = exact(tile_seconds)
        self._min_gap_s = exact(min_gap_s)
        self._kept: Moments | None = None
        self._kept_s = Fraction(0)
        self._seen_s = Fraction(0)
        self._changed = Fraction(0)

    def pick(self, time_s: Fraction, look: Look) -> Pick | None:
        """Whether to keep the frame; see :class:`Picker`."""
        since_s, self._seen_s = time_s - self._seen_s, time_s
        if self._kept is not None and time_s - self._kept_s < self._min_gap_s:
            return None
        frame = Moments.of(reduced(look()))
        if self._kept is not None and self._kept.luma.shape == frame.luma.shape:
            tiles = int((tile_changes(self._kept, frame) >= self._tile_change).sum())
            self._changed = self._changed + min(tiles * since_s, self._tile_seconds / 2) if tiles else Fraction(0)
            if self._changed < self._tile_seconds:
                return None
        self._kept, self._kept_s, self._changed = frame, time_s, Fraction(0)
        return Pick()


class IntervalPicker:
    """Keeps the first frame at or after each multiple of the interval, counted from the start of the video.

    Args:
        interval_s: seconds.
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, interval_s: float, min_gap_s: float = 0.0) -> None:
        self._interval_s = exact(interval_s)
        self._min_gap_s = exact(min_gap_s)
        self._kept_s: Fraction | None = None

    def pick(self, time_s: Fraction, look: Look) -> Pick | None:  # noqa: ARG002 - the time alone decides
        """Whether to keep the frame; see :class:`Picker`."""
        if self._kept_s is not None:
            same = math.floor(time_s / self._interval_s) == math.floor(self._kept_s / self._interval_s)
            if same or time_s - self._kept_s < self._min_gap_s:
                return None
        self._kept_s = time_s
        return Pick()


def exact(number: float) -> Fraction:
    """The decimal number that was typed: 0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(repr(number))
