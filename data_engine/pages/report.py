"""The report: where the loop stands and what its rounds brought, on one page.

No script and nothing fetched (the page forbids itself both).  Charts say in words what they show, and a table stands
beside each; tables scroll by themselves on a narrow screen and end after some rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_engine.pages.cards import Deck, boxes_of
from data_engine.pages.charts import STYLE as CHARTS
from data_engine.pages.gallery_style import STYLE as CARDS
from data_engine.pages.markup import document, text, thousands
from data_engine.pages.report_models import certificate_part, models_part
from data_engine.pages.report_people import people_part
from data_engine.pages.report_rounds import balance_part, rounds_part
from data_engine.pages.report_style import STYLE
from data_engine.pages.report_tables import number, whole
from data_engine.types import Detections, Frame, Selection
from data_engine.words import counted

_PARTS = (
    ("flow", "Flow"),
    ("rounds", "Rounds"),
    ("classes", "Classes"),
    ("models", "Models"),
    ("people", "People"),
    ("chosen", "Chosen frames"),
    ("leakage", "Leakage"),
)


@dataclass(frozen=True, slots=True)
class ChosenFrames:
    """The frames of the newest choice that are shown, with what its model saw on them."""

    selection: Selection
    """Cut to these frames."""
    frames: Mapping[str, Frame]
    """By id."""
    detections: Mapping[str, Detections]
    """By frame id."""
    class_names: Sequence[str]
    """The columns of the detections' scores."""
    pictures: Mapping[str, bytes]
    """Frame id -> JPEG, empty where the picture could not be read."""
    floor: float
    """Best score below which a box is not shown."""
    threshold: float
    """Best score from which a box counts as seen."""


def report_page(data: Mapping[str, Any], chosen: ChosenFrames | None = None) -> str:
    """The page, as one HTML document without any reference to another file; the same arguments give the same page.

    Args:
        data: as ``dataengine report --json`` tells it.
        chosen: None where nothing was chosen yet.
    """
    title = f"The loop in {data['workspace']}"
    parts = {
        "flow": _flow(data["flow"], data["next"]),
        "rounds": rounds_part(data),
        "classes": balance_part(data["class_balance"]),
        "models": models_part(data["models"], data["promotions"]),
        "people": people_part(data),
        "chosen": "" if chosen is None else _chosen(data["chosen"]["frames"], chosen),
        "leakage": certificate_part(data["certificate"]),
    }
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in _PARTS if parts[key])
    body = (
        f'<p class="eyebrow">dataengine report</p><h1>{text(title)}</h1>'
        f'<p class="soft">{text(data["at"][:16].replace("T", " "))} UTC</p><nav aria-label="Parts">{links}</nav>'
        f"{_facts(data)}{''.join(parts[key] for key, _ in _PARTS)}"
    )
    return document(title, body, CARDS + CHARTS + STYLE)


def _facts(data: Mapping[str, Any]) -> str:
    """The few numbers that everybody asks for first."""
    told = data["rounds"]
    frames = sum(one["frames"] or 0 for one in told)
    boxes = sum(one["boxes"] or 0 for one in told)
    minutes = sum(one["minutes"] or 0.0 for one in told)
    measured = [one for one in told if ((one["reached"] or {}).get("map50") or {}).get("value") is not None]
    facts = [("rounds", thousands(len(told))), ("frames labelled", thousands(frames)), ("boxes", thousands(boxes))]
    facts.append(("hours of annotators", f"{minutes / 60:.1f}"))
    if any(one["review_minutes"] is not None for one in told):
        reviews = sum(one["review_minutes"] or 0.0 for one in told)
        facts.append(("hours of reviewers, as far as seen", f"{reviews / 60:.1f}"))
    if measured:
        first, last = (one["reached"]["map50"]["value"] for one in (measured[0], measured[-1]))
        facts.append(("AP50, first to last round", f"{number(first)} to {number(last)}"))
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{tiles}</dl>'


def _flow(rows: Sequence[Mapping[str, Any]], following: str) -> str:
    steps = "".join(
        f"<li>{text(row['step'].strip())}<b>{text(whole(row['count']))}</b>"
        f"<small>{text(row['detail'] or '')}</small></li>"
        for row in rows
    )
    tail = f'<p class="said">Next: <code>{text(following)}</code></p>' if following else ""
    return f'<section id="flow"><h2>The flow</h2><ol class="flow">{steps}</ol>{tail}</section>'


def _chosen(total: int, chosen: ChosenFrames) -> str:
    """The first of so many frames of the newest choice as cards."""
    selection = chosen.selection
    if not selection.frames:
        return ""
    tops: dict[str, float] = {}
    for row in selection.frames:
        for name, value in row.parts.items():
            tops[name] = max(tops.get(name, 0.0), value)
    deck = Deck(
        chosen.frames,
        {frame_id: tuple(boxes_of(found, chosen.floor)) for frame_id, found in chosen.detections.items()},
        chosen.class_names,
        chosen.pictures,
        floor=chosen.floor,
        threshold=chosen.threshold,
        tops=tops,
        whys={},
        classes={},
        anchors={row.frame_id: f"f{row.rank}" for row in selection.frames},
    )
    cards = "".join(deck.card(row) for row in selection.frames if row.frame_id in chosen.pictures)
    rest = total - len(selection.frames)
    more = f", {thousands(rest)} more in the gallery beside hard_frames.txt" if rest > 0 else ""
    return (
        f'<section id="chosen"><h2>Chosen frames <span class="soft">{thousands(total)}</span></h2>'
        f'<p class="soft">The first {counted(len(selection.frames), "frame")} of the newest choice{more}.</p>'
        f'<ol class="shots">{cards}</ol></section>'
    )
