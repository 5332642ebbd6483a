from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.budget import Places, exploration_places, places, shuffled
from data_engine.selection.diversity import Apart, FarthestFirst, hamming
from data_engine.selection.pool import FramePool
from data_engine.types import content_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def pool_of(
    hashes: Sequence[int], cameras: Sequence[str] | None = None, times_s: Sequence[float] | None = None
) -> FramePool:
    count = len(hashes)
    named = tuple(cameras or ("gate",) * count)
    return FramePool(
        frame_ids=tuple(f"{i:04}" for i in range(count)),
        cameras=named,
        video_ids=tuple(f"video of {camera}" for camera in named),
        times_s=np.arange(count) * 10.0 if times_s is None else np.array(times_s),
        dhashes=np.array(hashes, np.uint64),
    )


def test_hamming_counts_bits() -> None:
    hashes = np.array([0, 1, 3, 2**64 - 1], np.uint64)
    assert hamming(hashes, np.uint64(0)).tolist() == [0, 1, 2, 64]


def test_look_alikes_of_one_camera_only() -> None:
    pool = pool_of([0, 0b11, 0b111, 0], ["a", "a", "a", "b"])
    apart = Apart(pool, tolerance=2, min_gap_s=0)
    apart.add(0)
    assert [apart.looks_new(i) for i in range(4)] == [False, False, True, True]


def test_too_close_in_time() -> None:
    pool = pool_of([0] * 5, times_s=[0.0, 0.4, 0.5, 1.0, float("nan")])
    apart = Apart(pool, tolerance=0, min_gap_s=0.5)
    apart.add(2)
    assert [apart.far_in_time(i) for i in range(5)] == [True, False, False, True, True]


def test_farthest_first_by_hand() -> None:
    angles = np.radians([0, 10, 90, 180, 185])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    search = FarthestFirst(vectors, vectors[:1])
    search.drop(0)
    found = search.next()
    assert found is not None
    assert found[0] == 3
    assert found[1] == pytest.approx(2.0)
    search.add(3)
    found = search.next()
    assert found is not None
    assert found[0] == 2
    assert found[1] == pytest.approx(np.sqrt(2))
    for row in (2, 1, 4):
        search.drop(row)
    assert search.next() is None


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_farthest_first_covers_within_twice_the_best(count: int, seed: int) -> None:
    """Gonzalez: no two of the first k and the farthest other are closer than the covering radius."""
    vectors = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    search = FarthestFirst(vectors, np.zeros((0, 3), np.float32))
    chosen: list[int] = []
    for _ in range(min(5, count - 1)):
        found = search.next()
        assert found is not None
        chosen.append(found[0])
        search.add(found[0])
    among = np.linalg.norm(vectors[chosen][:, None] - vectors[chosen][None], axis=2)
    radius = np.linalg.norm(vectors[:, None] - vectors[chosen][None], axis=2).min(axis=1).max()
    assert (among[np.triu_indices(len(chosen), 1)] >= radius - 1e-2).all()


def test_embeddings_that_are_none() -> None:
    with pytest.raises(ValueError, match=r"\(n, d\) and \(k, d\)"):
        FarthestFirst(np.zeros((2, 3), np.float32), np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match="NaN"):
        FarthestFirst(np.full((2, 3), np.nan, np.float32), np.zeros((0, 3), np.float32))


@pytest.mark.parametrize(
    ("budget", "candidates", "expected"), [(None, 0, 0), (None, 5, 1), (None, 105, 10), (7, 3, 3), (7, 30, 7)]
)
def test_places(budget: int | None, candidates: int, expected: int) -> None:
    assert places(budget, candidates) == expected


def test_exploration_rounds_to_the_nearest() -> None:
    assert [exploration_places(n, 0.1) for n in (0, 1, 4, 5, 14, 100)] == [0, 0, 0, 1, 1, 10]
    assert exploration_places(3, 1.0) == 3


def test_the_order_of_chance_depends_on_ids_only() -> None:
    ten = shuffled(pool_of(range(10)), 0)
    twenty = shuffled(pool_of(range(20)), 0)
    assert [i for i in twenty if i < 10] == ten.tolist()
    assert shuffled(pool_of(range(10)), 1).tolist() != ten.tolist()
    by_id = sorted(range(20), key=lambda row: content_id("shuffle", 3, f"{row:04}"))
    assert shuffled(pool_of(range(20)), 3).tolist() == by_id
    assert shuffled(pool_of([]), 0).tolist() == []


def test_a_camera_exceeds_its_share_only_when_told() -> None:
    pool = pool_of([1 << i for i in range(10)], ["a"] * 8 + ["b"] * 2)
    given_out = Places(pool, Apart(pool, 0, 0), 6, camera_share=0.5)
    assert given_out.fill(range(10)) == [0, 1, 2, 8, 9]
    assert given_out.free == 1
    assert given_out.fill(range(10), over_quota=True) == [3]
    assert given_out.fill(range(10), over_quota=True) == []


def test_a_small_share_is_at_least_an_equal_one() -> None:
    pool = pool_of([1 << i for i in range(8)], ["a"] * 4 + ["b"] * 4)
    assert Places(pool, Apart(pool, 0, 0), 4, camera_share=0.1).fill(range(8)) == [0, 1, 4, 5]


def test_look_alikes_come_in_only_when_told() -> None:
    pool = pool_of([0, 0, 0], times_s=[0.0, 0.2, 5.0])
    given_out = Places(pool, Apart(pool, 2, 0.5), 3, camera_share=0.5)
    assert given_out.fill(range(3)) == [0]
    assert given_out.fill(range(3), similar=True) == [2], "never closer in time than the gap"


hashes = st.integers(0, 2**64 - 1)
# Few bits set, so that many are close to one another.
close_hashes = st.lists(st.integers(0, 63), max_size=4).map(lambda bits: sum({1 << bit for bit in bits}))


@given(
    st.lists(st.tuples(st.sampled_from("ab"), hashes | close_hashes, st.integers(0, 8)), min_size=1, max_size=60),
    st.integers(0, 8),
)
def test_places_are_given_as_if_all_chosen_were_compared(frames: list[tuple[str, int, int]], tolerance: int) -> None:
    cameras, dhashes, times = zip(*frames, strict=True)
    pool = pool_of(dhashes, cameras, [float(time) for time in times])
    expected: list[int] = []
    for row in range(len(pool)):
        mates = [other for other in expected if pool.cameras[other] == pool.cameras[row]]
        near = [(int(pool.dhashes[row]) ^ int(pool.dhashes[other])).bit_count() <= tolerance for other in mates]
        soon = [abs(pool.times_s[row] - pool.times_s[other]) < 2.0 for other in mates]
        if not any(near) and not any(soon):
            expected.append(row)
    assert Places(pool, Apart(pool, tolerance, 2.0), len(pool), 1.0).fill(range(len(pool))) == expected


def test_embeddings_tell_look_alikes_that_hashes_do_not() -> None:
    pool = pool_of([1, 2, 4, 8], ["a", "a", "a", "b"])
    vectors = np.array([[1, 0], [0.96, 0.28], [0, 1], [1, 0]], np.float16)
    apart = Apart(pool, 0, 0, vectors=vectors, likeness=0.9)
    apart.add(0)
    assert [apart.looks_new(row) for row in range(4)] == [False, False, True, True]
    for row in range(40):
        apart.add(2 if row % 2 else 0)
    assert not apart.looks_new(2)
    off = Apart(pool, 0, 0, vectors=vectors)
    off.add(0)
    assert off.looks_new(1)
