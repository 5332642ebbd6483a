from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.near_duplicates import Hashes, NearDuplicates

hashes = st.integers(0, 2**64 - 1)
# Few bits set, so that many are close to one another.
close_hashes = st.lists(st.integers(0, 63), max_size=4).map(lambda bits: sum({1 << bit for bit in bits}))


@given(st.lists(st.tuples(st.sampled_from(["gate", "yard"]), hashes | close_hashes), max_size=60), st.integers(0, 8))
def test_a_frame_is_kept_when_no_kept_one_of_its_camera_is_near(frames, tolerance):
    near = NearDuplicates(tolerance)
    kept: dict[str, list[int]] = {"gate": [], "yard": []}
    for camera, dhash in frames:
        new = all((dhash ^ other).bit_count() > tolerance for other in kept[camera])
        assert near.add(camera, dhash) is new
        if new:
            kept[camera].append(dhash)


def test_cameras_do_not_know_of_one_another():
    near = NearDuplicates(5)
    assert near.add("gate", 0)
    assert near.add("yard", 0)
    assert not near.add("gate", 31)


def test_a_drift_is_kept_each_time_it_has_come_far_enough():
    near = NearDuplicates(2)
    assert [near.add("gate", (1 << n) - 1) for n in range(7)] == [True, False, False, True, False, False, True]


def test_many_are_remembered():
    near = NearDuplicates(0)
    assert all(near.add("gate", n * 0x9E3779B97F4A7C15 % 2**64) for n in range(1000))
    assert not any(near.add("gate", n * 0x9E3779B97F4A7C15 % 2**64) for n in range(1000))


@pytest.mark.parametrize("tolerance", [-1, 65])
def test_a_tolerance_outside_of_the_hash_is_refused(tolerance):
    with pytest.raises(ValueError, match="0 to 64"):
        NearDuplicates(tolerance)


@pytest.mark.parametrize("tolerance", [0, 2, 4, 5, 64])
def test_many_that_share_a_part_are_compared_all_the_same(tolerance):
    drawn = random.Random(tolerance)
    kept, all_kept = Hashes(tolerance), []
    for _ in range(400):
        # A flat picture: the same bits nearly everywhere.
        dhash = sum(1 << bit for bit in drawn.sample(range(64), drawn.randint(0, 6)))
        near = any((dhash ^ other).bit_count() <= tolerance for other in all_kept)
        assert kept.has_near(dhash) is near
        kept.add(dhash)
        all_kept.append(dhash)
