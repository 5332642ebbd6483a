"""The gallery: whole, escaped, bounded, the same every time, and without a need for a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from data_engine.pages.gallery import MOST, MOST_REFUSED, gallery, pictured
from data_engine.types import Detections, Frame, RefusedFrame, SelectedFrame, Selection, content_id

VOID = {"meta", "img", "br", "hr", "input"}
BAD = "<b>\"no\" & 'x'</b><script>alert(1)</script>"
NAMES = ("person", "helmet", "no-helmet")


class Page(HTMLParser):
    """Fails on an end tag that does not close the last opened one; collects tags, text and each item's own."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.items: dict[str, list[str]] = {}
        self._item = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len({name for name, _ in attrs}), tag
        found = dict(attrs)
        self.tags.append((tag, found))
        if (found.get("class") or "").startswith("item"):
            self._item = found["id"] or ""
            self.items[self._item] = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.texts.append(data)
        if self._item:
            self.items[self._item].append(data)

    def said(self, item: str) -> str:
        return "".join(self.items[item])

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def frame(number: int, name: str | None = None) -> Frame:
    identity = content_id("frame", number)
    return Frame(
        identity,
        name or f"p{number}.jpg",
        f"in/p{number}.jpg",
        640,
        360,
        f"gate-{number % 2}",
        "v",
        number,
        Fraction(1, 2),
    )


def made(chosen: int, refused: int = 0, **changes: Any) -> tuple[Selection, dict[str, Frame]]:
    frames = [frame(number) for number in range(chosen + refused)]
    reason = changes.get("reason", "uncertain: no-helmet 0.31; missed: helmet at 3,4 seen before and after")
    parts = {"uncertain": 0.5, "rarity": 4.0}
    return (
        Selection(
            "5e1ec7",
            "a" * 32,
            tuple(
                SelectedFrame(one.id, rank, 1 / rank, reason, {**parts, "missed": 1 / rank})
                for rank, one in enumerate(frames[:chosen], 1)
            ),
            tuple(
                RefusedFrame(one.id, 0.1, "uncertain: helmet 0.3", f"looks like {frames[0].id}", parts)
                for one in frames[chosen:]
            ),
        ),
        {one.id: one for one in frames},
    )


def saw(*rows: tuple[Sequence[float], Sequence[float]]) -> Detections:
    return Detections(np.array([xyxy for xyxy, _ in rows], np.float32), np.array([p for _, p in rows], np.float32))


def page_of(selection: Selection, frames: dict[str, Frame], **changes: Any) -> str:
    given = {
        "detections": {
            identity: saw(
                ((10, 20, 50, 140), (0.9, 0.02, 0.0)),
                ((20, 20, 38, 40), (0.01, 0.2, 0.31)),
                ((0, 0, 9, 9), (0.04,) * 3),
            )
            for identity in frames
        },
        "class_names": NAMES,
        "pictures": dict.fromkeys(pictured(selection), b"\xff\xd8 jpeg"),
        "title": "3 of 9 frames chosen",
        "floor": 0.05,
        "threshold": 0.4,
        **changes,
    }
    return gallery(selection, frames, **given)


def test_a_card_tells_rank_score_reason_parts_boxes_and_place():
    page = Page(page_of(*made(3), facts=[("budget", "3 frames")], settings={"seed": "7"}))
    said = page.said("f2")
    for words in (
        "score 0.5",
        "uncertain: no-helmet 0.31; missed: helmet at 3,4 seen before and after",
        "rarity4",
        "p1.jpg · gate-1 · 0:00.5",
        "2 boxes, 1 doubtful",
        "person 0.90",
        "no-helmet 0.31 doubtful, helmet 0.20",
    ):
        assert words in said
    assert "0.04" not in said
    whole = " ".join(page.texts)
    assert "3 of 9 frames chosen" in whole
    assert "budget 3 frames" in whole
    assert "seed 7" in whole


