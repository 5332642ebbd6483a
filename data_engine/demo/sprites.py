"""Plant workers, drawn limb by limb.

A worker is drawn in a frame of 100 units from the soles to the top of the bare head, at four times the wanted size,
then reduced: the edges become soft as a camera's are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Action = Literal["walk", "carry", "work", "stand"]
View = Literal["side", "front", "back"]
Point = tuple[float, float]

PHASES = 8
"""Pictures in one cycle of movement (two steps, or one reach for the machine)."""
SUPERSAMPLING = 4
_ABOVE, _BELOW, _HALF_WIDTH = 112.0, -4.0, 38.0
_HEAD = 1.15
"""Heads are a little larger than life: a camera's picture of them is small."""

HELMETS: dict[str, Rgb] = {
    "yellow": (246, 200, 30),
    "white": (236, 238, 236),
    "blue": (38, 92, 190),
    "orange": (238, 116, 32),
    "red": (200, 44, 44),
}
HAIR: tuple[Rgb, ...] = ((30, 24, 22), (64, 40, 26), (104, 58, 30), (190, 152, 88))
SKIN: tuple[Rgb, ...] = ((238, 196, 164), (222, 172, 134), (186, 132, 94), (134, 90, 62), (98, 66, 48))
_OVERALLS: tuple[Rgb, ...] = ((44, 62, 104), (70, 76, 84), (112, 108, 84), (40, 84, 84), (122, 124, 122))
_VESTS: tuple[Rgb | None, ...] = ((250, 122, 24), (206, 232, 40), (250, 122, 24), (206, 232, 40), None)
_REFLECTIVE: Rgb = (226, 228, 220)
_BOOTS: Rgb = (40, 34, 30)
_CARDBOARD: Rgb = (178, 134, 84)


@dataclass(frozen=True, slots=True)
class Look:
    """What one worker wears."""

    helmet: str
    """A key of :data:`HELMETS`."""
    hair: Rgb
    skin: Rgb
    overall: Rgb
    vest: Rgb | None
    """High-visibility vest; None shows the overall."""
    build: float
    """Width of the body, 1.0 is the average."""

    @classmethod
    def drawn_by(cls, rng: np.random.Generator) -> Look:
        """A worker by chance."""
        return cls(
            helmet=str(rng.choice(list(HELMETS), p=[0.4, 0.22, 0.16, 0.14, 0.08])),
            hair=HAIR[rng.choice(len(HAIR), p=[0.42, 0.32, 0.18, 0.08])],
            skin=SKIN[rng.integers(len(SKIN))],
            overall=_OVERALLS[rng.integers(len(_OVERALLS))],
            vest=_VESTS[rng.integers(len(_VESTS))],
            build=float(rng.uniform(0.9, 1.15)),
        )


@dataclass(frozen=True, slots=True)
class Pose:
    """What a worker does at one moment."""

    action: Action
    view: View
    phase: int
    """0 to :data:`PHASES` - 1."""
    to_right: bool
    helmet: bool
    """False: the head is bare."""


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A worker's picture; all arrays have one height and width."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    """0 to 1; the body covers a pixel where it is above one half."""
    head: NDArray[np.bool_]
    """The head's pixels, with the helmet when it is worn."""
    anchor: tuple[int, int]
    """Column and row of the point between the soles."""


