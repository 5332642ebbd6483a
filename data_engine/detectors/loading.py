"""A model file, opened as what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
) -> Detector:
    """Open a model.

    Args:
        path: an ``.onnx`` file of either kind, or a ``.pt`` checkpoint of ultralytics.
        kind: ``rfdetr`` or ``yolo``, for a file that does not say it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; what can't be had is an error, never another device.
        class_names: names in the order of the model's outputs, for a file that does not hold them.
        threads: CPU threads; None leaves the choice to the package that runs the model.

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
    if chosen == "rfdetr":
        from data_engine.detectors.rfdetr_onnx import RfDetrOnnx

        return RfDetrOnnx(path, device=device, class_names=class_names, threads=threads)
    from data_engine.detectors.yolo import YoloOnnx, YoloTorch

    opened = YoloTorch if is_archive(path) else YoloOnnx
    return opened(path, device=device, class_names=class_names, threads=threads)
