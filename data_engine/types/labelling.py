"""What people work on: boxes, tasks, jobs and remarks, in the words of CVAT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_engine.types.footage import Frame

Stage = Literal["annotation", "validation", "acceptance"]
"""Where a job stands in the review, named as CVAT names it."""
State = Literal["new", "in progress", "completed", "rejected"]
"""How far the job is inside its stage, named as CVAT names it."""
ProbeKind = Literal["invented", "shifted", "swapped"]
"""What is wrong with a probe: nothing is there, it stands beside its object, it has the name of another class."""
Role = Literal["annotator", "reviewer"]
"""What a person does in the loop."""
AccountRole = Literal["annotator", "reviewer", "admin"]
"""What a person may do on the pages: an admin what a reviewer may, and more."""
CONFIDENCE, PROPOSAL = "confidence", "proposal"
"""Attributes that carry a proposal's probability and id through an annotation tool; tools drop fields that they don't
know."""


@dataclass(frozen=True, slots=True)
class Box:
    """One labelled rectangle on one frame, as it travels to and from people."""

    label: str
    """Class name."""
    xywh: tuple[float, float, float, float]
    """Left, top, width, height in pixels of the full frame."""
    score: float | None = None
    """The proposing model's probability; None for a box drawn by a person."""
    proposal_id: str | None = None
    """Id of the model's proposal that this box began as; None for a box drawn by a person."""
    iscrowd: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the annotation tool keeps with the box (occluded, rotation …)."""


@dataclass(frozen=True, slots=True)
class PreAnnotation:
    """A model's proposals on one frame; quarantined until a person accepts them."""

    frame: Frame
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A box that is known to be wrong, shown among the proposals to see whether people look."""

    kind: ProbeKind
    box: Box
    """As it is shown; its proposal id is the probe's own."""
    replaces: Box | None = None
    """The proposal in whose place it stands and which is not shown; None beside an invented one."""


@dataclass(frozen=True, slots=True)
class TaskFrame:
    """A frame as it is handed to an annotation backend."""

    name: str
    """File name, unique inside the task; the only key that survives an export."""
    key: str
    """Storage key of the picture."""
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    """Proposals to begin from."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What to create on an annotation backend."""

    uid: str
    """Content id; creating the same uid twice gives the same task."""
    name: str
    labels: tuple[str, ...]
    frames: tuple[TaskFrame, ...]
    job_size: int
    """Frames a job."""
    assignee: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the annotation backend knows it."""

    id: int
    """The backend's own number."""
    name: str
    size: int
    """Frames."""
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of a task that one person works on."""

    id: int
    """The backend's own number."""
    task_id: int
    stage: Stage
    state: State
    assignee: str | None
    frame_names: tuple[str, ...]
    updated_at: str
    """ISO 8601, by the backend's clock; moves on every change of annotations, stage, state or assignee."""

    @property
    def accepted(self) -> bool:
        """Whether its annotations may enter a dataset version."""
        return self.stage == "acceptance" and self.state == "completed"


@dataclass(frozen=True, slots=True)
class Issue:
    """A reviewer's remark on a job."""

    id: int
    job_id: int
    message: str
    author: str | None
    created_at: str
    """ISO 8601."""
    frame_name: str | None = None
    xywh: tuple[float, float, float, float] | None = None
    resolved: bool = False


@dataclass(frozen=True, slots=True)
class JobContent:
    """What is drawn on the frames of a job."""

    boxes: Mapping[str, tuple[Box, ...]]
    """By frame name; every frame of the job that was not deleted is a key."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Shapes that no detector here takes, by what they are: ``rotated box``, ``polygon``, ``track`` …"""
    deleted: frozenset[str] = frozenset()
    """Frames of the job that somebody took out of the task."""
    hidden: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    """What is drawn on deleted frames, by frame name: it enters no dataset, and is there again when a frame is."""
    lacking: tuple[str, ...] = ()
    """Labels that the task was made with and that are gone: their boxes went with them, whatever people drew."""


@dataclass(frozen=True, slots=True)
class DeletedFrames:
    """Which frames of a task somebody deleted on the annotation backend."""

    names: frozenset[str]
    at: str
    """Date of the task: another one when frames may have been deleted or brought back since."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who annotates or reviews."""

    id: int
    """The backend's own number."""
    name: str
    """What they log in with."""
    email: str = ""
    role: str = ""
    """The backend's word: ``worker``, ``user``, ``admin``."""
