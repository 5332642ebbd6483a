"""What people did to what they were shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data_engine.stages.audit import AuditedJob, Tally, by_person, compare, compare_reviewed
from data_engine.stages.export import Proposed
from data_engine.types import Box, Probe


def box(x: float, label: str = "person", identity: str | None = None) -> Box:
    return Box(label, (x, 10.0, 20.0, 30.0), 0.8, identity)


A, B, C = box(0, identity="a"), box(100, identity="b"), box(200, identity="c")
SHOWN = [Proposed(b.proposal_id or "", "model", b) for b in (A, B, C)]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([A, B, C], {"kept": 3}),
        ([A, B], {"kept": 2, "removed": 1}),
        ([A, B, C, box(300)], {"kept": 3, "added": 1}),
        ([A, B, replace(C, xywh=(230.0, 10.0, 20.0, 30.0))], {"kept": 2, "moved": 1}),
        ([A, B, replace(C, label="helmet", xywh=(205.0, 10.0, 20.0, 30.0))], {"kept": 2, "relabelled": 1}),
        ([A, B, replace(C, xywh=(200.004, 10.0, 20.0, 30.0))], {"kept": 3}),
        # A tool that loses the ids: the place tells.
        ([box(0), box(104), box(200, "helmet")], {"kept": 1, "moved": 1, "relabelled": 1}),
        ([box(0), box(130), box(200)], {"kept": 2, "added": 1, "removed": 1}),
        ([A, A, B, C], {"kept": 3, "added": 1}),
        ([], {"removed": 3}),
    ],
)
def test_the_fate_of_each_proposal(after, told):
    assert compare(SHOWN, after, 0.5) == Tally(frames=1, boxes=len(after), **told)


def test_probes_are_counted_apart():
    wrong = box(150, "helmet", "w")
    swapped = box(250, "helmet", "s")
    probes = [Probe("invented", wrong), Probe("swapped", swapped, box(250, "person", "real"))]
    shown = [*SHOWN, Proposed("w", None, wrong), Proposed("s", None, swapped)]
    stamped = compare(shown, [A, B, C, wrong, swapped], 0.5, probes)
    assert stamped == Tally(1, 5, kept=3, probes=2, caught=0)
    # One removed, one with its right class: neither is an ordinary correction.
    looked = compare(shown, [A, B, C, replace(swapped, label="person")], 0.5, probes)
    assert looked == Tally(1, 4, kept=3, probes=2, caught=2)
    without_ids = [replace(each, proposal_id=None) for each in (A, B, C, wrong)]
    assert compare(shown, without_ids, 0.5, probes) == Tally(1, 4, kept=3, probes=2, caught=1)


def test_what_a_review_changed():
    before = {"a": (A, replace(B, proposal_id="a")), "b": (C,), "gone": (box(5),)}
    same = {"a": (replace(B, proposal_id="a"), A), "b": (C,)}
    assert compare_reviewed(before, same, 0.5) == Tally(2, 3, kept=3)
    changed = {"a": (A, box(104), box(300)), "b": ()}
    assert compare_reviewed(before, changed, 0.5) == Tally(2, 3, kept=1, moved=1, added=1, removed=1)
    assert compare_reviewed(before, changed, 0.5).unchanged_share == 0.25
    assert Tally().unchanged_share is None


@pytest.mark.parametrize(
    ("work", "minutes", "rushed"),
    [
        (Tally(frames=50, kept=80), 1.0, True),
        (Tally(frames=50, kept=80), 2.5, False),
        # Completed without ever being seen in progress: one click.
        (Tally(frames=50, kept=80), None, True),
        (Tally(frames=50, kept=80, added=1), None, False),
        (Tally(frames=50, kept=80, moved=1), 1.0, False),
        (Tally(frames=50, kept=80, probes=1, caught=1), 1.0, False),
        (Tally(frames=50, kept=80, probes=1), 1.0, True),
        (Tally(frames=50), 1.0, False),
    ],
)
def test_fast_and_unchanged(work, minutes, rushed):
    assert AuditedJob(1, "ann", work, minutes).rushed(0.2) is rushed


@pytest.mark.parametrize(
    ("work", "emptied"),
    [
        (Tally(frames=3, removed=4, probes=1, caught=1), True),
        (Tally(frames=3, boxes=1, added=1, removed=4), False),
        # Nothing but a probe was shown, and it was caught.
        (Tally(frames=3, probes=1, caught=1), False),
        (Tally(frames=3), False),
    ],
)
def test_emptied(work, emptied):
    assert work.emptied is emptied


def test_by_annotator():
    jobs = [
        AuditedJob(1, None, Tally(1, 1, kept=1)),
        AuditedJob(2, "bo", Tally(2, 2, kept=2), 4.0, rejected=2, review=Tally(2, 2, kept=2)),
        AuditedJob(3, "ann", Tally(1, 1, kept=1)),
        AuditedJob(4, "bo", Tally(2, 3, kept=2, added=1), 2.0, review=Tally(2, 3, kept=2, moved=1)),
    ]
    ann, bo, nobody = by_person(jobs)
    assert (ann.name, bo.name, nobody.name) == ("ann", "bo", None)
    assert bo.work == Tally(4, 5, kept=4, added=1)
    assert (bo.minutes_per_job, bo.rejected, bo.rejections) == (3.0, 1, 2)
    assert bo.review == Tally(4, 5, kept=4, moved=1)
    assert (ann.minutes_per_job, ann.review) == (None, None)
