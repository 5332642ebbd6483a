"""Spans of frames and boxes: what cannot be is told, what can be is not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from data_engine.stages.export import boxes_content
from data_engine.stages.verify import wrong_with_frame

HERE = (1, (0.0, 0.0, 5.0, 5.0), False)
STRAY = "a box of it is in a version that does not hold the frame"
THERE = (2, (9.0, 0.0, 5.0, 5.0), False)


@dataclass(frozen=True)
class Frame:
    since: int
    until: int | None
    content: str


@dataclass(frozen=True)
class Box:
    category_id: int
    xywh: tuple[float, float, float, float]
    iscrowd: bool
    since: int
    until: int | None


def frame(since, until, *boxes):
    return Frame(since, until, boxes_content(boxes))


def told(frames, boxes, *, purged=False):
    return {why for _version, why in wrong_with_frame(frames, boxes, 4, purged=purged)}


def test_sound_histories():
    assert told([frame(1, None)], []) == set()
    assert told([frame(1, 3, HERE), frame(3, None, HERE, THERE)], [Box(*HERE, 1, None), Box(*THERE, 3, None)]) == set()
    # Left with v2, and back with v4 on another side: a box's row may be one or two.
    assert told([frame(1, 2, HERE), frame(4, None, HERE)], [Box(*HERE, 1, 2), Box(*HERE, 4, None)]) == set()
    assert told([frame(1, 2, HERE), frame(2, None, HERE)], [Box(*HERE, 1, None)]) == set()
    assert told([Frame(1, 3, "whatever it was")], [], purged=True) == set()


@pytest.mark.parametrize(
    ("frames", "boxes", "why"),
    [
        ([frame(2, 2)], [], "its row ends with v2 and begins with v2"),
        ([frame(1, 9)], [], "its row names a version that there is not"),
        ([frame(1, None), frame(3, None)], [], "it is held twice"),
        ([frame(1, None, HERE)], [Box(*THERE, 1, None)], "its boxes are not those that its content id was made of"),
        ([frame(1, None, HERE)], [], "its boxes are not those that its content id was made of"),
        ([frame(1, None, HERE)], [Box(*HERE, 2, None)], "a box of it comes or goes while it stays"),
        ([frame(1, 3, HERE)], [Box(*HERE, 1, None)], STRAY),
        ([frame(1, 2, HERE), frame(3, 4, HERE)], [Box(*HERE, 1, 4)], STRAY),
        ([], [Box(*HERE, 1, None)], STRAY),
    ],
)  # fmt: skip
def test_what_cannot_be(frames, boxes, why):
    assert why in told(frames, boxes)


def test_a_purged_frame_has_no_box():
    assert told([Frame(1, None, "x")], [Box(*HERE, 1, None)], purged=True) == {
        "it was purged, and boxes of it are there"
    }
