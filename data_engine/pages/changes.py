"""A page of frames whose boxes changed: what was and what is now, drawn over one another in two colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_engine.pages.gallery import filter_buttons, filter_style
from data_engine.pages.gallery_style import STYLE
from data_engine.pages.markup import document, swatch, text, thousands
from data_engine.pages.picture import XYWH, Mark, picture
from data_engine.types import Frame

BEFORE, AFTER = "rare", "c0"
"""The style's colours of what was and of what is now."""
MOST = 200
"""Frames that a page shows."""
_MOST_LISTED = 12
"""Changes of a frame that are told in words; all are drawn."""


@dataclass(frozen=True, slots=True)
class ChangedFrame:
    """A frame, and what changed on it."""

    frame: Frame
    name: str
    kind: str
    """What happened to it, in a word or two: frames can be filtered by it."""
    said: Sequence[str]
    """What happened to its boxes, a sentence each."""
    before: Sequence[tuple[str, XYWH]]
    """Label and place of the boxes that it had."""
    after: Sequence[tuple[str, XYWH]]
    """Label and place of the boxes that it has now."""


def changes(
    frames: Sequence[ChangedFrame],
    pictures: Mapping[str, bytes],
    *,
    command: str,
    title: str,
    before: str,
    after: str,
    notes: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
) -> str:
    """The page, as one HTML document without any reference to another file; the same arguments give the same page.

    Args:
        pictures: frame id -> JPEG of any scale, empty where the picture could not be read.
        command: what made it: ``dataengine dataset diff``.
        title: the heading.
        before: what the first colour stands for.
        after: what the second stands for.
        notes: sentences below the heading.
        facts: numbers with their names.
    """
    kinds = [kind for kind, _ in Counter(entry.kind for entry in frames).most_common()]
    counts = Counter(entry.kind for entry in frames)
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    cards = "".join(_card(entry, pictures.get(entry.frame.id, b""), kinds.index(entry.kind)) for entry in frames)
    body = (
        f'<p class="eyebrow">{text(command)}</p><h1>{text(title)}</h1>'
        f"{''.join(f'<p>{text(note)}</p>' for note in notes)}"
        f"{tiles and '<dl class=facts>' + tiles + '</dl>'}"
        f'<p class="legend">{swatch(BEFORE, before)}{swatch(AFTER, after)}</p>'
        f'<div class="filters">{filter_buttons("k", "Frames", [(k, counts[k]) for k in kinds], len(frames))}</div>'
        f"<h2>Frames <span class='soft'>{thousands(len(frames))}</span></h2>"
        f"{'<ol class=shots>' + cards + '</ol>' if cards else ''}"
    )
    return document(title, body, STYLE + filter_style("k", len(kinds)))


def _card(entry: ChangedFrame, jpeg: bytes, kind: int) -> str:
    marks = [
        *(Mark(xywh, AFTER, label, title=f"now: {label}") for label, xywh in entry.after),
        *(Mark(xywh, BEFORE, label, dashed=True, title=f"was: {label}") for label, xywh in entry.before),
    ]
    said = list(entry.said[:_MOST_LISTED])
    if len(entry.said) > len(said):
        said.append(f"and {len(entry.said) - len(said)} more")
    lost = "" if jpeg else "this picture could not be read: "
    shown = picture(
        jpeg, (entry.frame.width, entry.frame.height), marks, f"{lost}{entry.name}, {'; '.join(said) or entry.kind}"
    )
    items = "".join(f"<li>{text(line)}</li>" for line in said)
    return (
        f'<li class="item k{kind}"><figure>{shown}<figcaption><p class="head"><b>{text(entry.kind)}</b>'
        f'<span class="soft">{text(entry.frame.camera)}</span></p>'
        f"{items and f'<ul class=boxes>{items}</ul>'}<small>{text(entry.name)}</small></figcaption></figure></li>"
    )