def test_boxes_are_drawn_at_their_place_dashed_when_doubtful():
    page = Page(page_of(*made(1)))
    drawn = [
        (rect["class"], rect["x"], rect["y"], rect["width"], rect["height"], "stroke-dasharray" in rect)
        for rect in page.all("rect")
    ]
    assert drawn == [("c0", "10.0", "20.0", "40.0", "120.0", False), ("c2", "20.0", "20.0", "18.0", "20.0", True)]
    assert page.all("svg")[0]["viewbox"] == "0 0 640 360"
    assert page.all("img")[0]["alt"] == "p0.jpg, person 0.90, no-helmet 0.31 doubtful"


def test_bars_are_measured_against_the_highest_of_their_part():
    page = page_of(*made(2))
    widths = {
        (card, name): width
        for card, body in zip(("f1", "f2"), page.split('<li class="item')[1:], strict=True)
        for name, width in re.findall(
            r'bar-label">(\w+)</span><span class="track"><i class="part" style="width:([\d.]+)%', body
        )
    }
    assert widths["f1", "missed"] == "100.0"
    assert widths["f2", "missed"] == "50.0"
    assert widths["f2", "rarity"] == "100.0"


def test_the_narrowly_refused_say_why_and_lead_to_what_they_look_like():
    page = Page(page_of(*made(2, 1)))
    assert "looks like p0.jpg" in page.said("r1")
    assert "refused" in page.said("r1")
    assert [link["href"] for link in page.all("a")] == ["#f1"]


def test_a_frame_of_an_earlier_round_is_named_without_a_link():
    selection, frames = made(1, 1)
    other = frame(99, "earlier.jpg")
    refused = replace(selection.refused[0], refusal=f"0.2 s from {other.id} or {'0' * 32}")
    page = Page(page_of(replace(selection, refused=(refused,)), {**frames, other.id: other}))
    assert f"0.2 s from earlier.jpg or {'0' * 32}" in page.said("r1")
    assert page.all("a") == []


def test_pictures_are_bounded_and_the_rest_are_rows():
    selection, frames = made(MOST + 40, MOST_REFUSED + 7)
    page = Page(page_of(selection, frames))
    assert len(page.all("img")) == MOST + MOST_REFUSED
    assert len(page.items) == MOST + 40 + MOST_REFUSED + 7
    text = " ".join(page.texts)
    assert "200 with their pictures, 40 in the table" in text
    assert "50 with their pictures, 7 in the table" in text


def test_pictures_show_the_beginning_and_samples_to_the_end():
    selection, _ = made(1000, 3)
    ranks = {row.frame_id: row.rank for row in selection.frames}
    shown = pictured(selection, 10, 2)
    assert [ranks[identity] for identity in shown[:10]] == [1, 2, 3, 4, 5, 6, 205, 404, 603, 802]
    assert shown[10:] == [row.frame_id for row in selection.refused[:2]]
    assert len(set(pictured(selection, 999))) == 1002
    assert pictured(selection, 1000, 0) == [row.frame_id for row in selection.frames]


def test_a_filter_for_each_reason_and_class_hides_the_others():
    selection, frames = made(2, 1)
    raw = page_of(selection, frames)
    page = Page(raw)
    ids = [button["id"] for button in page.all("input")]
    assert ids == ["w-all", "w-0", "w-1", "k-all", "k-0", "k-1"]
    for place in ids:
        if not place.endswith("all"):
            assert f"main:has(#{place}:checked) .item:not(.{place.replace('-', '')})" in raw
    keys = {
        attrs["id"]: (attrs["class"] or "").split()
        for _, attrs in page.tags
        if (attrs.get("class") or "").startswith("item")
    }
    assert keys["f1"] == ["item", "k0", "k1", "w0", "w1"]
    assert keys["r1"] == ["item", "k0", "k1", "w0"]


