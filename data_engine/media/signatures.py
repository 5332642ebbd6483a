"""What a whole video is compared by: hashes or vectors of a few frames, and what moved in them.

The frames are those at evenly spaced fractions of the duration, found by their time, inside the black borders.  So a
copy that was encoded again, rescaled, put into another container or into borders shows the same moments.

An hour of a static camera looks like the next hour.  Beside its appearance a signature therefore keeps what tells the
hours apart: the difference of each sampled frame to the median of all of them, which is people, vehicles and shadows
without the background.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from data_engine.errors import DamagedInputError
from data_engine.media.sequence_moments import open_moments

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from data_engine.media.decode import DecodedFrame
    from data_engine.media.moments import MomentReader
    from data_engine.media.sequence_moments import SequenceMoments
    from data_engine.types import Region

UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

SIZES = (2, 32)
"""Fewest and most rows (and columns) of a perceptual hash; it has their square in bits."""
COUNTS = (2, 64)
"""Fewest and most frames a video."""
MOTION_SIDE = 24
"""Rows and columns of the picture of what moved."""

_LONGEST_PX = 512  # of a frame that is handed to an embedder: those look at 224 to 518 pixels
_FLAT = 2.0  # standard deviation of brightness below which a frame shows nothing, and its hash is noise
_NEIGHBOURHOOD = 9  # cells over which even light is taken off
_HEADER = struct.Struct("<4sHHHHd")
_MAGIC = b"vsg1"


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """What one video is compared by."""

    duration_s: float
    """Seconds, as its container says; found by reading it through where it does not."""
    present: NDArray[np.bool_]
    """``(n,)`` which frames could be decoded and show anything; the others' rows are zero."""
    motion: NDArray[np.int8]
    """``(n, 576)`` what differs from the median of the frames, -127..127 in units of ``strength / 127``."""
    strength: FloatArray
    """``(n,)`` the largest such difference in steps of brightness (of 255)."""
    hashes: NDArray[np.uint64] | None = None
    """``(n, words)`` perceptual hashes, 64 bits a word, filled up with zeros."""
    vectors: NDArray[np.float16] | None = None
    """``(n, d)`` embeddings of length 1."""

    def to_bytes(self) -> bytes:
        """A few kB that :meth:`from_bytes` reads, the same on every machine."""
        words = 0 if self.hashes is None else self.hashes.shape[1]
        dimension = 0 if self.vectors is None else self.vectors.shape[1]
        header = _HEADER.pack(_MAGIC, len(self.present), MOTION_SIDE, words, dimension, self.duration_s)
        arrays: list[tuple[str, NDArray[Any] | None]] = [
            ("u1", self.present),
            ("i1", self.motion),
            ("<f4", self.strength),
            ("<u8", self.hashes),
            ("<f2", self.vectors),
        ]
        return header + b"".join(array.astype(kind).tobytes() for kind, array in arrays if array is not None)

    @classmethod
    def from_bytes(cls, data: bytes) -> Signature:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            ValueError: the bytes are something else, or cut off.
        """
        try:
            magic, count, side, words, dimension, duration_s = _HEADER.unpack_from(data)
        except struct.error:
            raise ValueError("not a video signature: too short") from None
        size = _HEADER.size + count * (1 + side * side + 4 + 8 * words + 2 * dimension)
        if magic != _MAGIC or side != MOTION_SIDE or len(data) != size:
            raise ValueError("not a video signature of this version")
        place = _HEADER.size

        def take(kind: str, columns: int) -> NDArray[np.generic]:
            nonlocal place
            array = np.frombuffer(data, kind, count * columns, place).reshape(count, columns)
            place += array.nbytes
            return array

        present = take("u1", 1)[:, 0].astype(np.bool_)
        motion = take("i1", side * side).astype(np.int8, copy=False)
        strength = take("<f4", 1)[:, 0].astype(np.float32)
        hashes = take("<u8", words).astype(np.uint64) if words else None
        vectors = take("<f2", dimension).astype(np.float16, copy=False) if dimension else None
        return cls(duration_s, present, motion, strength, hashes, vectors)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The sampled frames of one video, ready to be embedded anywhere."""

    duration_s: float
    frames: tuple[UInt8Array | None, ...]
    """``(height, width, 3)`` uint8 RGB, the longer side at most 512 pixels; None for a moment without a picture."""
    motion: NDArray[np.int8]
    """As in :class:`Signature`."""
    strength: FloatArray

    @property
    def pictures(self) -> list[UInt8Array]:
        """The frames that are there."""
        return [frame for frame in self.frames if frame is not None]

    def with_vectors(self, vectors: NDArray[np.float32]) -> Signature:
        """The signature, once somebody has embedded :attr:`pictures`.

        Args:
            vectors: ``(len(pictures), d)``; they are brought to length 1.

        Raises:
            ValueError: there are not as many vectors as pictures, or they hold NaN or infinite numbers.
        """
        present = np.array([frame is not None for frame in self.frames])
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or len(vectors) != int(present.sum()) or not np.isfinite(vectors).all():
            raise ValueError(f"{int(present.sum())} finite vectors are needed: got an array of shape {vectors.shape}")
        rows = np.zeros((len(present), vectors.shape[1]), np.float16)
        rows[present] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return Signature(self.duration_s, present, self.motion, self.strength, vectors=rows)


