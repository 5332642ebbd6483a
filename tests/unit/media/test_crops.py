"""Cutting boxes out."""

from __future__ import annotations

import numpy as np

from data_engine.media.crops import mirrored, square_crops

GRID = np.stack(np.broadcast_arrays(np.arange(100)[:, None], np.arange(120)[None], 7), axis=2).astype(np.uint8)


def test_the_square_around_the_centre_that_the_longer_side_fits() -> None:
    (crop,) = square_crops(GRID, np.array([[40, 20, 60, 60]]), 40)
    assert crop.shape == (40, 40, 3)
    np.testing.assert_array_equal(crop, GRID[20:60, 30:70])


def test_outside_of_the_picture_its_edge_goes_on() -> None:
    (crop,) = square_crops(GRID, np.array([[100, 60, 120, 100]]), 40)
    np.testing.assert_array_equal(crop[:, :30], GRID[60:, 90:])
    np.testing.assert_array_equal(crop[:, 30:], GRID[60:, -1:].repeat(10, axis=1))


def test_any_box_of_a_picture_gives_a_crop() -> None:
    boxes = [
        [0, 0, 120, 100],
        [119.5, 99.5, 120, 100],
        [0, 0, 0.2, 0.2],
        [0, 40, 120, 41],
        [50.4, 0, 51, 100],
        [120, 100, 120, 100],
    ]
    crops = square_crops(GRID, np.array(boxes, np.float32), 16)
    assert [crop.shape for crop in crops] == [(16, 16, 3)] * len(boxes)
    assert square_crops(GRID, np.zeros((0, 4), np.float32), 16) == []


def test_mirrored() -> None:
    (crop,) = mirrored([GRID])
    np.testing.assert_array_equal(crop[:, 0], GRID[:, -1])
