"""The empty scene before a static camera, learnt as frames are looked at, and where a frame differs from it.

Pixels are taken as logarithms of their luma, so that more or less light adds the same everywhere; what is even over a
quarter of the picture (a cloud, the exposure) is taken off.  A pixel differs when it lies outside of what the scene
shows within one pixel around it, which leaves room for a trembling mast, by more than a least contrast and by more than
it is used to.  So what never rests (a clock, leaves, a flickering screen) is learnt down, as in the sigma-delta
estimation of Manzanera and Richefeu, "A new motion detection algorithm based on Sigma-Delta background estimation",
Pattern Recognition Letters 28 (2007).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

# Luma is taken as (128 + _DARK) * ln(luma + _DARK): a step at mid-grey counts as one, and the noise of the darkest
# pixels does not drown the picture.
_DARK = 24.0
_CURVE = ((128 + _DARK) * np.log(np.arange(256) + _DARK)).astype(np.float32).reshape(1, 256)

_LIGHT_WIDTH = 48  # pixels across, about, at which the light is estimated
_LIGHT_SPREAD = 0.27  # of the picture's width: the side of the window whose median is its light
_WINDOW = np.ones((3, 3), np.uint8)

_USED_TO = 4.0  # a pixel differs from this many times its usual difference on (of Gauss noise: 3.2 deviations)
_SPREAD_AT_FIRST = 2.0
_SPREAD_S = 20.0
# Differences count up to this many times the usual one: a walker hardly makes a place less attentive, what differs in
# a sixth of all looks or more does.
_SPREAD_MOST = 6.0
_SPREAD_STEP = 2.0
# What has rested for so long is a thing that stays, not one that never rests.
_STIRRED_S = 4.0
_FOLLOW_S = 4.0  # how fast the scene follows what does not differ
_DRIFT_PER_S = 0.5  # and what does, in grey levels: what flickers pulls it to its middle
# Something that differs and rests becomes scene after a while; soon after the start, when the scene may have been
# learnt with somebody in it, early.
_ABSORBED_S = 60.0
_ABSORBED_EARLY_S, _EARLY_S = 3.0, 10.0
_RESTING = 0.6  # of the least contrast: what changes less from look to look rests


def seen(reduced: UInt8Array) -> FloatArray:
    """``(height, width)`` float32: the logarithms of a reduced luma, in grey levels at mid-grey, lightly smoothed."""
    return np.asarray(cv2.blur(cv2.LUT(reduced, _CURVE), (3, 3)), np.float32)


def without_light(difference: FloatArray) -> FloatArray:
    """A difference of two pictures of :func:`seen` without what is even over a quarter of the picture's width."""
    height, width = difference.shape
    factor = max(1, round(width / _LIGHT_WIDTH))
    size = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
    middle = float(np.median(small))
    # Half a grey level is enough, and makes it bytes, of which large medians are cheap.
    steps = np.clip((small - middle) * 2 + 128.5, 0, 255).astype(np.uint8)
    side = max(3, int(size[0] * _LIGHT_SPREAD) | 1)
    light = (cv2.medianBlur(steps, side).astype(np.float32) - 128) * np.float32(0.5) + np.float32(middle)
    light = cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.subtract(difference, light), np.float32)


class Background:
    """The empty scene.

    Args:
        picture: the first one, of :func:`seen`.
        contrast: grey levels by which a pixel must differ at least.
    """

    def __init__(self, picture: FloatArray, contrast: float) -> None:
        self._contrast = np.float32(contrast)
        self._scene = picture.copy()
        self._spread = np.full_like(picture, _SPREAD_AT_FIRST)
        self._resting_s = np.zeros_like(picture)
        self._looks = 1
        self._age_s = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """``(height, width)`` of its pictures."""
        return self._scene.shape

    def compare(self, picture: FloatArray) -> tuple[FloatArray, BoolArray]:
        """``(height, width)``: signed grey levels by which a picture differs from the scene, and where that counts."""
        difference = without_light(cv2.subtract(picture, self._scene))
        even = cv2.add(difference, self._scene)
        above = cv2.subtract(even, cv2.dilate(self._scene, _WINDOW))
        below = cv2.subtract(cv2.erode(self._scene, _WINDOW), even)
        return difference, np.asarray(cv2.max(above, below) > self.least(), np.bool_)

    def least(self) -> FloatArray:
        """``(height, width)``: grey levels by which each pixel must differ to count."""
        return np.asarray(cv2.max(self._spread * np.float32(_USED_TO), float(self._contrast)), np.float32)

    def resting(self, seconds: float) -> BoolArray:
        """Which pixels have differed without moving for so long."""
        return np.asarray(self._resting_s >= seconds, np.bool_)

    def watch(self, differing: BoolArray, movement: FloatArray, since_s: float) -> None:
        """Note what differs and rests.

        Args:
            differing: of :meth:`compare`.
            movement: ``(height, width)``, grey levels between this picture and the one before it.
            since_s: seconds between those.
        """
        rests = differing & (np.abs(movement) < self._contrast * np.float32(_RESTING))
        self._resting_s += np.float32(since_s)
        self._resting_s *= rests

    def learn(self, picture: FloatArray, difference: FloatArray, differing: BoolArray, since_s: float) -> None:
        """Follow a picture, ``since_s`` seconds after the one before; the rest is what :meth:`compare` gave for it."""
        self._looks += 1
        self._age_s += since_s
        follow = np.float32(max(min(1.0, since_s / _FOLLOW_S), 1 / self._looks))
        drift = _DRIFT_PER_S * since_s
        step = cv2.subtract(picture, self._scene) * follow
        np.copyto(step, np.clip(difference, -drift, drift) * (self._resting_s == 0), where=differing)
        self._scene += step
        absorbed = self.resting(_ABSORBED_EARLY_S if self._age_s < _EARLY_S else _ABSORBED_S)
        np.copyto(self._scene, picture, where=absorbed)
        self._resting_s[absorbed] = 0
        widen = np.float32(max(min(1.0, since_s / _SPREAD_S), 1 / (self._looks + 5)))
        most = self._spread * np.float32(_SPREAD_MOST) + np.float32(_SPREAD_STEP)
        change = widen * (cv2.min(np.abs(difference), most) - self._spread)
        self._spread += change * (self._resting_s < _STIRRED_S)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything needed to go on, as arrays by name."""
        return {
            "scene": self._scene.copy(),
            "spread": self._spread.copy(),
            "resting_s": self._resting_s.copy(),
            "looks": np.asarray(self._looks),
            "age_s": np.asarray(self._age_s),
        }

    @classmethod
    def restored(cls, state: Mapping[str, NDArray[np.generic]], contrast: float) -> Background:
        """The background that handed out a state."""
        made = cls(np.asarray(state["scene"], np.float32), contrast)
        made._spread = np.array(state["spread"], np.float32)
        made._resting_s = np.array(state["resting_s"], np.float32)
        made._looks, made._age_s = int(np.asarray(state["looks"])), float(np.asarray(state["age_s"]))
        return made
