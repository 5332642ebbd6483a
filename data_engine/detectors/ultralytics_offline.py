"""Ultralytics, imported so that it never asks the network, installs nothing and prints nothing.

It is licensed under AGPL-3.0; this project only calls it, and only where a ``.pt`` file of its own is opened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine.errors import MissingDependencyError
from data_engine.words import installing

if TYPE_CHECKING:
    from types import ModuleType

_ENVIRONMENT = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "0",
    "YOLO_VERBOSE": "0",
    # Checkpoints are pickles: load known model classes only, never run what a file says.
    "ULTRALYTICS_SAFE_LOAD": "1",
}


def imported_ultralytics() -> ModuleType:
    """The package; what its user set in the environment stays as it is.

    Raises:
        MissingDependencyError: not installed, or so old that it would unpickle whatever a checkpoint holds.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "YOLO_CONFIG_DIR" not in os.environ:
        os.environ["YOLO_CONFIG_DIR"] = str(_prepared_config())
    try:
        import ultralytics
        import ultralytics.utils
    except ImportError as error:
        raise MissingDependencyError(
            "ultralytics, which opens YOLO's .pt files, is not installed",
            hint=f"{installing('yolo')}, or give the model's .onnx file",
        ) from error
    package: ModuleType = ultralytics
    if not hasattr(package.utils, "SAFE_LOAD"):
        raise MissingDependencyError(
            f"ultralytics {package.__version__} can't load a checkpoint without running code that it holds",
            hint="pip install --upgrade ultralytics",
        )
    return package


def _prepared_config() -> Path:
    """A settings folder in the user's cache, with the font that ultralytics would otherwise look up."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache) / "dataengine" / "ultralytics"
    font = folder / "Ultralytics" / "Arial.ttf"
    # A home that can't be written to is no reason to stop: ultralytics then takes a temporary folder.
    with contextlib.suppress(OSError, ImportError):
        if not font.exists():
            import matplotlib

            font.parent.mkdir(parents=True, exist_ok=True)
            beside = font.with_name(f".Arial-{os.getpid()}.ttf")
            shutil.copyfile(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), beside)
            beside.replace(font)
    return folder
