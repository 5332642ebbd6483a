"""The page and the table: whole, escaped, and without a need for a network."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from data_engine.demo.page import ChosenPicture, DemoResult, DemoRound, Metrics, render_page, table_rows

VOID = {"meta", "img", "br", "hr", "link", "input"}
BAD = "<b>\"no\" & 'x'</b><script>alert(1)</script>"


class WellFormed(HTMLParser):
    """Fails on an end tag that does not close the last opened one; collects tags and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len({name for name, _ in attrs}), tag
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)


def read(page: str) -> WellFormed:
    parser = WellFormed()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def turn(number: int = 0, *, rare: str = "no-helmet") -> DemoRound:
    after = Metrics(0.4125, {"person": 0.7, "helmet": 0.5, rare: 0.0375})
    return DemoRound(
        number=number,
        model_before="9a8b7c6d5e4f" if number else None,
        model_after="0011223344",
        frames_pool=12480,
        sampled=412,
        chosen=80,
        boxes_accepted={"person": 131, "helmet": 118, rare: 9},
        proposals_kept=171 * number,
        proposals_edited=96,
        boxes_added=102,
        rejected_jobs=1,
        version=f"v{number + 1}",
        train_frames=62,
        valid_frames=14,
        before=after if number else None,
        after=after,
        seconds=58.2,
    )


def result(*, rare: str = "no-helmet", **picture: str) -> DemoResult:
    shot = ChosenPicture(
        round=1,
        name=picture.get("name", "camera-1_000100_ab.jpg"),
        jpeg=b"\xff\xd8 not looked at",
        size=(320, 240),
        boxes=(("person", (10, 20, 40, 120)), (rare, (20, 20, 18, 20)), ("unheard of", (300, 0, 20, 9))),
        reason=picture.get("reason", "uncertain: no-helmet 0.31"),
    )
    return DemoResult(
        (turn(0, rare=rare), turn(1, rare=rare)),
        ("person", "helmet", rare),
        rare,
        (shot,),
        (picture.get("note", "n"),),
        141.2,
    )


def test_page_is_well_formed_and_holds_the_numbers() -> None:
    parser = read(render_page(result()))
    words = " ".join(parser.texts)
    for number in (
        "12\u202f480",
        "412",
        "80",
        "258",
        "v1",
        "v2",
        "62 / 14",
        "0.412",
        "0.037",
        "9a8b7c6d",
        "00112233",
        "141 s in all",
    ):
        assert number in words
    assert "uncertain: no-helmet 0.31" in words
    assert "2 rounds, 160 labelled frames: mAP50 from 0.412 to 0.412 on held-out footage" in words
    boxes = [(attrs["class"], attrs["x"], attrs["width"]) for tag, attrs in parser.tags if tag == "rect"]
    assert boxes == [("c0", "10.0", "40.0"), ("rare", "20.0", "18.0"), ("c7", "300.0", "20.0")]


def test_picture_travels_inside_the_page() -> None:
    parser = read(render_page(result()))
    (source,) = [attrs["src"] for tag, attrs in parser.tags if tag == "img"]
    assert source is not None
    kind, data = source.split(",")
    assert kind == "data:image/jpeg;base64"
    assert base64.b64decode(data, validate=True) == b"\xff\xd8 not looked at"


def test_page_needs_no_network() -> None:
    page = render_page(result())
    assert "http" not in page.lower().replace("http-equiv", "")
    assert "//" not in re.sub(r'src="data:[^"]*"', "", page)
    assert "url(" not in page
    assert "@import" not in page
    assert not [tag for tag, _ in read(page).tags if tag in {"script", "link", "iframe", "object"}]


@pytest.mark.parametrize("place", ["rare", "name", "reason", "note"])
def test_markup_in_names_is_text(place: str) -> None:
    page = render_page(result(**{place: BAD}))
    parser = read(page)
    assert "<script" not in page
    assert '<b>"' not in page
    assert BAD in "".join(parser.texts)
    assert not [tag for tag, _ in parser.tags if tag == "script"]


def test_page_of_little() -> None:
    alone = replace(turn(), boxes_accepted={}, proposals_edited=0, boxes_added=0, after=Metrics(0.0, {}))
    page = render_page(DemoResult((alone,), ("person", "no-helmet"), "no-helmet"))
    words = " ".join(read(page).texts)
    assert "One round, 80 labelled frames" in words
    assert "Chosen in round" not in words


def test_same_result_same_page() -> None:
    assert render_page(result()) == render_page(result())


def test_table_is_complete() -> None:
    table = table_rows(result())
    assert all(list(row) == ["measure", "round 0", "round 1"] for row in table)
    rows = {row["measure"]: [row["round 0"], row["round 1"]] for row in table}
    assert rows["boxes accepted"] == ["258", "258"]
    assert rows["boxes, no-helmet"] == ["9", "9"]
    assert rows["model to begin with"] == ["none", "9a8b7c6d"]
    assert rows["mAP50 before"] == ["–", "0.412"]
    assert rows["no-helmet AP50 after"] == ["0.037", "0.037"]
