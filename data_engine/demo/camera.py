"""A camera that films one clip, and knows for every pixel whom it shows.

The truth is counted, not computed: a box is the extent of what can be seen of a person or a head, after cartons,
pillars and other people have hidden the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.demo.plan import Standing, Visit
from data_engine.demo.scene import Scene, person_height
from data_engine.demo.sprites import Look, Pose, Sprite, draw_worker

PERSON, HELMET, NO_HELMET = "person", "helmet", "no-helmet"
CLASSES = (PERSON, HELMET, NO_HELMET)
"""Whole people with what they carry; heads with the helmet on them; bare heads, which are rare."""
VISIBLE_SHARE = 0.3
"""What shows less of itself than this is not in the truth."""
_SHADOW = 0.38

LabelledBox = tuple[str, tuple[float, float, float, float]]
"""Class name; left, top, width and height in pixels."""


@lru_cache(maxsize=512)
def _sprite(look: Look, pose: Pose, height_px: int) -> Sprite:
    return draw_worker(look, pose, height_px)


class Take:
    """A camera that films one clip: the hall, its people, and what the sensor makes of them."""

    def __init__(
        self, scene: Scene, visits: tuple[Visit, ...], rng: np.random.Generator, label: str, clock_s: int
    ) -> None:
        self._scene = scene
        self._visits = visits
        self._label = label
        self._clock_s = clock_s
        self._rng = rng
        height, width = scene.depth.shape
        # Light noise that differs from frame to frame: windows by chance into one larger field.
        field = rng.normal(0.0, rng.uniform(1.8, 3.0), (height + 64, width + 64, 1)) + rng.normal(
            0.0, 0.9, (height + 64, width + 64, 3)
        )
        self._noise = np.round(field).astype(np.int16)
        self._drift = rng.uniform(0.0, 2 * np.pi, 2)

    def frame(self, time_s: float) -> tuple[NDArray[np.uint8], tuple[LabelledBox, ...]]:
        """The picture (RGB) at a time of the clip, and its truth."""
        picture = self._scene.background.copy()
        present = [(visit, standing) for visit in self._visits if (standing := visit.at(time_s)) is not None]
        present.sort(key=lambda pair: pair[1].y)
        owner = np.zeros(self._scene.depth.shape, np.uint8)
        drawn = []
        for number, (visit, standing) in enumerate(present, 1):
            drawn.append(self._paint(picture, owner, visit.look, standing, number))
        boxes: list[LabelledBox] = []
        for number, painted in enumerate(drawn, 1):
            if painted is not None:
                boxes.extend(painted.boxes(owner, number))
        return self._sensed(picture, time_s), tuple(boxes)

    def _paint(
        self, picture: NDArray[np.uint8], owner: NDArray[np.uint8], look: Look, standing: Standing, number: int
    ) -> _Painted | None:
        unit = self._scene.unit_px
        # Even heights: one picture serves more frames of a walk towards the camera.
        sprite = _sprite(look, standing.pose, 2 * round(person_height(standing.y) * unit / 2))
        column, row = round(standing.x * unit), round(standing.y * unit)
        self._shade(picture, column, row, round(person_height(standing.y) * unit * 0.2))
        window = _overlap(picture.shape, sprite.alpha.shape, column - sprite.anchor[0], row - sprite.anchor[1])
        if window is None:
            return None
        there, here = window
        alpha = sprite.alpha[here] * (self._scene.depth[there] <= standing.y * unit)
        below = picture[there].astype(np.float32)
        picture[there] = np.rint(below + (sprite.rgb[here] - below) * alpha[..., None]).astype(np.uint8)
        owner[there][alpha > 0.5] = number
        return _Painted(sprite, there, here, standing.pose.helmet)

    def _shade(self, picture: NDArray[np.uint8], column: int, row: int, reach: int) -> None:
        """The soft shadow round somebody's feet, where the floor is to be seen."""
        shadow = _shadow(max(4, reach))
        window = _overlap(picture.shape, shadow.shape, column - shadow.shape[1] // 2, row - shadow.shape[0] // 2)
        if window is not None:
            there, here = window
            dark = 1.0 - shadow[here] * (self._scene.depth[there] <= row)
            picture[there] = np.rint(picture[there] * dark[..., None]).astype(np.uint8)

    def _sensed(self, picture: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Slow changes of the light, sensor noise, and the clock that recorders print into the picture."""
        slow, fast = np.sin(2 * np.pi * time_s / np.array([41.0, 6.3]) + self._drift)
        lit = cv2.convertScaleAbs(picture, alpha=float(1.0 + 0.03 * slow + 0.008 * fast))
        y, x = self._rng.integers(0, 64, 2)
        height, width = self._scene.depth.shape
        seen = cv2.add(lit, self._noise[y : y + height, x : x + width], dtype=cv2.CV_8U)
        clock = self._clock_s + int(time_s)
        text = f"{self._label}  {clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"
        scale = 0.33 * height / 240
        origin = (round(6 * scale / 0.33), round(12 * scale / 0.33))
        for colour, thickness in (((20, 20, 20), 3), ((240, 240, 240), 1)):
            cv2.putText(seen, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
        return np.asarray(seen, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class _Painted:
    """A person in the picture, before it is known what others hide of them."""

    sprite: Sprite
    there: tuple[slice, slice]
    """Where in the picture."""
    here: tuple[slice, slice]
    """Which part of the sprite."""
    helmet: bool

    def boxes(self, owner: NDArray[np.uint8], number: int) -> Iterator[LabelledBox]:
        seen = owner[self.there] == number
        body = int((self.sprite.alpha > 0.5).sum())
        head = self.sprite.head
        for label, mask, whole in (
            (PERSON, seen, body),
            (HELMET if self.helmet else NO_HELMET, seen & head[self.here], int(head.sum())),
        ):
            if int(mask.sum()) < VISIBLE_SHARE * whole:
                continue
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            x, y = self.there[1].start + int(columns[0]), self.there[0].start + int(rows[0])
            yield label, (x, y, int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)


def _overlap(
    picture: tuple[int, ...], patch: tuple[int, ...], x: int, y: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Where a patch whose corner is at ``x, y`` lies in a picture, and which part of it; None when it is outside."""
    top, left = max(0, y), max(0, x)
    bottom, right = min(picture[0], y + patch[0]), min(picture[1], x + patch[1])
    if bottom <= top or right <= left:
        return None
    return (slice(top, bottom), slice(left, right)), (slice(top - y, bottom - y), slice(left - x, right - x))


@lru_cache(maxsize=256)
def _shadow(reach: int) -> NDArray[np.float32]:
    """``(reach, 3 * reach)`` share of the light that is missing round somebody's feet."""
    rows = np.linspace(-1.0, 1.0, reach, dtype=np.float32)[:, None]
    columns = np.linspace(-1.0, 1.0, 3 * reach, dtype=np.float32)[None, :]
    return np.asarray(_SHADOW * np.clip(1.25 * (1.0 - rows**2 - columns**2), 0.0, 1.0), np.float32)
