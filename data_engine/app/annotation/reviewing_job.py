"""One job as its reviewer sees it: every frame with what was proposed, what its annotator left, and who looked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_engine.app.annotation.job_boxes import boxes_now
from data_engine.app.annotation.job_look import peek
from data_engine.errors import MissingInputError
from data_engine.lineage import footage, reviewing, shown_boxes, uploads
from data_engine.stages.audit import fates
from data_engine.stages.sync import content_of
from data_engine.types import Issue, JobContent, Proposed

if TYPE_CHECKING:
    from data_engine.app.annotation.jobs import SeenJob
    from data_engine.app.engine import Engine
    from data_engine.lineage.reviewing import LastDeed, Mark, Remark
    from data_engine.ports import AnnotationBackend
    from data_engine.stages.audit import Fate
    from data_engine.types import Box

XYWH = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FrameView:
    """A frame of a job under review."""

    id: str
    name: str
    number: int
    """In its task, from 0, as CVAT counts."""
    width: int
    height: int
    content: str
    """Content id of the boxes on it: a mark counts for these."""
    boxes: tuple[Fate, ...]
    removed: tuple[Proposed, ...]
    marks: tuple[Mark, ...]
    remarks: tuple[Remark, ...]
    """Not sent yet."""
    issues: tuple[Issue, ...]
    """Sent with an earlier rejection."""

    @property
    def counts(self) -> dict[str, int]:
        """Boxes by what became of them, those that there are none of left out."""
        names = [fate.what for fate in self.boxes] + ["removed"] * len(self.removed)
        return {name: names.count(name) for name in dict.fromkeys(names)}

    def is_valid(self, mark: Mark) -> bool:
        """Whether the boxes are still those that were looked at."""
        return mark.content == self.content

    @property
    def standing(self) -> str:
        """What is said of it by anybody: ``remarked`` before ``clean`` before ``seen``; empty where nobody looked."""
        said = {mark.mark for mark in self.marks if self.is_valid(mark)}
        if self.remarks:
            return "remarked"
        return next((name for name in ("remarked", "clean", "seen") if name in said), "")

    def told(self) -> dict[str, Any]:
        """As JSON for the page."""
        return {
            "id": self.id,
            "name": self.name,
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "content": self.content,
            "boxes": [told_fate(fate) for fate in self.boxes],
            "removed": [{"label": p.box.label, "box": p.box.xywh, "score": _score(p)} for p in self.removed],
            "marks": [{"by": m.reviewer, "mark": m.mark, "valid": self.is_valid(m)} for m in self.marks],
            "remarks": [told_remark(remark) for remark in self.remarks],
            "issues": [{"message": i.message, "by": i.author, "box": i.xywh} for i in self.issues],
        }


@dataclass(frozen=True, slots=True)
class JobView:
    """A job under review."""

    seen: SeenJob
    task_name: str
    frames: tuple[FrameView, ...]
    gone: int
    """Frames that were deleted on the server."""
    issues: tuple[Issue, ...]
    """Earlier remarks on the whole job."""
    last: LastDeed | None
    link: str | None
    """Where the job is opened on its server; None where it has none."""

    @property
    def waits(self) -> bool:
        """Whether somebody is to accept or reject it."""
        return self.seen.job.stage != "annotation" and not self.seen.job.accepted

    @property
    def annotator(self) -> str | None:
        """Who annotated it, as far as is known."""
        return self.seen.known.annotator


def view(engine: Engine, number: int) -> JobView:
    """A job with all that a reviewer is to see of it; nothing is recorded.

    Args:
        engine: the workspace.
        number: of the job, on its backend.

    Raises:
        MissingInputError: there is no such job, or it was not uploaded from here.
    """
    backend = engine.backend()
    seen = peeked(engine, backend, number)
    boxes = boxes_now(engine, backend, seen)
    names = [name for name in seen.job.frame_names if name in boxes]
    with engine.database.read() as connection:
        ids = uploads.frame_names(connection, seen.known.task_id)
        order = {name: at for at, name in enumerate(uploads.frame_order(connection, seen.known.task_id))}
        frames = footage.frames_by_id(connection, [ids[name] for name in names if name in ids])
        shown = shown_boxes.proposals_on(connection, seen.known.task_id, frames)
        marks = _by_frame(reviewing.marks_of(connection, seen.known.id))
        remarks = _by_frame(reviewing.remarks_of(connection, seen.known.id))
        last = reviewing.last_deed(connection, seen.known.id)
        plan = uploads.task_name(connection, seen.known.task_id)
    issues = [issue for issue in backend.issues(number) if not issue.resolved]
    least = engine.settings.export.match_iou

    def framed(name: str) -> FrameView:
        frame = frames[ids[name]]
        before = [Proposed(p.id, p.model_id, p.box) for p in shown.get(frame.id, ())]
        left, removed = fates(before, boxes[name], least)
        return FrameView(
            id=frame.id,
            name=name,
            number=order[name],
            width=frame.width,
            height=frame.height,
            content=content_on(name, boxes[name]),
            boxes=tuple(left),
            removed=tuple(removed),
            marks=tuple(marks.get(frame.id, ())),
            remarks=tuple(remarks.get(frame.id, ())),
            issues=tuple(issue for issue in issues if issue.frame_name == name),
        )

    return JobView(
        seen=seen,
        task_name=plan,
        frames=tuple(framed(name) for name in names if ids.get(name) in frames),
        gone=len(seen.job.frame_names) - len(names),
        issues=tuple(issue for issue in issues if issue.frame_name is None),
        last=last,
        link=None if backend.edits_files else backend.link_of(number),
    )


def peeked(engine: Engine, backend: AnnotationBackend, number: int) -> SeenJob:
    """A job as it stands now, without a trace.

    Raises:
        MissingInputError: there is no such job, or it was not uploaded from here.
    """
    task = backend.job(number).task_id
    with engine.database.read() as connection:
        for seen in peek(engine, connection, backend, task):
            if seen.job.id == number:
                return seen
    raise MissingInputError(f"job {number} is not one of those that task {task} was cut into")


def content_on(name: str, boxes: Sequence[Box]) -> str:
    """Content id of the boxes on one frame, as :func:`~data_engine.stages.sync.content_of` compares boxes."""
    return content_of(JobContent({name: tuple(boxes)}))


def told_fate(fate: Fate) -> dict[str, Any]:
    """A box and what became of it, as JSON: by how much it was moved, what it was."""
    box, before = fate.box, fate.before
    told: dict[str, Any] = {"what": fate.what, "label": box.label, "box": box.xywh}
    if box.iscrowd:
        told["crowd"] = True
    if before is not None:
        told |= {"was": {"label": before.box.label, "box": before.box.xywh}, "score": _score(before)}
        told["by"] = round(moved_by(before.box.xywh, box.xywh), 1)
    return told


def told_remark(remark: Remark) -> dict[str, Any]:
    """A remark that was not sent yet, as JSON."""
    return {
        "id": remark.id,
        "frame": remark.frame_id,
        "by": remark.reviewer,
        "message": remark.message,
        "box": remark.xywh,
    }


def moved_by(a: XYWH, b: XYWH) -> float:
    """Pixels by which the edge of a box moved that moved the most."""
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[0] + a[2] - b[0] - b[2]), abs(a[1] + a[3] - b[1] - b[3]))


def _score(proposed: Proposed) -> float | None:
    score = getattr(proposed.box, "score", None)
    return round(score, 3) if isinstance(score, float) and math.isfinite(score) else None


def _by_frame(rows: Sequence[Any]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row.frame_id, []).append(row)
    return found
