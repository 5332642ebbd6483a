from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawn_frames import frame, kept, look, picks_of, stored, texture
from hypothesis import given, settings
from hypothesis import strategies as st

from data_engine.media.frame import DecodedFrame
from data_engine.media.picking import Look, Pick, SceneChangePicker
from data_engine.media.tiles import TilesPicker

RATE = 10
WIDTH, HEIGHT = 192, 144
_STILL = np.random.default_rng(0)
BACKGROUND = np.kron(_STILL.integers(60, 180, (12, 16)), np.ones((12, 12))) + _STILL.normal(0, 4, (HEIGHT, WIDTH))
CLOTHES = np.kron(np.random.default_rng(1).integers(10, 240, (6, 3)), np.ones((4, 3)))


class Footage:
    """A static scene, 192 x 144 pixels, 10 frames a second, into which things are drawn."""

    def __init__(self, seconds: float, *, sensor: float = 2.0, seed: int = 0, background: np.ndarray = BACKGROUND):
        self.pictures = np.repeat(background[None], round(seconds * RATE), axis=0).astype(np.float32)
        self._sensor, self._seed = sensor, seed

    def walker(self, start_s: float, end_s: float, left: float, top: int, speed: float = 10.0) -> Footage:
        """A person of 9 x 24 pixels, with so many pixels a second to the right; may be partly outside."""
        for number in range(round(start_s * RATE), min(len(self.pictures), round(end_s * RATE))):
            at = round(left + speed * (number / RATE - start_s))
            inside = slice(max(0, -at), max(0, min(9, WIDTH - at)))
            self.pictures[number, top : top + 24, max(0, at) : max(0, at + 9)] = CLOTHES[:, inside]
        return self

    def drawn(self) -> list[np.ndarray]:
        live = np.random.default_rng(self._seed)
        noise = (self._sensor * live.standard_normal(BACKGROUND.shape, np.float32) for _ in self.pictures)
        return [np.clip(p + n, 0, 255).astype(np.uint8) for p, n in zip(self.pictures, noise, strict=True)]


def within(numbers: Iterable[int], start_s: float, end_s: float) -> list[int]:
    return [n for n in numbers if start_s * RATE <= n < end_s * RATE]


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("light", [0.0, 0.3, -0.3])
@pytest.mark.parametrize("sensor", [1.0, 5.0])
def test_nothing_of_an_empty_scene_is_kept_but_its_first_frame(sensor, light):
    footage = Footage(30, sensor=sensor)
    footage.pictures *= (1 + light * np.sin(np.arange(300) / 20))[:, None, None]
    assert kept(TilesPicker(), footage.drawn()) == [0]


def test_a_walk_that_scene_change_misses_is_kept():
    pictures = Footage(12).walker(4, 8, 30, 60).drawn()
    assert kept(SceneChangePicker(0.85), pictures) == [0]
    numbers = kept(TilesPicker(), pictures)
    assert len(within(numbers, 4, 8)) == len(numbers) - 1
    assert within(numbers, 4, 5)
    assert len(numbers) <= 6


@pytest.mark.parametrize("length_s", [1.0, 1.5, 4.0])
@pytest.mark.parametrize("start_s", [5.0, 5.1, 5.2, 5.3])
def test_a_short_appearance_is_kept_whenever_it_comes(start_s, length_s):
    numbers = kept(TilesPicker(), Footage(12).walker(start_s, start_s + length_s, 60, 40).drawn())
    assert within(numbers, start_s, start_s + length_s)


def test_everybody_who_comes_is_kept_however_many_walk_about_already():
    footage = Footage(20)
    starts_s = [3.0, 5.0, 6.4, 8.0, 9.7]
    for n, start_s in enumerate(starts_s):
        footage.walker(start_s, 20, 10 + 35 * n, 5 + 27 * n, speed=2)
    picks = picks_of(TilesPicker(), [frame(p, n) for n, p in enumerate(footage.drawn())])
    for start_s in starts_s:
        soon = [pick for pick in picks if start_s <= pick.frame.time_s <= start_s + 1]
        assert any(pick.weight > 0.3 for pick in soon)


def test_who_comes_in_at_the_border_is_kept_when_he_is_all_in():
    footage = Footage(12).walker(4, 9, -9, 60, speed=14)
    number = within(kept(TilesPicker(), footage.drawn()), 1, 12)[0]
    # From 9 pixels on all of the person is inside.
    assert 9 <= 14 * (number / RATE - 4) <= 20


