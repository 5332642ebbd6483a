"""The drawings of an evaluation: precision against recall, and how often boxes of a score are right, class by class."""

from __future__ import annotations

from collections.abc import Mapping

from data_engine.pages.markup import text, thousands
from data_engine.pages.picture import hue_of
from data_engine.types.evaluation import Curve, Reliability

_WIDTH, _HEIGHT, _EDGE = 300, 210, 26
_LEAST, _MOST = 2.5, 8.0
"""Radius of the point of a bin: by the share of the boxes in it."""
STYLE = """
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:14px}
.curve{padding:10px 10px 0}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:6px}
.pair p{margin:0;color:var(--soft);font-size:12px}
.curve svg{display:block;width:100%;max-width:360px;height:auto}
.curve .grid path{stroke:var(--rule);fill:none}
.curve .right{stroke:var(--soft);fill:none;stroke-dasharray:4 4}
.curve .ticks text{fill:var(--soft);font:11px system-ui,sans-serif}
polyline,circle{fill:none;stroke-width:2.5;stroke-linejoin:round}
polyline.c0,circle.c0{stroke:var(--c0)}polyline.c1,circle.c1{stroke:var(--c1)}polyline.c2,circle.c2{stroke:var(--c2)}
polyline.c3,circle.c3{stroke:var(--c3)}polyline.c4,circle.c4{stroke:var(--c4)}polyline.c5,circle.c5{stroke:var(--c5)}
polyline.c6,circle.c6{stroke:var(--c6)}polyline.rare,circle.rare{stroke:var(--rare)}
"""


def curves_part(curves: Mapping[str, Curve], reliability: Mapping[str, Reliability]) -> str:
    """A figure a class; what has reliability alone (all classes together) comes first.

    Args:
        curves: precision against recall.
        reliability: of the same classes and of others.
    """
    alone = [name for name in reliability if name not in curves]
    if not curves and not alone:
        return ""
    hues = {name: hue_of(place) for place, name in enumerate(curves)}
    drawn = "".join(
        _figure(name, curves.get(name), reliability.get(name), hues.get(name, "c2")) for name in (*alone, *curves)
    )
    return (
        "<h2>Precision against recall at the overlap 0.50, and how often boxes of a score are right</h2>"
        f'<div class="curves">{drawn}</div>'
    )


def _figure(name: str, curve: Curve | None, reliable: Reliability | None, hue: str) -> str:
    parts = []
    if curve is not None:
        parts.append(f"<div><p>precision against recall</p>{_curve(name, curve, hue)}</div>")
    if reliable is not None and reliable.bins:
        error = "" if reliable.error is None else f", off by {reliable.error:.3f} in the mean"
        said = f"share that is right against the score, {thousands(reliable.boxes)} boxes{error}"
        parts.append(f"<div><p>{text(said)}</p>{_reliability(name, reliable, hue)}</div>")
    if not parts:
        return ""
    return (
        f'<figure class="curve"><div class="pair">{"".join(parts)}</div><figcaption>{text(name)}</figcaption></figure>'
    )


def _curve(name: str, curve: Curve, hue: str) -> str:
    """A line from recall 0 to 1, on axes from 0 to 1."""
    last = len(curve.precision) - 1
    points = " ".join(f"{_x(at / last):.1f},{_y(value):.1f}" for at, value in enumerate(curve.precision))
    return _axes(f"{name}: precision against recall", f'<polyline class="{hue}" points="{points}"/>')


def _reliability(name: str, reliable: Reliability, hue: str) -> str:
    """A point a bin of scores, the larger the more boxes it has; on the dashed line a score means what it says."""
    most = max(boxes for _sure, _right, boxes in reliable.bins)
    points = " ".join(f"{_x(sure):.1f},{_y(right):.1f}" for sure, right, _boxes in reliable.bins)
    circles = "".join(
        f'<circle class="{hue}" cx="{_x(sure):.1f}" cy="{_y(right):.1f}" '
        f'r="{_LEAST + (_MOST - _LEAST) * (boxes / most) ** 0.5:.1f}">'
        f"<title>{text(_told(sure, right, boxes))}</title></circle>"
        for sure, right, boxes in reliable.bins
    )
    said = "; ".join(_told(*one) for one in reliable.bins)
    return _axes(
        f"{name}: share that is right against the score. {said}",
        f'<path class="right" d="M{_x(0):.1f} {_y(0):.1f}L{_x(1):.1f} {_y(1):.1f}"/>'
        f'<polyline class="{hue}" points="{points}"/>{circles}',
    )


def _told(sure: float, right: float, boxes: int) -> str:
    return f"score {sure:.2f}: {right:.0%} right of {boxes}"


def _axes(said: str, drawn: str) -> str:
    """Both axes from 0 to 1, with what is drawn on them."""
    grid = "".join(
        f'<path d="M{_x(0)} {_y(at):.1f}H{_x(1)}M{_x(at):.1f} {_y(0)}V{_y(1)}"/>' for at in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    numbers = "".join(
        f'<text x="{_x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_EDGE - 5}" y="{_y(at) + 4:.1f}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(said)}">'
        f'<g class="grid">{grid}</g><g class="ticks">{numbers}</g>{drawn}</svg>'
    )


def _x(share: float) -> float:
    return _EDGE + share * (_WIDTH - _EDGE - 10)


def _y(share: float) -> float:
    return _HEIGHT - _EDGE - share * (_HEIGHT - _EDGE - 10)
