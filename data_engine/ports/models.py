"""Detectors, trainers and embedders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from data_engine.ports.work import Progress
from data_engine.types import Detections, TrainedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    UInt8Array = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture as a detector's model takes it, and how to find back from there."""

    pixels: NDArray[Any]
    """The model's input for this one picture; its layout is the detector's own affair."""
    width: int
    """Pixels of the picture itself."""
    height: int
    gain_xy: tuple[float, float] = (1.0, 1.0)
    """Pixels of the input for one of the picture, where the model answers in those."""
    pad_xy: tuple[int, int] = (0, 0)
    """Pixels of the input left of and above the picture."""


@runtime_checkable
class Detector(Protocol):
    """Finds boxes in pictures."""

    kind: str
    """``rfdetr`` or ``yolo``."""
    class_names: tuple[str, ...]
    """Names of the columns of ``Detections.scores``."""
    device: str
    """What it really runs on: ``CPUExecutionProvider``, ``CUDAExecutionProvider:1``, ``cuda:0``."""

    def prepare(self, image: UInt8Array) -> Prepared:
        """What goes into the model for a ``(height, width, 3)`` uint8 RGB picture of any size.

        Nothing of the model is touched, so threads may prepare pictures while it works on others.
        """
        ...

    def infer(self, prepared: Sequence[Prepared]) -> list[Detections]:
        """One result a prepared picture, in order; which others are asked about with it changes none.

        Returns:
            boxes in pixels of the given picture, clipped to it, best score first, at least ``floor`` (0.01) and at
            most 100 a picture.

        Raises:
            DamagedInputError: the model answers with NaN or with other shapes than its kind has.
        """
        ...

    def predict(self, images: Sequence[UInt8Array]) -> list[Detections]:
        """:meth:`prepare`, then :meth:`infer`."""
        ...


@runtime_checkable
class Trainer(Protocol):
    """Learns a detector from a training folder."""

    kind: str

    def train(
        self,
        data: Path,
        output: Path,
        options: Mapping[str, Any],
        *,
        weights: Path | None,
        progress: Progress,
    ) -> TrainedModel:
        """Train and export to ONNX; the same inputs give the same files.

        Killed at any epoch and called again, it goes on from the last checkpoint that it kept in ``output`` and ends
        with the files of an undisturbed training (on a GPU as far as the library repeats itself at all).  Every
        finished epoch is a line of ``metrics.jsonl`` there.  A GPU asked for where there is none is refused before
        anything is written.

        The returned keys are relative to ``output``.  The metrics are empty: the caller measures the exported file.

        Args:
            data: the folder that ``convert`` made for this kind (``yolo/`` or ``rfdetr/``).
            output: a folder of its own for checkpoints and metrics.
            options: the resolved training settings (epochs, batch, image_size, seed …).
            weights: a checkpoint to begin from, or None to learn from scratch; classes of the same name are
                carried over, others begin anew.
        """
        ...

    def published(self, name: str, folder: Path) -> Path | None:
        """The checkpoint that the library publishes under a name, downloaded into ``folder`` if it is not there.

        Returns:
            None where the library publishes none under this name.

        Raises:
            MissingDependencyError: the library is not installed.
            ServiceError: it could not be downloaded.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns pictures into vectors whose distance means likeness."""

    name: str
    """Of the descriptor and its version: vectors under one name can be compared, for they are stored under it."""
    dimension: int
    side: int
    """Pixels a side that it looks at; a picture of twice as many tells it nothing less than the full one."""

    def embed(self, images: Sequence[UInt8Array]) -> NDArray[np.float32]:
        """``(n, dimension)`` float32, each of length 1, of ``(height, width, 3)`` uint8 RGB pictures."""
        ...
