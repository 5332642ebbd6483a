"""Scene cuts of edited or moving footage, found by PySceneDetect's adaptive detector.

The detector compares each frame with the one before it in hue, saturation and brightness, and cuts where a frame
changed several times as much as its neighbours (https://www.scenedetect.com).  It is used as the library it is, on
frames reduced as its own ``SceneManager`` reduces them, with their presentation times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.media.picking import Look, Pick, State, exact

if TYPE_CHECKING:
    from data_engine.media.decode import DecodedFrame

UInt8Array = NDArray[np.uint8]

SHORTEST_SCENE_S = Fraction(3, 5)
"""Seconds: the shortest scene of PySceneDetect's command line."""
_WINDOW = 2
"""Frames on each side that a frame is compared with: the library's own default, and so by how many it answers late."""
# A frame's change needs the frame before it, and the detector remembers the changes of a window on each side.
_REMEMBERED = 2 * _WINDOW + 2
# The detector adds its numbers up in another order.
_ROUNDING = 1e-9


class ContentPicker:
    """Keeps the first frame and the first frame of each new scene.  Looks at every frame, as the detector needs it.

    A frame of another size than the one before begins a new scene too.

    Args:
        adaptive_threshold: how many times larger than the mean change around it a frame's change must be.
        min_content: change that a cut needs at least: the mean of the differences in hue (0..179), saturation and
            brightness (0..255) to the frame before.
        min_gap_s: seconds that a scene lasts at least; not less than ``SHORTEST_SCENE_S``.
    """

    def __init__(self, adaptive_threshold: float = 3.0, min_content: float = 15.0, min_gap_s: float = 0.0) -> None:
        self._adaptive_threshold = adaptive_threshold
        self._min_content = min_content
        self._min_scene_s = max(exact(min_gap_s), SHORTEST_SCENE_S)
        self._detector: Any = None
        self._held: deque[DecodedFrame] = deque(maxlen=_WINDOW + 1)
        self._seen: deque[tuple[int, UInt8Array]] = deque(maxlen=_REMEMBERED)
        self._changed: dict[int, float] = {}
        self._cut_pts: int | None = None
        self._time_base = Fraction(1)
        self._size_wh = (0, 0)

    def wants(self, time_s: Fraction) -> bool:  # noqa: ARG002 - every frame, whenever it is
        """See :class:`~data_engine.media.picking.Picker`."""
        return True

    def pick(self, look: Look) -> Sequence[Pick]:
        """See :class:`~data_engine.media.picking.Picker`."""
        frame = look.frame
        first = self._cut_pts is None
        begins = first or frame.size_wh != self._size_wh
        if begins:
            self._detector = self._new_detector(self._adaptive_threshold)
            self._seen.clear()
            self._changed.clear()
            self._held.clear()
            self._cut_pts, self._time_base, self._size_wh = frame.pts, frame.time_base, frame.size_wh
        self._held.append(frame)
        cuts = self._shown(frame.pts, _reduced(frame))
        if begins:
            return (Pick(frame, "first" if first else "cut"),)
        picks = tuple(Pick(held, "cut") for held in self._held if held.pts in cuts)
        if picks:
            self._cut_pts = picks[-1].frame.pts
        return picks

    @property
    def holds(self) -> bool:
        """See :class:`~data_engine.media.picking.Picker`.

        A frame that the detector has not decided on becomes no cut if its change is not enough beside those that are
        known, even if nothing changed any more: so a steady pan holds nothing, however fast it is.
        """
        changes = self._changes()
        for place in range(max(0, len(changes) - _WINDOW), len(changes)):
            around = changes[max(0, place - _WINDOW) : place] + changes[place + 1 :]
            least = max(self._min_content, self._adaptive_threshold * sum(around) / (2 * _WINDOW))
            if changes[place] >= least * (1 - _ROUNDING):
                return True
        return False

    def pass_by(self, time_s: Fraction) -> None:
        """See :class:`~data_engine.media.picking.Picker`; it looks at every frame all the same."""

    def finish(self) -> Sequence[Pick]:
        """See :class:`~data_engine.media.picking.Picker`; no cut is found in the last frames, which have no window."""
        return ()

    def state(self) -> State | None:
        """See :class:`~data_engine.media.picking.Picker`.

        The detector itself can't be stored.  What it knows comes from the last few frames and the last cut, so these
        are, reduced, and a new detector is shown them.  There is no state while one of the held frames may become a
        cut, nor within the first frames.  Where much changes again and again, but not in between (a pan of which every
        frame is shown twice), there may be none for long.
        """
        if len(self._seen) < _REMEMBERED or self.holds:
            return None
        return {
            "pictures": np.stack([small for _, small in self._seen]),
            "pts": np.asarray([pts for pts, _ in self._seen], np.int64),
            "cut_pts": np.asarray(self._cut_pts, np.int64),
            "time_base": np.asarray(str(self._time_base)),
            "size_wh": np.asarray(self._size_wh, np.int64),
        }

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """See :class:`~data_engine.media.picking.Picker`."""
        self._cut_pts, self._time_base = int(state["cut_pts"]), Fraction(str(state["time_base"]))
        width, height = state["size_wh"].tolist()
        self._size_wh = (width, height)
        self._held.clear()
        self._seen.clear()
        self._changed.clear()
        # The detector counts a scene's length from the first frame that it is shown, then from its own cuts; while it
        # is shown the past again it must find none.
        self._detector = self._new_detector(np.inf)
        pictures = np.asarray(state["pictures"], np.uint8)
        self._shown(self._cut_pts, pictures[0])
        for pts, picture in zip(state["pts"].tolist(), pictures, strict=True):
            self._shown(pts, picture)
        self._detector.adaptive_threshold = self._adaptive_threshold

    def _shown(self, pts: int, picture: UInt8Array) -> set[int]:
        """The times of the cuts that the detector finds now that it is shown a picture."""
        self._seen.append((pts, picture))
        return {cut.pts for cut in self._detector.process_frame(_timecode(pts, self._time_base), picture)}

    def _new_detector(self, adaptive_threshold: float) -> Any:
        from scenedetect import AdaptiveDetector

        return AdaptiveDetector(
            adaptive_threshold,
            min_scene_len=_timecode(self._min_scene_s.numerator, Fraction(1, self._min_scene_s.denominator)),
            window_width=_WINDOW,
            min_content_val=self._min_content,
        )

    def _changes(self) -> list[float]:
        """How much the last frames changed, as the detector has it: those it has not decided on, a window before.

        Only asked now and then, so it is computed then, and not again for the same frames.
        """
        recent = list(self._seen)[-2 * _WINDOW - 1 :]
        before, self._changed = self._changed, {}
        for (_, earlier), (pts, later) in pairwise(recent):
            change = before.get(pts)
            self._changed[pts] = _change(earlier, later) if change is None else change
        return list(self._changed.values())


def _change(earlier: UInt8Array, later: UInt8Array) -> float:
    """The mean of the differences in hue, saturation and brightness of two BGR pictures of equal size."""
    hsv = [cv2.cvtColor(picture, cv2.COLOR_BGR2HSV) for picture in (earlier, later)]
    return cv2.norm(hsv[0], hsv[1], cv2.NORM_L1) / earlier.size


def _reduced(frame: DecodedFrame) -> UInt8Array:
    """``(height, width, 3)`` uint8 BGR of about 256 pixels a longer side, as ``SceneManager`` reduces frames."""
    from scenedetect.scene_manager import compute_downscale_factor

    rgb = frame.rgb()
    height, width = rgb.shape[:2]
    factor = compute_downscale_factor(max(width, height))
    if factor > 1:
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _timecode(pts: int, time_base: Fraction) -> Any:
    """An exact time; the rate, which the library asks for, has no part in comparing exact times of equal rates."""
    from scenedetect import FrameTimecode
    from scenedetect.common import Timecode

    return FrameTimecode(Timecode(pts, time_base), fps=25.0)
