"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from data_engine.words import counted, installing, listed, shapes


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "frame", "0 frames"),
        (1, "frame", "1 frame"),
        (2, "frame", "2 frames"),
        (1, "box", "1 box"),
        (2, "box", "2 boxes"),
        (3, "copy", "3 copies"),
        (3, "day", "3 days"),
        (2, "class", "2 classes"),
        (2, "batch", "2 batches"),
    ],
)
def test_a_noun_follows_its_number(number, noun, text):
    assert counted(number, noun) == text


def test_of_many_names_the_first_are_told():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"], 3) == "a, b, c and 2 more"


def test_shapes_by_what_the_server_calls_them():
    told = {"points": 2, "track": 1, "rotated box": 2, "box of a label that is gone": 3, "polygon": 0}
    assert shapes(told) == "3 boxes of a label that is gone, 2 shapes of points, 2 rotated boxes, 1 track"
    assert shapes({"points": 1}) == "1 shape of points"
    assert shapes({}) == ""


def test_optional_parts_come_from_the_checkout():
    assert installing("cvat") == "pip install '.[cvat]' in your checkout of dataengine"
    assert installing("cpu", "gpu") == "pip install '.[cpu]' or '.[gpu]' in your checkout of dataengine"