def test_who_stays_is_kept_now_and_not_again_and_leaves_no_trace():
    footage = Footage(60).walker(15, 50, 60, 60, speed=0)
    numbers = kept(TilesPicker(), footage.drawn())
    assert len(within(numbers, 15, 50)) == len(numbers) - 1 == 1


def test_what_parks_becomes_part_of_the_scene():
    # It covers a tenth of the picture and rests: another view of the place.
    footage = Footage(40)
    footage.pictures[100:, 40:90, 50:110] = texture(3)[40:90, 50:110]
    numbers = kept(TilesPicker(), footage.drawn())
    assert numbers[0] == 0
    assert 1 <= len(numbers[1:]) <= 2
    assert all(100 <= number <= 125 for number in numbers[1:])
    # Whoever walks before it is seen as anywhere else.
    walking = footage.walker(30, 33, 60, 50).drawn()
    assert within(kept(TilesPicker(), walking), 30, 33)


# --- what is not kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_flashes_are_not_kept(frames):
    footage = Footage(30)
    for start in (50, 101, 152, 203):
        footage.pictures[start : start + frames] = footage.pictures[start : start + frames] * 1.5 + 60
    for start in (75, 126, 177):
        footage.pictures[start : start + frames] = texture(start)
    assert kept(TilesPicker(), footage.drawn()) == [0]


def test_who_comes_while_it_flashes_is_not_lost():
    footage = Footage(12).walker(5, 6.5, 60, 60)
    footage.pictures[50:53] = texture(1)
    assert within(kept(TilesPicker(), footage.drawn()), 5.3, 6.5)


def test_a_spark_is_not_kept():
    footage = Footage(12).walker(5, 5.3, 60, 60, speed=0)
    assert kept(TilesPicker(), footage.drawn()) == [0]


def test_another_view_is_kept_once_and_people_are_seen_soon_after():
    infrared = 255 - 0.8 * np.roll(BACKGROUND, 12, axis=1)
    footage = Footage(30)
    # The exposure settles over a second.
    exposure = 1 + np.exp(-np.arange(200) / 4)
    footage.pictures[100:] = infrared * exposure[:, None, None]
    numbers = kept(TilesPicker(), footage.drawn())
    assert len(numbers) == 2
    assert 100 < numbers[1] <= 125
    assert within(kept(TilesPicker(), footage.walker(14, 15, 60, 60).drawn()), 14, 15)


