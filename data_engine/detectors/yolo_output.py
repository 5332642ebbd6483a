"""What a YOLO of ultralytics answers, decoded.  Pure.

Three forms exist (``ultralytics.nn.modules.head.Detect``, 8.4):

``grid``
    ``[batch, 4 + classes, anchors]``: centre and size in canvas pixels, then class probabilities.  Needs suppression.
``pairs``
    ``[batch, rows, 6]``: corners in canvas pixels, a probability, a class.  The end-to-end exports (yolo26, yolov10,
    and any model exported with ``nms=True``): the best pairs of box and class.
``queries``
    ``[batch, anchors, 4 + classes]``: corners in canvas pixels, then class probabilities.  An end-to-end checkpoint
    whose last step, the choice of the best pairs, was left out.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_engine.detectors.boxes import corners, in_picture, suppressed
from data_engine.detectors.letterbox import in_picture_pixels
from data_engine.types import SCORE_FLOOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from data_engine.ports import Prepared
    from data_engine.types import Detections, FloatArray

Form = Literal["grid", "pairs", "queries"]
OVERLAP = 0.7
"""Intersection over union above which the weaker of two boxes of one class goes; ultralytics' default."""


def decoded(answer: FloatArray, form: Form, canvas: Prepared, *, classes: int) -> Detections:
    """One picture's detections from one picture's rows of the answer.

    Raises:
        ValueError: another shape than the form has, a class that is not there, scores outside 0..1.
    """
    xyxy, scores = _boxes_and_scores(answer, form, classes)
    likely = scores.max(axis=1) >= SCORE_FLOOR
    xyxy, scores = xyxy[likely], scores[likely]
    if form == "grid":
        kept = suppressed(xyxy, scores, overlap=OVERLAP)
        xyxy, scores = xyxy[kept], scores[kept]
    return in_picture(in_picture_pixels(xyxy, canvas), scores, canvas.width, canvas.height)


def _boxes_and_scores(answer: FloatArray, form: Form, classes: int) -> tuple[FloatArray, FloatArray]:
    """``(n, 4)`` corners in canvas pixels and ``(n, classes)`` probabilities."""
    if form == "pairs":
        if answer.shape[1] != 6:
            raise ValueError(f"rows of {answer.shape[1]} numbers, not 6")
        return _gathered(answer, classes)
    rows = answer.T if form == "grid" else answer
    if rows.shape[1] != 4 + classes:
        raise ValueError(f"{rows.shape[1]} numbers a box, not 4 + {classes} classes")
    return (corners(rows[:, :4]) if form == "grid" else rows[:, :4]), rows[:, 4:]


def _gathered(rows: FloatArray, classes: int) -> tuple[FloatArray, FloatArray]:
    """Rows ``(n, 6)`` of one class each, with those of one box put together again.

    The model lists a box once for every class among its best pairs, with the same corners to the bit.  Classes that are
    not among the pairs get probability 0: all that such an export tells.
    """
    rows = rows[rows[:, 4] > 0]
    label = rows[:, 5].astype(np.intp)
    if len(rows) and (label.min() < 0 or label.max() >= classes):
        raise ValueError(f"class {label.max() if label.max() >= classes else label.min()} of {classes}")
    _, first, box = np.unique(rows[:, :4], axis=0, return_index=True, return_inverse=True)
    scores = np.zeros((len(first), classes), np.float32)
    np.maximum.at(scores, (box.reshape(-1), label), rows[:, 4])
    # In the order of their first rows, so that ties keep the model's own order.
    order = np.argsort(first, kind="stable")
    return rows[first[order], :4], scores[order]


def form_of(metadata: Mapping[str, str]) -> Form:
    """The form that an export's metadata tells: ``pairs`` for end-to-end models and for suppression built in."""
    args = literal(metadata.get("args"))
    with_nms = isinstance(args, dict) and bool(args.get("nms"))
    return "pairs" if with_nms or literal(metadata.get("end2end")) is True else "grid"


def named_classes(metadata: Mapping[str, str]) -> list[str] | None:
    """Class names in their order, from the metadata's ``{0: 'person', …}``; None where there are none."""
    return ordered_names(literal(metadata.get("names")))


def ordered_names(names: object) -> list[str] | None:
    """The values of ``{0: a, 1: b, …}``, or of a list; None where it is neither, or has a gap."""
    if isinstance(names, list | tuple):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or set(names) != set(range(len(names))):
        return None
    return [str(names[number]) for number in range(len(names))]


def literal(text: str | None) -> object:
    """A Python literal, as ultralytics writes its metadata; None where it is none."""
    try:
        return ast.literal_eval(text or "None")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
