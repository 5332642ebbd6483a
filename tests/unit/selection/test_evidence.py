from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from data_engine.selection.balance import rarity_weights
from data_engine.selection.evidence import KINDS, MISSED, UNCERTAIN, frame_scores
from data_engine.selection.pool import FramePool
from data_engine.selection.temporal import blinks
from data_engine.selection.uncertainty import box_evidence, entropies, seen_boxes

CLASSES = ("helmet", "no-helmet")
Boxes = Sequence[tuple[float, float, tuple[float, float]]]
"""Boxes of 40 x 80 pixels: left, top, probability of each class."""


def pool_of(frames: Sequence[Boxes], step_s: float = 0.5, videos: Sequence[str | None] | None = None) -> FramePool:
    flat = [box for boxes in frames for box in boxes]
    count = len(frames)
    return FramePool(
        frame_ids=tuple(f"{i:04}" for i in range(count)),
        cameras=("gate",) * count,
        video_ids=("v",) * count if videos is None else tuple(videos),
        times_s=np.arange(count) * step_s,
        dhashes=np.arange(count, dtype=np.uint64),
        offsets=np.cumsum([0, *map(len, frames)]),
        xyxy=np.array([[x, y, x + 40, y + 80] for x, y, _ in flat], np.float32).reshape(-1, 4),
        scores=np.array([scores for _, _, scores in flat], np.float32).reshape(-1, 2),
        class_names=CLASSES,
    )


def found(frames: Sequence[Boxes], max_gap_s: float = 1.0, **options: object) -> list[tuple[str, int, str, float]]:
    pool = pool_of(frames, **options)  # type: ignore[arg-type]
    evidence = blinks(pool, seen_boxes(pool, 0.05), np.ones(2), 0.4, max_gap_s)
    return [
        (KINDS[int(k)], int(f), CLASSES[int(label)], round(float(v), 3))
        for k, f, label, v in zip(evidence.kind, evidence.frame, evidence.label, evidence.value, strict=True)
    ]


def test_entropy_is_of_each_class_alone() -> None:
    bits = entropies(np.array([[0.5, 0.5], [0.0, 1.0], [0.11, 0.04]], np.float32), floor=0.05)
    np.testing.assert_allclose(bits, [[1, 1], [0, 0], [0.49992, 0]], atol=1e-4)


def test_an_echo_of_a_better_box_is_no_doubt() -> None:
    pool = pool_of([[(100, 100, (0.9, 0.0)), (104, 100, (0.2, 0.0)), (400, 100, (0.2, 0.0)), (104, 100, (0.0, 0.3))]])
    boxes = seen_boxes(pool, 0.05)
    assert [(int(x), int(y)) for x, y in boxes.xyxy[:, :2]] == [(100, 100), (400, 100), (104, 100)]
    assert boxes.label.tolist() == [0, 0, 1]


def test_a_crowd_counts_as_its_three_best() -> None:
    crowd = [(float(50 * i), 0.0, (0.3, 0.0)) for i in range(40)]
    one = [(0.0, 0.0, (0.3, 0.0))]
    pool = pool_of([crowd, one, []])
    boxes = seen_boxes(pool, 0.05)
    scores = frame_scores(box_evidence(pool, boxes, np.ones(2), 0.05), 3)
    bits = entropies(np.array([0.3], np.float32))[0]
    np.testing.assert_allclose(scores[:, UNCERTAIN], [bits, bits / 3, 0])
    assert scores[:, MISSED].sum() == 0


def test_the_class_that_adds_most_is_named() -> None:
    pool = pool_of([[(0, 0, (0.35, 0.3))]])
    boxes = seen_boxes(pool, 0.05)
    assert boxes.label.tolist() == [0]
    rare = box_evidence(pool, boxes, np.array([1.0, 4.0]), 0.05)
    assert rare.label.tolist() == [1]
    assert rare.score[0] == pytest.approx(0.3)


STILL = (100.0, 100.0, (0.9, 0.0))


def test_a_box_missing_between_two_frames() -> None:
    assert found([[STILL], [], [STILL]]) == [("missed", 1, "helmet", 0.9)]
    doubtful = (100.0, 100.0, (0.25, 0.0))
    assert found([[STILL], [doubtful], [STILL]]) == [("missed", 1, "helmet", 0.65)]
    assert found([[STILL], [STILL], [STILL]]) == []


def test_a_moving_box_is_missed_where_it_should_be() -> None:
    frames = [[(100.0 + 30 * i, 100.0, (0.8, 0.0))] if i != 2 else [] for i in range(5)]
    pool = pool_of(frames)
    evidence = blinks(pool, seen_boxes(pool, 0.05), np.ones(2), 0.4, 1.0)
    assert evidence.frame.tolist() == [2]
    np.testing.assert_allclose(evidence.centre, [[180, 140]])


def test_somebody_else_stepping_into_the_place_is_no_miss() -> None:
    # A queue: each stands after a step where the one before stood two steps ago.
    queue = [[(100.0 + 25 * (i + 2 * k), 100.0, (0.9, 0.0)) for k in range(3)] for i in range(5)]
    assert found(queue) == []


def test_a_box_that_changes_its_class() -> None:
    other = (102.0, 100.0, (0.1, 0.7))
    assert found([[STILL], [other], [STILL]]) == [("switch", 1, "helmet", 0.8)]


def test_a_box_seen_once() -> None:
    assert found([[], [STILL], []]) == [("flash", 1, "helmet", 0.45)]
    assert found([[(160.0, 100.0, (0.1, 0.0))], [STILL], []]) == [], "a doubtful box within reach has seen it too"


@pytest.mark.parametrize(
    "options",
    [
        {"step_s": 1.5},
        {"videos": ("v", "v", "w")},
        {"videos": ("v", "w", "w")},
        {"videos": (None, None, None)},
        {"step_s": float("nan")},
        {"step_s": 0.0},
    ],
)
def test_frames_that_are_no_neighbours_say_nothing(options: dict[str, object]) -> None:
    assert found([[STILL], [], [STILL]], **options) == []
    assert found([[], [STILL], []], **options) == []


def test_the_end_of_one_video_does_not_account_for_the_beginning_of_the_next() -> None:
    frames: list[Boxes] = [[STILL], [STILL], [], [STILL]]
    assert found(frames, videos=("v", "w", "w", "w")) == [("missed", 2, "helmet", 0.9)]


def test_weights_by_share() -> None:
    weights = rarity_weights(("a", "b", "c"), {"a": 899, "b": 99, "c": 0}, cap=4)
    np.testing.assert_allclose(weights, [np.sqrt(333 + 1 / 3) / 30, np.sqrt(333 + 1 / 3) / 10, 4], rtol=2e-3)
    np.testing.assert_allclose(rarity_weights(("a", "b"), {"a": 50, "b": 50}), [1, 1])


def test_weights_before_the_first_label() -> None:
    by_model = rarity_weights(("a", "b"), {"a": 0, "b": 0}, {"a": 99, "b": 0})
    assert by_model[0] < 1 < by_model[1] <= 4
    np.testing.assert_allclose(rarity_weights(("a", "b"), {}), [1, 1])
    assert len(rarity_weights((), {})) == 0


def test_a_class_that_nobody_labels_is_not_rare() -> None:
    np.testing.assert_allclose(rarity_weights(("a", "toothbrush"), {"a": 10, "b": 10}), [1, 1])


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        rarity_weights(("a",), {"a": -1})
    with pytest.raises(ValueError, match="at least 1"):
        rarity_weights(("a",), {}, cap=0.5)
