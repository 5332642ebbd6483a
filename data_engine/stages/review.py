"""Review: assign, start, submit, accept or reject a job.

    annotation --submit--> validation --accept--> acceptance, completed  (only these boxes enter a dataset version)
        ^                       |                       |
        +-------- reject -------+--------- reject ------+

On a server people correct boxes there and set the job to ``completed`` themselves, and ``sync`` moves it on; what is
submitted here is that word, never boxes, for a server holds more than a file of boxes can.

The stages and states are CVAT's.  Doing again what has already happened is quiet and changes nothing, so a script
that was killed is simply run again.  Who decides by a job that somebody else changes at the same moment gets a
ConflictError: nobody accepts boxes that were put there after the decision.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from data_engine.errors import ConflictError, UnknownPersonError, UsageError
from data_engine.types import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from data_engine.ports import AnnotationBackend
    from data_engine.types import Box, Issue, Job

_Rows = list[tuple[object, ...]]
_A: dict[Role, str] = {"annotator": "an annotator", "reviewer": "a reviewer"}


@dataclass(frozen=True, slots=True)
class Place:
    """Something that is wrong with a job, and where."""

    message: str
    author: str | None = None
    frame_name: str | None = None
    """None is the whole job."""
    xywh: tuple[float, float, float, float] | None = None
    """Which part of that frame, in pixels."""


def start(backend: AnnotationBackend, job_id: int, assignee: str | None = None) -> Job:
    """Say that work on the job begins: state ``in progress``, and who does it; from then on minutes are counted.

    Raises:
        ConflictError: the job is not in stage ``annotation``, somebody else has it, or it changed at the same moment.
    """
    job = backend.job(job_id)
    if job.stage != "annotation":
        raise ConflictError(
            f"job {job_id} has been submitted ({_standing(job)}): there is nothing to begin",
            hint=f"dataengine review show {job_id}",
        )
    _refuse_other(job, assignee)
    return backend.update_job(job_id, state="in progress", assignee=assignee, expected=job.updated_at)


def assign(backend: AnnotationBackend, job_id: int, assignee: str, role: Role | None = None) -> Job:
    """Give the job to somebody: in stage ``annotation`` to an annotator, later to a reviewer.

    Args:
        backend: where the job is.
        job_id: its number there.
        assignee: name or e-mail; the empty string takes the job from whoever has it.
        role: what they are to do; refused where it is not the job's turn for that.

    Raises:
        ConflictError: another role's turn; the job is accepted, or changed at the same moment.
        UsageError: nobody is called so.
    """
    job = backend.job(job_id)
    if job.accepted:
        # A change of it would look like a change of its boxes.
        raise ConflictError(
            f"job {job_id} is accepted: nobody has anything to do with it",
            hint=f"to open it again: dataengine review reject {job_id} --reason '...'",
        )
    turn: Role = "annotator" if job.stage == "annotation" else "reviewer"
    if role is not None and role != turn:
        on_its_way = waits_for_sync(backend, job)
        raise ConflictError(
            f"job {job_id} waits for {'sync' if on_its_way else _A[turn]}, not for {_A[role]} ({_standing(job)})",
            hint="dataengine sync" if on_its_way else f"dataengine review show {job_id}",
        )
    return backend.update_job(job_id, assignee=assignee, expected=job.updated_at)


def submit(backend: AnnotationBackend, job_id: int, boxes: Mapping[str, Sequence[Box]]) -> Job:
    """Take the annotator's boxes; the job goes to stage ``validation``, state ``new``.

    Allowed from stage ``annotation``, and again while nobody has begun to review (``validation``, ``new``): a slip
    noticed a minute later can still be mended.  Boxes that the job already has after its submission change nothing
    (coordinates are compared to a hundredth of a pixel, as servers round them).

    Raises:
        ConflictError: other boxes for a job whose review has begun or is over; it changed at the same moment.
        DamagedInputError: a frame or a label that the job does not have.
    """
    job = backend.job(job_id)
    if job.stage != "annotation":
        if _rows(backend.annotations(job_id).boxes) == _rows(boxes):
            return job
        if job.stage == "acceptance" or job.state != "new":
            done = "has been accepted" if job.accepted else "is being reviewed"
            raise ConflictError(
                f"job {job_id} {done} ({_standing(job)}): other boxes cannot be submitted",
                hint=f"to open it again: dataengine review reject {job_id} --reason '...'",
            )
    return backend.put_annotations(job_id, boxes, stage="validation", state="new", expected=job.updated_at)


def complete(backend: AnnotationBackend, job_id: int, annotator: str | None = None) -> Job:
    """Say in its annotator's name that a job on a server is done: state ``completed``, and nothing else.

    A job that is past its annotator stays as it is.

    Raises:
        ConflictError: somebody else than ``annotator`` has it, or it changed at the same moment.
    """
    job = backend.job(job_id)
    if job.stage != "annotation":
        return job
    _refuse_other(job, annotator)
    return backend.update_job(job_id, state="completed", expected=job.updated_at)


def _refuse_other(job: Job, person: str | None) -> None:
    if person is not None and job.assignee not in (None, person):
        raise ConflictError(
            f"job {job.id} is {job.assignee}'s, not {person}'s", hint="see who has which: dataengine review list"
        )


def _rows(boxes: Mapping[str, Sequence[Box]]) -> _Rows:
    """Boxes in a form and an order in which equal ones are equal."""
    return sorted(
        (name, box.label, *(round(value, 2) + 0.0 for value in box.xywh), box.iscrowd, box.proposal_id or "")
        for name, rows in boxes.items()
        for box in rows
    )


def accept(backend: AnnotationBackend, job_id: int, *, seen: Job | None = None, lead: str | None = None) -> Job:
    """Accept the job's boxes: stage ``acceptance`` and state ``completed``, in one change.

    Args:
        backend: where the job is.
        job_id: its number there.
        seen: the job that is accepted; as it is now by default.
        lead: who is to take a second look: then the job goes to them instead, stage ``acceptance`` and state ``new``.

    Raises:
        ConflictError: the job was not submitted, waits for the second look already, or changed at the same moment.
    """
    job = backend.job(job_id) if seen is None else seen
    if job.accepted:
        return job
    if job.stage == "annotation":
        raise ConflictError(f"job {job_id} has not been submitted ({_standing(job)})", hint=_submit_it(backend, job))
    if lead is None:
        return backend.update_job(job_id, stage="acceptance", state="completed", expected=job.updated_at)
    if job.stage == "acceptance" and job.state != "rejected" and job.assignee == lead:
        raise ConflictError(
            f"job {job_id} waits for the second look, which is {lead}'s",
            hint=f"dataengine review accept {job_id} --by {shlex.quote(lead)}",
        )
    return backend.update_job(job_id, stage="acceptance", state="new", assignee=lead, expected=job.updated_at)


def reject(
    backend: AnnotationBackend,
    job_id: int,
    reason: str,
    author: str | None = None,
    frame_name: str | None = None,
    xywh: tuple[float, float, float, float] | None = None,
    back_to: str | None = None,
    also: Sequence[Place] = (),
) -> tuple[Job, Issue]:
    """Send the job back to its annotator: the reason as an issue, stage ``annotation`` and state ``rejected``.

    Also an accepted job can be opened again in this way; versions that hold its boxes stay as they are.

    Args:
        backend: where the job is.
        job_id: its number there.
        reason: for the annotator.
        author: who rejects.
        frame_name: where, when it is about one frame.
        xywh: which part of that frame, in pixels.
        back_to: the annotator, who gets it; the empty string is nobody, and so is one whom the backend does not know
            any more; None leaves it with whoever has it.
        also: what else is wrong with it; each becomes an issue before the reason does.

    Raises:
        UsageError: no reason; a frame that the job does not have; a part of no frame.
        ConflictError: the job was not submitted, was rejected for another reason, or changed at the same moment.
    """
    reason = reason.strip()
    if not reason:
        raise UsageError(f"job {job_id} cannot be rejected without a reason", hint="add --reason '...'")
    if xywh is not None and frame_name is None:
        raise UsageError("a part of a picture needs the name of its frame")
    job = backend.job(job_id)
    if frame_name is not None and frame_name not in job.frame_names:
        raise UsageError(f"job {job_id} has no frame {frame_name!r}", hint=f"dataengine review show {job_id}")
    said = backend.issues(job_id)
    same = _like(said, Place(reason, author, frame_name, xywh))
    if job.stage == "annotation":
        if job.state == "rejected" and same:
            return job, same[-1]
        if job.state == "rejected":
            raise ConflictError(
                f"job {job_id} is already back with its annotator", hint=f"dataengine review show {job_id}"
            )
        raise ConflictError(f"job {job_id} has not been submitted ({_standing(job)})", hint=_submit_it(backend, job))
    # The issues come first.  One that is newer than the job's last change is that of a rejection that was killed
    # before it changed the job; an older one belongs to an earlier round, and the reason counts again.
    for place in also:
        if place.frame_name is None or place.frame_name in job.frame_names:
            _remark(backend, job, place, said)
    issue = _remark(backend, job, Place(reason, author, frame_name, xywh), said)
    # Left with a reviewer, it would be corrected by the one who is to look at it.
    other = None if back_to == job.assignee else back_to
    try:
        after = backend.update_job(
            job_id, stage="annotation", state="rejected", assignee=other, expected=job.updated_at
        )
    except UnknownPersonError:
        after = backend.update_job(job_id, stage="annotation", state="rejected", assignee="", expected=job.updated_at)
    return after, issue


def _like(said: Sequence[Issue], place: Place) -> list[Issue]:
    wanted = (place.message, place.author, place.frame_name, place.xywh)
    return [i for i in said if (i.message, i.author, i.frame_name, i.xywh) == wanted]


def _remark(backend: AnnotationBackend, job: Job, place: Place, said: Sequence[Issue]) -> Issue:
    """The issue that says this of the job as it is now; made, where there is none."""
    changed = datetime.fromisoformat(job.updated_at)
    issue = next((i for i in _like(said, place) if datetime.fromisoformat(i.created_at) >= changed), None)
    return issue or backend.add_issue(
        job.id,
        place.message,
        author=place.author,
        frame_name=place.frame_name,
        xywh=place.xywh,
        expected=job.updated_at,
    )


def waits_for_sync(backend: AnnotationBackend, job: Job) -> bool:
    """Whether somebody has said on the server what is to become of the job, and ``sync`` is to act on it."""
    said = ("completed",) if job.stage == "annotation" else ("completed", "rejected")
    return not backend.edits_files and job.state in said and not job.accepted


def next_step(backend: AnnotationBackend, job: Job) -> str:
    """What to do with the job now, and where, or the command for it."""
    if waits_for_sync(backend, job):
        return "dataengine sync"
    if job.accepted:
        return "dataengine export"
    if backend.edits_files:
        return _with_files(job)
    link = backend.link_of(job.id)
    if job.stage == "annotation":
        why = f"read why: dataengine review show {job.id}; " if job.state == "rejected" else ""
        return f"{why}correct it in CVAT and set it to completed: {link}"
    by_command = f"dataengine review accept {job.id}, or: dataengine review reject {job.id} --reason '...'"
    return f"set it to completed or rejected in CVAT: {link}; or: {by_command}"


def _submit_it(backend: AnnotationBackend, job: Job) -> str:
    return f"dataengine review submit {job.id}" if backend.edits_files else next_step(backend, job)


def _with_files(job: Job) -> str:
    submit_it = f"dataengine review submit {job.id}"
    if job.stage == "annotation":
        if job.state == "rejected":
            return f"read why: dataengine review show {job.id}; correct the boxes, then: {submit_it}"
        return f"correct the boxes, then: {submit_it}"
    if job.stage == "validation":
        return f"dataengine review accept {job.id}, or: dataengine review reject {job.id} --reason '...'"
    return f"dataengine review accept {job.id}"


def _standing(job: Job) -> str:
    return f"stage {job.stage}, state {job.state}"
