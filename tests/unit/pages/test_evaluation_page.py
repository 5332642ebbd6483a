"""The page of an evaluation: what is in it, and that nothing in it is taken for HTML."""

from __future__ import annotations

import re

import pytest

from data_engine.pages.evaluation import ShownFrame, Table, evaluation_page
from data_engine.types import Frame
from data_engine.types.evaluation import Curve, Reliability

FRAME = Frame("f" * 32, "a.jpg", "in/a.jpg", 64, 48, "gate <b>")


def shown(kind: str = "better here") -> ShownFrame:
    return ShownFrame(
        FRAME,
        "a & b.jpg",
        kind,
        ["found by it alone: 1"],
        [("<person>", (1, 1, 9, 9))],
        [("helmet 0.90", (2, 2, 9, 9))],
    )


def page(*entries: ShownFrame, **given: object) -> str:
    return evaluation_page(entries, {FRAME.id: b"jpeg"}, title="one <two>", model="m.onnx", **given)  # type: ignore[arg-type]


def test_everything_is_text_and_nothing_is_fetched():
    html = page(
        shown(),
        against="old & tried.onnx",
        notes=["5 < 6"],
        tables=[Table("By class", ("class", "ap"), [("<x>", "0.5")])],
    )
    assert "<b>gate" not in html
    for text in (
        "one &lt;two&gt;",
        "old &amp; tried.onnx",
        "5 &lt; 6",
        "&lt;x&gt;",
        "&lt;person&gt;",
        "a &amp; b.jpg",
        "gate &lt;b&gt;",
    ):
        assert text in html
    assert "default-src 'none'" in html
    assert not re.search(r"<script|<link|src=\"http", html)


def test_pictures_can_be_filtered_by_what_they_show():
    html = page(shown(), shown("worse here"), shown("worse here"))
    assert re.findall(r"<span>([\w ]+) <small>(\d)</small>", html) == [
        ("All", "3"),
        ("worse here", "2"),
        ("better here", "1"),
    ]
    assert html.count('<li class="item k0">') == 2


def test_a_curve_goes_from_no_recall_to_all():
    html = page(curves={"person": Curve((1.0,) * 51 + (0.0,) * 50, (0.5,) * 51 + (0.0,) * 50)})
    (points,) = re.findall(r'points="([^"]+)"', html)
    pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
    assert len(pairs) == 101
    assert [x for x, _y in pairs] == sorted(x for x, _y in pairs)
    assert pairs[0][1] < pairs[-1][1]
    assert "There is none to show" in html


def test_scores_that_mean_what_they_say_lie_on_the_line():
    reliable = Reliability(0.1, 40, ((0.25, 0.25, 10), (0.75, 0.5, 30)))
    html = page(curves={"person": Curve((1.0,) * 101, (0.5,) * 101)}, reliability={"all classes": reliable})
    ((left, bottom, right, top),) = (
        tuple(map(float, found)) for found in re.findall(r'class="right" d="M(\S+) (\S+)L(\S+) (\S+)"', html)
    )
    points = [tuple(map(float, found)) for found in re.findall(r'cx="(\S+)" cy="(\S+)" r="(\S+)"', html)]
    below = [(bottom - y) / (bottom - top) - (x - left) / (right - left) for x, y, _r in points]
    assert below == pytest.approx([0.0, -0.25], abs=1e-3)
    assert points[0][2] < points[1][2]
    assert "score 0.75: 50% right of 30" in html
    assert "40 boxes, off by 0.100 in the mean" in html


def test_the_same_is_the_same_page():
    assert page(shown()) == page(shown())
