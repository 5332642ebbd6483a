from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from drawn_frames import frame, kept, look, picks_of, stored, texture
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from data_engine.media.max_gap import MaxGap
from data_engine.media.picking import (
    IntervalPicker,
    KeyframePicker,
    Look,
    Pick,
    Picker,
    SceneChangePicker,
    exact,
)

# --- scene-change -----------------------------------------------------------------------------------------------------


def scene_change(threshold: float = 0.85, min_gap_s: float = 0.0, *, ignore=()) -> SceneChangePicker:
    return SceneChangePicker(threshold, min_gap_s, look_gap_s=0, ignore=ignore)


def test_scene_change_keeps_the_first_frame_of_each_scene():
    scenes = [texture(0)] * 5 + [texture(1)] * 3 + [texture(0)] * 2
    assert kept(scene_change(), scenes) == [0, 5, 8]


def test_a_slow_fade_is_compared_with_the_last_kept_frame_not_the_one_before():
    a, b = texture(0).astype(float), texture(1).astype(float)
    fade = [np.uint8(a + (b - a) * n / 40) for n in range(41)]
    numbers = kept(scene_change(), fade)
    assert len(numbers) > 2
    assert all(later - earlier > 1 for earlier, later in pairwise(numbers))


def test_similarity_at_the_threshold_counts_as_the_same():
    # Two black pictures are equal to the last digit.
    assert kept(scene_change(1.0), [np.zeros((20, 20), np.uint8)] * 2) == [0]


def test_a_kept_frame_comes_with_its_similarity_and_weighs_what_changed():
    first, second = picks_of(scene_change(), [frame(texture(n), n) for n in range(2)])
    assert (first.reason, first.similarity, first.weight) == ("first", None, 1.0)
    expected = structural_similarity(texture(0), texture(1), data_range=255)
    assert second.reason == "changed"
    assert second.similarity == pytest.approx(expected, abs=1e-6)
    assert second.weight == 1.0 - second.similarity


def test_another_size_is_another_scene():
    assert kept(scene_change(), [texture(0), texture(0), texture(0, 120, 160), texture(0, 120, 160)]) == [0, 2]


def test_nobody_looks_inside_the_minimum_gap():
    picker = scene_change(min_gap_s=0.3)
    assert picker.wants(Fraction(0))
    assert picker.pick(look(texture(0), 0))
    assert not picker.wants(Fraction(299, 1000))
    assert picker.wants(Fraction(3, 10))


def test_frames_are_looked_at_only_so_often():
    picker = SceneChangePicker(0.85, look_gap_s=0.2)
    seen = []
    for number in range(31):
        if picker.wants(Fraction(number, 25)):
            picker.pick(look(texture(0), number, 25))
            seen.append(number)
    assert seen == [0, 5, 10, 15, 20, 25, 30]


def test_what_happens_in_an_ignored_part_is_not_seen():
    clock = [texture(0).copy() for _ in range(6)]
    for number, picture in enumerate(clock):
        picture[:60, 100:] = texture(number + 1)[:60, 100:]
    assert len(kept(scene_change(), clock)) == 6
    assert kept(scene_change(ignore=[(100, 0, 92, 60)]), clock) == [0]
    clock[3][80:] = texture(9)[80:]
    assert kept(scene_change(ignore=[(100, 0, 92, 60)]), clock) == [0, 3, 4]


def test_with_all_of_the_picture_ignored_nothing_ever_changes():
    assert kept(scene_change(ignore=[(0, 0, 192, 144)]), [texture(n) for n in range(5)]) == [0]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    region=st.tuples(st.integers(0, 60), st.integers(0, 50), st.integers(1, 40), st.integers(1, 40)),
)
def test_the_similarity_beside_an_ignored_part_is_the_mean_of_the_windows_that_do_not_touch_it(seed, region):
    a = texture(seed, 48, 64)
    b = np.clip(a.astype(int) + np.random.default_rng(seed).integers(-60, 61, a.shape), 0, 255).astype(np.uint8)
    picks = picks_of(scene_change(1.0, ignore=[region]), [frame(a, 0), frame(b, 1)])
    _, full = structural_similarity(a, b, data_range=255, full=True)
    left, top, width, height = region
    ignored = np.zeros(a.shape, bool)
    ignored[top : top + height, left : left + width] = True
    windows = [(y, x) for y in range(3, 45) for x in range(3, 61) if not ignored[y - 3 : y + 4, x - 3 : x + 4].any()]
    expected = np.mean([full[y, x] for y, x in windows])
    assert picks[1].similarity == pytest.approx(expected, abs=1e-6)


