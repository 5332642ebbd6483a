"""Which boxes are looked at."""

from __future__ import annotations

import numpy as np

from data_engine.selection.crops import MOST_MOVING, MOST_PREDICTED, candidates

NONE = np.zeros((0, 4), np.float32)


def row_of(count: int, top: float = 0.0) -> np.ndarray:
    left = np.arange(count) * 20.0
    return np.stack([left, np.full(count, top), left + 15, np.full(count, top + 15)], axis=1).astype(np.float32)


def test_the_first_of_boxes_that_show_the_same() -> None:
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 90], [0, 0, 100, 50], [200, 0, 300, 100]], np.float32)
    np.testing.assert_array_equal(candidates(boxes, NONE), boxes[[0, 2, 3]])


def test_what_moves_comes_after_what_was_predicted_and_not_twice() -> None:
    predicted, moving = row_of(3), np.concatenate([row_of(3) + np.float32(1), row_of(2, top=100)])
    np.testing.assert_array_equal(candidates(predicted, moving), np.concatenate([predicted, row_of(2, top=100)]))


def test_no_more_than_the_stated_numbers() -> None:
    found = candidates(row_of(60), row_of(30, top=100))
    np.testing.assert_array_equal(found, np.concatenate([row_of(MOST_PREDICTED), row_of(MOST_MOVING, top=100)]))


def test_specks_and_nothing() -> None:
    assert candidates(NONE, NONE).shape == (0, 4)
    specks = np.array([[5, 5, 8, 8], [5, 5, 5, 5], [9, 9, 2, 2], [0, 0, 3, 10]], np.float32)
    np.testing.assert_array_equal(candidates(specks, NONE), specks[3:])
