"""What sampling keeps of a video that it has not finished with: pictures, checkpoints, and the result.

Everything lies in one folder a video, each file written atomically and sealed with a digest over its content and over
what it is good for (the video, the settings), so that a damaged file or one of other settings counts as none.  Frames
that were kept are written once, in parts, each naming the part before it: a checkpoint stays as small as the state of
the method, whatever the length of the video.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import msgspec

from data_engine.errors import MissingInputError
from data_engine.types import SampledFrame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_engine.ports import Storage

    Arrays = Mapping[str, NDArray[np.generic]]

_DIGEST = 32
_CHECKPOINT = "checkpoint.npz"
_RESULT = "result.json"
_STATE = "state."


@dataclass(frozen=True, slots=True)
class Finished:
    """What came out of one video, before it is known which of its frames go into the output."""

    frames: tuple[SampledFrame, ...]
    """In order of time; best first where there are ``gains``."""
    decoded: int
    passed: dict[str, int] = field(default_factory=dict)
    """As in :class:`data_engine.types.Sampled`."""
    damage: str | None = None
    gains: tuple[float, ...] = ()
    """What each frame adds to what the ones before it cover, never rising; empty where nothing is weighed."""
    hashes: tuple[int, ...] = ()
    """Difference hashes of the frames, also of those that fell behind another video's since."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far one video is."""

    position: Mapping[str, int | str | bool | None]
    """Where the reader goes on, as it writes it down itself."""
    state: Arrays
    """Of the method and the quality gates."""
    decoded: int
    passed: dict[str, int]
    frames: tuple[SampledFrame, ...]
    """Kept since the checkpoint before this one, when it is written; kept so far, when it is read."""
    hashes: tuple[int, ...] = ()
    """The same of the difference hashes that a later frame must not be near."""


class _About(msgspec.Struct):
    position: dict[str, int | str | bool | None]
    decoded: int
    passed: dict[str, int]
    parts: int
    last: str


class _Part(msgspec.Struct):
    before: str
    frames: tuple[SampledFrame, ...]
    hashes: tuple[int, ...]


class Scratch:
    """The folder of one video.

    Args:
        storage: where it lies.
        folder: its key.
        purpose: a content id of everything that decides what comes out of the video.
    """

    def __init__(self, storage: Storage, folder: str, purpose: str) -> None:
        self.folder = folder
        self._storage = storage
        self._purpose = purpose
        self._parts = 0
        self._last = ""

    def picture(self, frame_id: str) -> str:
        """The key under which a frame's picture waits."""
        return f"{self.folder}/{frame_id}.jpg"

    # --- the result -----------------------------------------------------------------------------------------------

    def finish(self, result: Finished) -> None:
        """Keep the result; the checkpoints are of no use any more."""
        self._write(_RESULT, _encode(result))

    def finished(self) -> Finished | None:
        """The result, when the video was read to its end."""
        data = self._read(_RESULT)
        return None if data is None else _decode(data, Finished)

    # --- checkpoints ----------------------------------------------------------------------------------------------

    def write(self, checkpoint: Checkpoint) -> None:
        """Put a checkpoint in the place of the one before."""
        import numpy as np

        if checkpoint.frames or checkpoint.hashes:
            part = _encode(_Part(self._last, checkpoint.frames, checkpoint.hashes))
            self._write(_part_name(self._parts + 1), part)
            self._parts, self._last = self._parts + 1, hashlib.sha256(part).hexdigest()
        about = _encode(
            _About(dict(checkpoint.position), checkpoint.decoded, checkpoint.passed, self._parts, self._last)
        )
        arrays: dict[str, Any] = {f"{_STATE}{name}": value for name, value in checkpoint.state.items()}
        packed = io.BytesIO()
        np.savez(packed, about=np.frombuffer(about, np.uint8), **arrays)
        self._write(_CHECKPOINT, packed.getvalue())

    def read(self) -> Checkpoint | None:
        """The last checkpoint; None when there is none, or its files do not belong together."""
        import numpy as np

        data = self._read(_CHECKPOINT)
        if data is None:
            return None
        with np.load(io.BytesIO(data), allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
        about = _decode(arrays.pop("about").tobytes(), _About)
        frames: list[SampledFrame] = []
        hashes: list[int] = []
        last = ""
        for number in range(1, about.parts + 1):
            content = self._read(_part_name(number))
            part = None if content is None else _decode(content, _Part)
            if content is None or part is None or part.before != last:
                return None
            last = hashlib.sha256(content).hexdigest()
            frames += part.frames
            hashes += part.hashes
        if last != about.last:
            return None
        self._parts, self._last = about.parts, last
        return Checkpoint(
            about.position,
            {name.removeprefix(_STATE): value for name, value in arrays.items()},
            about.decoded,
            about.passed,
            tuple(frames),
            tuple(hashes),
        )

    def decoded(self) -> int:
        """How many frames need not be decoded again."""
        finished = self.finished()
        if finished is not None:
            return finished.decoded
        checkpoint = self.read()
        return 0 if checkpoint is None else checkpoint.decoded

    def clear(self) -> None:
        """Remove all files."""
        for key in list(self._storage.list(self.folder)):
            self._storage.delete(key)

    # --- files ----------------------------------------------------------------------------------------------------

    def _write(self, name: str, data: bytes) -> None:
        self._storage.write_bytes(f"{self.folder}/{name}", self._seal(data) + data)

    def _read(self, name: str) -> bytes | None:
        try:
            sealed = self._storage.read_bytes(f"{self.folder}/{name}")
        except MissingInputError:
            return None
        seal, data = sealed[:_DIGEST], sealed[_DIGEST:]
        return data if seal == self._seal(data) else None

    def _seal(self, data: bytes) -> bytes:
        return hashlib.sha256(self._purpose.encode() + data).digest()


def _part_name(number: int) -> str:
    return f"kept-{number:05d}.json"


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value, enc_hook=str)


def _decode(data: bytes, kind: type[Any]) -> Any:
    # Sealed, so it is what was written: text stands for fractions only.
    return msgspec.json.decode(data, type=kind, dec_hook=lambda _kind, text: Fraction(text))
