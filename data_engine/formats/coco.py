"""COCO detection files, read and written.

Format: https://cocodataset.org/#format-data, the parts *images*, *annotations* and *categories*, boxes only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from data_engine.errors import DamagedInputError
from data_engine.formats import strict_json
from data_engine.formats.boxes import XYWH, clipped, far_apart
from data_engine.formats.coco_types import IMAGE_FIELDS, CocoAnnotation, CocoDataset, CocoImage, Repairs
from data_engine.types import Category, ClassRegistry

__all__ = ["CocoAnnotation", "CocoDataset", "CocoImage", "Repairs", "read_coco", "safe_file_name", "write_coco"]

_NO_SEGMENTATION = frozenset({b"", b"[]", b"null", b"{}"})
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_RULES = {"bbox": "must be 4 numbers: left, top, width, height", "iscrowd": "must be 0 or 1"}


class _Category(msgspec.Struct):
    id: int
    name: str
    supercategory: str | None = None


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: XYWH
    iscrowd: Literal[0, 1] | bool = 0
    score: float | None = None
    attributes: dict[str, Any] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()


class _File(msgspec.Struct):
    images: list[dict[str, Any]]
    annotations: list[_Annotation]
    categories: list[_Category]
    info: dict[str, Any] | None = None


def read_coco(
    data: bytes,
    *,
    name: str,
    registry: ClassRegistry | None = None,
    allow_unknown_labels: bool = False,
    clip: bool = True,
) -> CocoDataset:
    """Read a COCO detection file and check everything in it.

    Without a registry the file's own category ids are kept when they begin at 1 or above, else they are renumbered
    from 1 in their order.  With one, labels meet by name and get the registry's ids, and the data set's categories
    are the registry's.

    Fields of an image that are not the format's own are kept in ``extra``; of an annotation only ``score`` and
    ``attributes`` are kept.  Order is the file's.

    Args:
        data: the whole file.
        name: what to call the file in a message.
        registry: the classes to map to by name.
        allow_unknown_labels: give labels that the registry does not hold its next free ids, instead of refusing them.
        clip: cut boxes to their picture and drop those with nothing left, counted in ``repairs``; else keep them.

    Raises:
        DamagedInputError: with one exact sentence, whatever is wrong with the file.
    """
    file = strict_json.decode(data, _File, name=name, what="a COCO file", rules=_RULES)
    images = _images(file.images, name)
    own, ids, renumbered = _own_categories(file.categories, name)
    labels = {category.id: category.name for category in file.categories}
    if registry is not None:
        used = {annotation.category_id for annotation in file.annotations}
        own, ids = _mapped(labels, used, registry, allow_unknown_labels, name)
        renumbered = False
    annotations, repairs = _annotations(file.annotations, images, labels, ids, name, clip)
    return CocoDataset(images, annotations, own, file.info or {}, replace(repairs, renumbered=renumbered))


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


def _images(records: list[dict[str, Any]], name: str) -> tuple[CocoImage, ...]:
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


def _own_categories(records: list[_Category], name: str) -> tuple[ClassRegistry, dict[int, int], bool]:
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


def _mapped(
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


def _annotations(
    records: list[_Annotation],
    images: tuple[CocoImage, ...],
    labels: Mapping[int, str],
    ids: Mapping[int, int],
    name: str,
    clip: bool,
) -> tuple[tuple[CocoAnnotation, ...], Repairs]:
    sizes = {image.id: (image.width, image.height) for image in images}
    seen: set[int] = set()
    kept: list[CocoAnnotation] = []
    cut = outside = segmentations = 0
    for record in records:
        number = record.id
        if number in seen:
            raise DamagedInputError(f"{name}: two annotations have the id {number}")
        seen.add(number)
        if record.image_id not in sizes:
            raise DamagedInputError(f"{name}: annotation {number} is on the unknown image {record.image_id}")
        if record.category_id not in labels:
            raise DamagedInputError(f"{name}: annotation {number} is of the unknown category {record.category_id}")
        box = record.bbox
        w, h = box[2:]
        if w <= 0.0 or h <= 0.0:
            raise DamagedInputError(f"{name}: annotation {number} has a box of {w:g} x {h:g} pixels")
        if bytes(record.segmentation) not in _NO_SEGMENTATION:
            segmentations += 1
        if clip:
            inside = clipped(box, *sizes[record.image_id])
            if inside is None:
                outside += 1
                continue
            if inside is not box:
                cut += far_apart(inside, box)
                box = inside
        kept.append(
            CocoAnnotation(
                number,
                record.image_id,
                ids[record.category_id],
                box,
                bool(record.iscrowd),
                record.score,
                record.attributes or {},
            )
        )
    return tuple(kept), Repairs(clipped=cut, outside=outside, segmentations=segmentations)


class _CategoryOut(msgspec.Struct):
    id: int
    name: str
    supercategory: str


class _AnnotationOut(msgspec.Struct, omit_defaults=True, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: XYWH
    area: float
    iscrowd: Literal[0, 1]
    segmentation: tuple[()]
    score: float | None = None
    attributes: Mapping[str, Any] | None = None


class _FileOut(msgspec.Struct):
    info: Mapping[str, Any]
    images: list[dict[str, Any]]
    annotations: list[_AnnotationOut]
    categories: list[_CategoryOut]


def write_coco(dataset: CocoDataset) -> bytes:
    """The data set as compact UTF-8 JSON, the same bytes for the same content in whatever order it is held.

    Images are sorted by file name, annotations and categories by id; ids are kept.  Numbers are written with the
    fewest digits that read back to the same double.  ``area`` is width times height and ``segmentation`` is empty,
    because readers ask for both; no licence, contributor or date is made up.

    Raises:
        ValueError: ids twice, an unknown image or category, a coordinate that is not finite, an extra field named
            like one of the format's own.
    """
    image_ids = {image.id for image in dataset.images}
    category_ids = {category.id for category in dataset.categories}
    if len(image_ids) != len(dataset.images):
        raise ValueError("two images have the same id")
    if len({annotation.id for annotation in dataset.annotations}) != len(dataset.annotations):
        raise ValueError("two annotations have the same id")
    rows = []
    for a in sorted(dataset.annotations, key=lambda a: a.id):
        # Adding 0.0 turns an integer into a float and -0.0 into 0.0: equal boxes must give equal bytes.
        x, y, w, h = (float(value) + 0.0 for value in a.xywh)
        if a.image_id not in image_ids or a.category_id not in category_ids:
            raise ValueError(f"annotation {a.id} is on an unknown image or of an unknown category: {a}")
        if not (isfinite(x) and isfinite(y) and isfinite(w) and isfinite(h) and isfinite(a.score or 0.0)):
            raise ValueError(f"annotation {a.id} holds a number that is not finite: {a}")
        crowd: Literal[0, 1] = 1 if a.iscrowd else 0
        score = None if a.score is None else float(a.score)
        rows.append(
            _AnnotationOut(a.id, a.image_id, a.category_id, (x, y, w, h), w * h, crowd, (), score, a.attributes or None)
        )
    return msgspec.json.encode(
        _FileOut(
            dataset.info,
            [_record(image) for image in sorted(dataset.images, key=lambda image: (image.file_name, image.id))],
            rows,
            [_CategoryOut(c.id, c.name, c.supercategory) for c in dataset.categories],
        ),
        order="deterministic",
    )


def _record(image: CocoImage) -> dict[str, Any]:
    if clash := IMAGE_FIELDS & image.extra.keys():
        raise ValueError(f"image {image.id} has an extra field named {min(clash)}")
    return {
        "id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        **image.extra,
    }
