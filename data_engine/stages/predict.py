"""What a model sees in every frame: the evidence that ``filter`` and ``preannotate`` share."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from pydantic import Field

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.base import StageSettings
from data_engine.stages.read_ahead import read_ahead
from data_engine.types import Failed, Frame, FramePrediction

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from data_engine.ports import Detector, Prepared, Progress, Storage, UInt8Array

VERSION = 1
_READERS = 2
"""Threads that read, decode and prepare while the model works; all of it releases the interpreter's lock."""


class PredictSettings(StageSettings):
    """How a model is run over frames."""

    batch: int = Field(8, ge=1, le=256, description="pictures handed to the model together (a CPU runs them singly)")
    device: str = Field(
        "auto",
        description="where the model runs: auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N; several, with a comma "
        "between, for a worker each",
    )
    kind: str | None = Field(None, description="kind of model, rfdetr or yolo, for a file that does not say it")
    classes: tuple[str, ...] = Field((), description="class names in the model's order, for a file without them")


def predict(
    frames: Sequence[Frame], detector: Detector, *, storage: Storage, batch: int, progress: Progress
) -> Generator[FramePrediction | Failed]:
    """One outcome a frame, in order.

    The next batch of pictures is read, decoded and prepared while the model works on one, never more, so memory does
    not grow with the number of frames.  A frame that is missing, damaged or not of its recorded size is one ``Failed``.

    Raises:
        DamagedInputError: the model itself is at fault.
    """

    def read(frame: Frame) -> Prepared | Failed:
        picture = _read(frame, storage)
        return picture if isinstance(picture, Failed) else detector.prepare(picture)

    progress.start("predict", len(frames), "frames")
    pictures = read_ahead(read, frames, readers=_READERS, ahead=batch)
    try:
        waiting = iter(frames)
        while group := list(islice(pictures, batch)):
            good = [picture for picture in group if not isinstance(picture, Failed)]
            detections = detector.infer(good) if good else []
            if len(detections) != len(good):
                raise RuntimeError(f"the detector answered {len(detections)} of {len(good)} pictures")
            seen = iter(detections)
            for picture in group:
                frame = next(waiting)
                progress.advance()
                yield picture if isinstance(picture, Failed) else FramePrediction(frame.id, next(seen))
    finally:
        pictures.close()
        progress.finish()


def _read(frame: Frame, storage: Storage) -> UInt8Array | Failed:
    from data_engine.media.images import read_rgb

    try:
        picture = read_rgb(storage.path(frame.key), name=frame.key)
    except (DamagedInputError, MissingInputError) as error:
        return Failed(frame.id, error.message)
    height, width = picture.shape[:2]
    if (width, height) != (frame.width, frame.height):
        return Failed(frame.id, f"{frame.name} is {width} x {height}, recorded as {frame.width} x {frame.height}")
    return picture
