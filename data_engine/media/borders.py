"""Black borders around the picture of a video: letterbox (above and below) and pillarbox (at the sides).

Frames from random moments are laid over one another, each pixel as bright as it ever gets.  What is black then is
border only if all says so: a few frames at least show a picture, the border is as even as only a computer draws it, and
it ends in one straight line along which the picture is lit nearly everywhere.  A night scene, a dark wall, a vignette
and a round fisheye picture end in no such line.  A burnt-in clock or a logo makes its part of a border picture, which
is kept: cropping must never cut anything that somebody may want to see.  Whatever is not sure is no border.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.errors import DataEngineError
from data_engine.media.sequence_moments import open_moments

if TYPE_CHECKING:
    from pathlib import Path

    from data_engine.types import Region

UInt8Array = NDArray[np.uint8]

_BLACKEST = 28
"""Brightness up to which a border counts as black: video black is 16, and recorders miss it by a few steps."""
_NOISE = 5
"""Steps of brightness by which compression lifts an even border."""
_LIT = 12
"""Steps of brightness above the border from which a pixel certainly is picture."""
_FEWEST_FRAMES = 2
_LEAST_PX = 4
_LEAST_SHARE = 0.01
_MOST_SHARE = 0.45
_EDGE_PX = 4
"""Pixels within which black must become picture; scaling and compression soften the line."""
_RINGING_PX = 12
"""Pixels next to the line that compression may have soiled: a block and a half."""
_UNEVEN_SHARE = 0.25
"""Share of the soiled rows that may be lit."""
_STRAIGHT_SHARE = 0.8
"""Share of the edge's length along which that must happen ..."""
_LONE_STRAIGHT_SHARE = 0.92
"""... and where the opposite side has no such border: overlays are centred, walls and skies are not."""
_SAME_PX = 6
"""Pixels by which the borders of two sides may differ and count as centred."""
_SEEN_SHARE = 0.25
"""Share of the edge's length that single frames must show ..."""
_SEEN_FRAMES = 0.34
"""... and the share of the frames that must show it."""


def find_borders(path: Path, *, key: str, seed: str, probes: int = 12) -> Region | None:
    """The picture of a video inside its black borders, or None where it has none or it is not sure.

    Frames are taken at random moments, one from each of ``probes`` equal parts of the video, the same for the same
    seed.  Entirely black ones (fades, a covered lens) are left out.  A border is taken for one when it is at least 4
    pixels and 1 % of its side, at most 45 % of it.  It is rounded down to even pixels, so that colour planes of half
    size can be cut as well.

    Args:
        path: the file.
        key: what it is called.
        seed: the video's id, from which the moments are drawn.
        probes: how many frames are looked at.

    Returns:
        left, top, width and height in pixels as displayed (after rotation).  None as well for what cannot be read: the
        one who samples it says why.
    """
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    fractions = (np.arange(probes) + generator.random(probes)) / probes
    frames: list[UInt8Array] = []
    sharp: UInt8Array | None = None
    try:
        with open_moments(path, key=key) as reader:
            shown = -1
            for frame in reader.at_fractions(fractions.tolist()):
                if frame is None or frame.pts == shown:
                    continue
                shown = frame.pts
                luma = frame.luma()
                smooth = _smoothed(luma)
                if _is_black(smooth):
                    continue
                if sharp is not None and sharp.shape != luma.shape:
                    return None
                sharp = luma.copy() if sharp is None else np.maximum(sharp, luma)
                frames.append(smooth)
    except DataEngineError:
        return None
    return None if sharp is None else _inside(frames, sharp)


def _smoothed(luma: UInt8Array) -> UInt8Array:
    """Means of 3 x 3 pixels: a single noisy pixel in a border is no picture, a letter of a clock still is."""
    return np.asarray(cv2.blur(luma, (3, 3), borderType=cv2.BORDER_REPLICATE), np.uint8)


def _is_black(frame: UInt8Array) -> bool:
    """Whether a frame shows nothing: less than a hundredth of it is lit."""
    return bool(np.percentile(frame, 99) < max(int(frame.min()), 16) + _LIT)


