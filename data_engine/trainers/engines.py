"""TensorRT engines, built by the training libraries' own exporters from their checkpoints.

Written against their documentation (https://docs.ultralytics.com/integrations/tensorrt,
https://rfdetr.roboflow.com/exports); not yet seen to run, for want of a GPU.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from data_engine.errors import DamagedInputError, DataEngineError, MissingDependencyError, UsageError
from data_engine.trainers.quiet import importing, talking_to
from data_engine.trainers.yolo_model import import_ultralytics
from data_engine.words import installing


def build_engine(kind: str, weights: Path, scratch: Path, *, batch: int) -> Path:
    """A TensorRT engine of a checkpoint, for the GPU of this machine and no other.

    Args:
        kind: ``yolo`` or ``rfdetr``.
        weights: its checkpoint.
        scratch: an empty folder.
        batch: pictures that go in at once, at most.

    Raises:
        MissingDependencyError: TensorRT or the training library is not installed.
        UsageError: no GPU here.
        DamagedInputError: the checkpoint can't be read, or the library fails on it.
    """
    if importlib.util.find_spec("tensorrt") is None:
        raise MissingDependencyError("TensorRT is not installed", hint="pip install tensorrt-cu12")
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("PyTorch is not installed", hint=installing("train")) from None
    if not torch.cuda.is_available():
        raise UsageError("a TensorRT engine is built on the GPU that it will run on, and there is none here")
    if kind == "yolo":
        import_ultralytics()
    # A name of ours: what is named like published weights is downloaded.
    start = scratch / f"start{weights.suffix}"
    shutil.copyfile(weights, start)
    try:
        with talking_to(scratch / "export.log", "ultralytics", "rf-detr", "rfdetr"):
            return _of_yolo(start, batch) if kind == "yolo" else _of_rfdetr(start, scratch, batch)
    except DataEngineError:
        raise
    except Exception as error:  # the libraries' errors share no class
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DamagedInputError(f"{weights.name} could not be made a TensorRT engine: {first}") from error


def _of_yolo(start: Path, batch: int) -> Path:
    from ultralytics import YOLO

    size = YOLO(str(start)).model.args.get("imgsz", 640)
    return Path(YOLO(str(start)).export(format="engine", dynamic=True, batch=batch, imgsz=size, device=0))


def _of_rfdetr(start: Path, scratch: Path, batch: int) -> Path:
    try:
        with importing():
            import rfdetr
    except ImportError as error:
        raise MissingDependencyError(f"rfdetr is not installed ({error})", hint=installing("rfdetr")) from None
    model = rfdetr.RFDETR.from_checkpoint(start, device="cuda")
    made = model.export(
        output_dir=str(scratch / "engine"),
        format="tensorrt",
        verbose=False,
        dynamic_batch=True,
        max_batch_size=batch,
        fp16=False,
    )
    return Path(made)
