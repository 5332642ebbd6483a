"""YOLO as ultralytics trains it: exported to ONNX, or its own ``.pt`` checkpoint.

Both put every picture in the middle of a whole canvas of the model's size (``YOLO.predict`` on a ``.pt`` trims the
canvas to the picture), so that an export and its checkpoint see the same and answer the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.detectors.base import GPU_BATCH, PreparingDetector, filled, runs
from data_engine.detectors.class_names import chosen_names, misfit
from data_engine.detectors.device import parse_device
from data_engine.detectors.letterbox import letterboxed
from data_engine.detectors.model_file import is_archive
from data_engine.detectors.onnx_model import OnnxModel
from data_engine.detectors.torch_device import started
from data_engine.detectors.ultralytics_offline import imported_ultralytics
from data_engine.detectors.yolo_output import Form, decoded, form_of, literal, named_classes, ordered_names
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from data_engine.ports import Prepared, UInt8Array
    from data_engine.types import Detections, FloatArray

OUTPUT = "output0"


class YoloOnnx(PreparingDetector):
    """YOLO by ONNX Runtime; see :class:`data_engine.ports.Detector` for the contract.

    Probabilities of every class are kept.  An end-to-end export (yolo26 or yolov10 with their one-to-one head, or any
    model with ``nms=True``) tells only the best pairs of box and class: classes of a box that are not among them get
    0, which makes its entropy too low.  Where frames are chosen by entropy, export with the one-to-many head (what
    ultralytics 8.4 does when ``nms`` is not given) or open the ``.pt``.

    Args:
        path: the ``.onnx`` file; names and size come from its metadata.
        device: see :class:`data_engine.detectors.onnx_model.OnnxModel`.
        class_names: for a file whose metadata are gone.
        threads: CPU threads.
        batch: pictures that go into a GPU at once.

    Raises:
        DamagedInputError: not an ONNX model, not a YOLO that finds boxes, or names that do not fit its output.
        UsageError: no class names, or given ones that do not fit.
    """

    kind = "yolo"

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
        shape = model.outputs.get(OUTPUT)
        if shape is None or len(shape) != 3:
            listed = ", ".join(f"{name} {list(sides)}" for name, sides in model.outputs.items())
            raise DamagedInputError(
                f"{model.name} is not a YOLO model: its outputs are {listed}, not {OUTPUT} of 3 axes"
            )
        _check_task(model.name, model.metadata.get("task", "detect"))
        self._form: Form = form_of(model.metadata)
        named = named_classes(model.metadata)
        if self._form == "grid" and shape[1] is not None:
            if shape[1] <= 4:
                raise DamagedInputError(f"{model.name} has no class: its {OUTPUT} has {shape[1]} rows, 4 are the box")
            names = chosen_names(model.name, named, class_names)
            if shape[1] - 4 != len(names):
                raise misfit(model.name, f"{shape[1] - 4} classes", names, in_file=named is not None)
        self.class_names = chosen_names(model.name, named, class_names)
        self._size = _canvas_of_export(model)

    def prepare(self, image: UInt8Array) -> Prepared:
        return letterboxed(image, *self._size)

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        found: list[Detections] = []
        for part in self._model.runs(len(prepared)):
            (answers,) = self._model.run(stacked(prepared[part]), (OUTPUT,))
            found += decoded_all(self._model.name, answers, self._form, prepared[part], len(self.class_names))
        return found


class YoloTorch(PreparingDetector):
    """YOLO from a checkpoint of ultralytics, by PyTorch; see :class:`data_engine.ports.Detector` for the contract.

    The network's own answer is read, before any suppression, so every class of every box is known, for end-to-end
    models too.  The file is loaded without running code that it may hold.

    Args:
        path: the ``.pt`` file.
        device: ``auto`` (the GPU when PyTorch sees one), ``cpu``, ``cuda`` or ``cuda:N``.
        class_names: for a checkpoint without names.
        threads: PyTorch's CPU threads, for the whole process.
        batch: pictures that go into a GPU at once.

    Raises:
        MissingInputError, DamagedInputError: not there, not such a checkpoint, or one that does not find boxes.
        MissingDependencyError: ultralytics is not installed, or PyTorch has no CUDA and CUDA was asked for.
        UsageError: an unknown device or GPU; no class names, or given ones that do not fit.
    """

    kind = "yolo"

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        class_names: Sequence[str] | None = None,
        threads: int | None = None,
        batch: int = GPU_BATCH,
    ) -> None:
        parse_device(device)
        self._name = path.name
        if not is_archive(path):
            raise DamagedInputError(f"{path.name} is not a PyTorch checkpoint")
        imported_ultralytics()
        import torch
        from ultralytics.nn.tasks import load_checkpoint

        self.device = started(torch, device, threads)
        self._batch = 1 if self.device == "cpu" else batch
        try:
            model, _ = load_checkpoint(str(path))
        except Exception as error:  # a damaged pickle can raise anything
            raise DamagedInputError(f"{path.name} is not a checkpoint that ultralytics wrote, or is damaged") from error
        _check_task(path.name, str(model.task))
        head = model.model[-1]
        self._form: Form = "grid"
        if getattr(head, "end2end", False):
            # Its last step picks the best pairs of box and class; without it all classes are there.
            self._form = "queries"
            head.postprocess = lambda answers, *_: answers
        named = ordered_names(getattr(model, "names", None))
        self.class_names = chosen_names(path.name, named, class_names)
        if head.nc != len(self.class_names):
            raise misfit(path.name, f"{head.nc} classes", self.class_names, in_file=named is not None)
        self._size = _canvas_of_checkpoint(model.args.get("imgsz", 640), int(model.stride.max()))
        self._torch: Any = torch
        self._network = model.fuse(verbose=False).to(self.device).eval()

    def prepare(self, image: UInt8Array) -> Prepared:
        return letterboxed(image, *self._size)

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        found: list[Detections] = []
        for part in runs(len(prepared), self._batch):
            pictures = filled(stacked(prepared[part]), self._batch)
            with self._torch.inference_mode():
                raw = self._network(self._torch.from_numpy(pictures).to(self.device))
            answers = (raw[0] if isinstance(raw, tuple | list) else raw).float().cpu().numpy()[: len(prepared[part])]
            if not np.isfinite(answers).all():
                raise DamagedInputError(f"{self._name} answers with NaN or infinite numbers")
            found += decoded_all(self._name, answers, self._form, prepared[part], len(self.class_names))
        return found


def stacked(canvases: Sequence[Prepared]) -> FloatArray:
    """``(n, 3, height, width)`` float32 in 0..1."""
    pixels = np.stack([canvas.pixels for canvas in canvases]).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255)


def decoded_all(
    model: str, answers: FloatArray, form: Form, canvases: Sequence[Prepared], classes: int
) -> list[Detections]:
    """Each picture's detections; DamagedInputError naming the model where the answer is not what its form says."""
    try:
        return [
            decoded(answer, form, canvas, classes=classes) for answer, canvas in zip(answers, canvases, strict=True)
        ]
    except ValueError as error:
        raise DamagedInputError(f"{model} does not answer as a YOLO does: {error}") from error


def _canvas_of_export(model: OnnxModel) -> tuple[int, int]:
    """Height and width of the canvas: the input's, or where it leaves them open the metadata's."""
    if model.height is not None and model.width is not None:
        return model.height, model.width
    match literal(model.metadata.get("imgsz")):
        case [int(height), int(width)] if height > 0 and width > 0:
            return height, width
    raise DamagedInputError(
        f"{model.name} does not say how large its input is", hint="export it again with ultralytics"
    )


def _canvas_of_checkpoint(size: int | Sequence[int], stride: int) -> tuple[int, int]:
    """Height and width of the canvas: the training size, rounded up to the network's stride."""
    sides = (size, size) if isinstance(size, int) else size
    height, width = (-(-int(side) // stride) * stride for side in sides)
    return height, width


def _check_task(model: str, task: str) -> None:
    if task != "detect":
        raise DamagedInputError(f"{model} is a YOLO for the task {task!r}, not for finding boxes")
