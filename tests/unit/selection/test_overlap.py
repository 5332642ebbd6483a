from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.overlap import echoes, iou, pairs


def test_overlap_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 5, 5]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [5, 5, 5, 5]], np.float32)
    np.testing.assert_allclose(iou(a, b), [1, 1 / 3, 0, 0], rtol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30), st.integers(1, 12))
def test_pairs_are_all_pairs_whatever_the_piece(ranges: list[tuple[int, int]], at_once: int) -> None:
    first = np.array([a for a, _ in ranges], np.int64)
    last = np.array([b for _, b in ranges], np.int64)
    got = [(i, j) for left, right in pairs(first, last, at_once) for i, j in zip(left, right, strict=True)]
    assert got == [(i, j) for i, (a, b) in enumerate(ranges) for j in range(a, b)]


@given(st.data())
def test_echoes_agree_with_the_plain_loop(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    group = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)), np.int64)
    score = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=count, max_size=count)), np.float32)
    left = np.array(data.draw(st.lists(st.integers(0, 20), min_size=count, max_size=count)), np.float32)
    xyxy = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)

    def better(j: int, i: int) -> bool:
        return bool(score[j] > score[i] or (score[j] == score[i] and j < i))

    expected = [
        any(
            group[i] == group[j] and better(j, i) and iou(xyxy[i : i + 1], xyxy[j : j + 1])[0] >= 0.5
            for j in range(count)
        )
        for i in range(count)
    ]
    assert echoes(group, score, xyxy, 0.5).tolist() == expected
