"""Sync: move the jobs on that people have finished with, and take back what was accepted and then changed.

    annotation, completed   ->  validation, new, with the next reviewer
    validation, completed   ->  acceptance, completed; on two levels acceptance, new, with the lead
    validation, rejected    ->  annotation, rejected, with its annotator; later back to the same reviewer
    acceptance, rejected    ->  the same
    set back to annotation by hand  ->  with its annotator
    acceptance, completed, then changed  ->  validation, new, with its reviewer

Pure: jobs and what was seen of them before in, changes out.  On a server an assignee may set a job's state, not its
stage, so the first word is a person's, and the change is made in their name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from data_engine.stages.base import StageSettings
from data_engine.types import Job, JobContent, Stage, State, content_ids
from data_engine.words import counted

Why = Literal[
    "to review",
    "accepted",
    "to the lead",
    "rejected",
    "changed after acceptance",
    "not seen by the lead",
    "handed out",
    "a label is gone",
    "set back",
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
    """Who accepted it as it stands now; None where that is not known."""
    since: str | None = None
    """``updated_at`` of the job when it was first seen in the stage and state that it has now."""
    handed_in: str | None = None
    """Remarks since then are about what was handed in last; None where any may be."""
    accepted_at: str | None = None
    """``updated_at`` of the job when it was last known to hold what was accepted."""
    accepted_content: str | None = None
    """:func:`content_of` what was accepted."""
    accepted_deleted: frozenset[str] = frozenset()
    """Frames that were deleted when it was accepted."""
    restored: bool = False
    """Whether one of those is there again."""
    unconfirmed: bool = False
    """Whether it was accepted by an intent of this program, and holds something else."""
    returned: bool = False
    """Whether somebody set it back to ``annotation`` and left it with whoever had it in review."""
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


def content_of(content: JobContent) -> str:
    """Content id of a job's boxes: of all that enters a dataset, coordinates to a hundredth of a pixel.

    Those on deleted frames are among them: deleting a frame, or bringing it back, is no change of boxes.
    """
    rows = sorted(
        f"{len(name)} {name} {box.label} {int(box.iscrowd)} {x + 0.0:.2f} {y + 0.0:.2f} {w + 0.0:.2f} {h + 0.0:.2f}"
        for boxes in (content.boxes, content.hidden)
        for name, drawn in boxes.items()
        for box in drawn
        for x, y, w, h in (box.xywh,)
    )
    return content_ids("job content")(*rows)


def doubt(job: Job, past: Past, settings: SyncSettings) -> Doubt | None:
    """Why the boxes of an accepted job must not enter the dataset as they are; None where they may, or it is not.

    The date of a job moves with every change.  The change that accepted it is the first that was seen of it in
    ``acceptance``, ``completed``: a later date is that of another change, and nobody accepted that.  It may have been
    none of its boxes (a server moves the dates of all jobs when a label is added): who reads them compares
    :func:`content_of` with ``past.accepted_content``.  A frame that comes back was in nobody's sight when the job was
    accepted; one that is deleted afterwards only leaves.  The date of the job moves with neither.
    """
    if not job.accepted:
        return None
    if past.restored or past.unconfirmed:
        return "changed after acceptance"
    known = [datetime.fromisoformat(at) for at in (past.since, past.accepted_at) if at is not None]
    if known and datetime.fromisoformat(job.updated_at) > max(known):
        return "changed after acceptance"
    # Somebody else's word is not the lead's, also where the lead has the job.
    led = not settings.two_level or settings.lead == (past.accepted_by or job.assignee)
    return None if led or past.merged else "not seen by the lead"


def plan(jobs: Sequence[tuple[Job, Past]], settings: SyncSettings) -> Plan:
    """The changes to make now, by ascending number of the job.

    The next reviewer is the one with the fewest jobs to review, of equals the one who got the fewest so far, of those
    the first in ``settings.reviewer``; never the job's annotator.  A job that was rejected and corrected returns to its
    reviewer.
    """
    turns = _Turns(
        Counter(job.assignee for job, _past in jobs if job.stage == "validation" and job.state in _OPEN),
        Counter(past.reviewer for _job, past in jobs),
    )
    made = Plan()
    for job, past in sorted(jobs, key=lambda entry: entry[0].id):
        move = _move(job, past, settings, turns, made)
        if move is not None:
            made.moves.append(move)
            if move.stage == "validation" and move.assignee:
                turns.waiting[move.assignee] += 1
                turns.got[move.assignee] += move.assignee != past.reviewer
    without = [move for move in made.moves if move.stage == "validation" and move.assignee == ""]
    if without and not settings.reviewer:
        made.remarks.append(
            f"{counted(len(without), 'job')} to review {'is' if len(without) == 1 else 'are'} with nobody, for no "
            "reviewer is named: [sync] reviewer, or dataengine sync --reviewer NAME"
        )
    return made


@dataclass(slots=True)
class _Turns:
    """Whose turn it is to review."""

    waiting: Counter[str | None]
    """Jobs that wait for their review, by person."""
    got: Counter[str | None]
    """Jobs that somebody got so far."""


_OPEN = ("new", "in progress")


def _move(job: Job, past: Past, settings: SyncSettings, turns: _Turns, made: Plan) -> Move | None:
    if job.state == "in progress":
        return None
    if job.stage == "annotation":
        if job.state != "completed":
            return _set_back(job, past)
        made.decisions.append(Decision(job, "submitted", job.assignee or past.annotator))
        # Whoever completed it is its annotator, whoever it was before.
        past = replace(past, annotator=job.assignee or past.annotator)
        return _to_review(job, past, settings, turns, made, "to review")
    if job.state == "rejected":
        return _back(job, past, made)
    if job.stage == "validation":
        return _reviewed(job, past, settings, turns, made)
    if job.state == "new":
        waits = settings.two_level and settings.lead is not None and job.assignee is None
        return Move(job, "acceptance", "new", settings.lead, "handed out") if waits else None
    why = doubt(job, past, settings)
    if why == "changed after acceptance":
        if past.restored:
            made.remarks.append(f"job {job.id}: a frame that was deleted when it was accepted is there again")
        return _to_review(job, past, settings, turns, made, why)
    if why is not None:
        return Move(job, "acceptance", "new", settings.lead, why)
    return None


def _to_review(job: Job, past: Past, settings: SyncSettings, turns: _Turns, made: Plan, why: Why) -> Move:
    to = _next(past, settings, turns)
    if settings.reviewer and not to:
        made.remarks.append(_alone(job, past))
    return Move(job, "validation", "new", to, why)


def _set_back(job: Job, past: Past) -> Move | None:
    """Who moves a stage back leaves the job with its reviewer: it is its annotator's."""
    left = past.returned and past.annotator not in (None, job.assignee)
    # One that came back rejected and with nobody was sent so, for its annotator is not there any more.
    if not left or (job.assignee is None and job.state != "new"):
        return None
    return Move(job, "annotation", job.state, past.annotator, "set back")


