"""Which side of the split a frame belongs to: by stretches of time, never by frame.

Neighbouring frames of a static camera are nearly the same picture.  So each source (a video, frames with their time in
their names, or a numbered series of pictures) is cut into blocks, every block lies on one side, and training frames
nearer than a guard distance to a validation block belong to neither side.  The plan of a source is made once and kept,
so a frame never changes sides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from data_engine.types import Frame, Split, content_id

SERIES_BLOCK = 300.0
"""Pictures at most in one block of a numbered series, whose times nobody knows."""
SERIES_GUARD = 15.0
"""Pictures at most that are kept free between the sides of a numbered series."""
_STAMPED = re.compile(r"^(.+)_(\d{8,9})_[0-9a-f]{8}\.jpg$")
"""The name that ``sample`` gives: video, time in ms, short id."""
_NUMBER = re.compile(r"^(.*?)(\d{1,9})$")
_BLOCKS_AT_LEAST = 5
_GUARD_AT_MOST = 0.1


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How one source is cut.

    Block ``i`` is on the validation side when ``floor((i + 1) * fraction + phase) > floor(i * fraction + phase)``:
    of any ``1 / fraction`` blocks in a row exactly one (Bresenham's line), and the phase decides which.
    """

    source: str
    block: float
    """Length of a block: seconds of a video, or of frames with their time in their names; pictures of a series."""
    guard: float
    """Distance to a validation block below which a training frame belongs to neither side; same unit."""
    fraction: float
    """Share of the blocks on the validation side, 0..1."""
    phase: float
    """0..1."""

    def side(self, position: float) -> Split:
        """The side of a frame at ``position`` (same unit as :attr:`block`)."""
        index = math.floor(position / self.block)
        if self._valid(index):
            return "valid"
        near_next = (index + 1) * self.block - position < self.guard and self._valid(index + 1)
        # A frame exactly one guard before or after is far enough.
        near_previous = position - index * self.block < self.guard and index > 0 and self._valid(index - 1)
        return "guard" if near_next or near_previous else "train"

    def _valid(self, index: int) -> bool:
        return math.floor((index + 1) * self.fraction + self.phase) > math.floor(index * self.fraction + self.phase)


def place(frame: Frame) -> tuple[str, float]:
    """The source of a frame and its position there.

    A frame of a video stands at its presentation time in seconds; a lone picture that is called as ``sample`` calls
    frames, at the time in its name; one with a number at the end of its name, at that number in its camera's series of
    such names; any other picture is a source of its own.  Where the file lies does not matter: pictures are moved.
    """
    if frame.video_id is not None and frame.time_s is not None:
        return f"video:{frame.video_id}", frame.time_s
    stamped = _STAMPED.match(frame.name)
    if stamped:
        return f"frames:{frame.camera}/{stamped[1]}", int(stamped[2]) / 1000
    numbered = _NUMBER.match(PurePosixPath(frame.name).stem)
    if numbered:
        return f"series:{frame.camera}/{numbered[1]}", float(numbered[2])
    return f"picture:{frame.id}", 0.0


def make_plan(
    source: str,
    *,
    duration_s: float | None,
    block_s: float,
    guard_s: float,
    fraction: float,
    span: float | None = None,
) -> SplitPlan:
    """The plan of a source that has none yet.

    A short source is cut into at least five blocks, so that one can serve both sides; the guard shrinks with it, to a
    tenth of a block, but never below two pictures of a series.  Everything that is timed in seconds is cut by
    ``block_s`` and ``guard_s``, a series of numbered pictures by :data:`SERIES_BLOCK` and :data:`SERIES_GUARD`.

    Args:
        source: as of :func:`place`.
        duration_s: length of a video in seconds, where it is known.
        block_s: seconds of a block at most.
        guard_s: seconds at most that are kept free between the sides.
        fraction: share of the blocks on the validation side, 0..1.
        span: largest known position of the source's frames, its length where nothing else tells it.
    """
    phase = int(content_id("split", source), 16) / 16 ** len(content_id("split", source))
    if source.startswith("picture:"):
        return SplitPlan(source, 1.0, 0.0, fraction, phase)
    length = span if duration_s is None else duration_s
    if source.startswith("series:"):
        block = min(SERIES_BLOCK, max(length / _BLOCKS_AT_LEAST, 1.0)) if length else SERIES_BLOCK
        # Two pictures at least: otherwise the direct neighbours of a short series would lie on both sides.
        return SplitPlan(source, block, min(SERIES_GUARD, max(block * _GUARD_AT_MOST, 2.0)), fraction, phase)
    block = min(block_s, max(length / _BLOCKS_AT_LEAST, 1e-3)) if length else block_s
    return SplitPlan(source, block, min(guard_s, block * _GUARD_AT_MOST), fraction, phase)
