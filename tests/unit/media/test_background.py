from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_engine.media.background import Background, seen, without_light

_STILL = np.random.default_rng(0)
SCENE = np.kron(_STILL.integers(60, 180, (12, 16)), np.ones((12, 12))) + _STILL.normal(0, 4, (144, 192))


def luma(picture: np.ndarray, sensor: float = 1.0, seed: int = 1) -> np.ndarray:
    noisy = picture + np.random.default_rng(seed).normal(0, sensor, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def shone_on(light: float | np.ndarray, seed: int = 2) -> np.ndarray:
    return seen(luma(SCENE * light, seed=seed))


def test_a_grey_level_counts_one_in_the_middle_and_more_in_the_dark():
    steps = [seen(np.full((9, 9), level + 1, np.uint8)) - seen(np.full((9, 9), level, np.uint8)) for level in (128, 20)]
    assert steps[0].mean() == pytest.approx(1, rel=0.02)
    assert 2 < steps[1].mean() < 5


@pytest.mark.parametrize("light", [0.6, 0.85, 1.3])
def test_more_or_less_light_is_no_difference(light):
    before = shone_on(1.0, seed=1)
    _, differing = Background(before, 14).compare(shone_on(light))
    assert differing.mean() < 0.001


def test_a_cloud_over_a_part_of_the_picture_is_no_difference():
    across = np.linspace(-1, 1, 192)[None, :]
    cloud = 1 - 0.35 / (1 + np.exp(-6 * across))
    _, differing = Background(shone_on(1.0, seed=1), 14).compare(shone_on(cloud))
    assert differing.mean() < 0.001


def test_what_covers_less_than_a_quarter_of_the_width_is_not_taken_for_light():
    difference = np.zeros((144, 192), np.float32)
    difference[50:80, 60:80] = 40
    assert np.abs(without_light(difference) - difference).max() <= 1
    assert np.abs(without_light(difference + 25) - difference).max() <= 1


def test_a_person_differs_where_it_is():
    changed = SCENE.copy()
    changed[60:84, 90:99] = 15
    difference, differing = Background(shone_on(1.0, seed=1), 14).compare(seen(luma(changed)))
    assert differing[62:82, 92:97].all()
    assert not differing[:56].any()
    assert not differing[:, :86].any()
    assert (difference[62:82, 92:97] < -14).all()


def test_a_picture_moved_by_less_than_a_pixel_is_no_difference():
    shift = np.array([[1, 0, 0.6], [0, 1, -0.5]])
    moved = cv2.warpAffine(SCENE, shift, (192, 144), borderMode=cv2.BORDER_REPLICATE)
    _, differing = Background(shone_on(1.0, seed=1), 14).compare(seen(luma(moved)))
    assert differing.mean() < 0.002


def watched(seconds: float, patch, *, before_s: float = 20.0) -> tuple[Background, np.ndarray]:
    """A scene looked at five times a second in which ``patch(number)`` fills a part from ``before_s`` on."""
    background = Background(shone_on(1.0, seed=0), 14)
    last = shone_on(1.0, seed=0)
    differing = np.zeros(SCENE.shape, np.bool_)
    for number in range(round((before_s + seconds) * 5)):
        picture = SCENE.copy()
        if number >= before_s * 5:
            picture[60:80, 90:110] = patch(number)
        now = seen(luma(picture, seed=number))
        difference, differing = background.compare(now)
        background.watch(differing, now - last, 0.2)
        background.learn(now, difference, differing, 0.2)
        last = now
    return background, differing[60:80, 90:110]


def test_what_rests_differs_for_a_minute_and_is_part_of_the_scene_then():
    background, differing = watched(50, lambda _: 20.0)
    assert differing[2:-2, 2:-2].all()
    assert background.resting(45)[62:78, 92:108].all()
    _, differing = watched(62, lambda _: 20.0)
    assert not differing.any()


def test_who_was_there_when_it_began_is_soon_part_of_the_scene():
    _, differing = watched(5, lambda _: 20.0, before_s=1)
    assert not differing.any()


def test_what_never_rests_no_longer_differs_after_a_while():
    live = np.random.default_rng(3)
    _, at_first = watched(4, lambda _: live.integers(20, 230))
    _, later = watched(90, lambda _: live.integers(20, 230))
    assert at_first.mean() > 0.5
    assert later.mean() < 0.05


def test_it_goes_on_from_its_state():
    background, _ = watched(3, lambda number: 20.0 + number % 7)
    other = Background.restored(background.state(), 14)
    for number in range(5):
        now = shone_on(1.1, seed=number)
        (a, where_a), (b, where_b) = background.compare(now), other.compare(now)
        assert np.array_equal(a, b)
        assert np.array_equal(where_a, where_b)
        for one in (background, other):
            one.watch(where_a, now - shone_on(1.0), 0.2)
            one.learn(now, a, where_a, 0.2)
