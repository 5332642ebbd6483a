"""A frame of a selection as a card with its picture, or as a row of a table without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_engine.formats.selection_json import FRAME_ID
from data_engine.pages.markup import bar, text
from data_engine.pages.picture import Mark, hue_of, picture
from data_engine.types import Detections, Frame, RefusedFrame, SelectedFrame
from data_engine.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = SelectedFrame | RefusedFrame

_MOST_LISTED = 12
"""Boxes of a frame that are told in words; all are drawn."""
_MOST_PARTS = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """One box that the model saw."""

    label: int
    """Column of its best class."""
    score: float
    xywh: tuple[float, float, float, float]
    others: tuple[tuple[int, float], ...]
    """Columns and probabilities of its other classes from the floor up, the highest first."""


@dataclass(frozen=True, slots=True)
class Deck:
    """What every card of a page is drawn from."""

    frames: Mapping[str, Frame]
    seen: Mapping[str, Sequence[Seen]]
    """Frame id -> its boxes from the floor up, best first; a frame that no model was asked about has none."""
    class_names: Sequence[str]
    pictures: Mapping[str, bytes]
    """Frame id -> JPEG."""
    floor: float
    threshold: float
    """Best score from which a box is drawn as seen, with a solid line."""
    tops: Mapping[str, float]
    """Name of a part of the score -> its highest value on the page."""
    whys: Mapping[str, int]
    """Kind of reason -> its number among the page's filters."""
    classes: Mapping[int, int]
    """Column of a class -> its number among the page's filters."""
    anchors: Mapping[str, str]
    """Frame id -> the fragment of the page that shows it."""

    def card(self, row: Row) -> str:
        """A list item with the picture, what speaks for the frame and what the model saw."""
        frame, seen = self.frames[row.frame_id], self.seen.get(row.frame_id, ())
        # Doubtful boxes are what the choice is about: their labels are given room first.
        marks = [self._mark(box) for box in sorted(seen, key=lambda box: box.score >= self.threshold)]
        shown = picture(self.pictures[row.frame_id], (frame.width, frame.height), marks, self._alternative(frame, seen))
        return (
            f'<li class="item {self._keys(row, seen)}" id="{self.anchors[row.frame_id]}"><figure>{shown}'
            f'<figcaption><p class="head">{_rank(row)}<span class="soft">score {_number(row.score)}</span></p>'
            f"{self.reason(row)}{self._parts(row)}"
            f"<small>{text(_place(frame))}</small>{self._list(seen)}</figcaption></figure></li>"
        )

    def row(self, row: Row) -> str:
        """A table row: rank, file, score, reason."""
        frame, seen = self.frames[row.frame_id], self.seen.get(row.frame_id, ())
        rank = f"{row.rank}" if isinstance(row, SelectedFrame) else ""
        return (
            f'<tr class="item {self._keys(row, seen)}" id="{self.anchors[row.frame_id]}"><th scope="row">{rank}</th>'
            f"<td>{text(_place(frame))}</td><td>{_number(row.score)}</td><td>{self.reason(row)}</td></tr>"
        )

    def reason(self, row: Row) -> str:
        """What spoke for the frame and, in a paragraph of its own, what was against it."""
        pieces = [piece.partition(":") for piece in row.reason.split("; ")]
        said = "; ".join(f"<b>{self._linked(head)}</b>{colon}{self._linked(rest)}" for head, colon, rest in pieces)
        against = f'<p class="against">{self._linked(row.refusal)}</p>' if isinstance(row, RefusedFrame) else ""
        return f'<p class="why">{said}</p>{against}'

    def _linked(self, said: str) -> str:
        """Text in which frames that go by their ids go by their names, linked where the page shows them."""
        parts, end = [], 0
        for found in FRAME_ID.finditer(said):
            frame = self.frames.get(found[0])
            if frame is None:
                continue
            anchor, name = self.anchors.get(found[0]), text(frame.name)
            parts += [text(said[end : found.start()]), f'<a href="#{anchor}">{name}</a>' if anchor else name]
            end = found.end()
        return "".join(parts) + text(said[end:])

    def _keys(self, row: Row, seen: Sequence[Seen]) -> str:
        whys = {f"w{self.whys[why]}" for why in whys_of(row) if why in self.whys}
        classes = {f"k{self.classes[box.label]}" for box in seen if box.label in self.classes}
        return " ".join(sorted(whys | classes))

    def _mark(self, box: Seen) -> Mark:
        label = f"{self.class_names[box.label]} {box.score:.2f}"
        return Mark(
            box.xywh,
            hue_of(box.label),
            label,
            short=f"{box.score:.2f}",
            dashed=box.score < self.threshold,
            title=label + self._others(box),
        )

    def _alternative(self, frame: Frame, seen: Sequence[Seen]) -> str:
        named = [self._said(box) for box in seen[:_MOST_LISTED]]
        more = f" and {len(seen) - len(named)} more" if len(seen) > len(named) else ""
        lost = "" if self.pictures[frame.id] else "this picture could not be read: "
        return f"{lost}{frame.name}, {', '.join(named) + more if named else 'no box'}"

    def _said(self, box: Seen) -> str:
        return f"{self.class_names[box.label]} {box.score:.2f}{' doubtful' if box.score < self.threshold else ''}"

    def _others(self, box: Seen) -> str:
        return "".join(f", {self.class_names[label]} {score:.2f}" for label, score in box.others[:4])

    def _parts(self, row: Row) -> str:
        shown = [(name, value) for name, value in row.parts.items() if value > 0][:_MOST_PARTS]
        return "".join(bar(name, value / self.tops[name], _number(value), "part") for name, value in shown)

    def _list(self, seen: Sequence[Seen]) -> str:
        if not seen:
            return ""
        doubtful = sum(box.score < self.threshold for box in seen)
        items = "".join(
            f'<li><i class="{hue_of(box.label)}"></i>{text(self._said(box))}'
            f'<span class="soft">{text(self._others(box))}</span></li>'
            for box in seen[:_MOST_LISTED]
        )
        more = f"<li>and {len(seen) - _MOST_LISTED} more</li>" if len(seen) > _MOST_LISTED else ""
        title = counted(len(seen), "box") + (f", {doubtful} doubtful" if doubtful else "")
        return f'<details><summary>{title}</summary><ul class="boxes">{items}{more}</ul></details>'


