"""Small charts as SVG without any style of their own: the pages' content security allows none inside a page.

(The report's charts are drawn by matplotlib, whose SVG carries its style in attributes.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 420, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 8, 26, 28
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def intervals(
    labels: Sequence[str], lines: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], *, unit: str
) -> Markup | None:
    """Lines on an axis from 0 to 1 with the ends of their intervals; None where nothing has a value.

    Args:
        labels: of the points.
        lines: a name each, and for every point ``value``, ``low`` and ``high``, any of them None.
        unit: what is shown, for those who hear it.
    """
    drawn: list[Markup] = []
    said: list[str] = []
    for place, (name, points) in enumerate(lines):
        known = [(x, p) for x, p in enumerate(points) if p["value"] is not None]
        if not known:
            continue
        said.append(f"{name}: " + ", ".join(f"{labels[x]} {p['value']:.3f}" for x, p in known))
        spots = [(_x(x, len(labels)) + 3 * place, _y(p["value"]), p) for x, p in known]
        drawn += [
            Markup('<line class="line{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                place, x, x, _y(p["low"]), _y(p["high"])
            )
            for x, _at, p in spots
            if p["low"] is not None and p["high"] is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _p in spots)
        drawn.append(Markup('<polyline class="line{}" points="{}"/>').format(place, path))
        drawn += [_mark(place, x, y) for x, y, _p in spots]
        drawn.append(_mark(place, _LEFT + 8 + 150 * place, 10))
        drawn.append(Markup('<text x="{}" y="14">{}</text>').format(_LEFT + 16 + 150 * place, name))
    if not drawn:
        return None
    grid = [_rule(_y(tick), f"{tick:g}") for tick in _TICKS]
    return _svg([*grid, *_names(labels), *drawn], f"{unit}. {'; '.join(said)}")


def columns(labels: Sequence[str], values: Sequence[float], *, unit: str) -> Markup | None:
    """One column each, from 0 up; None without any."""
    most = max(values, default=0.0)
    if most <= 0:
        return None
    wide = 0.6 * (_WIDTH - _LEFT - _RIGHT) / len(values)
    drawn = [
        Markup('<rect class="column" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            _x(x, len(values)) - wide / 2, _y(value / most), wide, _y(0) - _y(value / most)
        )
        for x, value in enumerate(values)
    ]
    said = ", ".join(f"{label} {value:g}" for label, value in zip(labels, values, strict=True))
    return _svg([_rule(_y(0), "0"), _rule(_y(1), f"{most:g}"), *_names(labels), *drawn], f"{unit}: {said}")


def _x(place: int, number: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (place + 0.5) / max(number, 1)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _mark(place: int, x: float, y: float) -> Markup:
    """A point of a line: a disc for the first, a square for the second, so that colour is not all that tells them."""
    if place == 0:
        return Markup('<circle class="mark0" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x, y)
    return Markup('<rect class="mark{}" x="{:.1f}" y="{:.1f}" width="7" height="7"/>').format(place, x - 3.5, y - 3.5)


def _rule(y: float, label: str) -> Markup:
    return Markup(
        '<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 5, y + 4, label)


def _names(labels: Sequence[str]) -> list[Markup]:
    return [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(_x(x, len(labels)), _HEIGHT - 9, label)
        for x, label in enumerate(labels)
    ]


def _svg(parts: Sequence[Markup], alternative: str) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, escape(alternative), Markup("").join(parts)
    )