def phash_method(size: int, count: int) -> str:
    """What a signature by :func:`phash_signature` is stored under: ``phash-8-5``."""
    return f"phash-{size}-{count}"


def embedding_method(embedder: str, count: int) -> str:
    """What a signature by :meth:`Moments.with_vectors` is stored under: ``embedding-local-5``."""
    return f"embedding-{embedder}-{count}"


def phash(luma: UInt8Array, size: int) -> NDArray[np.bool_]:
    """Perceptual hash of a picture: ``(size * size,)`` bits, row after row.

    The picture is averaged to ``4 size`` x ``4 size`` pixels and transformed by the (unscaled) DCT-II; a bit says
    whether one of the ``size`` x ``size`` lowest frequencies lies above their median.  Zauner, "Implementation and
    benchmarking of perceptual image hash functions", 2010; the layout is that of ``phash`` of the imagehash package.

    Args:
        luma: ``(height, width)`` brightness.
        size: 2..32.
    """
    side = 4 * size
    small = cv2.resize(luma, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64)
    waves = np.cos(np.pi * np.outer(np.arange(size), 2 * np.arange(side) + 1) / (2 * side))
    low = waves @ small @ waves.T
    return np.asarray(low > np.median(low)).ravel()


def phash_signature(path: Path, *, key: str, size: int, count: int, crop: Region | None = None) -> Signature:
    """A video's signature by perceptual hashes.

    Args:
        path: the file.
        key: what errors call it.
        size: rows of a hash, 2..32.
        count: frames, 2..64: at the fractions (i + 1/2) / count of the duration.
        crop: the picture inside the borders, in pixels as displayed.

    Raises:
        ValueError: ``size`` or ``count`` is out of bounds.
        MissingInputError: the file is not there.
        DamagedInputError: it is not a video, or has no frame at any of the moments.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f"a hash has {SIZES[0]} to {SIZES[1]} rows: got {size}")
    bits = np.zeros((count, size * size), np.bool_)
    thumbs: list[FloatArray | None] = []
    with open_moments(path, key=key) as reader:
        for number, frame in enumerate(_moments(reader, key, count)):
            luma = None if frame is None else _cropped(frame.luma(), crop)
            if luma is None or luma.std() < _FLAT:
                thumbs.append(None)
                continue
            bits[number] = phash(luma, size)
            thumbs.append(_thumb(luma))
        duration_s = float(reader.duration_s)
    present = np.array([thumb is not None for thumb in thumbs])
    motion, strength = _motion(thumbs)
    return Signature(duration_s, present, motion, strength, hashes=_words(bits))


def moments_of(path: Path, *, key: str, count: int, crop: Region | None = None) -> Moments:
    """The sampled frames of a video; see :func:`phash_signature`."""
    frames: list[UInt8Array | None] = []
    thumbs: list[FloatArray | None] = []
    with open_moments(path, key=key) as reader:
        for frame in _moments(reader, key, count):
            luma = None if frame is None else _cropped(frame.luma(), crop)
            if frame is None or luma is None or luma.std() < _FLAT:
                frames.append(None)
                thumbs.append(None)
                continue
            frames.append(_reduced(_cropped(frame.rgb(), crop)))
            thumbs.append(_thumb(luma))
        duration_s = float(reader.duration_s)
    return Moments(duration_s, tuple(frames), *_motion(thumbs))


def _moments(reader: MomentReader | SequenceMoments, key: str, count: int) -> Iterator[DecodedFrame | None]:
    if not COUNTS[0] <= count <= COUNTS[1]:
        raise ValueError(f"{COUNTS[0]} to {COUNTS[1]} frames a video can be compared: got {count}")
    found = False
    for frame in reader.at_fractions([Fraction(2 * number + 1, 2 * count) for number in range(count)]):
        found = found or frame is not None
        yield frame
    if not found:
        raise DamagedInputError(f"{key} has no frame that can be decoded at any of the {count} moments looked at")


def _cropped(pixels: UInt8Array, crop: Region | None) -> UInt8Array:
    if crop is None:
        return pixels
    x, y, width, height = crop
    return pixels[y : y + height, x : x + width]


def _reduced(rgb: UInt8Array) -> UInt8Array:
    height, width = rgb.shape[:2]
    factor = _LONGEST_PX / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(rgb)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _thumb(luma: UInt8Array) -> FloatArray:
    """The picture at 24 x 24, without its even light: what is left over the mean of 9 x 9 cells."""
    # Reduced as numbers, for the means of large cells tell more than 256 steps.
    halved = (
        luma
        if min(luma.shape) < 8 * MOTION_SIDE
        else cv2.resize(luma, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    )
    small = cv2.resize(halved.astype(np.float32), (MOTION_SIDE, MOTION_SIDE), interpolation=cv2.INTER_AREA)
    light = cv2.blur(small, (_NEIGHBOURHOOD, _NEIGHBOURHOOD), borderType=cv2.BORDER_REFLECT)
    return np.asarray(small - light, np.float32)


def _motion(thumbs: Sequence[FloatArray | None]) -> tuple[NDArray[np.int8], FloatArray]:
    """``(n, 576)`` what each frame shows beside the median of all, and ``(n,)`` how strong it is.

    The median is fitted to each frame first, so that a change of exposure is none.
    """
    motion = np.zeros((len(thumbs), MOTION_SIDE**2), np.int8)
    strength = np.zeros(len(thumbs), np.float32)
    there = [number for number, thumb in enumerate(thumbs) if thumb is not None]
    if len(there) < 2:
        return motion, strength
    frames = np.stack([thumb.ravel() for thumb in thumbs if thumb is not None]).astype(np.float64)
    median = np.median(frames, axis=0)
    power = float(median @ median)
    gains = frames @ median / power if power > 0 else np.zeros(len(frames))
    moved = frames - np.outer(gains, median)
    peaks = np.abs(moved).max(axis=1)
    motion[there] = np.round(moved / np.maximum(peaks, 1e-6)[:, None] * 127).astype(np.int8)
    strength[there] = peaks
    return motion, strength


def _words(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """``(n, k)`` bits as ``(n, ceil(k / 64))`` unsigned words, the first bit the most significant."""
    packed = np.packbits(bits, axis=1)
    padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(">u8").astype(np.uint64)