# --- interval ---------------------------------------------------------------------------------------------------------


def times_kept(picker: Picker, times: list[Fraction]) -> list[Fraction]:
    """Those of the times at which a frame is kept; what is in the frames is no matter."""
    picture = np.zeros((8, 8), np.uint8)
    chosen = []
    for time in times:
        if picker.wants(time):
            one = frame(picture, time.numerator, time.denominator)
            chosen += [pick.frame.time_s for pick in picker.pick(Look(one))]
    return chosen


def test_interval_keeps_the_first_frame_at_or_after_each_multiple():
    assert times_kept(IntervalPicker(1.0), [Fraction(n, 30) for n in range(61)]) == [0, 1, 2]
    times = [Fraction(n, 10) for n in range(30)]
    assert times_kept(IntervalPicker(0.1), times) == times


@settings(deadline=None)
@given(st.integers(1, 40), st.sampled_from([Fraction(30000, 1001), Fraction(25), Fraction(24000, 1001)]))
def test_an_interval_never_drifts(tenths, rate):
    interval = Fraction(tenths, 10)
    times = [n / rate for n in range(500)]
    chosen = times_kept(IntervalPicker(tenths / 10), times)
    assert chosen == [time for n, time in enumerate(times) if n == 0 or time // interval != times[n - 1] // interval]


def test_after_a_gap_in_the_recording_the_next_frame_is_kept():
    times = [Fraction(0), Fraction(1, 2), Fraction(97, 10), Fraction(99, 10), Fraction(10)]
    assert times_kept(IntervalPicker(1.0), times) == [times[0], times[2], times[4]]


def test_the_minimum_gap_holds_for_intervals_and_keyframes_too():
    seconds = [Fraction(n) for n in range(5)]
    assert times_kept(IntervalPicker(1.0, min_gap_s=1.5), seconds) == [0, 2, 4]
    assert times_kept(KeyframePicker(1.5), seconds) == [0, 2, 4]


def test_every_keyframe_is_kept():
    picks = picks_of(KeyframePicker(), [frame(texture(0), n) for n in range(3)])
    assert [(pick.frame.pts, pick.reason) for pick in picks] == [(0, "first"), (1, "keyframe"), (2, "keyframe")]


# --- max gap ----------------------------------------------------------------------------------------------------------


def test_where_nothing_happens_a_frame_is_kept_each_so_many_seconds():
    picks = picks_of(MaxGap(scene_change(), 1.0), [frame(texture(n >= 24), n) for n in range(48)])
    assert [(pick.frame.pts, pick.reason) for pick in picks] == [
        (0, "first"),
        (10, "max-gap"),
        (20, "max-gap"),
        (24, "changed"),
        (34, "max-gap"),
        (44, "max-gap"),
    ]
    assert [pick.weight for pick in picks if pick.reason == "max-gap"] == [0.0] * 4


def test_the_other_picker_is_not_asked_about_frames_that_it_does_not_want():
    picks = picks_of(MaxGap(IntervalPicker(1.0), 0.3), [frame(texture(0), n) for n in range(21)])
    assert [pick.frame.pts for pick in picks] == [0, 3, 6, 9, 10, 13, 16, 19, 20]
    assert [pick.frame.pts for pick in picks if pick.reason == "interval"] == [10, 20]


def test_the_minimum_gap_holds_after_a_frame_that_was_kept_besides():
    pictures = [texture(n >= 12) for n in range(30)]
    assert kept(MaxGap(scene_change(min_gap_s=0.5), 1.0, 0.5), pictures) == [0, 10, 15, 25]


class Holding:
    """Keeps frames with odd numbers, each one frame late."""

    def __init__(self) -> None:
        self.held = None

    def wants(self, time_s):
        return True

    def pick(self, look):
        picks = self.finish()
        self.held = look.frame if look.frame.pts % 2 else None
        return picks

    @property
    def holds(self):
        return self.held is not None

    def pass_by(self, time_s):
        pass

    def finish(self):
        return () if self.held is None else (Pick(self.held, "odd"),)

    def state(self):
        return None if self.holds else {}

    def restore(self, state):
        self.held = None


def test_no_frame_is_kept_twice_where_a_picker_answers_late():
    picker = MaxGap(Holding(), 0.1)
    numbers = kept(picker, [texture(0)] * 9)
    assert numbers == [1, 3, 5, 7]


class Restless(Holding):
    """Holds each frame, keeps none but what it is told to, and answers one frame late."""

    def __init__(self, keeps: int) -> None:
        super().__init__()
        self.keeps = keeps
        self.seen = []

    def pick(self, look):
        picks = self.finish()
        self.held = look.frame
        self.seen.append(look.frame.pts)
        return picks

    def finish(self):
        return (Pick(self.held, "odd"),) if self.held is not None and self.held.pts in (0, self.keeps) else ()


def test_a_picker_that_always_holds_something_is_waited_for_only_so_long():
    picks = picks_of(MaxGap(Restless(99), 1.0), [frame(texture(0), n) for n in range(60)])
    assert [(pick.frame.pts, pick.reason) for pick in picks] == [(0, "odd"), (20, "max-gap"), (40, "max-gap")]
    # What it answers too late is kept once, and in order of time.
    for keeps in (19, 20, 21):
        numbers = kept(MaxGap(Restless(keeps), 1.0), [texture(0)] * 40)
        assert numbers == sorted(set(numbers))


def test_a_picker_that_wants_every_frame_sees_it_and_what_came_too_soon_is_made_up_for():
    picker = Restless(22)
    picks = picks_of(MaxGap(picker, 1.0, 0.5), [frame(texture(0), n) for n in range(40)])
    assert picker.seen == list(range(40))
    assert [(pick.frame.pts, pick.reason) for pick in picks] == [(0, "odd"), (20, "max-gap"), (35, "odd")]
    assert picks[-1].weight == 1.0


def test_what_is_passed_by_is_over_until_its_turn_comes_again():
    for make, numbers in [
        (lambda: IntervalPicker(1.0), [10, 20, 30]),
        (lambda: MaxGap(IntervalPicker(2.0), 1.0), [10, 20, 30]),
        (lambda: SceneChangePicker(0.85, look_gap_s=0.5), [5, 10, 15, 20, 25, 30, 35]),
    ]:
        picker = make()
        picker.pick(look(texture(0), 0))
        passed = []
        for number in range(1, 40):
            if picker.wants(Fraction(number, 10)):
                picker.pass_by(Fraction(number, 10))
                passed.append(number)
        assert passed == numbers


# --- going on after an interruption -----------------------------------------------------------------------------------

MAKERS: dict[str, Callable[[], Picker]] = {
    "scene-change": lambda: SceneChangePicker(0.85, 0.3, look_gap_s=0.2, ignore=[(0, 0, 30, 20)]),
    "interval": lambda: IntervalPicker(0.7, 0.3),
    "keyframes": lambda: KeyframePicker(0.3),
    "scene-change, max gap": lambda: MaxGap(SceneChangePicker(0.85, 0.3), 0.9, 0.3),
    "interval, max gap": lambda: MaxGap(IntervalPicker(2.0), 0.9, 0.4),
    "keyframes, max gap": lambda: MaxGap(KeyframePicker(0.7), 0.5, 0.6),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_a_picker_goes_on_from_its_state_as_if_nothing_had_come_between(make):
    frames = [frame(texture(number // 7), number, Fraction(30000, 1001)) for number in range(90)]

    def answers(picker: Picker, part: list) -> list[tuple]:
        return [(pick.frame.pts, pick.reason, pick.similarity, pick.weight) for pick in picks_of(picker, part)]

    whole = answers(make(), frames)
    assert len(whole) > 3
    for cut in range(0, 90, 11):
        before = make()
        early = answers(before, frames[:cut])
        after = make()
        after.restore(stored(before.state()))
        assert early + answers(after, frames[cut:]) == whole


def test_numbers_are_taken_as_they_were_typed():
    assert exact(0.1) == Fraction(1, 10)
    assert exact(3) == 3
