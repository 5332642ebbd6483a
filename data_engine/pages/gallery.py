"""The gallery of a selection: chosen and narrowly refused frames with what the model saw and why they were taken.

It reads without a script: filters are radio buttons, details unfold by themselves, and everything is shown where a
browser knows neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from data_engine.pages.cards import Deck, Row, boxes_of, whys_of
from data_engine.pages.gallery_style import STYLE
from data_engine.pages.markup import bar, document, swatch, table, text, thousands
from data_engine.pages.picture import hue_of
from data_engine.types import Detections, Frame, Selection
from data_engine.words import counted

MOST = 200
"""Chosen frames that are shown with their picture."""
MOST_REFUSED = 50
_MOST_ROWS = 2000
"""Chosen frames that are shown without."""
_MOST_FILTERS = 12


def pictured(selection: Selection, most: int = MOST, most_refused: int = MOST_REFUSED) -> list[str]:
    """Ids of the frames to show with their pictures, at most ``most`` chosen ones and ``most_refused`` refused.

    Of more chosen ones, the most wanted take half of the places and the rest are spread evenly over the others, so that
    the end of the list is seen too.
    """
    ids = [row.frame_id for row in selection.frames]
    if len(ids) > most:
        spread = most // 2
        first = most - spread
        ids = ids[:first] + [ids[first + (place * (len(ids) - first)) // spread] for place in range(spread)]
    return ids + [row.frame_id for row in selection.refused[:most_refused]]


def gallery(
    selection: Selection,
    frames: Mapping[str, Frame],
    detections: Mapping[str, Detections],
    class_names: Sequence[str],
    *,
    pictures: Mapping[str, bytes],
    title: str,
    floor: float,
    threshold: float,
    notes: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
    settings: Mapping[str, str] | None = None,
) -> str:
    """The page, as one HTML document without any reference to another file; the same arguments give the same page.

    Args:
        selection: what was chosen and refused.
        frames: the frames of both, and of those that a reason or refusal names by their ids, by id.
        detections: what the model saw, by frame id; a frame without has no boxes.
        class_names: the columns of the detections' scores.
        pictures: frame id -> JPEG of any scale, empty where the picture could not be read; the other frames are shown
            as rows of a table (:func:`pictured` proposes which).
        title: the heading.
        floor: best score below which a box is not shown.
        threshold: best score from which a box counts as seen; those below it are dashed.
        notes: sentences below the heading.
        facts: what was asked for and spent, a name and a value each.
        settings: what it was chosen with, for the end of the page.
    """
    rows: list[Row] = [*selection.frames, *selection.refused]
    seen = {
        row.frame_id: tuple(boxes_of(detections[row.frame_id], floor)) for row in rows if row.frame_id in detections
    }
    found = Counter(label for boxes in seen.values() for label in {box.label for box in boxes})
    whys = Counter(why for row in rows for why in whys_of(row))
    classes = [label for label, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))][:_MOST_FILTERS]
    kinds = [why for why, _ in sorted(whys.items(), key=lambda item: (-item[1], item[0]))][:_MOST_FILTERS]
    deck = Deck(
        frames,
        seen,
        class_names,
        pictures,
        floor=floor,
        threshold=threshold,
        tops=_tops(rows),
        whys={why: number for number, why in enumerate(kinds)},
        classes={label: number for number, label in enumerate(classes)},
        anchors=_anchors(selection),
    )
    tiles = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts)
    body = (
        f'<p class="eyebrow">dataengine filter</p><h1>{text(title)}</h1>'
        f"{''.join(f'<p>{text(note)}</p>' for note in notes)}"
        f"{tiles and '<dl class=facts>' + tiles + '</dl>'}"
        f"{_summary(selection, deck)}{_legend(deck, found)}"
        f'<div class="filters">{filter_buttons("w", "Why", [(why, whys[why]) for why in kinds], len(rows))}'
        f"{filter_buttons('k', 'Boxes of', [(class_names[c], found[c]) for c in classes], len(rows))}</div>"
        f"{_section('Chosen', selection.frames, deck)}{_section('Narrowly refused', selection.refused, deck)}"
        f"{_settings(settings or {})}"
    )
    return document(title, body, STYLE + filter_style("w", len(kinds)) + filter_style("k", len(classes)))


def _tops(rows: Sequence[Row]) -> dict[str, float]:
    tops: dict[str, float] = {}
    for row in rows:
        for name, value in row.parts.items():
            tops[name] = max(tops.get(name, 0.0), value)
    return tops


def _anchors(selection: Selection) -> dict[str, str]:
    refused = {row.frame_id: f"r{place}" for place, row in enumerate(selection.refused, 1)}
    return refused | {row.frame_id: f"f{row.rank}" for row in selection.frames}


def _section(title: str, rows: Sequence[Row], deck: Deck) -> str:
    if not rows:
        return ""
    cards = [row for row in rows if row.frame_id in deck.pictures]
    others = [row for row in rows if row.frame_id not in deck.pictures]
    listed = others[:_MOST_ROWS]
    parts = [f"<h2>{title} <span class='soft'>{thousands(len(rows))}</span></h2>"]
    if others:
        told = f", {thousands(len(others) - len(listed))} only in the CSV and JSON" if len(listed) < len(others) else ""
        parts.append(
            f'<p class="soft">{thousands(len(cards))} with their pictures, {thousands(len(listed))} in the table below '
            f"them{told}.</p>"
        )
    parts.append(f'<ol class="shots">{"".join(map(deck.card, cards))}</ol>' if cards else "")
    if listed:
        head = "".join(f'<th scope="col">{name}</th>' for name in ("", "frame", "score", "why"))
        parts.append(
            f'<details class="card rows"><summary>{counted(len(listed), "frame")} without picture</summary>'
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(map(deck.row, listed))}</tbody>'
            "</table></div></details>"
        )
    return "".join(parts)


def _summary(selection: Selection, deck: Deck) -> str:
    """What the chosen are, by reason, camera and class."""
    rows = selection.frames
    whys = Counter(whys_of(row)[0] for row in rows)
    cameras = Counter(deck.frames[row.frame_id].camera for row in rows)
    boxes = [box for row in rows for box in deck.seen.get(row.frame_id, ())]
    sure = Counter(box.label for box in boxes if box.score >= deck.threshold)
    doubtful = Counter(box.label for box in boxes if box.score < deck.threshold)
    both = sure + doubtful
    top = max(both.values(), default=1)
    bars = "".join(
        f'<div class="bar"><span class="bar-label">{text(deck.class_names[label])}</span><span class="track">'
        f'<i class="{hue_of(label)}" style="width:{100 * sure[label] / top:.1f}%"></i>'
        f'<i class="{hue_of(label)} faint" style="width:{100 * doubtful[label] / top:.1f}%"></i></span>'
        f'<span class="bar-value">{thousands(sure[label])} + {thousands(doubtful[label])}</span></div>'
        for label in [label for label, _ in sorted(both.items(), key=lambda item: (-item[1], item[0]))][:8]
    )
    cards = [
        f'<section class="card"><h3>Why they were chosen</h3>{_shares(whys)}</section>',
        f'<section class="card"><h3>From which cameras</h3>{_shares(cameras)}</section>',
        f'<section class="card wide"><h3>Boxes on them, seen + doubtful</h3>{bars}</section>' if bars else "",
    ]
    return f'<div class="three">{"".join(cards)}</div>' if rows else ""


def _shares(counts: Mapping[str, int], most: int = 8) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    top = max(counts.values(), default=1)
    bars = [bar(name, count / top, thousands(count), "part") for name, count in ordered[:most]]
    left = ordered[most:]
    more = f'<p class="soft">and {thousands(sum(n for _, n in left))} of {len(left)} others</p>' if left else ""
    return "".join(bars) + more


def _legend(deck: Deck, found: Mapping[int, int]) -> str:
    if not found:
        return ""
    shown = sorted(found)[:24]
    keys = "".join(swatch(hue_of(label), deck.class_names[label]) for label in shown)
    more = (
        f'<span class="soft">and {counted(len(found) - len(shown), "other class")}</span>'
        if found.keys() - shown
        else ""
    )
    return (
        f'<p class="legend">{keys}{more}<span class="key"><i class="line"></i>seen, from {deck.threshold:g}</span>'
        f'<span class="key"><i class="line dashed"></i>doubtful, from {deck.floor:g}</span>'
        '<span class="soft">Bars on a card: each part against its highest value on this page.</span></p>'
    )


def filter_buttons(key: str, title: str, options: Sequence[tuple[str, int]], total: int) -> str:
    """Radio buttons that hide what is not asked for; nothing where there is nothing to ask for."""
    if len(options) < 2:
        return ""
    buttons = [("all", "All", total), *((str(n), name, count) for n, (name, count) in enumerate(options))]
    return f"<fieldset><legend>{title}</legend>" + "".join(
        f'<label><input type="radio" name="{key}" id="{key}-{place}"{" checked" if place == "all" else ""}>'
        f"<span>{text(name)} <small>{thousands(count)}</small></span></label>"
        for place, name, count in buttons
    ) + "</fieldset>"  # fmt: skip


def filter_style(key: str, count: int) -> str:
    return "".join(f"main:has(#{key}-{n}:checked) .item:not(.{key}{n}){{display:none}}\n" for n in range(count))


def _settings(settings: Mapping[str, str]) -> str:
    if not settings:
        return ""
    return (
        '<details class="card rows"><summary>Settings</summary>'
        f"{table(('setting', 'value'), list(settings.items()))}</details>"
    )
