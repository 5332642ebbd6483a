"""The records of a COCO detection file, checked one by one; see :mod:`data_engine.formats.coco` for whole files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from data_engine.errors import DamagedInputError
from data_engine.formats.boxes import XYWH, clipped, far_apart
from data_engine.formats.coco_types import IMAGE_FIELDS, CocoAnnotation, CocoImage, Repairs
from data_engine.types import Category, ClassRegistry

_NO_SEGMENTATION = frozenset({b"", b"[]", b"null", b"{}"})
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
RULES = {"bbox": "must be 4 numbers: left, top, width, height", "iscrowd": "must be 0 or 1"}


class CategoryRecord(msgspec.Struct):
    id: int
    name: str
    supercategory: str | None = None


class AnnotationRecord(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: XYWH
    iscrowd: Literal[0, 1] | bool = 0
    score: float | None = None
    attributes: dict[str, Any] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()


class SizelessBoxError(DamagedInputError):
    """A box without an area; everything else of its annotation is in order."""


def safe_file_name(file_name: str) -> bool:
    """Whether a name stays inside its folder on every system: relative, without ``..``, not empty."""
    return not (
        not file_name.strip()
        or "\0" in file_name
        or file_name[0] in "/\\"
        or _DRIVE.match(file_name)
        or ".." in re.split(r"[\\/]", file_name)
        or PurePosixPath(file_name) == PurePosixPath()
    )


def images_of(records: list[dict[str, Any]], name: str) -> tuple[CocoImage, ...]:
    images: list[CocoImage] = []
    ids: set[int] = set()
    files: dict[PurePosixPath, int] = {}
    for position, record in enumerate(records):
        where = f"{name}: images[{position}]"
        for key, kind in (("id", int), ("file_name", str), ("width", int), ("height", int)):
            if key not in record:
                raise DamagedInputError(f"{where} has no '{key}'")
            if not isinstance(record[key], kind) or isinstance(record[key], bool):
                raise DamagedInputError(f"{where}.{key} must be {'an integer' if kind is int else 'a text'}")
        image_id, file_name = record["id"], record["file_name"]
        if image_id in ids:
            raise DamagedInputError(f"{name}: two images have the id {image_id}")
        ids.add(image_id)
        if not safe_file_name(file_name):
            raise DamagedInputError(f"{name}: the file name {file_name!r} of image {image_id} climbs out of its folder")
        if (first := files.setdefault(PurePosixPath(file_name), image_id)) != image_id:
            raise DamagedInputError(f"{name}: images {first} and {image_id} have the same file name {file_name!r}")
        if record["width"] < 1 or record["height"] < 1:
            size = f"{record['width']} x {record['height']}"
            raise DamagedInputError(f"{name}: image {image_id} ({file_name}) has the size {size}")
        extra = {key: value for key, value in record.items() if key not in IMAGE_FIELDS}
        images.append(CocoImage(image_id, file_name, record["width"], record["height"], extra))
    return tuple(images)


def own_categories(records: list[CategoryRecord], name: str) -> tuple[ClassRegistry, dict[int, int], bool]:
    """The file's classes, our id for each of its ids, and whether these differ."""
    ids: set[int] = set()
    names: dict[str, int] = {}
    for record in records:
        if record.id in ids:
            raise DamagedInputError(f"{name}: two categories have the id {record.id}")
        ids.add(record.id)
        if not record.name.strip():
            raise DamagedInputError(f"{name}: category {record.id} has an empty name")
        if (first := names.setdefault(record.name, record.id)) != record.id:
            raise DamagedInputError(f"{name}: categories {first} and {record.id} have the same name {record.name!r}")
    ordered = sorted(ids)
    renumbered = bool(ordered) and ordered[0] < 1
    ours = {old: new for new, old in enumerate(ordered, 1)} if renumbered else {old: old for old in ordered}
    return ClassRegistry(Category(ours[r.id], r.name, _parent(r.supercategory)) for r in records), ours, renumbered


def _parent(supercategory: str | None) -> str:
    return "object" if supercategory in (None, "", "none", "null") else str(supercategory)


def mapped(
    labels: Mapping[int, str], used: set[int], registry: ClassRegistry, allow_unknown: bool, name: str
) -> tuple[ClassRegistry, dict[int, int]]:
    if allow_unknown:
        registry = registry.extended(label for _, label in sorted(labels.items()))
    for number, label in sorted(labels.items()):
        # A label without a box cannot do harm: many files list more classes than they use.
        if label not in registry and number in used:
            known = ", ".join(registry.names) or "none"
            raise DamagedInputError(f"{name}: unknown label {label!r}: the known labels are {known}")
    return registry, {number: registry.id_of(label) for number, label in labels.items() if label in registry}


class AnnotationReader:
    """Checks the records of annotations one after the other.

    Args:
        images: of the file.
        labels: its class names by its ids.
        ids: ours by its ids.
        name: what to call the file in a message.
        clip: cut boxes to their picture and drop those with nothing left; else keep them.
    """

    def __init__(
        self, images: Iterable[CocoImage], labels: Mapping[int, str], ids: Mapping[int, int], *, name: str, clip: bool
    ) -> None:
        self._sizes = {image.id: (image.width, image.height) for image in images}
        self._labels, self._ids, self._name, self._clip = labels, ids, name, clip
        self._seen: set[int] = set()
        self._cut = self._outside = self._segmentations = 0

    @property
    def repairs(self) -> Repairs:
        """What was changed or left behind so far."""
        return Repairs(clipped=self._cut, outside=self._outside, segmentations=self._segmentations)

    def first_look(self, record: AnnotationRecord) -> CocoAnnotation | None:
        """The annotation; None where no part of it lies in its picture.

        Raises:
            DamagedInputError: it contradicts the file, or has the id of another.
        """
        number, name = record.id, self._name
        if number in self._seen:
            raise DamagedInputError(f"{name}: two annotations have the id {number}")
        self._seen.add(number)
        if record.image_id not in self._sizes:
            raise DamagedInputError(f"{name}: annotation {number} is on the unknown image {record.image_id}")
        if record.category_id not in self._labels:
            raise DamagedInputError(f"{name}: annotation {number} is of the unknown category {record.category_id}")
        w, h = record.bbox[2:]
        if w <= 0.0 or h <= 0.0:
            raise SizelessBoxError(f"{name}: annotation {number} has a box of {w:g} x {h:g} pixels")
        if bytes(record.segmentation) not in _NO_SEGMENTATION:
            self._segmentations += 1
        found = self.again(record)
        if found is None:
            self._outside += 1
        elif found.xywh is not record.bbox:
            self._cut += far_apart(found.xywh, record.bbox)
        return found

    def again(self, record: AnnotationRecord) -> CocoAnnotation | None:
        """As :meth:`first_look` of a record that was looked at."""
        box = clipped(record.bbox, *self._sizes[record.image_id]) if self._clip else record.bbox
        if box is None:
            return None
        return CocoAnnotation(
            record.id,
            record.image_id,
            self._ids[record.category_id],
            box,
            bool(record.iscrowd),
            record.score,
            record.attributes or {},
        )

    def forget(self) -> None:
        """Keep no ids any more: nothing new will come."""
        self._seen.clear()
