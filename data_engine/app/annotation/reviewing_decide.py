"""Deciding on a job in the pages: ``review accept`` and ``review reject`` with what the pages know besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from data_engine.app.annotation import review
from data_engine.app.annotation.reviewing import next_job
from data_engine.app.annotation.reviewing_job import view
from data_engine.app.annotation.reviewing_marks import LONGEST, job_id
from data_engine.app.annotation.who import account_of
from data_engine.errors import ConflictError, UsageError
from data_engine.lineage import reviewing
from data_engine.lineage.reviewing import Look, Remark
from data_engine.stages.review import Place
from data_engine.words import counted

if TYPE_CHECKING:
    from data_engine.app.annotation.reviewing_job import JobView
    from data_engine.app.engine import Engine
    from data_engine.lineage.reviewing import Decided
    from data_engine.ports import DraftKeeper
    from data_engine.types import Report


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and what comes next."""

    said: str
    """One sentence for people."""
    next: int | None
    """The job that waits longest for the same person."""


def accept(engine: Engine, number: int, *, by: str, expected: str, others_only: bool) -> Decision:
    """Accept a job as it was on the page.

    Args:
        engine: the workspace.
        number: of the job.
        by: who accepts.
        expected: ``updated_at`` of the job that they saw.
        others_only: whether nobody accepts what they annotated.

    Raises:
        ConflictError: somebody else decided or changed it meanwhile; it is their own; remarks on it were not sent.
        MissingInputError: it is gone.
    """
    seen = view(engine, number)
    refuse_own(engine, seen, by, others_only=others_only)
    remarked = [remark for frame in seen.frames for remark in frame.remarks]
    if remarked and not seen.seen.job.accepted:
        raise ConflictError(
            f"job {number} has {counted(len(remarked), 'remark')} that its annotator was not told of",
            hint="reject it, or take them back first",
        )
    report = review.accept(engine, [number], by=by, expected=expected)
    _record(engine, seen, "accepted", by, expected)
    return _decision(engine, number, by, report)


def reject(
    engine: Engine,
    number: int,
    *,
    by: str,
    expected: str,
    others_only: bool,
    reason: str = "",
) -> Decision:
    """Send a job back to its annotator with a reason and everything that was remarked on its frames.

    Args:
        engine: the workspace.
        number: of the job.
        by: who rejects.
        expected: ``updated_at`` of the job that they saw.
        others_only: whether nobody decides on what they annotated.
        reason: on the whole job; without one the remarks are the reason.

    Raises:
        ConflictError: somebody else decided or changed it meanwhile, or it is their own.
        UsageError: neither a reason nor a remark.
        MissingInputError: it is gone.
    """
    seen = view(engine, number)
    refuse_own(engine, seen, by, others_only=others_only)
    if len(reason) > LONGEST:
        raise UsageError(f"a reason has at most {LONGEST} letters")
    places = [Place(r.message, r.reviewer, f.name, r.xywh) for f in seen.frames for r in f.remarks]
    sent = [remark for frame in seen.frames for remark in frame.remarks]
    first = Place(reason.strip(), by) if reason.strip() else places.pop(0) if places else None
    if first is None:
        raise UsageError(f"job {number} cannot be rejected without a reason", hint="say what is wrong, or remark a box")
    report = review.reject(
        engine, number, first.message, by=by, frame=first.frame_name, box=first.xywh, also=places, expected=expected
    )
    _record(engine, seen, "rejected", by, expected, sent)
    return _decision(engine, number, by, report)


def refuse_own(engine: Engine, seen: JobView, person: str, *, others_only: bool) -> None:
    """ConflictError where a person may not decide on a job because they annotated it."""
    why = own_work(engine, seen, person) if others_only else ""
    if why:
        raise ConflictError(why, hint="somebody else is to look at it")


def own_work(engine: Engine, seen: JobView, person: str) -> str:
    """Why a job is a person's own work; empty where it is not."""
    with engine.database.read() as connection:
        hands = reviewing.annotated_by(connection, seen.seen.known.id) | {seen.seen.known.annotator}
    backend = engine.backend()
    if backend.edits_files:
        # Whoever drew, also where somebody else handed it in.
        hands |= cast("DraftKeeper", backend).drawn_by(seen.seen.job.id)
        hands = {account_of(backend, name) for name in hands if name is not None}
    named = {name.casefold() for name in hands if name is not None}
    return f"job {seen.seen.job.id} was annotated by {person}" if person.casefold() in named else ""


def _record(
    engine: Engine, seen: JobView, action: Decided, by: str, expected: str, sent: Sequence[Remark] = ()
) -> None:
    """Record how the job was looked at, and that the remarks were sent."""
    looks = [max((mark.seconds for mark in frame.marks if frame.is_valid(mark)), default=0.0) for frame in seen.frames]
    with engine.database.write() as connection:
        identity = job_id(engine, connection, seen.seen.job.id)
        last = reviewing.last_deed(connection, identity)
        # Their name may be spelled otherwise on the backend.
        if last is not None and (last.action, (last.actor or "").casefold()) == (action, by.casefold()):
            opened = sum(seconds > 0 for seconds in looks)
            # By the date that was expected: the same decision again is no second look.
            look = Look(identity, action, by, len(looks), opened, round(sum(looks), 3), expected)
            reviewing.record_look(connection, look)
        reviewing.drop_remarks(connection, identity, [remark.id for remark in sent])


def _decision(engine: Engine, number: int, by: str, report: Report) -> Decision:
    notes = "; ".join(report.notes)
    return Decision(report.title + (f" ({notes})" if notes else ""), next_job(engine, by, besides=number))
