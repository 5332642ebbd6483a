"""Precision and recall of one person's boxes by another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.metrics.agreement import Agreement, agreement
from data_engine.metrics.coco import TrueBoxes, evaluate
from data_engine.types import Detections

ONE = TrueBoxes.of([(0, 0, 10, 10), (20, 0, 30, 10)], [0, 1])


@pytest.mark.parametrize(
    ("found", "matched"),
    [
        ([((0, 0, 10, 10), 0), ((20, 0, 30, 10), 1)], 2),
        ([((0, 0, 10, 10), 1), ((20, 0, 30, 10), 1)], 1),  # another class
        ([((0, 0, 10, 10), 0), ((0, 0, 10, 10), 0)], 1),  # one to one
        ([((0, 0, 10, 5), 0)], 1),
        ([((0, 0, 10, 3), 0)], 0),
        ([], 0),
    ],
)
def test_boxes_of_one_class_meet_one_to_one(found, matched):
    seen = TrueBoxes.of([xyxy for xyxy, _ in found], [label for _, label in found])
    assert agreement([ONE], [seen], 0.4) == Agreement(matched, 2, len(found))


def test_the_best_overlap_is_taken_first():
    truth = TrueBoxes.of([(0, 0, 10, 10), (4, 0, 14, 10)], [0, 0])
    seen = TrueBoxes.of([(4, 0, 14, 10), (0, 0, 10, 9)], [0, 0])
    assert agreement([truth], [seen], 0.4).matched == 2


def test_one_box_is_not_two_objects():
    truth = TrueBoxes.of([(0, 0, 10, 10), (1, 0, 11, 10)], [0, 0])
    assert agreement([truth], [TrueBoxes.of([(0, 0, 10, 10)], [0])], 0.4) == Agreement(1, 2, 1)


def test_crowds_are_passed_over_and_nothing_is_undefined():
    crowd = TrueBoxes(np.array([[0, 0, 10, 10]]), np.array([0]), np.array([True]))
    nothing = agreement([crowd], [TrueBoxes.of([], [])], 0.4)
    assert nothing == Agreement(0, 0, 0)
    assert (nothing.precision, nothing.recall) == (None, None)
    with pytest.raises(ValueError, match="2 images of truth but 1 to compare"):
        agreement([ONE, ONE], [ONE], 0.4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1), st.integers(-6, 6), st.booleans()), max_size=8))
def test_where_objects_stand_apart_it_is_the_reference_implementation_s_recall(rows):
    """Each object far from the others: which overlap is best is no question, and AP at 0.5 counts the same matches."""
    rows = list({row[0]: row for row in rows}.values())
    truth = [(40.0 * at, 0.0, 40.0 * at + 20, 20.0) for at, *_ in rows]
    found = [
        (x + shift, y, x2 + shift, y2)
        for (x, y, x2, y2), (_a, _l, shift, there) in zip(truth, rows, strict=True)
        if there
    ]
    labels = [label for _at, label, *_ in rows]
    seen = [label for _at, label, _shift, there in rows if there]
    ours = agreement([TrueBoxes.of(truth, labels)], [TrueBoxes.of(found, seen)], 0.5)
    scores = np.zeros((len(found), 1), np.float32) + 0.9
    told = evaluate(
        [TrueBoxes.of(truth, [0] * len(labels))],
        [Detections(np.array(found, np.float32).reshape(-1, 4), scores)],
        ["x"],
    )
    assert ours.matched == len(found), "a shift of 6 in 20 leaves more than half"
    assert (ours.precision or 0.0) == (1.0 if found else 0.0)
    if truth and len(found) == len(truth):
        assert told["map50"] == ours.recall == 1.0
