"""What detectors share: a picture is prepared by itself, and what the model says to it depends on nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from data_engine.ports import Prepared, UInt8Array
    from data_engine.types import Detections, FloatArray

GPU_BATCH = 8
"""Pictures that go into a GPU at once, where nobody says how many."""


class PreparingDetector(ABC):
    """``predict`` as preparing and inferring; see :class:`data_engine.ports.Detector` for the contract."""

    @abstractmethod
    def prepare(self, image: UInt8Array) -> Prepared: ...

    @abstractmethod
    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]: ...

    def predict(self, images: Sequence[UInt8Array]) -> list[Detections]:
        return self.infer([self.prepare(image) for image in images])


def runs(pictures: int, size: int) -> list[slice]:
    """How to cut so many pictures into runs of the model of at most ``size``."""
    return [slice(start, min(start + size, pictures)) for start in range(0, pictures, size)]


def filled(pictures: FloatArray, size: int) -> FloatArray:
    """``(n, …)`` as ``(size, …)``, the last one repeated.

    A GPU chooses its arithmetic by the shape of its input: with one shape always, what a picture yields can't depend on
    how many others an interrupted run had left to do.
    """
    missing = size - len(pictures)
    return np.concatenate([pictures, np.repeat(pictures[-1:], missing, axis=0)]) if missing > 0 else pictures