def _back(job: Job, past: Past, made: Plan) -> Move:
    by = None if job.assignee == past.annotator else job.assignee
    made.decisions.append(Decision(job, "rejected", by))
    if past.annotator is None:
        made.remarks.append(f"job {job.id} goes back to annotation without an assignee: its annotator is not known")
    # Left with its reviewer it would be corrected, and completed, by the one who is to look at it.
    return Move(job, "annotation", "rejected", past.annotator or "", "rejected")


def _reviewed(job: Job, past: Past, settings: SyncSettings, turns: _Turns, made: Plan) -> Move | None:
    """What becomes of a job in stage ``validation``, state ``new`` or ``completed``."""
    its_own = job.assignee is not None and job.assignee == past.annotator
    to = _next(past, settings, turns)
    if job.state == "new":
        if not settings.reviewer or not (its_own or (job.assignee is None and to)):
            return None
        if not to:
            made.remarks.append(_alone(job, past))
        return Move(job, "validation", "new", to, "handed out")
    if its_own:
        # Where nobody is named at all, that is said once for all jobs.
        made.remarks.append(
            f"job {job.id} was completed in validation by its own annotator ({job.assignee}), which counts as no review"
            + ("" if to else ": name another reviewer, or accept it: dataengine review accept")
        )
        return Move(job, "validation", "new", to, "to review")
    made.decisions.append(Decision(job, "accepted", job.assignee))
    if settings.two_level:
        return Move(job, "acceptance", "new", settings.lead or "", "to the lead")
    return Move(job, "acceptance", "completed", None, "accepted")


def _next(past: Past, settings: SyncSettings, turns: _Turns) -> str:
    """Who reviews the job now; the empty string where nobody but its annotator is named."""
    if past.reviewer not in (None, past.annotator) and (not settings.reviewer or past.reviewer in settings.reviewer):
        return past.reviewer or ""
    others = [name for name in settings.reviewer if name != past.annotator]
    return min(others, key=lambda name: (turns.waiting[name], turns.got[name]), default="")


def _alone(job: Job, past: Past) -> str:
    return (
        f"job {job.id} waits for a review with nobody: of the reviewers there is only {past.annotator}, who annotated "
        f"it (name another, or: dataengine review assign {job.id} --to NAME)"
    )
