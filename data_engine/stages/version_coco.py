"""A dataset version as COCO, with what lineage knows of every box among its attributes.

Ids of images are their frames' numbers: a frame keeps its number in every version and in the files of the split's
sides, so that what did not change is the same text in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage
from data_engine.stages.export import dataset_name
from data_engine.types import Annotation, ClassRegistry, DatasetVersion, Frame, Split

ROOM = 1_000_000
"""Ids of annotations that belong to an image: box ``k`` of image ``n``, from 1, is annotation ``n * ROOM + k``.

So a box that comes or goes changes the ids of no other frame's.  They stay below 2 ** 53, up to which programs that
hold numbers as floating point tell them apart, for nine thousand million images.
"""


@dataclass(frozen=True, slots=True)
class VersionFrame:
    """A frame as a version's files tell it."""

    frame: Frame
    split: Split
    annotations: Sequence[Annotation]
    """In order of their ids."""
    video_name: str | None
    number: int
    """From 1, in order of the versions that brought the frames; the same in every version."""


def version_info(version: DatasetVersion, side: Split | None = None) -> dict[str, str]:
    """The ``info`` of a version's file, or of that of one side of its split."""
    info = {"version": version.label, "id": version.id, "parent": version.parent_id, "split": side}
    return {name: value for name, value in info.items() if value is not None}


def version_image(entry: VersionFrame) -> CocoImage:
    """The image of a frame."""
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
    return CocoImage(
        id=entry.number,
        file_name=dataset_name(frame),
        width=frame.width,
        height=frame.height,
        extra={name: value for name, value in extra.items() if value is not None},
    )


class Picture(msgspec.Struct, omit_defaults=True, gc=False):
    """An image in a version's file: with its keys in order, and without those of which nothing is known.

    The same as :func:`version_image` says of each, for files of a hundred thousand.
    """

    camera: str
    file_name: str
    frame_id: str
    height: int
    id: int
    key: str
    split: Split
    time_s: float | None = None
    video: str | None = None
    video_id: str | None = None
    width: int = -1
    """Never left out: no picture has a negative one."""


def first_id(number: int, name: str, boxes: int) -> int:
    """The id of a frame's first annotation; DamagedInputError where it has more than any picture can show.

    Args:
        number: of the frame in the files.
        name: what to call it in a message.
        boxes: how many it has.
    """
    if boxes >= ROOM:
        raise DamagedInputError(f"{name}: {boxes} boxes, and {ROOM - 1} at most are told")
    return number * ROOM + 1


def version_boxes(entry: VersionFrame) -> list[CocoAnnotation]:
    """The annotations of a frame, by ascending id; DamagedInputError as of :func:`first_id`."""
    first = first_id(entry.number, entry.frame.name, len(entry.annotations))
    return [
        CocoAnnotation(number, entry.number, box.category_id, box.xywh, box.iscrowd, None, _history(box))
        for number, box in enumerate(entry.annotations, first)
    ]


class History(msgspec.Struct, omit_defaults=True, gc=False):
    """The attributes of a box in a version's file: with its keys in order, and without those of which nothing is known.

    The same as :func:`version_boxes` says of each, for files of a million.
    """

    accepted_at: str | None = None
    annotator: str | None = None
    change: str = ""
    id: str = ""
    job: str = ""
    merged_at: str | None = None
    model: str | None = None
    proposal: str | None = None
    proposed_at: str | None = None
    reviewer: str | None = None
    submitted_at: str | None = None


def _history(box: Annotation) -> dict[str, Any]:
    dates = box.dates
    known = {
        "id": box.id,
        "job": box.job_id,
        "change": box.change,
        "proposal": box.proposal_id,
        "model": box.model_id,
        "annotator": box.annotator,
        "reviewer": box.reviewer,
        "proposed_at": dates.proposed_at,
        "submitted_at": dates.submitted_at,
        "accepted_at": dates.accepted_at,
        "merged_at": dates.merged_at,
    }
    return {name: value for name, value in known.items() if value is not None}


def in_order(entries: Iterable[VersionFrame]) -> list[VersionFrame]:
    """The frames in the order of a file's images."""
    return sorted(entries, key=lambda entry: (dataset_name(entry.frame), entry.number))


def version_coco(
    version: DatasetVersion, frames: Iterable[VersionFrame], registry: ClassRegistry, *, side: Split | None = None
) -> CocoDataset:
    """A version as COCO: all of it, or one side of its split."""
    chosen = in_order(f for f in frames if side is None or f.split == side)
    return CocoDataset(
        images=tuple(version_image(entry) for entry in chosen),
        annotations=tuple(box for entry in chosen for box in version_boxes(entry)),
        categories=registry,
        info=version_info(version, side),
    )
