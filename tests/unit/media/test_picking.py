from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.media.picking import IntervalPicker, Pick, Picker, SceneChangePicker, TilesPicker


def texture(seed: int, height: int = 144, width: int = 192) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def kept(picker: Picker, pictures: Sequence[np.ndarray], rate: Fraction | int = 10) -> list[int]:
    answers = [picker.pick(n / Fraction(rate), lambda p=p: p) for n, p in enumerate(pictures)]
    return [n for n, answer in enumerate(answers) if answer is not None]


def never_look() -> np.ndarray:
    raise AssertionError("nobody should look at this frame")


# --- scene-change -----------------------------------------------------------------------------------------------------


def test_scene_change_keeps_the_first_frame_of_each_scene():
    scenes = [texture(0)] * 5 + [texture(1)] * 3 + [texture(0)] * 2
    assert kept(SceneChangePicker(0.85), scenes) == [0, 5, 8]


def test_a_slow_fade_is_compared_with_the_last_kept_frame_not_the_one_before():
    a, b = texture(0).astype(float), texture(1).astype(float)
    fade = [np.uint8(a + (b - a) * n / 40) for n in range(41)]
    numbers = kept(SceneChangePicker(0.85), fade)
    assert len(numbers) > 2
    assert all(later - earlier > 1 for earlier, later in pairwise(numbers))


def test_similarity_at_the_threshold_counts_as_the_same():
    picker = SceneChangePicker(1.0)
    assert picker.pick(Fraction(0), lambda: np.zeros((20, 20), np.uint8)) == Pick(None)
    # Two black pictures are equal to the last digit.
    assert picker.pick(Fraction(1), lambda: np.zeros((20, 20), np.uint8)) is None


def test_the_similarity_is_kept_with_the_frame():
    picker = SceneChangePicker(0.85)
    assert picker.pick(Fraction(0), lambda: texture(0)) == Pick(None)
    answer = picker.pick(Fraction(1), lambda: texture(1))
    assert answer is not None
    assert answer.similarity == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("picker", [SceneChangePicker(0.85), TilesPicker(0.4, 3.0)])
def test_another_size_is_another_scene(picker):
    assert kept(picker, [texture(0), texture(0), texture(0, 120, 160), texture(0, 120, 160)]) == [0, 2]


def test_nobody_looks_inside_the_minimum_gap():
    picker = SceneChangePicker(0.85, min_gap_s=0.3)
    assert picker.pick(Fraction(0), lambda: texture(0)) == Pick(None)
    assert picker.pick(Fraction(299, 1000), never_look) is None
    assert picker.pick(Fraction(3, 10), lambda: texture(1)) is not None


# --- tiles ------------------------------------------------------------------------------------------------------------


def walk(
    frames: int, *, step: int = 1, people: int = 1, sensor: float = 2.0, light: float = 0.0, seed: int = 0
) -> list[np.ndarray]:
    """A static scene, people of 9 x 24 pixels walking through it (``people=0``: nobody)."""
    still = np.random.default_rng(seed)
    background = np.kron(still.integers(60, 180, (12, 16)), np.ones((12, 12))) + still.normal(0, 4, (144, 192))
    clothes = np.kron(still.integers(10, 240, (6, 3)), np.ones((4, 3)))
    live = np.random.default_rng(seed + 1)
    pictures = []
    for number in range(frames):
        picture = background.copy()
        for person in range(people):
            left = (10 + 40 * person + number * step) % 180
            picture[20 + 25 * person : 44 + 25 * person, left : left + 9] = clothes
        picture = picture * (1 + light * number / frames) + live.normal(0, sensor, picture.shape)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


@pytest.mark.parametrize("light", [0.0, 0.3, -0.3])
@pytest.mark.parametrize("sensor", [1.0, 5.0])
def test_tiles_keep_nothing_of_an_empty_scene(sensor, light):
    assert kept(TilesPicker(0.4, 3.0), walk(150, people=0, sensor=sensor, light=light)) == [0]


def test_tiles_keep_a_walk_that_scene_change_misses():
    pictures = walk(150)
    assert kept(SceneChangePicker(0.85), pictures) == [0]
    assert 5 <= len(kept(TilesPicker(0.4, 3.0), pictures)) <= 30


def test_more_people_are_looked_at_more_often_but_not_in_proportion():
    one, four = (len(kept(TilesPicker(0.4, 3.0), walk(150, people=people))) for people in (1, 4))
    assert one < four < 3 * one


def test_tiles_do_not_depend_on_the_frame_rate():
    slow, fast = (kept(TilesPicker(0.4, 3.0), walk(n, step=s), rate=r) for n, s, r in ((75, 2, 5), (150, 1, 10)))
    assert abs(len(slow) - len(fast)) <= 3


def test_a_flash_of_one_frame_is_not_worth_keeping():
    pictures = walk(100, people=0)
    for number in (30, 50, 70):
        pictures[number] = texture(number)
    assert kept(SceneChangePicker(0.85), pictures) == [0, 30, 31, 50, 51, 70, 71]
    assert kept(TilesPicker(0.4, 3.0), pictures) == [0]


def test_a_new_scene_is_kept_when_it_stays_for_a_second_frame():
    assert kept(TilesPicker(0.4, 3.0), walk(20, people=0) + walk(20, people=0, seed=7)) == [0, 21]


def test_what_came_to_stay_is_kept_once():
    parked = walk(100, people=0)
    for picture in parked[30:]:
        picture[60:90, 60:110] = texture(3)[60:90, 60:110]
    assert len(kept(TilesPicker(0.4, 3.0), parked)) == 2


# --- interval ---------------------------------------------------------------------------------------------------------


def test_interval_keeps_the_first_frame_at_or_after_each_multiple():
    assert kept(IntervalPicker(1.0), [texture(0)] * 61, rate=30) == [0, 30, 60]
    picker = IntervalPicker(0.1)
    times = [Fraction(n, 10) for n in range(30)]
    assert all(picker.pick(time, never_look) is not None for time in times)


@given(st.integers(1, 40), st.sampled_from([Fraction(30000, 1001), Fraction(25), Fraction(24000, 1001)]))
def test_an_interval_never_drifts(tenths, rate):
    picker, interval = IntervalPicker(tenths / 10), Fraction(tenths, 10)
    times = [n / rate for n in range(2000)]
    chosen = [time for time in times if picker.pick(time, never_look)]
    assert chosen == [time for n, time in enumerate(times) if n == 0 or time // interval != times[n - 1] // interval]


def test_after_a_gap_in_the_recording_the_next_frame_is_kept():
    picker = IntervalPicker(1.0)
    times = [Fraction(0), Fraction(1, 2), Fraction(97, 10), Fraction(99, 10), Fraction(10)]
    assert [picker.pick(time, never_look) is not None for time in times] == [True, False, True, False, True]


def test_the_minimum_gap_holds_for_intervals_too():
    picker = IntervalPicker(1.0, min_gap_s=1.5)
    assert [picker.pick(Fraction(n), never_look) is not None for n in range(5)] == [True, False, True, False, True]
