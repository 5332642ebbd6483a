"""A COCO detection file as types.  Reading and writing it is in :mod:`data_engine.formats.coco`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data_engine.formats.boxes import XYWH
from data_engine.types import ClassRegistry
from data_engine.words import counted

IMAGE_FIELDS = frozenset({"id", "file_name", "width", "height"})


class CocoImage(msgspec.Struct, frozen=True, gc=False):
    """One picture of a data set.  A msgspec struct, not a dataclass: copy it with ``msgspec.structs.replace``."""

    id: int
    file_name: str
    """Relative, ``/``-separated, unique in its data set."""
    width: int
    """Pixels."""
    height: int
    extra: Mapping[str, Any] = {}
    """Every other field of the image's record (``video_id``, ``time_s``, ``camera``, ``split`` …)."""


class CocoAnnotation(msgspec.Struct, frozen=True, gc=False):
    """One box on one picture.  A msgspec struct, not a dataclass: copy it with ``msgspec.structs.replace``."""

    id: int
    image_id: int
    category_id: int
    """A stable id of the data set's :class:`ClassRegistry`, from 1."""
    xywh: XYWH
    """Left, top, width, height in pixels of the full picture; in the file it is ``bbox``."""
    iscrowd: bool = False
    """One box around many objects: not an example to learn from."""
    score: float | None = None
    """The proposing model's probability; None for a box that people made."""
    attributes: Mapping[str, Any] = {}
    """The record's ``attributes``, as CVAT writes them."""


@dataclass(frozen=True, slots=True)
class Repairs:
    """What reading changed or left behind, so that nothing happens in silence."""

    clipped: int = 0
    """Boxes cut to their picture (by more than 0.001 px)."""
    outside: int = 0
    """Boxes dropped because no part of them lies in their picture."""
    segmentations: int = 0
    """Polygons and run-length masks not carried over; their boxes were kept."""
    renumbered: bool = False
    """The file counted its categories from 0 (or below); they were renumbered from 1 in the same order."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What was drawn and is no upright box, counted by what it is: ``polygon``, ``mask``, ``rotated box`` …"""

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people, one line each; empty when there was nothing to repair."""
        found = (
            (self.clipped, f"{self.clipped} boxes reached over the edge of their picture and were clipped to it"),
            (self.outside, f"{self.outside} boxes lay outside their picture and were dropped"),
            (self.segmentations, f"{self.segmentations} polygons or masks were left behind, their boxes kept"),
            (self.renumbered, "category ids began below 1 and were renumbered from 1"),
        )
        drawn = tuple(f"{counted(number, what)} left out" for what, number in sorted(self.left_out.items()) if number)
        return tuple(text for happened, text in found if happened) + drawn


@dataclass(frozen=True, slots=True)
class CocoDataset:
    """Pictures with their boxes, as a COCO file holds them."""

    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]
    categories: ClassRegistry
    info: Mapping[str, Any] = field(default_factory=dict)
    """The file's ``info``, as it is."""
    repairs: Repairs = field(default_factory=Repairs, compare=False)

    def by_image(self) -> dict[int, list[CocoAnnotation]]:
        """The annotations of every image, by image id; images without a box have an empty list.

        Raises:
            ValueError: an annotation on an unknown image.
        """
        found: dict[int, list[CocoAnnotation]] = {image.id: [] for image in self.images}
        for annotation in self.annotations:
            if annotation.image_id not in found:
                raise ValueError(f"annotation {annotation.id} is on the unknown image {annotation.image_id}")
            found[annotation.image_id].append(annotation)
        return found
