from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.detectors.letterbox import GREY, in_picture_pixels, letterboxed

SIDES = st.integers(1, 700)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.sampled_from([32, 96, 160]), st.sampled_from([32, 96, 160]))
def test_the_picture_s_corners_come_back(width, height, canvas_width, canvas_height):
    put = letterboxed(np.full((height, width, 3), 7, np.uint8), canvas_height, canvas_width)
    assert put.pixels.shape == (canvas_height, canvas_width, 3)
    rows, columns = np.nonzero((put.pixels != GREY).all(axis=2))
    used = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    np.testing.assert_allclose(in_picture_pixels(used, put), [[0, 0, width, height]], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("width", "height", "pad"),
    [(640, 360, (0, 21)), (360, 640, (21, 0)), (96, 96, (0, 0)), (96, 95, (0, 0)), (48, 46, (0, 2)), (96, 93, (0, 1))],
)
def test_where_the_picture_lies(width, height, pad):
    """The odd pixel of the border is below and to the right."""
    assert letterboxed(np.zeros((height, width, 3), np.uint8), 96, 96).pad_xy == pad


def test_a_thin_picture_keeps_one_pixel():
    put = letterboxed(np.zeros((1, 3000, 3), np.uint8), 96, 96)
    assert put.gain_xy == (96 / 3000, 1.0)
