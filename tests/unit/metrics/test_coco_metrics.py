"""COCO metrics: known answers, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.metrics.coco import DETECTIONS_PER_IMAGE, TrueBoxes, evaluate
from data_engine.types import Detections

NAMES = ("person", "helmet", "no-helmet")


def found(boxes: list[tuple[float, ...]], labels: list[int], scores: list[float]) -> Detections:
    table = np.zeros((len(boxes), len(NAMES)), np.float32)
    table[np.arange(len(boxes)), labels] = scores
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), table)


def test_a_perfect_model_has_one_everywhere_and_none_where_there_is_nothing_to_find() -> None:
    truth = [TrueBoxes.of([(0, 0, 10, 10), (20, 20, 40, 40)], [0, 1]), TrueBoxes.of([], [])]
    predictions = [found([(0, 0, 10, 10), (20, 20, 40, 40)], [0, 1], [0.9, 0.8]), Detections.empty(3)]
    metrics = evaluate(truth, predictions, NAMES)
    assert metrics == {
        "map": 1.0,
        "map50": 1.0,
        "ar100": 1.0,
        "ap_per_class": {"person": 1.0, "helmet": 1.0, "no-helmet": None},
        "ap50_per_class": {"person": 1.0, "helmet": 1.0, "no-helmet": None},
        "images": 2,
        "boxes": 2,
        "boxes_per_class": {"person": 1, "helmet": 1, "no-helmet": 0},
    }


def test_overlap_decides_how_many_thresholds_are_met() -> None:
    # Intersection over union is 20 * 17 / 400 = 0.85: met at 0.50 … 0.85, eight of ten thresholds.
    truth = [TrueBoxes.of([(0, 0, 20, 20)], [0])]
    metrics = evaluate(truth, [found([(0, 0, 20, 17)], [0], [0.5])], NAMES)
    assert metrics["map50"] == 1.0
    assert metrics["map"] == pytest.approx(0.8)
    assert metrics["ar100"] == pytest.approx(0.8)


def test_a_confident_false_box_halves_the_precision_before_the_true_one() -> None:
    truth = [TrueBoxes.of([(0, 0, 20, 20)], [0])]
    wrong_first = found([(50, 50, 70, 70), (0, 0, 20, 20)], [0, 0], [0.9, 0.5])
    assert evaluate(truth, [wrong_first], NAMES)["map50"] == pytest.approx(0.5)
    right_first = found([(50, 50, 70, 70), (0, 0, 20, 20)], [0, 0], [0.4, 0.5])
    assert evaluate(truth, [right_first], NAMES)["map50"] == 1.0


def test_the_second_class_of_a_box_counts_as_a_detection_of_its_own() -> None:
    truth = [TrueBoxes.of([(0, 0, 20, 20)], [1])]
    both = Detections(np.array([(0, 0, 20, 20)], np.float32), np.array([(0.6, 0.3, 0.0)], np.float32))
    assert evaluate(truth, [both], NAMES)["ap50_per_class"]["helmet"] == 1.0
    below = Detections(np.array([(0, 0, 20, 20)], np.float32), np.array([(0.6, 0.009, 0.0)], np.float32))
    assert evaluate(truth, [below], NAMES)["ap50_per_class"]["helmet"] == 0.0


def test_no_detection_is_zero_not_none() -> None:
    metrics = evaluate([TrueBoxes.of([(0, 0, 20, 20)], [0])], [Detections.empty(3)], NAMES)
    assert (metrics["map"], metrics["ap50_per_class"]["person"], metrics["ar100"]) == (0.0, 0.0, 0.0)


def test_no_image_gives_no_number() -> None:
    metrics = evaluate([], [], NAMES)
    assert (metrics["map"], metrics["map50"], metrics["ar100"], metrics["images"]) == (None, None, None, 0)


def test_a_detection_in_a_crowd_counts_neither_way() -> None:
    crowd = TrueBoxes(
        np.array([(0, 0, 20, 20), (50, 50, 100, 100)], np.float64), np.array([0, 0]), np.array([False, True])
    )
    predictions = found([(60, 60, 80, 80), (0, 0, 20, 20)], [0, 0], [0.9, 0.5])
    metrics = evaluate([crowd], [predictions], NAMES)
    assert metrics["map50"] == 1.0
    assert metrics["boxes"] == 1


def test_only_the_best_hundred_of_an_image_enter() -> None:
    rubbish = [(50.0, 50.0, 60.0 + n, 60.0) for n in range(DETECTIONS_PER_IMAGE)]
    truth = [TrueBoxes.of([(0, 0, 20, 20)], [0])]
    late = found([*rubbish, (0, 0, 20, 20)], [0] * 101, [0.9] * 100 + [0.5])
    assert evaluate(truth, [late], NAMES)["map50"] == 0.0


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    evaluate([TrueBoxes.of([(0, 0, 20, 20)], [0])], [found([(0, 0, 20, 17)], [0], [0.5])], NAMES)
    assert capfd.readouterr() == ("", "")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_equal_inputs_give_equal_numbers_and_order_finds_no_more_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predictions = [], []
    for _ in range(4):
        corners = rng.integers(0, 50, (5, 2))
        boxes = np.hstack((corners, corners + rng.integers(5, 40, (5, 2)))).astype(np.float64)
        classes = rng.integers(0, 3, 5)
        truth.append(TrueBoxes.of(boxes.tolist(), classes.tolist()))
        predictions.append(Detections(boxes + rng.integers(0, 6, (5, 4)), rng.permutation(15).reshape(5, 3) / 20))
    metrics = evaluate(truth, predictions, NAMES)
    turned = [Detections(p.xyxy[::-1], p.scores[::-1]) for p in reversed(predictions)]
    again = evaluate(list(reversed(truth)), turned, NAMES)
    # Equal scores in different images may rank either way, which moves precision but never what is found.
    assert again["ar100"] == metrics["ar100"]
    assert again["boxes_per_class"] == metrics["boxes_per_class"]
    assert 0.0 <= metrics["map"] <= metrics["map50"] <= 1.0
    assert evaluate(truth, predictions, NAMES) == metrics


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        ([], [Detections.empty(3)], "0 images of truth but 1 of predictions"),
        ([TrueBoxes.of([(0, 0, 1, 1)], [3])], [Detections.empty(3)], "class 3 in the truth of 3 classes"),
        ([TrueBoxes.of([], [])], [Detections.empty(2)], "predictions of 2 classes, expected 3"),
    ],
)
def test_inputs_that_disagree_are_refused(truth: list[TrueBoxes], predictions: list[Detections], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(truth, predictions, NAMES)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 5, 1, 9), (0, 0, float("nan"), 5)])
def test_a_true_box_without_area_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no area"):
        TrueBoxes.of([box], [0])
