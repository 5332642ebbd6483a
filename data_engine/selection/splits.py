"""Which side of the split a frame belongs to: by stretches of time, never by frame.

Neighbouring frames of a static camera are nearly the same picture.  So each source (a video, frames with their time in
their names, or a numbered series of pictures) is cut into blocks, every block lies on one side, and training frames
nearer than a guard distance to a validation block belong to neither side.  The plan of a source is made once and kept,
so a frame never changes sides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from data_engine.types import Frame, Split, content_id

SERIES_BLOCK = 300.0
"""Pictures at most in one block of a numbered series, whose times nobody knows."""
SERIES_GUARD = 15.0
"""Pictures at most that are kept free between the sides of a numbered series."""
MOMENT_S = 5.0
"""Seconds from which two frames of a source show two moments: on a clip of a static camera with people, frames 5 s
apart look as different as frames a minute apart."""
_STAMPED = re.compile(r"^(.+)_(\d{8,9})_[0-9a-f]{8}\.jpg$")
"""The name that ``sample`` gives: video, time in ms, short id."""
_NUMBER = re.compile(r"^(.*?)(\d{1,9})$")
_BLOCKS_AT_LEAST = 5
_GUARD_AT_MOST = 0.1
_PHASES = 10
"""Phases to choose from: enough to have each of the first five blocks on either side."""


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
    shares: str | None = None
    """The source on whose time axis this one lies, and whose plan it therefore has; None for one of its own."""
    shift: float = 0.0
    """What is added to a position in this source to get the one on that axis."""

    @property
    def axis(self) -> str:
        """The source that the plan's positions count from."""
        return self.shares or self.source

    def block_of(self, position: float) -> int:
        """Number of the block at ``position`` (same unit as :attr:`block`); the axis may begin before its source."""
        return math.floor((position + self.shift) / self.block)

    def spot(self, position: float) -> tuple[int, bool, bool]:
        """All that :meth:`side` asks of a position: its block, and whether it is near the next and the previous one."""
        index, at = self.block_of(position), position + self.shift
        return index, (index + 1) * self.block - at < self.guard, at - index * self.block < self.guard

    def side(self, position: float, golden: Collection[int] = ()) -> Split:
        """The side of a frame at ``position``.

        Args:
            position: in the source, same unit as :attr:`block`.
            golden: numbers of the blocks that models are judged on.
        """
        index, at = self.block_of(position), position + self.shift

        def judged(block: int) -> bool:
            return block in golden or self._valid(block)

        # A frame exactly one guard before or after is far enough.
        to_next, to_previous = (index + 1) * self.block - at, at - index * self.block
        if judged(index):
            # What lies before the axis' own source came after it, and gives way to it.
            clear = index != -1 or to_next >= self.guard or judged(0)
            return ("golden" if index in golden else "valid") if clear else "guard"
        near_next = to_next < self.guard and judged(index + 1)
        near_previous = to_previous < self.guard and index != 0 and judged(index - 1)
        return "guard" if near_next or near_previous else "train"

    def of(self, source: str, shift: float) -> SplitPlan:
        """The plan of another source on the same axis; ``shift`` takes its positions to positions of this source."""
        return replace(self, source=source, shares=self.axis, shift=self.shift + shift)

    def _valid(self, index: int) -> bool:
        return math.floor((index + 1) * self.fraction + self.phase) > math.floor(index * self.fraction + self.phase)


def place(frame: Frame) -> tuple[str, float]:
    """The source of a frame and its position there.

    A frame of a video stands at its presentation time in seconds; a lone picture that is called as ``sample`` calls
    frames, at the time in its name; one with a number at the end of its name, at that number in its camera's series of
    such names; any other picture is a source of its own.  Where the file lies does not matter: pictures are moved.
    """
    return place_of(frame.id, frame.name, frame.camera, frame.video_id, frame.time_s)


def place_of(frame_id: str, name: str, camera: str, video_id: str | None, time_s: float | None) -> tuple[str, float]:
    """As :func:`place`, of a frame that is told by its parts."""
    if video_id is not None and time_s is not None:
        return f"video:{video_id}", time_s
    stamped = _STAMPED.match(name)
    if stamped:
        return f"frames:{camera}/{stamped[1]}", int(stamped[2]) / 1000
    numbered = _NUMBER.match(PurePosixPath(name).stem)
    if numbered:
        return f"series:{camera}/{numbered[1]}", float(numbered[2])
    return f"picture:{frame_id}", 0.0


def moment(source: str) -> float:
    """The distance from which two frames of a source show two moments, in the unit of its positions."""
    return SERIES_GUARD if source.startswith("series:") else MOMENT_S


def unit(source: str) -> int:
    """What positions in a source are counted in: 0 seconds, 1 pictures, 2 nothing (a picture by itself).

    Sources of two units have no time axis in common, whatever they show.
    """
    return 2 if source.startswith("picture:") else 1 if source.startswith("series:") else 0


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


def balanced(
    plan: SplitPlan,
    positions: Sequence[float],
    categories: Sequence[Collection[int]],
    reached: Mapping[int, Collection[Split]],
) -> SplitPlan:
    """The plan with the phase by which most classes reach both sides; its own where no other does better.

    Args:
        plan: of a source that none was made for yet.
        positions: of its first frames.
        categories: ids of the classes on each of these frames.
        reached: the sides that frames of other sources with these classes lie on, by class.
    """
    # Of positions that are alike in all that the side is told by, one stands for all: there are few.
    standing: dict[tuple[int, bool, bool], float] = {}
    there: dict[int, set[tuple[int, bool, bool]]] = {}
    for position, found in zip(positions, categories, strict=True):
        spot = plan.spot(position)
        standing.setdefault(spot, position)
        for category in found:
            there.setdefault(category, set()).add(spot)

    def missing(one: SplitPlan) -> int:
        sides = {spot: one.side(position) for spot, position in standing.items()}
        met = ({*reached.get(category, ()), *(sides[spot] for spot in spots)} for category, spots in there.items())
        return sum(len({"train", "valid"} - found) for found in met)

    shifted = (replace(plan, phase=(plan.phase + step / _PHASES) % 1) for step in range(_PHASES))
    return min(shifted, key=missing)