class _Canvas:
    """Strokes in units, on a picture and its coverage."""

    def __init__(self, height_px: int) -> None:
        self.scale = height_px * SUPERSAMPLING / 100.0
        self.size = (
            math.ceil(2 * _HALF_WIDTH * height_px / 100.0) * SUPERSAMPLING,
            math.ceil((_ABOVE - _BELOW) * height_px / 100.0) * SUPERSAMPLING,
        )
        self.rgb = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        self.cover = np.zeros((self.size[1], self.size[0]), np.uint8)

        self._growth, self._fixed = 1.0, (0.0, 0.0)

    def grow(self, factor: float, fixed: Point) -> None:
        """Draw what follows larger, round a point that keeps its place."""
        self._growth, self._fixed = factor, fixed

    def at(self, point: Point) -> tuple[int, int]:
        x = self._fixed[0] + (point[0] - self._fixed[0]) * self._growth
        y = self._fixed[1] + (point[1] - self._fixed[1]) * self._growth
        return (round((x + _HALF_WIDTH) * self.scale), round((_ABOVE - y) * self.scale))

    def limb(self, points: list[Point], width: float, colour: Rgb) -> None:
        pixels = np.array([self.at(point) for point in points], np.int32)
        for target, value in ((self.rgb, colour), (self.cover, (255, 255, 255))):
            cv2.polylines(target, [pixels], False, value, max(1, round(width * self._growth * self.scale)), cv2.LINE_AA)

    def polygon(self, points: list[Point], colour: Rgb) -> None:
        pixels = np.array([self.at(point) for point in points], np.int32)
        for target, value in ((self.rgb, colour), (self.cover, (255, 255, 255))):
            cv2.fillPoly(target, [pixels], value, cv2.LINE_AA)

    def ellipse(self, centre: Point, axes: Point, colour: Rgb, start: float = 0, end: float = 360) -> None:
        """A filled ellipse, or the part of it between two angles (degrees, anticlockwise from the right)."""
        scale = self.scale * self._growth
        pixel_axes = (max(1, round(axes[0] * scale)), max(1, round(axes[1] * scale)))
        for target, value in ((self.rgb, colour), (self.cover, (255, 255, 255))):
            cv2.ellipse(target, self.at(centre), pixel_axes, 0, -end, -start, value, -1, cv2.LINE_AA)


