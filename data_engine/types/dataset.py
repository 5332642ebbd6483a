"""Accepted boxes, and the versions of the dataset that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from data_engine.types.labelling import Box

Split = Literal["train", "valid", "guard", "golden"]
"""``guard`` frames stand between the sides in time and belong to none, so that neighbours never leak; models are judged
on ``golden`` ones, and never trained or chosen by them."""


@dataclass(frozen=True, slots=True)
class BoxDates:
    """When hands were laid on an accepted box: ISO 8601 in UTC, None where it is not known.

    Boxes that were merged by releases before 0005 of the schema know only when they were proposed and merged.
    """

    proposed_at: str | None = None
    """When the upload of its task began, by the clock of the machine that uploaded; None when a person drew it."""
    submitted_at: str | None = None
    """When its job was first seen to be out of its annotator's hands, by the annotation backend's clock."""
    accepted_at: str | None = None
    """When its job was first seen accepted, by the annotation backend's clock."""
    merged_at: str | None = None
    """When the version that brought it was made, by the clock of the machine that exported."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A box that people accepted, with everyone who had a hand in it."""

    id: str
    """``content_id("annotation", frame id, category id, coordinates, which of several equal ones)``."""
    frame_id: str
    category_id: int
    xywh: tuple[float, float, float, float]
    job_id: str
    """Lineage id of the accepted job."""
    iscrowd: bool = False
    proposal_id: str | None = None
    """The proposal it began as; None when a person drew it."""
    model_id: str | None = None
    """The model that proposed it; None when a person drew it."""
    change: Literal["kept", "edited", "added"] = "added"
    """What the people did to the proposal."""
    annotator: str | None = None
    reviewer: str | None = None
    dates: BoxDates = field(default=BoxDates(), compare=False)
    """What lineage knows of a box of a version; empty before it is in one."""


class Outlined(NamedTuple):
    """What of a box tells whether it was changed."""

    label: str
    xywh: tuple[float, float, float, float]


class Proposed(NamedTuple):
    """A proposal that people were shown on a frame."""

    id: str
    model_id: str | None
    box: Box | Outlined


class BoxRow(NamedTuple):
    """An accepted box as lineage keeps it but for its end, as plain as it comes: there may be a million."""

    id: str
    frame_id: str
    category_id: int
    x: float
    y: float
    w: float
    h: float
    iscrowd: bool
    job_id: str
    proposal_id: str | None
    model_id: str | None
    change: Literal["kept", "edited", "added"]
    annotator: str | None
    reviewer: str | None
    acceptance_id: str | None = None
    """The acceptance that it came in by; None before it is in a version, and where that was not recorded."""
    since: int = 0
    """Number of the first version that holds it; 0 before it is in one."""

    @property
    def xywh(self) -> tuple[float, float, float, float]:
        """Left, top, width, height in pixels."""
        return self.x, self.y, self.w, self.h


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable state of the master dataset."""

    id: str
    """Content id of its manifest."""
    number: int
    """From 1; shown as v1, v2 …"""
    parent_id: str | None
    frames: int
    boxes: int
    key: str
    """Storage key of ``master_dataset_vN.json``."""

    @property
    def label(self) -> str:
        """``v<number>``."""
        return f"v{self.number}"
