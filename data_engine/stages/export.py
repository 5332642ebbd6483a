"""Stage 5: what people accepted becomes a dataset version.

Pure: accepted jobs in, annotations with everyone who had a hand in them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import XYWH, clipped, overlap, unmoved
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage
from data_engine.stages.base import StageSettings
from data_engine.types import Annotation, Box, ClassRegistry, DatasetVersion, Frame, Split, content_id

VERSION = 1


class ExportSettings(StageSettings):
    """How accepted annotations become a dataset version."""

    valid_fraction: float = Field(0.2, ge=0.0, le=0.9, description="share of each video's time blocks for validation")
    block: float = Field(
        60.0,
        gt=0.0,
        description="seconds in one block, which is on one side of the split (series of numbered pictures: by number)",
    )
    guard: float = Field(
        2.0,
        ge=0.0,
        description="seconds kept free between the two sides of the split (series of numbered pictures: by number)",
    )
    match_iou: float = Field(
        0.5, gt=0.0, le=1.0, description="overlap from which a box counts as the corrected proposal below it"
    )


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that people were shown on a frame."""

    id: str
    model_id: str | None
    box: Box


@dataclass(frozen=True, slots=True)
class Merged:
    """The accepted boxes of one frame."""

    frame_id: str
    content: str
    """Content id of the boxes alone, whoever made them: equal content makes no new version."""
    annotations: tuple[Annotation, ...]


def merge_frame(
    frame: Frame,
    boxes: Sequence[Box],
    proposed: Sequence[Proposed],
    registry: ClassRegistry,
    *,
    job_id: str,
    annotator: str | None,
    reviewer: str | None,
    match_iou: float,
) -> Merged:
    """Turn the boxes of an accepted frame into annotations that know where they began.

    A box that still carries its proposal's id began as that one.  Tools may drop ids, so the others are matched to
    the proposals that are left, the best overlap first.

    Raises:
        DamagedInputError: a label that is not registered, or a box that is not finite or has no size inside the frame.
    """
    origin = match(boxes, proposed, match_iou)
    drafts = []
    for index, box in enumerate(boxes):
        if box.label not in registry:
            raise DamagedInputError(f"{frame.name}: label {box.label!r} is not in the class registry")
        xywh = _clipped(frame, box)
        source = origin.get(index)
        drafts.append((registry.id_of(box.label), xywh, box, source))
    drafts.sort(key=lambda draft: (draft[0], draft[1], draft[2].iscrowd))
    annotations: list[Annotation] = []
    seen: dict[tuple[object, ...], int] = {}
    for category_id, xywh, box, source in drafts:
        shape = (category_id, xywh, box.iscrowd)
        # Two equal boxes on one frame are two annotations: their ids must differ.
        seen[shape] = seen.get(shape, 0) + 1
        annotations.append(
            Annotation(
                id=content_id("annotation", frame.id, job_id, category_id, repr(xywh), int(box.iscrowd), seen[shape]),
                frame_id=frame.id,
                category_id=category_id,
                xywh=xywh,
                job_id=job_id,
                iscrowd=box.iscrowd,
                proposal_id=None if source is None else source.id,
                model_id=None if source is None else source.model_id,
                change=_change(box, source),
                annotator=annotator,
                reviewer=reviewer,
            )
        )
    shapes = [f"{category_id} {xywh!r} {int(box.iscrowd)}" for category_id, xywh, box, _source in drafts]
    return Merged(frame.id, content_id("boxes", *shapes), tuple(annotations))


def version_id(contents: Mapping[str, tuple[str, Split]], parent: str | None = None) -> str:
    """Content id of a version's manifest: of what it holds, and of what came before it.

    Args:
        contents: frame id -> (content id of its boxes, side of the split).
        parent: id of the version before: one that takes a change back is another than the one that it goes back to.
    """
    rows = (f"{frame} {contents[frame][0]} {contents[frame][1]}" for frame in sorted(contents))
    return content_id("version", parent or "", *rows)


