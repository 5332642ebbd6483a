"""Tables of the report: scrollable by keyboard, with words at the left and numbers at the right, and never endless."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from data_engine.pages.markup import MISSING, text, thousands

MOST = 30
"""Rows of a table; the JSON has all."""


def grid(caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, words: Iterable[int] = ()) -> str:
    """A table of at most :data:`MOST` rows, with how many there are besides.

    Args:
        caption: what it shows, for those who cannot see the chart beside it.
        head: names of the columns.
        rows: the first cell names the row.
        words: columns that hold words, and not numbers.
    """
    left = set(words)
    titles = "".join(
        f'<th scope="col"{" class=text" if place in left else ""}>{text(name)}</th>' for place, name in enumerate(head)
    )
    lines = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>'
        + "".join(
            f"<td{' class=text' if place in left else ''}>{text(cell)}</td>" for place, cell in enumerate(row[1:], 1)
        )
        + "</tr>"
        for row in rows[:MOST]
    )
    more = (
        f'<p class="soft">and {thousands(len(rows) - MOST)} more: dataengine report --json</p>'
        if len(rows) > MOST
        else ""
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def whole(value: float | None) -> str:
    """A count, or a dash."""
    return MISSING if value is None else thousands(round(value))


def signed(value: float | None) -> str:
    """A difference with its sign, or a dash."""
    return MISSING if value is None else f"{value:+.3f}"


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """``0.41 to 0.52``, or a dash where there is none."""
    if low is None or high is None:
        return MISSING
    return f"{low:+.3f} to {high:+.3f}" if sign else f"{low:.3f} to {high:.3f}"


def percent(value: float | None) -> str:
    """A share, or a dash."""
    return MISSING if value is None else f"{100 * value:.1f} %"
