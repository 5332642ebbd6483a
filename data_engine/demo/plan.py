"""Who is on the floor, where and when: a clip's cast, decided before it is filmed.

Most of a clip is empty or shows people who hardly move, as a static camera does.  Bare heads come in bursts of a few
seconds that take about a tenth of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_engine.demo.scene import LANES, Scene, Spot, person_height
from data_engine.demo.sprites import PHASES, Action, Look, Pose, View

BARE_SHARE = 0.11
"""Part of a clip's time in which somebody wears no helmet."""
BURST_S = 2.0
"""About how long one such time lasts, in seconds."""
COMPANY = 0.4
"""How often two heads are bare at once."""
SHORTEST_BURST_S = 1.0
_MARGIN = 30.0
"""How far outside the picture people begin and end, in units."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a visit in which one thing is done, in a straight line."""

    start_s: float
    end_s: float
    start: tuple[float, float]
    """Where the soles are, in units."""
    end: tuple[float, float]
    action: Action
    view: View
    to_right: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """One person at one moment."""

    x: float
    """Units."""
    y: float
    pose: Pose


@dataclass(frozen=True, slots=True)
class Visit:
    """One person from entering to leaving."""

    look: Look
    legs: tuple[Leg, ...]
    bare: tuple[float, float] = (0.0, 0.0)
    """From when until when, in seconds of the clip, the head is bare."""

    def at(self, time_s: float) -> Standing | None:
        """Where the person is and what they do; None before entering and after leaving."""
        for leg in self.legs:
            if leg.start_s <= time_s < leg.end_s:
                break
        else:
            return None
        part = (time_s - leg.start_s) / (leg.end_s - leg.start_s)
        x = leg.start[0] + part * (leg.end[0] - leg.start[0])
        y = leg.start[1] + part * (leg.end[1] - leg.start[1])
        if leg.action in ("walk", "carry"):
            # By the way covered, not by the time: feet that keep to the floor do not slide.
            cycles = abs(x - leg.start[0]) / (0.88 * person_height(y))
        else:
            cycles = (time_s - leg.start_s) / (1.6 if leg.action == "work" else 4.0)
        helmet = not self.bare[0] <= time_s < self.bare[1]
        pose = Pose(leg.action, leg.view, int(cycles * PHASES) % PHASES, leg.to_right, helmet)
        return Standing(x, y, pose)


class _Floor:
    """Books the places to work at, so that no two people stand in one."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.width = scene.width_units
        self.spots = scene.spots
        self.rng = rng
        self._booked: list[tuple[Spot, float, float]] = []

    def free_spot(self, start_s: float, end_s: float) -> Spot | None:
        taken = {spot for spot, start, end in self._booked if start < end_s and start_s < end}
        free = [spot for spot in self.spots if spot not in taken]
        return free[self.rng.integers(len(free))] if free else None

    def book(self, spot: Spot, start_s: float, end_s: float) -> None:
        self._booked.append((spot, start_s, end_s))

    def pace(self, y: float) -> float:
        """Walking speed in units a second, by depth."""
        return person_height(y) * float(self.rng.uniform(0.62, 0.86))

    def outside(self, *, left: bool) -> float:
        return -_MARGIN if left else self.width + _MARGIN

    def crossing(self, start_s: float, y: tuple[float, float], action: Action) -> tuple[Leg, ...]:
        """From one side of the picture to the other."""
        to_right = bool(self.rng.random() < 0.5)
        x = (self.outside(left=to_right), self.outside(left=not to_right))
        seconds = abs(x[1] - x[0]) / self.pace((y[0] + y[1]) / 2)
        return (Leg(start_s, start_s + seconds, (x[0], y[0]), (x[1], y[1]), action, "side", to_right),)

    def working(self, spot: Spot, arrive_s: float, leave_s: float) -> tuple[Leg, ...]:
        """In from the nearer side, work, and out to a side by chance."""
        here = (spot.x, spot.y)
        came_right = spot.x < self.width / 2
        start = self.outside(left=came_right)
        entered_s = arrive_s - abs(spot.x - start) / self.pace(spot.y)
        goes_right = bool(self.rng.random() < 0.5)
        end = self.outside(left=not goes_right)
        left_s = leave_s + abs(end - spot.x) / self.pace(spot.y)
        action: Action = "stand" if spot.view == "front" and self.rng.random() < 0.5 else "work"
        return (
            Leg(entered_s, arrive_s, (start, spot.y), here, "walk", "side", came_right),
            Leg(arrive_s, leave_s, here, here, action, spot.view, spot.to_right),
            Leg(leave_s, left_s, here, (end, spot.y), "walk", "side", goes_right),
        )


def plan_clip(scene: Scene, rng: np.random.Generator, seconds: float) -> tuple[Visit, ...]:
    """Everybody who is seen in a clip of that length."""
    floor = _Floor(scene, rng)
    visits = list(_bare_heads(floor, rng, seconds))
    time_s = float(rng.uniform(-4.0, 3.0))
    while time_s < seconds:
        for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))):
            visits.extend(_ordinary(floor, rng, time_s + float(rng.uniform(0.0, 3.0))))
        time_s += float(rng.uniform(8.0, 19.0))
    return tuple(visits)


def _ordinary(floor: _Floor, rng: np.random.Generator, start_s: float) -> list[Visit]:
    look = Look.drawn_by(rng)
    stay = float(rng.uniform(4.0, 9.0))
    spot = floor.free_spot(start_s, start_s + stay + 3.0) if rng.random() < 0.5 else None
    if spot is not None:
        arrive = start_s + 3.0
        floor.book(spot, start_s, arrive + stay)
        return [Visit(look, floor.working(spot, arrive, arrive + stay))]
    y = float(rng.uniform(*LANES))
    far = float(np.clip(y + rng.uniform(-22, 22), *LANES))
    return [Visit(look, floor.crossing(start_s, (y, far), "carry" if rng.random() < 0.3 else "walk"))]


def _bare_heads(floor: _Floor, rng: np.random.Generator, seconds: float) -> list[Visit]:
    budget = BARE_SHARE * seconds
    if budget < SHORTEST_BURST_S:
        return []
    bursts = max(1, round(budget / BURST_S))
    length = budget / bursts
    visits = []
    for number in range(bursts):
        begin = (number + float(rng.uniform(0.10, 0.90 - BARE_SHARE))) * seconds / bursts
        for _ in range(2 if rng.random() < COMPANY else 1):
            look = Look.drawn_by(rng)
            leave = begin + length + float(rng.uniform(0.5, 4.0))
            spot = floor.free_spot(begin - 3.0, leave) if rng.random() < 0.6 else None
            if spot is not None:
                floor.book(spot, begin - 3.0, leave)
                legs = floor.working(spot, begin - 0.5, leave)
            else:
                y = (float(rng.uniform(*LANES)), float(rng.uniform(*LANES)))
                legs = floor.crossing(begin - float(rng.uniform(0.6, 1.5)), y, "walk")
            visits.append(Visit(look, legs, (begin, begin + length)))
    return visits
