"""What a training can be repeated from: data, code, settings, seed, beginning and environment, in ``record.json``.

The same lies in lineage, with the run.  What decides about the bytes of a model is compared by :func:`differences`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import data_engine
from data_engine import __version__
from data_engine.trainers.workdir import ARGUMENTS_FILE

if TYPE_CHECKING:
    from data_engine.app.engine import Engine
    from data_engine.stages.retrain import RetrainSettings

RECORD_FILE = "record.json"
_LIBRARIES = {"yolo": ("ultralytics",), "rfdetr": ("rfdetr", "pytorch-lightning", "transformers")}
_EVERYWHERE = ("torch", "torchvision", "numpy", "opencv-python", "pillow", "onnx", "onnxruntime")
_PATIENCE_S = 10.0


def circumstances(settings: RetrainSettings) -> dict[str, Any]:
    """``code`` (version, and the commit where the package is a checkout) and ``environment`` of a training now."""
    return {"code": code(), "environment": environment(settings)}


def code() -> dict[str, Any]:
    """This package's version; ``commit`` and whether its files were changed since (``dirty``), None without git."""
    root = Path(data_engine.__file__).resolve().parents[1]
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    changed = None if commit is None else _git(root, "status", "--porcelain", "--", "data_engine")
    return {"version": __version__, "commit": commit, "dirty": None if changed is None else bool(changed)}


def environment(settings: RetrainSettings) -> dict[str, Any]:
    """What computes: Python, the system, processor, GPUs, and the versions of the libraries that decide."""
    versions = {}
    for name in (*_EVERYWHERE, *_LIBRARIES[settings.kind]):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": _gpus() if settings.device != "cpu" else [],
        "libraries": versions,
    }


def write(engine: Engine, home: str, record: Mapping[str, Any]) -> None:
    """Write the record into a training's folder, with the library's resolved settings once there are some."""
    key = f"{home}/{ARGUMENTS_FILE}"
    arguments = json.loads(engine.storage.read_bytes(key)) if engine.storage.exists(key) else {}
    text = json.dumps({**record, "arguments": arguments}, indent=1, ensure_ascii=False, sort_keys=True)
    engine.storage.write_bytes(f"{home}/{RECORD_FILE}", text.encode() + b"\n")


def read(engine: Engine, home: str) -> dict[str, Any] | None:
    """What was written; None without, or for one that is damaged."""
    key = f"{home}/{RECORD_FILE}"
    try:
        found = json.loads(engine.storage.read_bytes(key)) if engine.storage.exists(key) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is otherwise now in code and environment, a line each; it may make other bytes."""
    told = []
    for section in ("code", "environment"):
        before, after = dict(then.get(section) or {}), dict(now[section])
        before |= before.pop("libraries", {})
        after |= after.pop("libraries", {})
        told += [
            f"{name}: {before.get(name)} then, {after.get(name)} now"
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
    return told


def _git(root: Path, *words: str) -> str | None:
    return _said("git", "-C", str(root), *words)


def _gpus() -> list[str]:
    # Asked of the driver's own tool: torch would be imported for nothing where all is trained already.
    said = _said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return [] if said is None else said.splitlines()


def _said(*words: str) -> str | None:
    """What a program prints; None where it is not there or fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
