from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_engine.detectors.boxes import corners, in_picture, suppressed
from data_engine.types import MOST_BOXES, SCORE_FLOOR


@st.composite
def boxes_and_scores(draw, most: int = 25):
    count = draw(st.integers(0, most))
    classes = draw(st.integers(1, 4))
    # Eighths of a pixel: areas of less than any pixel would underflow, and say nothing about boxes.
    sides = hnp.arrays(np.float32, (count, 4), elements=st.integers(0, 320).map(lambda eighths: eighths / 8))
    scores = hnp.arrays(np.float32, (count, classes), elements=st.floats(0, 1, width=32))
    raw = draw(sides)
    xyxy = np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], axis=1)
    return xyxy, draw(scores)


def overlap(a, b) -> float:
    """Written out for one pair, in doubles."""
    a, b = a.astype(float), b.astype(float)
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def test_corners():
    np.testing.assert_array_equal(corners(np.array([[10, 20, 4, 6]], np.float32)), [[8, 17, 12, 23]])


@settings(max_examples=150, deadline=None)
@given(boxes_and_scores())
def test_suppression_keeps_the_best_of_every_heap(given_boxes):
    xyxy, scores = given_boxes
    kept = suppressed(xyxy, scores, overlap=0.5).tolist()
    best, label = scores.max(axis=1), scores.argmax(axis=1)
    assert kept == sorted(kept, key=lambda i: (-best[i], i))
    slack = 1e-4
    for position, first in enumerate(kept):
        for second in kept[position + 1 :]:
            assert label[first] != label[second] or overlap(xyxy[first], xyxy[second]) <= 0.5 + slack
    for gone in set(range(len(xyxy))) - set(kept):
        assert any(
            label[better] == label[gone]
            and (-best[better], better) < (-best[gone], gone)
            and overlap(xyxy[better], xyxy[gone]) > 0.5 - slack
            for better in kept
        )


def test_suppression_looks_at_the_class():
    xyxy = np.tile(np.array([[0, 0, 10, 10]], np.float32), (3, 1))
    scores = np.array([[0.6, 0.1], [0.9, 0.1], [0.1, 0.5]], np.float32)
    assert suppressed(xyxy, scores, overlap=0.7).tolist() == [1, 2]


def test_suppression_stops_at_its_limit():
    xyxy = np.arange(40, dtype=np.float32)[:, None] * 10 + np.array([0, 0, 5, 5], np.float32)
    assert suppressed(xyxy, np.ones((40, 1), np.float32), overlap=0.7, limit=7).tolist() == list(range(7))


@settings(max_examples=100, deadline=None)
@given(boxes_and_scores(most=12), st.integers(1, 50), st.integers(1, 50))
def test_in_picture(given_boxes, width, height):
    xyxy, scores = given_boxes
    found = in_picture(xyxy - 5, scores, width, height)
    assert (found.xyxy >= 0).all()
    assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
    assert (found.xyxy[:, [0, 2]] <= width).all()
    assert (found.xyxy[:, [1, 3]] <= height).all()
    assert (found.best >= SCORE_FLOOR).all()
    assert (np.diff(found.best) <= 0).all()


def test_in_picture_keeps_so_many_and_drops_what_lies_outside():
    xyxy = np.tile(np.array([[0, 0, 5, 5]], np.float32), (150, 1))
    assert len(in_picture(xyxy, np.full((150, 2), 0.5, np.float32), 10, 10)) == MOST_BOXES
    outside = np.array([[10, 0, 20, 5], [-9, 0, 0, 5], [3, 3, 3, 9]], np.float32)
    assert len(in_picture(outside, np.ones((3, 2), np.float32), 10, 10)) == 0
    with pytest.raises(ValueError, match=r"0\.\.1"):
        in_picture(xyxy, np.full((150, 2), 1.5, np.float32), 10, 10)