def clock(pictures: np.ndarray) -> None:
    for number, picture in enumerate(pictures):
        seconds = 12 * 3600 + 34 * 60 + number // RATE
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        digits = cv2.putText(np.zeros((HEIGHT, WIDTH), np.uint8), text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        picture[digits > 0] = 235


def test_a_clock_is_learnt_and_who_walks_behind_it_is_kept():
    footage = Footage(90)
    footage.walker(82, 85, 20, 2)
    clock(footage.pictures)
    numbers = kept(TilesPicker(), footage.drawn())
    assert within(numbers, 82, 85)
    assert len(within(numbers, 0, 60)) <= 3
    assert within(numbers, 60, 82) == within(numbers, 86, 90) == []


def test_what_happens_in_an_ignored_part_is_not_seen():
    footage = Footage(20).walker(4, 8, 20, 10).walker(12, 15, 60, 100)
    numbers = kept(TilesPicker(ignore=[(0, 0, 192, 50)]), footage.drawn())
    assert within(numbers, 0.1, 12) == []
    assert within(numbers, 12, 15)
    assert kept(TilesPicker(ignore=[(0, 0, 192, 144)]), footage.drawn()) == [0]


def test_what_flickers_all_the_time_is_learnt_and_people_beside_it_are_kept():
    footage = Footage(90)
    live = np.random.default_rng(5)
    for picture in footage.pictures:
        picture[20:36, 20:40] = np.kron(live.integers(20, 230, (4, 5)), np.ones((4, 4)))
    footage.walker(82, 84, 100, 60)
    numbers = kept(TilesPicker(), footage.drawn())
    assert within(numbers, 82, 84)
    assert within(numbers, 60, 82) == within(numbers, 86, 90) == []


def test_a_trembling_camera_keeps_nothing():
    footage = Footage(60)
    live = np.random.default_rng(2)
    for picture in footage.pictures:
        shift = np.array([[1, 0, live.normal(0, 0.5)], [0, 1, live.normal(0, 0.5)]])
        picture[:] = cv2.warpAffine(picture, shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    assert kept(TilesPicker(), footage.drawn()) == [0]


# --- options ----------------------------------------------------------------------------------------------------------


def test_faint_and_small_things_are_a_matter_of_the_options():
    footage = Footage(12, sensor=1.0)
    footage.pictures[40:80, 60:84, 90:99] += 14
    faint = footage.drawn()
    assert kept(TilesPicker(contrast=25), faint) == [0]
    assert within(kept(TilesPicker(contrast=8), faint), 4, 8)
    small = Footage(12).walker(4, 8, 60, 60, speed=0).drawn()
    assert kept(TilesPicker(area=0.02), small) == [0]
    assert within(kept(TilesPicker(area=0.002), small), 4, 8)


def test_known_things_are_kept_again_as_often_as_told():
    pictures = Footage(30).walker(3, 30, 5, 60, speed=6).drawn()
    often, seldom = (len(kept(TilesPicker(again_s=seconds), pictures)) for seconds in (1.0, 5.0))
    assert 15 <= often <= 28
    assert 5 <= seldom <= 8


@pytest.mark.parametrize("gap_s", [0.5, 2.0])
def test_the_minimum_gap_holds(gap_s):
    footage = Footage(20)
    for n, start_s in enumerate((3.0, 3.7, 4.1, 6.0, 9.0)):
        footage.walker(start_s, 20, 10 + 20 * n, 5 + 27 * n, speed=5)
    picks = picks_of(TilesPicker(min_gap_s=gap_s), [frame(p, n) for n, p in enumerate(footage.drawn())])
    times = [pick.frame.time_s for pick in picks]
    assert len(times) >= 4
    assert all(later - earlier >= Fraction(gap_s) for earlier, later in pairwise(times))
    # Who came inside the gap is kept after it.
    assert any(9 <= time <= 9 + gap_s + 1 for time in times)


def test_another_view_inside_the_minimum_gap_is_kept_after_it():
    footage = Footage(20)
    footage.pictures[30:] = np.roll(BACKGROUND, 50, axis=1)[::-1]
    assert len(kept(TilesPicker(min_gap_s=6), footage.drawn())) == 2
    assert kept(TilesPicker(min_gap_s=6), footage.drawn())[1] >= 60


def test_something_new_weighs_more_than_something_that_moved():
    footage = Footage(20).walker(3, 12, 5, 60).walker(14, 16, 60, 60).walker(14, 16, 120, 20)
    picks = picks_of(TilesPicker(), [frame(p, n) for n, p in enumerate(footage.drawn())])
    first, came, *_ = picks
    moved = [pick.weight for pick in picks if 4 < pick.frame.time_s < 12]
    two = [pick.weight for pick in picks if 14 <= pick.frame.time_s < 15]
    assert first.reason == "first"
    assert {pick.reason for pick in picks[1:]} == {"changed"}
    assert all(0 < weight < came.weight / 2 for weight in moved)
    assert came.weight < max(two)


# --- any video --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1, 2, Fraction(30000, 1001), 60])
def test_the_frame_rate_does_not_matter(rate):
    footage = Footage(40).walker(10, 14, 30, 20, speed=12).walker(25, 29, 60, 90, speed=12)
    pictures = footage.drawn()
    numbers = range(int(39 * rate))
    frames = [frame(pictures[int(n / rate * RATE)], n, rate) for n in numbers]
    times = [pick.frame.time_s for pick in picks_of(TilesPicker(), frames)]
    assert any(10 <= time <= 14 for time in times)
    assert any(25 <= time <= 29 for time in times)
    assert all(time == 0 or 10 <= time <= 14.1 or 25 <= time <= 29.1 for time in times)


def test_times_that_come_unevenly_do_not_matter():
    pictures = Footage(60).walker(20, 23, 30, 20).walker(50, 52, 60, 90).drawn()
    live = np.random.default_rng(1)
    numbers = np.unique(np.cumsum(live.choice([1, 1, 2, 3, 4], 400)))
    # Nothing was recorded for ten seconds.
    frames = [frame(pictures[n], int(n)) for n in numbers if n < 600 and not 300 <= n < 400]
    times = [pick.frame.time_s for pick in picks_of(TilesPicker(), frames)]
    assert any(20 <= time < 23 for time in times)
    assert any(50 <= time < 52 for time in times)
    assert len(times) <= 8


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 400), (400, 16), (64, 48), (720, 576)])
def test_any_size_will_do(width, height):
    small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in Footage(6).drawn()]
    assert kept(TilesPicker(), small) == [0]
    for picture in small[30:]:
        picture[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] ^= 128
    assert len(kept(TilesPicker(), small)) >= 2


