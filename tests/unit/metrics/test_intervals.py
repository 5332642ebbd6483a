from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.metrics.intervals import paired_interval

finite = st.floats(-1, 1, allow_nan=False)


def test_against_a_table() -> None:
    """Five values; t(0.975, 4) is 2.776 in any table."""
    found = paired_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    half = 2.776445 * math.sqrt(0.025 / 5)
    assert (found.mean, found.low, found.high) == pytest.approx((0.3, 0.3 - half, 0.3 + half), abs=1e-6)
    assert found.above
    assert not found.below
    assert str(found) == f"+0.300 [{0.3 - half:+.3f}, {0.3 + half:+.3f}]"


def test_one_pair_says_nothing_and_none_is_none() -> None:
    alone = paired_interval([0.2])
    assert alone is not None
    assert (alone.low, alone.high) == (-math.inf, math.inf)
    assert not alone.above
    assert not alone.below
    assert paired_interval([]) is None


def test_equal_differences_have_no_spread() -> None:
    found = paired_interval([-0.25] * 3)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((-0.25, -0.25))
    assert found.below


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    draw = random.Random(3)
    held = 0
    for _ in range(2000):
        found = paired_interval([draw.gauss(0.1, 0.5) for _ in range(5)])
        assert found is not None
        held += found.low <= 0.1 <= found.high
    # Four standard deviations of a binomial of 2000 at 0.95 are 39.
    assert abs(held - 1900) <= 39


@given(st.lists(finite, min_size=2, max_size=9))
def test_an_interval_is_around_its_mean_and_turns_with_the_sign(values: list[float]) -> None:
    found, turned = paired_interval(values), paired_interval([-value for value in values])
    assert found is not None
    assert turned is not None
    assert found.low <= found.mean <= found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("level", [0.0, 1.0, -1])
def test_levels_that_are_none(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        paired_interval([1.0, 2.0], level)
    with pytest.raises(ValueError, match="not finite"):
        paired_interval([1.0, math.nan])
