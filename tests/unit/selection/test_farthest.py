from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_engine.selection import farthest
from data_engine.selection.diversity import FarthestFirst, weighted_farthest
from data_engine.selection.farthest import Frontier

NO_SEED = slice(0, 0)


def grid(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Vectors whose products are exact in whatever order they are summed; many are equal."""
    return np.random.default_rng(seed).integers(-3, 4, (count, width)).astype(np.float32) / 8


def unit(count: int, width: int, clusters: int, seed: int) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    found = generator.normal(size=(count, width))
    if clusters:
        found = 0.2 * found + generator.normal(size=(clusters, width))[generator.integers(0, clusters, count)]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def worth(
    vectors: NDArray[np.float32], weights: NDArray[np.float64], chosen: NDArray[np.float32]
) -> NDArray[np.float64]:
    nearest = (vectors @ chosen.T).max(axis=1, initial=-1.0)
    return np.asarray(weights * np.sqrt(np.maximum(2 - 2 * np.round(nearest, 5).astype(np.float64), 0)), np.float64)


def one_by_one(
    vectors: NDArray[np.float32], weights: NDArray[np.float64], seeds: NDArray[np.float32], count: int
) -> list[int]:
    """The definition: every distance each time."""
    chosen: list[int] = []
    for _ in range(min(count, len(vectors))):
        value = worth(vectors, weights, np.concatenate([seeds, vectors[chosen]]))
        value[chosen] = -1
        chosen.append(int(value.argmax()))
    return chosen


@pytest.fixture
def small_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the bounds of many rows are left alone for long."""
    monkeypatch.setattr(farthest, "_FRONT", 24)
    monkeypatch.setattr(farthest, "_BATCH", 4)
    monkeypatch.setattr(farthest, "_CATCH_UP", 5)


@pytest.mark.usefixtures("small_front")
@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 150),
    st.integers(1, 6),
    st.integers(0, 3),
    st.sampled_from(["equal", "drawn", "ties"]),
    st.integers(0, 99),
)
def test_lazy_is_what_computing_everything_gives(count: int, width: int, seeds: int, kind: str, seed: int) -> None:
    vectors = grid(count, width, seed)
    generator = np.random.default_rng(seed)
    weights = {"equal": np.ones(count), "drawn": generator.random(count), "ties": generator.integers(0, 3, count) / 2}
    expected = one_by_one(vectors, weights[kind], vectors[:seeds], count)
    assert weighted_farthest(vectors, weights[kind], vectors[:seeds], count).tolist() == expected
    assert weighted_farthest(vectors.astype(np.float16), weights[kind], vectors[:seeds], count).tolist() == expected


@pytest.mark.parametrize("clusters", [0, 40])
@pytest.mark.parametrize("front", [100, 8192])
def test_always_the_farthest_to_the_last_digit_that_counts(
    clusters: int, front: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farthest, "_FRONT", front)
    vectors = unit(2000, 64, clusters, 3)
    weights = np.random.default_rng(4).random(2000)
    chosen = weighted_farthest(vectors, weights, vectors[NO_SEED], 300)
    assert len(set(chosen.tolist())) == 300
    nearest = np.full(2000, -1.0)
    left = np.ones(2000, np.bool_)
    for row in chosen.tolist():
        cosine = np.round(nearest, 5)
        value = np.where(left, weights * np.sqrt(np.maximum(2 - 2 * cosine, 0)), -1)
        # A cosine at a half of the last digit may go either way, by one unit.
        assert value[row] >= value.max() - 1e-4
        left[row] = False
        nearest = np.maximum(nearest, vectors @ vectors[row])


def test_a_frontier_passes_over_what_is_dropped() -> None:
    vectors = grid(60, 4, 0)
    search = FarthestFirst(vectors, vectors[:2])
    for row in range(0, 60, 2):
        search.drop(row)
    found = []
    while (best := search.next()) is not None:
        found.append(best[0])
        search.add(best[0])
    assert sorted(found) == list(range(1, 60, 2))


def test_equal_vectors_come_in_the_order_of_their_weights() -> None:
    vectors = np.tile(np.array([[1, 0]], np.float32), (5, 1))
    order = weighted_farthest(vectors, np.array([0.2, 0.9, 0.9, 0.0, 0.5]), vectors[NO_SEED], 2)
    assert order.tolist() == [1, 0], "after the first, all of them are worth nothing more, and the first one is first"
    vectors = np.eye(5, dtype=np.float32)
    assert weighted_farthest(vectors, np.array([0.2, 0.9, 0.9, 0.0, 0.5]), vectors[NO_SEED], 5).tolist() == [
        1,
        2,
        4,
        0,
        3,
    ]


def test_more_seeds_than_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farthest, "ROWS_AT_ONCE", 7)
    vectors, seeds = grid(40, 4, 1), grid(30, 4, 2)
    assert weighted_farthest(vectors, np.ones(40), seeds, 40).tolist() == one_by_one(vectors, np.ones(40), seeds, 40)


def test_nothing_to_choose_from() -> None:
    none = np.zeros((0, 3), np.float32)
    assert Frontier(none, none).best() is None
    assert FarthestFirst(none, none).next() is None
    assert weighted_farthest(none, np.zeros(0), none, 5).tolist() == []


def test_weights_that_are_none() -> None:
    vectors = grid(2, 3, 0)
    for weights in (np.ones(3), np.array([1.0, -1.0]), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="at least 0"):
            weighted_farthest(vectors, weights, vectors[NO_SEED], 1)
    with pytest.raises(ValueError, match=r"\(n, d\) and \(k, d\)"):
        weighted_farthest(vectors, np.ones(2), np.zeros((1, 4), np.float32), 1)
