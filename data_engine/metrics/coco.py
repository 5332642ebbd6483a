"""The COCO box metrics, by the reference implementation (pycocotools).

Definitions: https://cocodataset.org/#detection-eval.  Average precision is the mean of the precision at 101 recall
levels; ``map`` averages it over the IoU thresholds 0.50, 0.55 … 0.95 and over the classes that have a ground truth
box.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.types import SCORE_FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from data_engine.types import Detections

DETECTIONS_PER_IMAGE = 100
"""The largest ``maxDets`` of the COCO evaluation."""


@dataclass(frozen=True, slots=True, eq=False)
class TrueBoxes:
    """What there is to find in one image.

    Raises:
        ValueError: shapes that disagree, NaN, a box without area.
    """

    xyxy: NDArray[np.float64]
    """``(n, 4)`` corners in pixels of the full image."""
    classes: NDArray[np.intp]
    """``(n,)`` positions in the class names."""
    crowd: NDArray[np.bool_]
    """``(n,)`` regions of many objects: a detection inside one counts neither for nor against the model."""

    def __post_init__(self) -> None:
        xyxy = np.asarray(self.xyxy, dtype=np.float64).reshape(-1, 4)
        classes = np.asarray(self.classes, dtype=np.intp)
        crowd = np.asarray(self.crowd, dtype=np.bool_)
        if classes.shape != (len(xyxy),) or crowd.shape != (len(xyxy),):
            raise ValueError(f"boxes, classes and crowd disagree: {xyxy.shape}, {classes.shape}, {crowd.shape}")
        if not np.isfinite(xyxy).all() or (xyxy[:, 2:] <= xyxy[:, :2]).any():
            raise ValueError("a true box holds NaN or has no area")
        object.__setattr__(self, "xyxy", xyxy)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "crowd", crowd)

    @classmethod
    def of(cls, xyxy: Sequence[Sequence[float]], classes: Sequence[int]) -> TrueBoxes:
        """Ordinary boxes, none of them a crowd."""
        return cls(
            np.asarray(xyxy, np.float64).reshape(-1, 4), np.asarray(classes, np.intp), np.zeros(len(classes), np.bool_)
        )

    def __len__(self) -> int:
        return len(self.xyxy)


def evaluate(
    truth: Sequence[TrueBoxes], predictions: Sequence[Detections], class_names: Sequence[str]
) -> dict[str, Any]:
    """COCO metrics of ``predictions`` against ``truth``, image by image in the same order.

    A box enters once for every class whose probability reaches :data:`~data_engine.types.SCORE_FLOOR`, the best
    :data:`DETECTIONS_PER_IMAGE` such pairs of an image, as Ultralytics (multi-label suppression) and RF-DETR (top
    pairs over queries and classes) evaluate their own models.  Equal inputs give equal numbers: ties are settled by
    position.

    Args:
        truth: one entry an image.
        predictions: one entry an image, columns of ``scores`` in the order of ``class_names``.
        class_names: the classes; true class ``i`` is ``class_names[i]``.

    Returns:
        plain JSON values: ``map``, ``map50``, ``ar100`` (None when there is no box to find), ``ap_per_class`` and
        ``ap50_per_class`` (class name -> AP, None for a class without a true box), ``images``, ``boxes`` and
        ``boxes_per_class`` (crowd regions not counted).

    Raises:
        ValueError: lists of different length, another number of classes than names.
    """
    if len(truth) != len(predictions):
        raise ValueError(f"{len(truth)} images of truth but {len(predictions)} of predictions")
    for boxes in truth:
        if len(boxes) and not (boxes.classes.min() >= 0 and boxes.classes.max() < len(class_names)):
            raise ValueError(f"class {boxes.classes.max()} in the truth of {len(class_names)} classes")
    for found in predictions:
        if found.scores.shape[1] != len(class_names):
            raise ValueError(f"predictions of {found.scores.shape[1]} classes, expected {len(class_names)}")

    counts = np.zeros(len(class_names), np.intp)
    for boxes in truth:
        counts += np.bincount(boxes.classes[~boxes.crowd], minlength=len(class_names)).astype(np.intp)
    precision, recall = _accumulated(truth, predictions, len(class_names))
    ap = [_mean(precision[:, :, number]) for number in range(len(class_names))]
    ap50 = [_mean(precision[0, :, number]) for number in range(len(class_names))]
    return {
        "map": _mean(precision),
        "map50": _mean(precision[:1]),
        "ar100": _mean(recall),
        "ap_per_class": dict(zip(class_names, ap, strict=True)),
        "ap50_per_class": dict(zip(class_names, ap50, strict=True)),
        "images": len(truth),
        "boxes": int(counts.sum()),
        "boxes_per_class": {name: int(count) for name, count in zip(class_names, counts, strict=True)},
    }


def _accumulated(
    truth: Sequence[TrueBoxes], predictions: Sequence[Detections], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision ``(IoU thresholds, recall levels, classes)`` and recall ``(IoU thresholds, classes)``; -1 is none."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    frame = {
        "images": [{"id": number} for number in range(1, len(truth) + 1)],
        "categories": [{"id": number, "name": str(number)} for number in range(1, classes + 1)],
    }
    # pycocotools reports its progress by print; the result belongs to the caller alone.
    with contextlib.redirect_stdout(io.StringIO()):
        wanted, found = COCO(), COCO()
        wanted.dataset = {**frame, "annotations": _numbered(map(_true_entries, range(1, len(truth) + 1), truth))}
        found.dataset = {**frame, "annotations": _numbered(map(_found_entries, range(1, len(truth) + 1), predictions))}
        wanted.createIndex()
        found.createIndex()
        evaluation = COCOeval(wanted, found, "bbox")
        evaluation.params.maxDets = [DETECTIONS_PER_IMAGE]
        evaluation.params.areaRng = [[0.0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0], evaluation.eval["recall"][:, :, 0, 0]


def _true_entries(image: int, boxes: TrueBoxes) -> list[dict[str, Any]]:
    return [
        _entry(image, int(number), xyxy) | {"iscrowd": int(crowd)}
        for xyxy, number, crowd in zip(boxes.xyxy, boxes.classes, boxes.crowd, strict=True)
    ]


def _found_entries(image: int, found: Detections) -> list[dict[str, Any]]:
    # Best pair first; equal scores keep the order of the boxes, then of the classes.
    rows, columns = np.nonzero(found.scores >= SCORE_FLOOR)
    scores = found.scores[rows, columns]
    order = np.argsort(-scores, kind="stable")[:DETECTIONS_PER_IMAGE]
    return [
        _entry(image, int(columns[i]), found.xyxy[rows[i]].astype(np.float64))
        | {"iscrowd": 0, "score": float(scores[i])}
        for i in order
    ]


def _entry(image: int, number: int, xyxy: NDArray[np.float64]) -> dict[str, Any]:
    left, top, right, bottom = (float(value) for value in xyxy)
    width, height = right - left, bottom - top
    return {"image_id": image, "category_id": number + 1, "bbox": [left, top, width, height], "area": width * height}


def _numbered(entries: Any) -> list[dict[str, Any]]:
    # From 1: the matching inside pycocotools takes the id 0 for "no match".
    return [{"id": number, **entry} for number, entry in enumerate((e for image in entries for e in image), 1)]


def _mean(values: NDArray[np.float64]) -> float | None:
    # pycocotools adds a machine epsilon to its denominators: rounding gives a perfect model its 1.0 back.
    known = values[values > -1]
    return round(float(known.mean()), 9) if known.size else None
