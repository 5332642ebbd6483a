"""The page of a measured model, alone or beside another one: the numbers, then the pictures that tell most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_engine.pages.gallery import filter_buttons, filter_style
from data_engine.pages.gallery_style import STYLE
from data_engine.pages.markup import document, swatch, table, text, thousands
from data_engine.pages.picture import XYWH, Mark, hue_of, picture
from data_engine.types import Frame
from data_engine.types.evaluation import Curve

TRUTH, MODEL, AGAINST = "c0", "c1", "c2"
"""The style's colours of what is there, of what the model sees, and of what the other one does."""
MOST = 120
"""Pictures that a page shows."""
_WIDTH, _HEIGHT, _EDGE = 300, 210, 26


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A picture, with what is there and what was seen."""

    frame: Frame
    name: str
    kind: str
    """In a word or two, what it shows: pictures can be filtered by it."""
    said: Sequence[str]
    """What the boxes tell, a sentence each."""
    truth: Sequence[tuple[str, XYWH]]
    """Label and place."""
    model: Sequence[tuple[str, XYWH]]
    against: Sequence[tuple[str, XYWH]] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers under a heading."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def evaluation_page(
    shown: Sequence[ShownFrame],
    pictures: Mapping[str, bytes],
    *,
    title: str,
    model: str,
    against: str | None = None,
    notes: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
    tables: Sequence[Table] = (),
    curves: Mapping[str, Curve] | None = None,
) -> str:
    """The page, as one HTML document without any reference to another file; the same arguments give the same page.

    Args:
        shown: the pictures, those that tell most first.
        pictures: frame id -> JPEG of any scale, empty where the picture could not be read.
        title: the heading.
        model: what the model is called.
        against: what the other one is called; None for a model alone.
        notes: sentences below the heading.
        facts: numbers with their names.
        tables: more of them.
        curves: precision against recall, by class.
    """
    counts = Counter(entry.kind for entry in shown)
    kinds = [kind for kind, _count in counts.most_common()]
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    cards = "".join(_card(entry, pictures.get(entry.frame.id, b""), kinds.index(entry.kind), model, against or "")
                    for entry in shown)  # fmt: skip
    keys = swatch(TRUTH, "what is there") + swatch(MODEL, model) + (swatch(AGAINST, against) if against else "")
    body = (
        f'<p class="eyebrow">dataengine evaluate</p><h1>{text(title)}</h1>'
        f"{tiles and '<dl class=facts>' + tiles + '</dl>'}{''.join(f'<p>{text(note)}</p>' for note in notes)}"
        f"{''.join(f'<h2>{text(one.title)}</h2>{table(one.head, one.rows)}' for one in tables)}"
        f"{_curves(curves or {})}"
        f"<h2>Pictures <span class='soft'>{thousands(len(shown))}</span></h2><p class=\"legend\">{keys}</p>"
        f'<div class="filters">{filter_buttons("k", "Where", [(k, counts[k]) for k in kinds], len(shown))}</div>'
        f"{'<ol class=shots>' + cards + '</ol>' if cards else '<p>There is none to show.</p>'}"
    )
    return document(title, body, STYLE + _STYLE + filter_style("k", len(kinds)))


def _card(entry: ShownFrame, jpeg: bytes, kind: int, model: str, against: str) -> str:
    marks = [
        *(Mark(xywh, TRUTH, label, title=f"there: {label}") for label, xywh in entry.truth),
        *(Mark(xywh, MODEL, label, dashed=True, title=f"{model}: {label}") for label, xywh in entry.model),
        *(Mark(xywh, AGAINST, label, dashed=True, title=f"{against}: {label}") for label, xywh in entry.against),
    ]
    lost = "" if jpeg else "this picture could not be read: "
    shown = picture(
        jpeg, (entry.frame.width, entry.frame.height), marks, f"{lost}{entry.name}, {'; '.join(entry.said)}"
    )
    items = "".join(f"<li>{text(line)}</li>" for line in entry.said)
    return (
        f'<li class="item k{kind}"><figure>{shown}<figcaption><p class="head"><b>{text(entry.kind)}</b>'
        f'<span class="soft">{text(entry.frame.camera)}</span></p>'
        f"{items and f'<ul class=boxes>{items}</ul>'}<small>{text(entry.name)}</small></figcaption></figure></li>"
    )


def _curves(curves: Mapping[str, Curve]) -> str:
    if not curves:
        return ""
    drawn = "".join(
        f'<figure class="curve">{_curve(name, one, hue_of(place))}<figcaption>{text(name)}</figcaption></figure>'
        for place, (name, one) in enumerate(curves.items())
    )
    return f'<h2>Precision against recall, at the overlap 0.50</h2><div class="curves">{drawn}</div>'


def _curve(name: str, curve: Curve, hue: str) -> str:
    """A line from recall 0 to 1, on axes from 0 to 1."""
    last = len(curve.precision) - 1
    points = " ".join(f"{_x(at / last):.1f},{_y(value):.1f}" for at, value in enumerate(curve.precision))
    grid = "".join(
        f'<path d="M{_x(0)} {_y(at):.1f}H{_x(1)}M{_x(at):.1f} {_y(0)}V{_y(1)}"/>' for at in (0.0, 0.25, 0.5, 0.75, 1.0)
    )
    numbers = "".join(
        f'<text x="{_x(at):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_EDGE - 5}" y="{_y(at) + 4:.1f}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(name)}: precision against recall">'
        f'<g class="grid">{grid}</g><g class="ticks">{numbers}</g><polyline class="{hue}" points="{points}"/></svg>'
    )


def _x(share: float) -> float:
    return _EDGE + share * (_WIDTH - _EDGE - 10)


def _y(share: float) -> float:
    return _HEIGHT - _EDGE - share * (_HEIGHT - _EDGE - 10)


_STYLE = """
.curves{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:14px}
.curve{padding:10px 10px 0}
.curve svg{display:block;width:100%;height:auto}
.curve .grid path{stroke:var(--rule);fill:none}
.curve .ticks text{fill:var(--soft);font:11px system-ui,sans-serif}
polyline{fill:none;stroke-width:2.5;stroke-linejoin:round}
polyline.c0{stroke:var(--c0)}polyline.c1{stroke:var(--c1)}polyline.c2{stroke:var(--c2)}polyline.c3{stroke:var(--c3)}
polyline.c4{stroke:var(--c4)}polyline.c5{stroke:var(--c5)}polyline.c6{stroke:var(--c6)}polyline.rare{stroke:var(--rare)}
"""
