"""RF-DETR from the ONNX file that rfdetr exports.

What goes in and comes out is that of ``rfdetr.RFDETR.predict`` (rfdetr 1.11): RGB over 255, a bilinear resize of the
*float* picture straight to the input's size (no letterbox, no antialias), ImageNet's mean and deviation; ``dets`` are
centres and sizes as parts of the picture, ``labels`` logits that go through a sigmoid each (not a softmax).

``predict`` ranks pairs of query and class, so that a query can come out twice, or with one class only.  Here every
query comes out once with its whole vector: the pairs above a threshold are the same, and an entropy is right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from data_engine.detectors.boxes import corners, in_picture
from data_engine.detectors.class_names import chosen_names, misfit
from data_engine.detectors.onnx_model import OnnxModel
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from data_engine.ports import UInt8Array
    from data_engine.types import Detections, FloatArray

MEAN = np.asarray([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.asarray([0.229, 0.224, 0.225], np.float32)
NOTES = "rfdetr_notes"
"""Metadata key under which ``export(notes={"class_names": [...]})`` keeps the names, as JSON."""


class RfDetrOnnx:
    """RF-DETR by ONNX Runtime; see :class:`data_engine.ports.Detector` for the contract.

    A fine-tuned model of N classes has N + 1 slots, the last of which is background and dropped.  A model with as many
    slots as names is read by position, and slots with an empty name are dropped: so is a COCO-pretrained model meant to
    be opened (91 slots, the index is the category id), with 91 names of which the unused ids' are empty.  That case is
    from rfdetr's source; no pretrained weights were at hand to run it.

    Args:
        path: the ``.onnx`` file.
        device: see :class:`data_engine.detectors.onnx_model.OnnxModel`.
        class_names: for a file that was exported without names.
        threads: CPU threads.

    Raises:
        DamagedInputError: not an ONNX model, not an RF-DETR, or names that do not fit its slots.
        UsageError: no class names, or given ones that do not fit.
    """

    kind = "rfdetr"

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        class_names: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        self._model = model = OnnxModel(path, device=device, threads=threads)
        self.device = model.device
        if not {"dets", "labels"} <= model.outputs.keys():
            raise DamagedInputError(
                f"{model.name} is not an RF-DETR model: its outputs are {', '.join(model.outputs)}, not dets and labels"
            )
        if model.height is None or model.width is None:
            raise DamagedInputError(f"{model.name} leaves the size of its input open, which no RF-DETR export does")
        self._height, self._width = model.height, model.width
        noted = noted_names(model.metadata)
        names = chosen_names(model.name, noted, class_names)
        slots = model.outputs["labels"][-1]
        if slots is None or slots < 2:
            raise DamagedInputError(f"{model.name} has no class: its labels have {slots} slots, background included")
        if slots - len(names) not in (0, 1):
            outputs = f"labels of {slots} slots (one is background)"
            raise misfit(model.name, outputs, names, in_file=noted is not None)
        self._columns = [column for column, name in enumerate(names) if name]
        self._slots = slots
        self.class_names = tuple(name for name in names if name)

    def predict(self, images: Sequence[UInt8Array]) -> list[Detections]:
        found: list[Detections] = []
        for part in self._model.batches(len(images)):
            pictures = [prepared(image, self._height, self._width) for image in images[part]]
            dets, labels = self._model.run(np.stack(pictures), ("dets", "labels"))
            if dets.shape[2] != 4 or labels.shape[2] != self._slots or dets.shape[1] != labels.shape[1]:
                raise DamagedInputError(
                    f"{self._model.name} answers with dets {dets.shape} and labels {labels.shape}, "
                    f"not (n, queries, 4) and (n, queries, {self._slots})"
                )
            for image, boxes, logits in zip(images[part], dets, labels, strict=True):
                found.append(self._decoded(boxes, logits, width=image.shape[1], height=image.shape[0]))
        return found

    def _decoded(self, boxes: FloatArray, logits: FloatArray, *, width: int, height: int) -> Detections:
        xyxy = corners(boxes) * np.asarray([width, height, width, height], np.float32)
        return in_picture(xyxy, sigmoid(logits[:, self._columns]), width, height)


def prepared(image: UInt8Array, height: int, width: int) -> FloatArray:
    """A ``(h, w, 3)`` uint8 RGB picture as the model's ``(3, height, width)`` float32 input."""
    import cv2

    resized = cv2.resize(image.astype(np.float32) / 255, (width, height), interpolation=cv2.INTER_LINEAR)
    normalised: FloatArray = ((resized - MEAN) / DEVIATION).transpose(2, 0, 1)
    return normalised


def sigmoid(logits: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-x))`` without overflow."""
    probabilities: FloatArray = np.exp(-np.logaddexp(np.float32(0), -logits))
    return probabilities


def noted_names(metadata: Mapping[str, str]) -> list[str] | None:
    """The class names in an export's notes; None where the notes hold none."""
    try:
        notes = json.loads(metadata.get(NOTES, ""))
    except ValueError:
        return None
    names = notes.get("class_names") if isinstance(notes, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return None
    return names
