"""What moves before a static camera."""

from __future__ import annotations

import numpy as np
import pytest

from data_engine.media.regions import LEAST_NEIGHBOURS, MOST_NEIGHBOURS, moving_regions, neighbours, reduced_luma

SIZE = (640, 480)


def hall(seed: int = 0) -> np.ndarray:
    """A static scene of 640 x 480 with texture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (24, 32)).repeat(20, axis=0).repeat(20, axis=1)
    return np.repeat(coarse[:, :, None], 3, axis=2).astype(np.uint8)


def with_person(picture: np.ndarray, x: int, y: int, w: int = 40, h: int = 120, shade: int = 250) -> np.ndarray:
    drawn = picture.copy()
    drawn[y : y + h, x : x + w] = shade
    return drawn


def noisy(picture: np.ndarray, seed: int) -> np.ndarray:
    return np.clip(picture + np.random.default_rng(seed).normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def regions(picture: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    return moving_regions(reduced_luma(picture), [reduced_luma(other) for other in others], SIZE)


EMPTY = [noisy(hall(), seed) for seed in range(8)]


def overlap(box: np.ndarray, x: int, y: int, w: int, h: int) -> float:
    wide = min(box[2], x + w) - max(box[0], x)
    high = min(box[3], y + h) - max(box[1], y)
    inner = max(wide, 0) * max(high, 0)
    return inner / ((box[2] - box[0]) * (box[3] - box[1]) + w * h - inner)


def test_what_came_in_is_found_where_it_is_with_its_ends() -> None:
    found = regions(noisy(with_person(hall(), 300, 200), 99), EMPTY)
    assert len(found) == 3
    assert overlap(found[0], 300, 200, 40, 120) > 0.7
    assert overlap(found[1], 300, 200, 40, 40) > 0.6
    assert overlap(found[2], 300, 280, 40, 40) > 0.6


def test_the_most_conspicuous_comes_first() -> None:
    both = with_person(with_person(hall(), 100, 100, 30, 30), 400, 200, 60, 60)
    found = regions(noisy(both, 99), EMPTY)
    assert len(found) == 2
    assert overlap(found[0], 400, 200, 60, 60) > 0.7
    assert overlap(found[1], 100, 100, 30, 30) > 0.5


def test_somebody_in_a_few_of_the_neighbours_leaves_no_ghost() -> None:
    others = [with_person(p, 80 * number, 200) if number % 3 == 0 else p for number, p in enumerate(EMPTY)]
    found = regions(noisy(with_person(hall(), 340, 200), 99), others)
    assert len(found) == 3
    assert overlap(found[0], 340, 200, 40, 120) > 0.7


def test_an_empty_scene_and_a_change_of_light_hold_nothing() -> None:
    assert len(regions(noisy(hall(), 99), EMPTY)) == 0
    assert len(regions(np.clip(noisy(hall(), 99) * 1.15, 0, 255).astype(np.uint8), EMPTY)) == 0


def test_what_never_rests_is_no_event() -> None:
    screens = [with_person(p, 100, 100, 60, 60, shade=[40, 240, 120][number % 3]) for number, p in enumerate(EMPTY)]
    assert len(regions(noisy(with_person(hall(), 100, 100, 60, 60, shade=200), 99), screens)) == 0


def test_a_moving_camera_tells_nothing() -> None:
    panned = [noisy(np.roll(hall(), 37 * number, axis=1), number) for number in range(8)]
    assert len(regions(noisy(np.roll(hall(), 500, axis=1), 99), panned)) == 0


@pytest.mark.parametrize("others", [EMPTY[: LEAST_NEIGHBOURS - 1], [*EMPTY, hall()[:240]]], ids=["few", "sizes"])
def test_without_a_scene_to_compare_with_there_is_nothing(others: list[np.ndarray]) -> None:
    assert regions(with_person(hall(), 300, 200), others).shape == (0, 4)


@pytest.mark.parametrize("count", [1, 4, 5, 6, 9, 24, 25, 26, 100])
def test_neighbours_are_others_of_the_series_around_the_frame(count: int) -> None:
    for position in range(count):
        around = neighbours(position, count)
        assert position not in around
        assert all(0 <= other < count for other in around)
        assert len(around) == len(set(around)) <= MOST_NEIGHBOURS + 1
        assert bool(around) == (count > LEAST_NEIGHBOURS)
        if count == 100:
            assert max(abs(other - position) for other in around) <= 24
