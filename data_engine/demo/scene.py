"""Plant floors: what stands still in a camera's picture, how deep in the hall it stands, and where people work."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.demo.hall import (
    PAINTS,
    UNITS,
    WALL_BASE,
    Hall,
    any_of,
    conveyor,
    fire_point,
    machine,
    pallet,
    pillar,
    rack,
    stripes,
)
from data_engine.demo.sprites import View

LANES = (158.0, 280.0)
"""How far away and how near people walk: their soles, in units from the top."""

_KINDS = ("machines", "store", "line")


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to work at."""

    x: float
    """Units from the left."""
    y: float
    """The soles, in units from the top."""
    view: View
    to_right: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One camera's picture of an empty hall."""

    background: NDArray[np.uint8]
    """``(height, width, 3)`` RGB."""
    depth: NDArray[np.float32]
    """``(height, width)`` the row, in pixels, on which the object at a pixel stands; 0 for floor and wall.

    A person whose soles are on a smaller row passes behind it.
    """
    unit_px: float
    width_units: float
    spots: tuple[Spot, ...]


def person_height(y: float) -> float:
    """Bare height in units of a person whose soles are ``y`` units from the top."""
    return 82.0 + 58.0 * (y - WALL_BASE) / (UNITS - WALL_BASE)


def draw_scene(rng: np.random.Generator, size: tuple[int, int], camera: int) -> Scene:
    """The hall of one camera; ``size`` is width and height in pixels, ``camera`` counts from 0 and varies the kind."""
    hall = Hall(rng, size, camera)
    kind = _KINDS[camera % len(_KINDS)]
    spots = {"machines": _machine_hall, "store": _store, "line": _assembly_line}[kind](hall, rng)
    mirrored = (camera // len(_KINDS)) % 2 == 1
    picture = cv2.resize(hall.light(rng), size, interpolation=cv2.INTER_AREA)
    depth = cv2.resize(hall.depth, size, interpolation=cv2.INTER_NEAREST)
    if mirrored:
        picture, depth = picture[:, ::-1], depth[:, ::-1]
        spots = [Spot(hall.width - spot.x, spot.y, spot.view, not spot.to_right) for spot in spots]
    return Scene(
        np.ascontiguousarray(picture),
        np.ascontiguousarray(depth * np.float32(size[1] / UNITS)),
        size[1] / UNITS,
        hall.width,
        tuple(spots),
    )


def _machine_hall(hall: Hall, rng: np.random.Generator) -> list[Spot]:
    w = hall.width
    hall.window(0.36 * w, 54)
    hall.window(0.56 * w, 54)
    fire_point(hall, 0.52 * w)
    machine(hall, rng, 0.03 * w, 142, 0.25 * w, 84)
    machine(hall, rng, 0.74 * w, 146, 0.21 * w, 88)
    pallet(hall, rng, 0.53 * w, 134, 42, 2)
    front = 0.36 * w + float(rng.uniform(-16, 16))
    hall.block(front, 226, 62, 44, 18, any_of(rng, PAINTS))
    hall.rect(front + 6, 188, 30, 12, (38, 44, 50))
    hall.rect(front + 42, 187, 14, 9, (96, 190, 196))
    stripes(hall, front, 219, 62, 4)
    pillar(hall, 0.865 * w, 252, 15)
    return [
        Spot(0.13 * w, 162, "back", True),
        Spot(0.80 * w, 166, "back", True),
        Spot(front - 20, 214, "side", True),
        Spot(front + 84, 208, "side", False),
        Spot(0.66 * w, 262, "front", True),
    ]


def _store(hall: Hall, rng: np.random.Generator) -> list[Spot]:
    w = hall.width
    for x in (0.02, 0.35, 0.68):
        rack(hall, rng, x * w, 140, 0.30 * w, 104)
    pallet(hall, rng, 0.60 * w, 214, 52, 2)
    pallet(hall, rng, 0.05 * w, 236, 58, 3)
    pillar(hall, 0.33 * w, 196, 12)
    return [
        Spot(0.20 * w, 160, "back", True),
        Spot(0.52 * w, 161, "back", False),
        Spot(0.82 * w, 164, "back", True),
        Spot(0.60 * w - 20, 222, "side", True),
        Spot(0.40 * w, 268, "front", False),
    ]


def _assembly_line(hall: Hall, rng: np.random.Generator) -> list[Spot]:
    w = hall.width
    hall.window(0.06 * w, 60)
    hall.window(0.66 * w, 60)
    fire_point(hall, 0.90 * w)
    machine(hall, rng, 0.34 * w, 138, 0.20 * w, 82)
    hall.block(0.70 * w, 134, 0.18 * w, 40, 12, any_of(rng, PAINTS))
    hall.block(0.05 * w, 132, 0.13 * w, 34, 10, (150, 60, 52))
    conveyor(hall, rng, 0.10 * w, 206, 0.66 * w)
    pallet(hall, rng, 0.82 * w, 258, 54, 2)
    return [
        Spot(0.22 * w, 182, "front", True),
        Spot(0.46 * w, 178, "front", False),
        Spot(0.66 * w, 184, "front", True),
        Spot(0.34 * w, 226, "back", True),
        Spot(0.82 * w - 16, 250, "side", True),
    ]