def test_the_page_needs_no_network_and_no_script():
    page = page_of(*made(3, 2), notes=["see http://example.com"], settings={"url": "//cdn"})
    assert not re.search(r'(?:src|href|action|data)="(?!data:image/jpeg;base64,|#)', page)
    assert "url(" not in page
    assert "@import" not in page
    parser = Page(page)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in parser.tags}
    assert {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    } in parser.all("meta")


@pytest.mark.parametrize(
    "place", ["name", "camera", "reason", "class", "title", "note", "fact", "setting", "part", "refusal"]
)
@pytest.mark.parametrize("bad", [BAD, "ヘルメット 現場"])
def test_markup_in_names_is_text(place, bad):
    selection, frames = made(1, 1)
    first = frames[selection.frames[0].frame_id]
    frames[first.id] = replace(first, **({place: bad} if place in ("name", "camera") else {}))
    if place == "reason":
        selection = replace(selection, frames=(replace(selection.frames[0], reason=bad),))
    if place == "part":
        selection = replace(selection, frames=(replace(selection.frames[0], parts={bad: 1.0}),))
    if place == "refusal":
        selection = replace(selection, refused=(replace(selection.refused[0], refusal=bad),))
    changes: dict[str, Any] = {
        "class": {"class_names": (bad, *NAMES[1:])},
        "title": {"title": bad},
        "note": {"notes": [bad]},
        "fact": {"facts": [("x", bad)]},
        "setting": {"settings": {bad: "x"}},
    }.get(place, {})
    page = page_of(selection, frames, **changes)
    assert "<script" not in page
    assert '<b>"' not in page
    assert bad in "".join(Page(page).texts)


def test_a_name_that_is_no_text_can_be_written():
    selection, frames = made(1)
    (one,) = frames.values()
    page = page_of(selection, {one.id: replace(one, name="caf\udce9.jpg")})
    assert "caf\\xe9.jpg" in page.encode().decode()


def test_without_a_model_there_are_pictures_and_no_boxes():
    selection, frames = made(2, reason="diverse: the most typical frame")
    page = Page(page_of(replace(selection, model_id=None), frames, detections={}, class_names=()))
    assert page.all("rect") == []
    assert len(page.all("img")) == 2
    assert page.all("input") == []
    assert "p0.jpg, no box" in str(page.all("img")[0]["alt"])


def test_nothing_chosen_is_a_page_too():
    assert "0 of 3" in " ".join(Page(page_of(Selection("s", None, ()), {}, title="0 of 3 frames chosen")).texts)


def test_scores_of_zero_and_below_have_no_bar_and_break_nothing():
    selection, frames = made(2)
    rows = tuple(replace(row, score=0.0, parts={"uncertain": 0.0, "distance": -1.0}) for row in selection.frames)
    page = page_of(replace(selection, frames=rows), frames)
    assert ">distance<" not in page
    Page(page)


def test_a_picture_that_could_not_be_read_is_told_of():
    selection, frames = made(1)
    page = Page(page_of(selection, frames, pictures={selection.frames[0].frame_id: b""}))
    assert page.all("img") == []
    assert "this picture could not be read: p0.jpg" in page.said("f1")


def test_five_hundred_classes_leave_a_page_that_can_be_read():
    selection, frames = made(3)
    rng = np.random.default_rng(0)
    scores = np.full((100, 500), 0.06, np.float32)
    scores[np.arange(100), rng.permutation(500)[:100]] = 0.5
    seen = Detections(np.tile(np.array([[5, 5, 60, 60]], np.float32), (100, 1)), scores)
    page = page_of(
        selection, frames, detections=dict.fromkeys(frames, seen), class_names=[f"class {n}" for n in range(500)]
    )
    assert len(page) < 200_000
    assert "and 76 other classes" in " ".join(Page(page).texts)


def test_the_same_selection_makes_the_same_page():
    assert page_of(*made(5, 2)) == page_of(*made(5, 2))
