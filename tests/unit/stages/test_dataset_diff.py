"""What became of the boxes of a frame from one version to another."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from data_engine.stages.dataset_diff import FrameChange, compare, displacement
from data_engine.types import Annotation

PERSON, HELMET = 1, 2


def box(name: str, x: float = 10.0, *, category: int = PERSON, proposal: str | None = None, **more) -> Annotation:
    return Annotation(name, "frame", category, (x, 20.0, 30.0, 40.0), "job", proposal_id=proposal, **more)


def told(before, after) -> list[tuple[str, str | None, str | None]]:
    return [
        (change.kind, change.before and change.before.id, change.after and change.after.id)
        for change in compare(before, after)
    ]


def test_the_same_boxes_are_no_change_whatever_their_order_and_whoever_accepted_them():
    before = [box("a"), box("b", 100.0), box("c", 200.0, category=HELMET)]
    after = [replace(one, id=f"{one.id}2", job_id="other", annotator="eve") for one in reversed(before)]
    assert compare(before, before[::-1]) == ()
    assert compare(before, after) == ()


def test_two_equal_boxes_are_two():
    assert told([box("a"), box("b")], [box("c")]) == [("removed", "b", None)]
    assert told([box("a")], [box("b"), box("c")]) == [("added", None, "c")]


def test_a_box_that_began_as_the_same_proposal_is_the_same_however_far_it_went():
    (change,) = compare([box("a", proposal="p")], [box("b", 500.0, proposal="p", category=HELMET)])
    assert (change.kind, change.moved_px, change.reclassified) == ("changed", 490.0, True)


def test_a_box_that_was_looked_at_again_is_the_same_in_both_directions_however_far_it_went():
    first, second = box("a", proposal="p"), box("b", 500.0, proposal="a")
    third = box("c", 900.0, proposal="b")
    began = {"a": "p", "b": "p"}
    for before, after in ((first, second), (second, first), (second, third), (first, third), (third, first)):
        (change,) = compare([before], [after], began=began)
        assert (change.kind, change.before, change.after) == ("changed", before, after)
    # One that people drew is where the next life begins.
    (change,) = compare([box("d")], [box("e", 500.0, proposal="d")])
    assert change.moved_px == 490.0


def test_without_a_proposal_the_best_overlap_tells():
    assert told([box("a", 10), box("b", 14)], [box("c", 15)]) == [("changed", "b", "c"), ("removed", "a", None)]
    # 30 px wide and moved by 10: an overlap of exactly a half; by 11 less.
    assert told([box("a", 10)], [box("b", 20)]) == [("changed", "a", "b")]
    assert told([box("a", 10)], [box("b", 21)]) == [("removed", "a", None), ("added", None, "b")]
    assert told([box("a", 10)], [box("b", 5000)]) == [("removed", "a", None), ("added", None, "b")]


def test_boxes_of_one_class_find_each_other_first():
    before = [box("a", 10), box("b", 12, category=HELMET)]
    after = [box("c", 11, category=HELMET), box("d", 19)]
    assert told(before, after) == [("changed", "a", "d"), ("changed", "b", "c")]
    (change,) = compare([box("a", 10)], [box("b", 10, category=HELMET)])
    assert (change.reclassified, change.moved_px) == (True, 0.0)


def test_an_id_says_more_than_a_proposal_and_a_proposal_more_than_a_place():
    before = [box("a", 10, proposal="p"), box("b", 300, proposal="q")]
    after = [box("c", 300.5, proposal="p"), box("d", 10.5, proposal="q")]
    assert told(before, after) == [("changed", "b", "d"), ("changed", "a", "c")]
    relabelled = replace(before[0], category_id=HELMET)
    (change,) = compare(before, [relabelled, before[1]])
    assert (change.before.id, change.after.id, change.reclassified) == ("a", "a", True)


def test_a_box_that_became_a_crowd_is_a_change():
    (change,) = compare([box("a")], [box("b", iscrowd=True)])
    assert (change.kind, change.reclassified, change.moved_px) == ("changed", False, 0.0)


def test_nothing_is_counted_twice_or_lost():
    draw = random.Random(1)
    for _ in range(200):
        before, after = (
            [
                box(
                    f"{side}{n}",
                    draw.randrange(60),
                    category=draw.choice((1, 2)),
                    proposal=draw.choice("pqr") if n % 2 else None,
                )
                for n in range(draw.randrange(7))
            ]
            for side in "ab"
        )
        found = compare(before, after)
        kinds = [change.kind for change in found]
        unchanged = len(before) - kinds.count("removed") - kinds.count("changed")
        assert len(after) == unchanged + kinds.count("added") + kinds.count("changed")
        ids = [one.id for change in found for one in (change.before, change.after) if one is not None]
        assert len(ids) == len(set(ids))
        back = [change.kind for change in compare(after, before)]
        assert (back.count("added"), back.count("removed")) == (kinds.count("removed"), kinds.count("added"))
        # In whatever order they are read, the same is told.
        shuffled = compare(draw.sample(before, len(before)), draw.sample(after, len(after)))
        assert [change.kind for change in shuffled] == kinds


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (3, -4, 10, 10), 4.0),
        ((0, 0, 10, 10), (0, 0, 16, 10), 6.0),
        ((1412.3, 0.7, 20.25, 0.1), (1412.3, 0.7, 20.25, 0.1), 0.0),
    ],
)
def test_a_box_moved_by_the_edge_that_moved_farthest(a, b, expected):
    assert displacement(a, b) == expected


def test_a_frame_came_went_or_changed_sides():
    assert FrameChange("f", None, "train").kind == "added"
    assert FrameChange("f", "train", None).kind == "removed"
    assert (FrameChange("f", "train", "golden").kind, FrameChange("f", "train", "golden").changed_sides) == (
        "changed",
        True,
    )
    assert not FrameChange("f", "train", "train").changed_sides
    assert not FrameChange("f", None, "train").changed_sides
