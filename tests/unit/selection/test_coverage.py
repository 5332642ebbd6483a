from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.selection.coverage import SCALES_S, choose, rank


def closeness(times: np.ndarray, scales=SCALES_S) -> np.ndarray:
    distances = np.abs(times[:, None] - times)
    return np.mean([np.exp(-distances / scale) for scale in scales], axis=0)


def added(times: np.ndarray, weights: np.ndarray, covered: np.ndarray, scales=SCALES_S) -> np.ndarray:
    """What each candidate adds, by comparing it with every other."""
    return (weights * np.maximum(closeness(times, scales) - covered, 0)).sum(axis=1)


times_of_videos = st.one_of(
    st.lists(st.integers(0, 15).map(float), max_size=14),
    st.lists(st.floats(0, 100_000), max_size=14),
    st.lists(st.floats(0, 5), max_size=14),
)
weight = st.one_of(st.sampled_from([0.0, 1.0, 2.0]), st.floats(1e-4, 1e4))


@st.composite
def candidates(draw):
    times = np.array(draw(times_of_videos))
    return times, np.array(draw(st.lists(weight, min_size=len(times), max_size=len(times))), float)


@settings(max_examples=300, deadline=None)
@given(candidates(), st.sampled_from([SCALES_S, (10.0,), (0.5, 30.0)]))
def test_each_frame_adds_most_beside_those_before_it(given_candidates, scales):
    """The definition of the greedy order, by comparing every pair of candidates at every step."""
    times, weights = given_candidates
    order, gains = rank(times, weights, scales_s=scales)
    assert sorted(order) == list(range(len(times)))
    tolerance = 1e-8 * max(weights, default=0)
    covered = np.zeros(len(times))
    left = set(range(len(times)))
    for chosen, gain in zip(order, gains, strict=True):
        now = added(times, weights, covered, scales)
        assert gain == pytest.approx(now[chosen], abs=tolerance)
        assert now[chosen] >= max(now[other] for other in left) - tolerance
        left.remove(chosen)
        covered = np.maximum(covered, closeness(times, scales)[chosen])


@settings(max_examples=200, deadline=None)
@given(candidates())
def test_what_frames_add_never_rises_and_the_weightless_come_last(given_candidates):
    times, weights = given_candidates
    order, gains = rank(times, weights)
    assert (np.diff(gains) <= 0).all()
    assert (gains >= 0).all()
    # Frames at nearly one time, and weights that are nothing beside the largest, may have nothing to add.
    small = weights[weights > 0].min(initial=np.inf) < 1e-5 * weights.max(initial=0)
    if (np.diff(np.sort(times)) > 1e-3).all() and not small:
        assert (weights[order[: np.count_nonzero(weights)]] > 0).all()


@settings(max_examples=200, deadline=None)
@given(candidates(), st.randoms())
def test_the_order_in_which_candidates_are_given_decides_nothing(given_candidates, random):
    times, weights = given_candidates
    shuffled = list(range(len(times)))
    random.shuffle(shuffled)
    order, gains = rank(times, weights)
    other, other_gains = rank(times[shuffled], weights[shuffled])
    assert np.array_equal(times[order], times[shuffled][other])
    assert np.array_equal(weights[order], weights[shuffled][other])
    assert np.array_equal(gains, other_gains)


def test_equal_frames_are_spread_evenly():
    times = np.arange(3000) * 1.7
    order, _ = rank(times, np.ones(3000))
    for count in (4, 10, 50, 200):
        gaps = np.diff(np.concatenate([[0], np.sort(times[order[:count]]), [times[-1]]]))
        assert gaps.max() < 2.1 * times[-1] / count


def test_of_frames_that_add_the_same_the_earlier_is_first():
    assert rank([0, 1, 2, 3, 4], np.ones(5))[0].tolist() == [2, 0, 3, 1, 4]


def test_every_burst_of_activity_gets_a_frame_before_one_gets_two():
    random = np.random.default_rng(5)
    starts = np.arange(30) * 50 + random.uniform(0, 20, 30)
    lengths = random.uniform(1, 4, 30)
    times = np.concatenate(
        [np.arange(start, start + length, 0.2) for start, length in zip(starts, lengths, strict=True)]
    )
    bursts = np.repeat(np.arange(30), [len(np.arange(s, s + n, 0.2)) for s, n in zip(starts, lengths, strict=True)])
    quiet = np.setdiff1d(np.arange(0, 1500, 5.0), times)
    all_times = np.concatenate([times, quiet])
    weights = np.concatenate([random.uniform(0.5, 2, len(times)), np.zeros(len(quiet))])
    order, _ = rank(all_times, weights)
    assert sorted(bursts[order[:30]]) == list(range(30))
    assert set(order[len(times) :]) == set(range(len(times), len(all_times)))


def test_frames_without_weight_are_spread_between_the_others():
    times = np.arange(101.0)
    weights = np.zeros(101)
    weights[0] = 3.0
    order, gains = rank(times, weights)
    assert order[0] == 0
    assert gains.tolist() == [3.0] + [0.0] * 100
    gaps = np.diff(np.sort(np.append(times[order[:9]], 100)))
    assert gaps.max() <= 26


def test_a_longer_stretch_without_weight_gets_several_frames_before_a_short_one_gets_its_first():
    times = np.array([9.5, 10.0, *range(11, 500)])
    weights = (times == 10).astype(float)
    order, _ = rank(times, weights)
    assert times[order[0]] == 10
    assert 9.5 not in times[order[:20]]


def test_nothing_and_one():
    order, gains = rank([], [])
    assert (len(order), len(gains)) == (0, 0)
    order, gains = rank([7.5], [0.25])
    assert (order.tolist(), gains.tolist()) == ([0], [0.25])


@pytest.mark.parametrize(
    ("times", "weights", "scales"),
    [
        ([0, 1], [1], SCALES_S),
        ([[0]], [[1]], SCALES_S),
        ([0, np.nan], [1, 1], SCALES_S),
        ([0, 1], [1, np.inf], SCALES_S),
        ([0, 1], [1, -1], SCALES_S),
        ([0], [1], ()),
        ([0], [1], (0.0,)),
    ],
)
def test_what_cannot_be_ranked_is_refused(times, weights, scales):
    with pytest.raises(ValueError, match="must be"):
        rank(times, weights, scales_s=scales)


# --- several videos ---------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(candidates(), max_size=4), st.integers(-1, 30))
def test_a_budget_takes_what_adds_most_over_all_videos(videos, budget):
    gains = [rank(*video)[1] for video in videos]
    counts = choose(gains, budget)
    assert sum(counts) == min(max(budget, 0), sum(len(row) for row in gains))
    assert all(count <= len(row) for count, row in zip(counts, gains, strict=True))
    taken = [gain for count, row in zip(counts, gains, strict=True) for gain in row[:count]]
    left = [gain for count, row in zip(counts, gains, strict=True) for gain in row[count:]]
    assert not left or not taken or min(taken) >= max(left)


def test_of_frames_that_add_the_same_videos_take_turns():
    assert choose([[2.0, 0, 0, 0], [0, 0, 0], [5.0, 1.0, 0, 0]], 7) == [3, 2, 2]
    assert choose([[0.0] * 5, [0.0] * 5], 5) == [3, 2]
    assert choose([], 5) == []


def test_gains_that_rise_are_refused():
    with pytest.raises(ValueError, match="must not rise"):
        choose([[1.0, 2.0]], 1)
