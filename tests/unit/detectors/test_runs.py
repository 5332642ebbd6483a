from __future__ import annotations

import numpy as np
import pytest

from data_engine.detectors.base import filled, runs


@pytest.mark.parametrize(
    ("pictures", "size", "cut"),
    [(0, 4, []), (3, 4, [(0, 3)]), (8, 4, [(0, 4), (4, 8)]), (3, 1, [(0, 1), (1, 2), (2, 3)])],
)
def test_runs(pictures, size, cut):
    assert [(part.start, part.stop) for part in runs(pictures, size)] == cut


def test_filled_up_with_the_last():
    pictures = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(filled(pictures, 4), [[0, 1, 2], [3, 4, 5], [3, 4, 5], [3, 4, 5]])
    assert filled(pictures, 2) is pictures
