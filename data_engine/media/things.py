"""Things before a static camera: connected pixels that differ from the empty scene, known again by where they are.

There is no tracking.  A thing is the one that was seen shortly before at a place that it overlaps, with room for how
far it may have moved; things that touch are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

_REMEMBERED_S = 1.0  # how long ago a thing may have been in a place to be the one that is there now
# Things move by so much of the picture's width in no time (they tremble) and in a second.
_REACH, _REACH_PER_S, _REACH_MOST = 0.01, 0.05, 0.08
_JOIN = np.ones((5, 3), np.uint8)  # what touches inside of this belongs together: the parts of a person


@dataclass(frozen=True, slots=True)
class Things:
    """What is there in one picture; arrays by label, of which 0 is none."""

    labels: NDArray[np.int32]
    """``(height, width)``, 0 where nothing large enough is."""
    areas: FloatArray
    """Differing pixels; 0 for what is too small."""
    born_s: NDArray[np.float64]
    """Seconds: when each was seen first."""
    known: BoolArray
    """Whether a kept frame shows it; the one field that is written to."""

    @property
    def new(self) -> BoolArray:
        """Which labels are things that no kept frame shows."""
        return (self.areas > 0) & ~self.known


class Places:
    """Where things were seen last.

    Args:
        shape: ``(height, width)`` of the pictures.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._seen_s = np.full(shape, -np.inf)
        self._born_s = np.zeros(shape)
        self._known = np.zeros(shape, np.bool_)

    def lately(self, now_s: float, since_s: float) -> BoolArray:
        """``(height, width)``: where a thing was, or may be by now, not long ago.

        Args:
            now_s: seconds.
            since_s: seconds since the look before; where looks are far apart, things are remembered for longer.
        """
        return np.asarray(self._seen_s >= now_s - max(_REMEMBERED_S, 2.5 * since_s), np.bool_)

    def find(self, differing: BoolArray, least: float, now_s: float, since_s: float) -> Things:
        """The things in a picture.

        Args:
            differing: ``(height, width)``, where it differs from the empty scene.
            least: pixels that a thing has at least.
            now_s: seconds.
            since_s: seconds since the look before.
        """
        count, labels = cv2.connectedComponents(cv2.dilate(differing.view(np.uint8), _JOIN), connectivity=8)
        places = np.flatnonzero(differing)
        owners = labels.ravel()[places]
        areas = np.bincount(owners, minlength=count).astype(np.float32)
        areas[areas < least] = 0
        born_s, known = np.full(count, now_s), np.zeros(count, np.bool_)
        lately = self.lately(now_s, since_s).ravel()[places]
        places, owners = places[lately], owners[lately]
        np.minimum.at(born_s, owners, self._born_s.ravel()[places])
        np.logical_or.at(known, owners, self._known.ravel()[places])
        return Things(np.asarray(labels * (areas > 0)[labels], np.int32), areas, born_s, known)

    def remember(self, things: Things, now_s: float, since_s: float) -> None:
        """Write down where things are, and as far around as they may be at the next look."""
        if not things.areas.any():
            return
        width = things.labels.shape[1]
        reach = 1 + round(min(_REACH_MOST, _REACH + _REACH_PER_S * since_s) * width)
        near = cv2.dilate(things.labels.astype(np.float32), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        places = np.flatnonzero(near)
        owners = near.ravel()[places].astype(np.int32)
        self._seen_s.ravel()[places] = now_s
        self._born_s.ravel()[places] = things.born_s[owners]
        self._known.ravel()[places] = things.known[owners]

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything needed to go on, as arrays by name."""
        return {"seen_s": self._seen_s.copy(), "born_s": self._born_s.copy(), "known": self._known.copy()}

    @classmethod
    def restored(cls, state: Mapping[str, NDArray[np.generic]]) -> Places:
        """The places that handed out a state."""
        made = cls(np.shape(state["known"]))
        made._seen_s = np.array(state["seen_s"], np.float64)
        made._born_s = np.array(state["born_s"], np.float64)
        made._known = np.array(state["known"], np.bool_)
        return made
