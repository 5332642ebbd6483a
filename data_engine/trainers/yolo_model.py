"""The YOLO that a training begins with: ultralytics imported with care, a description or a checkpoint read."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_engine.errors import DamagedInputError, MissingDependencyError, UsageError
from data_engine.trainers.quiet import importing
from data_engine.words import installing

PUBLISHED = ("n", "s", "m", "l", "x")
"""Sizes of YOLO11, built from the description that ultralytics carries."""

# Two detection levels and 0.6 million parameters, after YOLO11 at 0.15 of its width: learns from a few hundred
# pictures and on a CPU.  Rows are [from, repeats, module, arguments], as in the descriptions of ultralytics.
TINY: Mapping[str, Any] = {
    "backbone": [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [24, 3, 2]],
        [-1, 1, "C3k2", [40, False, 0.25]],
        [-1, 1, "Conv", [40, 3, 2]],
        [-1, 1, "C3k2", [80, False, 0.25]],  # 4: 1/8 of the input
        [-1, 1, "Conv", [80, 3, 2]],
        [-1, 1, "C3k2", [80, True]],  # 6: 1/16
        [-1, 1, "Conv", [160, 3, 2]],
        [-1, 1, "SPPF", [160, 5]],  # 8: 1/32
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 1, "C3k2", [80, False]],  # 11
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C3k2", [40, False]],  # 14
        [-1, 1, "Conv", [40, 3, 2]],
        [[-1, 11], 1, "Concat", [1]],
        [-1, 1, "C3k2", [80, False]],  # 17
        [[14, 17], 1, "Detect", ["nc"]],
    ],
}
_ENVIRONMENT = {"YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0", "ULTRALYTICS_SAFE_LOAD": "1"}


def import_ultralytics() -> None:
    """Import the package, told before to look nothing up, install nothing and unpickle nothing unknown."""
    if "ultralytics" not in sys.modules:
        # What its user set stays as it is.
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        if "YOLO_CONFIG_DIR" not in os.environ:
            # Its settings file is of no use here, and a user's own would change what is trained.
            os.environ["YOLO_CONFIG_DIR"] = folder = tempfile.mkdtemp(prefix="dataengine-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        with importing():
            import ultralytics
    except ImportError as error:
        raise MissingDependencyError(f"training YOLO needs ultralytics ({error})", hint=installing("yolo")) from None
    # Experiment trackers that happen to be installed must not begin to record (in memory only, not in the file).
    dict.update(ultralytics.settings, dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune"), False))


def opened_model(size: str | None, weights: Path | None, scratch: Path) -> Any:
    """The library's model: of a checkpoint, or of a size, to be trained from scratch.

    Raises:
        UsageError: there is no such size.
        DamagedInputError: the checkpoint is none, or of another task.
    """
    from ultralytics import YOLO
    from ultralytics.nn.tasks import torch_safe_load

    if weights is not None:
        try:
            torch_safe_load(str(weights), safe_only=True)
            model = YOLO(str(weights))
        except Exception as error:
            # What ultralytics says ends in advice to download a model of its own.
            raise DamagedInputError(f"{weights} is not a YOLO checkpoint that ultralytics wrote") from error
        if model.task != "detect":
            raise DamagedInputError(f"{weights} is a model for the task {model.task!r}, not for detection")
        return model
    size = size or PUBLISHED[0]
    if size in PUBLISHED:
        return YOLO(f"yolo11{size}.yaml", task="detect")
    if size != "tiny":
        raise UsageError(f"size {size!r} is not one of tiny, {', '.join(PUBLISHED)}")
    description = scratch / "tiny.yaml"
    description.write_text(json.dumps({"nc": 80, **TINY}), "utf-8")
    return YOLO(str(description), task="detect")


def parent_names(model: Any) -> tuple[str, ...]:
    """The classes of a checkpoint's model, in the order of its outputs."""
    return tuple(model.names[number] for number in sorted(model.names))
