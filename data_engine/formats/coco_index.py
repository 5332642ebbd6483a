"""A COCO detection file of any size, whose annotations are read image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from data_engine.formats import strict_json
from data_engine.formats.coco import read_coco
from data_engine.formats.coco_records import (
    RULES,
    AnnotationReader,
    AnnotationRecord,
    CategoryRecord,
    images_of,
    mapped,
    own_categories,
)
from data_engine.formats.coco_types import CocoAnnotation, CocoImage, Repairs
from data_engine.types import ClassRegistry


class _Outline(msgspec.Struct):
    images: list[dict[str, Any]]
    annotations: list[msgspec.Raw]
    categories: list[CategoryRecord]
    info: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class IndexedCoco:
    """A checked file: its head as objects, its annotations as the places in the file where they stand."""

    images: tuple[CocoImage, ...]
    categories: ClassRegistry
    info: Mapping[str, Any]
    repairs: Repairs
    _places: Mapping[int, list[msgspec.Raw]]
    _reader: AnnotationReader

    def annotations_of(self, image_id: int) -> tuple[CocoAnnotation, ...]:
        """The annotations of an image, in the file's order."""
        found = (self._reader.again(_decoder.decode(place)) for place in self._places.get(image_id, ()))
        return tuple(annotation for annotation in found if annotation is not None)


_decoder = msgspec.json.Decoder(AnnotationRecord)


def index_coco(data: bytes, *, name: str, registry: ClassRegistry) -> IndexedCoco:
    """As :func:`~data_engine.formats.coco.read_coco` with a registry, in a third of the memory.

    Every annotation is checked now and made an object when its image is asked for; ``data`` stays in memory.

    Raises:
        DamagedInputError: with one exact sentence, whatever is wrong with the file.
    """
    try:
        return _indexed(data, name, registry)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # An annotation read by itself does not know its place in the file.
        read_coco(data, name=name, registry=registry)
        raise


def _indexed(data: bytes, name: str, registry: ClassRegistry) -> IndexedCoco:
    outline = strict_json.decode(data, _Outline, name=name, what="a COCO file", rules=RULES)
    images = images_of(outline.images, name)
    own_categories(outline.categories, name)
    labels = {category.id: category.name for category in outline.categories}
    own, ids = mapped(labels, set(), registry, allow_unknown=False, name=name)
    reader = AnnotationReader(images, labels, ids, name=name, clip=True)
    places: dict[int, list[msgspec.Raw]] = {}
    for place in outline.annotations:
        record = _decoder.decode(place)
        if record.category_id in labels and record.category_id not in ids:
            mapped(labels, {record.category_id}, registry, allow_unknown=False, name=name)
        if reader.first_look(record) is not None:
            places.setdefault(record.image_id, []).append(place)
    reader.forget()
    return IndexedCoco(images, own, outline.info or {}, replace(reader.repairs, renumbered=False), places, reader)
