"""Models, and what they see in a frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

SCORE_FLOOR = 0.01
"""Best score below which a box of a model is neither kept nor measured."""
MOST_BOXES = 100
"""Boxes of a model that are kept of one frame, the most probable first."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a model saw in one frame: boxes with the probability of every class, not only of the winner.

    Raises:
        ValueError: shapes that disagree (both are printed), NaN, probabilities outside 0..1.
    """

    xyxy: FloatArray
    """``(n, 4)`` float32, corners in pixels of the full image."""
    scores: FloatArray
    """``(n, classes)`` float32, probabilities after the sigmoid, columns in the order of the model's class names."""

    def __post_init__(self) -> None:
        import numpy as np

        xyxy = np.ascontiguousarray(self.xyxy, dtype=np.float32)
        scores = np.ascontiguousarray(self.scores, dtype=np.float32)
        if xyxy.ndim != 2 or xyxy.shape[1] != 4 or scores.ndim != 2 or len(xyxy) != len(scores):
            raise ValueError(f"xyxy must be (n, 4) and scores (n, classes): got {xyxy.shape} and {scores.shape}")
        if not np.isfinite(xyxy).all() or not np.isfinite(scores).all():
            raise ValueError("detections hold NaN or infinite numbers")
        if scores.size and (scores.min() < 0.0 or scores.max() > 1.0):
            raise ValueError(f"scores must lie in 0..1: got {scores.min()}..{scores.max()}")
        object.__setattr__(self, "xyxy", xyxy)
        object.__setattr__(self, "scores", scores)

    @classmethod
    def empty(cls, classes: int) -> Detections:
        """No box, of a model of that many classes."""
        import numpy as np

        return cls(np.zeros((0, 4), np.float32), np.zeros((0, classes), np.float32))

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def best(self) -> FloatArray:
        """``(n,)`` each box's highest class probability."""
        import numpy as np

        return self.scores.max(axis=1) if self.scores.shape[1] else np.zeros(len(self), np.float32)

    @property
    def labels(self) -> NDArray[np.intp]:
        """``(n,)`` each box's most probable class, as a column of :attr:`scores`."""
        import numpy as np

        return self.scores.argmax(axis=1) if self.scores.shape[1] else np.zeros(len(self), np.intp)

    def kept(self, floor: float, limit: int | None = None) -> Detections:
        """The boxes whose best score is at least ``floor``, best first (ties by position), at most ``limit``."""
        import numpy as np

        best = self.best
        order = np.argsort(-best, kind="stable")
        order = order[best[order] >= floor][:limit]
        return Detections(self.xyxy[order], self.scores[order])


@dataclass(frozen=True, slots=True)
class Model:
    """A set of weights with what is needed to use it."""

    id: str
    """First 32 hexadecimal digits of the SHA-256 of the weights file; of a file that does not name its classes, a
    content id of that and the names."""
    kind: str
    """Detector name in the registry: ``rfdetr``, ``yolo``."""
    key: str
    """Storage key of the weights file."""
    class_names: tuple[str, ...]
    """In the order of the columns of ``Detections.scores``."""
    dataset_version_id: str | None = None
    """The version it was trained on; None for a model from elsewhere."""
    parent_id: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """``map``, ``map50``, ``ap50_per_class`` … on the validation split of its version."""


@dataclass(frozen=True, slots=True)
class FramePrediction:
    """What a model saw in one frame."""

    frame_id: str
    detections: Detections


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What a trainer hands back."""

    kind: str
    weights_key: str
    """The trainer's own checkpoint (``.pt``, ``.pth``)."""
    onnx_key: str
    """The exported model."""
    class_names: tuple[str, ...]
    metrics: Mapping[str, Any]
    """COCO metrics on the validation split: ``map``, ``map50``, ``ap50_per_class`` (class name -> AP or None)."""
    epochs: int
