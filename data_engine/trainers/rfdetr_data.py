"""A training folder of our own for rfdetr: linked pictures, annotations with classes 1..N."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.errors import DamagedInputError
from data_engine.formats.coco_types import CocoAnnotation, CocoDataset, CocoImage
from data_engine.formats.rfdetr import ANNOTATIONS, write_rfdetr
from data_engine.trainers.workdir import link
from data_engine.types import ClassRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from data_engine.metrics.splits import LabelledSplit


def private_copy(folder: Path, training: LabelledSplit, validation: LabelledSplit) -> Path:
    """A training folder of our own: linked pictures, and classes renumbered 1..N without a gap."""
    if training.class_names != validation.class_names:
        raise DamagedInputError("the training and the validation side have different classes")
    # The library always validates once; without validation pictures it does so on what it has learned from.
    for name, split in (("train", training), ("valid", validation if validation.images else training)):
        images: list[CocoImage] = []
        annotations: list[CocoAnnotation] = []
        for number, image in enumerate(split.images, 1):
            images.append(CocoImage(number, f"pictures/{image.name}", *image.size_wh))
            for (left, top, right, bottom), label, crowd in zip(
                image.boxes.xyxy.tolist(), image.boxes.classes.tolist(), image.boxes.crowd.tolist(), strict=True
            ):
                box = (left, top, right - left, bottom - top)
                annotations.append(CocoAnnotation(len(annotations) + 1, number, label + 1, box, crowd))
        dataset = CocoDataset(tuple(images), tuple(annotations), ClassRegistry.of(split.class_names))
        pictures = split.images[0].path.parents[split.images[0].name.count("/")]
        link(pictures, folder / name / "pictures")
        (folder / name / ANNOTATIONS).write_bytes(write_rfdetr(dataset))
    return folder
