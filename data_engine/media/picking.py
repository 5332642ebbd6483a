"""Which frames of a video to keep, decided one frame at a time, with nothing read or written.

A picker is asked by time alone whether it wants to look at a frame, then looks at its reduced luma and answers with the
frames to keep.  Times are exact fractions of a second, so the answer does not depend on the frame rate being a whole
number.  A picker can hand out its whole state and go on from it, as if nothing had come between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.similarity import WINDOW, Moments, ignored_mask, reduced, ssim

if TYPE_CHECKING:
    from data_engine.media.decode import DecodedFrame
    from data_engine.types import Region

UInt8Array = NDArray[np.uint8]
State = dict[str, NDArray[np.generic]]
"""Arrays by name, that ``numpy.savez`` stores without pickling."""

LOOK_GAP_S = 0.2
"""Seconds: how close together frames are looked at unless a picker is told otherwise.  What matters in footage lasts
longer, and looking five times a second costs a fraction of the decoding."""


class Look:
    """A frame that is looked at, with its reduced luma computed once for everyone who asks.

    Args:
        frame: the decoded frame.
    """

    def __init__(self, frame: DecodedFrame) -> None:
        self.frame = frame
        self.time_s: Fraction = frame.time_s

    @cached_property
    def reduced(self) -> UInt8Array:
        """``(height, width)`` uint8 luma, reduced as :func:`data_engine.media.similarity.reduced` does."""
        return reduced(self.frame.luma())


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """A frame to keep."""

    frame: DecodedFrame
    """The frame just looked at, or one from shortly before that the picker held on to."""
    reason: str
    """``first``, ``changed``, ``interval``, ``keyframe``, ``cut`` or ``max-gap``."""
    similarity: float | None = None
    """Structural similarity to the frame kept before; None for the first one and where it was not computed."""
    weight: float = 1.0
    """How much happened that this frame stands for, at least 0: what a budget weighs; comparable inside one method."""


class Picker(Protocol):
    """Decides on one video's frames, in order."""

    @property
    def holds(self) -> bool:
        """Whether an earlier frame may yet be kept; cheap, for it may be asked after every frame."""
        ...

    def wants(self, time_s: Fraction) -> bool:
        """Whether the frame at ``time_s`` seconds must be looked at; by time alone, and cheap."""
        ...

    def pick(self, look: Look) -> Sequence[Pick]:
        """The frames to keep, now that this one was seen; called for wanted frames that no quality gate held back."""
        ...

    def pass_by(self, time_s: Fraction) -> None:
        """Take note that the wanted frame at ``time_s`` was held back because the picture is frozen.

        It shows nothing that was not seen before, so the picker need not look at every frame until one is another.
        """
        ...

    def finish(self) -> Sequence[Pick]:
        """The frames to keep, now that the video is at its end."""
        ...

    def state(self) -> State | None:
        """Everything needed to go on exactly from here; None while it holds a frame, and may be soon after a start."""
        ...

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Go on from a state that a picker made the same way handed out."""
        ...


class SceneChangePicker:
    """Keeps the first frame and every one whose mean similarity to the last kept frame is below the threshold.

    A frame of another size than the last kept one is kept as well.

    Args:
        threshold: mean structural similarity, of reduced luma, from which on two frames count as the same.
        min_gap_s: seconds that must lie between kept frames.
        look_gap_s: seconds that lie between frames that are compared, at least; 0 compares every frame.
        ignore: parts of the picture, in pixels of the saved frame, that are not compared.
    """

    def __init__(
        self,
        threshold: float,
        min_gap_s: float = 0.0,
        *,
        look_gap_s: float = LOOK_GAP_S,
        ignore: Sequence[Region] = (),
    ) -> None:
        self._threshold = threshold
        self._min_gap_s = exact(min_gap_s)
        self._look_gap_s = exact(look_gap_s)
        self._ignore = tuple(ignore)
        self._kept: Moments | None = None
        self._compared: NDArray[np.bool_] | None = None
        self._compared_of: tuple[tuple[int, int], tuple[int, ...]] | None = None
        self._kept_s: Fraction | None = None
        self._looked_s: Fraction | None = None

    def wants(self, time_s: Fraction) -> bool:
        """See :class:`Picker`."""
        if self._kept_s is None or self._looked_s is None:
            return True
        return time_s - self._looked_s >= self._look_gap_s and time_s - self._kept_s >= self._min_gap_s

    def pick(self, look: Look) -> Sequence[Pick]:
        """See :class:`Picker`."""
        self._looked_s = look.time_s
        frame = Moments.of(look.reduced)
        similarity = None
        if self._kept is not None and self._kept.luma.shape == frame.luma.shape:
            similarity, similarities = ssim(self._kept, frame)
            if self._ignore:
                similarity = self._mean(similarities, look)
            if similarity >= self._threshold:
                return ()
        first = self._kept is None
        self._kept, self._kept_s = frame, look.time_s
        weight = 1.0 if similarity is None else 1.0 - similarity
        return (Pick(look.frame, "first" if first else "changed", similarity, weight),)

    def _mean(self, similarities: NDArray[np.float32], look: Look) -> float:
        """The mean over the windows that no ignored part touches; 1 where all of the picture is ignored."""
        now = (look.frame.size_wh, look.reduced.shape)
        if self._compared is None or self._compared_of != now:
            ignored = ignored_mask(self._ignore, *now).astype(np.uint8)
            touched = cv2.dilate(ignored, np.ones((WINDOW, WINDOW), np.uint8))
            border = WINDOW // 2
            self._compared, self._compared_of = touched[border:-border, border:-border] == 0, now
        return float(similarities[self._compared].mean(dtype=np.float64)) if self._compared.any() else 1.0

    @property
    def holds(self) -> bool:
        """See :class:`Picker`."""
        return False

    def pass_by(self, time_s: Fraction) -> None:
        """See :class:`Picker`."""
        self._looked_s = time_s

    def finish(self) -> Sequence[Pick]:
        """See :class:`Picker`."""
        return ()

    def state(self) -> State | None:
        """See :class:`Picker`."""
        luma = np.zeros((0, 0), np.uint8) if self._kept is None else self._kept.luma
        return {"luma": luma, "kept_s": packed(self._kept_s), "looked_s": packed(self._looked_s)}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """See :class:`Picker`."""
        luma = np.asarray(state["luma"], np.uint8)
        self._kept = Moments.of(luma) if luma.size else None
        self._kept_s, self._looked_s = unpacked(state["kept_s"]), unpacked(state["looked_s"])


class _TimePicker:
    """Keeps whatever it looks at: subclasses say by time alone what that is.

    Args:
        reason: why frames after the first one are kept.
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, reason: str, min_gap_s: float) -> None:
        self._reason = reason
        self._min_gap_s = exact(min_gap_s)
        self._kept_s: Fraction | None = None

    def pick(self, look: Look) -> Sequence[Pick]:
        """See :class:`Picker`."""
        reason = "first" if self._kept_s is None else self._reason
        self._kept_s = look.time_s
        return (Pick(look.frame, reason),)

    @property
    def holds(self) -> bool:
        """See :class:`Picker`."""
        return False

    def pass_by(self, time_s: Fraction) -> None:
        """See :class:`Picker`; the frame's turn is over."""
        if self._kept_s is not None:
            self._kept_s = time_s

    def finish(self) -> Sequence[Pick]:
        """See :class:`Picker`."""
        return ()

    def state(self) -> State | None:
        """See :class:`Picker`."""
        return {"kept_s": packed(self._kept_s)}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """See :class:`Picker`."""
        self._kept_s = unpacked(state["kept_s"])


