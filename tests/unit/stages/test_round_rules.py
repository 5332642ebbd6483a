"""What a round may cost, and whether another is worth it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_engine.stages.rounds import Gain, Room, RunSettings, judge, room

GAIN = Gain("map50", "golden set of v4", 200, before=0.60, after=0.61, low=-0.01, high=0.03)


def verdict(gain: Gain = GAIN, *, minutes: float = 600.0, worth: float = 0.2):
    return judge(gain, RunSettings(worth=worth), rounds=(2, 3, 4), frames=900, minutes=minutes)


def test_rounds_that_brought_less_than_they_cost_are_the_last():
    # Three points at most for ten hours are 0.3 an hour; for twenty they are 0.15.
    assert verdict(minutes=600).go_on
    said = verdict(minutes=1200)
    assert not said.go_on
    assert said.at_most == pytest.approx(0.15)
    assert said.told == (
        "rounds 2 to 4 brought +1.0 points of map50 (0.600 to 0.610, 95 % between -1.0 and +3.0, golden set of v4, "
        "200 pictures) for 20.00 h of people (annotators; no review was seen to begin) and 900 frames: "
        "at most 0.15 points an hour, and an hour is to bring 0.2"
    )
    assert said.as_json()["points_an_hour_at_most"] == pytest.approx(0.15)


def test_reviewers_count_as_far_as_they_were_seen_and_it_is_said_of_how_many_jobs():
    # Without them 0.3 points an hour, and with ten hours of reviewers as well half of that.
    said = judge(GAIN, RunSettings(), rounds=(2,), frames=9, minutes=600.0, review_minutes=600.0, reviews_seen=(3, 8))
    assert (said.go_on, said.hours, said.review_hours) == (False, 20.0, 10.0)
    assert "for 20.00 h of people (annotators, and 10.00 h of reviewers, seen of 3 of 8 jobs) and 9 frames" in said.told
    assert said.as_json()["reviews_seen"] == [3, 8]


def test_doubt_is_for_going_on():
    """Few pictures make a wide interval: nobody stops because it was not measured well enough."""
    wide = Gain("map50", "golden set of v4", 4, before=0.60, after=0.59, low=-0.2, high=0.2)
    assert verdict(wide, minutes=1200).go_on
    assert not verdict(Gain("map50", "golden", 4000, 0.60, 0.59, -0.02, 0.0), minutes=60).go_on


def test_labels_that_cost_nothing_are_always_worth_it():
    said = verdict(Gain("map50", "golden", 9, 0.6, 0.6, 0.0, 0.0), minutes=0.0)
    assert (said.go_on, math.isinf(said.at_most), said.as_json()["points_an_hour_at_most"]) == (True, True, None)


@given(
    high=st.floats(-1, 1),
    minutes=st.floats(0, 1e5),
    worth=st.floats(0.01, 10),
    more=st.floats(0, 1e4),
)
def test_what_cost_more_for_the_same_is_never_worth_more(high, minutes, worth, more):
    gain = Gain("map50", "golden", 9, 0.5, 0.5, -1.0, high)
    if not verdict(gain, minutes=minutes, worth=worth).go_on and high >= 0:
        assert not verdict(gain, minutes=minutes + more, worth=worth).go_on


def test_a_budget_pays_for_the_first_frames():
    nothing = room(RunSettings(), frames=99, minutes=99.0)
    assert (nothing, nothing.spent, nothing.first_that_fit([1.0, 2.0])) == (Room(None, None), False, 2)
    left = room(RunSettings(frames_per_round=5, minutes_per_round=4.0), frames=3, minutes=1.0)
    assert (left, left.spent) == (Room(2, 3.0), False)
    assert [left.first_that_fit(each) for each in ([1, 1, 1], [1, 2.5], [3.0], [3.1], [])] == [2, 1, 1, 0, 0]
    assert room(RunSettings(frames_per_round=5), frames=7, minutes=0.0).spent
    assert room(RunSettings(minutes_per_round=5.0), frames=7, minutes=5.0).spent


def test_ten_tenths_of_a_minute_are_a_minute():
    assert Room(None, 1.0).first_that_fit([0.1] * 12) == 10
