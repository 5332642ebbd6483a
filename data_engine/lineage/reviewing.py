"""A review in progress: which frames were looked at by whom, what was remarked, and how the job was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

import sqlalchemy as sa

from data_engine.lineage.database import Connection, insert_new, rows_where_in, upsert
from data_engine.lineage.tables import job_frames, review_looks, review_marks, review_remarks, reviews
from data_engine.types import content_id

MarkName = Literal["seen", "clean", "remarked"]
"""``seen``: opened and left without a word."""
Decided = Literal["accepted", "rejected"]
XYWH = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody said of a frame of a job when they looked at it."""

    frame_id: str
    reviewer: str
    mark: MarkName
    content: str
    """Content id of the boxes that they saw: with others the mark is void."""
    seconds: float
    """The longest that the frame with these boxes was open at a time; 0 where it never was."""
    at: str


@dataclass(frozen=True, slots=True)
class Remark:
    """What is wrong on a frame; its annotator is told when the job is rejected."""

    id: str
    frame_id: str
    reviewer: str
    message: str
    xywh: XYWH | None
    at: str


@dataclass(frozen=True, slots=True)
class Look:
    """How a job was looked at when it was decided in the pages."""

    job_id: str
    action: Decided
    reviewer: str | None
    frames: int
    opened: int
    """Frames that somebody opened with the boxes that were decided on."""
    seconds: float
    """Over the frames that were opened, for which each was open the longest."""
    at: str


@dataclass(frozen=True, slots=True)
class LastDeed:
    """What was done with a job last."""

    action: str
    actor: str | None
    at: str


def record_marks(connection: Connection, job_id: str, marks: Sequence[Mark]) -> None:
    """Record marks in their order: the last of a reviewer on a frame counts, and the longest look at the same boxes."""
    known = {(mark.frame_id, mark.reviewer): mark for mark in marks_of(connection, job_id)}
    changed: dict[tuple[str, str], Mark] = {}
    for mark in marks:
        at = (mark.frame_id, mark.reviewer)
        before = changed.get(at) or known.get(at)
        seconds = mark.seconds
        if before is not None and before.content == mark.content:
            seconds = max(seconds, before.seconds)
        changed[at] = Mark(mark.frame_id, mark.reviewer, mark.mark, mark.content, seconds, mark.at)
    names = ("frame_id", "reviewer", "mark", "content", "seconds", "at")
    rows = [{"job_id": job_id, **dict(zip(names, astuple(mark), strict=True))} for mark in changed.values()]
    upsert(connection, review_marks, rows)


def marks_of(connection: Connection, job_id: str) -> list[Mark]:
    """The marks on a job's frames, the oldest first."""
    columns = (review_marks.c[name] for name in Mark.__dataclass_fields__)
    query = sa.select(*columns).where(review_marks.c.job_id == job_id)
    return [Mark(*row) for row in connection.execute(query.order_by(review_marks.c.at, review_marks.c.frame_id))]


def add_remark(connection: Connection, job_id: str, remark: Remark) -> str:
    """Keep a remark until the job is rejected; the same one again is the same.  Its id."""
    x, y, w, h = remark.xywh or (None, None, None, None)
    place = "" if remark.xywh is None else repr(remark.xywh)
    identity = content_id("remark", job_id, remark.frame_id, remark.reviewer, remark.message, place)
    row = {
        "id": identity,
        "job_id": job_id,
        "frame_id": remark.frame_id,
        "reviewer": remark.reviewer,
        "message": remark.message,
        "x": x,
        "y": y,
        "w": w,
        "h": h,
        "at": remark.at,
    }
    insert_new(connection, review_remarks, [row])
    return identity


def remarks_of(connection: Connection, job_id: str) -> list[Remark]:
    """The remarks on a job that were not sent yet, the oldest first."""
    query = sa.select(review_remarks).where(review_remarks.c.job_id == job_id)
    return [
        Remark(
            row.id,
            row.frame_id,
            row.reviewer,
            row.message,
            None if row.x is None else (row.x, row.y, row.w, row.h),
            row.at,
        )
        for row in connection.execute(query.order_by(review_remarks.c.at, review_remarks.c.id))
    ]


def drop_remarks(connection: Connection, job_id: str, ids: Iterable[str] | None = None) -> int:
    """Forget remarks on a job that were not sent, or all of them; how many there were."""
    where = review_remarks.c.job_id == job_id
    if ids is not None:
        where &= review_remarks.c.id.in_(list(ids))
    return connection.execute(sa.delete(review_remarks).where(where)).rowcount


def frames_in(connection: Connection, job_id: str) -> set[str]:
    """Ids of the frames of a job."""
    return set(connection.scalars(sa.select(job_frames.c.frame_id).where(job_frames.c.job_id == job_id)))


def record_look(connection: Connection, look: Look) -> None:
    """Record how a job was looked at when it was decided; once for the same decision."""
    identity = content_id("look", look.job_id, look.action, look.reviewer or "", look.at)
    names = ("job_id", "action", "reviewer", "frames", "opened", "seconds", "at")
    insert_new(connection, review_looks, [{"id": identity, **dict(zip(names, astuple(look), strict=True))}])


def looks_at(connection: Connection, job_ids: Iterable[str]) -> dict[str, list[Look]]:
    """How these jobs were looked at each time that they were decided in the pages, the oldest first, by id."""
    found: dict[str, list[Look]] = {}
    query = sa.select(*(review_looks.c[name] for name in Look.__dataclass_fields__)).order_by(review_looks.c.at)
    for row in rows_where_in(connection, query, review_looks.c.job_id, job_ids):
        found.setdefault(row.job_id, []).append(Look(*row))
    return found


def last_deed(connection: Connection, job_id: str) -> LastDeed | None:
    """What was recorded of a job last: submitted, accepted or rejected, and by whom."""
    query = sa.select(reviews.c.action, reviews.c.actor, reviews.c.at).where(reviews.c.job_id == job_id)
    row = connection.execute(query.order_by(reviews.c.at.desc(), reviews.c.id).limit(1)).first()
    return None if row is None else LastDeed(*row)


def annotated_by(connection: Connection, job_id: str) -> set[str]:
    """Everybody who handed a job in."""
    query = sa.select(reviews.c.actor).where(reviews.c.job_id == job_id, reviews.c.action == "submitted")
    return {name for name in connection.scalars(query) if name is not None}
