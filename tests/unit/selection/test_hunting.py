"""Hunting by example, on vectors that are made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.selection.hunting import Examples, Hunted, Hunter, Typical, best_crops, ranked

WIDTH = 40


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def crops(rng: np.random.Generator, count: int, thing: int | None = None) -> np.ndarray:
    """Typical crops differ much in a few directions; one with a thing differs by a little in another one, too."""
    vectors = rng.normal(size=(count, WIDTH)) * np.where(np.arange(WIDTH) < 5, 1.0, 0.05) + 2.0 / WIDTH
    if thing is not None:
        vectors[:, 20 + thing] += 1.2
    return unit(vectors)


def examples(*vectors: np.ndarray, kinds: tuple[str, ...] | None = None) -> Examples:
    names = tuple(f"example {number}" for number in range(len(vectors)))
    return Examples(names, kinds or ("kind",) * len(vectors), np.stack(vectors), np.arange(len(vectors)))


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    found = truth[np.argsort(-score, kind="stable")]
    return float((np.cumsum(found) / np.arange(1, len(found) + 1))[found].mean())


def test_it_finds_what_plain_cosines_do_not() -> None:
    rng = np.random.default_rng(0)
    background, things = crops(rng, 950), crops(rng, 50, thing=0)
    pool, truth = np.concatenate([background, things]), np.arange(1000) >= 950
    shown = crops(rng, 6, thing=0)
    typical = Typical(WIDTH)
    typical.add(pool[:300])
    typical.add(pool[300:])
    assert typical.count == 1000
    hunted = average_precision(truth, Hunter(typical, examples(*shown)).likeness(pool))
    assert hunted > 0.9
    assert average_precision(truth, (pool @ shown.T).max(axis=1)) < 0.5


def test_things_of_different_kinds_are_found_by_one_hunt() -> None:
    rng = np.random.default_rng(1)
    pool = np.concatenate([crops(rng, 900), crops(rng, 50, thing=0), crops(rng, 50, thing=7)])
    typical = Typical(WIDTH)
    typical.add(pool)
    shown = [*crops(rng, 5, thing=0), *crops(rng, 5, thing=7)]
    hunter = Hunter(typical, examples(*shown, kinds=("a",) * 5 + ("b",) * 5))
    alike = hunter.likeness(pool)
    assert average_precision(np.arange(1000) >= 900, alike) > 0.9
    nearest = hunter.nearest(pool[900:])
    assert (nearest[:50] < 5).mean() > 0.9
    assert (nearest[50:] >= 5).mean() > 0.9
    assert (np.abs(alike) <= 1.0 + 1e-5).all()


def test_an_example_among_the_crops_is_the_best_of_all() -> None:
    rng = np.random.default_rng(2)
    pool = crops(rng, 200)
    typical = Typical(WIDTH)
    typical.add(pool)
    alike = Hunter(typical, examples(pool[17])).likeness(pool)
    assert alike.argmax() == 17
    assert alike[17] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_hardly_any_crop_it_compares_all_the_same(count: int) -> None:
    pool = crops(np.random.default_rng(3), count)
    typical = Typical(WIDTH)
    typical.add(pool)
    hunter = Hunter(typical, examples(crops(np.random.default_rng(4), 1)[0]))
    assert np.isfinite(hunter.likeness(pool)).all()
    assert len(hunter.likeness(pool)) == count


def test_equal_crops_do_not_divide_by_zero() -> None:
    pool = np.repeat(crops(np.random.default_rng(5), 1), 10, axis=0)
    typical = Typical(WIDTH)
    typical.add(pool)
    assert np.isfinite(Hunter(typical, examples(pool[0])).likeness(pool)).all()


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 1000))
def test_the_best_crop_of_each_frame(counts: list[int], seed: int) -> None:
    offsets = np.cumsum([0, *counts])
    alike = np.random.default_rng(seed).integers(0, 4, offsets[-1]).astype(np.float32)
    best = best_crops(alike, offsets)
    for frame, row in enumerate(best.tolist()):
        own = alike[offsets[frame] : offsets[frame + 1]]
        assert row == (offsets[frame] + own.argmax() if len(own) else -1)


def test_ranks_are_shares_of_the_pool_and_nothing_is_nothing() -> None:
    assert ranked(np.array([0.5, -0.1, np.nan, 0.9, 0.5])).tolist() == [0.8, 0.0, 0.0, 1.0, 0.8]
    assert ranked(np.zeros(3)).tolist() == [0.0] * 3
    assert ranked(np.zeros(0)).tolist() == []


def test_a_frame_says_what_it_looks_like_and_where() -> None:
    hunted = Hunted(
        ("a", "b"),
        np.array([1.0, 0.0]),
        np.array([[400, 90, 425, 103], [np.nan] * 4], np.float32),
        np.array([1, -1]),
        ("gate.jpg 1,2,3,4", "no-helmet in hall.jpg"),
    )
    assert hunted.reason(0) == "like: no-helmet in hall.jpg at 412,96"
    assert hunted.reason(1) == "like: nothing that is hunted"


def test_examples_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 names and 1 kinds"):
        Examples(("a", "b"), ("k",), np.ones((2, 3), np.float32), np.arange(2))
    with pytest.raises(ValueError, match="0 views"):
        Examples((), (), np.zeros((0, 3), np.float32), np.zeros(0, np.int64))
