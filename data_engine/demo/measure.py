"""How good a model is on footage that nothing was trained on, against its exact truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_engine.types import Detections

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.ports import Detector

_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A picture with what is to be found in it."""

    rgb: NDArray[np.uint8]
    boxes: Sequence[tuple[str, tuple[float, float, float, float]]]
    """Class name; left, top, width and height in pixels."""


def held_out_frames(
    path: Path, *, key: str, every_s: float, truth: Any, start_s: float = 0.0, end_s: float = float("inf")
) -> list[HeldOut]:
    """Every ``every_s`` seconds of a video from ``start_s`` on, with ``truth(time in seconds)``."""
    from data_engine.media.decode import VideoReader

    found: list[HeldOut] = []
    wanted = start_s
    with VideoReader(path, key=key) as reader:
        for frame in reader:
            time_s = float(frame.time_s)
            if time_s >= end_s:
                break
            if time_s + 1e-9 >= wanted:
                found.append(HeldOut(frame.rgb(), truth(time_s)))
                wanted += every_s
    return found


def measure(detector: Detector, pictures: Iterable[HeldOut], class_names: Sequence[str]) -> dict[str, Any]:
    """COCO metrics as :func:`data_engine.metrics.coco.evaluate` gives them; classes meet by name."""
    import numpy as np

    from data_engine.metrics.coco import TrueBoxes, evaluate

    listed = list(pictures)
    seen: list[Detections] = []
    for start in range(0, len(listed), _AT_ONCE):
        seen += detector.predict([picture.rgb for picture in listed[start : start + _AT_ONCE]])
    columns = [detector.class_names.index(name) if name in detector.class_names else -1 for name in class_names]
    predictions = []
    for found in seen:
        # A class that the model does not know is never found.
        padded = np.concatenate([found.scores, np.zeros((len(found), 1), np.float32)], axis=1)
        predictions.append(Detections(found.xyxy, padded[:, columns]))
    numbers = {name: number for number, name in enumerate(class_names)}
    truth = [
        TrueBoxes.of(
            [(x, y, x + w, y + h) for _label, (x, y, w, h) in p.boxes], [numbers[label] for label, _ in p.boxes]
        )
        for p in listed
    ]
    return evaluate(truth, predictions, class_names)
