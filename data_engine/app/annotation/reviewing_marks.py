"""What reviewers say of single frames while they look at a job; kept, so that a review goes on anywhere.

Only lineage is asked, never the backend: a mark is one key, and there are hundreds of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, get_args

from data_engine.app.annotation.reviewing_job import told_remark
from data_engine.errors import MissingInputError, UsageError
from data_engine.lineage import footage, reviewing, waiting_jobs
from data_engine.lineage.reviewing import LastDeed, Mark, MarkName, Remark

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.lineage.database import Connection

LONGEST = 2000
"""Letters of a remark."""
LONGEST_LOOK_S = 600.0
"""A frame that was open for longer was left alone."""
_CONTENT = re.compile(r"[0-9a-f]{32}")
XYWH = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Given:
    """A mark as a page sends it."""

    frame: str
    mark: MarkName
    content: str
    """Of the boxes that were on the page."""
    seconds: float = 0.0
    """For which the frame was open this time."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What everybody has said of a job so far."""

    stage: str
    state: str
    updated_at: str
    """Of the job, as far as lineage saw it."""
    last: LastDeed | None
    marks: tuple[Mark, ...]
    remarks: tuple[Remark, ...]

    def told(self, besides: str | None = None) -> dict[str, Any]:
        """As JSON for the page.

        Args:
            besides: whose marks are left out, for they know them: there are hundreds after some hundred keys.
        """
        return {
            **({} if besides is None else {"others_only": True}),
            "stage": self.stage,
            "state": self.state,
            "updated_at": self.updated_at,
            "last": None if self.last is None else {"action": self.last.action, "by": self.last.actor},
            "marks": [
                {"frame": m.frame_id, "by": m.reviewer, "mark": m.mark, "content": m.content}
                for m in self.marks
                if m.reviewer != besides
            ],
            "remarks": [told_remark(remark) for remark in self.remarks],
        }


def standing(engine: Engine, number: int) -> Standing:
    """What everybody has said of a job.

    Raises:
        MissingInputError: there is no such job.
    """
    with engine.database.read() as connection:
        return _standing(connection, job_id(engine, connection, number))


def known_standing(engine: Engine, number: int) -> Standing | None:
    """As :func:`standing`; None of a job that lineage has not seen yet."""
    try:
        return standing(engine, number)
    except MissingInputError:
        return None


def mark(engine: Engine, number: int, reviewer: str, given: Sequence[Given]) -> Standing:
    """Record marks in their order; sent twice they are the same.

    Args:
        engine: the workspace.
        number: of the job.
        reviewer: who looked.
        given: what they said.

    Raises:
        MissingInputError: there is no such job, or a frame is not in it (any more).
        UsageError: no such mark.
    """
    now = engine.now()
    for each in given:
        if each.mark not in get_args(MarkName) or not _CONTENT.fullmatch(each.content) or not isfinite(each.seconds):
            raise UsageError(f"this is no mark of a frame: {each.mark} {each.content} {each.seconds}")
    with engine.database.write() as connection:
        identity = job_id(engine, connection, number)
        _require(connection, identity, number, [each.frame for each in given])
        marks = [
            Mark(each.frame, reviewer, each.mark, each.content, min(max(each.seconds, 0.0), LONGEST_LOOK_S), now)
            for each in given
        ]
        reviewing.record_marks(connection, identity, marks)
        return _standing(connection, identity)


def remark(engine: Engine, number: int, reviewer: str, frame: str, message: str, xywh: XYWH | None = None) -> Standing:
    """Keep what is wrong on a frame until the job is rejected.

    Args:
        engine: the workspace.
        number: of the job.
        reviewer: who says so.
        frame: id of the frame.
        message: for its annotator.
        xywh: the place in the frame, in pixels; what sticks out of the picture is cut off.

    Raises:
        MissingInputError: there is no such job, or the frame is not in it.
        UsageError: no message or one that is too long; a place that is not in the picture.
    """
    message = message.strip()
    if not message or len(message) > LONGEST:
        raise UsageError(f"a remark has 1 to {LONGEST} letters")
    with engine.database.write() as connection:
        identity = job_id(engine, connection, number)
        _require(connection, identity, number, [frame])
        place = None if xywh is None else _place(connection, frame, xywh)
        reviewing.add_remark(connection, identity, Remark("", frame, reviewer, message, place, engine.now()))
        return _standing(connection, identity)


def unremark(engine: Engine, number: int, remark_id: str) -> Standing:
    """Forget a remark that was not sent; quietly where it is not there."""
    with engine.database.write() as connection:
        identity = job_id(engine, connection, number)
        reviewing.drop_remarks(connection, identity, [remark_id])
        return _standing(connection, identity)


def job_id(engine: Engine, connection: Connection, number: int) -> str:
    """Lineage's id of a job.

    Raises:
        MissingInputError: there is no such job.
    """
    identity = waiting_jobs.identity(connection, engine.backend().name, number)
    if identity is None:
        raise MissingInputError(f"there is no job {number}", hint="dataengine review list")
    return identity


def _require(connection: Connection, identity: str, number: int, frames: Sequence[str]) -> None:
    there = reviewing.frames_in(connection, identity)
    missing = [frame for frame in frames if frame not in there]
    if missing:
        raise MissingInputError(f"job {number} has no frame {missing[0]!r} (any more)", hint="load the page again")


def _place(connection: Connection, frame_id: str, xywh: XYWH) -> XYWH:
    from data_engine.formats.boxes import clipped

    frame = footage.frames_by_id(connection, [frame_id])[frame_id]
    x, y, w, h = map(float, xywh)
    inside = None
    if all(map(isfinite, (x, y, w, h))) and w > 0 and h > 0:
        inside = clipped((x, y, w, h), frame.width, frame.height)
    if inside is None:
        raise UsageError(
            f"the place {x:g},{y:g},{w:g},{h:g} is not in the picture, which has {frame.width} x {frame.height} pixels"
        )
    left, top, width, height = (round(value, 2) for value in inside)
    return left, top, width, height


def _standing(connection: Connection, identity: str) -> Standing:
    stage, state, updated_at = waiting_jobs.stands(connection, identity)
    return Standing(
        stage,
        state,
        updated_at,
        reviewing.last_deed(connection, identity),
        tuple(reviewing.marks_of(connection, identity)),
        tuple(reviewing.remarks_of(connection, identity)),
    )
