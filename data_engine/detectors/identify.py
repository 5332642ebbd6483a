"""What kind of model a file holds, told by the file itself."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from data_engine.detectors.model_file import is_archive
from data_engine.detectors.onnx_model import OnnxFacts, describe
from data_engine.errors import DamagedInputError

if TYPE_CHECKING:
    from pathlib import Path

_RFDETR_WEIGHTS = (b"class_embed.weight", b"refpoint_embed.weight", b"query_feat.weight")
"""Names of weights that only an RF-DETR has together."""


def identify(path: Path) -> str | None:
    """``rfdetr``, ``yolo``, or None where the file does not say.

    An ONNX file is known by its outputs and metadata, a checkpoint of ultralytics or rfdetr by the names that its
    pickle mentions: the pickle is read as bytes, nothing in it is run.

    Raises:
        MissingInputError: there is no such file.
        DamagedInputError: an empty file; one named ``.onnx``, ``.pt`` or ``.pth`` that is no such thing.
        MissingDependencyError: an ONNX file, and ONNX Runtime is not installed.
    """
    suffix = path.suffix.lower()
    if is_archive(path):
        if suffix == ".onnx":
            raise DamagedInputError(f"{path.name} is not an ONNX model")
        return _kind_of_pickle(path)
    if suffix in (".pt", ".pth"):
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


def _kind_of_pickle(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [archive.read(name) for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise DamagedInputError(f"{path.name} is damaged: it begins as an archive, but can't be read as one") from error
    if any(b"ultralytics" in pickle for pickle in pickles):
        return "yolo"
    return "rfdetr" if any(all(name in pickle for name in _RFDETR_WEIGHTS) for pickle in pickles) else None
