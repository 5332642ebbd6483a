"""Which detections find a true box, by pycocotools: once for a set of pictures, and everything is counted from that.

pycocotools is asked only about the pictures that hold a box of the class: where there is none, nothing can be found.
And a size range in which all true boxes of a picture lie, or none, is matched as all sizes together are, for what is
matched depends on the range only where it parts them.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.metrics.coco import DETECTIONS_PER_IMAGE
from data_engine.types import SCORE_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from data_engine.metrics.coco import TrueBoxes

IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""COCO's overlaps from which a box is found."""
SIZES: tuple[tuple[str, float, float], ...] = (
    ("all", 0.0, 1e10),
    ("small", 0.0, 32.0**2),
    ("medium", 32.0**2, 96.0**2),
    ("large", 96.0**2, 1e10),
)
"""COCO's ranges of a box's area in square pixels, ends included."""
ALL = 0
"""Place of all sizes together in :data:`SIZES`."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What a model found, in columns: a detection is a box with one class, by picture and from the best score down."""

    pictures: int
    classes: int
    picture: NDArray[np.int32]
    """``(n,)``"""
    label: NDArray[np.int32]
    """``(n,)`` class of each detection."""
    score: NDArray[np.float32]
    """``(n,)``"""
    found: NDArray[np.uint16]
    """``(n, sizes)`` bit ``t``: it finds a true box at the overlap ``IOUS[t]``, one that counts or not."""
    passed: NDArray[np.uint16]
    """``(n, sizes)`` bit ``t``: there it counts neither for nor against the model."""
    true_picture: NDArray[np.int32]
    """``(m,)`` of each true box."""
    true_label: NDArray[np.int32]
    """``(m,)``"""
    true_counts: NDArray[np.bool_]
    """``(m, sizes)`` whether it is to be found: of that size, and no crowd."""

    def of(self, pictures: Sequence[int]) -> Matches:
        """Of some of the pictures alone, in their order here."""
        place = np.full(self.pictures, -1, np.int32)
        place[np.sort(np.asarray(pictures, np.intp))] = np.arange(len(pictures))
        rows, true = place[self.picture] >= 0, place[self.true_picture] >= 0
        return Matches(
            len(pictures),
            self.classes,
            place[self.picture[rows]],
            self.label[rows],
            self.score[rows],
            self.found[rows],
            self.passed[rows],
            place[self.true_picture[true]],
            self.true_label[true],
            self.true_counts[true],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Boxes of a model, each once for every class that it may be, as COCO takes them."""

    picture: NDArray[np.int32]
    box: NDArray[np.int64]
    """Row of the box."""
    label: NDArray[np.int32]
    score: NDArray[np.float32]


def pairs_of(offsets: NDArray[np.int64], scores: NDArray[np.floating]) -> Pairs:
    """The best :data:`DETECTIONS_PER_IMAGE` pairs of box and class of each picture, from the best score down.

    Args:
        offsets: ``(pictures + 1,)``, picture ``i`` having the boxes ``offsets[i]:offsets[i + 1]``.
        scores: ``(boxes, classes)`` probabilities.
    """
    boxes, labels = np.nonzero(np.asarray(scores, np.float32) >= np.float32(SCORE_FLOOR))
    score = np.asarray(scores[boxes, labels], np.float32)
    picture = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[boxes]
    # Equal scores keep the order of the boxes, then of the classes.
    order = np.lexsort((-score, picture))
    starts = np.searchsorted(picture[order], np.arange(len(offsets) - 1))
    kept = order[np.arange(len(order)) - starts[picture[order]] < DETECTIONS_PER_IMAGE]
    return Pairs(picture[kept].astype(np.int32), boxes[kept], labels[kept].astype(np.int32), score[kept])


def match(
    truth: Sequence[TrueBoxes], offsets: NDArray[np.int64], xyxy: NDArray[np.floating], scores: NDArray[np.floating]
) -> Matches:
    """Match a model's boxes with the true ones, picture by picture in the same order.

    Args:
        truth: one entry a picture, numbered as the columns of ``scores``.
        offsets: as of :func:`pairs_of`.
        xyxy: ``(boxes, 4)`` corners in pixels.
        scores: ``(boxes, classes)`` probabilities; what is below :data:`~data_engine.types.SCORE_FLOOR` is nothing.

    Raises:
        ValueError: pictures, boxes and classes that do not agree.
    """
    classes = scores.shape[1]
    if len(truth) != len(offsets) - 1 or offsets[-1] != len(xyxy) or len(xyxy) != len(scores):
        raise ValueError(f"{len(truth)} pictures, {len(offsets) - 1} offsets, {len(xyxy)} boxes, {len(scores)} scores")
    if any(len(boxes) and not 0 <= boxes.classes.min() <= boxes.classes.max() < classes for boxes in truth):
        raise ValueError(f"a true box of no class: the model has {classes}")
    pairs = pairs_of(offsets, scores)
    wh = (xyxy[:, 2:].astype(np.float64) - xyxy[:, :2])[pairs.box]
    area = wh[:, 0] * wh[:, 1]
    outside = np.stack([(area < low) | (area > high) for _name, low, high in SIZES], axis=1)
    every = np.uint16((1 << len(IOUS)) - 1)
    found = np.zeros((len(area), len(SIZES)), np.uint16)
    passed = np.where(outside, every, np.uint16(0)).astype(np.uint16)
    true = _true(truth)
    if len(true.label) and len(area):
        _ask(true, pairs, xyxy, found, passed)
    return Matches(
        len(truth),
        classes,
        pairs.picture,
        pairs.label,
        pairs.score,
        found,
        passed,
        true.picture,
        true.label,
        true.of_size & ~true.crowd[:, None],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _True:
    picture: NDArray[np.int32]
    label: NDArray[np.int32]
    xyxy: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    of_size: NDArray[np.bool_]
    """``(m, sizes)``"""


def _true(truth: Sequence[TrueBoxes]) -> _True:
    xyxy = np.concatenate([np.zeros((0, 4)), *(boxes.xyxy for boxes in truth)])
    wh = xyxy[:, 2:] - xyxy[:, :2]
    area = wh[:, 0] * wh[:, 1]
    return _True(
        np.repeat(np.arange(len(truth)), [len(boxes) for boxes in truth]).astype(np.int32),
        np.concatenate([np.zeros(0, np.intp), *(boxes.classes for boxes in truth)]).astype(np.int32),
        xyxy,
        np.concatenate([np.zeros(0, np.bool_), *(boxes.crowd for boxes in truth)]),
        np.stack([(area >= low) & (area <= high) for _name, low, high in SIZES], axis=1),
    )


def _ask(
    true: _True,
    pairs: Pairs,
    xyxy: NDArray[np.floating],
    found: NDArray[np.uint16],
    passed: NDArray[np.uint16],
) -> None:
    """Fill in ``found`` and ``passed`` of the detections on pictures that hold a box of their class."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        # pycocotools reports its progress by print; the result belongs to the caller alone.
        wanted, given = COCO(), COCO()
        labels = np.unique(true.label).tolist()
        frame = {
            "images": [{"id": int(number) + 1} for number in np.unique(true.picture)],
            "categories": [{"id": number + 1, "name": str(number)} for number in labels],
        }
        wanted.dataset = {**frame, "annotations": list(_entries(true.picture, true.label, true.xyxy, crowd=true.crowd))}
        boxes = xyxy[pairs.box].astype(np.float64)
        given.dataset = {**frame, "annotations": list(_entries(pairs.picture, pairs.label, boxes, score=pairs.score))}
        wanted.createIndex()
        given.createIndex()
        for label in labels:
            mine = true.label == label
            pictures = true.picture[mine]
            asked = COCOeval(wanted, given, "bbox")
            asked.params.catIds = [label + 1]
            for rows, bits, ignored in _answers(asked, np.unique(pictures), ALL):
                found[rows] = bits[:, None]
                passed[rows, ALL] = ignored
                passed[rows, ALL + 1 :] &= ~bits[:, None]
            total, crowds = np.bincount(pictures), np.bincount(pictures, true.crowd[mine])
            of_label = pairs.label == label
            for size in range(ALL + 1, len(SIZES)):
                within = np.bincount(pictures, true.of_size[mine, size])
                none = np.flatnonzero((total > 0) & (within == 0))
                rows = np.flatnonzero(of_label & np.isin(pairs.picture, none))
                passed[rows, size] |= found[rows, size]
                parted = np.flatnonzero((crowds > 0) | ((within > 0) & (within < total)))
                for rows, bits, ignored in _answers(asked, parted, size):
                    found[rows, size], passed[rows, size] = bits, ignored


def _answers(
    asked: Any, pictures: NDArray[np.integer], size: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint16], NDArray[np.uint16]]]:
    """Rows of detections, with their bits of ``found`` and ``passed``, picture by picture."""
    if not len(pictures):
        return
    name, low, high = SIZES[size]
    asked.params.imgIds = (pictures + 1).tolist()
    asked.params.areaRng, asked.params.areaRngLbl = [[low, high]], [name]
    asked.params.maxDets = [DETECTIONS_PER_IMAGE]
    asked.evaluate()
    bit = (1 << np.arange(len(IOUS))).astype(np.uint16)
    for one in asked.evalImgs:
        if one is not None and one["dtIds"]:
            found = np.asarray(one["dtMatches"]) > 0
            passed = np.asarray(one["dtIgnore"]) > 0
            rows = np.asarray(one["dtIds"], np.intp) - 1
            yield rows, (bit @ found).astype(np.uint16), (bit @ passed).astype(np.uint16)


def _entries(
    picture: NDArray[np.int32],
    label: NDArray[np.int32],
    xyxy: NDArray[np.float64],
    *,
    crowd: NDArray[np.bool_] | None = None,
    score: NDArray[np.float32] | None = None,
) -> Iterator[dict[str, Any]]:
    xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1).tolist()
    crowds = [0] * len(xywh) if crowd is None else crowd.astype(int).tolist()
    scores = [1.0] * len(xywh) if score is None else score.astype(np.float64).tolist()
    rows = zip(picture.tolist(), label.tolist(), xywh, crowds, scores, strict=True)
    # From 1: the matching inside pycocotools takes the id 0 for "no match".
    for number, (image, category, box, is_crowd, value) in enumerate(rows, 1):
        yield {
            "id": number,
            "image_id": image + 1,
            "category_id": category + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": is_crowd,
            "score": value,
        }
