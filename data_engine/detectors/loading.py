"""A model file, opened as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_engine.detectors.base import GPU_BATCH
from data_engine.detectors.device import listed_devices
from data_engine.detectors.identify import identify
from data_engine.detectors.model_file import is_archive
from data_engine.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from data_engine.ports import Detector

KINDS = ("rfdetr", "yolo")


def checked_kind(model: str, found: str | None, given: str | None) -> str | None:
    """The kind of the model named ``model``: what its file says, else what its user says, else None.

    Raises:
        UsageError: the user's kind is unknown, or another than the file's.
    """
    if given is not None and given not in KINDS:
        raise UsageError(f"model kind {given!r} is unknown", hint="--kind rfdetr|yolo")
    if given is not None and found is not None and given != found:
        raise UsageError(f"{model} is a {found} model, not {given}", hint=f"leave --kind out, or give --kind {found}")
    return found or given


def open_detector(
    path: Path,
    *,
    kind: str | None = None,
    device: str = "auto",
    class_names: Sequence[str] | None = None,
    threads: int | None = None,
    batch: int = GPU_BATCH,
) -> Detector:
    """Open a model.

    Args:
        path: an ``.onnx`` file of either kind, a ``.pt`` checkpoint of ultralytics or a ``.pth`` checkpoint of rfdetr.
        kind: ``rfdetr`` or ``yolo``, for a file that does not say it.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``tensorrt`` or ``tensorrt:N``; what can't be had is an error,
            never another device.  Of several, separated by commas, the first.
        class_names: names in the order of the model's outputs, for a file that does not hold them.
        threads: CPU threads; None leaves the choice to the package that runs the model.
        batch: pictures that go into a GPU at once.

    Raises:
        UsageError: an unknown kind or device, another kind than the file's, a kind or names that nobody tells.
        MissingInputError: there is no such file.
        DamagedInputError: it is no model of that kind.
        MissingDependencyError: the package that runs it is not installed.
    """
    checked_kind(path.name, None, kind)
    found = identify(path)
    chosen = checked_kind(path.name, found, kind)
    if chosen is None:
        raise UsageError(f"{path.name} does not say which kind of model it is", hint="--kind rfdetr|yolo")
    opened: type[RfDetrOnnx | RfDetrTorch | YoloOnnx | YoloTorch]
    if chosen == "rfdetr":
        from data_engine.detectors.rfdetr_onnx import RfDetrOnnx
        from data_engine.detectors.rfdetr_torch import RfDetrTorch

        opened = RfDetrTorch if is_archive(path) else RfDetrOnnx
    else:
        from data_engine.detectors.yolo import YoloOnnx, YoloTorch

        opened = YoloTorch if is_archive(path) else YoloOnnx
    first = listed_devices(device)[0]
    return opened(path, device=first, class_names=class_names, threads=threads, batch=batch)
