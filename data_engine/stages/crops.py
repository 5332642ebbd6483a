"""Crops of frames -> vectors: what hunting by example looks through."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.selection.crops import candidates
from data_engine.stages.read_ahead import read_ahead
from data_engine.types import Failed, Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_engine.ports import Embedder, Progress, Storage, UInt8Array
    from data_engine.selection.hunting import Examples

VERSION = 1
"""Raised when the boxes that are looked at, or how they are cut out, change."""
_REMEMBERED = 128
"""Reduced pictures kept, more than are compared with one another: each is read once."""
_LEAST_PX = 320
"""Pixels that are left of both sides of a picture which is read for what moves in it."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameCrops:
    """Boxes of one frame, and what each looks like."""

    frame_id: str
    xyxy: NDArray[np.float32]
    """``(k, 4)`` corners in pixels."""
    vectors: NDArray[np.float32]
    """``(k, dimension)`` of length 1."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A frame that is looked through."""

    frame: Frame
    neighbours: tuple[Frame, ...]
    """Frames of the same video, by which it is seen what moves; none when they are too few."""


def sought_among(frames: Sequence[Frame]) -> dict[str, Sought]:
    """Every frame by its id, with neighbours of the same camera and video among the others."""
    from data_engine.media.regions import neighbours

    series: dict[tuple[str, str], list[Frame]] = {}
    for frame in frames:
        series.setdefault((frame.camera, frame.video_id or ""), []).append(frame)
    found: dict[str, Sought] = {}
    for _name, members in sorted(series.items()):
        # Lone pictures of a camera follow one another as their names do.
        members.sort(key=lambda frame: (frame.time_s or 0.0, frame.name, frame.id))
        for position, frame in enumerate(members):
            around = neighbours(position, len(members))
            found[frame.id] = Sought(frame, tuple(members[other] for other in around))
    return found


def describe_examples(
    names: Sequence[str], kinds: Sequence[str], crops: Sequence[UInt8Array], embedder: Embedder
) -> Examples:
    """Pictures of what is hunted as examples, each together with its mirror image.

    Args:
        names: one a picture, for people.
        kinds: one a picture; those of one kind show the same thing.
        crops: ``(side, side, 3)`` uint8 RGB.
        embedder: describes them.
    """
    from data_engine.media.crops import mirrored
    from data_engine.selection.hunting import Examples

    numbers = np.arange(len(crops))
    vectors = embedder.embed([*crops, *mirrored(list(crops))])
    return Examples(tuple(names), tuple(kinds), vectors, np.concatenate([numbers, numbers]))


def describe_crops(
    sought: Sequence[Sought],
    predicted: Callable[[str], NDArray[np.float32]],
    embedder: Embedder,
    *,
    storage: Storage,
    readers: int,
    progress: Progress,
) -> Iterator[FrameCrops | Failed]:
    """One outcome a frame, in order: the boxes of :func:`~data_engine.selection.crops.candidates`, described.

    Pictures are read and cut in threads; a few frames' crops are in memory, never more.  A frame that is missing,
    damaged or not of its recorded size is one ``Failed``; a damaged neighbour does not count.

    Args:
        sought: the frames, best in the order of time.
        predicted: a frame's id -> ``(n, 4)`` boxes of a model, best first.
        embedder: describes the crops.
        storage: where the frames lie.
        readers: threads that read.
        progress: told of every frame.
    """
    lumas = _Lumas(storage)

    def read(one: Sought) -> tuple[NDArray[np.float32], list[UInt8Array]] | Failed:
        return _cut(one, predicted(one.frame.id), embedder.side, storage, lumas)

    progress.start("describing crops", len(sought), "frames")
    cut = read_ahead(read, sought, readers=readers, ahead=4 * readers)
    try:
        for one, made in zip(sought, cut, strict=True):
            progress.advance()
            if isinstance(made, Failed):
                yield made
            else:
                yield FrameCrops(one.frame.id, made[0], embedder.embed(made[1]))
    finally:
        cut.close()
        progress.finish()


def _cut(
    one: Sought, predicted: NDArray[np.float32], side: int, storage: Storage, lumas: _Lumas
) -> tuple[NDArray[np.float32], list[UInt8Array]] | Failed:
    from data_engine.media.crops import square_crops
    from data_engine.media.images import read_rgb
    from data_engine.media.regions import moving_regions

    frame = one.frame
    try:
        picture = read_rgb(storage.path(frame.key), name=frame.key)
    except (DamagedInputError, MissingInputError) as error:
        return Failed(frame.id, error.message)
    height, width = picture.shape[:2]
    if (width, height) != (frame.width, frame.height):
        return Failed(frame.id, f"{frame.name} is {width} x {height}, recorded as {frame.width} x {frame.height}")
    moving = np.zeros((0, 4), np.float32)
    own = lumas.of(frame) if one.neighbours else None
    if own is not None:
        others = [luma for luma in map(lumas.of, one.neighbours) if luma is not None]
        moving = moving_regions(own, others, (width, height))
    xyxy = candidates(predicted, moving)
    return xyxy, square_crops(picture, xyxy, side)


class _Lumas:
    """Reduced pictures, the ones that were asked for lately; for threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: OrderedDict[str, UInt8Array | None] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, frame: Frame) -> UInt8Array | None:
        """``(height, width)``; None for a frame that cannot be read."""
        with self._lock:
            if frame.id in self._known:
                self._known.move_to_end(frame.id)
                return self._known[frame.id]
        # Two threads may read the same picture; they read the same.
        luma = self._read(frame)
        with self._lock:
            self._known[frame.id] = luma
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return luma

    def _read(self, frame: Frame) -> UInt8Array | None:
        from data_engine.media.images import read_reduced_rgb
        from data_engine.media.regions import reduced_luma

        try:
            return reduced_luma(read_reduced_rgb(self._storage.path(frame.key), _LEAST_PX, name=frame.key))
        except (DamagedInputError, MissingInputError):
            return None
