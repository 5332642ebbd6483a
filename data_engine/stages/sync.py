"""Sync: move the jobs on that people have finished with, and take back what was accepted and then changed.

    annotation, completed   ->  validation, new, with the next reviewer
    validation, completed   ->  acceptance, completed; on two levels acceptance, new, with the lead
    validation, rejected    ->  annotation, rejected, with its annotator; later back to the same reviewer
    acceptance, rejected    ->  the same
    acceptance, completed, then changed  ->  validation, new, with its reviewer

Pure: jobs and what was seen of them before in, changes out.  On a server an assignee may set a job's state, not its
stage, so the first word is a person's, and the change is made in their name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from data_engine.stages.base import StageSettings
from data_engine.types import Box, Job, Stage, State, content_id

Why = Literal[
    "to review", "accepted", "to the lead", "rejected", "changed after acceptance", "not seen by the lead", "handed out"
]
Doubt = Literal["changed after acceptance", "not seen by the lead"]


class SyncSettings(StageSettings):
    """Who looks at finished jobs, and what happens then."""

    reviewer: tuple[str, ...] = Field(
        default=(), description="who reviews; of several, the one with the fewest jobs to review is next"
    )
    two_level: bool = Field(
        default=False, description="what a reviewer completed counts after the lead's own look only"
    )
    lead: str | None = Field(default=None, description="who takes the second look")
    export: bool = Field(default=False, description="merge what is newly accepted into a dataset version at once")
    every: float | None = Field(
        default=None, ge=1.0, description="look again after so many seconds, until interrupted; once when not given"
    )

    @field_validator("reviewer")
    @classmethod
    def _somebody(cls, reviewer: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name.strip() for name in reviewer):
            raise ValueError("a reviewer must not be empty")
        return tuple(dict.fromkeys(reviewer))

    @field_validator("lead")
    @classmethod
    def _named(cls, lead: str | None) -> str | None:
        if lead is not None and not lead.strip():
            raise ValueError("the lead must not be empty")
        return lead


@dataclass(frozen=True, slots=True)
class Past:
    """What was seen of a job before.  All dates are the backend's own: clocks of two machines are never compared."""

    annotator: str | None = None
    reviewer: str | None = None
    """Who had it for review last, also before it went back to its annotator."""
    accepted_by: str | None = None
    """Who made the last decision that is recorded."""
    since: str | None = None
    """``updated_at`` of the job when it was first seen in the stage and state that it has now."""
    accepted_at: str | None = None
    """``updated_at`` of the job when it was last known to hold what was accepted."""
    accepted_content: str | None = None
    """:func:`content_of` what it held then."""
    merged: bool = False
    """Whether its boxes, as they are now, are in the dataset."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change to make to a job, in one request."""

    job: Job
    stage: Stage
    state: State
    assignee: str | None
    """The new one, the empty string for nobody; None leaves whoever has it."""
    why: Why


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided by completing or rejecting a job on the backend."""

    job: Job
    action: Literal["submitted", "accepted", "rejected"]
    actor: str | None


@dataclass(slots=True)
class Plan:
    """What a sync is going to do."""

    moves: list[Move] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    """To be recorded before the moves are made: they are facts whether or not the moves succeed."""
    remarks: list[str] = field(default_factory=list)


def content_of(boxes: Mapping[str, Sequence[Box]]) -> str:
    """Content id of a job's boxes: of all that enters a dataset, coordinates to a hundredth of a pixel."""
    rows = sorted(
        f"{len(name)} {name} {box.label} {int(box.iscrowd)} {' '.join(f'{value + 0.0:.2f}' for value in box.xywh)}"
        for name, drawn in boxes.items()
        for box in drawn
    )
    return content_id("job content", *rows)


def doubt(job: Job, past: Past, settings: SyncSettings) -> Doubt | None:
    """Why the boxes of an accepted job must not enter the dataset as they are; None where they may, or it is not.

    The date of a job moves with every change.  The change that accepted it is the first that was seen of it in
    ``acceptance``, ``completed``: a later date is that of another change, and nobody accepted that.  It may have been
    none of its boxes (a server moves the dates of all jobs when a label is added): who reads them compares
    :func:`content_of` with ``past.accepted_content``.
    """
    if not job.accepted:
        return None
    known = [datetime.fromisoformat(at) for at in (past.since, past.accepted_at) if at is not None]
    if known and datetime.fromisoformat(job.updated_at) > max(known):
        return "changed after acceptance"
    led = not settings.two_level or settings.lead is None or settings.lead in (job.assignee, past.accepted_by)
    return None if led or past.merged else "not seen by the lead"


