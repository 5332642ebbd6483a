"""What kind of model a file holds, told by the file itself."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from data_engine.detectors.model_file import is_archive
from data_engine.detectors.onnx_model import OnnxFacts, describe
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from pathlib import Path


def identify(path: Path) -> str | None:
    """``rfdetr``, ``yolo``, or None where the file does not say.

    An ONNX file is known by its outputs and metadata, a checkpoint of ultralytics by the names that its pickle
    mentions: the pickle is read as bytes, nothing in it is run.

    Raises:
        MissingInputError: there is no such file.
        DamagedInputError: an empty file; one named ``.onnx`` or ``.pt`` that is no such thing.
        MissingDependencyError: an ONNX file, and ONNX Runtime is not installed.
    """
    suffix = path.suffix.lower()
    if is_archive(path):
        if suffix == ".onnx":
            raise DamagedInputError(f"{path.name} is not an ONNX model")
        return "yolo" if _mentions_ultralytics(path) else None
    if suffix == ".pt":
        raise DamagedInputError(f"{path.name} is not a PyTorch checkpoint")
    if suffix != ".onnx":
        return None
    return _kind_of(describe(path))


def _kind_of(facts: OnnxFacts) -> str | None:
    if {"dets", "labels"} <= facts.outputs.keys():
        return "rfdetr"
    if "output0" in facts.outputs and facts.metadata.get("author") == "Ultralytics":
        return "yolo"
    return None


def _mentions_ultralytics(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
            return any(b"ultralytics" in archive.read(name) for name in pickles)
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DamagedInputError(f"{path.name} is damaged: it begins as an archive, but can't be read as one") from error