def boxes_of(found: Detections, floor: float) -> Iterator[Seen]:
    """The boxes whose best score is at least ``floor``, best first."""
    kept = found.kept(floor)
    for (x1, y1, x2, y2), label, scores in zip(
        kept.xyxy.tolist(), kept.labels.tolist(), kept.scores.tolist(), strict=True
    ):
        others = sorted((-p, c) for c, p in enumerate(scores) if c != label and p >= floor)
        yield Seen(label, scores[label], (x1, y1, x2 - x1, y2 - y1), tuple((c, -p) for p, c in others))


def whys_of(row: Row) -> tuple[str, ...]:
    """The kinds of what spoke for a frame: ``missed`` and ``uncertain`` of ``missed: …; uncertain: …``."""
    first, *more = row.reason.split("; ")
    kinds = [first.split(":", 1)[0].split(" (", 1)[0]]
    return tuple(dict.fromkeys(kinds + [piece.split(":", 1)[0] for piece in more if ":" in piece]))


def _rank(row: Row) -> str:
    return f'<span class="rank">{row.rank}</span>' if isinstance(row, SelectedFrame) else "<b>refused</b>"


def _place(frame: Frame) -> str:
    """File, camera and time."""
    parts = [frame.name, frame.camera]
    if frame.time_s is not None:
        minutes, seconds = divmod(round(frame.time_s, 1), 60)
        parts.append(f"{minutes:.0f}:{seconds:04.1f}")
    return " · ".join(parts)


def _number(value: float) -> str:
    return f"{value:.3g}"
