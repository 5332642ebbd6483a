"""A hall on canvas: floor, wall, lamps, and the things that stand about on a plant's floor.

Coordinates are units of 1/288 of the picture's height; everything is drawn at three times the wanted size.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.demo.sprites import Rgb

SUPERSAMPLING = 3
UNITS = 288.0
"""Units in the height of a picture."""
WALL_BASE = 96.0
"""Where the wall meets the floor, in units from the top."""

_FLOORS: tuple[Rgb, ...] = ((148, 148, 142), (112, 130, 120), (150, 140, 124), (122, 130, 140))
_WALLS: tuple[Rgb, ...] = ((176, 182, 180), (160, 172, 184), (188, 180, 164), (150, 160, 156))
PAINTS: tuple[Rgb, ...] = ((58, 110, 112), (88, 100, 118), (172, 168, 154), (50, 92, 140), (118, 132, 96))
_SAFETY_YELLOW: Rgb = (222, 178, 36)
_CARDBOARD: Rgb = (170, 128, 82)


class Hall:
    """Floor and wall, and the strokes to put things into them (coordinates in units)."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], camera: int) -> None:
        self.scale = size[1] * SUPERSAMPLING / UNITS
        self.width = size[0] / size[1] * UNITS
        shape = (size[1] * SUPERSAMPLING, size[0] * SUPERSAMPLING)
        self.rgb = np.zeros((*shape, 3), np.uint8)
        self.depth = np.zeros(shape, np.float32)
        self._lay_floor(rng, _FLOORS[camera % len(_FLOORS)], tiled=camera % 2 == 0)
        self._raise_wall(rng, _WALLS[(camera * 3 + 1) % len(_WALLS)])

    def points(self, corners: list[tuple[float, float]]) -> NDArray[np.int32]:
        return np.array([(round(x * self.scale), round(y * self.scale)) for x, y in corners], np.int32)

    def polygon(self, corners: list[tuple[float, float]], colour: Rgb, base: float | None = None) -> None:
        """A filled polygon; ``base`` marks it as an object that stands on that row."""
        pixels = self.points(corners)
        cv2.fillPoly(self.rgb, [pixels], colour, cv2.LINE_AA)
        if base is not None:
            cv2.fillPoly(self.depth, [pixels], base)

    def rect(self, x: float, y: float, w: float, h: float, colour: Rgb, base: float | None = None) -> None:
        self.polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour, base)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, colour: Rgb) -> None:
        first, last = self.points([start, end])
        cv2.line(self.rgb, first.tolist(), last.tolist(), colour, max(1, round(width * self.scale)), cv2.LINE_AA)

    def disc(self, x: float, y: float, radius: float, colour: Rgb) -> None:
        centre = self.points([(x, y)])[0].tolist()
        cv2.circle(self.rgb, centre, max(1, round(radius * self.scale)), colour, -1, cv2.LINE_AA)

    def shadow(self, x: float, y: float, w: float, depth: float) -> None:
        """What an object that stands at ``y`` darkens on the floor."""
        mask = np.zeros(self.depth.shape, np.uint8)
        cv2.fillPoly(
            mask, [self.points([(x - 3, y - 4), (x + w + 12, y - 4), (x + w + 16, y + depth), (x, y + depth)])], 255
        )
        blurred = cv2.GaussianBlur(mask, (0, 0), 3.5 * self.scale)
        self.rgb = cv2.multiply(self.rgb, cv2.merge([255 - blurred // 2] * 3), scale=1 / 255)

    def block(self, x: float, base: float, w: float, h: float, deep: float, colour: Rgb) -> None:
        """A box on the floor: front, top and its right side, with its shadow."""
        self.shadow(x, base, w, 4.0)
        slant = deep * 0.5
        top = base - h
        right_side = [(x + w, base), (x + w + slant, base - deep), (x + w + slant, top - deep), (x + w, top)]
        self.polygon(right_side, _times(colour, 0.62), base)
        self.polygon(
            [(x, top), (x + w, top), (x + w + slant, top - deep), (x + slant, top - deep)], _times(colour, 1.25), base
        )
        self.rect(x, top, w, h, colour, base)
        self.rect(x, base - 3.0, w, 3.0, _times(colour, 0.6))

    def _lay_floor(self, rng: np.random.Generator, colour: Rgb, *, tiled: bool) -> None:
        side = 768
        grain = rng.normal(0.0, 1.0, (side, side)).astype(np.float32)
        stains = cv2.GaussianBlur(rng.normal(0.0, 1.0, (side, side)).astype(np.float32), (0, 0), 24)
        plan = 1.0 + 0.035 * cv2.GaussianBlur(grain, (0, 0), 1.2) / 0.24 + 0.05 * stains / (float(stains.std()) + 1e-6)
        tile = 64 if tiled else 192
        if tiled:
            plan *= np.kron(rng.normal(1.0, 0.035, (side // tile, side // tile)), np.ones((tile, tile))).astype(
                np.float32
            )
        for cut in range(0, side, tile):
            plan[cut : cut + 3, :] *= 0.72
            plan[:, cut : cut + 3] *= 0.72
        floor = np.clip(plan[..., None] * np.array(colour, np.float32), 0, 255).astype(np.uint8)
        for offset in (118, 640):  # the marked walkway
            cv2.rectangle(floor, (0, offset), (side, offset + 9), _SAFETY_YELLOW, -1)
        reach = 0.40 * self.width  # nearer floor is wider by the ratio that people grow
        corners = [(0.0, WALL_BASE), (self.width, WALL_BASE), (self.width + reach, UNITS), (-reach, UNITS)]
        source = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32)
        warp = cv2.getPerspectiveTransform(source, np.array(corners, np.float32) * np.float32(self.scale))
        self.rgb = cv2.warpPerspective(floor, warp, (self.rgb.shape[1], self.rgb.shape[0]), flags=cv2.INTER_AREA)

    def _raise_wall(self, rng: np.random.Generator, colour: Rgb) -> None:
        self.rect(0, 0, self.width, WALL_BASE, colour)
        panel = float(rng.uniform(34, 52))
        for number in range(int(self.width / panel) + 2):
            x = number * panel
            self.rect(x, 0, panel - 1.5, WALL_BASE, _times(colour, float(rng.uniform(0.95, 1.04))))
            self.line((x, 0), (x, WALL_BASE), 1.2, _times(colour, 0.8))
        self.rect(0, 0, self.width, 13, _times(colour, 0.5))  # the beam below the roof
        for y, pipe in ((19.0, (196, 92, 52)), (25.0, (150, 154, 158))):
            self.line((0, y), (self.width, y), 3.0, pipe)
            self.line((0, y - 0.8), (self.width, y - 0.8), 0.9, _times(pipe, 1.3))
        self.rect(0, WALL_BASE - 16, self.width, 16, _times(colour, 0.72))
        self.rect(0, WALL_BASE - 2.5, self.width, 2.5, _times(colour, 0.45))

    def window(self, x: float, w: float) -> None:
        self.rect(x, 32, w, 32, (92, 102, 108))
        for column in range(3):
            for row in range(2):
                pane = (x + 2 + column * (w - 2) / 3, 34 + row * 15, (w - 2) / 3 - 2, 13.0)
                self.rect(*pane, (206 - 14 * row, 222 - 10 * row, 232 - 6 * row))

    def light(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The picture under its lamps: brighter pools on the floor, darker corners."""
        height, width = self.depth.shape
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        rows, columns = rows / height, columns / width
        gain = 0.80 + 0.10 * (1 - columns) + np.zeros_like(rows)
        for lamp in rng.uniform(0.1, 0.9, 3):
            gain += 0.17 * np.exp(-(((columns - lamp) / 0.20) ** 2 + ((rows - 0.62) / 0.30) ** 2))
        gain -= 0.30 * ((columns - 0.5) ** 2 + (rows - 0.5) ** 2)
        return np.asarray(np.clip(self.rgb * gain[..., None], 0, 255), np.uint8)


def _times(colour: Rgb, factor: float) -> Rgb:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return (red, green, blue)


def any_of(rng: np.random.Generator, colours: tuple[Rgb, ...]) -> Rgb:
    return colours[rng.integers(len(colours))]


def machine(hall: Hall, rng: np.random.Generator, x: float, base: float, w: float, h: float) -> None:
    """A machining centre: body, window, panel with a screen, vents and a stack light."""
    colour = any_of(rng, PAINTS)
    hall.block(x, base, w, h, 16.0, colour)
    top = base - h
    hall.rect(x + 0.08 * w, top + 0.14 * h, 0.48 * w, 0.38 * h, (34, 42, 48))
    hall.polygon(
        [
            (x + 0.12 * w, top + 0.48 * h),
            (x + 0.24 * w, top + 0.18 * h),
            (x + 0.32 * w, top + 0.18 * h),
            (x + 0.20 * w, top + 0.48 * h),
        ],
        (84, 100, 108),
    )
    hall.rect(x + 0.66 * w, top + 0.12 * h, 0.26 * w, 0.44 * h, _times(colour, 0.72))
    hall.rect(x + 0.69 * w, top + 0.16 * h, 0.20 * w, 0.16 * h, (96, 190, 196))
    for number, button in enumerate(((210, 60, 48), (70, 178, 84), (230, 190, 60))):
        hall.disc(x + (0.71 + 0.08 * number) * w, top + 0.43 * h, 0.022 * w + 0.6, button)
    for number in range(5):
        y = top + (0.66 + 0.06 * number) * h
        hall.line((x + 0.12 * w, y), (x + 0.50 * w, y), 1.4, _times(colour, 0.62))
    stripes(hall, x, base - 7.0, w, 4.0)
    pole = x + 0.9 * w
    hall.rect(pole, top - 26, 3, 12, (90, 92, 94), base)
    for number, lamp in enumerate(((206, 62, 50), (226, 176, 50), (74, 184, 90))):
        hall.rect(pole - 1.5, top - 40 + 5 * number, 6, 4.6, lamp, base)


def stripes(hall: Hall, x: float, y: float, w: float, h: float) -> None:
    hall.rect(x, y, w, h, _SAFETY_YELLOW)
    step = 2 * h
    for number in range(int(w / step)):
        left = x + number * step
        hall.polygon([(left, y + h), (left + h * 0.9, y + h), (left + 1.9 * h, y), (left + h, y)], (32, 32, 32))


def carton(hall: Hall, rng: np.random.Generator, x: float, base: float, w: float, h: float, stands_on: float) -> None:
    colour = _times(_CARDBOARD, float(rng.uniform(0.8, 1.15)))
    hall.rect(x, base - h, w, h, colour, stands_on)
    hall.rect(x + 0.42 * w, base - h, 0.16 * w, h, _times(colour, 1.18))
    hall.rect(x + 0.08 * w, base - 0.4 * h, 0.24 * w, 0.25 * h, (224, 222, 214))
    hall.line((x, base - h), (x, base), 0.8, _times(colour, 0.6))
    hall.line((x, base), (x + w, base), 0.8, _times(colour, 0.6))


def rack(hall: Hall, rng: np.random.Generator, x: float, base: float, w: float, h: float) -> None:
    """A pallet rack: blue uprights, orange beams, cartons."""
    hall.shadow(x, base, w, 6.0)
    hall.rect(x, base - h, w, h, (66, 70, 74), base)
    shelves = 3
    for shelf in range(shelves):
        floor_y = base - h * shelf / shelves - 3
        left = x + 5
        while left < x + w - 14:
            carton_w = min(float(rng.uniform(12, 24)), x + w - 5 - left)
            if rng.random() < 0.85:
                carton(hall, rng, left, floor_y, carton_w - 1.5, float(rng.uniform(0.5, 0.86)) * h / shelves, base)
            left += carton_w
        hall.rect(x, floor_y, w, 3.6, (226, 108, 36), base)
    for post in (x, x + w / 2 - 1.5, x + w - 3):
        hall.rect(post, base - h - 4, 3.4, h + 4, (44, 78, 150), base)


def pallet(hall: Hall, rng: np.random.Generator, x: float, base: float, w: float, layers: int) -> None:
    hall.shadow(x, base, w, 4.0)
    for slat in range(3):
        hall.rect(x + slat * w * 0.42, base - 5, w * 0.16, 5, (112, 82, 52), base)
    hall.rect(x, base - 7, w, 3, (150, 112, 72), base)
    for layer in range(layers):
        for column in range(2):
            carton(hall, rng, x + 1 + column * w / 2, base - 7 - layer * 17, w / 2 - 1.5, 16.5, base)


def pillar(hall: Hall, x: float, base: float, w: float) -> None:
    hall.shadow(x, base, w, 5.0)
    hall.rect(x, 0, w, base, (138, 140, 138), base)
    hall.rect(x + 0.68 * w, 0, 0.32 * w, base, (104, 106, 106), base)
    hall.rect(x - 1.5, base - 34, w + 3, 34, _SAFETY_YELLOW, base)
    for number in range(3):
        y = base - 30 + number * 11
        hall.polygon([(x - 1.5, y + 5), (x + w + 1.5, y), (x + w + 1.5, y + 5), (x - 1.5, y + 10)], (34, 34, 34), base)


def conveyor(hall: Hall, rng: np.random.Generator, x: float, base: float, w: float) -> None:
    top = base - 30
    hall.shadow(x, base - 4, w, 6.0)
    for leg in np.linspace(x + 6, x + w - 10, 5):
        hall.rect(float(leg), top, 4, base - top, (92, 98, 104), base)
    hall.polygon([(x + 4, top - 7), (x + w + 4, top - 7), (x + w, top), (x, top)], (52, 54, 58), base)
    hall.rect(x, top, w, 8, (70, 118, 160), base)
    for roller in np.arange(x + 5, x + w - 3, 9.0):
        hall.disc(float(roller), top + 4, 2.2, (190, 194, 198))
    left = x + 12
    while left < x + w - 26:
        carton(hall, rng, left, top - 2, float(rng.uniform(13, 19)), float(rng.uniform(9, 15)), base)
        left += float(rng.uniform(34, 60))


def fire_point(hall: Hall, x: float) -> None:
    hall.rect(x, 52, 11, 11, (206, 44, 40))
    hall.rect(x + 2.5, 66, 6, 16, (190, 36, 34))
    hall.disc(x + 5.5, 65, 2.2, (40, 40, 40))
