"""Probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_engine.selection.calibration import calibrated, calibration_error, fit, judged

HALVES = arrays(np.float16, st.integers(0, 50), elements=st.floats(0, 1, width=16))
TEMPERATURES = st.floats(0.1, 10)


@given(HALVES, TEMPERATURES)
def test_the_order_is_kept_and_nothing_becomes_certain(scores, temperature):
    found = calibrated(scores, temperature)
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[scores == 0] == 0).all()
    assert (np.diff(found[np.argsort(scores, kind="stable")]) >= 0).all()
    if temperature > 1:
        assert (found < 1).all()
        assert (found[scores > 0] > 0).all()


@given(HALVES)
def test_a_temperature_of_one_changes_nothing(scores):
    assert (calibrated(scores, 1.0) == scores).all()


@given(st.floats(0.01, 0.99), TEMPERATURES)
def test_the_formula(p, temperature):
    (found,) = calibrated(np.array([p]), temperature)
    assert found == pytest.approx(1 / (1 + ((1 - p) / p) ** (1 / temperature)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_and_the_error_goes_down(temperature):
    rng = np.random.default_rng(3)
    told = 1 / (1 + np.exp(-rng.normal(0, 2, 20_000)))
    fitted = fit(told, rng.random(len(told)) < calibrated(told, temperature))
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)
    assert fitted.error_after < 0.015
    if temperature != 1.0:
        assert fitted.error_before > 5 * fitted.error_after
        assert f"temperature {fitted.temperature:.2f}" in fitted.told


def test_certainty_that_is_often_wrong_is_softened():
    hit = np.arange(1000) % 4 > 0
    fitted = fit(np.ones(1000, np.float16), hit)
    assert calibrated(np.ones(1, np.float16), fitted.temperature)[0] == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("scores", "hit"),
    [
        (np.zeros(0, np.float16), np.zeros(0, bool)),
        (np.full(199, 0.9), np.arange(199) < 100),
        (np.full(1000, 0.9), np.ones(1000, bool)),
        (np.full(1000, 0.1), np.arange(1000) < 19),
        (np.zeros(1000), np.arange(1000) < 500),
    ],
)
def test_too_little_to_go_by_leaves_everything_as_it_is(scores, hit):
    fitted = fit(scores, hit)
    assert (fitted.temperature, fitted.enough) == (1.0, False)
    assert fitted.error_after == fitted.error_before
    assert f"there are {fitted.pairs}" in fitted.told


def test_the_error_is_the_gap_between_what_is_said_and_what_is():
    p, hit = np.repeat([0.2, 0.8], 50), np.concatenate([np.arange(50) < 20, np.arange(50) < 45])
    assert calibration_error(p, hit) == pytest.approx((0.2 + 0.1) / 2)
    order = np.random.default_rng(0).permutation(100)
    assert calibration_error(p[order], hit[order]) == pytest.approx(calibration_error(p, hit))


BOX, NEAR, FAR = (10, 10, 20, 20), (11, 10, 21, 20), (50, 50, 60, 60)


@pytest.mark.parametrize(
    ("boxes", "labels", "scores", "truth", "expected", "counts"),
    [
        ([BOX], [0], [0.3], [(BOX, 0, False)], [True], [True]),
        ([BOX], [1], [0.9], [(BOX, 0, False)], [False], [True]),
        ([FAR], [0], [0.9], [(BOX, 0, False)], [False], [True]),
        ([BOX], [0], [0.9], [], [False], [True]),
        # One accepted box confirms one box: the best.
        ([BOX, NEAR], [0, 0], [0.4, 0.6], [(BOX, 0, False)], [False, True], [True, True]),
        ([BOX, NEAR], [0, 0], [0.4, 0.6], [(BOX, 0, False), (NEAR, 0, False)], [True, True], [True, True]),
        # In a crowd nobody drew a box for each.
        ([BOX, FAR], [0, 0], [0.4, 0.6], [((0, 0, 30, 30), 0, True)], [False, False], [False, True]),
        ([BOX], [1], [0.4], [((0, 0, 30, 30), 0, True)], [False], [True]),
    ],
)
def test_which_boxes_people_confirmed(boxes, labels, scores, truth, expected, counts):
    confirmed, told = judged(
        np.array(boxes, np.float32),
        np.array(labels),
        np.array(scores),
        np.array([box for box, _label, _crowd in truth], np.float32).reshape(-1, 4),
        np.array([label for _box, label, _crowd in truth], np.int64),
        np.array([crowd for _box, _label, crowd in truth], bool),
    )
    assert (confirmed.tolist(), told.tolist()) == (expected, counts)
