"""What a model sees in every frame: the evidence that ``filter`` and ``preannotate`` share."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import Field

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.base import StageSettings
from data_engine.types import Failed, Frame, FramePrediction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from data_engine.ports import Detector, Progress, Storage, UInt8Array

VERSION = 1
_READERS = 2
"""Threads that read and decode while the model works; decoding releases the interpreter's lock."""


class PredictSettings(StageSettings):
    """How a model is run over frames."""

    batch: int = Field(8, ge=1, le=256, description="pictures handed to the model together (a CPU runs them singly)")
    device: str = Field("auto", description="where the model runs: auto, cpu, cuda or cuda:N")
    kind: str | None = Field(None, description="kind of model, rfdetr or yolo, for a file that does not say it")
    classes: tuple[str, ...] = Field((), description="class names in the model's order, for a file without them")


def predict(
    frames: Sequence[Frame], detector: Detector, *, storage: Storage, batch: int, progress: Progress
) -> Iterator[FramePrediction | Failed]:
    """One outcome a frame, in order.

    The next batch of pictures is read while the model works on one, never more, so memory does not grow with the number
    of frames.  A frame that is missing, damaged or not of its recorded size is one ``Failed``.

    Raises:
        DamagedInputError: the model itself is at fault.
    """
    progress.start("predict", len(frames), "frames")
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    try:
        waiting = iter(frames)
        ahead: deque[tuple[Frame, Future[UInt8Array | Failed]]] = deque()

        def read_on(count: int) -> None:
            ahead.extend((frame, pool.submit(_read, frame, storage)) for frame in islice(waiting, count))

        read_on(batch)
        while ahead:
            group = [ahead.popleft() for _ in range(min(batch, len(ahead)))]
            read = [(frame, picture.result()) for frame, picture in group]
            group.clear()
            read_on(len(read))
            pictures = [picture for _, picture in read if not isinstance(picture, Failed)]
            detections = detector.predict(pictures) if pictures else []
            if len(detections) != len(pictures):
                raise RuntimeError(f"the detector answered {len(detections)} of {len(pictures)} pictures")
            seen = iter(detections)
            for frame, picture in read:
                progress.advance()
                yield picture if isinstance(picture, Failed) else FramePrediction(frame.id, next(seen))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
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
