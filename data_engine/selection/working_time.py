"""Minutes of work, from the moments at which jobs were seen to change.

Nobody is watched at work: what is known is when a job was begun, handed in or sent back.  Between two such moments of
one person lies work, or a night.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

IDLE_MINUTES = 30.0
"""Least cap of a gap without any event; longer ones count as the cap."""
IDLE_FACTOR = 2.0
"""A gap may be this many times longer than the job is expected to take, where that is more."""


@dataclass(frozen=True, slots=True)
class JobChange:
    """A moment at which a job's stage, state or assignee changed."""

    job: str
    at_s: float
    """Seconds, from any zero that all jobs share."""
    stage: str
    state: str
    person: str | None
    """Who had it; nobody's name counts as one person, too."""


@dataclass(frozen=True, slots=True)
class _Span:
    """One stay of a job in a stage."""

    job: str
    person: str | None
    begin_s: float
    end_s: float
    started: bool
    """Whether somebody said that it is begun; else the beginning is only the earliest moment possible."""


def job_minutes(
    changes: Iterable[JobChange], cap: Mapping[str, float] | None = None, stage: str = "annotation"
) -> dict[str, float]:
    """Minutes of work on each job that left a stage, by job; only of jobs whose every stay was seen to begin.

    A stay begins when the job went ``in progress`` in the stage, and ends when it leaves the stage or is ``completed``
    in it, or ``rejected`` by a review.  Stays (rejected and done again) add up.  A moment that several jobs of one
    person share counts for the one that was handed in first.  Between two events of a person at most the cap counts.
    A job that nobody saw ``in progress`` may have waited for all of its stay, and has no minutes.

    Args:
        changes: in any order.
        cap: minutes by job; :data:`IDLE_MINUTES` for jobs that it does not hold.
        stage: ``annotation``, or ``validation`` for the minutes of reviewers.
    """
    by_job: defaultdict[str, list[JobChange]] = defaultdict(list)
    for change in sorted(changes, key=lambda change: change.at_s):
        by_job[change.job].append(change)
    by_person: defaultdict[str | None, list[_Span]] = defaultdict(list)
    moments: defaultdict[str | None, set[float]] = defaultdict(set)
    for told in by_job.values():
        for span in _spans(told, stage):
            by_person[span.person].append(span)
        for change in told:
            if change.stage == stage:
                moments[change.person].add(change.at_s)
    minutes: defaultdict[str, float] = defaultdict(float)
    for person, spans in by_person.items():
        events = sorted(moments[person] | {moment for span in spans for moment in (span.begin_s, span.end_s)})
        for span, seconds in _worked(spans, events, cap or {}):
            minutes[span.job] += seconds / 60
    guessed = {span.job for spans in by_person.values() for span in spans if not span.started}
    return {job: worked for job, worked in minutes.items() if job not in guessed}


def _spans(told: Sequence[JobChange], stage: str) -> list[_Span]:
    """The finished stays of one job in a stage; its changes are in the order of time."""
    # What comes back rejected waits for its annotator; a review that rejects is over.
    over = ("completed",) if stage == "annotation" else ("completed", "rejected")
    spans: list[_Span] = []
    begin: float | None = None
    started = False
    before: JobChange | None = None
    for change in told:
        if change.stage == stage and change.state not in over:
            begun = change.state == "in progress"
            # Given to somebody else, or begun: whatever was before is not this person's work.
            later = not started and before is not None and (begun or change.person != before.person)
            if begin is None or later:
                begin, started = change.at_s, begun
            before = change
        elif begin is not None and before is not None:
            person = change.person if change.stage == stage else before.person
            spans.append(_Span(change.job, person, begin, change.at_s, started))
            begin, started = None, False
    return spans


def _worked(spans: Sequence[_Span], events: Sequence[float], cap: Mapping[str, float]) -> Iterable[tuple[_Span, float]]:
    """Seconds of work in each of one person's spans.

    Args:
        spans: of one person.
        events: ascending moments that cut the time, among them the beginnings and ends of the spans.
        cap: minutes by job.
    """
    counted: set[float] = set()
    last_end = float("-inf")
    for span in sorted(spans, key=lambda span: (span.end_s, span.begin_s, span.job)):
        begin = span.begin_s if span.started else max(span.begin_s, last_end)
        last_end = span.end_s
        most = cap.get(span.job, IDLE_MINUTES) * 60
        seconds = 0.0
        for start, stop in pairwise(events[bisect_left(events, begin) : bisect_right(events, span.end_s)]):
            if start not in counted:
                counted.add(start)
                seconds += min(stop - start, most)
        yield span, seconds
