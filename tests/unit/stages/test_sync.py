"""What a sync makes of every stage and state, and of whom it gives a job to."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest
from pydantic import ValidationError

from data_engine.stages.sync import Decision, Past, SyncSettings, doubt, plan
from data_engine.types import Job, Stage, State

T1, T2, T3 = (f"2026-01-01T00:00:0{second}+00:00" for second in (1, 2, 3))
ONE = SyncSettings(reviewer=("rea", "rob"))
TWO = SyncSettings(reviewer=("rea", "rob"), two_level=True, lead="lea")
BY_ANN = Past(annotator="ann", since=T1)


def job(stage: Stage, state: State, assignee: str | None = None, number: int = 1, at: str = T1) -> Job:
    return Job(number, 1, stage, state, assignee, ("a.jpg",), at)


def moved(a_job: Job, past: Past = BY_ANN, settings: SyncSettings = ONE) -> tuple[object, ...] | None:
    made = plan([(a_job, past)], settings)
    assert len(made.moves) <= 1
    return next(((m.stage, m.state, m.assignee, m.why) for m in made.moves), None)


REVIEW = ("validation", "new", "rea", "to review")
BACK = ("annotation", "rejected", "ann", "rejected")
TABLE = {
    # stage, state: who has it, what becomes of it on one level, and on two
    ("annotation", "new"): ("ann", None, None),
    ("annotation", "in progress"): ("ann", None, None),
    ("annotation", "completed"): ("ann", REVIEW, REVIEW),
    ("annotation", "rejected"): ("ann", None, None),
    ("validation", "new"): ("rea", None, None),
    ("validation", "in progress"): ("rea", None, None),
    ("validation", "completed"): (
        "rea",
        ("acceptance", "completed", None, "accepted"),
        ("acceptance", "new", "lea", "to the lead"),
    ),
    ("validation", "rejected"): ("rea", BACK, BACK),
    ("acceptance", "new"): ("lea", None, None),
    ("acceptance", "in progress"): ("lea", None, None),
    ("acceptance", "completed"): ("lea", None, None),
    ("acceptance", "rejected"): ("lea", BACK, BACK),
}


def test_the_table_is_complete():
    assert set(TABLE) == set(product(get_args(Stage), get_args(State)))


@pytest.mark.parametrize("standing", TABLE, ids=", ".join)
def test_every_stage_and_state(standing):
    person, once, twice = TABLE[standing]
    past = replace(BY_ANN, reviewer="rea")
    assert moved(job(*standing, person), past, ONE) == once
    assert moved(job(*standing, person), past, TWO) == twice
    for settings in (ONE, TWO):
        # What was done is not done again: every move ends where only a person goes on.
        for move in plan([(job(*standing, person), past)], settings).moves:
            to = move.job.assignee if move.assignee is None else move.assignee
            after = job(move.stage, move.state, to or None, at=T2)
            assert plan([(after, replace(past, since=T2))], settings).moves == []


@pytest.mark.parametrize(
    ("a_job", "settings", "expected"),
    [
        (job("annotation", "completed", "ann"), ONE, ("submitted", "ann")),
        # Somebody with the right completed it, and took nobody's name from it.
        (job("annotation", "completed"), ONE, ("submitted", "ann")),
        (job("validation", "completed", "rea"), ONE, ("accepted", "rea")),
        (job("validation", "completed", "rea"), TWO, ("accepted", "rea")),
        (job("validation", "completed"), ONE, ("accepted", None)),
        (job("validation", "rejected", "rea"), ONE, ("rejected", "rea")),
        (job("acceptance", "rejected", "lea"), TWO, ("rejected", "lea")),
    ],
)
def test_whose_decision_is_recorded(a_job, settings, expected):
    assert plan([(a_job, BY_ANN)], settings).decisions == [Decision(a_job, *expected)]


def test_who_is_not_named_gets_nothing():
    nobody = SyncSettings()
    assert moved(job("annotation", "completed", "ann"), settings=nobody) == ("validation", "new", "", "to review")
    assert moved(job("validation", "new"), settings=nobody) is None
    lone = SyncSettings(two_level=True)
    assert moved(job("validation", "completed", "rea"), settings=lone) == ("acceptance", "new", "", "to the lead")
    assert moved(job("acceptance", "new"), settings=TWO) == ("acceptance", "new", "lea", "handed out")


def test_reviewers_take_turns_and_the_least_loaded_is_next():
    busy = [(job("validation", state, "rea", n), BY_ANN) for n, state in ((1, "new"), (2, "in progress"))]
    # What was completed or rejected is off the reviewer's desk.
    off = [(job("validation", state, "rob", n), BY_ANN) for n, state in ((3, "completed"), (4, "rejected"))]
    done = [(job("annotation", "completed", "ann", n), BY_ANN) for n in (8, 7, 6, 5)]
    made = plan([*done, *busy, *off], ONE)
    assert [(m.job.id, m.assignee) for m in made.moves if m.why == "to review"] == [
        (5, "rob"),
        (6, "rob"),
        # Both have two, and have got as many.
        (7, "rea"),
        (8, "rob"),
    ]


def test_one_by_one_they_take_turns_too():
    given, past = [], []
    for number in range(1, 7):
        (move,) = plan([*past, (job("annotation", "completed", "ann", number), BY_ANN)], ONE).moves
        given.append(move.assignee)
        # Accepted at once: nobody has anything to do when the next one comes.
        done = replace(BY_ANN, reviewer=move.assignee, merged=True)
        past.append((job("acceptance", "completed", move.assignee, number), done))
    assert given == ["rea", "rob"] * 3


def test_no_reviewer_at_all_is_said_once_a_run():
    handed_in = [(job("annotation", "completed", "ann", number), BY_ANN) for number in (1, 2)]
    made = plan(handed_in, SyncSettings())
    assert [move.assignee for move in made.moves] == ["", ""]
    (said,) = made.remarks
    assert said.startswith("2 jobs to review are with nobody, for no reviewer is named")
    assert plan(handed_in, ONE).remarks == []


def test_nobody_reviews_their_own_job():
    by_rea, by_rob = Past(annotator="rea", since=T1), Past(annotator="rob", since=T1)
    assert moved(job("annotation", "completed", "rea"), by_rea) == ("validation", "new", "rob", "to review")
    alone = SyncSettings(reviewer=("rea",))
    # Also where there is nobody else; and whoever completed it is the annotator, whatever was known before.
    for past in (by_rea, Past(annotator="ann", since=T1)):
        made = plan([(job("annotation", "completed", "rea"), past)], alone)
        assert [(m.stage, m.state, m.assignee) for m in made.moves] == [("validation", "new", "")]
        assert made.remarks[0].startswith("job 1 waits for a review with nobody: of the reviewers there is only rea")
    made = plan([(job("validation", "completed", "rea"), by_rea)], alone)
    assert [(m.stage, m.state, m.assignee) for m in made.moves] == [("validation", "new", "")]
    assert made.decisions == []
    assert made.remarks[0].startswith("job 1 was completed in validation by its own annotator (rea)")
    assert moved(job("validation", "new", "rea"), by_rea, alone) == ("validation", "new", "", "handed out")
    assert moved(job("validation", "new"), by_rea, alone) is None
    edited = Past(annotator="rea", since=T1, accepted_at=T1)
    assert moved(job("acceptance", "completed", "rob", at=T2), edited, alone)[2] == ""
    # Somebody moved the stage on and left the annotator in: that is no review.
    assert moved(job("validation", "completed", "rea"), by_rea) == ("validation", "new", "rob", "to review")
    held = plan([(job("validation", "completed", "rob"), by_rob)], SyncSettings())
    assert ([m.assignee for m in held.moves], held.decisions) == ([""], [])
    assert held.remarks[0].startswith("job 1 was completed in validation by its own annotator (rob)")
    # A job that was submitted by this program's own command still is its annotator's.
    assert moved(job("validation", "new", "rea"), by_rea) == ("validation", "new", "rob", "handed out")
    assert moved(job("validation", "new"), by_rea) == ("validation", "new", "rob", "handed out")


def test_a_corrected_job_returns_to_its_reviewer():
    again = replace(BY_ANN, reviewer="rob")
    corrected = job("annotation", "completed", "ann")
    assert moved(corrected, again) == ("validation", "new", "rob", "to review")
    assert moved(corrected, again, SyncSettings()) == ("validation", "new", "rob", "to review")
    left = SyncSettings(reviewer=("rea", "ron"))
    assert moved(corrected, again, left) == ("validation", "new", "rea", "to review")


@pytest.mark.parametrize("state", ["new", "rejected"])
def test_a_job_that_is_set_back_by_hand_goes_to_its_annotator(state):
    left = replace(BY_ANN, reviewer="rea", returned=True)
    assert moved(job("annotation", state, "rea"), left) == ("annotation", state, "ann", "set back")
    assert moved(job("annotation", "new"), left) == ("annotation", "new", "ann", "set back")
    # Sent back with nobody, for ann is not there any more; given to somebody else since; with ann.
    assert moved(job("annotation", "rejected"), left) is None
    assert moved(job("annotation", state, "ben"), replace(left, returned=False)) is None
    assert moved(job("annotation", state, "ann"), left) is None


def test_a_rejected_job_never_stays_with_its_reviewer():
    made = plan([(job("validation", "rejected", "rea"), Past())], ONE)
    assert [(m.stage, m.state, m.assignee) for m in made.moves] == [("annotation", "rejected", "")]
    assert "its annotator is not known" in made.remarks[0]


@pytest.mark.parametrize("merged", [True, False])
def test_an_accepted_job_that_moved_is_doubted(merged):
    past = Past("ann", "rob", since=T2, merged=merged)
    accepted = job("acceptance", "completed", "rob", at=T2)
    assert doubt(accepted, past, ONE) is None
    # The same moment, written otherwise.
    assert doubt(replace(accepted, updated_at="2026-01-01T01:00:02.000+01:00"), past, ONE) is None
    edited = replace(accepted, updated_at=T3)
    assert doubt(edited, past, ONE) == "changed after acceptance"
    assert moved(edited, past, ONE) == ("validation", "new", "rob", "changed after acceptance")
    assert moved(edited, past, TWO) == ("validation", "new", "rob", "changed after acceptance")
    assert doubt(replace(edited, state="new"), past, ONE) is None
    # The one who has it must not accept what they changed, where the reviewer is not known.
    assert moved(edited, replace(past, reviewer=None), SyncSettings())[:3] == ("validation", "new", "")


def test_on_two_levels_only_the_lead_s_own_word_counts():
    by_hand = job("acceptance", "completed", "rea")
    past = Past("ann", "rea", since=T1)
    assert moved(by_hand, past, TWO) == ("acceptance", "new", "lea", "not seen by the lead")
    assert doubt(by_hand, past, ONE) is None
    # Said by this program's own command, or before there were two levels.
    assert doubt(by_hand, replace(past, accepted_by="lea"), TWO) is None
    assert doubt(by_hand, replace(past, merged=True), TWO) is None
    assert doubt(replace(by_hand, assignee="lea"), past, TWO) is None
    # Somebody else accepted it while the lead had it.
    assert doubt(replace(by_hand, assignee="lea"), replace(past, accepted_by="rea"), TWO) == "not seen by the lead"


@pytest.mark.parametrize("given", [{"reviewer": ["rea", " "]}, {"lead": ""}, {"every": 0.5}])
def test_settings_that_say_nothing_are_refused(given):
    with pytest.raises(ValidationError):
        SyncSettings(**given)
    assert SyncSettings(reviewer=["rea", "rob", "rea"]).reviewer == ("rea", "rob")
