"""What a model sees in every frame, asked on several devices at once: a worker process each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from data_engine.stages.base import Silent
from data_engine.stages.predict import predict

if TYPE_CHECKING:
    from data_engine.ports import Detector, Executor, Progress, Storage
    from data_engine.types import Failed, Frame, FramePrediction

_ROUNDS = 4
"""Batches in what a worker is given at once, so that it reads ahead."""


class OpenDetector(Protocol):
    """Opens the model on a device; picklable."""

    def __call__(self, *, device: str) -> Detector: ...


def predict_on_devices(
    frames: Sequence[Frame],
    devices: Sequence[str],
    open_detector: OpenDetector,
    *,
    storage: Storage,
    executor: Executor,
    batch: int,
    progress: Progress,
    started: Callable[[str], None],
) -> Generator[FramePrediction | Failed]:
    """As :func:`data_engine.stages.predict.predict`: the same outcomes in the same order.

    Two workers on CPUs were run so; several GPUs never were, for want of a machine that has them.

    Args:
        frames: as there.
        devices: one for each worker.
        open_detector: called once in every worker.
        storage: as there; picklable.
        executor: of as many workers as devices.
        batch: as there.
        progress: as there.
        started: told what a worker's model really runs on, when its first results come.
    """
    each = max(1, min(_ROUNDS * batch, -(-len(frames) // len(devices))))
    progress.start("predict", len(frames), "frames")
    running: set[int] = set()
    try:
        with tempfile.TemporaryDirectory(prefix="devices-") as claims:
            worker = _Worker(open_detector, tuple(devices), claims, storage, batch)
            parts = (frames[start : start + each] for start in range(0, len(frames), each))
            groups = executor.map(worker, parts)
            try:
                for group in groups:
                    if group.process not in running:
                        running.add(group.process)
                        started(group.device)
                    for outcome in group.outcomes:
                        progress.advance()
                        yield outcome
            finally:
                if isinstance(groups, Generator):
                    groups.close()
    finally:
        progress.finish()


@dataclass(frozen=True, slots=True)
class _Group:
    process: int
    device: str
    outcomes: list[FramePrediction | Failed]


@dataclass(frozen=True, slots=True)
class _Worker:
    """What a worker process does with a group of frames."""

    open_detector: OpenDetector
    devices: tuple[str, ...]
    claims: str
    """A folder in which a file stands for a device that a worker has taken."""
    storage: Storage
    batch: int

    def __call__(self, frames: Sequence[Frame]) -> _Group:
        detector = _OPENED.get(self.claims)
        if detector is None:
            detector = _OPENED[self.claims] = self.open_detector(device=self._claimed())
        outcomes = list(predict(frames, detector, storage=self.storage, batch=self.batch, progress=Silent()))
        return _Group(os.getpid(), detector.device, outcomes)

    def _claimed(self) -> str:
        """The first device that no other worker has."""
        for number, device in enumerate(self.devices):
            try:
                Path(self.claims, str(number)).touch(exist_ok=False)
            except FileExistsError:
                continue
            return device
        raise RuntimeError(f"more workers than the devices {', '.join(self.devices)}")


_OPENED: dict[str, Detector] = {}
"""The model that this process has opened, by the run's folder of claims."""
