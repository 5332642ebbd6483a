"""64-bit difference hashes: pictures that look alike differ in few bits.

The picture is averaged down to 9 x 8 brightnesses; bit by bit, row after row and most significant first, the hash says
where the right neighbour is brighter than the left one (the layout of the ``dhash`` of the imagehash package).
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from data_engine.errors import DamagedInputError, MissingInputError
from data_engine.media.images import open_picture

UInt8Array = NDArray[np.uint8]

_BITS = 1 << np.arange(63, -1, -1, dtype=np.uint64).reshape(8, 8)
# The JPEG decoder can leave out the finest coefficients; this many pixels of the shorter side stay at least.
_ENOUGH_PX = 96
_REDUCTIONS = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    (1, cv2.IMREAD_GRAYSCALE),
)


def dhash(picture: UInt8Array) -> int:
    """Difference hash, an unsigned 64-bit number, of ``(height, width)`` luma or ``(height, width, 3)`` RGB."""
    gray = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = np.asarray(cv2.resize(gray, (9, 8), interpolation=cv2.INTER_AREA), np.int16)
    return int(_BITS[small[:, 1:] > small[:, :-1]].sum(dtype=np.uint64))


def dhash_of_file(path: Path, *, name: str | None = None) -> int:
    """Difference hash of a picture file; see :func:`dhash_of_bytes`.

    Raises:
        MissingInputError: the file is not there.
        DamagedInputError: it is not a picture; ``name`` (else the file's name) says which.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInputError(f"{name or path.name} is not there") from None
    return dhash_of_bytes(data, name=name or path.name)


def dhash_of_bytes(data: bytes, *, name: str) -> int:
    """Difference hash of a picture file's bytes, decoded in gray at a reduced size where the format allows.

    A few times faster than decoding a JPEG in full; the hash differs from the full picture's in a bit or two at most
    places where neighbours are equally bright.

    Raises:
        DamagedInputError: the bytes are not a picture; ``name`` says which.
    """
    try:
        with open_picture(io.BytesIO(data)) as header:
            shorter = min(header.size)
        flag = next(flag for factor, flag in _REDUCTIONS if factor == 1 or shorter >= factor * _ENOUGH_PX)
        gray = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except (ImportError, OSError, SyntaxError, ValueError, Image.DecompressionBombError, cv2.error):
        gray = None
    if gray is None:
        raise DamagedInputError(f"{name} is not a picture that can be decoded")
    return dhash(np.asarray(gray, np.uint8))


def hamming(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint8]:
    """In how many bits 64-bit hashes differ (0..64), elementwise with broadcasting, as uint8.

    Bits are counted in parallel inside the words (Warren, "Hacker's Delight", chapter 5).
    """
    x = np.bitwise_xor(np.asarray(a, np.uint64), np.asarray(b, np.uint64))
    x = x - (x >> np.uint64(1) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (x >> np.uint64(2) & np.uint64(0x3333333333333333))
    x = x + (x >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    # The product's high byte is the sum of the bytes; it is meant to overflow.
    with np.errstate(over="ignore"):
        return np.asarray(x * np.uint64(0x0101010101010101) >> np.uint64(56), np.uint8)
