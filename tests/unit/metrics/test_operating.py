"""Thresholds, curves and calibration, against what anybody can count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_matching import columns, reference, world

from data_engine.metrics.average_precision import draws_of
from data_engine.metrics.matching import match
from data_engine.metrics.operating import Judged, curve, judged_of, reliability, threshold
from data_engine.selection.calibration import calibration_error


def judged(scores, hits, positives=None) -> Judged:
    order = np.argsort(-np.asarray(scores), kind="stable")
    total = [sum(hits) if positives is None else positives]
    return Judged(
        np.zeros(len(scores), np.intp),
        np.asarray(scores, float)[order],
        np.asarray(hits, bool)[order],
        np.array(total, np.int64),
    )


def at(one: Judged, score: float) -> tuple[float, float]:
    """Recall and precision of the boxes from a score on."""
    taken = one.score >= score
    return one.hit[taken].sum() / one.positives.sum(), one.hit[taken].sum() / max(taken.sum(), 1)


@given(seed=st.integers(0, 10_000), wanted=st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]))
@settings(max_examples=60, deadline=None)
def test_it_is_the_highest_score_that_reaches_the_wanted_recall(seed, wanted):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 60))
    scores = random.random(count).astype(np.float16)
    one = judged(scores, random.random(count) < 0.5, positives=int(random.integers(count, 2 * count)))
    found = threshold(one, wanted, None, 0.95)
    best = one.hit.sum() / one.positives.sum()
    if not one.hit.any():
        assert (found.score, found.reached, found.recall.value) == (None, False, 0.0)
        return
    recall, precision = at(one, found.score)
    assert found.reached == (recall >= wanted) == (best >= wanted)
    assert (found.recall.value, found.precision.value) == (pytest.approx(recall), pytest.approx(precision))
    above = one.score[one.score > found.score + 0.0006]
    if len(above) and found.reached:
        # The last box that is needed is left out: what is above it does not reach it.
        assert at(one, float(above.min()) + 0.0006)[0] < wanted
    if not found.reached:
        assert recall == best


def test_a_box_that_was_rounded_up_when_it_was_stored_still_passes():
    exact = 0.8002
    stored = float(np.float16(exact))
    assert stored > exact
    assert threshold(judged([stored, 0.1], [True, False]), 0.9, None, 0.95).score <= exact


def test_a_share_that_is_reached_exactly_is_reached():
    # 0.55 * 100 is a hair more than 55 in floating point.
    one = judged(np.linspace(0.9, 0.1, 100), [True] * 55 + [False] * 45, positives=100)
    found = threshold(one, 0.55, None, 0.95)
    assert (found.reached, found.recall.value) == (True, 0.55)


def test_equal_scores_are_taken_together():
    found = threshold(judged([0.9, 0.5, 0.5, 0.5, 0.2], [True, True, False, True, False]), 0.6, None, 0.95)
    assert (found.recall.value, found.precision.value) == (1.0, 0.75)


def test_without_a_box_there_is_no_threshold():
    found = threshold(judged([0.5], [False], positives=0), 0.9, None, 0.95)
    assert (found.score, found.recall.value, found.precision.value) == (None, None, None)


def test_the_intervals_are_of_the_same_resamples():
    one = Judged(np.array([0, 1, 1, 0]), np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 0], bool), np.array([1, 1]))
    found = threshold(one, 1.0, draws_of(2, 500, 0), 0.9)
    assert (found.score is not None and found.score < 0.8, found.precision.value) == (True, 1.0)
    assert (found.recall.low, found.recall.high) == (1.0, 1.0)
    below = threshold(judged([0.9, 0.3], [False, True]), 1.0, np.ones((10, 1), int), 0.95)
    assert (below.precision.low, below.precision.value, below.precision.high) == (0.5, 0.5, 0.5)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_curve_is_pycocotools_own(seed):
    truth, found = world(seed, classes=2)
    matches = match(truth, *columns(found, 2))
    precision, _recall = reference(truth, found, 2)
    for label in range(2):
        if precision[0, 0, label] >= 0:
            drawn = curve(judged_of(matches, np.arange(len(truth)), label))
            np.testing.assert_allclose(drawn.precision, precision[0, :, label], atol=1e-6)
            reached = np.array(drawn.score) > 0
            assert (np.diff(np.array(drawn.score)[reached]) <= 0).all()


def test_how_sure_is_held_against_how_often_right():
    random = np.random.default_rng(0)
    scores = random.random(4000)
    honest = judged(scores, random.random(4000) < scores)
    boastful = judged(np.sqrt(scores), random.random(4000) < scores)
    good, bad = reliability([honest], 0.05), reliability([boastful], 0.05)
    assert good.error is not None
    assert bad.error is not None
    assert good.error < 0.03 < 0.1 < bad.error
    kept = honest.score >= 0.05
    assert good.error == pytest.approx(calibration_error(honest.score[kept], honest.hit[kept]))
    assert sum(count for _sure, _right, count in good.bins) == good.boxes == int(kept.sum())
    weighted = sum(abs(sure - right) * count for sure, right, count in bad.bins) / bad.boxes
    assert weighted == pytest.approx(bad.error, abs=1e-5)
    assert reliability([], 0.05).error is None