def plan(jobs: Sequence[tuple[Job, Past]], settings: SyncSettings) -> Plan:
    """The changes to make now, by ascending number of the job.

    The next reviewer is the one with the fewest jobs to review, of equals the first in ``settings.reviewer``; never the
    job's annotator, if there is another.  A job that was rejected and corrected returns to its reviewer.
    """
    loads = Counter(job.assignee for job, _past in jobs if job.stage == "validation" and job.state in _OPEN)
    made = Plan()
    for job, past in sorted(jobs, key=lambda entry: entry[0].id):
        move = _move(job, past, settings, loads, made)
        if move is not None:
            made.moves.append(move)
            if move.stage == "validation" and move.assignee:
                loads[move.assignee] += 1
    return made


_OPEN = ("new", "in progress")


def _move(job: Job, past: Past, settings: SyncSettings, loads: Counter[str | None], made: Plan) -> Move | None:
    if job.state == "in progress":
        return None
    if job.stage == "annotation":
        if job.state != "completed":
            return None
        made.decisions.append(Decision(job, "submitted", job.assignee or past.annotator))
        return Move(job, "validation", "new", _next(past, settings, loads), "to review")
    if job.state == "rejected":
        return _back(job, past, made)
    if job.stage == "validation":
        return _reviewed(job, past, settings, loads, made)
    if job.state == "new":
        waits = settings.two_level and settings.lead is not None and job.assignee is None
        return Move(job, "acceptance", "new", settings.lead, "handed out") if waits else None
    why = doubt(job, past, settings)
    if why == "changed after acceptance":
        return Move(job, "validation", "new", _next(past, settings, loads), why)
    if why is not None:
        return Move(job, "acceptance", "new", settings.lead, why)
    if settings.two_level and settings.lead is not None and job.assignee == settings.lead and not past.merged:
        made.decisions.append(Decision(job, "accepted", job.assignee))
    return None


def _back(job: Job, past: Past, made: Plan) -> Move:
    by = None if job.assignee == past.annotator else job.assignee
    made.decisions.append(Decision(job, "rejected", by))
    if past.annotator is None:
        made.remarks.append(f"job {job.id} goes back to annotation without an assignee: its annotator is not known")
    # Left with its reviewer it would be corrected, and completed, by the one who is to look at it.
    return Move(job, "annotation", "rejected", past.annotator or "", "rejected")


def _reviewed(job: Job, past: Past, settings: SyncSettings, loads: Counter[str | None], made: Plan) -> Move | None:
    """What becomes of a job in stage ``validation``, state ``new`` or ``completed``."""
    its_own = job.assignee is not None and job.assignee == past.annotator
    if job.state == "new":
        if not settings.reviewer or not (its_own or job.assignee is None):
            return None
        to = _next(past, settings, loads)
        return None if to == job.assignee else Move(job, "validation", "new", to, "handed out")
    if its_own:
        to = _next(past, settings, loads)
        if to != job.assignee:
            made.remarks.append(
                f"job {job.id} was completed in validation by its own annotator ({job.assignee}), which counts as no "
                + ("review" if to else "review: name another reviewer, or accept it: dataengine review accept")
            )
            return Move(job, "validation", "new", to, "to review") if to else None
    made.decisions.append(Decision(job, "accepted", job.assignee))
    if settings.two_level:
        return Move(job, "acceptance", "new", settings.lead or "", "to the lead")
    return Move(job, "acceptance", "completed", None, "accepted")


def _next(past: Past, settings: SyncSettings, loads: Counter[str | None]) -> str:
    """Who reviews the job now; the empty string where nobody is named."""
    if past.reviewer not in (None, past.annotator) and (not settings.reviewer or past.reviewer in settings.reviewer):
        return past.reviewer or ""
    others = [name for name in settings.reviewer if name != past.annotator] or settings.reviewer
    return min(others, key=lambda name: loads[name], default="")