def dataset_name(frame: Frame) -> str:
    """The frame's file name in tasks and datasets: unique across sources, and the same for ever.

    Sampled frames carry their id already; a lone picture's name may stand in several folders.  What lists and other
    systems trip over (line breaks, backslashes, control characters) becomes ``_``.
    """
    name = "".join("_" if letter == "\\" or not letter.isprintable() else letter for letter in frame.name)
    if frame.id[:8] in name:
        return name
    path = PurePosixPath(name)
    return f"{path.stem}_{frame.id[:8]}{path.suffix}"


@dataclass(frozen=True, slots=True)
class VersionFrame:
    """A frame as a version's files tell it."""

    frame: Frame
    split: Split
    annotations: Sequence[Annotation]
    video_name: str | None


def version_coco(
    version: DatasetVersion, frames: Iterable[VersionFrame], registry: ClassRegistry, *, side: Split | None = None
) -> CocoDataset:
    """A version as COCO: all of it, or one side of its split.

    Images stand in order of their names and count from 1, so the same version gives the same bytes.
    """
    chosen = sorted(
        (f for f in frames if side is None or f.split == side), key=lambda f: (dataset_name(f.frame), f.frame.id)
    )
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for number, entry in enumerate(chosen, 1):
        frame = entry.frame
        extra = {
            "frame_id": frame.id,
            "key": frame.key,
            "camera": frame.camera,
            "video": entry.video_name,
            "video_id": frame.video_id,
            "time_s": frame.time_s,
            "split": entry.split,
        }
        images.append(
            CocoImage(
                id=number,
                file_name=dataset_name(frame),
                width=frame.width,
                height=frame.height,
                extra={name: value for name, value in extra.items() if value is not None},
            )
        )
        for box in entry.annotations:
            known = {
                "id": box.id,
                "job": box.job_id,
                "change": box.change,
                "proposal": box.proposal_id,
                "model": box.model_id,
                "annotator": box.annotator,
                "reviewer": box.reviewer,
                "proposed_at": box.dates.proposed_at,
                "submitted_at": box.dates.submitted_at,
                "accepted_at": box.dates.accepted_at,
                "merged_at": box.dates.merged_at,
            }
            annotations.append(
                CocoAnnotation(
                    id=len(annotations) + 1,
                    image_id=number,
                    category_id=box.category_id,
                    xywh=box.xywh,
                    iscrowd=box.iscrowd,
                    score=None,
                    attributes={name: value for name, value in known.items() if value is not None},
                )
            )
    info = {"version": version.label, "id": version.id, "parent": version.parent_id, "split": side}
    return CocoDataset(
        images=tuple(images),
        annotations=tuple(annotations),
        categories=registry,
        info={name: value for name, value in info.items() if value is not None},
    )


def match(boxes: Sequence[Box], proposed: Sequence[Proposed], least: float) -> dict[int, Proposed]:
    """Which proposal each box began as, by the box's position: by id, then the best overlap of at least ``least``."""
    by_id = {p.id: p for p in proposed}
    origin: dict[int, Proposed] = {}
    for index, box in enumerate(boxes):
        # A copied box carries its original's id too: the first one keeps it.
        if box.proposal_id is not None and box.proposal_id in by_id:
            origin[index] = by_id.pop(box.proposal_id)
    pairs = sorted(
        (
            (-shared, box.label != p.box.label, index, p.id)
            for index, box in enumerate(boxes)
            if index not in origin
            for p in by_id.values()
            if (shared := overlap(box.xywh, p.box.xywh)) >= least
        ),
    )
    for _overlap, _other_label, index, proposal in pairs:
        if index not in origin and proposal in by_id:
            origin[index] = by_id.pop(proposal)
    return origin


def _change(box: Box, source: Proposed | None) -> Literal["kept", "edited", "added"]:
    if source is None:
        return "added"
    return "kept" if box.label == source.box.label and unmoved(box.xywh, source.box.xywh) else "edited"


def _clipped(frame: Frame, box: Box) -> XYWH:
    if not all(math.isfinite(value) for value in box.xywh):
        raise DamagedInputError(f"{frame.name}: a {box.label} box is not finite: {box.xywh}")
    x, y, w, h = (float(value) for value in box.xywh)
    inside = clipped((x, y, w, h), frame.width, frame.height) if w > 0 and h > 0 else None
    if inside is None:
        raise DamagedInputError(f"{frame.name}: a {box.label} box has no size inside the frame: {box.xywh}")
    return inside
