"""Stage 3: a model's boxes become proposals for people, in COCO.  Pure; no model is run here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from data_engine.errors import DamagedInputError
from data_engine.formats.coco import CocoAnnotation, CocoDataset, CocoImage
from data_engine.stages.base import StageSettings
from data_engine.types import CONFIDENCE, PROPOSAL, Box, ClassRegistry, Detections, Frame, PreAnnotation, content_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from data_engine.types import FloatArray

VERSION = 1


class PreannotateSettings(StageSettings):
    """Which of a model's boxes are worth showing to people."""

    confidence: float = Field(0.25, ge=0.01, le=1.0, description="propose boxes at or above this probability")
    overlap: float = Field(
        0.7, gt=0.0, le=1.0, description="of boxes that overlap by more, whatever their classes, propose the best only"
    )
    max_boxes: int = Field(100, ge=1, le=100, description="boxes proposed in one frame, the most probable first")


def propose(
    frame: Frame,
    detections: Detections,
    class_names: Sequence[str],
    model_id: str | None,
    settings: PreannotateSettings,
) -> PreAnnotation:
    """The boxes of one frame that people will be shown, most probable first.

    Suppression does not look at classes: a model that hesitates between helmet and no-helmet proposes one box on the
    head, not two to delete one of.  Coordinates are rounded to a hundredth of a pixel and scores to four digits before
    anything is derived from them, so ids are the same wherever the model ran.

    Raises:
        DamagedInputError: the detections have another number of classes than there are names.
    """
    if detections.scores.shape[1] != len(class_names):
        raise DamagedInputError(
            f"the predictions of {frame.name} have {detections.scores.shape[1]} classes, the model {len(class_names)}"
        )
    likely = detections.kept(settings.confidence)
    boxes: list[Box] = []
    for position in _distinct(likely.xyxy, settings.overlap):
        xywh = _rounded_xywh(likely.xyxy[position], frame.width, frame.height)
        if xywh[2] <= 0 or xywh[3] <= 0:
            continue
        label = class_names[int(likely.labels[position])]
        proposal = content_id("proposal", model_id or "", frame.id, label, *(f"{side:.2f}" for side in xywh))
        boxes.append(Box(label, xywh, round(float(likely.best[position]), 4), proposal))
        if len(boxes) == settings.max_boxes:
            break
    return PreAnnotation(frame, tuple(boxes))


def _distinct(xyxy: FloatArray, overlap: float) -> list[int]:
    """Positions of the boxes, given best first, that overlap no better kept one by more than ``overlap``."""
    import numpy as np

    from data_engine.selection.overlap import iou

    kept: list[int] = []
    waiting: NDArray[np.intp] = np.arange(len(xyxy))
    while len(waiting):
        first, waiting = waiting[0], waiting[1:]
        kept.append(int(first))
        waiting = waiting[iou(xyxy[first : first + 1], xyxy[waiting]) <= overlap]
    return kept


def _rounded_xywh(xyxy: FloatArray, width: int, height: int) -> tuple[float, float, float, float]:
    # Corners first, so that the far edge is rounded once and stays inside the picture.
    left, top = (round(max(float(value), 0.0), 2) for value in xyxy[:2])
    right, bottom = (round(min(float(value), limit), 2) for value, limit in zip(xyxy[2:], (width, height), strict=True))
    return left, top, round(right - left, 2), round(bottom - top, 2)


def to_coco(pre: Sequence[PreAnnotation], registry: ClassRegistry, model_id: str | None) -> CocoDataset:
    """The proposals as a COCO data set, the same in whatever order they are given: numbered from 1 by file name.

    Every image is listed, with or without boxes, and carries its ``frame_id``; every annotation its score and, as
    attributes, the ``confidence`` and the ``proposal`` id; the info names the ``model``.

    Raises:
        DamagedInputError: a label that is not registered, a file name twice.
    """
    images: list[CocoImage] = []
    annotations: list[CocoAnnotation] = []
    for number, each in enumerate(sorted(pre, key=lambda each: each.frame.name), 1):
        frame = each.frame
        if images and images[-1].file_name == frame.name:
            raise DamagedInputError(f"two frames are named {frame.name}")
        images.append(CocoImage(number, frame.name, frame.width, frame.height, {"frame_id": frame.id}))
        for box in each.boxes:
            if box.label not in registry:
                raise DamagedInputError(
                    f"the model's class {box.label!r} is not registered: {', '.join(registry.names) or 'none'} are"
                )
            attributes = dict(box.attributes)
            if box.score is not None:
                attributes[CONFIDENCE] = box.score
            if box.proposal_id is not None:
                attributes[PROPOSAL] = box.proposal_id
            annotations.append(
                CocoAnnotation(
                    len(annotations) + 1,
                    number,
                    registry.id_of(box.label),
                    box.xywh,
                    box.iscrowd,
                    box.score,
                    attributes,
                )
            )
    info = {} if model_id is None else {"model": model_id}
    return CocoDataset(tuple(images), tuple(annotations), registry, info)


def from_coco(dataset: CocoDataset) -> dict[str, tuple[Box, ...]]:
    """The boxes of every image by file name: what :func:`to_coco` wrote comes back equal.

    A file from elsewhere may have only a ``score``, or only the attribute ``confidence``, or neither.
    """
    names = {image.id: image.file_name for image in dataset.images}
    boxes: dict[str, list[Box]] = {image.file_name: [] for image in dataset.images}
    for annotation in dataset.annotations:
        boxes[names[annotation.image_id]].append(box_of(annotation, dataset.categories))
    return {name: tuple(found) for name, found in boxes.items()}


def box_of(annotation: CocoAnnotation, categories: ClassRegistry) -> Box:
    """An annotation of a file as :func:`from_coco` reads it."""
    attributes = dict(annotation.attributes)
    confidence, proposal = attributes.pop(CONFIDENCE, None), attributes.pop(PROPOSAL, None)
    return Box(
        categories.name_of(annotation.category_id),
        annotation.xywh,
        annotation.score if annotation.score is not None else _probability(confidence),
        proposal if isinstance(proposal, str) and proposal else None,
        annotation.iscrowd,
        attributes,
    )


def _probability(value: object) -> float | None:
    """A number from an annotation tool, which may have made a text of it; None where it is none."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except ValueError:
        return None
