"""COCO detection files, read and written.

Format: https://cocodataset.org/#format-data, the parts *images*, *annotations* and *categories*, boxes only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Literal

import msgspec

from data_engine.formats import strict_json
from data_engine.formats.boxes import XYWH
from data_engine.formats.coco_records import (
    RULES,
    AnnotationReader,
    AnnotationRecord,
    CategoryRecord,
    SizelessBoxError,
    images_of,
    mapped,
    own_categories,
    safe_file_name,
)
from data_engine.formats.coco_types import IMAGE_FIELDS, CocoAnnotation, CocoDataset, CocoImage, Repairs
from data_engine.types import ClassRegistry

__all__ = ["CocoAnnotation", "CocoDataset", "CocoImage", "Repairs", "read_coco", "safe_file_name", "write_coco"]


AnnotationRow = tuple[int, int, int, XYWH, bool, Any] | tuple[int, int, int, XYWH, bool, Any, float | None]
"""Id, image, category, box, whether it is a crowd, its attributes (what becomes an object in JSON), and its score."""


class _File(msgspec.Struct):
    images: list[dict[str, Any]]
    annotations: list[AnnotationRecord]
    categories: list[CategoryRecord]
    info: dict[str, Any] | None = None


def read_coco(
    data: bytes,
    *,
    name: str,
    registry: ClassRegistry | None = None,
    allow_unknown_labels: bool = False,
    clip: bool = True,
    refused: dict[int, str] | None = None,
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
        refused: where given, images that have a box without an area are left out with all their boxes, and what is
            wrong is added here by the image's id; else the file is refused.

    Raises:
        DamagedInputError: with one exact sentence, whatever is wrong with the file.
    """
    file = strict_json.decode(data, _File, name=name, what="a COCO file", rules=RULES)
    images = images_of(file.images, name)
    own, ids, renumbered = own_categories(file.categories, name)
    labels = {category.id: category.name for category in file.categories}
    if registry is not None:
        used = {annotation.category_id for annotation in file.annotations}
        own, ids = mapped(labels, used, registry, allow_unknown_labels, name)
        renumbered = False
    reader = AnnotationReader(images, labels, ids, name=name, clip=clip)
    annotations = tuple(_looked_at(file.annotations, reader, refused))
    if refused:
        refused |= {i.id: f"{refused[i.id]}: {i.file_name} is left out" for i in images if i.id in refused}
        annotations = tuple(annotation for annotation in annotations if annotation.image_id not in refused)
        images = tuple(image for image in images if image.id not in refused)
    return CocoDataset(images, annotations, own, file.info or {}, replace(reader.repairs, renumbered=renumbered))


def _looked_at(
    records: Iterable[AnnotationRecord], reader: AnnotationReader, refused: dict[int, str] | None
) -> Iterator[CocoAnnotation]:
    for record in records:
        try:
            found = reader.first_look(record)
        except SizelessBoxError as error:
            if refused is None:
                raise
            refused.setdefault(record.image_id, error.message)
        else:
            if found is not None:
                yield found


class _CategoryOut(msgspec.Struct):
    id: int
    name: str
    supercategory: str


class AnnotationOut(msgspec.Struct, omit_defaults=True, gc=False):
    """An annotation as it stands in a file; who makes one answers for its numbers being finite floats, without -0.0."""

    id: int
    image_id: int
    category_id: int
    bbox: XYWH
    area: float
    iscrowd: Literal[0, 1]
    segmentation: tuple[()]
    score: float | None = None
    attributes: Any = None


class _FileOut(msgspec.Struct):
    info: Mapping[str, Any]
    images: list[dict[str, Any]]
    annotations: list[AnnotationOut]
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
        if a.image_id not in image_ids or a.category_id not in category_ids:
            raise ValueError(f"annotation {a.id} is on an unknown image or of an unknown category: {a}")
        rows.append(_annotation_record(a.id, a.image_id, a.category_id, a.xywh, a.iscrowd, a.attributes, a.score))
    return msgspec.json.encode(
        _FileOut(
            dataset.info,
            [image_record(image) for image in sorted(dataset.images, key=lambda image: (image.file_name, image.id))],
            rows,
            category_records(dataset.categories),
        ),
        order="deterministic",
    )


def annotations_text(rows: Iterable[AnnotationRow]) -> bytes:
    """Annotations as they stand in a file, with commas between them and none around; ValueError as of a whole file."""
    return msgspec.json.encode([_annotation_record(*row) for row in rows], order="deterministic")[1:-1]


def _annotation_record(
    number: int,
    image_id: int,
    category_id: int,
    xywh: XYWH,
    iscrowd: bool,
    attributes: Any,
    score: float | None = None,
) -> AnnotationOut:
    # Adding 0.0 turns an integer into a float and -0.0 into 0.0: equal boxes must give equal bytes.
    x, y, w, h = xywh
    box = float(x) + 0.0, float(y) + 0.0, float(w) + 0.0, float(h) + 0.0
    # What is infinite or no number stays so when it is added to others, and may come of very large ones.
    if not isfinite(sum(box)) and not all(map(isfinite, box)):
        raise ValueError(f"annotation {number} holds a number that is not finite: {xywh}")
    if score is not None and not isfinite(score):
        raise ValueError(f"annotation {number} holds a number that is not finite: {score}")
    said = None if score is None else float(score)
    return AnnotationOut(
        number, image_id, category_id, box, box[2] * box[3], 1 if iscrowd else 0, (), said, attributes or None
    )


def category_records(registry: ClassRegistry) -> list[_CategoryOut]:
    """The classes as a file lists them."""
    return [_CategoryOut(c.id, c.name, c.supercategory) for c in registry]


def image_record(image: CocoImage) -> dict[str, Any]:
    """An image as a file lists it; ValueError for an extra field that is called like one of the format's own."""
    if clash := IMAGE_FIELDS & image.extra.keys():
        raise ValueError(f"image {image.id} has an extra field named {min(clash)}")
    return {
        "id": image.id,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        **image.extra,
    }