def test_a_single_pixel_will_do():
    assert kept(TilesPicker(), [np.full((1, 1), level, np.uint8) for level in range(0, 256, 5)]) == [0]


def test_another_size_is_another_scene():
    pictures = [*Footage(3).drawn(), *(p[:120, :160] for p in Footage(3).drawn())]
    assert kept(TilesPicker(), pictures) == [0, 30]


def test_what_ends_with_the_video_is_kept():
    numbers = kept(TilesPicker(), Footage(10).walker(9.4, 10, 60, 60).drawn())
    assert within(numbers, 9.4, 10)


def test_frames_are_looked_at_only_so_often():
    picker = TilesPicker()
    seen = []
    for number in range(31):
        if picker.wants(Fraction(number, 25)):
            picker.pick(look(texture(0), number, 25))
            seen.append(number)
    assert seen == [0, 5, 10, 15, 20, 25, 30]


# --- going on from a state --------------------------------------------------------------------------------------------


def busy() -> list[DecodedFrame]:
    footage = Footage(24).walker(3, 6, 20, 20).walker(4.5, 9, 60, 60).walker(15, 24, 90, 100, speed=4)
    footage.pictures[70] = texture(1)
    footage.pictures[110:] = np.roll(footage.pictures[110:], 40, axis=2)
    clock(footage.pictures)
    return [frame(p, n) for n, p in enumerate(footage.drawn())]


BUSY = busy()


def told(picks: Sequence[Pick]) -> list[tuple[int, str, float]]:
    return [(pick.frame.pts, pick.reason, pick.weight) for pick in picks]


@settings(max_examples=8, deadline=None)
@given(stops=st.lists(st.integers(0, len(BUSY)), max_size=4), gap_s=st.sampled_from([0.0, 0.7]))
def test_it_goes_on_from_its_state_as_if_nothing_had_come_between(stops, gap_s):
    def make() -> TilesPicker:
        return TilesPicker(min_gap_s=gap_s, ignore=[(0, 0, 80, 20)])

    whole = told(picks_of(make(), BUSY))
    picker, picks, due = make(), [], False
    for number, one in enumerate(BUSY):
        due |= number in stops
        state = picker.state() if due else None
        if state is not None:
            picker, due = make(), False
            picker.restore(stored(state))
        if picker.wants(one.time_s):
            picks += picker.pick(Look(one))
    assert told([*picks, *picker.finish()]) == whole
    assert len(whole) > 5


def test_a_state_is_to_be_had_every_second_whatever_goes_on():
    picker, waited = TilesPicker(), 0
    footage = Footage(30)
    live = np.random.default_rng(0)
    for start_s in np.arange(2, 28, 0.3):
        footage.walker(start_s, start_s + 2, live.uniform(0, 150), int(live.integers(0, 110)), speed=20)
    for number, picture in enumerate(footage.drawn()):
        one = frame(picture, number)
        if picker.wants(one.time_s):
            picker.pick(Look(one))
        waited = 0 if picker.state() is not None else waited + 1
        assert waited <= 1.2 * RATE


def test_a_state_does_not_change_when_its_picker_goes_on():
    picker = TilesPicker()
    for one in BUSY[:30]:
        if picker.wants(one.time_s):
            picker.pick(Look(one))
    state = picker.state()
    assert state is not None
    before = {name: values.copy() for name, values in state.items()}
    assert sum(values.nbytes for values in state.values()) < 40 * WIDTH * HEIGHT
    for one in BUSY[30:]:
        if picker.wants(one.time_s):
            picker.pick(Look(one))
    assert all(np.array_equal(values, before[name]) for name, values in state.items())
