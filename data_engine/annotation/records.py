"""What the local backend writes down about tasks and jobs, as JSON.

<prefix>/.last.json                                   the largest numbers of a task and of a job that ever were
<prefix>/tasks/<task>/task.json                       TaskRecord; never changes
<prefix>/tasks/<task>/images/<frame name>             the pictures
<prefix>/tasks/<task>/jobs/<job>/annotations.json     COCO; the file that people edit
<prefix>/tasks/<task>/jobs/<job>/saved.json           who saved which frame of it last, where that was said
<prefix>/tasks/<task>/jobs/<job>/README.txt           how to edit and submit it
<prefix>/tasks/<task>/jobs/<job>/job.json             JobRecord
<prefix>/tasks/<task>/jobs/<job>/boxes.json           the boxes as last put, by frame name
"""

from __future__ import annotations

from math import isfinite
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

import msgspec

from data_engine.errors import DamagedInputError, UsageError
from data_engine.formats import strict_json
from data_engine.types import Box, Issue, Job, Stage, State, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

R = TypeVar("R")

Boxes = dict[str, tuple[Box, ...]]
"""Boxes by frame name."""


class TaskRecord(msgspec.Struct, frozen=True):
    """A task; its number is the name of its folder."""

    uid: str
    name: str
    labels: tuple[str, ...]
    size: int
    """Frames."""
    jobs: tuple[int, ...]
    """Numbers of its jobs, ascending."""


class FrameRecord(msgspec.Struct, frozen=True):
    """A picture of a job."""

    name: str
    width: int
    height: int


class JobRecord(msgspec.Struct, frozen=True):
    """A job; its number is the name of its folder."""

    stage: Stage
    state: State
    assignee: str | None
    updated_at: str
    """ISO 8601 in UTC with microseconds."""
    frames: tuple[FrameRecord, ...]
    issues: tuple[Issue, ...] = ()

    def seen_as(self, job_id: int, task_id: int) -> Job:
        """The job as the port shows it."""
        names = tuple(frame.name for frame in self.frames)
        return Job(job_id, task_id, self.stage, self.state, self.assignee, names, self.updated_at)


def encode(record: TaskRecord | JobRecord | Boxes) -> bytes:
    """Indented JSON, the same bytes for the same record."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=1) + b"\n"


def decode(data: bytes, kind: type[R], name: str) -> R:
    """A record from its file; DamagedInputError when somebody changed it to something else."""
    return strict_json.decode(data, kind, name=name, what="a record of the annotation tasks")


def checked_spec(spec: TaskSpec) -> None:
    """Refuse a task that could not be worked on.

    Raises:
        UsageError: no frame, no label, a job size below 1.
        DamagedInputError: frame names that are equal or are not plain file names; boxes that are damaged.
    """
    if not spec.frames:
        raise UsageError(f"task {spec.name!r} has no frames")
    if not spec.labels:
        raise UsageError(f"task {spec.name!r} has no labels")
    if spec.job_size < 1:
        raise UsageError(f"a job has at least 1 frame, not {spec.job_size}")
    seen: set[str] = set()
    for frame in spec.frames:
        if frame.name != PurePosixPath(frame.name).name or frame.name in ("", "..") or set(frame.name) & set("\\\0"):
            raise DamagedInputError(f"frame name {frame.name!r} is not a plain file name")
        if frame.name in seen:
            raise DamagedInputError(f"two frames of task {spec.name!r} are named {frame.name!r}")
        seen.add(frame.name)
    checked_boxes({frame.name: frame.boxes for frame in spec.frames}, seen, spec.labels, f"task {spec.name!r}")


def checked_boxes(
    boxes: Mapping[str, Sequence[Box]], frames: Collection[str], labels: Collection[str], owner: str
) -> Boxes:
    """The boxes as plain floats.

    Args:
        boxes: by frame name.
        frames: the names that there are.
        labels: the labels that there are.
        owner: who has these frames and labels, for the messages: ``job 3``.

    Raises:
        DamagedInputError: another frame or label; a box with NaN or infinite numbers, or without area.
    """
    plain: Boxes = {}
    for name, rows in boxes.items():
        if name not in frames:
            raise DamagedInputError(f"{owner} has no frame {name!r}")
        for box in rows:
            if box.label not in labels:
                raise DamagedInputError(
                    f"{owner} has no label {box.label!r} (on {name}): its labels are {', '.join(labels)}"
                )
            x, y, w, h = box.xywh
            if not (isfinite(x) and isfinite(y) and isfinite(w) and isfinite(h) and isfinite(box.score or 0.0)):
                raise DamagedInputError(f"a box of {box.label!r} on {name} holds a number that is not finite")
            if w <= 0 or h <= 0:
                raise DamagedInputError(f"a box of {box.label!r} on {name} has {w:g} x {h:g} pixels")
        plain[name] = tuple(_plain(box) for box in rows)
    return plain


def _plain(box: Box) -> Box:
    # Numbers of numpy are not JSON.
    x, y, w, h = box.xywh
    score = None if box.score is None else float(box.score)
    xywh = float(x), float(y), float(w), float(h)
    return Box(box.label, xywh, score, box.proposal_id, bool(box.iscrowd), dict(box.attributes))
