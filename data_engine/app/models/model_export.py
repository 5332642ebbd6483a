"""``models export``: a model as a file that other programs run, with all they need to know of it beside it."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from data_engine.app.engine import Engine
from data_engine.app.models.in_use import SHORT, current_model, refuse_changed, refuse_changed_weights
from data_engine.app.models.model_registry import model_named
from data_engine.app.outputs import output_key
from data_engine.errors import MissingInputError
from data_engine.lineage import evaluations, models
from data_engine.types import Model, Report

Format = Literal["onnx", "torch", "tensorrt"]
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torch": (".pt", ".pth", ".ckpt"),
    "tensorrt": (".engine", ".plan", ".trt"),
}
_BATCH = 16
"""Pictures that a TensorRT engine takes at once, at most."""
_PREPARED = {
    "yolo": "RGB / 255; scaled to fit the input, in the middle of a canvas of grey 114 (letterbox)",
    "rfdetr": "RGB / 255, less ImageNet's mean over its deviation; stretched to the input's size",
}


def export_model(engine: Engine, name: str, output: Path, format: Format = "onnx") -> Report:
    """Write the weights of a model to a file, and beside it as JSON its classes, thresholds, input size and id.

    Args:
        engine: the workspace.
        name: as of :func:`data_engine.app.models.model_registry.model_named`.
        output: the file.
        format: ONNX, the training library's own checkpoint, or a TensorRT engine for the GPU of this machine.

    Raises:
        MissingInputError: no such model; its weights are gone, or it came without a checkpoint.
        UsageError: ``output`` is a folder or has the suffix of another format; no GPU to build an engine on.
        ConflictError: ``output`` is a place of the workspace's own.
        DamagedInputError: the model's file, or its checkpoint, holds something else by now.
        MissingDependencyError: TensorRT or the training library is not installed.
    """
    key = output_key(engine, "--output", output, _SUFFIXES[format])
    current_model(engine, None)
    model = model_named(engine, name)
    with engine.database.read() as connection:
        (known,) = [one for one in models.registered(connection) if one.model.id == model.id]
    if format == "onnx":
        refuse_changed(engine, model)
    source = model.key if format == "onnx" else known.weights_key
    if source is None or not engine.storage.exists(source):
        raise MissingInputError(
            f"model {model.id[:SHORT]} has no {'ONNX file' if format == 'onnx' else 'checkpoint'} any more"
            if source
            else f"model {model.id[:SHORT]} came without a checkpoint",
            hint="dataengine models show " + model.id[:SHORT],
        )
    if format != "onnx":
        refuse_changed_weights(engine, model, source)
    with engine.storage.writing(key) as temporary:
        if format == "tensorrt":
            _build(model, engine.storage.path(source), temporary)
        else:
            shutil.copyfile(engine.storage.path(source), temporary)
    told = _told(engine, model, known.version, format, engine.storage.path(key))
    beside = engine.storage.key_of(output.with_name(f"{output.name}.json"))
    text = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
    engine.storage.write_bytes(beside, f"{text}\n".encode())
    return Report(
        title=f"wrote {model.kind} {model.id[:SHORT]} as {format}",
        data={"output": engine.shown(key), "beside": engine.shown(beside), **told},
        notes=(() if told["thresholds"] else ("no thresholds are known of it yet: dataengine evaluate finds them",)),
    )


def _build(model: Model, weights: Path, target: Path) -> None:
    from data_engine.trainers.engines import build_engine

    with tempfile.TemporaryDirectory(prefix="dataengine-") as folder:
        shutil.copyfile(build_engine(model.kind, weights, Path(folder), batch=_BATCH), target)


def _told(engine: Engine, model: Model, version: int | None, format: Format, file: Path) -> dict[str, Any]:
    from data_engine.media.images import sha256_of

    return {
        "id": model.id,
        "kind": model.kind,
        "format": format,
        "file": file.name,
        "sha256": sha256_of(file),
        "classes": list(model.class_names),
        "input": _input(engine, model),
        "thresholds": _thresholds(engine, model),
        "dataset_version": None if version is None else f"v{version}",
        "parent": model.parent_id,
        "map": model.metrics.get("map"),
        "map50": model.metrics.get("map50"),
    }


def _input(engine: Engine, model: Model) -> dict[str, Any]:
    """Sides of the input in pixels, None where they are free or the ONNX file is gone; and what is done to pictures."""
    width = height = None
    if engine.storage.exists(model.key) and Path(model.key).suffix.lower() == ".onnx":
        from data_engine.detectors.onnx_model import OnnxModel

        opened = OnnxModel(engine.storage.path(model.key), device="cpu", threads=1)
        width, height = opened.width, opened.height
    return {"width": width, "height": height, "layout": "NCHW", "pictures": _PREPARED[model.kind]}


def _thresholds(engine: Engine, model: Model) -> dict[str, Any]:
    """By class, of the newest evaluation: on the golden set where there is one."""
    with engine.database.read() as connection:
        measured = [*evaluations.of_model(connection, model.id, "golden"), *evaluations.of_model(connection, model.id)]
    return next((dict(row.metrics["thresholds"]) for row in measured if row.metrics.get("thresholds")), {})
