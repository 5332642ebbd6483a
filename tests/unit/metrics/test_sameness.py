"""An export against its weights, as two lists of detections."""

from __future__ import annotations

import numpy as np
import pytest

from data_engine.metrics.sameness import LOST, SCORE, sameness
from data_engine.types import Detections


def seen(count: int, seed: int = 0) -> Detections:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 500, (count, 2)).astype(np.float32)
    return Detections(
        np.hstack((corners, corners + rng.uniform(20, 80, (count, 2)).astype(np.float32))),
        rng.uniform(0.05, 0.95, (count, 3)).astype(np.float32),
    )


def test_another_order_and_the_last_digits_are_no_difference():
    one = seen(60)
    order = np.random.default_rng(1).permutation(60)
    other = Detections(one.xyxy[order] + np.float32(0.01), np.clip(one.scores[order] + np.float32(1e-5), 0, 1))
    found = sameness([(one, other)])
    assert (found.same, found.pictures, found.boxes, found.lost) == (True, 1, 120, 0)
    assert found.score == pytest.approx(1e-5, rel=0.01)
    assert 0.99 < found.place < 1


@pytest.mark.parametrize(("score", "shift", "same"), [(SCORE * 0.9, 0, True), (SCORE * 1.1, 0, False), (0, 9, False)])
def test_the_limits(score, shift, same):
    one = seen(60)
    # Scores of the second class alone: a winner that stays the same hides nothing.
    moved = one.scores.copy()
    moved[:, 1] = np.clip(moved[:, 1] + score * np.where(moved[:, 1] > 0.5, -1, 1), 0, 1)
    assert sameness([(one, Detections(one.xyxy + np.float32(shift), moved))]).same is same


def test_a_few_boxes_at_the_border_of_suppression_may_be_missing_on_either_side():
    one = seen(100)
    lost = 3
    assert lost <= LOST * (200 - lost)
    assert sameness([(one, Detections(one.xyxy[lost:], one.scores[lost:]))]).same
    more = sameness([(Detections(one.xyxy[lost + 1 :], one.scores[lost + 1 :]), one)])
    assert (more.same, more.lost) == (False, lost + 1)
    assert not sameness([(one, Detections.empty(3))]).same


def test_boxes_just_above_the_floor_are_not_asked_for_and_nothing_is_no_difference():
    faint = Detections(np.asarray([[0, 0, 10, 10]], np.float32), np.asarray([[0.012, 0, 0]], np.float32))
    found = sameness([(faint, Detections.empty(3)), (Detections.empty(3), Detections.empty(3))])
    assert (found.same, found.boxes, found.pictures) == (True, 0, 2)
