from __future__ import annotations

import itertools
from fractions import Fraction

import cv2
import numpy as np
import pytest
from drawn_frames import look, stored, texture

from data_engine.media.decode import VideoReader
from data_engine.media.picking import Look
from data_engine.media.quality import QualityGates


def live(seed: int, sensor: float = 2.0, level: float = 100.0, contrast: float = 40.0) -> np.ndarray:
    """A static view as a camera shows it, with the noise of this moment."""
    still = cv2.resize(np.random.default_rng(0).normal(0, 1, (36, 48)), (192, 144), interpolation=cv2.INTER_CUBIC)
    picture = level + contrast * still + np.random.default_rng(seed).normal(0, sensor, still.shape)
    return np.clip(picture, 16, 235).astype(np.uint8)


def faults(gates: QualityGates, pictures, rate: Fraction | int = 1) -> list[str | None]:
    return [gates.fault(look(picture, number, rate)) for number, picture in enumerate(pictures)]


# --- black ------------------------------------------------------------------------------------------------------------


def test_no_signal_and_a_covered_lens_are_black():
    covered = np.clip(np.random.default_rng(0).normal(17, 1, (1080, 1920)), 16, 235).astype(np.uint8)
    hot_pixels = np.full((144, 192), 16, np.uint8)
    hot_pixels[::30, ::40] = 255
    black = [np.full((144, 192), 16, np.uint8), np.zeros((144, 192), np.uint8), covered, hot_pixels]
    assert faults(QualityGates(), black) == ["black"] * 4


def test_a_night_scene_passes():
    night = np.full((1080, 1920), 17, np.uint8)
    headlights = night.copy()
    for left in (600, 700):
        cv2.circle(headlights, (left, 500), 24, 235, -1)
    assert faults(QualityGates(), [headlights, live(0, level=30, contrast=6)]) == [None, None]
    assert faults(QualityGates(), [night]) == ["black"]


def test_a_clock_over_a_covered_lens_is_black_when_it_is_ignored():
    clock = np.full((480, 640), 16, np.uint8)
    cv2.putText(clock, "2026-11-20 14:02:11", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, 235, 2)
    assert faults(QualityGates(), [clock]) == [None]
    assert faults(QualityGates(ignore=[(0, 0, 400, 60)]), [clock]) == ["black"]
    # Of a picture that is ignored as a whole nothing can be said.
    assert faults(QualityGates(ignore=[(0, 0, 640, 480)]), [clock]) == [None]


def test_black_frames_are_kept_when_asked_for():
    assert faults(QualityGates(0), [np.zeros((144, 192), np.uint8)]) == [None]


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_a_picture_is_frozen_when_it_has_not_changed_for_so_long():
    pictures = [live(n) for n in range(5)] + [live(4)] * 20 + [live(n) for n in range(5, 8)]
    # Seen last at 4 s, the same until 24 s.
    assert faults(QualityGates(), pictures) == [None] * 14 + ["frozen"] * 11 + [None] * 3
    assert faults(QualityGates(frozen_after_s=0), pictures) == [None] * 28
    assert faults(QualityGates(frozen_after_s=1.5), pictures) == [None] * 6 + ["frozen"] * 19 + [None] * 3


def test_looks_that_are_far_apart_say_nothing_about_what_was_in_between():
    pictures = [live(0)] * 20
    assert faults(QualityGates(), pictures, Fraction(1, 15)) == [None] * 20
    assert faults(QualityGates(), pictures, Fraction(1, 10)) == [None] * 20
    gates = QualityGates()
    # After a hole in the looks the time begins anew.
    assert [gates.fault(look(live(0), second)) for second in (*range(0, 80, 10), *range(600, 720, 10))] == (
        [None] * 18 + ["frozen"] * 2
    )


def test_the_smallest_change_is_none_of_a_frozen_picture():
    pictures = [live(0).copy() for _ in range(30)]
    pictures[9][70, 100] ^= 1
    found = faults(QualityGates(), pictures)
    assert found == [None] * 20 + ["frozen"] * 10


