"""RF-DETR from a checkpoint of its training, by PyTorch: the network itself, without rfdetr's own post-processing."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_engine.detectors.base import GPU_BATCH, PreparingDetector, filled, runs
from data_engine.detectors.class_names import chosen_names, slot_columns
from data_engine.detectors.device import parse_device
from data_engine.detectors.model_file import is_archive
from data_engine.detectors.rfdetr_pictures import detections, prepared
from data_engine.detectors.torch_device import started
from data_engine.errors import DamagedInputError, MissingDependencyError
from data_engine.words import installing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_engine.ports import Prepared, UInt8Array
    from data_engine.types import Detections


class RfDetrTorch(PreparingDetector):
    """RF-DETR by PyTorch; see :class:`data_engine.ports.Detector` for the contract.

    Every query's whole vector comes out, as from the export of the same checkpoint
    (:class:`data_engine.detectors.rfdetr_onnx.RfDetrOnnx`).  The file is loaded without running code that it may hold.

    Args:
        path: the ``.pth`` file that rfdetr's training wrote (``checkpoint_best_total.pth``, ``last_ema.pth``).
        device: ``auto`` (the GPU when PyTorch sees one), ``cpu``, ``cuda`` or ``cuda:N``.
        class_names: for a checkpoint without names.
        threads: PyTorch's CPU threads, for the whole process.
        batch: pictures that go into a GPU at once.

    Raises:
        MissingInputError, DamagedInputError: not there, not such a checkpoint, or names that do not fit its slots.
        MissingDependencyError: rfdetr is not installed, or PyTorch has no CUDA and CUDA was asked for.
        UsageError: an unknown device or GPU; no class names, or given ones that do not fit.
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
        parse_device(device)
        self._name = path.name
        if not is_archive(path):
            raise DamagedInputError(f"{path.name} is not a PyTorch checkpoint")
        try:
            import rfdetr
            import torch
        except ImportError as error:
            raise MissingDependencyError(
                "rfdetr, which opens RF-DETR's .pth files, is not installed",
                hint=f"{installing('rfdetr')}, or give the model's .onnx file",
            ) from error
        self.device = started(torch, device, threads)
        self._batch = 1 if self.device == "cpu" else batch
        model = _loaded(rfdetr, path, self.device)
        noted = list(model.model.class_names) if model.model.class_names else None
        names = chosen_names(path.name, noted, class_names)
        self._network = model.model.model.eval()
        self._slots = int(self._network.class_embed.weight.shape[0])
        self._columns, self.class_names = slot_columns(path.name, self._slots, names, in_file=noted is not None)
        self._side = int(model.model_config.resolution)
        self._torch: Any = torch

    def prepare(self, image: UInt8Array) -> Prepared:
        return prepared(image, self._side, self._side)

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        found: list[Detections] = []
        for part in runs(len(prepared), self._batch):
            pictures = filled(np.stack([each.pixels for each in prepared[part]]), self._batch)
            with self._torch.inference_mode():
                answer = self._network(self._torch.from_numpy(pictures).to(self.device))
            boxes, logits = (answer[name].float().cpu().numpy() for name in ("pred_boxes", "pred_logits"))
            if not (np.isfinite(boxes).all() and np.isfinite(logits).all()):
                raise DamagedInputError(f"{self._name} answers with NaN or infinite numbers")
            # What was filled up has no picture, and falls off here.
            for each, one, vector in zip(prepared[part], boxes, logits, strict=False):
                found.append(detections(one, vector[:, self._columns], each))
        return found


def _loaded(rfdetr: Any, path: Path, device: str) -> Any:
    """The model of a checkpoint, under a name of ours: one that is named like published weights without being them is
    downloaded again.
    """
    with tempfile.TemporaryDirectory(prefix="rfdetr-") as folder, contextlib.redirect_stdout(sys.stderr):
        start = Path(folder) / f"checkpoint-{path.name}"
        start.symlink_to(path.resolve())
        try:
            return rfdetr.RFDETR.from_checkpoint(start, device=device)
        except Exception as error:  # a damaged pickle can raise anything
            raise DamagedInputError(f"{path.name} is not a checkpoint that rfdetr wrote, or is damaged") from error
