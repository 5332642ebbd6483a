"""Models opened, and asked about frames, on the devices that the settings name."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from data_engine import registry
from data_engine.app.engine import Engine
from data_engine.types import Failed, Frame, FramePrediction

if TYPE_CHECKING:
    from data_engine.ports import Detector
    from data_engine.stages.predict_devices import OpenDetector


def open_detector(engine: Engine, path: Path) -> Detector:
    """The detector of a model file, as the settings say; on the first device, where they name several."""
    return _opening(engine, path)(device=engine.settings.predict.device)


def refuse_absent_devices(engine: Engine, path: Path) -> None:
    """Nothing where a model runs on every device that the settings name.

    Raises:
        UsageError: one is not there.
        MissingDependencyError: what would run it there is not installed.
    """
    from data_engine.detectors.device import listed_devices, parse_device

    for device in listed_devices(engine.settings.predict.device):
        if parse_device(device).kind not in ("auto", "cpu"):
            _opening(engine, path)(device=device)


def asked(engine: Engine, path: Path, frames: Sequence[Frame]) -> Generator[FramePrediction | Failed]:
    """What a model sees in frames, one outcome each, in order; what it runs on is noted for people."""
    from data_engine.detectors.device import listed_devices
    from data_engine.executors.processes import usable_cpus
    from data_engine.stages.predict import predict
    from data_engine.stages.predict_devices import predict_on_devices

    settings = engine.settings.predict
    devices = listed_devices(settings.device)

    def started(device: str) -> None:
        engine.notes.append(f"{path.name} runs on {device}")

    if len(devices) == 1:
        detector = open_detector(engine, path)
        started(detector.device)
        return predict(frames, detector, storage=engine.storage, batch=settings.batch, progress=engine.progress)
    return predict_on_devices(
        frames,
        devices,
        _opening(engine, path, threads=max(1, usable_cpus() // len(devices))),
        storage=engine.storage,
        executor=registry.load("executor", "processes")(len(devices)),
        batch=settings.batch,
        progress=engine.progress,
        started=started,
    )


def _opening(engine: Engine, path: Path, threads: int | None = None) -> OpenDetector:
    from data_engine.detectors.loading import open_detector as opened

    settings = engine.settings.predict
    return partial(
        opened, path, kind=settings.kind, class_names=settings.classes or None, threads=threads, batch=settings.batch
    )
