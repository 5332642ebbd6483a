"""Charts for a page: drawn by matplotlib as SVG that takes its colours and letters from the page.

Each is small enough to be read on a phone without scaling, and says in words what it shows.  The same numbers make the
same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_engine.pages.markup import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = 72.0
"""Units of the drawing in an inch; on the page one is a pixel."""
_WIDTH, _HEIGHT = 360.0, 230.0
_PLACEHOLDERS = {
    # Colours that nothing else in a drawing has, for the page's own, which follow its theme.
    "#010101": "var(--ink)",
    "#010102": "var(--soft)",
    "#010103": "var(--rule)",
    "#010104": "var(--c2)",
    "#010105": "var(--rare)",
    "#010106": "var(--c0)",
    "#010107": "var(--old)",
}
INK, SOFT, RULE, BLUE, RED, GREEN, GREY = _PLACEHOLDERS
_DEFS_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_OPENING = re.compile(r"<svg[^>]*>", re.DOTALL)
_VIEW = re.compile(r'viewBox="[^"]*"')
_MOST_TICKS = 8
STYLE = """
.chart{margin:0;background:none;border:0;border-radius:0}
.chart svg{display:block;width:100%;height:auto;max-width:560px}
.chart text{font-family:system-ui,sans-serif!important}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line over the rounds."""

    name: str
    values: Sequence[float | None]
    lows: Sequence[float | None]
    highs: Sequence[float | None]
    """Ends of the intervals; None where there is none."""
    hue: str
    marker: str = "o"


def lines(labels: Sequence[str], drawn: Sequence[Line], *, unit: str, alternative: str) -> str:
    """Lines with their intervals as bars, on an axis from 0 to 1; points without a value are left out."""
    axes, figure = _axes()
    for place, line in enumerate(drawn):
        shift = 0.06 * (place - (len(drawn) - 1) / 2)
        points = [(x + shift, y, lo, hi) for x, y, lo, hi in _known(line)]
        if not points:
            continue
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        axes.plot(xs, ys, color=line.hue, marker=line.marker, markersize=4.5, linewidth=1.6, label=line.name)
        sure = [(x, lo, hi) for x, _y, lo, hi in points if lo is not None and hi is not None]
        axes.vlines([x for x, _l, _h in sure], [lo for _x, lo, _h in sure], [hi for _x, _l, hi in sure], color=line.hue)
    axes.set_ylim(0.0, 1.0)
    _dress(axes, labels, unit=unit)
    if len(drawn) > 1:
        _legend(axes)
    return _svg(figure, alternative)


def _known(line: Line) -> list[tuple[float, float, float | None, float | None]]:
    rows = zip(line.values, line.lows, line.highs, strict=True)
    return [(float(x), y, lo, hi) for x, (y, lo, hi) in enumerate(rows) if y is not None]


def columns(labels: Sequence[str], values: Sequence[float], *, unit: str, hue: str, alternative: str) -> str:
    """One column each, from 0 up."""
    axes, figure = _axes()
    axes.bar(range(len(values)), list(values), color=hue, width=0.62)
    axes.set_ylim(0.0, max([*values, 1e-9]) * 1.12)
    _dress(axes, labels, unit=unit)
    return _svg(figure, alternative)


def pairs(
    labels: Sequence[str],
    before: Sequence[float],
    after: Sequence[float],
    *,
    unit: str,
    names: tuple[str, str],
    alternative: str,
) -> str:
    """Two bars to each label, from left to right; the first label on top."""
    axes, figure = _axes(height=64.0 + 30.0 * max(len(labels), 2))
    places = list(range(len(labels)))
    axes.barh([place - 0.19 for place in places], list(before), height=0.34, color=GREY, label=names[0])
    axes.barh([place + 0.19 for place in places], list(after), height=0.34, color=BLUE, label=names[1])
    axes.set_yticks(places, [_short(label) for label in labels])
    axes.invert_yaxis()
    axes.set_xlabel(unit, color=SOFT, fontsize=10)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.tick_params(axis="y", labelcolor=INK)
    _legend(axes)
    return _svg(figure, alternative)


def _axes(height: float = _HEIGHT) -> tuple[Axes, Any]:
    # No pyplot: it keeps figures and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _INCHES, height / _INCHES), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0.0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(color=RULE, labelcolor=SOFT, labelsize=10, length=0)
    return axes, figure


def _dress(axes: Axes, labels: Sequence[str], *, unit: str) -> None:
    step = -(-len(labels) // _MOST_TICKS) or 1
    places = list(range(0, len(labels), step))
    axes.set_xticks(places, [labels[place] for place in places])
    axes.set_xlim(-0.5, max(len(labels) - 0.5, 0.5))
    axes.set_xlabel("round", color=SOFT, fontsize=10)
    axes.set_ylabel(unit, color=SOFT, fontsize=10)
    axes.grid(axis="y", color=RULE, linewidth=0.8)


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=2,
            frameon=False,
            fontsize=10,
            labelcolor=INK,
            borderpad=0.1,
            handlelength=1.2,
        )


def _short(label: str, most: int = 18) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _svg(figure: Any, alternative: str) -> str:
    import matplotlib as mpl

    target = io.StringIO()
    # Ids of parts are hashed with a salt: of two charts on a page none may have those of the other.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": alternative, "text.parse_math": False}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    drawn = target.getvalue()
    drawn = _METADATA.sub("", _DEFS_STYLE.sub("", drawn[drawn.index("<svg") :]))
    view = _VIEW.search(drawn)
    assert view is not None
    opening = f'<svg {view[0]} role="img" aria-label="{text(alternative)}" xmlns="http://www.w3.org/2000/svg">'
    drawn = _OPENING.sub(lambda _found: opening, drawn, count=1).replace("xlink:href", "href")
    for placeholder, colour in _PLACEHOLDERS.items():
        drawn = drawn.replace(placeholder, colour)
    return f'<figure class="chart">{drawn.strip()}</figure>'
