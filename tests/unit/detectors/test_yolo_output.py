from __future__ import annotations

import numpy as np
import pytest

from data_engine.detectors.letterbox import letterboxed
from data_engine.detectors.yolo_output import decoded, form_of, literal, named_classes, ordered_names

CANVAS = letterboxed(np.zeros((50, 100, 3), np.uint8), 64, 64)
"""A picture of 100 x 50 on 64 x 64: gain 0.64, 16 rows of grey above and below."""


def decode(answer, form):
    return decoded(np.asarray(answer, np.float32), form, CANVAS, classes=3)


def test_grid():
    columns = [
        [32, 32, 16, 8, 0.1, 0.7, 0.2],
        [32, 32, 16, 7, 0.1, 0.6, 0.3],
        [32, 32, 16, 8, 0.5, 0.2, 0.4],
        [10, 20, 4, 4, 0.0, 0.009, 0.0],
    ]
    found = decode(np.transpose(columns), "grid")
    np.testing.assert_allclose(found.xyxy, [[37.5, 18.75, 62.5, 31.25]] * 2)
    np.testing.assert_allclose(found.scores, [[0.1, 0.7, 0.2], [0.5, 0.2, 0.4]])


def test_queries_are_not_suppressed():
    rows = [[24, 28, 40, 36, 0.1, 0.7, 0.2], [24, 28, 40, 36, 0.1, 0.6, 0.3], [0, 0, 64, 64, 0, 0.001, 0]]
    found = decode(rows, "queries")
    np.testing.assert_allclose(found.xyxy, [[37.5, 18.75, 62.5, 31.25]] * 2)
    np.testing.assert_allclose(found.best, [0.7, 0.6])


def test_pairs_of_one_box_are_put_together():
    rows = [
        [24, 28, 40, 36, 0.7, 1],
        [0, 16, 64, 48, 0.6, 2],
        [24, 28, 40, 36, 0.2, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    found = decode(rows, "pairs")
    np.testing.assert_allclose(found.xyxy, [[37.5, 18.75, 62.5, 31.25], [0, 0, 100, 50]])
    np.testing.assert_allclose(found.scores, [[0.2, 0.7, 0], [0, 0, 0.6]])


def test_no_pairs():
    assert decode(np.zeros((300, 6)), "pairs").scores.shape == (0, 3)


@pytest.mark.parametrize(
    ("answer", "form", "text"),
    [
        (np.zeros((8, 5)), "grid", "8 numbers a box, not 4 \\+ 3 classes"),
        (np.zeros((5, 8)), "queries", "8 numbers a box, not 4 \\+ 3 classes"),
        (np.zeros((5, 7)), "pairs", "rows of 7 numbers, not 6"),
        ([[0, 0, 9, 9, 0.5, 3]], "pairs", "class 3 of 3"),
        ([[0, 0, 9, 9, 0.5, -1]], "pairs", "class -1 of 3"),
    ],
)
def test_what_the_form_does_not_have(answer, form, text):
    with pytest.raises(ValueError, match=text):
        decode(answer, form)


@pytest.mark.parametrize(
    ("metadata", "form"),
    [
        ({}, "grid"),
        ({"end2end": "False", "args": "{'nms': None}"}, "grid"),
        ({"end2end": "True"}, "pairs"),
        ({"end2end": "False", "args": "{'nms': True}"}, "pairs"),
        ({"end2end": "False", "args": "{'nms': False}"}, "grid"),
        ({"args": "not python"}, "grid"),
    ],
)
def test_form(metadata, form):
    assert form_of(metadata) == form


def test_names():
    assert named_classes({"names": "{1: 'b', 0: 'a'}"}) == ["a", "b"]
    assert named_classes({"names": "['a', 'b']"}) == ["a", "b"]
    assert named_classes({"names": "{0: 'a', 2: 'c'}"}) is None
    assert named_classes({"names": "__import__('os')"}) is None
    assert named_classes({}) is None
    assert ordered_names({}) is None
    assert literal("(" * 10_000) is None
