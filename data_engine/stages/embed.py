"""``embed``: frames -> vectors whose distance means likeness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.stages.base import StageSettings
from data_engine.stages.read_ahead import read_ahead
from data_engine.types import Failed, Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.ports import Embedder, Progress, Storage, UInt8Array

VERSION = 1


class EmbedSettings(StageSettings):
    """How frames are described."""

    embedder: Literal["local"] = Field("local", description="what describes a picture; local needs no weights")
    batch: int = Field(32, ge=1, le=1024, description="pictures that are described together")
    workers: int = Field(0, ge=0, le=256, description="threads that read pictures; 0 for as many as there are cores")


@dataclass(frozen=True, slots=True, eq=False)
class FrameVector:
    """What a frame looks like."""

    frame_id: str
    vector: NDArray[np.float32]
    """``(dimension,)``, of length 1."""


def embed(
    frames: Sequence[Frame], embedder: Embedder, *, storage: Storage, batch: int, readers: int, progress: Progress
) -> Iterator[FrameVector | Failed]:
    """One outcome a frame, in order.

    JPEG files are decoded at a fraction of their size where the embedder looks at less than half of it.  Two batches of
    pictures are in memory, never more.  A frame that is missing, damaged or not of its recorded size is one ``Failed``.

    Args:
        frames: the frames.
        embedder: describes them.
        storage: where they lie.
        batch: pictures that are described together.
        readers: threads that read them.
        progress: told of every frame.
    """

    def read(frame: Frame) -> UInt8Array | Failed:
        return _read(frame, storage, 2 * embedder.side)

    progress.start("describing frames", len(frames), "frames")
    pictures = read_ahead(read, frames, readers=readers, ahead=batch)
    try:
        for start in range(0, len(frames), batch):
            group = [(frame, next(pictures)) for frame in frames[start : start + batch]]
            good = [picture for _frame, picture in group if not isinstance(picture, Failed)]
            vectors = embedder.embed(good)
            if len(vectors) != len(good):
                raise RuntimeError(f"the embedder described {len(vectors)} of {len(good)} pictures")
            described = iter(vectors)
            for frame, picture in group:
                progress.advance()
                yield picture if isinstance(picture, Failed) else FrameVector(frame.id, next(described))
    finally:
        pictures.close()
        progress.finish()


def _read(frame: Frame, storage: Storage, least: int) -> UInt8Array | Failed:
    from data_engine.media.images import read_reduced_rgb, size_of

    try:
        path = storage.path(frame.key)
        width, height = size_of(path, name=frame.key)
        if (width, height) != (frame.width, frame.height):
            return Failed(frame.id, f"{frame.name} is {width} x {height}, recorded as {frame.width} x {frame.height}")
        return read_reduced_rgb(path, least, name=frame.key)
    except (DamagedInputError, MissingInputError) as error:
        return Failed(frame.id, error.message)