def test_a_live_static_scene_is_never_frozen():
    assert set(faults(QualityGates(), [live(n, sensor=1) for n in range(40)])) == {None}


def test_a_clock_that_runs_on_over_a_frozen_picture_can_be_ignored():
    pictures = [live(0).copy() for _ in range(15)]
    for number, picture in enumerate(pictures):
        picture[4:16, 4:80] = texture(number)[4:16, 4:80]
    assert faults(QualityGates(), pictures) == [None] * 15
    assert faults(QualityGates(ignore=[(4, 4, 76, 12)]), pictures) == [None] * 10 + ["frozen"] * 5


# --- blurred ----------------------------------------------------------------------------------------------------------


def test_lost_focus_is_seen_and_its_return_too():
    sharp = [live(n) for n in range(20)]
    soft = [cv2.GaussianBlur(live(100 + n, sensor=0), (0, 0), 4) for n in range(10)]
    found = faults(QualityGates(min_sharpness=0.5), sharp + soft + sharp)
    assert found == [None] * 20 + ["blurred"] * 10 + [None] * 20
    assert set(faults(QualityGates(), sharp + soft)) == {None}


def test_fog_that_comes_slowly_or_stays_for_hours_is_let_through():
    minutes = 180
    slow = [live(n, contrast=40 * (1 - 0.9 * n / minutes)) for n in range(minutes)]
    assert set(faults(QualityGates(min_sharpness=0.5), slow, Fraction(1, 60))) == {None}
    sudden = [live(n) for n in range(10)] + [live(n, sensor=1, contrast=8) for n in range(minutes)]
    found = faults(QualityGates(min_sharpness=0.5), sudden, Fraction(1, 60))
    assert found[10:14] == ["blurred"] * 4
    assert set(found[60:]) == {None}


def test_one_glittering_frame_makes_no_other_blurred():
    pictures = [live(n) for n in range(20)]
    pictures[10] = texture(0)
    assert set(faults(QualityGates(min_sharpness=0.5), pictures)) == {None}


def test_a_picture_without_any_detail_can_come_first():
    found = faults(QualityGates(min_sharpness=0.5), [np.full((144, 192), 90, np.uint8), live(0), live(1)])
    assert found == [None, None, None]


# --- all --------------------------------------------------------------------------------------------------------------


def test_another_size_is_no_fault():
    assert (
        faults(QualityGates(min_sharpness=0.5, ignore=[(0, 0, 5, 5)]), [live(0), live(0)[:72, :96], live(0)])
        == [None] * 3
    )


def test_nothing_of_the_real_clip_is_held_back(shared):
    gates = QualityGates(min_sharpness=0.5)
    with VideoReader(shared / "data" / "video" / "vtest.avi", key="vtest.avi") as reader:
        found = {gates.fault(Look(frame)) for frame in itertools.islice(reader, 0, 300, 3)}
    assert found == {None}


@pytest.mark.parametrize("cut", [0, 3, 6, 12, 17, 26, 30, 44])
def test_gates_go_on_from_their_state_as_if_nothing_had_come_between(cut):
    pictures = [live(n) for n in range(5)] + [live(4)] * 15 + [np.full((144, 192), 16, np.uint8)] * 3
    pictures += [cv2.GaussianBlur(live(n), (0, 0), 4) for n in range(10)] + [live(n) for n in range(15)]
    looks = [look(picture, number, Fraction(1, 3)) for number, picture in enumerate(pictures, 10_000)]

    def new() -> QualityGates:
        return QualityGates(min_sharpness=0.5, ignore=[(0, 0, 9, 9)])

    whole = new()
    expected = [whole.fault(one) for one in looks]
    assert {"black", "frozen", "blurred", None} == set(expected)
    before, after = new(), new()
    early = [before.fault(one) for one in looks[:cut]]
    after.restore(stored(before.state()))
    assert early + [after.fault(one) for one in looks[cut:]] == expected
