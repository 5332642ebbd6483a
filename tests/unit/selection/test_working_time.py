"""Minutes of work from the moments at which jobs changed."""

from __future__ import annotations

import pytest

from data_engine.selection.working_time import IDLE_MINUTES, JobChange, job_minutes

NEW, BEGUN, DONE, BACK = (
    ("annotation", "new"),
    ("annotation", "in progress"),
    ("validation", "new"),
    ("annotation", "rejected"),
)
COMPLETED = ("annotation", "completed")


def history(*told: tuple[str, float, tuple[str, str], str | None]) -> list[JobChange]:
    """Job, minute, standing, person."""
    return [JobChange(job, minute * 60, *standing, person) for job, minute, standing, person in told]


@pytest.mark.parametrize(
    ("told", "minutes"),
    [
        # Begun, done.
        ([("a", 0, NEW, "ann"), ("a", 5, BEGUN, "ann"), ("a", 25, DONE, "ann")], {"a": 20}),
        # Nobody said when it was begun: all that time it may have waited, whoever had it.
        ([("a", 3, NEW, "ann"), ("a", 25, DONE, "ann")], {}),
        ([("a", 0, NEW, "bob"), ("a", 10, NEW, "ann"), ("a", 25, DONE, "rev")], {}),
        # Completed by the annotator, and moved on by the reviewer hours later.
        ([("a", 0, BEGUN, "ann"), ("a", 8, COMPLETED, "ann"), ("a", 300, DONE, "rev")], {"a": 8}),
        # A batch done one after the other, each begun when the one before was handed in.
        (
            [(job, 0, NEW, "ann") for job in "ab"]
            + [("a", 2, BEGUN, "ann"), ("a", 10, DONE, "ann"), ("b", 10, BEGUN, "ann"), ("b", 14, DONE, "ann")],
            {"a": 8, "b": 4},
        ),
        # The same by two people.
        (
            [("a", 0, BEGUN, "ann"), ("b", 0, BEGUN, "bob"), ("a", 10, DONE, "ann"), ("b", 14, DONE, "bob")],
            {"a": 10, "b": 14},
        ),
        # Rejected and done again, and nobody saw the second beginning.
        ([("a", 0, BEGUN, "ann"), ("a", 10, DONE, "rev"), ("a", 500, BACK, "ann"), ("a", 505, DONE, "rev")], {}),
        # What lay with the reviewer is nobody's work.
        (
            [
                ("a", 0, BEGUN, "ann"),
                ("a", 10, DONE, "rev"),
                ("a", 500, BACK, "ann"),
                ("a", 900, BEGUN, "ann"),
                ("a", 902, DONE, "rev"),
            ],
            {"a": 12},
        ),
        # Two open at the same time: no minute twice.
        (
            [("a", 0, BEGUN, "ann"), ("b", 10, BEGUN, "ann"), ("b", 25, DONE, "ann"), ("a", 30, DONE, "ann")],
            {"b": 15, "a": 15},
        ),
        # A night counts as the cap.
        ([("a", 0, BEGUN, "ann"), ("a", 900, DONE, "ann")], {"a": IDLE_MINUTES}),
        (
            [("a", 0, BEGUN, "ann"), ("b", 9, BEGUN, "ann"), ("a", 12, DONE, "ann"), ("b", 12 + 840, DONE, "ann")],
            {"a": 12, "b": IDLE_MINUTES},
        ),
        # Still open, or never seen open.
        ([("a", 0, BEGUN, "ann")], {}),
        ([("a", 9, DONE, "ann"), ("a", 12, ("acceptance", "completed"), "rev")], {}),
        ([], {}),
    ],
)
def test_minutes(told, minutes):
    found = job_minutes(history(*told))
    assert found == pytest.approx(minutes)
    assert job_minutes(history(*told)[::-1]) == found or len({moment for _, moment, _, _ in told}) < len(told)


def test_a_large_job_may_take_longer_than_a_small_one():
    told = history(("a", 0, BEGUN, "ann"), ("a", 100, DONE, "ann"), ("b", 100, BEGUN, "ann"), ("b", 200, DONE, "ann"))
    assert job_minutes(told, {"a": 240.0}) == {"a": 100, "b": IDLE_MINUTES}


def test_reviewers_minutes_are_those_in_validation():
    looking, accepted = ("validation", "in progress"), ("acceptance", "completed")
    told = [("a", 0, BEGUN, "ann"), ("a", 20, DONE, None), ("a", 90, looking, "rev"), ("a", 97, accepted, "rev")]
    # Sent back, and looked at again; of the second job nobody saw the review begin.
    told += [("b", 0, BEGUN, "ann"), ("b", 9, DONE, None), ("b", 60, accepted, "rev")]
    told += [("c", 100, looking, "rev"), ("c", 104, ("validation", "rejected"), "rev"), ("c", 105, BACK, "ann")]
    told += [("c", 200, looking, "rev"), ("c", 201, accepted, "rev")]
    assert job_minutes(history(*told), stage="validation") == pytest.approx({"a": 7, "c": 5})
    assert set(job_minutes(history(*told))) == {"a", "b"}