def draw_worker(look: Look, pose: Pose, height_px: int) -> Sprite:
    """The picture of a worker whose bare height is ``height_px`` pixels.

    Side views are drawn looking to the right and mirrored when the pose looks to the left.
    """
    canvas = _Canvas(height_px)
    _body(canvas, look, pose)
    below_head = canvas.cover.copy()
    canvas.cover[:] = 0
    _head(canvas, look, pose)
    head_cover = canvas.cover
    cover = np.maximum(below_head, head_cover)

    size = (canvas.size[0] // SUPERSAMPLING, canvas.size[1] // SUPERSAMPLING)
    weight = cover.astype(np.float32)[..., None] / 255.0
    colour = cv2.resize(canvas.rgb * weight, size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(weight[..., 0], size, interpolation=cv2.INTER_AREA)
    head = cv2.resize(head_cover, size, interpolation=cv2.INTER_AREA) > 127
    colour /= np.maximum(alpha, 1e-3)[..., None]
    anchor = (size[0] // 2, round(_ABOVE * height_px / 100.0))
    if not pose.to_right:
        colour, alpha, head = colour[:, ::-1], alpha[:, ::-1], head[:, ::-1]
        anchor = (size[0] - anchor[0], anchor[1])
    return Sprite(
        np.ascontiguousarray(np.clip(_lit(colour), 0, 255), dtype=np.uint8),
        np.ascontiguousarray(alpha, dtype=np.float32),
        np.ascontiguousarray(head),
        anchor,
    )


def _lit(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Light from the upper left, as in the scenes: after mirroring, so that it stays there."""
    height, width = rgb.shape[:2]
    down = np.linspace(1.08, 0.82, height, dtype=np.float32)[:, None, None]
    across = np.linspace(1.10, 0.88, width, dtype=np.float32)[None, :, None]
    return rgb * down * across


def _shade(colour: Rgb, factor: float) -> Rgb:
    return (
        min(255, round(colour[0] * factor)),
        min(255, round(colour[1] * factor)),
        min(255, round(colour[2] * factor)),
    )


def _joint(origin: Point, angle: float, length: float) -> Point:
    """The end of a bone that hangs from ``origin``; ``angle`` in radians from straight down, forwards positive."""
    return (origin[0] + length * math.sin(angle), origin[1] - length * math.cos(angle))


def _body(canvas: _Canvas, look: Look, pose: Pose) -> None:
    cycle = 2 * math.pi * pose.phase / PHASES
    if pose.view == "side":
        _side(canvas, look, pose, cycle)
    else:
        _facing(canvas, look, pose, cycle)


def _side(canvas: _Canvas, look: Look, pose: Pose, cycle: float) -> None:
    moving = pose.action in ("walk", "carry")
    swing = math.sin(cycle) if moving else 0.12
    bob = 1.2 * abs(math.cos(cycle)) if moving else 0.0
    hip, shoulder = (0.0, 47.0 + bob), (1.5, 76.0 + bob)
    sleeve = look.overall
    for side, shade in ((-1.0, 0.62), (1.0, 1.0)):  # the far limbs first, darker
        thigh = 0.50 * swing * side
        knee = _joint(hip, thigh, 24.0)
        lifted = max(0.0, math.cos(cycle) * side) * 0.75 if moving else 0.05
        ankle = _joint(knee, thigh - lifted, 21.0)
        canvas.limb([hip, knee, ankle], 8.5 * look.build, _shade(look.overall, 0.78 * shade))
        canvas.limb([ankle, (ankle[0] + 5.0, ankle[1] - 1.0)], 5.5, _shade(_BOOTS, shade))
        if side < 0:
            _side_arm(canvas, look, pose, cycle, shoulder, -1.0, _shade(sleeve, 0.66))
            _torso(canvas, look, [(-5.5, 46.0), (6.5, 46.0), (8.0, 62.0), (6.5, 79.0), (-4.0, 80.0), (-7.0, 66.0)], bob)
    _side_arm(canvas, look, pose, cycle, shoulder, 1.0, _shade(sleeve, 0.95))


def _side_arm(canvas: _Canvas, look: Look, pose: Pose, cycle: float, shoulder: Point, side: float, sleeve: Rgb) -> None:
    if pose.action == "carry":
        upper, fore = 0.55, 1.55
    elif pose.action == "work":
        reach = 0.22 * math.sin(cycle + (0.0 if side > 0 else 1.7))
        upper, fore = 0.85 + reach, 1.75 + reach
    else:
        angle = -0.5 * math.sin(cycle) * side if pose.action == "walk" else 0.05
        upper, fore = angle, angle + 0.3
    elbow = _joint(shoulder, upper, 15.0)
    hand = _joint(elbow, fore, 14.0)
    if pose.action == "carry" and side < 0:
        box = [(8.0, 55.0), (27.0, 55.0), (27.0, 71.0), (8.0, 71.0)]
        canvas.polygon(box, _CARDBOARD)
        canvas.polygon([(16.0, 55.0), (19.0, 55.0), (19.0, 71.0), (16.0, 71.0)], _shade(_CARDBOARD, 0.8))
        canvas.polygon([(8.0, 71.0), (27.0, 71.0), (29.0, 74.0), (10.0, 74.0)], _shade(_CARDBOARD, 1.2))
    canvas.limb([shoulder, elbow, hand], 6.4 * look.build, sleeve)
    canvas.ellipse(hand, (3.4, 3.4), look.skin)


def _facing(canvas: _Canvas, look: Look, pose: Pose, cycle: float) -> None:
    width = look.build
    for side in (-1.0, 1.0):
        hip = (4.6 * side * width, 47.0)
        ankle = (5.6 * side * width, 4.0)
        canvas.limb([hip, ankle], 8.8 * width, _shade(look.overall, 0.70 if side < 0 else 0.80))
        canvas.limb([ankle, (ankle[0] + 1.5 * side, 2.0)], 6.0, _BOOTS)
    outline = [
        (-9.0, 46.0),
        (9.0, 46.0),
        (10.5, 66.0),
        (12.5, 77.0),
        (5.0, 81.0),
        (-5.0, 81.0),
        (-12.5, 77.0),
        (-10.5, 66.0),
    ]
    behind = pose.view == "back" and pose.action == "work"
    if not behind:
        _torso(canvas, look, [(x * width, y) for x, y in outline], 0.0)
    for side in (-1.0, 1.0):
        shoulder = (12.0 * side * width, 75.0)
        if pose.action == "work":
            lift = 4.0 * math.sin(cycle + side)
            elbow, hand = (17.0 * side * width, 63.0 + lift), (10.0 * side, 72.0 + 1.6 * lift)
        else:
            drift = 1.2 * math.sin(cycle)
            elbow, hand = (14.5 * side * width, 61.0), (13.5 * side * width + drift, 48.0)
        canvas.limb([shoulder, elbow, hand], 6.4 * width, _shade(look.overall, 0.86 if side < 0 else 1.0))
        canvas.ellipse(hand, (3.4, 3.4), look.skin)
    if behind:  # the arms are in front of the body, away from us
        _torso(canvas, look, [(x * width, y) for x, y in outline], 0.0)


def _torso(canvas: _Canvas, look: Look, outline: list[Point], bob: float) -> None:
    outline = [(x, y + bob) for x, y in outline]
    canvas.polygon(outline, look.vest or look.overall)
    left, right = min(x for x, _ in outline), max(x for x, _ in outline)
    if look.vest is None:
        canvas.limb([(left + 2, 48.0 + bob), (right - 2, 48.0 + bob)], 2.4, _BOOTS)
        return
    for row in (53.0, 61.0):
        canvas.limb([(left + 3.2, row + bob), (right - 2.6, row + bob)], 2.6, _REFLECTIVE)
    middle = (left + right) / 2
    for side in (-1.0, 1.0):
        brace = middle + side * (right - left) * 0.23
        canvas.limb([(brace, 61.0 + bob), (brace, 77.0 + bob)], 2.2, _REFLECTIVE)


def _head(canvas: _Canvas, look: Look, pose: Pose) -> None:
    moving = pose.action in ("walk", "carry")
    bob = 1.2 * abs(math.cos(2 * math.pi * pose.phase / PHASES)) if moving else 0.0
    x, y = (2.6 if pose.view == "side" else 0.0), 89.0 + bob
    canvas.limb([(x - 1.0, 79.0 + bob), (x, 84.0 + bob)], 7.0, _shade(look.skin, 0.8))
    canvas.grow(_HEAD, (x, 80.0 + bob))
    if pose.view == "side":
        canvas.ellipse((x, y), (8.2, 9.6), look.skin)
        canvas.ellipse((x + 8.0, y - 1.0), (1.8, 1.8), look.skin)
        canvas.ellipse((x + 5.0, y + 1.4), (1.1, 1.3), (30, 26, 26))
        if not pose.helmet:
            canvas.ellipse((x - 0.8, y + 2.0), (9.0, 9.2), look.hair, 35, 232)
            canvas.ellipse((x + 0.6, y + 6.0), (7.4, 5.0), look.hair, 0, 180)
        canvas.ellipse((x - 1.2, y - 1.0), (1.8, 2.6), _shade(look.skin, 0.84))
    elif pose.view == "front":
        canvas.ellipse((x, y), (8.6, 9.8), look.skin)
        for side in (-1.0, 1.0):
            canvas.ellipse((x + 3.2 * side, y + 1.2), (1.1, 1.3), (30, 26, 26))
        canvas.limb([(x - 2.0, y - 4.6), (x + 2.0, y - 4.6)], 1.0, _shade(look.skin, 0.62))
        if not pose.helmet:
            canvas.ellipse((x, y + 2.4), (9.8, 9.6), look.hair, 4, 176)
            canvas.ellipse((x, y + 2.2), (6.4, 3.4), look.skin, 180, 360)
    else:
        canvas.ellipse((x, y), (8.6, 9.8), _shade(look.skin, 0.92))
        # Under a helmet a strip of the neck's hair shows; bare, all of the head is hair.
        canvas.ellipse((x, y + (1.0 if pose.helmet else 1.6)), (8.8, 8.6 if pose.helmet else 9.8), look.hair)
    if pose.helmet:
        _helmet(canvas, HELMETS[look.helmet], pose.view, x, y + 2.2)


def _helmet(canvas: _Canvas, colour: Rgb, view: View, x: float, y: float) -> None:
    canvas.ellipse((x, y), (10.6, 11.4), colour, 0, 180)
    canvas.ellipse((x - 3.4, y + 5.6), (3.6, 3.0), _shade(colour, 1.22))
    canvas.limb([(x - 10.0, y + 0.4), (x + 10.0, y + 0.4)], 2.4, _shade(colour, 0.82))
    if view == "side":
        canvas.limb([(x + 6.0, y + 0.6), (x + 13.6, y - 0.6)], 2.6, _shade(colour, 0.9))
        canvas.limb([(x - 4.0, y + 10.4), (x + 5.0, y + 10.2)], 1.8, _shade(colour, 0.88))
    elif view == "front":
        canvas.ellipse((x, y + 0.2), (11.6, 2.6), _shade(colour, 0.9))
        canvas.limb([(x, y + 3.0), (x, y + 11.2)], 2.2, _shade(colour, 0.9))
