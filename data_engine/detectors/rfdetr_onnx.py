"""RF-DETR from the ONNX file that rfdetr exports.

``dets`` are centres and sizes as parts of the picture, ``labels`` logits; see
:mod:`data_engine.detectors.rfdetr_pictures` for what goes in and how they are read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from data_engine.detectors.base import GPU_BATCH, PreparingDetector
from data_engine.detectors.class_names import chosen_names, slot_columns
from data_engine.detectors.onnx_model import OnnxModel
from data_engine.detectors.rfdetr_pictures import detections, prepared
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from data_engine.ports import Prepared, UInt8Array
    from data_engine.types import Detections

NOTES = "rfdetr_notes"
"""Metadata key under which ``export(notes={"class_names": [...]})`` keeps the names, as JSON."""


class RfDetrOnnx(PreparingDetector):
    """RF-DETR by ONNX Runtime; see :class:`data_engine.ports.Detector` for the contract.

    A fine-tuned model of N classes has N + 1 slots, the last of which is background and dropped.  A model with as many
    slots as names is read by position, and slots with an empty name are dropped.  A model that was pretrained on COCO
    has 91 slots, whose index is the category id, and 80 names: they are put on COCO's ids.  Its boxes were compared
    with rfdetr's own on a full-size Nano with random weights; no pretrained weights were at hand.

    Args:
        path: the ``.onnx`` file.
        device: see :class:`data_engine.detectors.onnx_model.OnnxModel`.
        class_names: for a file that was exported without names.
        threads: CPU threads.
        batch: pictures that go into a GPU at once.

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
        batch: int = GPU_BATCH,
    ) -> None:
        self._model = model = OnnxModel(path, device=device, threads=threads, batch=batch)
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
        self._slots = model.outputs["labels"][-1]
        self._columns, self.class_names = slot_columns(model.name, self._slots, names, in_file=noted is not None)

    def prepare(self, image: UInt8Array) -> Prepared:
        return prepared(image, self._height, self._width)

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        found: list[Detections] = []
        for part in self._model.runs(len(prepared)):
            dets, labels = self._model.run(np.stack([each.pixels for each in prepared[part]]), ("dets", "labels"))
            if dets.shape[2] != 4 or labels.shape[2] != self._slots or dets.shape[1] != labels.shape[1]:
                raise DamagedInputError(
                    f"{self._model.name} answers with dets {dets.shape} and labels {labels.shape}, "
                    f"not (n, queries, 4) and (n, queries, {self._slots})"
                )
            for each, boxes, logits in zip(prepared[part], dets, labels, strict=True):
                found.append(detections(boxes, logits[:, self._columns], each))
        return found


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
