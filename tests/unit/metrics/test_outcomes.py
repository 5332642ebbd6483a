"""What became of boxes, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from data_engine.metrics.coco import TrueBoxes
from data_engine.metrics.outcomes import apart, confusion, outcome
from data_engine.types import Detections

NAMES = ("person", "helmet")


def boxes(*rows):
    """``(x, class)`` of boxes of 10 x 10; true ones."""
    return TrueBoxes.of([[x, 0, x + 10, 10] for x, _label in rows], [label for _x, label in rows])


def seen(*rows):
    """``(x, class, score)`` likewise, of a model."""
    scores = np.zeros((len(rows), len(NAMES)), np.float32)
    for row, (_x, label, score) in enumerate(rows):
        scores[row, label] = score
    return Detections(np.array([[x, 0, x + 10, 10] for x, _l, _s in rows], np.float32).reshape(-1, 4), scores)


def table(truth, found, **given):
    return confusion([truth], [found], NAMES, **{"overlap": 0.5, "score": 0.25, **given}).table


def test_each_box_is_counted_once_where_it_belongs():
    truth = boxes((0, 0), (20, 1), (40, 1), (60, 0))
    found = seen((0, 0, 0.9), (21, 0, 0.8), (41, 1, 0.7), (80, 1, 0.6))
    assert table(truth, found) == (
        (1, 0, 1),  # person: one seen, one not
        (1, 1, 0),  # helmet: one taken for a person, one right
        (0, 1, 0),  # a helmet where nothing is
    )


def test_the_best_overlap_has_the_box_and_the_rest_are_alone():
    assert table(boxes((0, 0)), seen((3, 1, 0.9), (1, 0, 0.4))) == ((1, 0, 0), (0, 0, 0), (0, 1, 0))
    assert table(boxes((0, 0), (2, 1)), seen((1.4, 1, 0.9))) == ((0, 0, 1), (0, 1, 0), (0, 0, 0))


def test_boxes_below_the_score_are_not_looked_at():
    assert table(boxes((0, 0)), seen((0, 0, 0.2), (30, 1, 0.2)))[0] == (0, 0, 1)
    assert table(boxes((0, 0)), seen((0, 0, 0.2)), score=0.1)[0] == (1, 0, 0)


def test_what_lies_in_a_crowd_is_no_false_alarm():
    crowd = TrueBoxes(np.array([[0, 0, 100, 100]]), np.array([0]), np.array([True]))
    found = seen((10, 0, 0.9), (96, 0, 0.9), (97, 1, 0.9))
    assert table(crowd, found) == ((0, 0, 0), (0, 0, 0), (1, 1, 0))
    assert outcome(crowd, found, overlap=0.5).false.tolist() == [False, True, True]


def test_an_outcome_is_by_class():
    result = outcome(boxes((0, 0), (20, 1)), seen((0, 1, 0.9), (20, 1, 0.8), (20.5, 1, 0.7)), overlap=0.5)
    assert result.found.tolist() == [False, True]
    assert result.false.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        (seen((0, 0, 0.9)), seen((0, 0, 0.9)), 0),
        (seen((0, 0, 0.9)), seen((20, 1, 0.9)), 2),
        (seen((0, 0, 0.9), (50, 0, 0.9), (70, 0, 0.9)), seen((0, 0, 0.9)), 2),
        (seen(), seen((0, 0, 0.9), (50, 0, 0.9)), 2),
    ],
)
def test_models_differ_by_what_one_alone_finds_and_by_false_alarms(one, other, differ):
    truth = boxes((0, 0), (20, 1))
    assert apart(outcome(truth, one, overlap=0.5), outcome(truth, other, overlap=0.5)) == differ


def test_nothing_on_either_side():
    assert table(boxes(), seen()) == ((0, 0, 0),) * 3
    assert confusion([], [], NAMES, overlap=0.5, score=0.25).table == ((0, 0, 0),) * 3