def _inside(frames: list[UInt8Array], sharp: UInt8Array) -> Region | None:
    """The region inside the borders that all (smoothed) frames share; ``sharp`` is their maximum before smoothing."""
    if len(frames) < _FEWEST_FRAMES:
        return None
    brightest = np.maximum.reduce(frames)
    darkest = np.minimum.reduce(frames)
    top, bottom = _sides(brightest, darkest)
    left, right = _sides(brightest.T, darkest.T)
    height, width = brightest.shape
    # Each side's edge is looked at between the other two sides' borders.
    rows, columns = slice(top, height - bottom), slice(left, width - right)
    vertical = _sure(brightest[:, columns], [frame[:, columns] for frame in frames], top, bottom)
    horizontal = _sure(brightest[rows].T, [frame[rows].T for frame in frames], left, right)
    if vertical is None or horizontal is None or (vertical, horizontal) == ((0, 0), (0, 0)):
        return None
    # What one side's edge was measured between must itself have proved to be border.
    if (vertical, horizontal) != ((top, bottom), (left, right)):
        rows, columns = slice(vertical[0], height - vertical[1]), slice(horizontal[0], width - horizontal[1])
        again = _sure(brightest[:, columns], [frame[:, columns] for frame in frames], *vertical)
        beside = _sure(brightest[rows].T, [frame[rows].T for frame in frames], *horizontal)
        if again != vertical or beside != horizontal:
            return None
    x, cut_right = _even(_sharpened(sharp.T, horizontal[0]), _sharpened(sharp.T[::-1], horizontal[1]), width)
    y, cut_below = _even(_sharpened(sharp, vertical[0]), _sharpened(sharp[::-1], vertical[1]), height)
    if not (x or y or cut_right or cut_below):
        return None
    return x, y, width - x - cut_right, height - y - cut_below


def _sharpened(brightest: UInt8Array, border: int) -> int:
    """The border with the last row that only smoothing had mixed with picture."""
    if not border:
        return 0
    return border + int(brightest[border].max() <= np.median(brightest[0]) + _NOISE)


def _even(before: int, after: int, side: int) -> tuple[int, int]:
    """Borders rounded down so that the picture begins at an even pixel and, where it can, is of even size."""
    before -= before % 2
    if after and (side - before - after) % 2:
        after -= 1
    return before, after


def _sides(brightest: UInt8Array, darkest: UInt8Array) -> tuple[int, int]:
    """How many rows are evenly black at the top and at the bottom."""
    return _black_rows(brightest, darkest), _black_rows(brightest[::-1], darkest[::-1])


def _black_rows(brightest: UInt8Array, darkest: UInt8Array) -> int:
    """How many rows from the top stay as black as the outermost one, all along and in all frames."""
    level = int(np.median(brightest[0]))
    if level > _BLACKEST:
        return 0
    even = (brightest.max(axis=1) <= level + _NOISE) & (darkest.min(axis=1) >= level - 2 * _NOISE)
    return len(even) if even.all() else int(np.argmin(even))


def _sure(brightest: UInt8Array, frames: list[UInt8Array], before: int, after: int) -> tuple[int, int] | None:
    """Which of two opposite borders are certain; None when one is so large that the picture itself must be dark."""
    side = len(brightest)
    if max(before, after) > side * _MOST_SHARE:
        return None
    least = max(_LEAST_PX, side * _LEAST_SHARE)
    before, after = (border if border >= least else 0 for border in (before, after))
    centred = abs(before - after) <= _SAME_PX
    share = _STRAIGHT_SHARE if centred else _LONE_STRAIGHT_SHARE
    if before and not _is_edge(brightest, frames, before, share):
        before = 0
    if after and not _is_edge(brightest[::-1], [frame[::-1] for frame in frames], after, share):
        after = 0
    return before, after


def _is_edge(brightest: UInt8Array, frames: list[UInt8Array], border: int, share: float) -> bool:
    """Whether picture begins along one straight line, at the first ``border`` rows' end or a block below it."""
    lit = int(np.median(brightest[0])) + _LIT
    lengths = (brightest[border : border + _RINGING_PX + _EDGE_PX] >= lit).mean(axis=1)
    line = int(np.argmax(lengths >= share))
    if lengths[line] < share or (line >= _EDGE_PX and lengths[line - _EDGE_PX] > _UNEVEN_SHARE):
        return False
    inside = slice(border + line, border + line + _EDGE_PX)
    seen = sum(float((frame[inside].max(axis=0) >= lit).mean()) >= _SEEN_SHARE for frame in frames)
    return seen >= max(_FEWEST_FRAMES, _SEEN_FRAMES * len(frames))
