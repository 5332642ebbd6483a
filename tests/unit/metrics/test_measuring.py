"""Intervals: of footage and not of pictures, and of two models on the same of it."""

from __future__ import annotations

import numpy as np
import pytest
from test_matching import columns, world

from data_engine.metrics.average_precision import draws_of
from data_engine.metrics.matching import match
from data_engine.metrics.measuring import Subset, delta, measure, measured
from data_engine.types import Detections


def matches_of(truth, found):
    return match(truth, *columns(found, 2))


def width(one) -> float:
    return one.high - one.low


def test_frames_that_show_the_same_do_not_count_twice():
    truth, found = world(7, pictures=12, classes=2, crowds=False)
    once = measure(matches_of(truth, found), np.arange(12), draws_of(12, 500, 1)).scores(0.95)
    # The same pictures thirty times over: what is known of the model is not one bit more.
    many = matches_of(truth * 30, found * 30)
    by_stretch = measure(many, np.tile(np.arange(12), 30), draws_of(12, 500, 1)).scores(0.95)
    assert by_stretch.map50.value == pytest.approx(once.map50.value, abs=0.02)
    assert width(by_stretch.map50) == pytest.approx(width(once.map50), rel=0.1)
    by_picture = measure(many, np.arange(360), draws_of(360, 500, 1)).scores(0.95)
    assert width(by_picture.map50) < 0.5 * width(once.map50)


def test_a_model_beside_itself_does_not_differ_whatever_the_footage():
    truth, found = world(5, classes=2)
    one = measure(matches_of(truth, found), np.arange(12), draws_of(12, 200, 0))
    same = delta(one, one, "map50", 0.95)
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_pair_is_surer_than_two_models_apart():
    truth, found = world(11, pictures=40, classes=2, crowds=False)
    # The other model overlooks every fourth box that this one finds, everywhere alike.
    other = [
        Detections(one.xyxy[np.arange(len(one)) % 4 > 0], one.scores[np.arange(len(one)) % 4 > 0]) for one in found
    ]
    draws = draws_of(40, 500, 0)
    before, after = (measure(matches_of(truth, boxes), np.arange(40), draws) for boxes in (other, found))
    pair = delta(before, after, "map50", 0.95)
    assert pair.low > 0
    assert width(pair) < width(before.scores(0.95).map50) + width(after.scores(0.95).map50)
    assert pair.difference == pytest.approx(pair.challenger - pair.champion)
    assert (pair.images, pair.boxes) == (40, sum(len(boxes) for boxes in truth))
    back = delta(after, before, "map50", 0.95)
    assert (back.difference, back.low, back.high) == pytest.approx((-pair.difference, -pair.high, -pair.low))


def test_a_class_without_a_box_is_no_number_and_in_no_mean():
    truth, found = world(2, classes=2, crowds=False)
    without = [type(boxes).of(boxes.xyxy[boxes.classes == 0], [0] * int((boxes.classes == 0).sum())) for boxes in truth]
    one = measure(matches_of(without, found), np.arange(12), draws_of(12, 100, 0))
    assert (one.scores(0.95, 1).map.value, one.scores(0.95, 1).recall, one.scores(0.95, 1).boxes) == (None, None, 0)
    assert one.scores(0.95).map.value == one.scores(0.95, 0).map.value
    apart = delta(one, one, "map", 0.95, 1)
    assert (apart.champion, apart.difference, apart.low) == (None, None, None)


def test_classes_come_in_the_order_that_is_asked_for():
    truth, found = world(9, classes=2)
    both = measure(matches_of(truth, found), np.arange(12), None)
    turned = measure(matches_of(truth, found), np.arange(12), None).of([1, 0])
    np.testing.assert_array_equal(turned.precision, both.precision[::-1])
    assert measure(matches_of(truth, found), np.arange(12), None).of([1]).values[0] == pytest.approx(
        both.by_class[1, 0]
    )


def test_without_resamples_there_is_a_value_and_no_interval():
    truth, found = world(4, classes=2)
    scores = measure(matches_of(truth, found), np.arange(12), None).scores(0.95)
    assert scores.map.value is not None
    assert (scores.map.low, scores.map.high) == (None, None)


def test_one_stretch_of_footage_gives_no_interval():
    """Its resamples are all equal: an interval without a width would look like certainty."""
    truth, found = world(4, classes=2, crowds=False)
    units = np.repeat([0, 1, 2], 4)
    draws = draws_of(3, 200, 0)
    apart = measure(matches_of(truth, found), units, draws, Subset(pictures=units == 1)).scores(0.95)
    assert apart.map50.value is not None
    assert (apart.map50.low, apart.map50.high) == (None, None)
    rare = [
        type(boxes).of(boxes.xyxy, boxes.classes if unit == 1 else [0] * len(boxes))
        for boxes, unit in zip(truth, units, strict=True)
    ]
    whole = measure(matches_of(rare, found), units, draws)
    assert whole.boxes[1] > 0
    assert [whole.scores(0.95, place).map50.low is None for place in (0, 1)] == [False, True]
    assert delta(whole, whole, "map50", 0.95, 1).low is None


def test_what_hardly_any_resample_holds_gets_no_interval():
    samples = np.array([0.5] * 4 + [np.nan] * 6)
    assert (measured(0.5, samples, 0.95).low, measured(0.5, samples[:7], 0.95).low) == (None, 0.5)


def test_pictures_alone_are_those_of_the_whole():
    truth, found = world(6, classes=2)
    whole = matches_of(truth, found)
    some = whole.of([1, 4, 5, 9])
    alone = matches_of([truth[n] for n in (1, 4, 5, 9)], [found[n] for n in (1, 4, 5, 9)])
    for name in ("picture", "label", "score", "found", "passed", "true_picture", "true_label", "true_counts"):
        np.testing.assert_array_equal(getattr(some, name), getattr(alone, name))
