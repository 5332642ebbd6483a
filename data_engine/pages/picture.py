"""A picture with boxes drawn over it, as HTML: the picture's bytes inside, the boxes as vectors of any size."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from data_engine.pages.markup import text

XYWH = tuple[float, float, float, float]

HUES = ("c0", "c1", "c2", "c3", "rare", "c4", "c5", "c6")
"""The style's class colours for classes in the order of their registry, then from the first again."""
UNKNOWN = "c7"
"""The colour of what is no class of the registry."""
_TALLEST = 1.25
"""Height of a drawn picture over its width, at most: a taller one stands between empty margins."""
_HALF, _WHOLE = 0.66, 1.02
"""Width of a letter, and of an ideograph, in units of the font's size."""
_PAD = 0.12
"""Free space at either end of a label, in units of the font's size."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A box to draw."""

    xywh: XYWH
    """Left, top, width and height, in pixels of the full picture."""
    hue: str
    """One of the style's class colours."""
    label: str
    """Written beside the box where there is room."""
    short: str = ""
    """What is written where there is room for less; empty for nothing."""
    dashed: bool = False
    title: str = ""
    """What is shown of the box under the pointer, if anything."""


def hue_of(place: int) -> str:
    """The colour of the class at that place of its registry."""
    return HUES[place % len(HUES)]


def picture(jpeg: bytes, size: tuple[int, int], marks: Sequence[Mark], alternative: str) -> str:
    """A picture and its marks, the first of which are the first to be given room for their labels.

    Args:
        jpeg: the picture at any scale; empty for one that could not be read, of which the marks are drawn all the same.
        size: width and height of the full picture, in pixels.
        alternative: says in words what is to be seen.
    """
    width, height = size
    across = max(width, height / _TALLEST)
    line, font = across / 210, across / 31
    # Small boxes on top, where a pointer can reach them, and all labels above all boxes.
    rects = [_rect(mark, line) for mark in sorted(marks, key=lambda mark: -mark.xywh[2] * mark.xywh[3])]
    labels = [
        f'<text class="{text(mark.hue)}" x="{at[1]:.1f}" y="{at[2]:.1f}" font-size="{font:.1f}">{text(at[0])}</text>'
        for mark, at in zip(marks, places(marks, size, font), strict=True)
        if at
    ]
    shown = (
        f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode("ascii")}" width="{width}" height="{height}"'
        f' decoding="async" alt="{text(alternative)}">'
        if jpeg
        else f'<p class="lost">{text(alternative)}</p>'
    )
    return (
        f'<div class="shot" style="aspect-ratio:{across:.0f}/{height}">{shown}'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{"".join(rects + labels)}</svg></div>'
    )


def _rect(mark: Mark, line: float) -> str:
    x, y, w, h = mark.xywh
    dashes = f' stroke-dasharray="{3 * line:.1f} {2 * line:.1f}"' if mark.dashed else ""
    title = f"<title>{text(mark.title)}</title>" if mark.title else ""
    return (
        f'<rect class="{text(mark.hue)}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}"'
        f' stroke-width="{line:.2f}"{dashes}>{title}</rect>'
    )


def places(marks: Sequence[Mark], size: tuple[int, int], font: float) -> list[tuple[str, float, float] | None]:
    """What is written of each mark and where, as the begin of its baseline: the label above, inside or below its box,
    else the short one; None where there is no room, for a label over another is of no use to anybody.

    Small boxes are kept free where that is possible.
    """
    small = [mark.xywh for mark in marks if mark.xywh[3] < 3 * font]
    taken: list[XYWH] = []
    found: list[tuple[str, float, float] | None] = []
    for mark in marks:
        spots = [
            (words, spot) for words in (mark.label, mark.short) if words for spot in _spots(mark, words, size, font)
        ]
        best = next(
            (
                (words, spot)
                for kept in ([*taken, *small], taken)
                for words, spot in spots
                if not any(_meet(spot, other) for other in kept)
            ),
            None,
        )
        if best is None:
            found.append(None)
        else:
            words, spot = best
            taken.append(spot)
            found.append((words, spot[0] + _PAD * font, spot[1] + 0.9 * font))
    return found


def _spots(mark: Mark, words: str, size: tuple[int, int], font: float) -> list[XYWH]:
    """Where a mark's words may stand inside the picture, the best place first."""
    x, y, w, h = mark.xywh
    width, height = size
    long, high = _width_of(words) * font, 1.1 * font
    lefts = (max(0.0, min(x, width - long)), max(0.0, min(x + w, width) - long))
    tops = (y - 1.2 * font, y + h + 0.1 * font, y + 0.15 * font, y + h - 1.25 * font)
    return [(left, top, long, high) for top in tops for left in lefts if long <= width and 0 <= top <= height - high]


def _width_of(label: str) -> float:
    """In units of the font's size."""
    return 2 * _PAD + sum(_WHOLE if unicodedata.east_asian_width(letter) in "WF" else _HALF for letter in label)


def _meet(one: XYWH, other: XYWH) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )
