"""Which side of the split a frame belongs to: by stretches of time, never by frame.

Neighbouring frames of a static camera are nearly the same picture.  So each source (a video, or a numbered series of
pictures) is cut into blocks, every block lies on one side, and training frames nearer than a guard distance to a
validation block belong to neither side.  The plan of a source is made once and kept, so a frame never changes sides.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from data_engine.types import Frame, Split, content_id

SERIES_BLOCK = 50.0
"""Pictures in one block of a numbered series, whose times nobody knows."""
SERIES_GUARD = 2.0
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
    """Length of a block: seconds of a video, pictures of a series."""
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

    A frame of a video stands at its presentation time in seconds; a lone picture with a number at the end of its name
    at that number in its folder's series; any other picture is a source of its own.
    """
    if frame.video_id is not None and frame.time_s is not None:
        return f"video:{frame.video_id}", frame.time_s
    path = PurePosixPath(frame.key)
    numbered = _NUMBER.match(PurePosixPath(frame.name).stem)
    if numbered:
        return f"series:{path.parent}/{numbered[1]}", float(numbered[2])
    return f"picture:{frame.id}", 0.0


def make_plan(source: str, *, duration_s: float | None, block_s: float, guard_s: float, fraction: float) -> SplitPlan:
    """The plan of a source that has none yet.

    A short video is cut into at least five blocks, so that one file can serve both sides; the guard shrinks with it,
    to a tenth of a block at most.
    """
    phase = int(content_id("split", source), 16) / 16 ** len(content_id("split", source))
    if source.startswith("video:"):
        block = block_s if duration_s is None else min(block_s, max(duration_s / _BLOCKS_AT_LEAST, 1e-3))
        return SplitPlan(source, block, min(guard_s, block * _GUARD_AT_MOST), fraction, phase)
    if source.startswith("series:"):
        return SplitPlan(source, SERIES_BLOCK, SERIES_GUARD, fraction, phase)
    return SplitPlan(source, 1.0, 0.0, fraction, phase)
