"""The page of a measured model, alone or beside another one: the numbers, then the pictures that tell most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_engine.pages.evaluation_curves import STYLE as CURVES
from data_engine.pages.evaluation_curves import curves_part
from data_engine.pages.gallery import filter_buttons, filter_style
from data_engine.pages.gallery_style import STYLE
from data_engine.pages.markup import document, swatch, table, text, thousands
from data_engine.pages.picture import XYWH, Mark, picture
from data_engine.types import Frame
from data_engine.types.evaluation import Curve, Reliability

TRUTH, MODEL, AGAINST = "c0", "c1", "c2"
"""The style's colours of what is there, of what the model sees, and of what the other one does."""
MOST = 120
"""Pictures that a page shows."""


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
    reliability: Mapping[str, Reliability] | None = None,
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
        reliability: how often boxes of a score are right, by class and of all classes.
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
        f"{curves_part(curves or {}, reliability or {})}"
        f"<h2>Pictures <span class='soft'>{thousands(len(shown))}</span></h2><p class=\"legend\">{keys}</p>"
        f'<div class="filters">{filter_buttons("k", "Where", [(k, counts[k]) for k in kinds], len(shown))}</div>'
        f"{'<ol class=shots>' + cards + '</ol>' if cards else '<p>There is none to show.</p>'}"
    )
    return document(title, body, STYLE + CURVES + filter_style("k", len(kinds)))


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