class IntervalPicker(_TimePicker):
    """Keeps the first frame at or after each multiple of the interval, counted from the start of the video.

    Args:
        interval_s: seconds.
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, interval_s: float, min_gap_s: float = 0.0) -> None:
        super().__init__("interval", min_gap_s)
        self._interval_s = exact(interval_s)

    def wants(self, time_s: Fraction) -> bool:
        """See :class:`Picker`."""
        if self._kept_s is None:
            return True
        same = time_s // self._interval_s == self._kept_s // self._interval_s
        return not same and time_s - self._kept_s >= self._min_gap_s


class KeyframePicker(_TimePicker):
    """Keeps every frame that it is given; the reader gives it the keyframes only.

    Args:
        min_gap_s: seconds that must lie between kept frames.
    """

    def __init__(self, min_gap_s: float = 0.0) -> None:
        super().__init__("keyframe", min_gap_s)

    def wants(self, time_s: Fraction) -> bool:
        """See :class:`Picker`."""
        return self._kept_s is None or time_s - self._kept_s >= self._min_gap_s


def exact(number: float) -> Fraction:
    """The decimal number that was typed: 0.1 is a tenth, not the nearest binary fraction."""
    return Fraction(repr(number))


def packed(time_s: Fraction | None) -> NDArray[np.generic]:
    """An exact time, or that there is none, as an array for a :data:`State`."""
    return np.asarray("" if time_s is None else str(time_s))


def unpacked(text: NDArray[np.generic]) -> Fraction | None:
    """What was :func:`packed`."""
    return Fraction(str(text)) if str(text) else None
