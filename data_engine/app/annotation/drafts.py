"""Drawing in the pages: a job opened, its frames saved one by one, and handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from data_engine.app.annotation import review
from data_engine.errors import ConflictError, MissingInputError, UsageError
from data_engine.lineage import labelling, shown_boxes, uploads, work_lists
from data_engine.lineage.job_history import histories
from data_engine.lineage.work_lists import JobFrame, ListedJob
from data_engine.ports import DraftKeeper
from data_engine.types import Box, Draft, Issue, Job, Report

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.lineage.labelling import KnownJob
    from data_engine.ports import AnnotationBackend

PAGE = 50
"""Jobs a page."""
MOST_BOXES = 2000
"""Boxes that a frame may have, so that no request is without bounds."""


class FrameGoneError(MissingInputError):
    """The job is there, and this frame is none of its any more."""


@dataclass(frozen=True, slots=True)
class Lists:
    """What an annotator finds first."""

    mine: Sequence[ListedJob]
    """A page of their own at most, what was sent back first."""
    mine_total: int
    free: Sequence[ListedJob]
    """A page of those that nobody has."""
    free_total: int
    after: tuple[int, int] | None
    """Where the next page of them begins; None where this is the last."""
    done: Sequence[ListedJob]


@dataclass(frozen=True, slots=True)
class Opened:
    """A job as it is drawn on."""

    job: Job
    task_name: str
    labels: tuple[str, ...]
    frames: Sequence[JobFrame]
    remarks: Sequence[Issue]
    """What a reviewer said of what was handed in last, in the order of the frames."""
    earlier: Sequence[Issue]
    """What was said before that."""
    link: str
    """Where it is opened instead, where boxes are not drawn here."""
    drawn_here: bool


@dataclass(frozen=True, slots=True)
class FrameDraft:
    """A frame as it is drawn on."""

    draft: Draft
    proposed: Sequence[Box]
    """What its people were shown at first."""


def lists(engine: Engine, person: str, after: tuple[int, int] | None = None) -> Lists:
    """The jobs of a person, and those that nobody has, page by page."""
    backend = engine.backend()
    with engine.database.read() as connection:
        mine = work_lists.to_annotate(connection, backend.name, person, limit=PAGE)
        free = work_lists.to_annotate(connection, backend.name, None, after=after, limit=PAGE + 1)
        mine_total = work_lists.count_to_annotate(connection, backend.name, person)
        free_total = work_lists.count_to_annotate(connection, backend.name, None)
        done = work_lists.handed_in_by(connection, backend.name, person)
    more = work_lists.turn_of(free[PAGE - 1]) if len(free) > PAGE else None
    return Lists(mine, mine_total, free[:PAGE], free_total, more, done)


def open_job(engine: Engine, number: int) -> Opened:
    """A job with its frames and remarks.

    Raises:
        MissingInputError: no such job, or it was deleted, or was not uploaded from here.
    """
    backend = engine.backend()
    job = backend.job(number)
    with engine.database.read() as connection:
        known = _known(engine, backend, number)
        frames = work_lists.frames_of(connection, known)
        labels = uploads.task_labels(connection, known.task_id)
        since = histories(connection, [known])[known.id].submitted_at
        name = uploads.task_name(connection, known.task_id)
    there = set(job.frame_names)
    frames = [frame for frame in frames if frame.name in there]
    place = {frame.name: at for at, frame in enumerate(frames)}
    said = sorted(
        (issue for issue in backend.issues(number) if not issue.resolved),
        key=lambda issue: place.get(issue.frame_name or "", -1),
    )
    from_then = None if since is None else datetime.fromisoformat(since)
    fresh = [one for one in said if from_then is None or datetime.fromisoformat(one.created_at) >= from_then]
    earlier = [issue for issue in said if issue not in fresh]
    return Opened(job, name, labels, frames, fresh, earlier, backend.link_of(number), backend.edits_files)


def start(engine: Engine, number: int, person: str) -> Report:
    """Work on a job begins, and it is this person's from now on; again changes nothing.

    Raises:
        ConflictError: it is somebody else's, or was handed in.
    """
    job = engine.backend().job(number)
    if (job.stage, job.state, job.assignee) == ("annotation", "in progress", person):
        return Report(title=f"job {number} begun before by {person}")
    return review.start(engine, number, person)


def read(engine: Engine, number: int, frame_id: str) -> FrameDraft:
    """A frame of a job as it is being drawn on.

    Raises:
        MissingInputError: no such job, or it has no such frame.
    """
    backend = engine.backend()
    keeper = _keeper(backend, number)
    known = _known(engine, backend, number)
    draft = keeper.draft(number, _name(engine, known, frame_id))
    with engine.database.read() as connection:
        shown = shown_boxes.proposals_on(connection, known.task_id, [frame_id]).get(frame_id, [])
    return FrameDraft(draft, [proposal.box for proposal in shown])


def save(engine: Engine, number: int, frame_id: str, boxes: Sequence[Box], *, expected: str, person: str) -> Draft:
    """Save a frame; see :meth:`data_engine.ports.DraftKeeper.save_draft`, whose errors are raised.

    Raises:
        UsageError: more boxes than a frame may have.
    """
    if len(boxes) > MOST_BOXES:
        raise UsageError(f"a frame has {MOST_BOXES} boxes at most, not {len(boxes)}")
    backend = engine.backend()
    keeper = _keeper(backend, number)
    name = _name(engine, _known(engine, backend, number), frame_id)
    return keeper.save_draft(number, name, boxes, expected=expected, by=person)


def submit(engine: Engine, number: int, person: str) -> Report:
    """Hand a job in as it was saved last.

    Raises:
        ConflictError: it is somebody else's, or its review has begun.
    """
    backend = engine.backend()
    job = backend.job(number)
    if job.stage == "annotation" and job.assignee != person:
        raise ConflictError(
            f"job {number} is {job.assignee or 'nobody'}'s, not yours", hint=f"dataengine review show {number}"
        )
    return review.submit(engine, number, by=person)


def box_of(given: Mapping[str, Any]) -> Box:
    """A box as a page sends it; UsageError for anything else."""
    try:
        x, y, w, h = (float(value) for value in given["xywh"])
        score, proposal = given.get("score"), given.get("proposal")
        return Box(
            str(given["label"]),
            (x, y, w, h),
            None if score is None else float(score),
            str(proposal) if proposal else None,
            bool(given.get("crowd", False)),
            {str(name): value for name, value in (given.get("attributes") or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"that is no box: {error}") from None


def told(box: Box) -> dict[str, Any]:
    """A box as a page gets it; :func:`box_of` reads it back."""
    return {
        "label": box.label,
        "xywh": list(box.xywh),
        "score": box.score,
        "proposal": box.proposal_id,
        "crowd": box.iscrowd,
        "attributes": dict(box.attributes),
    }


def _keeper(backend: AnnotationBackend, number: int) -> DraftKeeper:
    if not backend.edits_files:
        raise UsageError(f"the boxes of job {number} are not drawn here", hint=f"open {backend.link_of(number)}")
    return cast("DraftKeeper", backend)


def _known(engine: Engine, backend: AnnotationBackend, number: int) -> KnownJob:
    with engine.database.read() as connection:
        known = labelling.numbered(connection, backend.name, number)
    if known is None:
        raise MissingInputError(f"job {number} was not uploaded from here", hint="dataengine review list")
    return known


def _name(engine: Engine, known: KnownJob, frame_id: str) -> str:
    with engine.database.read() as connection:
        name = work_lists.name_in(connection, known, frame_id)
    if name is None:
        raise FrameGoneError(f"job {known.number} has no such frame", hint=f"dataengine review show {known.number}")
    return name
